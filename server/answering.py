"""A person's answers to a review: which child a subject is, which it is not, and taking either back."""

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.asking_again import ask_again, described_now, propose_doubles, propose_unseen, weigh
from server.audit import Actor
from server.linkage.decide import Decision
from server.linkage.newly import Basis
from server.linkage.standardise import Record
from server.placing import ask, details_of, move, relocate, tell_author
from server.records import children, children_shown, links, note_subjects, who_is_who
from server.records.child import Standing
from server.records.links import Action
from server.storage.port import Transaction
from server.world import World

# Reasons of a person's decisions where the person gives none of their own.
DECIDED = "Decided by a person"
RULED_OUT = "Ruled out by a person"
RULED_IN = "A person took the ruling back"
LEFT_OPEN = "A person could not tell"
FOR_REVIEW_AGAIN = "For review again"


class ReviewClosed(Exception):
    """Somebody else has decided this review already."""


def answer_same(
    tx: Transaction,
    world: World,
    person: Person,
    review_id: int,
    child_id: int,
    *,
    now: int,
    reason: str | None = None,
) -> None:
    """A person says that the subject is this child. Raises NotAllowed and ReviewClosed."""
    who_is_who.hold(tx)
    review = links.require_review(tx, person, review_id)
    actor = Actor("person", person.username)
    offered = _offered(tx, review.subject_id)
    if child_id not in offered or not children_shown.candidates(tx, person, [child_id], now=now):
        raise NotAllowed("That child is not one of the candidates that you may choose.")
    if children.standing_of(tx, child_id) is Standing.AWAITING_REVIEW:
        raise NotAllowed(
            "That record waits for a review itself.", "Load the review again: it is no candidate now."
        )
    _close(tx, person, review, f"same:{child_id}", now)
    move(tx, actor, world, review.subject_id, review.holding_child_id, child_id, reason or DECIDED, now)
    propose_doubles(tx, world, child_id, offered, now=now)


def answer_new(
    tx: Transaction, world: World, person: Person, review_id: int, *, now: int, reason: str | None = None
) -> None:
    """A person says that the subject is none of the known children. Raises NotAllowed and ReviewClosed."""
    who_is_who.hold(tx)
    review = links.require_review(tx, person, review_id)
    actor = Actor("person", person.username)
    _close(tx, person, review, "new", now)
    child_id = review.holding_child_id
    children.set_standing(tx, actor, child_id, Standing.KNOWN, now=now)
    links.decide(tx, actor, review.subject_id, Action.NEW, child_id, now=now, reason=reason or DECIDED)
    tell_author(tx, review.subject_id)
    seen = _offered(tx, review.subject_id) | links.ruled_out(tx, review.subject_id)
    propose_unseen(tx, world, review.subject_id, child_id, seen, now=now)
    ask_again(tx, world, child_id, now=now)


def answer_not_same(
    tx: Transaction,
    world: World,
    person: Person,
    review_id: int,
    child_id: int,
    *,
    now: int,
    reason: str | None = None,
) -> None:
    """A person rules one candidate out. It persists; the review stays open for the others."""
    who_is_who.hold(tx)
    review = links.require_review(tx, person, review_id)
    if review.closed_at is not None:
        raise ReviewClosed
    if child_id in links.ruled_out(tx, review.subject_id):
        return
    if child_id not in _offered(tx, review.subject_id):
        raise NotAllowed("That child is not one of the candidates of this review.")
    links.decide(
        tx,
        Actor("person", person.username),
        review.subject_id,
        Action.NOT_SAME,
        child_id,
        now=now,
        reason=reason or RULED_OUT,
        basis=Basis(described_now(tx, review.subject_id), children.record_of(tx, child_id)),
    )


def answer_maybe_same(
    tx: Transaction, person: Person, review_id: int, child_id: int, *, now: int, reason: str | None = None
) -> None:
    """A person takes "not the same" back: the child is a candidate of this open review again."""
    who_is_who.hold(tx)
    review = links.require_review(tx, person, review_id)
    if review.closed_at is not None:
        raise ReviewClosed
    if child_id not in links.ruled_out(tx, review.subject_id):
        return
    actor = Actor("person", person.username)
    links.decide(
        tx, actor, review.subject_id, Action.MAYBE_SAME, child_id, now=now, reason=reason or RULED_IN
    )


def answer_cannot_tell(
    tx: Transaction, person: Person, review_id: int, *, now: int, reason: str | None = None
) -> None:
    """A person cannot tell. The note keeps its own record, with its duty, until more is known."""
    who_is_who.hold(tx)
    review = links.require_review(tx, person, review_id)
    _close(tx, person, review, "cannot_tell", now)
    actor, holding = Actor("person", person.username), review.holding_child_id
    links.decide(tx, actor, review.subject_id, Action.REVIEW, holding, now=now, reason=reason or LEFT_OPEN)


