"""The weight of one pair: how much more likely the two records are one child than two.

In bits. Two hypotheses stand against "the same child": a stranger, and another child of the same home. For
each the levels' probabilities multiply; a surname, an address or a phone that agree speak for the home as
much as for the child, so against a brother or sister they count for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import log2

from msgspec.structs import replace

from server.linkage import comparisons as cmp
from server.linkage import homes
from server.linkage import levels as lv
from server.linkage.blocking import family_codes, given_codes, main_words
from server.linkage.model import TERM_FREQUENCY_MIN, Model
from server.linkage.names import WORD_CACHE, block_code, canonical
from server.linkage.standardise import Record

# Candidates this many bits less likely than "a new child" change no decision and are dropped unfinished.
NEGLIGIBLE_BITS = 8.0
# Children of average names that are thought of beside those of the registry.
TERM_PRIOR = 200
RARE_SCHOOL_BITS = 6.0  # the most that a school counts for beyond an average one
REMEMBERED_MAX = 200_000  # pairs of names, about 50 MB

# Weight, levels of all comparisons, bits that rarity adds to (given names, family name, address, school), and what the
# chance of a brother or sister takes away (it is in the weight already).
Scored = tuple[float, list[int], tuple[float, float, float, float], float]
Weighed = tuple[int, float]  # (level, bits that the name's rarity adds)


@lru_cache(WORD_CACHE)
def _given_set(given: str) -> frozenset[int]:
    return frozenset(given_codes(given))


@lru_cache(WORD_CACHE)
def _family_set(family: str) -> frozenset[int]:
    return frozenset(family_codes(family))


_Bounds = tuple[Record, float, float, float, float]
"""A note, and the most that can still be added to a pair of it: by guardian and school, by a home that is near, by one
that is not, and to a sibling's weight by all of these."""


