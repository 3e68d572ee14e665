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
NEGLIGIBLE_BITS = 10.0

Scored = tuple[float, list[int], list[float], float]  # (weight, levels, weight of each level, household step)


class Scorer:
    """A model made ready for counting. Remembers name pairs: one for each thread."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._comparer = cmp.Comparer(model.term_frequencies)
        self._same: list[list[float]] = []
        self._home: list[list[float]] = []
        for comparison in model.comparisons:
            same, home = [0.0], [0.0]
            for level in comparison.comparison_levels[1:]:
                m, u, h = level.m_probability, level.u_probability, level.household_probability
                assert m and u and h  # check_model
                same.append(log2(m / u))
                home.append(log2(h / u))
            self._same.append(same)
            self._home.append(home)
        self.prior_bits = log2(model.known_share / model.registry_size / (1 - model.known_share))
        self._home_share = min(model.housemates / model.registry_size, 0.5)
        self._floor = -self.prior_bits - NEGLIGIBLE_BITS
        counts = model.term_frequencies
        self._given_rarity = _Rarity(counts.given, counts.children, _u(model, lv.GIVEN, lv.G_EXACT))
        self._family_rarity = _Rarity(counts.family, counts.children, _u(model, lv.FAMILY, lv.F_EXACT))
        self._most = [max(same) for same in self._same]

    def score(self, note: Record, child: Record) -> Scored | None:
        """Weight of the pair with its parts, or None where it is negligible."""
        levels = [0] * len(self._same)
        levels[lv.BORN] = cmp.born(note, child)
        if note.sex and child.sex:
            levels[lv.SEX] = lv.S_SAME if note.sex == child.sex else lv.S_DIFFER
        if note.phone and child.phone:
            levels[lv.PHONE] = cmp.code(note.phone, child.phone)
        if note.upn and child.upn:
            levels[lv.UPN] = cmp.code(note.upn, child.upn)
        if note.nhs_number and child.nhs_number:
            levels[lv.NHS_NUMBER] = cmp.code(note.nhs_number, child.nhs_number)
        rare_given, rare_family = self._names(note, child, levels)
        same = self._same
        weight = rare_given + rare_family
        for at in (lv.GIVEN, lv.FAMILY, lv.BORN, lv.SEX, lv.PHONE, lv.UPN, lv.NHS_NUMBER):
            weight += same[at][levels[at]]
        if weight + self._most[lv.ADDRESS] + self._most[lv.GUARDIAN] + self._most[lv.SCHOOL] < self._floor:
            return None
        levels[lv.ADDRESS] = cmp.address(note, child)
        weight += same[lv.ADDRESS][levels[lv.ADDRESS]]
        if note.guardian and child.guardian:
            levels[lv.GUARDIAN] = self._comparer.guardian(note.guardian, child.guardian)
            weight += same[lv.GUARDIAN][levels[lv.GUARDIAN]]
        if note.school and child.school:
            levels[lv.SCHOOL] = self._comparer.school(note.school, child.school)
            weight += same[lv.SCHOOL][levels[lv.SCHOOL]]
        if weight < self._floor:
            return None
        return self._with_household(weight, levels, rare_given, rare_family)

    def _names(self, note: Record, child: Record, levels: list[int]) -> tuple[float, float]:
        """Sets the levels of both names; returns what their rarity adds, in bits."""
        comparer = self._comparer
        rare_given = rare_family = 0.0
        given = family = lv.MISSING_LEVEL
        term = ""
        if note.given and child.given:
            given, term = comparer.given(note.given, child.given)
            if term:
                rare_given = self._given_rarity.bits(term)
        if note.family and child.family:
            family, term = comparer.family(note.family, child.family)
            if term:
                rare_family = self._family_rarity.bits(term)
        if given > lv.G_SHORT or not given:
            if (note.aliases or child.aliases) and (term := comparer.alias(note, child)):
                given, rare_given = lv.G_ALIAS, self._given_rarity.bits(term)
            elif given == lv.G_DIFFER and family >= lv.F_TYPO and comparer.swapped(note, child):
                given, family, rare_given, rare_family = lv.G_SWAPPED, lv.F_SWAPPED, 0.0, 0.0
        levels[lv.GIVEN], levels[lv.FAMILY] = given, family
        return rare_given, rare_family

    def _with_household(
        self, weight: float, levels: list[int], rare_given: float, rare_family: float
    ) -> Scored:
        home = rare_given + rare_family
        parts = []
        for at, level in enumerate(levels):
            home += self._home[at][level]
            parts.append(self._same[at][level])
        parts[lv.GIVEN] += rare_given
        parts[lv.FAMILY] += rare_family
        step = -log2(1 - self._home_share + self._home_share * 2.0**home)
        return weight + step, levels, parts, step


class _Rarity:
    """Bits by which an agreement on a name counts for more, or less, than on an average name."""

    def __init__(self, counts: dict[str, int], children: int, average: float) -> None:
        self._counts, self._children, self._average = counts, children, average

    def bits(self, term: str) -> float:
        if not self._children:
            return 0.0
        share = max(self._counts.get(term, 0) / self._children, TERM_FREQUENCY_MIN)
        return log2(self._average / share)


def _u(model: Model, comparison: int, level: int) -> float:
    u = model.comparisons[comparison].comparison_levels[level].u_probability
    assert u  # check_model
    return u
