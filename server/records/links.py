"""Which child each subject is: decisions as events with evidence and author, and the reviews that wait.

A subject always stands on exactly one child. Where linkage leaves the choice to a person, that child is a
record of its own (`Standing.AWAITING_REVIEW`) which carries the flags and alerts until the person has said.
"""

from enum import StrEnum

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.linkage.decide import Decision
from server.linkage.newly import Basis
from server.records.whole import WHOLE
from server.storage.port import Transaction

REVIEWS_SHOWN_MAX = 200


class Action(StrEnum):
    """What a link event says."""

    LINK = "link"
    NEW = "new"
    REVIEW = "review"
    """Linkage leaves it to a person."""
    NOT_SAME = "not_same"
    """A person says that the subject is not this child. It persists, until there is new evidence."""
    MAYBE_SAME = "maybe_same"
    """The child is a candidate again: a person took that back, or there is new evidence and a person is to decide."""
    UNLINK = "unlink"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One decision on one subject."""

    event_id: int
    subject_id: int
    action: Action
    child_id: int | None
    author: str
    at: int
    probability: float | None
    weight: float | None
    model_version: str | None
    reason: str
    evidence: Decision | None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A subject that a person must place.

    `danger` (a child is in danger now) and `urgency` (the grade's, 0 to 3) are those of the record that waits;
    `noted_at` is when its note was observed.
    """

    review_id: int
    subject_id: int
    borough: str
    danger: bool
    urgency: int
    noted_at: int
    opened_at: int
    closed_at: int | None
    closed_by: str | None
    answer: str | None
    holding_child_id: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Decision)
_basis_decoder = msgspec.msgpack.Decoder(Basis)


@audited(Verb.COMBINATION)
def decide(
    tx: Transaction,
    actor: Actor,
    subject_id: int,
    action: Action,
    child_id: int | None,
    *,
    now: int,
    reason: str,
    evidence: Decision | None = None,
    basis: Basis | None = None,
) -> int:
    """Write down a decision; the event's id. LINK, NEW and REVIEW put the subject on `child_id`.

    `basis`: the descriptions of subject and child, with NOT_SAME, so that new evidence is known when it comes.
    """
    event_id: int = tx.insert(
        "INSERT INTO link_event (subject_id, action, child_id, author, at, probability, weight, model_version,"
        " reason, evidence, basis) VALUES (:subject, :action, :child, :author, :now, :probability, :weight,"
        " :model, :reason, :evidence, :basis)",
        {
            "subject": subject_id,
            "action": action.value,
            "child": child_id,
            "author": actor.id if actor.kind == "person" else actor.kind,
            "now": now,
            "probability": evidence.probability if evidence else None,
            "weight": evidence.weight if evidence else None,
            "model": evidence.model_version if evidence else None,
            "reason": reason,
            "evidence": _encoder.encode(evidence) if evidence else None,
            "basis": _encoder.encode(basis) if basis else None,
        },
        "event_id",
    )
    record(tx, actor, Verb.COMBINATION, "child", [] if child_id is None else [child_id], now=now)
    return event_id


@impersonal("numbers only; the decision that moves the subject is logged by `decide`")
def move(tx: Transaction, subject_id: int, child_id: int) -> None:
    """Put a subject on another child."""
    tx.execute(
        "UPDATE subject SET child_id = :child WHERE subject_id = :subject",
        {"child": child_id, "subject": subject_id},
    )


@impersonal("one number")
def child_of(tx: Transaction, subject_id: int) -> int | None:
    """The child that a subject stands on; None where there is no such subject."""
    child_id: int | None = tx.value(
        "SELECT child_id FROM subject WHERE subject_id = :subject", {"subject": subject_id}
    )
    return child_id


@impersonal("numbers of children that a person has ruled out, for the server's own work")
def ruled_out(tx: Transaction, subject_id: int) -> frozenset[int]:
    """The children that this subject is known not to be."""
    return frozenset(child_id for child_id, _ in _ruled_out(tx, subject_id))


@impersonal("numbers of children and standardised descriptions, for the server's own work")
def ruled_out_on(tx: Transaction, subject_id: int) -> dict[int, Basis]:
    """For each child that this subject is known not to be, what both were described as when a person said so."""
    return {
        child_id: _basis_decoder.decode(basis)
        for child_id, basis in _ruled_out(tx, subject_id)
        if basis is not None
    }


