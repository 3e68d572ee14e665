"""The bits of a calibration from what was said and what was true."""

from __future__ import annotations

import pytest

from server.linkage import levels as lv
from tests.linkage.fit import fitted, fitting_bits
from tests.linkage.measure import Judged

FITS = [lv.G_EXACT, lv.F_EXACT, lv.B_AGE, 0, 0, 0, 0, 0, 0, 0]
UNNAMED = [lv.MISSING_LEVEL, *FITS[1:]]
DIFFERS = [lv.G_EXACT, lv.F_DIFFER, *FITS[2:]]
BOTH = [lv.G_EXACT, lv.F_DIFFER, lv.B_DIGIT, *FITS[3:]]


def told(levels: list[int], probability: float, right: int, of: int, weight: float = 1.0) -> list[Judged]:
    return [Judged(probability, number < right, weight, levels) for number in range(of)]


def test_each_kind_has_its_own_bits() -> None:
    bits = fitted(
        told(FITS, 0.5, 2, 3) + told(UNNAMED, 0.5, 4, 5)
        + told(DIFFERS, 0.5, 1, 9) + told(BOTH, 0.5, 1, 17)
    )  # fmt: skip
    assert (bits.fits, bits.fits_no_given) == pytest.approx((1.0, 2.0), abs=0.02)
    assert (bits.differs, bits.differs_more) == pytest.approx((-3.0, -1.0), abs=0.02)


def test_a_note_counts_by_its_weight() -> None:
    assert fitted(told(FITS, 0.5, 1, 1, 4.0) + told(FITS, 0.5, 0, 1, 1.0)).fits == pytest.approx(
        2.0, abs=0.02
    )


def test_what_is_certain_enough_to_link_and_what_is_hardly_likely_is_taken_as_it_is() -> None:
    assert fitted(told(FITS, 0.999, 1, 9) + told(FITS, 0.05, 9, 9)).fits == 0.0


def test_a_kind_that_always_ends_alike_tells_nothing() -> None:
    bits = fitted(told(FITS, 0.5, 3, 3) + told(DIFFERS, 0.5, 1, 9))
    assert (bits.fits, bits.differs_more) == (0.0, 0.0)


def test_bits_are_fitted_so_that_what_is_said_is_true_on_average() -> None:
    judged = [(0.5, number < 8, 1.0) for number in range(10)]
    assert fitting_bits(judged) == pytest.approx(2.0, abs=0.01)
    assert fitting_bits([(0.5, True, 4.0), (0.5, False, 1.0)]) == pytest.approx(2.0, abs=0.01)
