"""What people said of whether a note tells of the same event as others. It can be taken back for ever."""

from collections.abc import Sequence

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.records import note_subjects
from server.storage.port import Transaction


class IncidentDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The newest word on a subject of a note. `apart`: an event of its own. `at` in milliseconds."""

    subject_id: int
    apart: bool
    person: str
    at: int
    reason: str


@audited(Verb.ALTERATION)
def decide(tx: Transaction, person: Person, subject_id: int, apart: bool, reason: str, *, now: int) -> bool:
    """Keep a note apart from the others of its incident, or let it be joined again. False where it is so already."""
    if not tx.execute(
        "UPDATE subject SET apart = :apart WHERE subject_id = :subject AND apart <> :apart",
        {"apart": int(apart), "subject": subject_id},
    ):
        return False
    tx.execute(
        "INSERT INTO incident_decision (subject_id, apart, person, at, reason)"
        " VALUES (:subject, :apart, :person, :now, :reason)",
        {
            "subject": subject_id, "apart": int(apart), "person": person.username, "now": now,
            "reason": reason,
        },
    )  # fmt: skip
    note_id = note_subjects.id_of_subject(tx, subject_id)
    record(
        tx, Actor("person", person.username), Verb.ALTERATION, "note", [note_id], now=now, reason="incident"
    )
    return True


@impersonal("decisions by number and author; a person sees them with the child, whose showing is logged")
def newest(tx: Transaction, subject_ids: Sequence[int]) -> dict[int, IncidentDecision]:
    """The newest decision on each of these subjects that has one."""
    if not subject_ids:
        return {}
    marks = {f"s{index}": one for index, one in enumerate(subject_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    return {
        row[0]: IncidentDecision(
            subject_id=row[0], apart=bool(row[1]), person=row[2], at=row[3], reason=row[4]
        )
        for row in tx.rows(
            "SELECT subject_id, apart, person, at, reason FROM incident_decision"
            f" WHERE subject_id IN ({wanted}) ORDER BY decision_id",
            marks,
        )
    }
