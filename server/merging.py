"""A person says that two records are one child, or are not; and takes it back. The program only proposes.

A merge moves nothing: each record keeps its notes, flags and alerts, and the child is read as the union of its
records (`records.clusters`). What the records mean only together is judged in the same transaction
(`records.cases`), and whoever has a duty on one of them is told. So taking a merge back leaves each record as it
would be had it never been merged, with whatever came to it meanwhile.
"""

from collections.abc import Collection

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor
from server.records import (
    cases,
    children,
    children_shown,
    clusters,
    duties,
    joint,
    merges,
    parting,
    who_is_who,
)
from server.records.child import Standing
from server.records.clusters import Action, Event
from server.records.steps import EventKind
from server.storage.port import Transaction
from server.world import World

SAME, NOT_SAME, CANNOT_TELL = "same", "not_same", "cannot_tell"

# Reasons of decisions where the person gives none of their own.
LEFT_OPEN = "A person could not tell"
TAKEN_BACK = "Taken back by a person"


class Impossible(Exception):
    """These records cannot be merged or parted as they stand. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Decided(msgspec.Struct, frozen=True):
    """What a decision did: its event, and the record that the first record continues as now."""

    event_id: int
    kept_id: int


def merge(
    tx: Transaction,
    world: World,
    person: Person,
    one_id: int,
    other_id: int,
    *,
    now: int,
    reason: str,
    access_reason: str | None = None,
) -> Decided:
    """Say that two records are one child. Raises NotAllowed, ReasonNeeded and Impossible."""
    ones, others = _both(tx, person, one_id, other_id, access_reason)
    if ones & others:
        raise Impossible(
            "These records are one child already.", "Open the child to see when they were merged."
        )
    for child_id in (one_id, other_id):
        if children.standing_of(tx, child_id) is Standing.AWAITING_REVIEW:
            raise Impossible(
                "One of these records waits for a review.",
                "Decide the review: it says which child the note is about.",
            )
        if children.standing_of(tx, child_id) is Standing.RETIRED:
            raise Impossible(
                "One of these records holds nothing any more.", "Merge the record that its notes are on."
            )
    if clusters.apart(tx, ones, others) is not None:
        raise Impossible(
            "A person has said that these are not the same child, and nothing new is known since.",
            "Undo that decision first, if it was wrong.",
        )
    actor = Actor("person", person.username)
    event_id = clusters.decide(tx, actor, Action.MERGE, one_id, other_id, now=now, reason=reason)
    merges.close(tx, sorted(ones), sorted(others), SAME, event_id, person.username, now=now)
    _group_anew(tx, world, actor, ones | others, EventKind.JOINED, now)
    return Decided(event_id, children.kept(tx, one_id))


def not_the_same(
    tx: Transaction,
    person: Person,
    one_id: int,
    other_id: int,
    *,
    now: int,
    reason: str,
    access_reason: str | None = None,
) -> Decided:
    """Say that two records are two children. It persists. Raises NotAllowed, ReasonNeeded and Impossible."""
    return _keep_apart(tx, person, one_id, other_id, Action.NOT_SAME, now, reason, access_reason)


def answer(
    tx: Transaction,
    world: World,
    person: Person,
    proposal_id: int,
    said: str,
    *,
    now: int,
    reason: str | None = None,
    access_reason: str | None = None,
) -> Decided:
    """Answer a proposal: `SAME`, `NOT_SAME` or `CANNOT_TELL`. `undo` takes it back, and the proposal waits again.

    Raises NotAllowed, ReasonNeeded and Impossible (also where somebody has answered it already).
    """
    who_is_who.hold(tx)
    asked = merges.require(tx, person, proposal_id)
    if asked.closed_at is not None:
        raise Impossible(
            "This proposal has been answered already.", "Undo that answer first, if it was wrong."
        )
    pair = (asked.child_a, asked.child_b)
    given = reason or (LEFT_OPEN if said == CANNOT_TELL else asked.reason)
    if said == SAME:
        return merge(tx, world, person, *pair, now=now, reason=given, access_reason=access_reason)
    action = Action.CANNOT_TELL if said == CANNOT_TELL else Action.NOT_SAME
    return _keep_apart(tx, person, *pair, action, now, given, access_reason)


def confirm(
    tx: Transaction, person: Person, child_id: int, *, now: int, reason: str, access_reason: str | None = None
) -> Decided:
    """Say that a provisional record is a child of their own, whoever that is. Raises NotAllowed and Impossible."""
    _may_decide(person)
    who_is_who.hold(tx)
    children_shown.require_sight(tx, person, child_id, access_reason)
    if children.standing_of(tx, child_id) is not Standing.PROVISIONAL:
        raise Impossible("This record is not provisional.", "Open it again to see what it is.")
    actor = Actor("person", person.username)
    event_id = clusters.decide(tx, actor, Action.CONFIRM, child_id, None, now=now, reason=reason)
    children.set_standing(tx, actor, child_id, Standing.KNOWN, now=now)
    return Decided(event_id, children.kept(tx, child_id))


def undo(
    tx: Transaction,
    world: World,
    person: Person,
    event_id: int,
    *,
    now: int,
    reason: str | None = None,
    access_reason: str | None = None,
    about: int | None = None,
) -> Decided:
    """Take back a merge or any other decision here. Raises NotAllowed (also where there is none), ReasonNeeded, and
    Impossible where somebody was quicker. `about`: a record that the decision must be about.
    """
    _may_decide(person)
    who_is_who.hold(tx)
    standing = clusters.standing(tx, event_id)
    event = standing or clusters.taken_back(tx, event_id)
    if event is None or (about is not None and about not in _whole_of(tx, event)):
        raise NotAllowed("There is no such decision among those you may undo.")
    for child_id in _named(event):
        children_shown.require_sight(tx, person, child_id, access_reason)
    if standing is None:
        raise Impossible(
            "This decision has been taken back already.", "Open the child again to see by whom, and when."
        )
    actor = Actor("person", person.username)
    undone = clusters.decide(
        tx,
        actor,
        Action.UNDO,
        event.one_id,
        event.other_id,
        now=now,
        reason=reason or TAKEN_BACK,
        undoes=event_id,
    )
    merges.reopen(tx, event_id)
    if event.action is Action.MERGE:
        _group_anew(tx, world, actor, _whole_of(tx, event), EventKind.SEPARATED, now)
    elif event.action is Action.CONFIRM and children.standing_of(tx, event.one_id) is Standing.KNOWN:
        children.set_standing(tx, actor, event.one_id, Standing.PROVISIONAL, now=now)
    return Decided(undone, children.kept(tx, event.one_id))


def _keep_apart(
    tx: Transaction,
    person: Person,
    one_id: int,
    other_id: int,
    action: Action,
    now: int,
    reason: str,
    access_reason: str | None,
) -> Decided:
    ones, others = _both(tx, person, one_id, other_id, access_reason)
    if ones & others:
        raise Impossible("These records are one child.", "Undo the merge instead, on the child's timeline.")
    actor = Actor("person", person.username)
    event_id = clusters.decide(tx, actor, action, one_id, other_id, now=now, reason=reason)
    merges.close(tx, sorted(ones), sorted(others), action.value, event_id, person.username, now=now)
    return Decided(event_id, children.kept(tx, one_id))


def _group_anew(
    tx: Transaction, world: World, actor: Actor, record_ids: Collection[int], kind: EventKind, now: int
) -> None:
    """Read these records as the children that they are now, and see that nothing of it is lost."""
    duties.tell(tx, record_ids, kind, actor.id, now=now)
    before = {children.kept(tx, child_id) for child_id in record_ids}
    groups = clusters.regroup(tx, record_ids)
    joint.carry(tx, before, groups, now=now)
    if kind is EventKind.SEPARATED:
        for child_id in parting.beside_a_case(tx, record_ids):
            parting.by_itself(tx, actor, child_id, world.pack, now=now)
    for kept_id in sorted(before | {group.kept_id for group in groups}):
        cases.reassess_together(tx, actor, kept_id, world.pack, now=now)


def _both(
    tx: Transaction, person: Person, one_id: int, other_id: int, access_reason: str | None
) -> tuple[frozenset[int], frozenset[int]]:
    """All records of both children, of which this person must see and may decide both."""
    _may_decide(person)
    who_is_who.hold(tx)
    if one_id == other_id:
        raise Impossible("This is one record.", "Name another record.")
    for child_id in (one_id, other_id):
        children_shown.require_sight(tx, person, child_id, access_reason)
    return children.whole(tx, [one_id]), children.whole(tx, [other_id])


def _may_decide(person: Person) -> None:
    if not person.may(Permission.DECIDE_LINKS):
        raise NotAllowed("Your role does not decide which child is which.")


def _named(event: Event) -> list[int]:
    return [event.one_id] if event.other_id is None else [event.one_id, event.other_id]


def _whole_of(tx: Transaction, event: Event) -> frozenset[int]:
    return children.whole(tx, _named(event))
