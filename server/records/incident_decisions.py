"""What people said of whether a note tells of the same event as others. It can be taken back for ever."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.records import note_subjects
from server.storage.port import Transaction


class Word(StrEnum):
    """What a person says of a note."""

    APART = "apart"
    """It tells of an event of its own."""
    JOINED = "joined"
    """It tells of the same event as another, however unlike they are."""
    AS_FOUND = "as_found"
    """Neither: what was said before is taken back, and the rules find what is alike."""


class IncidentDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The newest word on a subject of a note. `other_id`: the subject that it was joined to. `at` in milliseconds."""

    subject_id: int
    word: Word
    other_id: int | None
    person: str
    at: int
    reason: str


@audited(Verb.ALTERATION)
def decide(tx: Transaction, person: Person, subject_id: int, word: Word, reason: str, *, now: int) -> bool:
    """Keep a note apart from all others, or take back what was said of it. False where it is so already."""
    apart = int(word is Word.APART)
    if not tx.execute(
        "UPDATE subject SET apart = :apart, event = NULL WHERE subject_id = :subject"
        " AND (apart <> :apart OR event IS NOT NULL)",
        {"apart": apart, "subject": subject_id},
    ):
        return False
    _write(tx, person, subject_id, word, None, reason, now)
    return True


@audited(Verb.ALTERATION)
def join(tx: Transaction, person: Person, subject_id: int, other_id: int, reason: str, *, now: int) -> bool:
    """Say that two notes tell of one event, and so do all that either was joined to before. False where it is so."""
    rows = tx.rows(
        "SELECT DISTINCT event FROM subject WHERE subject_id IN (:one, :other) ORDER BY event",
        {"one": subject_id, "other": other_id},
    )
    events = [event for (event,) in rows if event is not None]
    if len(rows) == 1 and events:
        return False
    number = _write(tx, person, subject_id, Word.JOINED, other_id, reason, now)
    _write(tx, person, other_id, Word.JOINED, subject_id, reason, now)
    tx.execute(
        "UPDATE subject SET apart = 0, event = :event WHERE subject_id IN (:one, :other)"
        f" OR event IN ({', '.join(str(int(event)) for event in events) or 'NULL'})",
        {"event": number, "one": subject_id, "other": other_id},
    )
    return True


def _write(
    tx: Transaction, person: Person, subject_id: int, word: Word, other_id: int | None, reason: str, now: int
) -> int:
    number: int = tx.insert(
        "INSERT INTO incident_decision (subject_id, word, other_id, person, at, reason)"
        " VALUES (:subject, :word, :other, :person, :now, :reason)",
        {
            "subject": subject_id, "word": word.value, "other": other_id, "person": person.username, "now": now,
            "reason": reason,
        },
        "decision_id",
    )  # fmt: skip
    note_id = note_subjects.id_of_subject(tx, subject_id)
    record(
        tx, Actor("person", person.username), Verb.ALTERATION, "note", [note_id], now=now, reason="incident"
    )
    return number


@impersonal("decisions by number and author; a person sees them with the child, whose showing is logged")
def newest(tx: Transaction, subject_ids: Sequence[int]) -> dict[int, IncidentDecision]:
    """The newest decision on each of these subjects that has one."""
    if not subject_ids:
        return {}
    marks = {f"s{index}": one for index, one in enumerate(subject_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    return {
        row[0]: IncidentDecision(
            subject_id=row[0], word=Word(row[1]), other_id=row[2], person=row[3], at=row[4], reason=row[5]
        )
        for row in tx.rows(
            "SELECT subject_id, word, other_id, person, at, reason FROM incident_decision"
            f" WHERE subject_id IN ({wanted}) ORDER BY decision_id",
            marks,
        )
    }
