"""What a registry teaches a model: observed counts of levels into probabilities, guarded. Pure.

Splink estimates (see `server/batch/training.py`); this decides what of it is believed. Counts are drawn towards
the default by pseudo-counts, so that a level seen twice in a million pairs does not become a certainty, and
what an estimate that went wrong looks like is refused by comparison, with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from math import log2

import msgspec

from server.linkage import levels as lv
from server.linkage.blocking import home_code
from server.linkage.model import HOUSEMATES_DEFAULT, REGISTERED_SHARE, Comparison, ComparisonLevel, Model
from server.linkage.score import Scorer
from server.linkage.standardise import Record

# What the default is worth, in pairs. A thousand true pairs outweigh it ten to one.
M, U, HOUSEHOLD = "m_probability", "u_probability", "household_probability"
PSEUDO_COUNTS = {M: 100.0, U: 1_000.0, HOUSEHOLD: 200.0}
# No probability falls further below its default than by this factor: never to have seen a thing among some
# thousand pairs of twins is no proof that it does not happen.
FALL_MAX = {M: 10.0, U: 8.0, HOUSEHOLD: 4.0}
# Fewer matches than this in a pass, by Splink's own estimate, and it has found chance agreements.
MATCHES_MIN = 50.0
# Matches that differ nearly as often as strangers are strangers.
TURNED_SHARE = 0.95
HOUSEHOLD_PAIRS_MAX = 100_000
HOME_CHILDREN_MAX = 12  # more at one address is a hostel, or a block without flat numbers
HOUSEMATES_MIN, HOUSEMATES_MAX = HOUSEMATES_DEFAULT / 3, HOUSEMATES_DEFAULT * 3

Counts = dict[str, dict[str, float]]
"""For each comparison, how many pairs reached each level (missing left out); expected counts are not whole."""


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One training pass of Splink: what it blocked on, how many of its pairs are matches, and its counts."""

    name: str
    pairs: int
    matches: float
    counts: Counts


