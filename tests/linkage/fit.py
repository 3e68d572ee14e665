"""The bits of `Model.calibration`: `python -m tests.linkage.fit CHILDREN NOTES SEED...`.

A city for each seed, of so many registered children, and so many notes as they come, decided without a calibration.
For each kind of agreement the bits that make what is said true on average, over all cities together, and how far they
are known to be so from the cities one by one. Never give it the seed of the bench's own city, which is there to prove
the result.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import msgspec

from server.linkage.calibration import Calibration
from server.linkage.model import default_model
from tests.bench.linkage.registry import SEEDS_OF_THE_PROOF
from tests.linkage.measure import Judged, city, judged

LEAST = 0.4
"""Of a smaller probability it matters little what it means, and there are many."""


_KINDS = Calibration(fits=1, fits_no_given=2, differs=3, differs_more=1)
"""Bits that tell the kinds apart."""


def fitted(best: Iterable[Judged]) -> Calibration:
    """The calibration that these call for; a kind that occurs with one outcome only is left as counted."""
    kinds: dict[float, list[tuple[float, bool, float]]] = {}
    sure = default_model().link_probability
    for one in best:
        if LEAST <= one.probability < sure:
            kind = min(_KINDS.bits(one.levels), 4)
            kinds.setdefault(kind, []).append((one.probability, one.right, one.weight))
    bits = {
        kind: fitting_bits(held) if len({right for _, right, _ in held}) == 2 else 0.0
        for kind, held in kinds.items()
    }
    fits, no_given, differs, both = (round(bits.get(kind, 0.0), 2) for kind in range(1, 5))
    return Calibration(
        fits=fits,
        fits_no_given=no_given,
        differs=differs,
        differs_more=round(both - differs, 2) if 4 in bits else 0.0,
    )


def fitting_bits(judged: Sequence[tuple[float, bool, float]]) -> float:
    """The bits that make what was said of these true on average, by bisection. `judged`: probability as counted,
    whether it was the child, and the weight of the note; both outcomes must occur."""
    low, high = -20.0, 20.0
    truth = sum(weight * right for _, right, weight in judged)
    while high - low > 0.001:
        middle = (low + high) / 2
        said = sum(weight / (1 + (1 - p) / p * 2.0**-middle) for p, _, weight in judged)
        low, high = (middle, high) if said < truth else (low, middle)
    return (low + high) / 2


def main() -> None:
    """Fit and print."""
    children, notes, *seeds = map(int, sys.argv[1:])
    if proof := SEEDS_OF_THE_PROOF.intersection(seeds):
        sys.exit(f"{proof} are of the bench's own cities: a fit to them would prove nothing.")
    plain = msgspec.structs.replace(default_model(), calibration=Calibration())
    cities = {seed: list(judged(city(children, notes, seed, plain))) for seed in seeds}
    for seed, held in cities.items():
        print(f"seed {seed}: {fitted(held)}")
    print(f"together: {fitted(one for held in cities.values() for one in held)}")


if __name__ == "__main__":
    main()