class Scorer:
    """A model made ready for counting. Remembers name pairs: one for each thread.

    `negligible_bits`: how far below "a new child" a pair is dropped; infinite to score every pair to its end.
    """

    def __init__(self, model: Model, *, negligible_bits: float = NEGLIGIBLE_BITS) -> None:
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
        self._floor = -self.prior_bits - negligible_bits
        counts = model.term_frequencies
        self._given_rarity = _Rarity(counts.given, counts.children, _u(model, lv.GIVEN, lv.G_EXACT), own=1)
        self._family_rarity = _Rarity(counts.family, counts.children, _u(model, lv.FAMILY, lv.F_EXACT), own=1)
        self._postcodes = _Rarity(counts.postcodes, counts.children, _u(model, lv.ADDRESS, lv.A_POSTCODE))
        self._districts = _Rarity(counts.postcodes, counts.children, _u(model, lv.ADDRESS, lv.A_AREA))
        if counts.born_alike:
            # A registry of one school year, or of a century, tells how much the same day says.
            bits = log2(_u(model, lv.BORN, lv.B_EXACT) / counts.born_alike)
            self.same[lv.BORN][lv.B_EXACT] += bits
            self._home[lv.BORN][lv.B_EXACT] += bits
        self._school_rarity = _Rarity(counts.schools, counts.children, _u(model, lv.SCHOOL, lv.I_SAME))
        self._given: dict[tuple[str, str], Weighed] = {}
        self._family: dict[tuple[str, str], Weighed] = {}
        self._school: dict[tuple[str, str], Weighed] = {}
        self._set_bounds()

    def _set_bounds(self) -> None:
        most = [max(same) for same in self.same]
        over = [
            [s - h for s, h in zip(*both, strict=True)] for both in zip(self.same, self._home, strict=True)
        ]
        self._over = over
        self._most = most
        self._bounds = self._bounds_of(Record())

    def _bounds_of(self, note: Record) -> _Bounds:
        """Bounds for the pairs of this note: the most that what it tells can still add."""
        most, over = self._most, self._over
        home = bool(note.postcode or note.outward or note.address)
        circle = (lv.GUARDIAN, bool(note.guardian)), (lv.SCHOOL, bool(note.school))
        circle_left = sum(most[at] for at, told in circle if told) + (
            RARE_SCHOOL_BITS if note.school else 0.0
        )
        # Neither postcode nor house number agrees: at best the street or the district does.
        apart_left = 0.0
        if home:
            district = self._districts.bits(note.outward) if note.outward else 0.0
            apart_left = max(
                self.same[lv.ADDRESS][lv.A_STREET], self.same[lv.ADDRESS][lv.A_AREA] + max(district, 0.0)
            )
        told = ((lv.ADDRESS, home), (lv.PHONE, bool(note.phone)), *circle)
        over_left = sum(max(over[at]) for at, is_told in told if is_told) + over[lv.FAMILY][lv.F_TYPO]
        return note, circle_left, most[lv.ADDRESS] if home else 0.0, apart_left, over_left

    def score(self, note: Record, child: Record) -> Scored | None:
        """Weight of the pair with its parts, or None where it is negligible.

        The cheap and telling comparisons come first: most candidates are a brother, a sister or a namesake of
        another age, and need no more.
        """
        bounds = self._bounds
        if bounds[0] is not note:
            bounds = self._bounds = self._bounds_of(note)  # one assignment: several threads use one scorer
        over_left = bounds[4]
        same, over = self.same, self._over
        level_given = level_family = level_sex = 0
        rare_given = rare_family = 0.0
        if not (note.given and note.family and child.given and child.family):
            note, child = _parted(note, child), _parted(child, note)
        if note.given and child.given:
            pair = (note.given, child.given)
            level_given, rare_given = self._given.get(pair) or self._given_pair(*pair)
        level_born = cmp.born(note, child)
        if note.sex and child.sex:
            level_sex = lv.S_SAME if note.sex == child.sex else lv.S_DIFFER
        own = over[lv.GIVEN][level_given] + over[lv.BORN][level_born] + over[lv.SEX][level_sex]
        swappable = level_given == lv.G_DIFFER and note.family and child.family
        aliases = note.aliases or child.aliases
        sibling_at_best = own + over_left - self._home_bits < self._floor
        if sibling_at_best and not (swappable or aliases or note.upn or note.nhs_number):
            return None
        if note.family and child.family:
            pair = (note.family, child.family)
            level_family, rare_family = self._family.get(pair) or self._family_pair(*pair)
        if (
            aliases
            and (level_given > lv.G_SHORT or not level_given)
            and (term := self.comparer.alias(note, child))
        ):
            level_given, rare_given, sibling_at_best = lv.G_ALIAS, self._given_rarity.bits(term), False
        elif swappable and level_family > lv.F_HALF and (crossing := self._crossed(note, child)):
            level_given, sibling_at_best = crossing, False
            rare_given = self._given_rarity.bits(canonical(main_words(child.given)[0]))
            if crossing == lv.G_SWAPPED:
                level_family = lv.F_SWAPPED
                rare_family = self._family_rarity.bits(canonical(child.family.split()[-1]))
        elif level_given > lv.G_TYPO and level_family > lv.F_HALF and _same_words(note, child):
            level_given, level_family, sibling_at_best = lv.G_SWAPPED, lv.F_SWAPPED, False
            rare_given = self._given_rarity.bits(canonical(main_words(child.given)[0]))
            rare_family = self._family_rarity.bits(canonical(child.family.split()[-1]))
        elif level_family == lv.F_DIFFER and level_given <= lv.G_SHORT and _name_of_both(note, child):
            level_given, rare_given = lv.G_PART, 0.0
        if sibling_at_best and not (note.upn or note.nhs_number):
            return None
        if level_given and level_given <= lv.G_SWAPPED and level_family and level_family <= lv.F_SWAPPED:
            rare_family -= self.model.kinship_bits(rare_family)
        weight = (
            same[lv.GIVEN][level_given]
            + same[lv.FAMILY][level_family]
            + same[lv.BORN][level_born]
            + same[lv.SEX][level_sex]
            + rare_given
            + rare_family
        )
        levels = [level_given, level_family, level_born, level_sex, 0, 0, 0, 0, 0, 0]
        return self._finish(bounds, child, weight, levels, rare_given, rare_family)

    def _finish(
        self,
        bounds: _Bounds,
        child: Record,
        weight: float,
        levels: list[int],
        rare_given: float,
        rare_family: float,
    ) -> Scored | None:
        """The rest of `score`: numbers, then home, guardian and school where they can still matter."""
        same, rare_school = self.same, 0.0
        note, circle_left, home_left, apart_left, _ = bounds
        if note.phone and child.phone:
            levels[lv.PHONE] = level = cmp.code(note.phone, child.phone)
            weight += same[lv.PHONE][level]
        if note.upn and child.upn:
            levels[lv.UPN] = level = cmp.code(note.upn, child.upn)
            weight += same[lv.UPN][level]
        if note.nhs_number and child.nhs_number:
            levels[lv.NHS_NUMBER] = level = cmp.code(note.nhs_number, child.nhs_number)
            weight += same[lv.NHS_NUMBER][level]
        near = (
            (note.postcode == child.postcode and note.postcode)
            or (note.number == child.number and note.number)
            or len(note.address) >= homes.LONG_ADDRESS
        )
        left = circle_left if child.guardian or child.school else 0.0
        if weight + left + (home_left if near else apart_left) < self._floor:
            return None
        levels[lv.ADDRESS] = level = homes.address(note, child)
        rare_home = 0.0
        if level == lv.A_POSTCODE:
            rare_home = self._postcodes.bits_if_common(note.postcode)
        elif level == lv.A_AREA:
            rare_home = self._districts.bits(note.outward)
        weight += same[lv.ADDRESS][level] + rare_home
        # A school is compared at less cost than a guardian, and most candidates need no more.
        if weight + left < self._floor:
            return None
        if note.school and child.school:
            pair = (note.school, child.school)
            level, rare_school = self._school.get(pair) or self._school_pair(*pair)
            levels[lv.SCHOOL] = level
            weight += same[lv.SCHOOL][level] + rare_school
        if note.guardian and child.guardian:
            if weight + self._most[lv.GUARDIAN] < self._floor:
                return None
            level = self.comparer.guardian(note.guardian, child.guardian)
            if level == lv.U_SAME and child.family and child.guardian.endswith(child.family):
                level = lv.U_GIVEN  # the family name is no second piece of evidence
            levels[lv.GUARDIAN] = level
            weight += same[lv.GUARDIAN][level]
        if weight < self._floor:
            return None
        step = self._household_step(levels, rare_given + rare_family + rare_school + rare_home)
        weight += step
        if weight < self._floor:
            return None
        return weight, levels, (rare_given, rare_family, rare_home, rare_school), step

    def _crossed(self, note: Record, child: Record) -> int:
        """Whether given and family name changed places (G_SWAPPED), or the child's given name stands for the
        family name while the other is something else (G_CROSSED), or neither (0)."""
        # Names that sound alike share a code; nearly always neither pair does, and nothing need be compared.
        crossed = not _given_set(note.given).isdisjoint(_family_set(child.family))
        if not crossed and _given_set(child.given).isdisjoint(_family_set(note.family)):
            return 0
        pair = (note.given, child.family)
        there, _ = self._given.get(pair) or self._given_pair(*pair)
        pair = (child.given, note.family)
        back, _ = self._given.get(pair) or self._given_pair(*pair)
        sure = (there <= lv.G_VARIANT) + (back <= lv.G_VARIANT)
        slips = (there == lv.G_TYPO) + (back == lv.G_TYPO)
        if sure == 2 or (sure == 1 and slips == 1):
            return lv.G_SWAPPED
        return lv.G_CROSSED if sure == 1 or slips == 2 else 0

    def _household_step(self, levels: list[int], rarity: float) -> float:
        """Bits that the chance of a brother or sister takes away: 0 or less, to within rounding."""
        bits = rarity + self._home_bits
        for home, level in zip(self._home, levels, strict=True):
            bits += home[level]
        if bits < -10.0:
            return 0.0
        return -bits if bits > 30.0 else -log2(1.0 + 2.0**bits)

    def _given_pair(self, one: str, other: str) -> Weighed:
        level, term = self.comparer.given(one, other)
        bits = self._given_rarity.bits(term)
        return _remember(self._given, one, other, level, min(bits, 0.0) if level == lv.G_TYPO else bits)

    def _family_pair(self, one: str, other: str) -> Weighed:
        level, term = self.comparer.family(one, other)
        bits = self._family_rarity.bits(term)
        return _remember(self._family, one, other, level, min(bits, 0.0) if level == lv.F_TYPO else bits)

    def _school_pair(self, one: str, other: str) -> Weighed:
        level = self.comparer.school(one, other)
        rarity = self._school_rarity.bits(one) if level == lv.I_SAME else 0.0
        return _remember(self._school, one, other, level, rarity)