class Household(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of children of one address who are not one child twice."""

    pairs: int
    counts: Counts
    housemates: float
    """Other known children in the home of a child whose home is known, on average."""


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model, with what was refused and why; nothing personal in it."""

    model: Model
    before: Model
    m_learned: bool
    matches: float
    remarks: tuple[str, ...]


def groups(comparison: Comparison) -> Iterator[list[ComparisonLevel]]:
    """The levels that share one total of 1. Dates against dates and ages against dates are two such groups."""
    ages = [level for level in comparison.comparison_levels if level.name.startswith("age_")]
    yield [x for x in comparison.comparison_levels if not x.is_null_level and x not in ages]
    if ages:
        yield ages


def household_counts(records: Sequence[Record], model: Model) -> Household:
    """Levels of pairs of children who share an address, one child twice left out as the model sees it."""
    scorer = Scorer(model, negligible_bits=float("inf"))
    homes: dict[int, list[Record]] = {}
    for record in records:
        if home := home_code(record):
            homes.setdefault(home, []).append(record)
    counts: Counts = {comparison.name: {} for comparison in lv.COMPARISONS}
    pairs = weighed = 0
    for held in homes.values():
        if not 2 <= len(held) <= HOME_CHILDREN_MAX:
            continue
        for one, other in combinations(held, 2):
            if weighed >= HOUSEHOLD_PAIRS_MAX:
                break
            weighed += 1
            scored = scorer.score(one, other)
            # Even odds between "the same child" and "two of one home": the prior against a stranger has no part.
            if scored is None or scored[0] > -scorer.prior_bits:
                continue
            pairs += 1
            _count(counts, scored[1])
    share = _share_of_pairs_weighed(homes.values(), weighed)
    children = sum(len(held) for held in homes.values())
    return Household(pairs=pairs, counts=counts, housemates=2 * pairs / share / max(children, 1))


def _share_of_pairs_weighed(homes: Iterable[list[Record]], weighed: int) -> float:
    total = sum(n * (n - 1) // 2 for n in map(len, homes) if n <= HOME_CHILDREN_MAX)
    return weighed / total if total else 1.0


def _count(counts: Counts, levels: Sequence[int]) -> None:
    for comparison, level in zip(lv.COMPARISONS, levels, strict=True):
        if level:
            name = comparison.levels[level].name
            counts[comparison.name][name] = counts[comparison.name].get(name, 0.0) + 1.0


def learn(
    model: Model, *, random: Counts, random_pairs: float, possible_pairs: float, size: int, passes: Sequence[Pass],
    household: Household,
) -> Learned:  # fmt: skip
    """The model with probabilities drawn towards what was counted.

    `random`: levels among `random_pairs` pairs drawn at random out of `possible_pairs`; in a small registry
    some are matches and brothers, and are taken out of them. `size`: children on the registry.
    """
    remarks: list[str] = []
    m_counts, matches = _believed(model, passes, remarks)
    homes = _of_household(household, remarks)
    stranger = _without(random, m_counts, min(matches, possible_pairs) / possible_pairs * random_pairs)
    siblings = min(household.housemates / max(size - 1, 1), 0.5) * random_pairs
    stranger = _without(stranger, household.counts, siblings)
    comparisons = []
    for comparison in model.comparisons:
        name = comparison.output_column_name
        changed = comparison
        for column, counts in ((M, m_counts), (U, stranger), (HOUSEHOLD, homes)):
            changed = _regularised(changed, column, counts.get(name, {}))
        if not _sound(changed):
            remarks.append(f"{name}: what was learned contradicts itself; the default stays")
            changed = comparison
        comparisons.append(changed)
    housemates = model.housemates
    if household.pairs >= MATCHES_MIN:
        seen = household.housemates / REGISTERED_SHARE  # not every brother or sister is on the registry
        housemates = min(max(seen, HOUSEMATES_MIN), HOUSEMATES_MAX)
    trained = msgspec.structs.replace(
        model, name="trained-1", comparisons=tuple(comparisons), housemates=housemates
    )
    return Learned(
        model=trained, before=model, m_learned=bool(m_counts), matches=matches, remarks=tuple(remarks)
    )


def _believed(model: Model, passes: Sequence[Pass], remarks: list[str]) -> tuple[Counts, float]:
    """Counts of the passes that make sense, added up, and the most matches that any of them found."""
    total: Counts = {}
    most = 0.0
    for one in passes:
        if one.matches < MATCHES_MIN:
            found = f"about {one.matches:.0f} matches in {one.pairs:,} pairs"
            remarks.append(f"{one.name}: {found} are too few to learn from")
            continue
        turned = [c for c in model.comparisons if _turned(c, one.counts.get(c.output_column_name, {}))]
        telling = [c for c in model.comparisons if sum(one.counts.get(c.output_column_name, {}).values()) > 0]
        if 2 * len(turned) > len(telling):
            remarks.append(f"{one.name}: its matches disagree more than strangers do; not believed")
            continue
        most = max(most, one.matches)
        for comparison in telling:
            name = comparison.output_column_name
            if comparison in turned:
                remarks.append(f"{one.name}: {name} disagrees more than among strangers; not believed")
                continue
            kept = total.setdefault(name, {})
            for level, count in one.counts[name].items():
                kept[level] = kept.get(level, 0.0) + count
    return total, most


def _turned(comparison: Comparison, counts: dict[str, float]) -> bool:
    """Whether the classes changed places: matches differ as often as strangers by the model at hand."""
    seen = sum(counts.values())
    if seen < 1:
        return False
    group = max(groups(comparison), key=lambda levels: sum(counts.get(x.name, 0.0) for x in levels))
    differ = [level for level in group if level.outcome == lv.DIFFER]
    strangers = sum(_p(level.u_probability) for level in differ) / sum(
        _p(level.u_probability) for level in group
    )
    return sum(counts.get(level.name, 0.0) for level in differ) / seen >= TURNED_SHARE * strangers


def _of_household(household: Household, remarks: list[str]) -> Counts:
    """Without the address, which every one of these pairs shares, since that is how they were found."""
    if household.pairs < MATCHES_MIN:
        remarks.append(f"{household.pairs} pairs share an address: too few to learn the household class from")
        return {}
    address = lv.COMPARISONS[lv.ADDRESS].name
    return {name: counts for name, counts in household.counts.items() if name != address}


def _without(counts: Counts, others: Counts, pairs: float) -> Counts:
    """Counts less those of `pairs` pairs that are distributed as `others`."""
    left: Counts = {}
    for name, levels in counts.items():
        other = others.get(name, {})
        share = pairs / seen if (seen := sum(other.values())) else 0.0
        left[name] = {k: max(v - share * other.get(k, 0.0), 0.0) for k, v in levels.items()}
    return left


def _regularised(comparison: Comparison, column: str, counts: dict[str, float]) -> Comparison:
    """One column of a comparison drawn towards counts; a group without any stays as it is."""
    new: dict[str, float] = {}
    pseudo = PSEUDO_COUNTS[column]
    for group in groups(comparison):
        seen = sum(counts.get(level.name, 0.0) for level in group)
        total = sum(getattr(level, column) for level in group)
        for level in group:
            before = getattr(level, column)
            drawn = (counts.get(level.name, 0.0) + pseudo * before / total) / (seen + pseudo)
            new[level.name] = max(drawn * total, before / FALL_MAX[column]) if seen else before
    levels = (
        msgspec.structs.replace(level, **{column: min(new[level.name], 1.0)}) if level.name in new else level
        for level in comparison.comparison_levels
    )
    return msgspec.structs.replace(comparison, comparison_levels=tuple(levels))


def _sound(comparison: Comparison) -> bool:
    """Whether what one child mostly shows is evidence for it, and difference is evidence against it, and less
    so than any agreement."""
    for group in groups(comparison):
        weights = {level.name: log2(_p(level.m_probability) / _p(level.u_probability)) for level in group}
        against = [weights[level.name] for level in group if level.outcome == lv.DIFFER]
        agree = [weights[level.name] for level in group if level.outcome == lv.AGREE]
        usual = max(group, key=lambda level: _p(level.m_probability))
        if weights[usual.name] <= 0 or max(against, default=-1.0) > 0:
            return False
        if agree and against and min(agree) <= max(against):
            return False
    return True


def _p(probability: float | None) -> float:
    assert probability  # check_model
    return probability


def report_rows(learned: Learned) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """(comparison, level, m, u and household before, then after) for every level."""
    for before, after in zip(learned.before.comparisons, learned.model.comparisons, strict=True):
        for one, other in zip(before.comparison_levels[1:], after.comparison_levels[1:], strict=True):
            yield before.output_column_name, other.name, (*_three(one), *_three(other))


def _three(level: ComparisonLevel) -> tuple[float, float, float]:
    return _p(level.m_probability), _p(level.u_probability), _p(level.household_probability)
