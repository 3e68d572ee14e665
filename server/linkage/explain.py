"""A decision explained, step by step: the waterfall as data, its bars, and the same in plain words.

The terminal, the doors and the pages all take their steps, their words and their bars from here.
"""

from __future__ import annotations

from math import exp2, log2

import msgspec

from server.linkage import levels as lv
from server.linkage.decide import LINK, MORE_THAN_ONE, NOT_CERTAIN, Candidate, Decision, Evidence
from server.linkage.model import Model
from server.linkage.words import percent, signed

START, HOUSEHOLD, TOTAL = "start", "household", "total"
OUTCOME_WORDS = {lv.AGREE: "Agrees", lv.NEAR: "Near", lv.DIFFER: "Differs", lv.MISSING: "Missing"}
"""What a screen and a terminal call each outcome."""
NOT_COMPARED = "Not compared, since one side does not say"
"""What stands before the fields that have no bar."""

SCALE = 100.0
"""Bars are placed on a scale of 0 to 100, so that whoever draws them needs no arithmetic."""
SCALE_BITS_MIN = 12.0
"""The least span of a scale: small weights must not look like large ones."""
BAR_MIN = 0.6
"""The least width of a bar, so that a step of little weight is still seen."""
SAID_BITS_MIN = 0.5
"""Below half a bit the odds change by less than half: not worth a reader's time."""
SAID_SHARE_MIN = 0.005
"""By how much a calibration changes a probability before the reader is told."""
_PUT_RIGHT = "put right by how often such a weight has turned out to be the child"

