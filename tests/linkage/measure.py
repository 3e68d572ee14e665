"""How often linkage is right, by kind of note: `python -m tests.linkage.measure [children] [notes of each kind]`.

The registry and the notes are made up (strata.py). Printed: decisions by stratum, wrong links, candidates,
the share of identifiable notes sent to review, and whether a probability means what it says.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import sqrt
from typing import NamedTuple

import msgspec

from server.linkage.candidates import CandidateSource, find
from server.linkage.counts import count_terms
from server.linkage.decide import Decider, Decision
from server.linkage.identifiable import REVIEW_SHARE_MAX, ReviewShare, identifiable
from server.linkage.model import Model, default_model
from server.linkage.packed import PackedIndex
from server.linkage.standardise import Description, Record, standardise
from tests.linkage.strata import Case, make_cases, make_registry, natural_cases

SEED = int(os.environ.get("EARLYSIGN_TEST_SEED", "20261126"))
DECILES = 10
NATURAL_NOTES = 60


class Outcome(msgspec.Struct, frozen=True):
    """A case, what was decided, and whether the right child was among those compared."""

    case: Case
    decision: Decision
    found: bool

    @property
    def wrong(self) -> bool:
        """Whether it was linked to a child it is not about."""
        return self.decision.outcome == "link" and self.decision.child_id != self.case.truth


class Row(msgspec.Struct, frozen=True):
    """The figures of one stratum; counts of notes."""

    stratum: str
    notes: int
    link: int
    wrong: int
    review: int
    new: int
    found: int
    compared: float


def index_of(known: dict[int, Description], model: Model | None = None) -> tuple[PackedIndex, Decider]:
    """An index of these children, numbered from 0 in their order, and a Decider that knows their names."""
    index = PackedIndex()

    def records() -> Iterator[Record]:
        for child_id, description in known.items():
            record = standardise(description)
            index.add(str(child_id), record)
            yield record

    counts = count_terms(records())
    return index, Decider((model or default_model()).with_term_frequencies(counts))


def numbered(cases: Iterable[Case], known: dict[int, Description]) -> Iterator[Case]:
    """The cases, with the truth as the number that `index_of` gave the child."""
    numbers = {child_id: number for number, child_id in enumerate(known)}
    for case in cases:
        yield case if case.truth is None else replace(case, truth=numbers[case.truth])


def run(cases: Iterable[Case], source: CandidateSource, decider: Decider) -> list[Outcome]:
    """Decide every case."""
    outcomes = []
    for case in cases:
        record = standardise(case.note)
        decision = decider.decide(record, source)
        outcomes.append(Outcome(case, decision, case.truth is None or case.truth in find(record, source)[0]))
    return outcomes


def by_stratum(outcomes: Iterable[Outcome]) -> list[Row]:
    """The figures of every stratum, in order of appearance."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.case.stratum, []).append(outcome)
    rows = []
    for stratum, group in groups.items():
        tally = Counter(o.decision.outcome for o in group)
        rows.append(
            Row(stratum, len(group), tally["link"], sum(o.wrong for o in group), tally["review"], tally["new"],
                sum(o.found for o in group), sum(o.decision.compared for o in group) / len(group))
        )  # fmt: skip
    return rows


class Judged(NamedTuple):
    """The best candidate of a note: its probability, whether it is right, the weight of the note, and the levels that
    the candidate reached."""

    probability: float
    right: bool
    weight: float
    levels: list[int]


def judged(decided: Iterable[tuple[Case, Decision]]) -> Iterator[Judged]:
    """The best candidates of notes that have any."""
    for case, decision in decided:
        if decision.candidates:
            best = decision.candidates[0]
            yield Judged(best.probability, best.child_id == case.truth, case.weight, best.levels)


class Decile(msgspec.Struct, frozen=True, array_like=True):
    """The notes whose best candidate has a probability from `low` on, by a tenth: how many they are, and the sums of
    their weights, of what was said, of what was true, and of the squares of the weights."""

    low: float
    notes: int
    weight: float
    weight_said: float
    weight_true: float
    weight_squares: float

    @property
    def said(self) -> float:
        """The probability, on average."""
        return self.weight_said / self.weight

    @property
    def true(self) -> float:
        """The share whose best candidate was the child."""
        return self.weight_true / self.weight

    @property
    def worth(self) -> float:
        """As many notes of one weight would tell as much."""
        return self.weight**2 / self.weight_squares

    @property
    def error(self) -> float:
        """How far what was said lies from the truth, in points."""
        return 100 * abs(self.said - self.true)

    @property
    def within(self) -> float:
        """Half the width of the 95 % confidence interval of the share that was right (Agresti and Coull), in points."""
        notes = self.worth + 4
        share = (self.true * self.worth + 2) / notes
        return 196 * sqrt(share * (1 - share) / notes)

    def __str__(self) -> str:
        return (
            f"probability from {self.low:.1f}: {self.notes:6} notes, said {self.said:.4f}, true {self.true:.4f}"
            f" +- {self.within:.1f} points, {self.error:.1f} points out"
        )