def _ruled_out(tx: Transaction, subject_id: int) -> list[tuple[int, bytes | None]]:
    """(child, basis) of each "not the same" with nothing new since, oldest first."""
    return tx.rows(
        "SELECT e.child_id, e.basis FROM link_event e WHERE e.subject_id = :subject AND e.action = 'not_same'"
        " AND e.child_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM link_event r WHERE r.action = 'maybe_same'"
        " AND r.subject_id = e.subject_id AND r.child_id = e.child_id AND r.event_id > e.event_id)"
        " ORDER BY e.event_id",
        {"subject": subject_id},
    )


@impersonal("decisions by number; a person sees them with the child or the review, whose showing is logged")
def history(tx: Transaction, subject_id: int) -> list[Event]:
    """Every decision on a subject, oldest first."""
    return [
        _event(row)
        for row in tx.rows(_EVENT + " WHERE subject_id = :subject ORDER BY event_id", {"subject": subject_id})
    ]


@impersonal("decisions by number; a person sees them with the child, whose showing is logged")
def standing_for_child(tx: Transaction, child_id: int) -> dict[int, Event]:
    """For each subject on this child, the event that put it there."""
    rows = tx.rows(
        _EVENT + " WHERE event_id IN (SELECT MAX(e.event_id) FROM link_event e JOIN subject s"
        f" ON s.subject_id = e.subject_id AND s.child_id = e.child_id WHERE s.child_id IN {WHOLE}"
        " AND e.action IN ('link', 'new', 'review') GROUP BY e.subject_id)",
        {"child": child_id},
    )
    return {event.subject_id: event for event in map(_event, rows)}


@impersonal("numbers only; nothing of a child")
def open_review(
    tx: Transaction,
    subject_id: int,
    borough: str,
    *,
    danger: bool,
    urgency: int,
    noted_at: int,
    now: int,
    first: bool = False,
) -> int:
    """Ask a person of this borough to place a subject; the review's id. Opens a closed one again. `first`: nobody was
    asked about this subject before, and what would be done otherwise costs four times as much."""
    ask = (
        "INSERT INTO review (subject_id, borough, danger, urgency, noted_at, opened_at)"
        " VALUES (:subject, :borough, :danger, :urgency, :noted, :now)"
    )
    values = {
        "subject": subject_id,
        "borough": borough,
        "danger": int(danger),
        "urgency": urgency,
        "noted": noted_at,
        "now": now,
    }
    if first:
        return tx.insert(ask, values, "review_id")
    review_id: int = tx.value(
        f"{ask} ON CONFLICT (subject_id) DO UPDATE SET closed_at = NULL, closed_by = NULL, answer = NULL,"
        " borough = excluded.borough, danger = excluded.danger, urgency = excluded.urgency,"
        " noted_at = excluded.noted_at RETURNING review_id",
        values,
    )
    return review_id


@impersonal("a grade beside numbers of reviews")
def keep_stake(tx: Transaction, child_id: int, *, danger: bool, urgency: int) -> None:
    """Make what is at stake in the reviews that wait on a child's record what it is now."""
    tx.execute(
        "UPDATE review SET danger = :danger, urgency = :urgency WHERE closed_at IS NULL"
        " AND (danger <> :danger OR urgency <> :urgency)"
        " AND subject_id IN (SELECT subject_id FROM subject WHERE child_id = :child)",
        {"danger": int(danger), "urgency": urgency, "child": child_id},
    )


@impersonal("an answer in one word")
def close_review(tx: Transaction, review_id: int, person: Person, answer: str, *, now: int) -> bool:
    """Close a review; False where somebody was quicker."""
    return bool(
        tx.execute(
            "UPDATE review SET closed_at = :now, closed_by = :by, answer = :answer"
            " WHERE review_id = :review AND closed_at IS NULL",
            {"now": now, "by": person.username, "answer": answer, "review": review_id},
        )
    )


@impersonal("an answer in one word")
def settle_review(tx: Transaction, subject_id: int, answer: str, *, now: int) -> None:
    """Close a subject's review, if one is open: linkage has come to know which child it is."""
    tx.execute(
        "UPDATE review SET closed_at = :now, closed_by = 'system', answer = :answer"
        " WHERE subject_id = :subject AND closed_at IS NULL",
        {"now": now, "answer": answer, "subject": subject_id},
    )


