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
from server.storage.port import Transaction

REVIEWS_SHOWN_MAX = 200


class Action(StrEnum):
    """What a link event says."""

    LINK = "link"
    NEW = "new"
    REVIEW = "review"
    """Linkage leaves it to a person."""
    NOT_SAME = "not_same"
    """A person says that the subject is not this child. It persists."""
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
    """A subject that a person must place. `urgency` is the grade's, 0 to 3."""

    review_id: int
    subject_id: int
    borough: str
    urgency: int
    opened_at: int
    closed_at: int | None
    closed_by: str | None
    answer: str | None
    holding_child_id: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Decision)


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
) -> int:
    """Write down a decision; the event's id. LINK, NEW and REVIEW put the subject on `child_id`."""
    event_id: int = tx.insert(
        "INSERT INTO link_event (subject_id, action, child_id, author, at, probability, weight, model_version,"
        " reason, evidence) VALUES (:subject, :action, :child, :author, :now, :probability, :weight, :model,"
        " :reason, :evidence)",
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
    rows = tx.rows(
        "SELECT child_id FROM link_event WHERE subject_id = :subject AND action = :action"
        " AND child_id IS NOT NULL",
        {"subject": subject_id, "action": Action.NOT_SAME.value},
    )
    return frozenset(child_id for (child_id,) in rows)


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
        " ON s.subject_id = e.subject_id AND s.child_id = e.child_id WHERE s.child_id = :child"
        " AND e.action IN ('link', 'new', 'review') GROUP BY e.subject_id)",
        {"child": child_id},
    )
    return {event.subject_id: event for event in map(_event, rows)}


@impersonal("numbers only; nothing of a child")
def open_review(tx: Transaction, subject_id: int, borough: str, urgency: int, *, now: int) -> int:
    """Ask a person of this borough to place a subject; the review's id. Opens a closed one again."""
    found: int | None = tx.value(
        "SELECT review_id FROM review WHERE subject_id = :subject", {"subject": subject_id}
    )
    if found is None:
        return tx.insert(
            "INSERT INTO review (subject_id, borough, urgency, opened_at)"
            " VALUES (:subject, :borough, :urgency, :now)",
            {"subject": subject_id, "borough": borough, "urgency": urgency, "now": now},
            "review_id",
        )
    tx.execute(
        "UPDATE review SET closed_at = NULL, closed_by = NULL, answer = NULL WHERE review_id = :review",
        {"review": found},
    )
    return found


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
    """The reviews that this person may decide: the most urgent first, then the oldest."""
    if not person.may(Permission.DECIDE_LINKS):
        return []
    scope, marks = "", {}
    if not person.sees_borough(None):
        marks = {f"b{index}": code for index, code in enumerate(sorted(person.boroughs))}
        scope = " AND r.borough IN (" + (", ".join(f":{name}" for name in marks) or "NULL") + ")"
    rows = tx.rows(
        f"{_REVIEW} WHERE r.closed_at IS NULL{scope} ORDER BY r.urgency DESC, r.opened_at, r.review_id LIMIT :most",
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
        " WHERE s.child_id = :child AND r.closed_at IS NULL ORDER BY r.review_id",
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
_REVIEW = (
    "SELECT r.review_id, r.subject_id, r.borough, r.urgency, r.opened_at, r.closed_at, r.closed_by, r.answer,"
    " s.child_id FROM review r JOIN subject s ON s.subject_id = r.subject_id"
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
        "urgency",
        "opened_at",
        "closed_at",
        "closed_by",
        "answer",
        "holding_child_id",
    ]
    return msgspec.convert(dict(zip(names, row, strict=True)), Review)


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