def calibration(best: Iterable[Judged]) -> list[Decile]:
    """Whether the best candidate's probability means what it says."""
    bins: list[list[Judged]] = [[] for _ in range(DECILES)]
    for one in best:
        bins[min(int(one.probability * DECILES), DECILES - 1)].append(one)
    return [_decile(at / DECILES, held) for at, held in enumerate(bins) if held]


def _decile(low: float, held: list[Judged]) -> Decile:
    return Decile(
        low, len(held), sum(one.weight for one in held), sum(one.weight * one.probability for one in held),
        sum(one.weight * one.right for one in held), sum(one.weight**2 for one in held),
    )  # fmt: skip


def together(cities: Iterable[list[Decile]]) -> list[Decile]:
    """The deciles of several cities as those of one."""
    sums: dict[float, list[float]] = {}
    for decile in (one for deciles in cities for one in deciles):
        low, *values = msgspec.structs.astuple(decile)
        sums[low] = [a + b for a, b in zip(sums.get(low, [0] * len(values)), values, strict=True)]
    return [Decile(low, int(notes), *rest) for low, (notes, *rest) in sorted(sums.items())]


def city(children: int, notes: int, seed: int, model: Model | None = None) -> Iterator[tuple[Case, Decision]]:
    """Notes as they come about a city of so many registered children, decided."""
    registry = make_registry(children, seed)
    index, decider = index_of(registry.known, model)
    with index:
        yield from natural(numbered(natural_cases(registry, notes, seed), registry.known), index, decider)


def report(outcomes: list[Outcome]) -> None:
    """Print the tables."""
    print(f"{'stratum':22}{'notes':>6}{'link':>8}{'wrong':>6}{'review':>8}{'new':>8}{'found':>8}{'comp':>7}")
    for row in by_stratum(outcomes):
        share = [f"{100 * n / row.notes:7.1f}%" for n in (row.link, row.review, row.new, row.found)]
        print(
            f"{row.stratum:22}{row.notes:6}{share[0]}{row.wrong:6}{share[1]}{share[2]}{share[3]}{row.compared:7.0f}"
        )
    known = [o for o in outcomes if o.case.truth is not None]
    named = [o for o in known if o.case.identifiable]
    linked = [o for o in outcomes if o.decision.outcome == "link"]
    wrong = sum(o.wrong for o in outcomes)
    print(f"precision {1 - wrong / max(len(linked), 1):.5f} ({wrong} wrong of {len(linked)})")
    right = sum(o.decision.outcome == "link" and not o.wrong for o in known)
    of_named = sum(o.decision.outcome == "link" and not o.wrong for o in named)
    print(f"recall {right / len(known):.4f} of all known, {of_named / len(named):.4f} of identifiable")
    found, found_named = sum(o.found for o in known), sum(o.found for o in named)
    print(f"candidates {found / len(known):.4f} of all, {found_named / len(named):.4f} of identifiable")
    asked = [o for o in outcomes if identifiable(standardise(o.case.note))]
    left = ReviewShare(len(asked), sum(o.decision.outcome == "review" for o in asked))
    print(
        f"left to a person {left.share:.4f} of {len(asked):,} by identifiable.py, at most {REVIEW_SHARE_MAX}"
    )
    print(f"review {sum(o.decision.outcome == 'review' for o in named) / len(named):.4f} of identifiable")


def natural(
    cases: Iterable[Case], source: CandidateSource, decider: Decider
) -> Iterator[tuple[Case, Decision]]:
    """Decide notes as they come."""
    return ((case, decider.decide(standardise(case.note), source)) for case in cases)


def main() -> None:
    """Measure and print."""
    children = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    each = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    registry = make_registry(children, SEED)
    index, decider = index_of(registry.known)
    print(f"seed {SEED}, {len(index):,} known children, {each:,} notes of each kind")
    report(run(numbered(make_cases(registry, each, SEED), registry.known), index, decider))
    notes = NATURAL_NOTES * each
    print(f"{notes:,} notes as they come")
    cases = numbered(natural_cases(registry, notes, SEED), registry.known)
    for decile in calibration(judged(natural(cases, index, decider))):
        print(decile)


if __name__ == "__main__":
    main()
