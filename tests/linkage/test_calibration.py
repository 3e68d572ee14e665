"""What a probability is taken to mean, by the kind of agreement."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from server.linkage import levels as lv
from server.linkage.calibration import MEASURED_CHILDREN_MIN, MILLION, Calibration, differences
from server.linkage.decide import Decider
from server.linkage.model import default_model
from tests.linkage.builders import decided, index_of, record

BITS = Calibration(
    fits=1.0, fits_no_family=0.5, fits_no_given=2.0, fits_bare=0.25, differs=-3.0, differs_more=-1.5,
    differs_doubling=0.5,
)  # fmt: skip
HOMELESS: dict[str, object] = {"address": None, "postcode": None}


def levels_of(**changes: object) -> list[int]:
    return decided(record(**changes), record()).candidates[0].levels


@pytest.mark.parametrize(
    ("changes", "differing", "bits"),
    [
        ({}, 0, 1.0),
        ({"phone": "07700 900999", "school": "Another School"}, 0, 1.0),
        ({"given_names": None}, 0, 2.0),
        ({"given_names": "L"}, 0, 2.0),
        ({"given_names": "L", **HOMELESS}, 0, 2.0),
        ({"given_names": None, **HOMELESS}, 0, 0.25),
        ({"family_name": None}, 0, 0.5),
        ({"sex": "male"}, 0, 1.0),
        ({"family_name": "Whitcombe"}, 1, -3.0),
        ({"date_of_birth": datetime.date(2013, 5, 22)}, 1, -3.0),
        ({"date_of_birth": datetime.date(2013, 5, 22), "family_name": "Whitcombe"}, 2, -4.5),
        (
            {"address": "3 Rye Lane", "postcode": "N1 9GU", "given_names": None, "family_name": "Whitcombe"},
            2,
            -4.5,
        ),
    ],
)
def test_the_bits_go_by_what_differs(changes: dict[str, object], differing: int, bits: float) -> None:
    levels = levels_of(**changes)
    assert (differences(levels), BITS.bits(levels, MILLION)) == (differing, bits)


def test_what_differs_says_more_against_a_child_in_a_smaller_registry() -> None:
    levels = levels_of(family_name="Whitcombe")
    assert [BITS.bits(levels, MILLION * times // 4) for times in (1, 2, 4, 8)] == [-4.0, -3.5, -3.0, -2.5]
    assert BITS.bits(levels, 7) == BITS.bits(levels, MEASURED_CHILDREN_MIN)
    assert BITS.bits(levels_of(), 7) == BITS.bits(levels_of(), MILLION)


def said(calibration: Calibration, *known: dict[str, object], **note: object) -> list[float]:
    model = msgspec.structs.replace(default_model(), calibration=calibration)
    found = Decider(model).decide(record(**note), index_of(record(**one) for one in known))
    return [candidate.probability for candidate in found.candidates]


def test_odds_are_multiplied() -> None:
    vague = {"given_names": None, "phone": None, "guardian": None, "school": None}
    (counted,), (meant,) = said(Calibration(), {}, **vague), said(BITS, {}, **vague)
    assert 0.1 < counted < 0.98
    assert meant / (1 - meant) == pytest.approx(4 * counted / (1 - counted))


def test_twins_of_whom_nothing_tells_which_stay_alike() -> None:
    vague = {"given_names": None, "school": None}
    shares = said(BITS, {"given_names": "Leila"}, {"given_names": "Grace"}, **vague)
    assert shares[0] == pytest.approx(shares[1]) and sum(shares) <= 1


def test_what_is_certain_enough_to_link_is_taken_as_it_is_and_nothing_else_is_said_to_be() -> None:
    raised = Calibration(fits=20.0, fits_no_given=20.0)
    assert said(raised, {}) == said(Calibration(), {})
    vague = {"given_names": None, "phone": None, "guardian": None, "school": None}
    assert said(raised, {}, **vague) == [default_model().unlinked_most]


def test_a_place_where_a_child_was_seen_is_no_home_that_differs() -> None:
    """Such as "bus station": it says nothing of where the child lives."""
    seen = levels_of(address="Peckham bus station", postcode=None)
    assert seen[lv.ADDRESS] == lv.MISSING_LEVEL
    street = levels_of(address="Rye Lane", postcode=None)
    assert street[lv.ADDRESS] in (lv.MISSING_LEVEL, lv.A_STREET)
    assert levels_of(address="9 Rye Lane", postcode=None)[lv.ADDRESS] == lv.A_DIFFER


def test_the_default_says_less_of_a_child_of_whom_something_differs() -> None:
    bits = default_model().calibration
    assert bits.differs + bits.differs_more < bits.differs < -1 < 0 < bits.fits < bits.fits_no_given
