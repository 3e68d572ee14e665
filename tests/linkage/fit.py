"""The bits of `Model.calibration`: `python -m tests.linkage.fit CHILDREN NOTES SEED...`.

A city for each seed, of so many registered children, and so many notes as they come, decided without a calibration.
For each kind of agreement the bits that make what is said of candidates of that kind true on average, over all cities
together, and how far they are known to be so from the cities one by one. What something that differs means holds for
cities of this size: two sizes give `differs_doubling`. Never give it a seed of the bench's own cities, which are there
to prove the result.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from math import exp2, log
from typing import NamedTuple

import msgspec

from server.linkage.calibration import MILLION, Calibration
from server.linkage.decide import Decision
from server.linkage.model import default_model
from tests.bench.linkage.registry import SEEDS_OF_THE_PROOF
from tests.linkage.measure import city
from tests.linkage.strata import Case

LEAST = 0.4
"""Of notes whose likeliest candidate is less likely there are many, and it matters little what is said of them."""
ROUNDS = 40
STEP = 0.7
"""Of Newton's step, since the kinds pull at one another where a note has candidates of several."""
STEP_MAX = 0.5
"""Bits. A longer step could leave out all that is to be learned from, by `LEAST`."""
KINDS = 6
_KINDS = Calibration(fits=1, fits_no_family=2, fits_no_given=3, fits_bare=4, differs=5, differs_more=1)
"""Bits that tell the kinds apart."""


class Told(NamedTuple):
    """The candidates of a note, as counted: its weight, and of each the probability, whether it is the child, and the
    kind of agreement."""

    weight: float
    candidates: tuple[tuple[float, bool, int], ...]


def told(decided: Iterable[tuple[Case, Decision]]) -> Iterator[Told]:
    """Notes that a calibration has to do with: such as may be the likeliest candidate's, and are not linked to it."""
    sure = default_model().link_probability
    for case, decision in decided:
        if decision.candidates and decision.candidates[0].probability < sure:
            yield Told(
                case.weight,
                tuple(
                    (c.probability, c.child_id == case.truth, kind_of(c.levels)) for c in decision.candidates
                ),
            )


def kind_of(levels: Sequence[int]) -> int:
    """The kind of agreement, 1 to `KINDS`."""
    return min(int(_KINDS.bits(levels, MILLION)), KINDS)


def fitted(notes: Sequence[Told]) -> Calibration:
    """The calibration that these call for; a kind that occurs with one outcome only is left as counted."""
    fits, no_family, no_given, bare, differs, both = (round(bits, 2) for bits in fitting_bits(notes)[1:])
    return Calibration(
        fits=fits,
        fits_no_family=no_family,
        fits_no_given=no_given,
        fits_bare=bare,
        differs=differs,
        differs_more=round(both - differs, 2) if both else 0.0,
    )


def fitting_bits(notes: Sequence[Told]) -> list[float]:
    """The bits, by kind, with which what is said of the candidates of each kind is true on average, where `LEAST` or
    more is said of the likeliest with these very bits."""
    bits = [0.0] * (KINDS + 1)
    for _ in range(ROUNDS):
        factors = [exp2(one) for one in bits]
        said, true, spread = ([0.0] * (KINDS + 1) for _ in range(3))
        wrong = [False] * (KINDS + 1)
        for weight, candidates in notes:
            odds = [p * factors[kind] for p, _, kind in candidates]
            total = 1 - sum(p for p, _, _ in candidates) + sum(odds)
            if odds[0] < LEAST * total:
                continue
            for (_, right, kind), one in zip(candidates, odds, strict=True):
                p = one / total
                said[kind] += weight * p
                true[kind] += weight * right
                wrong[kind] |= not right
                spread[kind] += weight * p * (1 - p)
        for kind in range(1, KINDS + 1):
            if true[kind] and wrong[kind]:
                step = STEP * (true[kind] - said[kind]) / spread[kind] / log(2)
                bits[kind] += max(min(step, STEP_MAX), -STEP_MAX)
    return bits


def main() -> None:
    """Fit and print."""
    children, notes, *seeds = map(int, sys.argv[1:])
    if proof := SEEDS_OF_THE_PROOF.intersection(seeds):
        sys.exit(f"{proof} are of the bench's own cities: a fit to them would prove nothing.")
    plain = msgspec.structs.replace(default_model(), calibration=Calibration())
    cities = {seed: list(told(city(children, notes, seed, plain))) for seed in seeds}
    for seed, held in cities.items():
        print(f"seed {seed}: {fitted(held)}")
    print(f"together: {fitted([one for held in cities.values() for one in held])}")


if __name__ == "__main__":
    main()
