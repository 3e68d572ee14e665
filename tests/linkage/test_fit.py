"""Points for a calibration from what was said and what was true."""

from __future__ import annotations

from tests.linkage.fit import knots
from tests.linkage.measure import Judged


def told(probability: float, right: int, of: int, weight: float = 1.0) -> list[Judged]:
    return [Judged(probability, number < right, weight) for number in range(of)]


def test_points_are_what_was_true_of_what_was_said() -> None:
    assert knots(told(0.25, 1, 5) + told(0.65, 4, 5)) == [(0.25, 0.2), (0.65, 0.8)]


def test_neighbours_that_do_not_rise_are_joined() -> None:
    assert knots(told(0.45, 3, 4) + told(0.55, 1, 4)) == [(0.45, 0.5), (0.55, 0.5)]


def test_a_note_counts_by_its_weight() -> None:
    assert knots(told(0.35, 1, 1, 3.0) + told(0.35, 0, 1, 1.0)) == [(0.35, 0.75)]


def test_what_is_nearly_sure_and_what_is_hardly_likely_is_taken_as_it_is() -> None:
    assert knots(told(0.97, 1, 9) + told(0.05, 9, 9)) == []
