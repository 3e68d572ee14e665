"""Which readings of what a person typed are worth comparing with a child.

"Harris about 13 academy" may be a given name, a family name, a school or a street, so there are up to seven
readings, and comparing costs most of a search. A reading that takes a word for something of which nothing in the
child's record sounds like it fits that child worse than another does, and is passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.linkage.blocking import family_codes, given_codes
from server.linkage.standardise import Record
from server.linkage.terms import STREET, street_words, word_term

Fits = Callable[[Record], bool]


class Readings:
    """The readings of one search, the likeliest first. Not empty."""

    def __init__(self, readings: Sequence[Record]) -> None:
        self.all = tuple(readings)
        self._places = [(one, _place(one, self.all[0])) for one in self.all]
        self._names = [(one, _names(one)) for one, place in self._places if place is None]

    def fitting(self, child: Record) -> Sequence[Record]:
        """Those that may fit this child best; at least one."""
        if len(self.all) == 1:
            return self.all
        # By an alias a child may be anybody's; such children are few.
        named = [one for one, fits in self._names if child.aliases or fits(child)]
        if not named:
            named = [one for one, _ in self._names]
        placed = [one for one, place in self._places if place is not None and place(child)]
        return named + placed


def _place(reading: Record, plain: Record) -> Fits | None:
    """Whether a child's school or street has a word of those that this reading takes for one; None where it takes
    none but what is told to be one."""
    if reading.school != plain.school:
        schools = frozenset(reading.school.split()).difference(plain.school.split())
        return lambda child: not schools.isdisjoint(child.school.split())
    if reading.address != plain.address:
        streets = frozenset(word_term(STREET, word) for word in street_words(reading.address))
        return lambda child: (
            not streets.isdisjoint([word_term(STREET, word) for word in child.address.split()])
        )
    return None


def _names(reading: Record) -> Fits:
    """Whether a child's names have a part that sounds like one in its place; of a family name alone every part."""
    given, family = frozenset(given_codes(reading.given)), frozenset(family_codes(reading.family))

    def fits(child: Record) -> bool:
        if not given:
            return not child.family or family.issubset(family_codes(child.family))
        return not given.isdisjoint(given_codes(child.given)) or not family.isdisjoint(
            family_codes(child.family)
        )

    return fits
