"""What a registry tells without labels: how common each name is, how names, dates and homes go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log2
from typing import Any

import msgspec

from server.linkage.blocking import home_code, main_words
from server.linkage.names import LISTED, PARTICLES, canonical
from server.linkage.standardise import Record

# Below this count a spelling may be a slip in the registry itself, and is not taken for a name of its own.
NAME_COUNT_MIN = 3
# A short form that so many children were given as their name: Harry may be Harrison, or Harrison's twin.
OWN_NAME_COUNT_MIN = 5
OWN_NAME_SHARE_MIN = 0.0003
# A postcode with more children than this says less than a postcode should: a placeholder, a hostel, a tower.
POSTCODE_COUNT_MIN = 30
POSTCODE_SHARE_MIN = 0.0003
# Children that tell how names and dates go together, at least: pairs are what counts, a million at a thousand.
ALIKE_MIN = 1_000
RARE_FAMILY_SHARE = 0.001  # four in five Londoners bear a family name that is rarer
RARE_PAIRS_MIN = 20.0  # pairs that chance makes; a share of fewer is chance itself
NAMES_ALIKE_MAX = 3.0  # more is a registry that holds the same people twice
HOME_CHILDREN_MAX = 12  # more at one address is a hostel or a tower block without flat numbers
# Of a larger registry a part is looked at where shares are all that matters: memory, not truth, is the bound.
WHOLE_MAX = 100_000
PART = 16


class TermFrequencies(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry tells of names, schools and homes: how many children bear each name (by canonical word,
    and by word as written) or go to each school; of `homes` children with a known home, how many other known
    children live there, all told.

    `postcodes`: children in each postal district, and in each postcode that holds very many. `born_alike`: how
    likely two children share a date of birth (0: not known); `years`: over how many years nine in ten were
    born; `names_alike`: how many bits likelier two children share given and family name than if the one knew
    nothing of the other. Of a large registry homes, postcodes and pairs are those of a part of it.
    """

    children: int
    given: dict[str, int]
    family: dict[str, int]
    words: dict[str, int]
    schools: dict[str, int] = {}
    homes: int = 0
    housemates: int = 0
    postcodes: dict[str, float] = {}
    born_alike: float = 0.0
    years: int = 0
    names_alike: float | None = None
    rare_names_alike: float | None = None

    def is_name(self, word: str) -> bool:
        """Whether this spelling is a name that people bear, rather than a slip of the pen."""
        return word in LISTED or self.words.get(word, 0) >= NAME_COUNT_MIN

    def is_own_name(self, name: str) -> bool:
        """Whether a short form (canonical) is also given at birth here, so that a twin may bear it."""
        return self.given.get(name, 0) >= max(OWN_NAME_COUNT_MIN, OWN_NAME_SHARE_MIN * self.children)


NO_TERM_FREQUENCIES = TermFrequencies(children=0, given={}, family={}, words={})


def count_terms(records: Iterable[Record]) -> TermFrequencies:
    """Counts over the known registry. Run over the same children they are the same in any order."""
    children = 0
    given: Counter[str] = Counter()
    family: Counter[str] = Counter()
    words: Counter[str] = Counter()
    schools: Counter[str] = Counter()
    born: Counter[int] = Counter()
    whole, part = _Together(), _Together()
    for record in records:
        children += 1
        if children == WHOLE_MAX:
            whole = _Together()
        for together, share in ((whole, 1), (part, PART)):
            if share == PART or children < WHOLE_MAX:
                together.add(record, share)
        if record.school:
            schools[record.school] += 1
        if record.born:
            born[record.born] += 1
        if record.given:
            names = main_words(record.given)
            words.update(names)
            given.update({canonical(w) for w in names})
        if record.family:
            names = [w for w in record.family.split() if w not in PARTICLES]
            words.update(names)
            family.update({canonical(w) for w in names})
    together = whole if children < WHOLE_MAX else part
    alike, rare_alike = together.names_alike()
    return TermFrequencies(
        children=children,
        given=given,
        family=family,
        words=words,
        schools=schools,
        homes=sum(map(len, together.homes.values())),
        housemates=together.housemates(),
        postcodes=together.common_postcodes(children),
        born_alike=_share_alike(born) if born.total() >= ALIKE_MIN else 0.0,
        years=_years(born),
        names_alike=alike,
        rare_names_alike=rare_alike,
    )


