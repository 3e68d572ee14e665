"""Explanations of links, made up: each weight, and how they add up. See `samples`."""

import msgspec

from server.console.views_child import (
    Explanation,
    FieldComparison,
)
from server.linkage.explain import Step


def summed(why: Explanation, start: float = -14.3) -> Explanation:
    """The same with the steps of its waterfall, as linkage would add its fields up."""
    total, steps = start, [_step("start", "Before comparing", "one child out of all", "", start, start)]
    for field in why.fields:
        total += field.weight
        said = field.remark or field.verdict
        steps.append(_step(field.label, field.label, said, field.verdict, field.weight, total))
    if why.household_weight:
        total += why.household_weight
        steps.append(_step("household", "Same home", why.household or "", "", why.household_weight, total))
    steps.append(_step("total", "Taken together", "61 in 100", "", total, total))
    return msgspec.structs.replace(why, steps=tuple(steps), total_weight=total)


def _step(comparison: str, title: str, label: str, outcome: str, weight: float, total: float) -> Step:
    return Step(comparison=comparison, title=title, label=label, outcome=outcome, weight=weight, total=total)


def explanation(kind: str = "link") -> Explanation:
    """Why: a confident link, or a doubtful one that a household explains."""
    return summed(_explanation(kind))


def _explanation(kind: str) -> Explanation:
    if kind == "link":
        return Explanation(
            probability=0.99974,
            fields=(
                FieldComparison(
                    label="Given name",
                    described="Ameera",
                    known="Amira",
                    verdict="near",
                    weight=5.4,
                    remark="sounds the same",
                ),
                FieldComparison(
                    label="Family name",
                    described="Hassan",
                    known="Hassan",
                    verdict="agree",
                    weight=6.1,
                    remark="a common name here",
                ),
                FieldComparison(
                    label="Date of birth",
                    described="7 March 2011",
                    known="3 July 2011",
                    verdict="near",
                    weight=8.8,
                    remark="day and month swapped",
                ),
                FieldComparison(label="Sex", described="Female", known="Female", verdict="agree", weight=1.0),
                FieldComparison(label="Address", described=None, known="14 Larkhall Rise", verdict="missing"),
                FieldComparison(
                    label="Postcode",
                    described="SW4 6JH",
                    known="SW9 8EX",
                    verdict="differ",
                    weight=-1.9,
                    remark="people move",
                ),
                FieldComparison(
                    label="School",
                    described="Stockwell Park",
                    known="Stockwell Park",
                    verdict="agree",
                    weight=6.8,
                ),
                FieldComparison(label="Phone", described=None, known="07700 900123", verdict="missing"),
            ),
            total_weight=11.9,
            model_version="hand-set 1",
        )
    return Explanation(
        probability=0.61,
        fields=(
            FieldComparison(
                label="Given name",
                described="Jay",
                known="Jayden",
                verdict="near",
                weight=3.9,
                remark="a short form",
                rarity="a common name: counts less (\u22121.2)",
                known_read="Jay",
            ),
            FieldComparison(
                label="Family name", described="Okafor", known="Okafor", verdict="agree", weight=7.2
            ),
            FieldComparison(label="Date of birth", described=None, known="19 May 2011", verdict="missing"),
            FieldComparison(label="Age", described="about 13", known="13", verdict="agree", weight=2.7),
            FieldComparison(label="Sex", described="Male", known="Male", verdict="agree", weight=1.0),
            FieldComparison(
                label="Address",
                described="Flat 9, Rye Hill Estate",
                known="9 Rye Hill Estate",
                verdict="near",
                weight=6.3,
                remark="same number and street",
            ),
            FieldComparison(
                label="School",
                described="Harris Peckham",
                known="St Thomas the Apostle",
                verdict="differ",
                weight=-3.2,
            ),
        ),
        total_weight=3.6,
        household="Same address and surname: could be a brother.",
        rules=(
            "The given name is only near while a household explains the rest: never linked automatically.",
        ),
        model_version="hand-set 1",
    )


def poor(position: int) -> Explanation:
    """A weak candidate."""
    return summed(_poor(position))


def _poor(position: int) -> Explanation:
    names = {2: ("Joshua", "differ", -4.1), 3: ("Jamal", "differ", -3.8)}
    known, _, weight = names[position]
    return Explanation(
        probability=0.27 if position == 2 else 0.02,
        fields=(
            FieldComparison(
                label="Given name", described="Jay", known=known, verdict="differ", weight=weight
            ),
            FieldComparison(
                label="Family name",
                described="Okafor",
                known="Okafor" if position == 2 else "Okafor-Mensah",
                verdict="agree" if position == 2 else "near",
                weight=7.2 if position == 2 else 4.0,
                remark=None if position == 2 else "half of a double name",
            ),
            FieldComparison(
                label="Date of birth",
                described=None,
                known="2 August 2009" if position == 2 else None,
                verdict="missing",
            ),
            FieldComparison(
                label="Age",
                described="about 13",
                known="15" if position == 2 else "about 14",
                verdict="near",
                weight=0.4,
                remark="two years apart" if position == 2 else None,
            ),
            FieldComparison(label="Sex", described="Male", known="Male", verdict="agree", weight=1.0),
            FieldComparison(
                label="Address",
                described="Flat 9, Rye Hill Estate",
                known="9 Rye Hill Estate" if position == 2 else None,
                verdict="near" if position == 2 else "missing",
                weight=6.3 if position == 2 else 0.0,
            ),
            FieldComparison(
                label="School",
                described="Harris Peckham",
                known="Harris Peckham" if position == 2 else "Ark Walworth",
                verdict="agree" if position == 2 else "differ",
                weight=5.9 if position == 2 else -3.2,
            ),
        ),
        total_weight=2.4 if position == 2 else -15.9,
        household="Same address and surname: could be a brother." if position == 2 else None,
        model_version="hand-set 1",
    )
