"""What was set aside: released onto the real road once, or refused with a reason, and its bytes kept anyway."""

from __future__ import annotations

import msgspec
import pytest

from server import releasing
from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.jobs import housekeeping
from server.records import notes, owing, quarantine
from server.releasing import Decided, NotReleased
from sync.envelope import Code, Verdict
from sync.operations import Kind, digest
from tests.phones import enrolled
from tests.road import AMARA, LAMBETH, REGISTRY, Officer, Road
from tests.test_pulling import Phone


@pytest.fixture
def officer(road: Road) -> Officer:
    return enrolled(road, "okafor", LAMBETH)


def revoked(officer: Officer, *lines: bytes) -> None:
    active = officer.identity
    officer.identity = msgspec.structs.replace(active, revoked=True)
    officer.push(*lines)
    officer.identity = active


def release(road: Road, quarantine_id: int = 1) -> Verdict:
    world = road.world
    return road.store.write_now(
        lambda tx: releasing.release(tx, REGISTRY, quarantine_id, now=road.now, world=world)
    )


def waiting(road: Road) -> list[quarantine.Held]:
    return road.store.read_now(lambda tx: quarantine.waiting(tx, limit=100))


def test_a_note_of_a_revoked_phone_goes_the_whole_road_when_it_is_released(
    road: Road, officer: Officer
) -> None:
    child = road.child(AMARA)
    note_id, line = officer.note(AMARA, danger_now=True)
    revoked(officer, line)
    assert road.count("note") == 0
    (held,) = waiting(road)
    assert (held.code, held.officer, held.kind, held.size) == (
        "device_revoked",
        "okafor",
        "note.write",
        len(line),
    )
    came_at = road.now
    road.passes(minutes=3 * 24 * 60)
    assert release(road).v == "applied"
    assert road.child_of(note_id) == child
    assert [alert.grade for alert in road.alerts_of(child)] == ["red"]
    assert road.rows("SELECT author, received_at FROM note") == [("okafor", came_at)]
    started = road.rows("SELECT started_at, late_by_ms, unsent_ms FROM alert")
    assert started == [(road.now, 0, 0)], "three days in quarantine are no late sync"
    assert waiting(road) == []
    verbs = road.rows("SELECT verb FROM audit_entry WHERE kind = 'quarantine' ORDER BY position")
    assert verbs == [("collection",), ("alteration",)]


def test_invariant_3_the_phone_keeps_the_verdict_that_it_had(road: Road, officer: Officer) -> None:
    _, line = officer.note(AMARA)
    revoked(officer, line)
    release(road)
    again = officer.push(line).verdicts[0]
    assert (again.v, again.code, again.why) == ("duplicate", "quarantined", Code.DEVICE_REVOKED)
    assert road.count("note") == 1


def test_a_release_happens_once(road: Road, officer: Officer) -> None:
    revoked(officer, officer.note(AMARA)[1])
    release(road)
    with pytest.raises(Decided):
        release(road)
    with pytest.raises(Decided):
        release(road, 99)
    assert road.count("note") == 1


def test_what_the_road_does_not_take_stays_with_its_reason_and_nothing_is_written(
    road: Road, officer: Officer
) -> None:
    note_id, line = officer.note(AMARA)
    officer.push(line)
    revoked(officer, officer.note(AMARA, note_id=note_id)[1])
    before = road.count("audit_entry")
    with pytest.raises(NotReleased) as refused:
        release(road)
    assert refused.value.code == Code.ENTITY_TAKEN and refused.value.hint
    assert road.count("note") == 1 and road.count("audit_entry") == before
    assert len(waiting(road)) == 1


@pytest.mark.parametrize("line", [b"{broken", b"\xff\xfe", b"[" * 5000, b"{}"])
def test_what_cannot_be_read_cannot_be_released_and_its_bytes_are_kept(
    road: Road, officer: Officer, line: bytes
) -> None:
    officer.push(line)
    with pytest.raises(NotReleased):
        release(road)
    road.store.write_now(
        lambda tx: releasing.refuse(tx, REGISTRY, 1, "The officer wrote it again", now=road.now)
    )
    (held,) = road.store.read_now(quarantine.decided)
    assert (held.decision, held.reason) == ("refused", "The officer wrote it again")
    assert road.store.read_now(lambda tx: quarantine.line_of(tx, 1)) == line
    # Sent again it is the same line, decided already.
    officer.push(line)
    assert waiting(road) == []


def test_the_officers_phones_hear_what_was_decided_and_nobody_elses_do(road: Road, officer: Officer) -> None:
    phone, other = Phone(officer), Phone(enrolled(road, "banks", LAMBETH))
    officer.push(officer.note(AMARA)[1])
    phone.pulls()
    refused, taken = b"{broken", officer.note(AMARA)[1]
    officer.push(refused)
    revoked(officer, taken)
    road.store.write_now(lambda tx: releasing.refuse(tx, REGISTRY, 1, "Please write it anew", now=road.now))
    release(road, 2)
    for limit in (1, 500):
        phone.pulls(limit)
        other.pulls(limit)
    told = [row.data for (kind, _), row in phone.held[notes.bucket("okafor")].items() if kind == "decision"]
    assert [(one["sha256"], one["decision"], one["reason"]) for one in told] == [
        (digest(refused), "refused", "Please write it anew"),
        (digest(taken), "released", None),
    ]
    assert notes.bucket("banks") not in other.held and len(phone.held[notes.bucket("okafor")]) == 4
    new = Phone(officer)  # and a phone that begins anew is told the same
    new.pulls()
    assert new.held[notes.bucket("okafor")] == phone.held[notes.bucket("okafor")]
    told_of = road.rows("SELECT count(*) FROM audit_entry WHERE kind = 'quarantine' AND verb = 'disclosure'")
    assert told_of == [(3,)]


