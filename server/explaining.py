"""Why linkage thinks what it thinks, field by field and in words: for the doors and for the pages.

Takes a stored `Decision` and the two descriptions it compared; reads nothing and decides nothing. Weights are in
bits: one more bit doubles the odds.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping

import msgspec

from server.linkage.decide import Candidate, Decider, Decision
from server.linkage.explain import (
    HOUSEHOLD,
    SAID_BITS_MIN,
    START,
    TOTAL,
    Step,
    explain,
    household_words,
    margin_bits,
    why,
)
from server.linkage.levels import MISSING
from server.linkage.readings import readings
from server.linkage.standardise import standardise
from server.records.child import Details
from server.records.links import Event


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What a field would come to if it were weighed again as both sides are now."""

    outcome: str
    words: str
    weight: float


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field compared. `described` and `known` are as written, None where nothing is known or it is withheld.

    `described_read` and `known_read` are what linkage made of each, None where it reads it as written and ""
    where it could make nothing of it. `outcome` is agree, near, differ or missing; `words` say how ("one letter
    or two away, as in a slip"). `rarity` is the part of `weight` that comes from how common the name is,
    `remark` the same in words. `now` where it would be weighed otherwise today.
    """

    name: str
    label: str
    described: str | None
    described_read: str | None
    known: str | None
    known_read: str | None
    outcome: str
    words: str
    weight: float
    rarity: float
    remark: str
    now: Now | None = None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate. `start_weight` is before any field, `total_weight` after all, both in bits.

    `household` is what the note and the child share that a brother or sister would share too, in words, and
    `household_weight` what that takes away. `steps` is the whole waterfall with its running total.
    `withheld`: the record is restricted, so no value of it is in `fields`. `closed`: it is restricted to others,
    and nothing is told of how it compares: that an address agrees would tell the address.
    `changed` says what has changed since, where it would be weighed otherwise today, and `total_now` how: None
    where the two are now too unlike to be weighed at all.
    """

    child_id: int
    probability: float | None
    start_weight: float
    fields: tuple[Field, ...]
    household: str | None
    household_weight: float
    total_weight: float
    withheld: bool
    steps: tuple[Step, ...] = ()
    closed: bool = False
    changed: str | None = None
    total_now: float | None = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A decision explained. `why` is the first thing to say: which rule, doubt or rival decided.

    `rule` alone kept it from being linked, "" for a link; `margin` is the lead over the second candidate in
    bits. `compared` children were compared in all. `new_probability`: that the subject is no known child, None
    where it would tell of a record that is closed to the reader.
    """

    outcome: str
    why: str
    rule: str
    margin: float | None
    second_child_id: int | None
    second_probability: float | None
    reason: str
    model_version: str
    decided_at: datetime.datetime
    compared: int
    new_probability: float | None
    candidates: tuple[Compared, ...]


class Weighing(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision is explained with: today's model, how the child is described now, and what may be told.

    `amended`: the description is another one than the decision's. `closed`: children of whom nothing may be told.
    `start`: the weight before any comparison, in bits, where it is not that of a note.
    """

    decider: Decider
    described: Details
    amended: bool = False
    closed: Collection[int] = ()
    start: float | None = None


def explained(decision: Decision, at: int, known: Mapping[int, Details], by: Weighing) -> Explained:
    """A decision (of `at`, milliseconds) with every candidate it kept.

    `known` holds the details of those whose values may be shown.
    """
    candidates = tuple(
        compared(candidate, known.get(candidate.child_id), by, decision) for candidate in decision.candidates
    )
    open_ = not any(candidate.closed for candidate in candidates)
    rest = 1.0 - sum(candidate.probability or 0.0 for candidate in candidates)
    return Explained(
        outcome=decision.outcome,
        why=why(decision, by.decider.model, discreet=not open_),
        rule=decision.rule,
        margin=margin_bits(decision) if open_ else None,
        second_child_id=decision.second_child_id if open_ else None,
        second_probability=decision.second_probability if open_ else None,
        reason=decision.reason,
        model_version=decision.model_version,
        decided_at=datetime.datetime.fromtimestamp(at / 1000, datetime.UTC),
        compared=decision.compared,
        new_probability=max(0.0, round(rest, 6)) if open_ else None,
        candidates=candidates,
    )


def compared(candidate: Candidate, known: Details | None, by: Weighing, decision: Decision) -> Compared:
    """One candidate against the description; `known` is None where the record's values are withheld."""
    if candidate.child_id in by.closed:
        return _closed(candidate)
    steps = explain(candidate, by.decider.model, start=decision.start)
    again = _weighed_again(candidate, known, by) if known is not None else steps
    changed = again is None or _differ(steps, again)
    now = {step.comparison: step for step in again or ()} if changed else {}
    parts = {step.comparison: step for step in steps}
    household = parts.get(HOUSEHOLD)
    return Compared(
        child_id=candidate.child_id,
        probability=candidate.probability,
        start_weight=parts[START].weight,
        fields=_fields(steps, known, by, now),
        household=household_words(candidate) or None if household else None,
        household_weight=household.weight if household else 0.0,
        total_weight=parts[TOTAL].total,
        withheld=known is None,
        steps=steps,
        changed=_what_changed(by, decision) if changed else None,
        total_now=again[-1].total if changed and again else None,
    )


def _closed(candidate: Candidate) -> Compared:
    return Compared(
        child_id=candidate.child_id,
        probability=None,
        start_weight=0.0,
        fields=(),
        household=None,
        household_weight=0.0,
        total_weight=0.0,
        withheld=True,
        closed=True,
    )


def _fields(
    steps: Iterable[Step], known: Details | None, by: Weighing, now: Mapping[str, Step]
) -> tuple[Field, ...]:
    ours, ours_read = values(by.described), readings_of(by.described)
    theirs = values(known) if known else {}
    theirs_read = readings_of(known) if known else {}
    fields = []
    for step in steps:
        name, again = step.comparison, now.get(step.comparison)
        if not step.outcome:
            continue
        changed = again is not None and _step_differs(step, again)
        fields.append(
            Field(
                name=name,
                label=step.title,
                described=ours.get(name),
                described_read=ours_read.get(name),
                known=theirs.get(name),
                # How a field is read that was compared with nothing explains nothing.
                known_read=theirs_read.get(name) if step.outcome != MISSING else None,
                outcome=step.outcome,
                words=step.label,
                weight=step.weight,
                rarity=step.rarity,
                remark=step.remark,
                now=Now(outcome=again.outcome, words=again.label, weight=again.weight)
                if changed and again
                else None,
            )
        )
    return tuple(fields)


def readings_of(details: Details) -> dict[str, str]:
    """What linkage makes of each field of a description, where that is something else than what is written."""
    written = details.description()
    return readings(written, standardise(written))


def _weighed_again(candidate: Candidate, known: Details, by: Weighing) -> tuple[Step, ...] | None:
    """The steps of the same pair as it stands now; None where the two are too unlike now to be weighed."""
    again = by.decider.weigh(
        standardise(by.described.description()),
        standardise(known.description()),
        candidate.child_id,
        restricted=candidate.restricted,
    )
    return None if again is None else explain(again, by.decider.model, start=by.start)


def _differ(then: Iterable[Step], now: Iterable[Step]) -> bool:
    by_name = {step.comparison: step for step in now}
    return any(step.outcome and _step_differs(step, by_name[step.comparison]) for step in then)


def _step_differs(then: Step, now: Step) -> bool:
    """Counts of names change daily: a weight that moved by little says nothing to a reader."""
    return then.label != now.label or abs(then.weight - now.weight) >= SAID_BITS_MIN


def _what_changed(by: Weighing, decision: Decision) -> str:
    if by.amended:
        return "The officer has described the child anew since this was decided."
    if decision.model_version != by.decider.version:
        return "Another model has come into use since this was decided."
    return "The record has changed since this was decided."


def evidence_for(events: Iterable[Event], child_id: int | None) -> tuple[Event, Candidate] | None:
    """The newest of a subject's link events that weighed this child, with what it made of it.

    A person's decision carries no evidence of its own: what they had before them was linkage's.
    """
    for event in sorted(events, key=lambda event: event.event_id, reverse=True):
        for candidate in event.evidence.candidates if event.evidence else ():
            if candidate.child_id == child_id:
                return event, candidate
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