def undo(tx: Transaction, world: World, person: Person, review_id: int, *, now: int) -> None:
    """Take a decision on a review back: the subject returns to a record that waits."""
    who_is_who.hold(tx)
    review = links.require_review(tx, person, review_id)
    if review.closed_at is None:
        return
    take_back(tx, world, person, review.subject_id, now=now)


def undo_link(
    tx: Transaction, world: World, person: Person, subject_id: int, *, now: int, reason: str | None = None
) -> int:
    """Undo the link of a subject, whoever made it, where the person may decide links and see the child.

    The review that then waits. Raises NotAllowed, also where there is no such subject, and ReasonNeeded.
    """
    who_is_who.hold(tx)
    child_id = links.child_of(tx, subject_id)
    if child_id is None or not person.may(Permission.DECIDE_LINKS):
        raise NotAllowed("There is no such link among those you may undo.")
    children_shown.require_sight(tx, person, child_id, reason)
    return take_back(tx, world, person, subject_id, now=now)


def take_back(tx: Transaction, world: World, person: Person, subject_id: int, *, now: int) -> int:
    """Undo the link of a subject, whoever made it: it waits for review again. The review's id.

    Asks nothing of the person's scope: call `children_shown.require_sight` or `links.require_review` before.
    """
    actor = Actor("person", person.username)
    record, note_key, _ = note_subjects.subject_record(tx, subject_id)
    child_id = dict(note_subjects.subjects_of(tx, note_key))[subject_id]
    events = links.history(tx, subject_id)
    holding = _waiting_record(tx, actor, subject_id, child_id, record, events, now)
    anew = None
    if holding != child_id:
        links.decide(tx, actor, subject_id, Action.UNLINK, child_id, now=now, reason="Taken back by a person")
        relocate(tx, actor, world, subject_id, child_id, holding, now)
        anew = _with_what_it_left(tx, actor, world, subject_id, child_id, events[-1], now)
    links.decide(
        tx, actor, subject_id, Action.REVIEW, holding, now=now, reason=FOR_REVIEW_AGAIN, evidence=anew
    )
    tell_author(tx, subject_id)
    if holding == child_id and events[-1].action is Action.NEW:
        ask_again(tx, world, child_id, now=now)
    return ask(tx, subject_id, holding, person.borough or "", now)


def _with_what_it_left(
    tx: Transaction, actor: Actor, world: World, subject_id: int, left_id: int, last: links.Event, now: int
) -> Decision | None:
    """What linkage says now of a subject that was called a child of its own and leaves a record on which others
    stand: that record is a candidate too, and no longer one that a person knows to be a child."""
    standing, alone = children.standing_of(tx, left_id), children.whole(tx, [left_id]) == {left_id}
    if last.action is not Action.NEW or (alone and standing is Standing.RETIRED):
        return None
    if alone and standing is Standing.KNOWN:
        children.set_standing(tx, actor, left_id, Standing.PROVISIONAL, now=now)
    return weigh(tx, world, subject_id)


def _waiting_record(
    tx: Transaction,
    actor: Actor,
    subject_id: int,
    child_id: int,
    record: Record,
    events: list[links.Event],
    now: int,
) -> int:
    """The record on which a subject waits: the one that it waited on last, unless others have come to stand there or
    it is more than that record, since it is a child that notes find then; else one of its own."""
    before = next((event.child_id for event in reversed(events) if event.action is Action.REVIEW), None)
    if before is None or not children.holds_only(tx, before, subject_id):
        note, ordinal = note_subjects.body_of_subject(tx, subject_id)
        return children.add(tx, actor, details_of(note, ordinal), record, Standing.AWAITING_REVIEW, now=now)
    if before != child_id or events[-1].action is Action.NEW:
        children.set_standing(tx, actor, before, Standing.AWAITING_REVIEW, now=now)
    return before


def _offered(tx: Transaction, subject_id: int) -> set[int]:
    """The candidates that linkage found for a subject, less every record of the children ruled out."""
    offered: set[int] = set()
    for event in links.history(tx, subject_id):
        if event.evidence is not None:
            offered |= {candidate.child_id for candidate in event.evidence.candidates}
    return offered - children.whole(tx, links.ruled_out(tx, subject_id))


def _close(tx: Transaction, person: Person, review: links.Review, answer: str, now: int) -> None:
    if not links.close_review(tx, review.review_id, person, answer, now=now):
        raise ReviewClosed
