"""What the probability of a candidate is taken to mean.

Weights are added up as if each comparison went its own way. They do not: an officer who has all else right hardly
ever has one thing wrong, so a child of whom something told differs is less often the one than its weight says, and
one of whom nothing does is more often. So many bits are put right by what kind of agreement it is. On made-up cities
(`tests.linkage.fit`) they are the same for registries of 20,000 children and of a million, but for a child of whom
something differs: the larger the registry, the more must agree besides before a child is counted as likely at all.
What is decided goes by what was counted: this changes only what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import msgspec

from server.linkage import levels as lv

MILLION = 1_000_000
MEASURED_CHILDREN_MIN = 20_000
"""Of smaller registries it was not measured what something that differs means; it is taken as of this many."""
_UNNAMED = frozenset((lv.MISSING_LEVEL, lv.G_INITIAL))  # not told, or only by its initial
_DIFFERS: dict[int, frozenset[int]] = {
    lv.GIVEN: frozenset((lv.G_DIFFER,)),
    lv.FAMILY: frozenset((lv.F_CLOSE, lv.F_DIFFER)),
    lv.BORN: frozenset(
        (lv.B_SWAPPED, lv.B_DIGIT, lv.B_YEAR, lv.B_MONTH, lv.B_SAME_YEAR, lv.B_YEAR_ONLY, lv.B_AGE_2, lv.B_AGE_FAR,
         lv.B_DIFFER)
    ),
    lv.ADDRESS: frozenset((lv.A_STREET, lv.A_AREA, lv.A_DIFFER)),
}  # fmt: skip
"""The levels that tell against the child. That a phone, a guardian or a school differs is too common to say much, and
another sex beside all else that is right is a slip."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Bits to add to the odds of a candidate: where nothing that was told differs; the same without a
    family name; without a given name; and with neither given name nor home. Where one thing differs, in a registry of a
    million; for each that differs beside it; and for each doubling of the registry."""

    fits: float = 0.0
    fits_no_family: float = 0.0
    fits_no_given: float = 0.0
    fits_bare: float = 0.0
    differs: float = 0.0
    differs_more: float = 0.0
    differs_doubling: float = 0.0

    def bits(self, levels: Sequence[int], registry_size: int) -> float:
        """The bits for these levels, in the order of `levels.COMPARISONS`, in a registry of so many children."""
        differing = differences(levels)
        if differing:
            doublings = log2(max(registry_size, MEASURED_CHILDREN_MIN) / MILLION)
            return self.differs + (differing - 1) * self.differs_more + doublings * self.differs_doubling
        if levels[lv.GIVEN] in _UNNAMED:
            return self.fits_no_given if levels[lv.GIVEN] or levels[lv.ADDRESS] else self.fits_bare
        return self.fits if levels[lv.FAMILY] else self.fits_no_family


def differences(levels: Sequence[int]) -> int:
    """How many of given name, family name, date and home tell against the child."""
    return sum([levels[at] in differing for at, differing in _DIFFERS.items()])