@impersonal("numbers only; the subject and candidates are shown, and logged, one review at a time")
def waiting(tx: Transaction, person: Person) -> list[Review]:
    """The reviews that this person may decide, by what is at stake: danger now first, then the gravest grade,
    then the note that was seen first. How likely a candidate is has no part in it."""
    if not person.may(Permission.DECIDE_LINKS):
        return []
    scope, marks = "", {}
    if not person.sees_borough(None):
        marks = {f"b{index}": code for index, code in enumerate(sorted(person.boroughs))}
        scope = " AND r.borough IN (" + (", ".join(f":{name}" for name in marks) or "NULL") + ")"
    rows = tx.rows(
        f"{_REVIEW} WHERE r.closed_at IS NULL{scope} {BY_STAKE} LIMIT :most",
        {**marks, "most": REVIEWS_SHOWN_MAX},
    )
    return [_review(row) for row in rows]


@impersonal("numbers only; raises NotAllowed without saying whether there is such a review")
def require_review(tx: Transaction, person: Person, review_id: int) -> Review:
    """A review that this person may decide."""
    row = tx.row(_REVIEW + " WHERE r.review_id = :review", {"review": review_id})
    review = _review(row) if row else None
    if review is None or not person.may(Permission.DECIDE_LINKS) or not person.sees_borough(review.borough):
        raise NotAllowed("There is no such review among those you may decide.")
    return review


@impersonal("numbers only")
def reviews_of_child(tx: Transaction, child_id: int) -> list[int]:
    """The open reviews whose subject stands on this child."""
    rows = tx.rows(
        "SELECT r.review_id FROM review r JOIN subject s ON s.subject_id = r.subject_id"
        f" WHERE s.child_id IN {WHOLE} AND r.closed_at IS NULL ORDER BY r.review_id",
        {"child": child_id},
    )
    return [review_id for (review_id,) in rows]


@impersonal("counts only")
def counts(tx: Transaction) -> dict[str, int]:
    """How many subjects stand where: linked, new, for review."""
    return {
        "link": tx.value("SELECT COUNT(*) FROM link_event WHERE action = 'link' AND author = 'system'"),
        "new": tx.value("SELECT COUNT(*) FROM link_event WHERE action = 'new' AND author = 'system'"),
        "review": tx.value("SELECT COUNT(*) FROM link_event WHERE action = 'review' AND author = 'system'"),
    }


_EVENT = (
    "SELECT event_id, subject_id, action, child_id, author, at, probability, weight, model_version, reason,"
    " evidence FROM link_event"
)
BY_STAKE = "ORDER BY r.danger DESC, r.urgency DESC, r.noted_at, r.review_id"
_REVIEW = (
    "SELECT r.review_id, r.subject_id, r.borough, r.danger, r.urgency, r.noted_at, r.opened_at, r.closed_at,"
    " r.closed_by, r.answer, s.child_id FROM review r JOIN subject s ON s.subject_id = r.subject_id"
)


def _event(row: tuple[object, ...]) -> Event:
    *fields, evidence = row
    names = [
        "event_id",
        "subject_id",
        "action",
        "child_id",
        "author",
        "at",
        "probability",
        "weight",
        "model_version",
        "reason",
    ]
    values = dict(zip(names, fields, strict=True))
    decoded = _decoder.decode(evidence) if isinstance(evidence, bytes | memoryview) else None
    return msgspec.convert(values | {"evidence": decoded}, Event)


def _review(row: tuple[object, ...]) -> Review:
    names = [
        "review_id",
        "subject_id",
        "borough",
        "danger",
        "urgency",
        "noted_at",
        "opened_at",
        "closed_at",
        "closed_by",
        "answer",
        "holding_child_id",
    ]
    values = dict(zip(names, row, strict=True))
    return msgspec.convert(values | {"danger": bool(values["danger"])}, Review)


@audited(Verb.CONSULTATION)
def decisions_on_note(tx: Transaction, actor: Actor, note_id: str, *, now: int) -> list[tuple[int, Event]]:
    """(subject's place in the note, decision) for every decision on a note, oldest first."""
    rows = tx.rows(
        "SELECT s.subject_id, s.ordinal FROM subject s JOIN note n ON n.note_key = s.note_key"
        " WHERE n.note_id = :note ORDER BY s.ordinal",
        {"note": note_id},
    )
    found = [(ordinal, event) for subject_id, ordinal in rows for event in history(tx, subject_id)]
    if found:
        record(tx, actor, Verb.CONSULTATION, "note", [note_id], now=now, reason="explain command")
    return found
