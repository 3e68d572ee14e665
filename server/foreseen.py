"""Decisions made ahead of a push's turn, on the state of a moment before, and whether they still stand.

Linkage only reads. So while one push is written, what linkage will say of the next can be worked out beside it
(`server/ahead.py`). In its turn such a decision is taken where it would be made again: nothing but new children has
changed since, and none of them is found by a key that was looked up. Else it is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from server import placing
from server.linkage.decide import Decision
from server.linkage.entries import Entry
from server.linkage.standardise import Record
from server.placing import Described, Placement
from server.records import who_is_who
from server.records.who_is_who import Moment
from server.storage.port import Transaction
from server.world import World


class Subject(msgspec.Struct, frozen=True, array_like=True):
    """What linkage said of one subject of a note."""

    record: Record
    decision: Decision
    kept_id: int | None
    entry: Entry | None


class Foreseen(msgspec.Struct, frozen=True, array_like=True):
    """What linkage said of the notes of one push, by their places in it, and every key that it asked for."""

    moment: Moment
    generation: int
    """Of the reference data that it was decided with."""
    subjects: dict[int, tuple[Subject, ...]]
    keys: dict[int, tuple[int, ...]]

    def records(self) -> dict[int, tuple[Record, ...]]:
        """The subjects of each note, standardised."""
        return {place: tuple(one.record for one in some) for place, some in self.subjects.items()}


def foresee(tx: Transaction, world: World, described: Iterable[tuple[int, Sequence[Described]]]) -> Foreseen:
    """Decide (place, subjects) of each note of a push. Writes nothing."""
    subjects: dict[int, tuple[Subject, ...]] = {}
    keys: dict[int, tuple[int, ...]] = {}
    moment = who_is_who.moment(tx)
    for place, some in described:
        asked: list[int] = []
        placements = placing.decide(tx, world, some, asked)
        subjects[place] = tuple(
            Subject(one.subject.record, one.decision, one.kept_id, one.entry) for one in placements
        )
        keys[place] = tuple(asked)
    return Foreseen(moment, world.generation, subjects, keys)


class Foresight:
    """What was foreseen of one push, in its turn."""

    def __init__(self, tx: Transaction, world: World, foreseen: Foreseen) -> None:
        self._foreseen = foreseen
        self._made = (
            who_is_who.keys_since(tx, foreseen.moment) if foreseen.generation == world.generation else None
        )

    def made(self, keys: Iterable[int]) -> None:
        """The push itself has made a child that is found by these keys."""
        if self._made is not None:
            self._made.update(keys)

    def changed(self) -> None:
        """The push itself has changed more than that."""
        self._made = None

    def placements(self, place: int, described: Sequence[Described]) -> list[Placement] | None:
        """What was decided of the subjects of this note; None where it might be decided otherwise now."""
        subjects = self._foreseen.subjects.get(place)
        if self._made is None or subjects is None or len(subjects) != len(described):
            return None
        if not self._made.isdisjoint(self._foreseen.keys[place]):
            return None
        return [
            Placement(one, said.decision, said.kept_id, said.entry)
            for one, said in zip(described, subjects, strict=True)
        ]
