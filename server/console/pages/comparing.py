"""From linkage's evidence, explained, to the shapes that pages compare field by field."""

from __future__ import annotations

from typing import cast

from server.console.views_child import Explanation, FieldComparison, Verdict
from server.explaining import Compared, Explained, Field

_RULES = {
    "this record is restricted: a person with access decides": "Restricted record: a person always decides.",
    "an official number differs": "An official number differs: never linked automatically.",
    "without a given name it could be a brother or a sister": "No given name in the note: it could be a "
    "brother or a sister, so a person decides.",
}
"""Reasons of linkage that read better alone than at the end of a sentence."""


def explanation(
    found: Compared, *, restricted: bool, version: str = "", rule: str | None = None
) -> Explanation:
    """One candidate's evidence. Of a restricted record the verdicts are shown and its values are not."""
    fields = [
        FieldComparison(
            label=field.label,
            described=_written(field, field.described),
            known=_withheld(field) if restricted else _written(field, field.known),
            verdict=cast("Verdict", field.outcome),
            weight=field.weight,
            # "the same" and "different" say no more than the verdict does.
            remark=field.words
            if field.outcome != "missing" and field.words not in ("the same", "different")
            else None,
        )
        for field in found.fields
    ]
    household = found.household
    return Explanation(
        probability=found.probability,
        start_weight=found.start_weight,
        fields=tuple(fields),
        total_weight=found.total_weight,
        household_weight=found.household_weight,
        household=household[0].upper() + household[1:] + "." if household else None,
        rules=(rule,) if rule else (),
        model_version=version,
    )


def _withheld(field: Field) -> str | None:
    """A restricted record's value: that there is one may be said, where it was compared."""
    return None if field.outcome == "missing" else "withheld"


def _written(field: Field, value: str | None) -> str | None:
    """A value as a page shows it: codes become words."""
    return value.capitalize() if value and field.name == "sex" else value


def rule_of(explained: Explained) -> str | None:
    """The hard rule, or the doubt, that left the decision to a person, as a sentence; None without one."""
    _, colon, said = explained.reason.partition(": ")
    if not colon:
        return None
    whole = explained.reason[len(explained.reason) - len(said) :]
    return _RULES.get(whole, whole[0].upper() + whole[1:] + ".")