_LABELS = {c.name: c.label for c in lv.COMPARISONS}
_LEVEL_LABELS = {(c.name, level.name): level.label for c in lv.COMPARISONS for level in c.levels}
_OF_THE_HOME = ("family_name", "address", "phone", "guardian")
_NAMES_GO_TOGETHER = "given and family names often go together: counts less"
_KIN = {
    "given_names": {lv.COMPARISONS[lv.GIVEN].levels[at].name for at in range(1, lv.G_SWAPPED + 1)},
    "family_name": {lv.COMPARISONS[lv.FAMILY].levels[at].name for at in range(1, lv.F_SWAPPED + 1)},
}
"""Levels at which the model takes `name_kinship_bits` off the family name, when both names reach one."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of the waterfall. `weight` and `total` (running, after this step) are in bits.

    `comparison` is a comparison's name, or "start", "household", "total"; `outcome` is agree, near, differ or
    missing, and "" for these three. `rarity` is the part of `weight` that comes from how common the name or
    school is, which `remark` says in words.
    """

    comparison: str
    title: str
    label: str
    outcome: str
    weight: float
    total: float
    rarity: float = 0.0
    remark: str = ""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A step on the scale of 0 to 100: from `left` for `width`, ending `at` its running total.

    `kind`: start, for, against, nothing, total.
    """

    step: Step
    left: float
    width: float
    at: float
    kind: str


class Waterfall(msgspec.Struct, frozen=True):
    """The bars of a candidate, and where even odds (0 bits) lie on the scale."""

    bars: tuple[Bar, ...]
    zero: float


def explain(candidate: Candidate, model: Model, *, start: float | None = None) -> tuple[Step, ...]:
    """The waterfall of one candidate: from how likely any child is, through every comparison (missing ones
    too, at 0 bits), to the total in bits for this child against "not this child".

    `start` is the decision's own, where it is of another day than the model's registry.
    """
    total = start or log2(model.known_share / model.registry_size / (1 - model.known_share))
    steps = [_step(START, "Before comparing", "one child out of all on the registry", "", total, total)]
    by_name = {e.comparison: e for e in candidate.evidence}
    family = by_name.get("family_name")
    kinship = model.kinship_taken(family.rarity) if family and _kindred(by_name) else 0.0
    for comparison in lv.COMPARISONS:
        name, evidence = comparison.name, by_name.get(comparison.name)
        if evidence is None:
            steps.append(
                _step(name, comparison.label, _LEVEL_LABELS[name, "missing"], lv.MISSING, 0.0, total)
            )
            continue
        total += evidence.weight
        label = _LEVEL_LABELS.get((name, evidence.level), evidence.level)
        remark = _remark(evidence, kinship if name == "family_name" else 0.0)
        steps.append(
            _step(
                name,
                comparison.label,
                label,
                evidence.outcome,
                evidence.weight,
                total,
                evidence.rarity,
                remark,
            )
        )
    if abs(candidate.household_step) >= 0.005:
        total += candidate.household_step
        words = household_words(candidate) or "could be a brother or a sister"
        steps.append(_step(HOUSEHOLD, "Same home", words, "", candidate.household_step, total))
    counted, meant = _alone(total), _alone(total + model.bits(candidate.levels))
    put_right = counted < model.link_probability and abs(meant - counted) >= SAID_SHARE_MIN
    remark = _PUT_RIGHT if put_right else ""
    steps.append(
        _step(TOTAL, "Taken together", _share(candidate.probability), "", total, total, remark=remark)
    )
    return tuple(steps)


def _alone(bits: float) -> float:
    """The probability of a candidate that weighs so much where there is no other."""
    return 1 / (1 + exp2(-max(min(bits, 500.0), -500.0)))


def _step(
    comparison: str,
    title: str,
    label: str,
    outcome: str,
    weight: float,
    total: float,
    rarity: float = 0.0,
    remark: str = "",
) -> Step:
    return Step(
        comparison=comparison,
        title=title,
        label=label,
        outcome=outcome,
        weight=round(weight, 2),
        total=round(total, 2),
        rarity=round(rarity, 2),
        remark=remark,
    )


def _kindred(by_name: dict[str, Evidence]) -> bool:
    return all(name in by_name and by_name[name].level in levels for name, levels in _KIN.items())


_HOW_COMMON = {
    "school": ("a large school", "a small school"),
    "address": ("many children live there", "few children live there"),
}


def _remark(evidence: Evidence, kinship: float) -> str:
    """What of a weight comes from how common the name is: "a common name: counts less"."""
    rarity = evidence.rarity + kinship
    common, seldom = _HOW_COMMON.get(evidence.comparison, ("a common name", "a rare name"))
    parts = []
    if rarity <= -SAID_BITS_MIN:
        parts.append(f"{common}: counts less ({signed(rarity)})")
    elif rarity >= SAID_BITS_MIN:
        parts.append(f"{seldom}: counts more ({signed(rarity)})")
    if kinship:
        parts.append(f"{_NAMES_GO_TOGETHER} ({signed(-kinship)})")
    return "; ".join(parts)


def waterfall(steps: tuple[Step, ...]) -> Waterfall:
    """Lays every step out on one scale that holds each partial sum and zero."""
    sums = [0.0, *(step.total for step in steps)]
    low, high = min(sums), max(sums)
    span = max(high - low, SCALE_BITS_MIN)

    def place(bits: float) -> float:
        return round((bits - low) / span * SCALE, 2)

    bars, before = [], 0.0
    for step in steps:
        begin = 0.0 if step.comparison in (START, TOTAL) else before
        left, right = place(min(begin, step.total)), place(max(begin, step.total))
        width = round(max(right - left, BAR_MIN), 2)
        at, kind = place(step.total), _kind(step)
        bars.append(Bar(step=step, left=min(left, round(SCALE - width, 2)), width=width, at=at, kind=kind))
        before = step.total
    return Waterfall(tuple(bars), place(0.0))


def _kind(step: Step) -> str:
    if step.comparison in (START, TOTAL):
        return step.comparison
    return "nothing" if abs(step.weight) < 0.05 else "for" if step.weight > 0 else "against"


def margin_bits(decision: Decision) -> float | None:
    """By how many bits the best candidate leads the second; None without a second."""
    if not decision.second_probability or not decision.probability:
        return None
    return round(log2(decision.probability / decision.second_probability), 2)


def why(decision: Decision, model: Model, *, discreet: bool = False) -> str:
    """Why it was linked, or which rule, doubt or rival kept it from that: the first sentence of all that is said.

    `discreet`: without the lead over the second candidate, of whom nothing may be told.
    """
    margin, likely = None if discreet else margin_bits(decision), percent(decision.probability)
    lead = "" if margin is None else f", {margin:.1f} bits ahead of the second candidate"
    if decision.outcome == LINK:
        return f"Linked automatically: {likely} likely{lead}."
    if decision.rule == MORE_THAN_ONE and margin is not None:
        return (
            f"Not linked: {MORE_THAN_ONE}. The second is {margin:.1f} bits behind, and a link needs a lead of "
            f"{model.link_margin_bits:g}."
        )
    if decision.rule == NOT_CERTAIN:
        return f"Not linked: {NOT_CERTAIN}. It is {likely} likely; a link needs {percent(model.link_probability)}."
    return f"Not linked: {decision.rule or decision.reason}."


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
        amount = signed(step.total if step.comparison == TOTAL else step.weight)
        remark = f"; {step.remark}" if step.remark else ""
        lines.append(f"{step.title}: {step.label}{remark} ({amount} bits)")
    return lines


def not_compared(steps: tuple[Step, ...]) -> list[str]:
    """The fields that say nothing, since one side does not have them."""
    return [step.title for step in steps if step.outcome == lv.MISSING]


def _share(probability: float) -> str:
    if probability >= 0.9995:
        return "practically certain"
    if probability >= 0.01:
        per_thousand = probability >= 0.995
        return f"{1000 * probability:.0f} in 1,000" if per_thousand else f"{100 * probability:.0f} in 100"
    return "less than 1 in 100"
