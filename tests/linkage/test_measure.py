"""What is measured of several cities is what would be measured of all their notes at once."""

from __future__ import annotations

from random import Random

import pytest

from tests.linkage.measure import Judged, calibration, together

SEED = 7


def test_deciles_of_cities_together_are_those_of_all_notes() -> None:
    random = Random(SEED)
    print("seed", SEED)
    notes = [
        Judged(random.random(), random.random() < 0.6, random.choice((0.25, 1.0)), []) for _ in range(900)
    ]
    apart = together([calibration(notes[:300]), calibration(notes[300:700]), calibration(notes[700:])])
    whole = calibration(notes)
    assert [one.notes for one in apart] == [one.notes for one in whole]
    for one, other in zip(apart, whole, strict=True):
        assert (one.said, one.true, one.worth) == pytest.approx((other.said, other.true, other.worth))
        assert one.within == pytest.approx(other.within)
