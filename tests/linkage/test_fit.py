"""The bits of a calibration from what was said and what was true."""

from __future__ import annotations

import pytest

from server.linkage import levels as lv
from tests.linkage.fit import KINDS, Told, fitted, fitting_bits, kind_of

FITS = [lv.G_EXACT, lv.F_EXACT, lv.B_AGE, 0, lv.A_HOME, 0, 0, 0, 0, 0]
NO_FAMILY = [lv.G_EXACT, 0, *FITS[2:]]
NO_GIVEN = [0, *FITS[1:]]
BARE = [0, lv.F_EXACT, lv.B_EXACT, 0, 0, 0, 0, 0, 0, 0]
DIFFERS = [lv.G_EXACT, lv.F_DIFFER, *FITS[2:]]
BOTH = [lv.G_EXACT, lv.F_DIFFER, lv.B_DIGIT, *FITS[3:]]


def alone(levels: list[int], probability: float, right: int, of: int, weight: float = 1.0) -> list[Told]:
    """Notes of one candidate."""
    return [Told(weight, ((probability, number < right, kind_of(levels)),)) for number in range(of)]


def test_each_kind_has_a_number() -> None:
    assert [kind_of(one) for one in (FITS, NO_FAMILY, NO_GIVEN, BARE, DIFFERS, BOTH)] == list(
        range(1, KINDS + 1)
    )


def test_each_kind_has_its_own_bits() -> None:
    bits = fitted(
        alone(FITS, 0.5, 2, 3) + alone(NO_FAMILY, 0.75, 3, 5) + alone(NO_GIVEN, 0.5, 4, 5) + alone(BARE, 0.8, 1, 2)
        + alone(DIFFERS, 0.9, 9, 17) + alone(BOTH, 0.95, 19, 35)
    )  # fmt: skip
    assert (bits.fits, bits.fits_no_family) == pytest.approx((1.0, -1.0), abs=0.02)
    assert (bits.fits_no_given, bits.fits_bare) == pytest.approx((2.0, -2.0), abs=0.02)
    assert (bits.differs, bits.differs_more) == pytest.approx((-3.0, -1.0), abs=0.02)


def test_a_note_counts_by_its_weight() -> None:
    assert fitted(alone(FITS, 0.5, 1, 1, 4.0) + alone(FITS, 0.5, 0, 1, 1.0)).fits == pytest.approx(
        2.0, abs=0.02
    )


def test_a_kind_that_always_ends_alike_tells_nothing() -> None:
    bits = fitted(alone(FITS, 0.5, 3, 3) + alone(DIFFERS, 0.9, 9, 17))
    assert (bits.fits, bits.differs_more) == (0.0, 0.0)


def test_notes_of_which_little_is_said_are_left_out() -> None:
    likely, unlikely = alone(FITS, 0.5, 2, 3), alone(FITS, 0.1, 0, 50)
    assert fitted(likely + unlikely) == fitted(likely)


def test_candidates_of_one_kind_do_not_gain_on_each_other() -> None:
    """Twins without a given name: however sure it is that it is one of them, neither is likelier than the other."""
    kind = kind_of(NO_GIVEN)
    twins = [
        Told(1.0, ((0.4, first, kind), (0.4, not first, kind))) for first in (True, False) for _ in range(7)
    ]
    nobody = [Told(1.0, ((0.4, False, kind), (0.4, False, kind)))]
    bits = fitting_bits(twins + nobody)[kind]
    share = 0.4 * 2**bits / (0.2 + 0.8 * 2**bits)
    assert share == pytest.approx(14 / 15 / 2, abs=0.002)
