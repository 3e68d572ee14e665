"""A decision explained, step by step: the waterfall as data, and the same in plain words."""

from __future__ import annotations

from math import log2

import msgspec

from server.linkage import levels as lv
from server.linkage.decide import Candidate
from server.linkage.model import Model

START, HOUSEHOLD, TOTAL = "start", "household", "total"

_LABELS = {c.name: c.label for c in lv.COMPARISONS}
_LEVEL_LABELS = {(c.name, level.name): level.label for c in lv.COMPARISONS for level in c.levels}
_OF_THE_HOME = ("family_name", "address", "phone", "guardian")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of the waterfall. `weight` and `total` (running, after this step) are in bits.

    `comparison` is a comparison's name, or "start", "household", "total"; `outcome` is agree, near, differ or
    missing, and "" for these three.
    """

    comparison: str
    title: str
    label: str
    outcome: str
    weight: float
    total: float


def explain(candidate: Candidate, model: Model) -> tuple[Step, ...]:
    """The waterfall of one candidate: from how likely any child is, through every comparison (missing ones
    too, at 0 bits), to the total in bits for this child against "not this child"."""
    prior = log2(model.known_share / model.registry_size / (1 - model.known_share))
    total = prior
    steps = [
        Step(
            comparison=START,
            title="Before comparing",
            label="one child out of all on the registry",
            outcome="",
            weight=round(prior, 2),
            total=round(prior, 2),
        )
    ]
    by_name = {e.comparison: e for e in candidate.evidence}
    for comparison in lv.COMPARISONS:
        evidence = by_name.get(comparison.name)
        weight = evidence.weight if evidence else 0.0
        level = evidence.level if evidence else comparison.levels[0].name
        total += weight
        steps.append(
            Step(
                comparison=comparison.name,
                title=comparison.label,
                label=_LEVEL_LABELS.get((comparison.name, level), level),
                outcome=evidence.outcome if evidence else lv.MISSING,
                weight=round(weight, 2),
                total=round(total, 2),
            )
        )
    if abs(candidate.household_step) >= 0.005:
        total += candidate.household_step
        steps.append(
            Step(
                comparison=HOUSEHOLD,
                title="Same home",
                label=household_words(candidate) or "could be a brother or a sister",
                outcome="",
                weight=round(candidate.household_step, 2),
                total=round(total, 2),
            )
        )
    steps.append(
        Step(
            comparison=TOTAL,
            title="Taken together",
            label=_share(candidate.probability),
            outcome="",
            weight=round(total, 2),
            total=round(total, 2),
        )
    )
    return tuple(steps)


def household_words(candidate: Candidate) -> str:
    """Such as "same address: could be a brother or a sister"; "" when nothing of the home agrees."""
    agreeing = {e.comparison for e in candidate.evidence if e.outcome == lv.AGREE}
    shared = [_LABELS[name].lower() for name in _OF_THE_HOME if name in agreeing]
    if not shared:
        return ""
    listed = shared[0] if len(shared) == 1 else ", ".join(shared[:-1]) + " and " + shared[-1]
    return f"same {listed}: could be a brother or a sister"


def outcomes(candidate: Candidate) -> dict[str, str]:
    """For every comparison, agree, near, differ or missing: what a screen shows field by field."""
    found = {e.comparison: e.outcome for e in candidate.evidence}
    return {c.name: found.get(c.name, lv.MISSING) for c in lv.COMPARISONS}


def in_words(steps: tuple[Step, ...]) -> list[str]:
    """The waterfall as lines of text, one for each step that says something."""
    lines = []
    for step in steps:
        if step.outcome == lv.MISSING:
            continue
        sign = "+" if step.weight > 0 else ""
        amount = f"{sign}{step.weight:.1f} bits" if step.comparison != TOTAL else f"{step.total:.1f} bits"
        lines.append(f"{step.title}: {step.label} ({amount})")
    return lines


def _share(probability: float) -> str:
    if probability >= 0.9995:
        return "practically certain"
    if probability >= 0.01:
        per_thousand = probability >= 0.995
        return f"{1000 * probability:.0f} in 1,000" if per_thousand else f"{100 * probability:.0f} in 100"
    return "less than 1 in 100"
