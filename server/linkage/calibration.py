"""What the probability of the likeliest candidate is taken to mean.

Weights are added up as if each comparison went its own way. They do not: an officer who has all else right hardly
ever has one thing wrong, so a child of whom something told differs is less often the one than its weight says, and
one of whom nothing does is more often. So many bits are put right by what kind of agreement it is; on made-up cities
(`tests.linkage.fit`) they are the same for registries of 20,000 children and of a million, and all along the scale.
What is decided goes by what was counted: this changes only what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp2

import msgspec

from server.linkage import levels as lv

# How far below the probability of a link something is said that did not reach it.
UNDER_LINK = 0.0001
_UNNAMED = frozenset((lv.MISSING_LEVEL, lv.G_INITIAL))  # not told, or only by its initial
_DIFFERS: dict[int, frozenset[int]] = {
    lv.GIVEN: frozenset((lv.G_DIFFER,)),
    lv.FAMILY: frozenset((lv.F_CLOSE, lv.F_DIFFER)),
    lv.BORN: frozenset(
        (lv.B_SWAPPED, lv.B_DIGIT, lv.B_YEAR, lv.B_MONTH, lv.B_SAME_YEAR, lv.B_YEAR_ONLY, lv.B_AGE_2, lv.B_AGE_FAR,
         lv.B_DIFFER)
    ),
    lv.SEX: frozenset((lv.S_DIFFER,)),
    lv.ADDRESS: frozenset((lv.A_STREET, lv.A_AREA, lv.A_DIFFER)),
}  # fmt: skip
"""The levels that tell against the child. That a phone, a guardian or a school differs is too common to say much."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Bits to add to the odds of the likeliest candidate: where nothing that was told differs; the same without a
    given name; where one thing differs; and for each that differs beside it."""

    fits: float = 0.0
    fits_no_given: float = 0.0
    differs: float = 0.0
    differs_more: float = 0.0

    def bits(self, levels: Sequence[int]) -> float:
        """The bits for these levels, in the order of `levels.COMPARISONS`."""
        differing = differences(levels)
        if differing:
            return self.differs + (differing - 1) * self.differs_more
        return self.fits_no_given if levels[lv.GIVEN] in _UNNAMED else self.fits

    def meant(self, counted: float, levels: Sequence[int], link_probability: float) -> float:
        """What a probability as counted means. From that of a link on it is taken as it is; below it stays below."""
        if counted >= link_probability or counted <= 0.0:
            return counted
        odds = counted / (1 - counted) * exp2(self.bits(levels))
        return min(odds / (1 + odds), link_probability - UNDER_LINK)


def differences(levels: Sequence[int]) -> int:
    """How many of name, date, sex and home tell against the child."""
    return sum([levels[at] in differing for at, differing in _DIFFERS.items()])