def test_other_bytes_under_a_taken_number_are_released_under_one_of_their_own(
    road: Road, officer: Officer
) -> None:
    officer.push(officer.note(AMARA)[1])
    officer.seq = 0
    note_id, other = officer.note(AMARA)
    officer.push(other)
    assert waiting(road)[0].code == Code.KEY_REUSED
    assert release(road).v == "applied"
    assert road.status_of(note_id)
    lines = road.rows("SELECT line FROM op WHERE digest = :digest", digest=digest(other))
    assert [bytes(line) for (line,) in lines] == [other]
    assert road.store.read_now(owing.phones) == []


def test_a_note_in_the_name_of_another_stands_in_that_name(road: Road, officer: Officer) -> None:
    enrolled(road, "banks")
    note_id, _ = officer.note(AMARA)
    line = officer.op(Kind.NOTE_WRITE, note_id, road.body(AMARA), user="banks", seq=1)
    officer.push(line)
    assert waiting(road)[0].code == Code.USER_MISMATCH
    release(road)
    assert road.rows("SELECT author FROM note") == [("banks",)]


def test_an_amendment_that_was_released_waits_for_its_note_and_keeps_its_verdict(
    road: Road, officer: Officer
) -> None:
    note_id, note = officer.note(AMARA)
    amendment = officer.amendment(note_id)
    revoked(officer, amendment)
    assert release(road).v == "parked"
    officer.push(note)
    assert road.count("amendment") == 1 and road.count("parked") == 0
    assert officer.push(amendment).verdicts[0].code == "quarantined"


def tidied(road: Road, after_ms: int) -> int:
    """Housekeeping, so long after now; how many lines wait for a person then."""
    now, rules, limits = road.now + after_ms, SessionRules(1_000, 100_000), Limits(10, 50, 1_000, b"k" * 32)
    road.store.write_now(lambda tx: housekeeping.run(tx, now, rules, limits))
    return len(waiting(road))


def test_an_addition_whose_note_does_not_come_is_put_before_a_person_and_waits_on(
    road: Road, officer: Officer
) -> None:
    note_id, note = officer.note(AMARA)
    amendment = officer.amendment(note_id)
    officer.push(amendment)
    assert tidied(road, quarantine.PARKED_MS_MAX - 1) == 0
    assert tidied(road, quarantine.PARKED_MS_MAX) == tidied(road, quarantine.PARKED_MS_MAX) == 1
    (held,) = waiting(road)
    assert (held.code, held.officer, held.kind) == (Code.WAITS_FOR_NOTE, "okafor", "note.amend")
    with pytest.raises(NotReleased, match="has not come"):
        release(road, held.quarantine_id)
    assert officer.push(amendment).verdicts[0].code == "parked", "the phone keeps the verdict that it had"
    officer.push(note)
    assert road.count("amendment") == 1 and road.count("parked") == 0
    assert waiting(road) == [] and road.store.read_now(quarantine.count) == 0


def test_one_that_was_refused_still_goes_its_way_when_its_note_comes(road: Road, officer: Officer) -> None:
    note_id, note = officer.note(AMARA)
    officer.push(officer.amendment(note_id))
    tidied(road, quarantine.PARKED_MS_MAX)
    road.store.write_now(lambda tx: releasing.refuse(tx, REGISTRY, 1, "The phone is lost", now=road.now))
    assert waiting(road) == []
    officer.push(note)
    assert road.count("amendment") == 1


def test_one_that_cannot_apply_when_its_note_comes_stands_there_with_that_reason(
    road: Road, officer: Officer
) -> None:
    other = enrolled(road, "banks", LAMBETH)
    note_id, note = officer.note(AMARA)
    other.push(other.amendment(note_id))
    tidied(road, quarantine.PARKED_MS_MAX)
    officer.push(note)
    (held,) = waiting(road)
    assert (held.quarantine_id, held.code) == (1, Code.NOT_THE_AUTHOR)


def test_a_newer_schema_is_kept_until_the_server_knows_it(
    road: Road, officer: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, line = officer.note(AMARA)
    newer = line.replace(b'"schema":1', b'"schema":2')
    assert officer.sends(newer).code == Code.SCHEMA_UNKNOWN
    with pytest.raises(NotReleased):
        release(road)
    monkeypatch.setattr("sync.inbox.SCHEMA_NEWEST", 2)
    assert release(road).v == "applied"


def test_every_code_has_a_reason_and_what_to_do() -> None:
    about_the_note = {Code.OBSERVED_OUT_OF_RANGE, Code.STALE_REVISION}
    assert set(releasing.WHY) == set(Code) - about_the_note
