"""How often linkage is right, by kind of note: `python -m tests.linkage.measure [children] [notes of each kind]`.

The registry and the notes are made up (strata.py). Printed: decisions by stratum, wrong links, candidates,
the share of identifiable notes sent to review, and whether a probability means what it says.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable

import msgspec

from server.linkage.candidates import CandidateSource, MemoryIndex, find
from server.linkage.decide import Decider, Decision
from server.linkage.model import Model, count_terms, default_model
from server.linkage.standardise import Description, standardise
from tests.linkage.strata import Case, make_cases, make_registry

SEED = int(os.environ.get("EARLYSIGN_TEST_SEED", "20261126"))
DECILES = 10


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


def index_of(known: dict[int, Description], model: Model | None = None) -> tuple[MemoryIndex, Decider]:
    """An index of these children and a Decider that knows how common their names are."""
    index = MemoryIndex()
    for child_id, description in known.items():
        index.add(child_id, standardise(description))
    counts = count_terms(standardise(description) for description in known.values())
    return index, Decider((model or default_model()).with_term_frequencies(counts))


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


def calibration(outcomes: Iterable[Outcome]) -> list[tuple[float, int, float, float]]:
    """By decile of the best candidate's probability: (lower bound, notes, mean probability, share right)."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(DECILES)]
    for outcome in outcomes:
        shown = outcome.decision.candidates
        if shown:
            best = shown[0]
            at = min(int(best.probability * DECILES), DECILES - 1)
            bins[at].append((best.probability, best.child_id == outcome.case.truth))
    return [
        (at / DECILES, len(held), sum(p for p, _ in held) / len(held), sum(r for _, r in held) / len(held))
        for at, held in enumerate(bins)
        if held
    ]


def report(outcomes: list[Outcome]) -> None:
    """Print the tables."""
    print(f"{'stratum':22}{'notes':>6}{'link':>8}{'wrong':>6}{'review':>8}{'new':>8}{'found':>8}{'comp':>7}")
    for row in by_stratum(outcomes):
        share = [f"{100 * n / row.notes:7.1f}%" for n in (row.link, row.review, row.new, row.found)]
        print(f"{row.stratum:22}{row.notes:6}{share[0]}{row.wrong:6}{share[1]}{share[2]}{share[3]}{row.compared:7.0f}")
    known = [o for o in outcomes if o.case.truth is not None]
    named = [o for o in known if o.case.identifiable]
    linked = [o for o in outcomes if o.decision.outcome == "link"]
    wrong = sum(o.wrong for o in outcomes)
    print(f"precision {1 - wrong / max(len(linked), 1):.5f} ({wrong} wrong of {len(linked)})")
    print(f"recall {sum(o.decision.child_id == o.case.truth for o in linked) / len(known):.4f} of all known, "
          f"{sum(o.decision.outcome == 'link' and not o.wrong for o in named) / len(named):.4f} of identifiable")  # fmt: skip
    print(f"candidates {sum(o.found for o in known) / len(known):.4f} of all, "
          f"{sum(o.found for o in named) / len(named):.4f} of identifiable")  # fmt: skip
    print(f"review {sum(o.decision.outcome == 'review' for o in named) / len(named):.4f} of identifiable")
    for low, notes, said, true in calibration(outcomes):
        print(f"probability from {low:.1f}: {notes:6} notes, said {said:.4f}, true {true:.4f}")


def main() -> None:
    """Measure and print."""
    children = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    each = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    registry = make_registry(children, SEED)
    index, decider = index_of(registry.known)
    print(f"seed {SEED}, {len(index):,} known children, {each:,} notes of each kind")
    report(run(make_cases(registry, each, SEED), index, decider))


if __name__ == "__main__":
    main()
