"""A rule pack in words, for whoever must know what is in force: thresholds, chains and school terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from server.casework.pack import Pack
from server.casework.shapes import EscalationStep, Rule
from server.casework.words import number, ordinal
from sync.vocabulary import Grade


def rule_in_words(rule: Rule) -> str:
    """What a rule says, with its own numbers: `Three or more separate concerns in 90 days`."""
    given: defaultdict[str, str] = defaultdict(str)
    for key, field, say in _NUMBERS:
        value = getattr(rule, field, None)
        if value is not None:
            given[key] = say(value)
    given |= {"until": "72 hours after it began", "before": "the next school day"}
    # What is after a semicolon tells who wrote the notes, which only a flag can say.
    said = rule.sentence.partition(";")[0].format_map(given).strip()
    return f"{said[0].upper()}{said[1:]}" if said else rule.sentence


_NUMBERS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("years", "under_years", lambda value: f"{value:g}"),
    ("hours", "over_hours", lambda value: f"{value:g}"),
    ("days", "within_days", lambda value: f"{value:g}"),
    ("count", "at_least", lambda value: f"{number(int(value))} or more"),
    ("ordinal", "at_least", lambda value: f"{ordinal(int(value))} or later"),
)


def chain_in_words(pack: Pack, grade: Grade, title_of: Callable[[str], str]) -> str:
    """Who hears of an alert that nobody acknowledges, and after what: `supervisor after 15 min, ...`."""
    steps = [f"{title_of(step.role)} {_after(step)}" for step in pack.escalations.chain(grade)]
    again = _minutes(pack.escalations.again.minutes(grade))
    return ", ".join([*steps, f"then again every {again}"])


def _after(step: EscalationStep) -> str:
    return (
        f"after {_minutes(step.minutes)}" if step.minutes is not None else f"at {step.percent} % of the clock"
    )


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:g} s"
    if minutes < 120 or minutes % 60:
        return f"{minutes:g} min"
    hours = minutes / 60
    return f"{hours:g} h" if hours < 48 or hours % 24 else f"{hours / 24:g} days"


def terms_in_words(pack: Pack) -> tuple[str, ...]:
    """Each school calendar with what is known of its terms, and what holds beyond them."""
    said = []
    for name, year in pack.school.calendars.items():
        if year.terms:
            first, last = year.terms[0].first, year.terms[-1].last
            known = f"terms from {first.day} {first:%B %Y} to {last.day} {last:%B %Y}"
        else:
            known = "no terms are given: every weekday that is no bank holiday counts as a school day"
        said.append(f"{name}: {known}")
    return tuple(said)
