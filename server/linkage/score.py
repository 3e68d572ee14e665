"""The weight of one pair: how much more likely the two records are one child than two.

In bits. Two hypotheses stand against "the same child": a stranger, and another child of the same home. For
each the levels' probabilities multiply; a surname, an address or a phone that agree speak for the home as
much as for the child, so against a brother or sister they count for nothing.
"""

from __future__ import annotations

from math import log2

from server.linkage import comparisons as cmp
from server.linkage import levels as lv
from server.linkage.model import TERM_FREQUENCY_MIN, Model
from server.linkage.standardise import Record

# Candidates this many bits less likely than "a new child" change no decision and are dropped unfinished.
NEGLIGIBLE_BITS = 7.0
REMEMBERED_MAX = 200_000  # pairs of names, about 50 MB

# Weight, levels of all comparisons, bits that rarity adds to (given names, family name, school), and what the
# chance of a brother or sister takes away (it is in the weight already).
Scored = tuple[float, list[int], tuple[float, float, float], float]
Weighed = tuple[int, float]  # (level, bits that the name's rarity adds)


class Scorer:
    """A model made ready for counting. Remembers name pairs: one for each thread."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.comparer = cmp.Comparer(model.term_frequencies)
        self.same: list[list[float]] = []
        self._home: list[list[float]] = []
        for comparison in model.comparisons:
            same, home = [0.0], [0.0]
            for level in comparison.comparison_levels[1:]:
                m, u, h = level.m_probability, level.u_probability, level.household_probability
                assert m and u and h  # check_model
                same.append(log2(m / u))
                home.append(log2(h / u))
            self.same.append(same)
            self._home.append(home)
        self.prior_bits = log2(model.known_share / model.registry_size / (1 - model.known_share))
        self._home_bits = log2(min(model.housemates / model.registry_size, 0.5))
        self._floor = -self.prior_bits - NEGLIGIBLE_BITS
        counts = model.term_frequencies
        self._given_rarity = _Rarity(counts.given, counts.children, _u(model, lv.GIVEN, lv.G_EXACT))
        self._family_rarity = _Rarity(counts.family, counts.children, _u(model, lv.FAMILY, lv.F_EXACT))
        self._school_rarity = _Rarity(counts.schools, counts.children, _u(model, lv.SCHOOL, lv.I_SAME))
        self._given: dict[tuple[str, str], Weighed] = {}
        self._family: dict[tuple[str, str], Weighed] = {}
        self._school: dict[tuple[str, str], Weighed] = {}
        self._set_bounds()

    def _set_bounds(self) -> None:
        most = [max(same) for same in self.same]
        over = [[s - h for s, h in zip(*both, strict=True)] for both in zip(self.same, self._home, strict=True)]
        # The most that address, guardian and school can still add, against a stranger and against a sibling.
        self._most_left = most[lv.ADDRESS] + most[lv.GUARDIAN] + most[lv.SCHOOL] + 6.0  # a rare school
        self._over = over
        others = (lv.FAMILY, lv.ADDRESS, lv.PHONE, lv.GUARDIAN, lv.SCHOOL)
        self._over_left = sum(max(over[at]) for at in others if at != lv.FAMILY) + over[lv.FAMILY][lv.F_TYPO]

    def score(self, note: Record, child: Record) -> Scored | None:
        """Weight of the pair with its parts, or None where it is negligible."""
        same = self.same
        level_born = cmp.born(note, child)
        level_sex = 0
        if note.sex and child.sex:
            level_sex = lv.S_SAME if note.sex == child.sex else lv.S_DIFFER
        level_given = level_family = level_phone = level_upn = level_nhs = 0
        rare_given = rare_family = rare_school = 0.0
        if note.given and child.given:
            level_given, rare_given = self._given.get((note.given, child.given)) or self._given_pair(note, child)
        if note.family and child.family:
            pair = (note.family, child.family)
            level_family, rare_family = self._family.get(pair) or self._family_pair(*pair)
        if level_given > lv.G_SHORT or not level_given:
            if (note.aliases or child.aliases) and (term := self.comparer.alias(note, child)):
                level_given, rare_given = lv.G_ALIAS, self._given_rarity.bits(term)
            elif (
                level_given == lv.G_DIFFER and level_family > lv.F_SWAPPED and self.comparer.swapped(note, child)
            ):
                level_given, level_family, rare_given, rare_family = lv.G_SWAPPED, lv.F_SWAPPED, 0.0, 0.0
        weight = (
            same[lv.GIVEN][level_given]
            + same[lv.FAMILY][level_family]
            + same[lv.BORN][level_born]
            + same[lv.SEX][level_sex]
            + rare_given
            + rare_family
        )
        if note.phone and child.phone:
            level_phone = cmp.code(note.phone, child.phone)
            weight += same[lv.PHONE][level_phone]
        if note.upn and child.upn:
            level_upn = cmp.code(note.upn, child.upn)
            weight += same[lv.UPN][level_upn]
        if note.nhs_number and child.nhs_number:
            level_nhs = cmp.code(note.nhs_number, child.nhs_number)
            weight += same[lv.NHS_NUMBER][level_nhs]
        if weight + self._most_left < self._floor:
            return None
        if not level_upn and not level_nhs:
            over = self._over
            own = over[lv.GIVEN][level_given] + over[lv.BORN][level_born] + over[lv.SEX][level_sex]
            if own + self._over_left - self._home_bits < self._floor:
                return None  # at best a brother or sister
        level_address = cmp.address(note, child)
        weight += same[lv.ADDRESS][level_address]
        level_guardian = level_school = 0
        if note.guardian and child.guardian:
            level_guardian = self.comparer.guardian(note.guardian, child.guardian)
            if level_guardian == lv.U_SAME and child.family and child.guardian.endswith(child.family):
                level_guardian = lv.U_GIVEN  # the family name is no second piece of evidence
            weight += same[lv.GUARDIAN][level_guardian]
        if note.school and child.school:
            pair = (note.school, child.school)
            level_school, rare_school = self._school.get(pair) or self._school_pair(*pair)
            weight += same[lv.SCHOOL][level_school] + rare_school
        if weight < self._floor:
            return None
        levels = [
            level_given,
            level_family,
            level_born,
            level_sex,
            level_address,
            level_phone,
            level_guardian,
            level_school,
            level_upn,
            level_nhs,
        ]
        rarity = (rare_given, rare_family, rare_school)
        step = self._household_step(levels, rare_given + rare_family + rare_school)
        weight += step
        return (weight, levels, rarity, step) if weight >= self._floor else None

    def _household_step(self, levels: list[int], rarity: float) -> float:
        """Bits that the chance of a brother or sister takes away: 0 or less, to within rounding."""
        bits = rarity + self._home_bits
        for home, level in zip(self._home, levels, strict=True):
            bits += home[level]
        if bits < -10.0:
            return 0.0
        return -bits if bits > 30.0 else -log2(1.0 + 2.0**bits)

    def _given_pair(self, note: Record, child: Record) -> Weighed:
        level, term = self.comparer.given(note.given, child.given)
        return _remember(self._given, note.given, child.given, level, self._given_rarity.bits(term))

    def _family_pair(self, one: str, other: str) -> Weighed:
        level, term = self.comparer.family(one, other)
        return _remember(self._family, one, other, level, self._family_rarity.bits(term))

    def _school_pair(self, one: str, other: str) -> Weighed:
        level = self.comparer.school(one, other)
        rarity = self._school_rarity.bits(one) if level == lv.I_SAME else 0.0
        return _remember(self._school, one, other, level, rarity)


def _remember(
    memory: dict[tuple[str, str], Weighed], one: str, other: str, level: int, rarity: float
) -> Weighed:
    if len(memory) >= REMEMBERED_MAX:
        memory.clear()
    weighed = memory[one, other] = (level, rarity)
    return weighed


class _Rarity:
    """Bits by which an agreement on a name counts for more, or less, than on an average name."""

    def __init__(self, counts: dict[str, int], children: int, average: float) -> None:
        self._counts, self._children, self._average = counts, children, average

    def bits(self, term: str) -> float:
        if not self._children or not term:
            return 0.0
        share = max(self._counts.get(term, 0) / self._children, TERM_FREQUENCY_MIN)
        return log2(self._average / share)


def _u(model: Model, comparison: int, level: int) -> float:
    u = model.comparisons[comparison].comparison_levels[level].u_probability
    assert u  # check_model
    return u
