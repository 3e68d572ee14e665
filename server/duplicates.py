"""Records that may be the same child as one, each beside it field by field: what a person decides a merge by."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.access.policy import Permission
from server.explaining import Compared, Weighing, compared
from server.linkage.decide import Candidate, Decider, Decision
from server.linkage.standardise import Record
from server.records import children, children_shown, clusters, merges
from server.records.child import Child
from server.records.clusters import Event
from server.records.index import StoredIndex
from server.records.merges import Proposal
from server.storage.port import Transaction


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Another record beside this one. `compared` is None where they have too little in common to be weighed;
    `apart` is the "not the same child" that stands between them."""

    other: Child
    compared: Compared | None
    apart: Event | None


class Duplicates(msgspec.Struct, frozen=True, kw_only=True):
    """A child and the records that may be the same, likeliest first. `elsewhere`: how many more there are that
    this person may not see."""

    child: Child
    pairs: tuple[Pair, ...]
    elsewhere: int


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal's two records, each with the child that it is part of now. `compared` is what it was made on, and
    how that would come out today; None where they are too unlike to be weighed."""

    proposal: Proposal
    one: Child
    other: Child
    compared: Compared | None
    model_version: str


class _Only:
    """A candidate source of these records alone, whatever is looked for."""

    def __init__(self, tx: Transaction, child_ids: Collection[int]) -> None:
        self._records = StoredIndex(tx).records(child_ids)
        self.clusters: dict[int, int] = {}

    def children(self, keys: Sequence[int], limit: int) -> list[tuple[int, int]]:
        return [(keys[0], child_id) for child_id, *_ in self._records] if keys else []

    def records(self, child_ids: Collection[int]) -> list[tuple[int, Record, bool]]:
        return [row for row in self._records if row[0] in child_ids]


def possible(
    tx: Transaction, decider: Decider, person: Person, child_id: int, *, now: int, reason: str | None = None
) -> Duplicates:
    """What linkage finds with a child's own record. Raises NotAllowed and ReasonNeeded."""
    shown = _child(tx, person, child_id, now, reason)
    whole = children.whole(tx, [shown.child_id])
    decision = decider.decide(children.record_of(tx, shown.child_id), StoredIndex(tx), excluded=whole)
    found = decision.candidates
    able = [candidate for candidate in found if _in_sight(tx, person, candidate.child_id, reason)]
    return Duplicates(
        child=shown,
        pairs=tuple(
            _pair(tx, decider, person, shown, one.child_id, (decision, one), now, reason) for one in able
        ),
        elsewhere=len(found) - len(able),
    )


def pair(
    tx: Transaction,
    decider: Decider,
    person: Person,
    child_id: int,
    other_id: int,
    *,
    now: int,
    reason: str | None = None,
) -> Duplicates:
    """One other record beside a child, however unlike. Raises NotAllowed and ReasonNeeded."""
    shown = _child(tx, person, child_id, now, reason)
    children_shown.require_sight(tx, person, other_id, reason)
    weighed = _weighed_now(tx, decider, shown.child_id, other_id)
    found = _pair(tx, decider, person, shown, other_id, weighed, now, reason)
    return Duplicates(child=shown, pairs=(found,), elsewhere=0)


def proposed(
    tx: Transaction,
    decider: Decider,
    person: Person,
    proposal_id: int,
    *,
    now: int,
    reason: str | None = None,
) -> Proposed:
    """A proposal with both of its records. Raises NotAllowed, also where there is none, and ReasonNeeded."""
    asked = merges.require(tx, person, proposal_id)
    for child_id in (asked.child_a, asked.child_b):
        children_shown.require_sight(tx, person, child_id, reason)
    one = children_shown.show(tx, person, asked.child_a, now=now, reason=reason)
    other = children_shown.show(tx, person, asked.child_b, now=now, reason=reason)
    decision = merges.evidence(tx, proposal_id)
    weighed = (
        _weighed_now(tx, decider, asked.child_a, asked.child_b)
        if decision is None
        else (decision, decision.candidates[0])
    )
    start = decision.start if decision else None
    by = Weighing(decider=decider, described=one.record(asked.child_a).details, start=start)
    return Proposed(
        proposal=asked,
        one=one,
        other=other,
        compared=compared(weighed[1], other.record(asked.child_b).details, by, weighed[0])
        if weighed
        else None,
        model_version=weighed[0].model_version if weighed else decider.version,
    )


def _weighed_now(
    tx: Transaction, decider: Decider, one_id: int, other_id: int
) -> tuple[Decision, Candidate] | None:
    """Two records as linkage weighs them today; None where they are too unlike."""
    decision = decider.decide(children.record_of(tx, one_id), _Only(tx, [other_id]))
    return next(((decision, candidate) for candidate in decision.candidates), None)


def _child(tx: Transaction, person: Person, child_id: int, now: int, reason: str | None) -> Child:
    if not person.may(Permission.DECIDE_LINKS):
        raise NotAllowed("Your role does not decide which child is which.")
    return children_shown.show(tx, person, child_id, now=now, reason=reason)


def _in_sight(tx: Transaction, person: Person, child_id: int, reason: str | None) -> bool:
    try:
        children_shown.require_sight(tx, person, child_id, reason)
    except (NotAllowed, ReasonNeeded):
        return False
    return True


def _pair(
    tx: Transaction,
    decider: Decider,
    person: Person,
    shown: Child,
    other_id: int,
    weighed: tuple[Decision, Candidate] | None,
    now: int,
    reason: str | None,
) -> Pair:
    other = children_shown.show(tx, person, other_id, now=now, reason=reason)
    details = other.record(other_id).details
    ones, others = children.whole(tx, [shown.child_id]), children.whole(tx, [other_id])
    by = Weighing(decider=decider, described=shown.record(shown.child_id).details)
    return Pair(
        other=other,
        compared=compared(weighed[1], details, by, weighed[0]) if weighed else None,
        apart=clusters.apart(tx, ones, others),
    )
