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
from server.records import children, children_shown, clusters
from server.records.child import Child
from server.records.clusters import Event
from server.records.index import StoredIndex
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
    decision = decider.decide(children.record_of(tx, shown.child_id), _Only(tx, [other_id]))
    candidate = next(((decision, one) for one in decision.candidates), None)
    found = _pair(tx, decider, person, shown, other_id, candidate, now, reason)
    return Duplicates(child=shown, pairs=(found,), elsewhere=0)


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
