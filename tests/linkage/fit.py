"""Points for `Model.calibration`: `python -m tests.linkage.fit CHILDREN NOTES SEED...`.

A city for each seed, of so many registered children, and so many notes as they come, decided without a calibration.
What was said and what was true, by parts of the probability, over all cities together; neighbours that do not rise
are joined. Never give it the seed of the bench's own city, which is there to prove the result.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator

import msgspec

from server.linkage.model import default_model
from tests.bench.linkage.registry import SEED as SEED_OF_THE_PROOF
from tests.linkage.measure import Judged, index_of, judged, natural, numbered
from tests.linkage.strata import make_registry, natural_cases

PARTS = (0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""What lies below the first and above the last is taken as it is."""


def knots(best: Iterable[Judged]) -> list[tuple[float, float]]:
    """The points, as (as counted, as meant)."""
    parts: list[list[Judged]] = [[] for _ in PARTS]
    for one in best:
        if one.probability >= PARTS[0]:
            parts[bisect_right(PARTS, one.probability) - 1].append(one)
    joined: list[list[list[Judged]]] = []
    for part in filter(None, parts[:-1]):
        joined.append([part])
        while len(joined) > 1 and _right(joined[-1]) <= _right(joined[-2]):
            joined[-2:] = [joined[-2] + joined[-1]]
    # A block is level from its first part to its last.
    ends = [dict.fromkeys((_said(block[0]), _said(block[-1]))) for block in joined]
    return [
        (round(said, 3), round(_right(block), 3))
        for block, both in zip(joined, ends, strict=True)
        for said in both
    ]


def _said(part: list[Judged]) -> float:
    return sum(one.weight * one.probability for one in part) / sum(one.weight for one in part)


def _right(block: list[list[Judged]]) -> float:
    return sum(one.weight * one.right for part in block for one in part) / sum(
        one.weight for part in block for one in part
    )


def city(children: int, notes: int, seed: int) -> Iterator[Judged]:
    """The best candidates in one city."""
    registry = make_registry(children, seed)
    plain = msgspec.structs.replace(default_model(), calibration=(), calibration_small=())
    index, decider = index_of(registry.known, plain)
    with index:
        cases = numbered(natural_cases(registry, notes, seed), registry.known)
        yield from judged(natural(cases, index, decider))


def main() -> None:
    """Fit and print."""
    children, notes, *seeds = map(int, sys.argv[1:])
    if SEED_OF_THE_PROOF in seeds:
        sys.exit(f"{SEED_OF_THE_PROOF} is the bench's own city: a fit to it would prove nothing.")
    print(knots(one for seed in seeds for one in city(children, notes, seed)))


if __name__ == "__main__":
    main()
