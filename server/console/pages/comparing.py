"""From linkage's evidence, explained, to the shapes that pages compare field by field.

`explanation` takes two descriptions with their evidence (`Compared`); the template `parts/explanation.html` makes
of it a chart with its table. Whatever puts two records side by side uses the two.
"""

from __future__ import annotations

from typing import cast

from server.console import words
from server.console.views_child import Explanation, FieldComparison, Verdict
from server.explaining import Compared, Field
from server.linkage.explain import OUTCOME_WORDS, SCALE, not_compared

BAR_BITS_MAX = 16.0
"""The weight that fills half of a field's bar: only a number of the child's own says more."""


def explanation(found: Compared, *, version: str = "", rule: str | None = None) -> Explanation:
    """One candidate's evidence. Of a restricted record the verdicts are shown and its values are not; of one that
    is closed to the reader, nothing."""
    # "UPN" and "NHS number" keep their capitals inside a sentence.
    left_out = [name if name[:2].isupper() else name.lower() for name in not_compared(found.steps)]
    household = found.household
    return Explanation(
        probability=found.probability,
        fields=tuple(_field(field, withheld=found.withheld) for field in found.fields),
        steps=found.steps,
        total_weight=found.total_weight,
        changed=found.changed,
        total_now=found.total_now,
        not_compared=words.listed(left_out) or None,
        household_weight=found.household_weight,
        household=household[0].upper() + household[1:] + "." if household else None,
        rules=(rule,) if rule else (),
        model_version=version,
    )


def _field(field: Field, *, withheld: bool) -> FieldComparison:
    left, width = centred(field.weight)
    return FieldComparison(
        label=field.label,
        described=written(field.name, field.described),
        described_read=field.described_read,
        known=_withheld(field) if withheld else written(field.name, field.known),
        known_read=field.known_read,
        verdict=cast("Verdict", field.outcome),
        weight=field.weight,
        # "the same" and "different" say no more than the verdict does.
        remark=field.words
        if field.outcome != "missing" and field.words not in ("the same", "different")
        else None,
        rarity=field.remark or None,
        now=_now(field),
        left=left,
        width=width,
    )


def _now(field: Field) -> str | None:
    if field.now is None:
        return None
    return (
        f"now {OUTCOME_WORDS[field.now.outcome].lower()}, {words.signed(field.now.weight)}: {field.now.words}"
    )


def centred(weight: float) -> tuple[float, float]:
    """A weight as a bar from the middle of the scale: (left, width); to the right where it speaks for."""
    half = SCALE / 2
    width = round(min(abs(weight) / BAR_BITS_MAX, 1.0) * half, 2)
    return (half if weight > 0 else round(half - width, 2)), width


def _withheld(field: Field) -> str | None:
    """A restricted record's value: that there is one may be said, where it was compared."""
    return None if field.outcome == "missing" else "withheld"


def written(name: str, value: str | None) -> str | None:
    """A value as a page shows it: codes become words."""
    return value.capitalize() if value and name == "sex" else value
