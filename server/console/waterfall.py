"""The waterfall of a link's weights, as bars on one scale: what the explanation table draws. Pure."""

import itertools

import msgspec

from server.console.views_child import Explanation

SCALE = 100.0
"""Bars are placed on a scale of 0 to 100, so that a template needs no arithmetic."""

SCALE_BITS_MIN = 12.0
"""The least span of a scale: small weights must not look like large ones."""


class Bar(msgspec.Struct, frozen=True):
    """One step: from `left` for `width` on the scale of 0 to 100; `total` is the sum so far, in bits."""

    label: str
    weight: float
    total: float
    left: float
    width: float
    kind: str
    """"start", "for", "against", "nothing" or "total"."""


class Waterfall(msgspec.Struct, frozen=True):
    """All steps, and where even odds (0 bits) lie on the scale."""

    bars: tuple[Bar, ...]
    zero: float


def waterfall(explanation: Explanation) -> Waterfall:
    """Lays the start, each field and the total out on one scale that holds every partial sum and zero."""
    sums = [explanation.start_weight]
    for field in explanation.fields:
        sums.append(sums[-1] + field.weight)
    if explanation.household_weight:
        sums.append(sums[-1] + explanation.household_weight)
    low = min(0.0, explanation.total_weight, *sums)
    high = max(0.0, explanation.total_weight, *sums)
    span = max(high - low, SCALE_BITS_MIN)

    def place(bits: float) -> float:
        return round((bits - low) / span * SCALE, 2)

    def bar(label: str, weight: float, start: float, end: float, kind: str) -> Bar:
        left, right = place(min(start, end)), place(max(start, end))
        return Bar(label, weight, end, left, round(max(right - left, 0.6), 2), kind)

    start = explanation.start_weight
    bars = [bar("Before any field", start, 0.0, start, "start")]
    steps = [(field.label, field.weight) for field in explanation.fields]
    if explanation.household_weight:
        steps.append(("Same home", explanation.household_weight))
    for (label, weight), (before, after) in zip(steps, itertools.pairwise(sums), strict=True):
        kind = "nothing" if abs(weight) < 0.05 else "for" if weight > 0 else "against"
        bars.append(bar(label, weight, before, after, kind))
    total = explanation.total_weight
    bars.append(bar("Altogether", total, 0.0, total, "total"))
    return Waterfall(tuple(bars), place(0.0))
