"""What notes name and what has arrived, on both engines, through the real intake."""

from __future__ import annotations

import datetime

from server.records import attachments, uploads
from server.records.attachments import FormState, Named
from server.records.uploads import Ended
from sync.media import MediaKind
from sync.note import Attached
from sync.operations import Kind
from tests.road import AMARA, Officer, Road, somebody

FIRST, SECOND, THIRD = "1" * 64, "2" * 64, "3" * 64
WHEN = datetime.datetime(2025, 12, 31, 23, 0, tzinfo=datetime.UTC)


def named(road: Road, note_id: str) -> tuple[Named, ...]:
    key = road.value("SELECT note_key FROM note WHERE note_id = :n", n=note_id)
    return road.store.read_now(lambda tx: attachments.of_notes(tx, [key])).get(key, ())


def hand_in(road: Road, officer: Officer, digest: str, media_type: str = "image/jpeg") -> bool:
    return road.store.write_now(
        lambda tx: attachments.add(tx, officer.identity, digest, 100, media_type, now=road.now)
    )


def test_a_note_names_its_attachments_in_order_with_what_it_says_of_them(road: Road) -> None:
    okafor = road.officer()
    said = Attached(sha256=SECOND, kind=MediaKind.AUDIO, taken_at=WHEN)
    note_id, line = okafor.note(AMARA)
    line = okafor.op(Kind.NOTE_WRITE, note_id, road.body(AMARA, attachments=(said,)), blobs=(FIRST,))
    assert okafor.sends(line).v == "applied"
    first, second = named(road, note_id)
    assert (first.digest, first.kind, first.taken_at, first.kept) == (FIRST, None, None, None)
    assert (second.digest, second.kind, second.kept) == (SECOND, MediaKind.AUDIO, None)
    assert second.taken_at == WHEN.timestamp() * 1000
    assert hand_in(road, okafor, SECOND), "collected"
    assert not hand_in(road, okafor, SECOND), "and no second time"
    again = named(road, note_id)[1]
    assert again.kept is not None and again.kept.form_state is FormState.WAITING
    assert again.kind is MediaKind.PHOTOGRAPH, "what the bytes are stands above what was said of them"
    assert road.store.read_now(attachments.counts) == (1, 1)


def test_an_amendment_that_came_before_its_note_adds_its_attachments_when_the_note_comes(road: Road) -> None:
    okafor = road.officer()
    note_id, line = okafor.note(AMARA, attachments=(Attached(sha256=FIRST),))
    amended = road.body(AMARA, attachments=(Attached(sha256=FIRST), Attached(sha256=THIRD)))
    early = okafor.amendment(note_id, note=amended)
    assert okafor.sends(early).v == "parked"
    assert okafor.sends(line).v == "applied"
    assert [one.digest for one in named(road, note_id)] == [FIRST, THIRD]


def test_an_op_that_is_undone_names_nothing(road: Road) -> None:
    okafor, other = road.officer(), road.officer("lindqvist")
    note_id = okafor.writes(AMARA)
    taken = other.op(Kind.NOTE_WRITE, note_id, road.body(AMARA, attachments=(Attached(sha256=FIRST),)))
    assert other.sends(taken).v == "quarantined"
    assert named(road, note_id) == () and road.count("note_attachment") == 0


def test_a_phone_hears_of_its_own_and_a_note_shows_what_its_author_handed_in(road: Road) -> None:
    okafor, other = road.officer(), road.officer("lindqvist")
    note_id = okafor.writes(AMARA, attachments=(Attached(sha256=FIRST),))
    child_id = road.child_of(note_id)
    hand_in(road, other, FIRST)

    def handed_in(officer: Officer) -> int | None:
        device = officer.identity.device_id
        return road.store.read_now(lambda tx: attachments.handed_in_at(tx, device, FIRST))

    def shown() -> object:
        person = somebody()
        return road.store.read_now(lambda tx: attachments.show(tx, person, child_id, FIRST, now=road.now))

    assert handed_in(okafor) is None and handed_in(other) == road.now
    assert named(road, note_id)[0].kept is None and shown() is None
    # Another phone of the same officer will do: the first may be broken.
    hand_in(road, road.officer(), FIRST)
    assert named(road, note_id)[0].kept is not None and shown() is not None
    assert handed_in(okafor) is None
    assert road.count("audit_entry", "kind = 'attachment' AND verb = 'consultation'") == 1


def test_forms_are_made_in_turn_and_given_up_in_the_end(road: Road) -> None:
    okafor = road.officer()
    for digest in (FIRST, SECOND):
        hand_in(road, okafor, digest)
        road.passes(minutes=1)

    def next_one() -> str | None:
        found = road.store.read_now(attachments.next_to_make)
        return found.digest if found else None

    def went(digest: str, *, made: bool, again: bool = False) -> None:
        road.store.write_now(lambda tx: attachments.set_made(tx, digest, made=made, again=again))

    assert next_one() == FIRST
    went(FIRST, made=False, again=True)
    assert next_one() == SECOND, "one that failed waits at the end of the line"
    went(SECOND, made=True)
    for _ in range(attachments.FORM_TRIES_MAX - 1):
        assert next_one() == FIRST
        went(FIRST, made=False, again=True)
    assert next_one() is None
    assert dict(road.rows("SELECT digest, form_state FROM attachment")) == {FIRST: "failed", SECOND: "made"}


def test_uploads_end_by_the_clock_and_are_forgotten_later(road: Road) -> None:
    device = road.officer().identity.device_id

    def start(upload_id: str, lives_ms: int) -> None:
        assert road.store.write_now(
            lambda tx: uploads.start(
                tx, device, upload_id, length=10, declared=None, metadata="name QQ==", now=road.now,
                expires_at=road.now + lives_ms,
            )
        )  # fmt: skip

    def found(upload_id: str, who: str = device) -> uploads.Upload | None:
        return road.store.read_now(lambda tx: uploads.find(tx, who, upload_id, now=road.now))

    start("short", 1_000)
    start("long", 10_000_000)
    start("done", 1_000)
    road.store.write_now(lambda tx: uploads.complete(tx, "done", FIRST))
    assert found("short", "another phone") is None
    road.passes(minutes=1)
    late = found("short")
    assert late is not None and late.ended is Ended.EXPIRED, "also before the job has come by"
    assert road.store.write_now(lambda tx: uploads.expire(tx, now=road.now)) == ["short"]
    assert road.store.read_now(uploads.unfinished) == {"long"}
    done = found("done")
    assert done is not None and (done.digest, done.received, done.ended, done.metadata) == (
        FIRST,
        10,
        None,
        "",
    )
    assert road.store.write_now(lambda tx: uploads.forget(tx, before=road.now)) == 2
    assert found("short") is None and found("long") is not None
