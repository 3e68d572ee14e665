"""What a probability is taken to mean, by the kind of agreement."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage import levels as lv
from server.linkage.calibration import Calibration, differences
from server.linkage.model import default_model
from tests.linkage.builders import decided, record

BITS = Calibration(fits=1.0, fits_no_given=2.0, differs=-3.0, differs_more=-1.5)
LINK = 0.9957


def levels_of(**changes: object) -> list[int]:
    return decided(record(**changes), record()).candidates[0].levels


@pytest.mark.parametrize(
    ("changes", "differing", "bits"),
    [
        ({}, 0, 1.0),
        ({"phone": "07700 900999", "school": "Another School"}, 0, 1.0),
        ({"given_names": None}, 0, 2.0),
        ({"given_names": "L"}, 0, 2.0),
        ({"family_name": None}, 0, 1.0),
        ({"family_name": "Whitcombe"}, 1, -3.0),
        ({"date_of_birth": datetime.date(2013, 5, 22)}, 1, -3.0),
        ({"date_of_birth": datetime.date(2013, 5, 22), "family_name": "Whitcombe"}, 2, -4.5),
        ({"address": "3 Rye Lane", "postcode": "N1 9GU", "sex": "male", "given_names": None}, 2, -4.5),
    ],
)
def test_the_bits_go_by_what_differs(changes: dict[str, object], differing: int, bits: float) -> None:
    levels = levels_of(**changes)
    assert (differences(levels), BITS.bits(levels)) == (differing, bits)


def test_odds_are_multiplied() -> None:
    fits = levels_of()
    assert BITS.meant(0.5, fits, LINK) == pytest.approx(2 / 3)
    assert Calibration().meant(0.5, fits, LINK) == 0.5


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 2))
def test_what_is_meant_never_decreases_and_what_is_certain_enough_stays_so(
    one: float, other: float, differing: int
) -> None:
    levels = [lv.G_EXACT, lv.F_EXACT, lv.B_EXACT, 0, 0, 0, 0, 0, 0, 0]
    for at, level in ((lv.FAMILY, lv.F_DIFFER), (lv.BORN, lv.B_DIGIT))[:differing]:
        levels[at] = level
    low, high = sorted((one, other))
    assert BITS.meant(low, levels, LINK) <= BITS.meant(high, levels, LINK)
    assert (BITS.meant(0.0, levels, LINK), BITS.meant(1.0, levels, LINK)) == (0.0, 1.0)
    for p in (low, high):
        assert (BITS.meant(p, levels, LINK) >= LINK) == (p >= LINK)


def test_a_place_where_a_child_was_seen_is_no_home_that_differs() -> None:
    """Such as "bus station": it says nothing of where the child lives."""
    seen = levels_of(address="Peckham bus station", postcode=None)
    assert seen[lv.ADDRESS] == lv.MISSING_LEVEL
    street = levels_of(address="Rye Lane", postcode=None)
    assert street[lv.ADDRESS] in (lv.MISSING_LEVEL, lv.A_STREET)
    assert levels_of(address="9 Rye Lane", postcode=None)[lv.ADDRESS] == lv.A_DIFFER


def test_the_default_says_less_of_a_child_of_whom_something_differs() -> None:
    bits = default_model().calibration
    assert bits.differs < -1 < 0 < bits.fits < bits.fits_no_given