class _Together:
    """What is counted of a part of the children: those of every so many homes, and dates of birth."""

    def __init__(self) -> None:
        self.homes: dict[int, list[tuple[str, int]]] = {}
        self._full: Counter[tuple[str, str]] = Counter()
        self._postcodes: Counter[str] = Counter()
        self._seen = 0

    def add(self, record: Record, share: int) -> None:
        """Count a child, if it is of the part: one home, or one date of birth, in `share`."""
        if share == 1 or (record.born * 0x9E3779B1 >> 16) % share == 0:
            self._seen += 1
            self._postcodes.update(filter(None, {record.postcode, record.outward}))
            if record.given and record.family:
                self._full[canonical(main_words(record.given)[0]), canonical(record.family.split()[-1])] += 1
        home = home_code(record)
        if home and home % share == 0:
            first = canonical(main_words(record.given)[0]) if record.given else ""
            self.homes.setdefault(home, []).append((first, record.born))

    def housemates(self) -> int:
        """Pairs of children of one home, each counted from both sides. Two records with one given name or one
        date of birth may be the same child twice, and are no pair."""
        return sum(
            one[0] != other[0] and (one[1] != other[1] or not one[1])
            for home in self.homes.values()
            if 1 < len(home) <= HOME_CHILDREN_MAX
            for one in home
            for other in home
        )

    def common_postcodes(self, children: int) -> dict[str, float]:
        if not self._seen:
            return {}
        scale = children / self._seen
        least = max(POSTCODE_COUNT_MIN / scale, POSTCODE_SHARE_MIN * self._seen)
        return {code: scale * n for code, n in self._postcodes.items() if n >= least or len(code) <= 4}

    def names_alike(self) -> tuple[float | None, float | None]:
        """See TermFrequencies: of all, and of those whose family name is rare."""
        total = self._full.total()
        if total < ALIKE_MIN:
            return None, None
        given: Counter[str] = Counter()
        family: Counter[str] = Counter()
        for (first, last), count in self._full.items():
            given[first] += count
            family[last] += count
        rare = {name: n for name, n in family.items() if n < RARE_FAMILY_SHARE * total}
        by_chance = _share_alike(given)
        alike = _kinship(_pairs(self._full.values()), _pairs(family.values()) * by_chance)
        both = _pairs(n for (_, last), n in self._full.items() if last in rare)
        rare_alike = _kinship(both, _pairs(rare.values()) * by_chance)
        return alike, alike if alike is None or rare_alike is None else min(rare_alike, alike)


def _pairs(counts: Iterable[int]) -> int:
    return sum(n * (n - 1) for n in counts)


def _kinship(both: int, by_chance: float) -> float | None:
    """Bits by which pairs with both names alike are more than chance makes; None where too few tell."""
    if not both or by_chance < RARE_PAIRS_MIN:
        return None
    return min(max(log2(both / by_chance), 0.0), NAMES_ALIKE_MAX)


def _share_alike(counts: Counter[Any]) -> float:
    """How likely two children, taken at random, are counted under one key."""
    total = counts.total()
    return sum(n * (n - 1) for n in counts.values()) / (total * (total - 1))


def _years(born: Counter[int]) -> int:
    """Years between the first and the last twentieth of the dates of birth."""
    total, before, first = born.total(), 0, 0
    for day in sorted(born):
        before += born[day]
        if not first and before * 20 >= total:
            first = day
        if before * 20 >= total * 19:
            return (day - first) // 10000
    return 0
