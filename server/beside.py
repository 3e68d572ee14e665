"""Pushes beside one another: what each must hold alone, so that several server processes push at once.

Linkage reads an index and, for a child that nobody knows, writes to it. A subject that is linked or left to a
person writes nothing there, so it counts as decided before whatever another push is writing just then. Only two
*new* children can miss each other (invariant 17). So a push looks ahead at all its subjects without a lock; then,
in one order that all pushes keep, it takes

    every blocking key that a new child is looked up or stored under, and decides that subject again;
    every child that a note stands on, since flags and alerts come from all the notes about it together;

and holds them until it has committed. What decides more than that takes `who_is_who.LOCK` alone, which pushes share:
people who decide, merges, and a push with an amendment, a withdrawal, an op that fails, or too many locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server import placing
from server.foreseen import Foreseen, Foresight
from server.linkage.decide import LINK, NEW
from server.linkage.entries import looked_up
from server.placing import Described, Placement
from server.storage.port import Transaction
from server.world import World

LOCKS_MAX = 400
"""Locks that one push holds. PostgreSQL shares a table of 6,400 among all connections by default, and a server
process has two pushes in hand at most, one of which commits: that is enough for eight."""


class Alone(Exception):
    """This push must be the only one: take `who_is_who.LOCK` alone and begin again."""


class Beside:
    """The decisions of one push, and what it holds for them. `alone`: nobody else decides meanwhile.

    `foreseen`: what was decided of it before its turn, where it had to wait.
    """

    def __init__(
        self, tx: Transaction, world: World, *, alone: bool, foreseen: Foreseen | None = None
    ) -> None:
        self._tx = tx
        self._world = world
        self._alone = alone
        self._held: set[str] = set()
        self._ahead: dict[int, list[Placement]] = {}
        self._made: set[int] = set()
        """Keys of the children that this push has made."""
        self._foresight = Foresight(tx, world, foreseen) if foreseen and alone else None

    def look_ahead(self, described: Iterable[tuple[int, Sequence[Described]]]) -> None:
        """Decide (number, subjects) of each note of the push, and hold what that takes."""
        if self._alone:
            return
        for number, subjects in described:
            self._ahead[number] = placing.decide(self._tx, self._world, subjects)
        self._hold(name for placements in self._ahead.values() for name in _needed(placements))

    def decide(self, number: int, subjects: Sequence[Described]) -> list[Placement]:
        """Which child each subject of a note is. It stays true until this push has committed."""
        if self._alone:
            return self._decide_alone(number, subjects)
        placements = self._ahead.pop(number, None)
        if placements is None or self._may_have_changed(placements):
            placements = placing.decide(self._tx, self._world, subjects)
            # What it needs now may be more than what it needed before, and changes no more once it is held.
            while self._hold(_needed(placements)):
                placements = placing.decide(self._tx, self._world, subjects)
        for placement in placements:
            if placement.entry is not None:
                self._made.update(placement.entry.keys)
        return placements

    def _decide_alone(self, number: int, subjects: Sequence[Described]) -> list[Placement]:
        foresight = self._foresight
        if foresight is None:
            return placing.decide(self._tx, self._world, subjects)
        placements = foresight.placements(number, subjects)
        if placements is None:
            placements = placing.decide(self._tx, self._world, subjects)
        for placement in placements:
            if placement.entry is not None:
                foresight.made(placement.entry.keys)
        return placements

    def changed(self) -> None:
        """The push has changed who is who otherwise than by a new child: what was decided before may not stand."""
        if self._foresight is not None:
            self._foresight.changed()

    def _may_have_changed(self, placements: Sequence[Placement]) -> bool:
        """Whether another push may have made this child before its keys were held, or this one since."""
        return any(
            placement.decision.outcome == NEW
            or not self._made.isdisjoint(looked_up(placement.subject.record))
            for placement in placements
        )

    def _hold(self, names: Iterable[str]) -> bool:
        """Hold these as well; whether any of them was not held before."""
        more = set(names) - self._held
        if not more:
            return False
        if len(more) + len(self._held) > LOCKS_MAX:
            raise Alone
        self._tx.lock(*more)
        self._held |= more
        return True


def _needed(placements: Iterable[Placement]) -> Iterable[str]:
    for placement in placements:
        decision, record = placement.decision, placement.subject.record
        if placement.entry is not None:
            yield from (f"key:{key}" for key in {*looked_up(record), *placement.entry.keys})
        elif decision.outcome == LINK:
            yield f"child:{placement.kept_id}"