def _parted(one: Record, other: Record) -> Record:
    """The record with given and family name apart, where both stand in one field and the other record tells which is
    which: its family name sounds like the last word, or the first."""
    text = one.given or one.family
    if (one.given and one.family) or " " not in text or not (other.given and other.family):
        return one
    known, words = _family_set(other.family), text.split()
    if _given_set(other.given).isdisjoint(_given_set(text)) or not known.isdisjoint(_given_set(other.given)):
        return one
    for family, given in ((words[-1], words[:-1]), (words[0], words[1:])):
        if block_code(family) in known:
            return replace(one, given=" ".join(given), family=family)
    return one


def _name_of_both(note: Record, child: Record) -> bool:
    """Whether a given name that agrees is the other side's family name too: whose it is cannot be told."""
    return bool(note.given and child.given) and (note.given == child.family or child.given == note.family)


def _same_words(note: Record, child: Record) -> bool:
    """Whether the full names are the same words, parted elsewhere: Nguyen Thi / Minh Anh and Thi Minh Anh / Nguyen."""
    return (" " in note.given or " " in note.family) and _all_words(note) == _all_words(child)


def _all_words(one: Record) -> list[str]:
    return sorted(canonical(w) for w in f"{one.given} {one.family}".split())


def _remember(
    memory: dict[tuple[str, str], Weighed], one: str, other: str, level: int, rarity: float
) -> Weighed:
    if len(memory) >= REMEMBERED_MAX:
        memory.clear()
    weighed = memory[one, other] = (level, rarity)
    return weighed


class _Rarity:
    """Bits by which an agreement on a name counts for more, or less, than on an average name.

    `own`: how many of those who are counted are the child compared itself, and share nothing by chance.
    """

    def __init__(self, counts: Mapping[str, float], children: int, average: float, *, own: int = 0) -> None:
        self._counts, self._children, self._average, self._own = counts, children, average, own

    def bits(self, term: str) -> float:
        if not self._children or not term:
            return 0.0
        # A few children say little of how common a name is: until there are many, the average counts for more.
        count = max(self._counts.get(term, 0) - self._own, 0) + TERM_PRIOR * self._average
        share = max(count / (self._children + TERM_PRIOR), TERM_FREQUENCY_MIN)
        return log2(self._average / share)

    def bits_if_common(self, term: str) -> float:
        """The same, where only common terms are counted: 0 for any other."""
        return min(self.bits(term), 0.0) if term in self._counts else 0.0


def _u(model: Model, comparison: int, level: int) -> float:
    u = model.comparisons[comparison].comparison_levels[level].u_probability
    assert u  # check_model
    return u
