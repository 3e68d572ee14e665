"""Why linkage thinks what it thinks, field by field and in words: for the doors and for the pages.

Takes a stored `Decision` and the two descriptions it compared; reads nothing and decides nothing. Weights are in
bits: one more bit doubles the odds.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

import msgspec

from server.linkage.decide import Candidate, Decision
from server.linkage.explain import HOUSEHOLD, START, TOTAL, explain, household_words
from server.linkage.model import Model
from server.records.children import Details
from server.records.links import Event


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field compared. `described` and `known` are as written, None where nothing is known or it is withheld.

    `outcome` is agree, near, differ or missing; `words` say how ("one letter or two away, as in a slip").
    """

    name: str
    label: str
    described: str | None
    known: str | None
    outcome: str
    words: str
    weight: float


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate. `start_weight` is before any field, `total_weight` after all, both in bits.

    `household` is what the note and the child share that a brother or sister would share too, in words, and
    `household_weight` what that takes away. `withheld`: the record is restricted to others, so no value of it
    is in `fields`.
    """

    child_id: int
    probability: float
    start_weight: float
    fields: tuple[Field, ...]
    household: str | None
    household_weight: float
    total_weight: float
    withheld: bool


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A decision explained. `new_probability`: that the subject is no known child."""

    reason: str
    model_version: str
    new_probability: float
    candidates: tuple[Compared, ...]


def explained(
    decision: Decision, described: Details, known: Mapping[int, Details], model: Model
) -> Explained:
    """A decision with every candidate it kept. `known` holds the details of those who may be shown."""
    candidates = tuple(
        compared(candidate, described, known.get(candidate.child_id), model)
        for candidate in decision.candidates
    )
    rest = 1.0 - sum(candidate.probability for candidate in candidates)
    return Explained(
        reason=decision.reason,
        model_version=decision.model_version,
        new_probability=max(0.0, round(rest, 6)),
        candidates=candidates,
    )


def compared(candidate: Candidate, described: Details, known: Details | None, model: Model) -> Compared:
    """One candidate against the description; `known` is None where the record is withheld."""
    theirs, ours = values(known) if known else {}, values(described)
    start = total = household_weight = 0.0
    fields = []
    for step in explain(candidate, model):
        if step.comparison == START:
            start = step.weight
        elif step.comparison == HOUSEHOLD:
            household_weight = step.weight
        elif step.comparison == TOTAL:
            total = step.total
        else:
            fields.append(
                Field(
                    name=step.comparison,
                    label=step.title,
                    described=ours.get(step.comparison),
                    known=theirs.get(step.comparison),
                    outcome=step.outcome,
                    words=step.label,
                    weight=step.weight,
                )
            )
    return Compared(
        child_id=candidate.child_id,
        probability=candidate.probability,
        start_weight=start,
        fields=tuple(fields),
        household=household_words(candidate) or None if household_weight else None,
        household_weight=household_weight,
        total_weight=total,
        withheld=known is None,
    )


def evidence_for(events: Iterable[Event], child_id: int | None) -> tuple[Decision, Candidate] | None:
    """The newest decision among a subject's link events that weighed this child, with its place in it.

    A person's decision carries no evidence of its own: what they had before them was linkage's.
    """
    for event in sorted(events, key=lambda event: event.event_id, reverse=True):
        for candidate in event.evidence.candidates if event.evidence else ():
            if candidate.child_id == child_id:
                assert event.evidence is not None
                return event.evidence, candidate
    return None


def values(details: Details) -> dict[str, str | None]:
    """What is written in each field that linkage compares, by the comparison's name."""
    aliases = ", ".join(details.aliases)
    given = details.given_names or ""
    return {
        "given_names": f"{given} (also {aliases})".strip() if aliases else given or None,
        "family_name": details.family_name,
        "date_of_birth": _born(details),
        "sex": details.sex,
        "address": ", ".join(part for part in (details.address, details.postcode) if part) or None,
        "phone": details.phone,
        "guardian": details.guardian,
        "school": details.school,
        "upn": details.upn,
        "nhs_number": details.nhs_number,
    }


def _born(details: Details) -> str | None:
    if details.date_of_birth is not None:
        return _day(details.date_of_birth)
    if details.approximate_age is None:
        return None
    on = f" on {_day(details.age_as_of)}" if details.age_as_of else ""
    return f"about {details.approximate_age:g}{on}"


def _day(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"
