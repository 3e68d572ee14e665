"""Notes: immutable, told to their authors' phones, shown with what was added later."""

from __future__ import annotations

from functools import partial

from server.records import changes, note_subjects, notes, notes_shown, own_notes
from server.records.notes import Status
from sync.envelope import ChangeOp, RemoveReason
from sync.note import Subject
from tests.road import AMARA, JONAS, Road, somebody

RIVERA = somebody("rivera")


def revisions(road: Road, author: str) -> dict[str, int]:
    rows = road.store.read_now(lambda tx: own_notes.revisions(tx, author))
    return {note_id: rev for _, note_id, rev in rows}


def set_status(road: Road, status: Status, *note_ids: str) -> None:
    road.store.write_now(lambda tx: notes.set_status(tx, note_ids, status))


def test_a_status_goes_forward_and_never_back(road: Road) -> None:
    officer = road.officer()
    note_id = officer.writes(AMARA)
    for status, then in (
        (Status.RECEIVED, "new_child"),
        (Status.LINKED, "linked"),
        (Status.LINKED, "linked"),
        (Status.SEEN, "seen"),
        (Status.LINKED, "seen"),
        (Status.IN_REVIEW, "seen"),
        (Status.WITHDRAWN, "withdrawn"),
        (Status.SEEN, "withdrawn"),
    ):
        set_status(road, status, note_id)
        assert road.status_of(note_id) == then
    # Only what changed anything is a change for the phone.
    assert revisions(road, "okafor") == {note_id: 4}
    logged = road.store.read_now(lambda tx: changes.after(tx, notes.bucket("okafor"), 0, 0, 100))
    assert [(entry.id, entry.rev, entry.op) for entry in logged] == [
        (note_id, rev, ChangeOp.PUT) for rev in (1, 2, 3, 4)
    ]


def test_only_the_authors_phone_is_sent_a_note_and_it_is_logged_with_the_recipient(road: Road) -> None:
    mine = road.officer("okafor").writes(AMARA)
    theirs = road.officer("lam").writes(JONAS)
    keys = dict(road.rows("SELECT note_id, note_key FROM note"))
    # Were one of them ever logged as the author's, or the author's under the id of another.
    for note_id, key in ((theirs, keys[theirs]), ("no such note", keys[mine])):
        logged = partial(changes.put, id=note_id, rev=1, op=ChangeOp.PUT, note_key=key)
        road.store.write_now(partial(logged, bucket=notes.bucket("okafor"), kind="note"))
    sent, *others = road.heard("okafor")
    assert (sent.id, sent.rev) == (mine, 1) and sent.data == {"status": "new_child", "received_at": road.now}
    assert [(one.id, one.op, one.reason, one.data) for one in others] == [
        (note_id, ChangeOp.REMOVE, RemoveReason.LEFT_SCOPE, None) for note_id in (theirs, "no such note")
    ]
    rows = road.rows("SELECT ids, recipients FROM audit_entry WHERE verb = 'disclosure'")
    assert rows == [(f'["{mine}"]', '["okafor"]')]
    assert not road.heard("nobody")
    assert road.count("audit_entry", "verb = 'disclosure'") == 1


def test_a_note_is_shown_as_it_was_written_with_what_was_added(road: Road) -> None:
    officer = road.officer()
    note_id = officer.writes(AMARA, JONAS, assessment="I am worried")
    officer.sends(officer.amendment(note_id, text="His coat was wet"))
    officer.sends(officer.withdrawal(note_id))
    subject = road.subject_of(note_id, 1)
    shown = road.store.read_now(lambda tx: notes_shown.of_subject(tx, RIVERA, subject, now=road.now))
    assert shown is not None
    assert shown.ordinal == 1 and shown.subject_id == subject
    assert shown.body == road.body(AMARA, JONAS, assessment="I am worried")
    assert [type(amended.body).__name__ for amended in shown.amendments] == ["Amendment", "Withdrawal"]
    assert shown.withdrawn_at == road.now
    assert road.count("audit_entry", "verb = 'consultation' AND kind = 'note'") == 1
    assert road.store.read_now(lambda tx: notes_shown.of_subject(tx, RIVERA, 9_999, now=road.now)) is None


def test_a_withdrawn_note_stays_and_stops_counting(road: Road) -> None:
    officer = road.officer()
    note_id = officer.writes(AMARA)
    child = road.child_of(note_id)
    officer.sends(officer.withdrawal(note_id))
    facts = road.store.read_now(lambda tx: note_subjects.facts_of_child(tx, child))
    assert [fact.withdrawn for fact in facts] == [True]
    first = road.value("SELECT withdrawn_at FROM note")
    road.passes(hours=1)
    officer.sends(officer.withdrawal(note_id))
    assert road.value("SELECT withdrawn_at FROM note") == first


def test_what_is_asked_of_a_note_by_its_number(road: Road) -> None:
    note_id = road.officer().writes(AMARA, JONAS)
    read = road.store.read_now
    stored = read(lambda tx: notes.stored(tx, note_id))
    assert stored is not None and stored.author == "okafor" and not stored.withdrawn
    assert read(lambda tx: notes.stored(tx, "no such note")) is None
    assert read(lambda tx: notes.taken_ids(tx, [note_id, "another"])) == {note_id}
    assert read(lambda tx: notes.taken_ids(tx, [])) == set()
    subjects = read(lambda tx: note_subjects.subjects_of(tx, stored.note_key))
    assert [child for _, child in subjects] == [road.child_of(note_id, 0), road.child_of(note_id, 1)]
    assert read(lambda tx: note_subjects.children_of(tx, stored.note_key)) == sorted(
        child for _, child in subjects
    )
    subject = subjects[1][0]
    record, note_key, ordinal = read(lambda tx: note_subjects.subject_record(tx, subject))
    assert (record.given, note_key, ordinal) == ("jonas", stored.note_key, 1)
    assert read(lambda tx: note_subjects.body_of_subject(tx, subject)) == (road.body(AMARA, JONAS), 1)
    assert read(lambda tx: note_subjects.id_of_subject(tx, subject)) == note_id
    assert read(notes.count) == 1
    assert read(notes.last_received_at) == road.now


def test_an_amendment_changes_how_a_note_counts(road: Road) -> None:
    officer = road.officer()
    note_id = officer.writes(Subject(given_names="Jay"))
    officer.sends(officer.amendment(note_id, road.body(Subject(given_names="Jay"), danger_now=True)))
    child = road.child_of(note_id)
    [fact] = road.store.read_now(lambda tx: note_subjects.facts_of_child(tx, child))
    assert fact.danger_now
    assert "danger_now" in road.flags_of(child)
    assert [alert.grade for alert in road.alerts_of(child, "open")] == ["red"]


def test_changes_come_by_bucket_in_order_and_in_pages(road: Road) -> None:
    for username in ("okafor", "lam", "okafor"):
        road.officer(username).writes(AMARA)
        road.passes(hours=30)
    mine, theirs = notes.bucket("okafor"), notes.bucket("lam")
    read = road.store.read_now
    ours = read(lambda tx: changes.after(tx, mine, 0, 0, 10))
    assert len(ours) == 2 and len(read(lambda tx: changes.after(tx, theirs, 0, 0, 10))) == 1
    first, *rest = ours
    assert read(lambda tx: changes.after(tx, mine, first.xid, first.seq, 10)) == rest
    assert read(lambda tx: changes.after(tx, mine, 0, 0, 1)) == [first]
    assert read(lambda tx: changes.after(tx, mine, rest[-1].xid, rest[-1].seq, 10)) == []
    assert not read(lambda tx: changes.unsettled(tx, [mine]))
