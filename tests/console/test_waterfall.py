"""The bars of the explanation: every bar on the scale, each beginning where the one before ended."""

import math

from server.console.views_child import Explanation, FieldComparison
from server.console.waterfall import SCALE, waterfall
from tests.console import samples


def test_the_bars_stay_on_the_scale_and_the_sums_end_at_the_total() -> None:
    for why in (samples.explanation(), samples.explanation("doubt"), samples.poor(2), samples.poor(3)):
        fall = waterfall(why)
        assert len(fall.bars) == len(why.fields) + 2
        assert all(0 <= bar.left <= SCALE and bar.width > 0 for bar in fall.bars)
        assert all(bar.left + bar.width <= SCALE + 1 for bar in fall.bars)
        assert 0 <= fall.zero <= SCALE
        assert math.isclose(fall.bars[-2].total, why.total_weight, abs_tol=0.05)


def test_a_field_for_and_a_field_against_are_told_apart_and_a_missing_one_says_nothing() -> None:
    why = Explanation(
        probability=0.5,
        start_weight=0.0,
        total_weight=1.0,
        fields=tuple(
            FieldComparison(label=label, described="a", known="b", verdict="near", weight=weight)
            for label, weight in (("For", 3.0), ("Against", -2.0), ("Nothing", 0.0))
        ),
    )
    assert [bar.kind for bar in waterfall(why).bars] == ["start", "for", "against", "nothing", "total"]


def test_small_weights_do_not_fill_the_scale() -> None:
    field = FieldComparison(label="Sex", described="f", known="f", verdict="agree", weight=1.0)
    why = Explanation(probability=0.6, start_weight=0.0, total_weight=1.0, fields=(field,))
    assert waterfall(why).bars[1].width < SCALE / 10
