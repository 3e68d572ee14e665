"""The rules: what a child's whole history raises. Each kind of rule in the pack has one function here.

Windows. "Three in 90 days" means any stretch of 90 days that ends at an incident, both ends included, by
`observed_at`: a note that arrives late counts where it belongs, and a flag does not lapse as time passes. The
notes of every window that qualifies belong to the flag; its sentence speaks of the newest.

`raised_at` is the receipt of the note that first completed the grounds, whatever order the notes were
observed in: from then on somebody had the duty.
"""

import bisect
import datetime
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from server.casework.clocks import section_46_ends_at
from server.casework.days import next_school_start
from server.casework.facts import DAY_MS, ChildFacts, NoteFact
from server.casework.history import Episode, History
from server.casework.pack import Pack
from server.casework.shapes import (
    AnyRule,
    DangerNow,
    IncidentCount,
    LookedAfterMarker,
    MissingLongerThan,
    MissingUnderAge,
    MissingWithExploitation,
    PoliceProtection,
    Rule,
    SchoolToKnow,
    SourceCount,
)
from server.casework.words import counted, moment, number, ordinal
from sync.vocabulary import EXPLOITATION

_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_DAYS_PER_YEAR = 365.25


class Raised(msgspec.Struct, gc=False):
    """What a rule found: the positions of its notes in `History.live`, ascending, since when, and until when
    where the rule has a clock of its own."""

    rule: Rule
    sentence: str
    members: Sequence[int]
    raised_at: int
    due_at: int | None = None


def evaluate(rule: AnyRule, history: History) -> Raised | None:
    """What one rule raises on this history, or None."""
    if len(history.live) == 1 and isinstance(rule, IncidentCount | SourceCount) and rule.at_least > 1:
        return None  # most children have one note
    return _EVALUATORS[type(rule)](rule, history) if history.about else None


def _danger_now(rule: DangerNow, history: History) -> Raised | None:
    return _notes(rule, [n for n in history.about if history.live[n].danger_now], history)


def _missing_under_age(rule: MissingUnderAge, history: History) -> Raised | None:
    if not history.missing:
        return None
    before = _reaches_age_at(history.child, rule.under_years)
    if before is None:
        return None
    members = [n for n in history.missing if history.live[n].observed_at < before]
    return _notes(rule, members, history, years=rule.under_years)


def _reaches_age_at(child: ChildFacts, years: int) -> int | None:
    """When the child reaches that age, in milliseconds; None where no age is known.

    A child born on 29 February has the birthday on 1 March. The day begins at midnight UTC, up to an hour
    later than in London in summer, so that the doubtful hour counts as the younger age.
    """
    born = child.date_of_birth
    if born is not None:
        try:
            birthday = born.replace(year=born.year + years).toordinal()
        except ValueError:
            birthday = datetime.date(born.year + years, 3, 1).toordinal()
        return (birthday - _EPOCH_DAY) * DAY_MS
    if child.approximate_age is None or child.age_as_of is None:
        return None
    days_left = (years - child.approximate_age) * _DAYS_PER_YEAR
    return int((child.age_as_of.toordinal() - _EPOCH_DAY + days_left) * DAY_MS)


def _looked_after_marker(rule: LookedAfterMarker, history: History) -> Raised | None:
    child = history.child
    if not (child.looked_after and child.exploitation_marker):
        return None
    return _notes(rule, history.about, history)


def _missing_longer_than(rule: MissingLongerThan, history: History) -> Raised | None:
    live = history.live
    over = rule.over_hours
    members = [n for n in history.missing if (live[n].missing_hours or 0) > over]
    return _notes(rule, members, history, hours=f"{over:g}")


def _notes(rule: Rule, members: list[int], history: History, **words: object) -> Raised | None:
    """A flag that each of these notes raises by itself; None when there is none."""
    if not members:
        return None
    raised_at = min([history.live[n].received_at for n in members])
    return Raised(rule, _sentence(rule.sentence, words), members, raised_at)


def _police_protection(rule: PoliceProtection, history: History) -> Raised | None:
    """The newest protection decides the clock; what is said of one that runs does not make it longer."""
    live = history.live
    began = [(at, n) for n in history.about if (at := live[n].protected_from) is not None]
    if not began:
        return None
    began.sort()
    ends_at = section_46_ends_at(began[0][0])
    for at, _ in began:
        if at >= ends_at:
            ends_at = section_46_ends_at(at)
    found = _notes(rule, sorted(n for _, n in began), history, until=moment(ends_at))
    if found is not None:
        found.due_at = ends_at
    return found


def _school_to_know(rule: SchoolToKnow, history: History) -> Raised | None:
    """The next school day after the newest such note came: hours on a phone are nobody's delay at a desk."""
    live, child = history.live, history.child
    mask = history.pack.rule_masks[rule.name]
    members = [n for n in history.about if history.masks[n] & mask]
    if not members or not (child.school_known or any(note.school_named for note in live)):
        return None
    year = history.pack.school.year_of(child.school_borough or child.home_borough)
    newest_at = max(live[n].received_at for n in members)
    due_at = next_school_start(newest_at, year.terms, year.starts_at)
    found = _notes(rule, members, history, before=moment(due_at))
    if found is not None:
        found.due_at = due_at
    return found


def _missing_with_exploitation(rule: MissingWithExploitation, history: History) -> Raised | None:
    if not history.missing:
        return None
    words: dict[str, object] = {"days": rule.within_days}
    if history.child.exploitation_marker:
        return _notes(rule, history.missing, history, **words)
    live, masks = history.live, history.masks
    bits = _exploitation_bits(history.pack)
    signs = [n for n in history.about if masks[n] & bits or live[n].exploitation_indicator]
    if not signs:
        return None
    span_ms = rule.within_days * DAY_MS
    times = [live[n].observed_at for n in signs]
    received = [live[n].received_at for n in signs]
    members: set[int] = set()
    raised_at: int | None = None
    for n in history.missing:
        note = live[n]
        low = bisect.bisect_left(times, note.observed_at - span_ms)
        high = bisect.bisect_right(times, note.observed_at + span_ms)
        if low == high:
            continue
        members.add(n)
        members.update(signs[low:high])
        complete_at = max(note.received_at, min(received[low:high]))
        raised_at = complete_at if raised_at is None else min(raised_at, complete_at)
    if raised_at is None:
        return None
    return Raised(rule, _sentence(rule.sentence, words), sorted(members), raised_at)


def _exploitation_bits(pack: Pack) -> int:
    return pack.category_mask(_EXPLOITATION)


_EXPLOITATION = tuple(sorted(EXPLOITATION))


def windows(times: Sequence[int], span_ms: int, at_least: int) -> list[tuple[int, int]]:
    """The longest windows (first, last + 1) of `times`, sorted, that hold `at_least` and span no more.

    Every window that qualifies lies within one of them, and the last one is the newest.
    """
    found = []
    first = 0
    begins_at = times[0]
    for last, ends_at in enumerate(times):
        if ends_at - begins_at > span_ms:
            # The window before this one could not grow: it is whole.
            if last - first >= at_least:
                found.append((first, last))
            while ends_at - begins_at > span_ms:
                first += 1
                begins_at = times[first]
    if len(times) - first >= at_least:
        found.append((first, len(times)))
    return found


def _soonest_from(received: list[int]) -> list[int]:
    """The soonest receipt from each position on: no window that begins there is complete before it.

    Most notes arrive in the order observed, so that the first window settles when a flag was raised.
    """
    soonest = list(itertools.accumulate(reversed(received), min))
    soonest.reverse()
    return soonest


def _incident_count(rule: IncidentCount, history: History) -> Raised | None:
    episodes = history.episodes
    if len(episodes) < rule.at_least:
        return None
    if rule.categories:
        mask = history.pack.rule_masks[rule.name]
        episodes = [episode for episode in episodes if episode.mask & mask]
        if len(episodes) < rule.at_least:
            return None
    times = [episode.observed_at for episode in episodes]
    found = windows(times, rule.within_days * DAY_MS, rule.at_least)
    if not found:
        return None
    received = [episode.received_at for episode in episodes]
    soonest = _soonest_from(received)
    included: list[Episode] = []
    raised_at: int | None = None
    newest: list[Episode] = []
    done = 0
    for first, end in found:
        newest = episodes[first:end]
        included += episodes[max(first, done) : end]
        done = end
        if raised_at is None or soonest[first] < raised_at:
            complete_at = sorted(received[first:end])[rule.at_least - 1]
            raised_at = complete_at if raised_at is None else min(raised_at, complete_at)
    if raised_at is None:
        return None
    words: dict[str, object] = {"ordinal": ordinal(len(newest)), "count": number(len(newest))}
    return _counted(rule, rule.within_days, included, newest, words, raised_at, history)


def _source_count(rule: SourceCount, history: History) -> Raised | None:
    episodes = history.episodes
    if len(episodes) < rule.at_least:
        return None
    times = [episode.observed_at for episode in episodes]
    found = windows(times, rule.within_days * DAY_MS, rule.at_least)
    if not found:
        return None
    live = history.live
    sources = [[live[n].source for n in episode.members] for episode in episodes]
    soonest = _soonest_from([episode.received_at for episode in episodes])
    included: list[Episode] = []
    raised_at: int | None = None
    newest: list[Episode] = []
    several = done = 0
    for first, end in found:
        distinct = len(set().union(*sources[first:end]))
        if distinct < rule.at_least:
            continue
        newest, several = episodes[first:end], distinct
        included += episodes[max(first, done) : end]
        done = end
        if raised_at is None or soonest[first] < raised_at:
            complete_at = _sources_complete_at(newest, live, rule.at_least)
            raised_at = complete_at if raised_at is None else min(raised_at, complete_at)
    if raised_at is None:
        return None
    words: dict[str, object] = {"count": number(several)}
    return _counted(rule, rule.within_days, included, newest, words, raised_at, history)


def _sources_complete_at(episodes: Sequence[Episode], live: Sequence[NoteFact], at_least: int) -> int:
    """When the notes received so far first came from enough incidents and enough sources."""
    arrivals = sorted(
        (live[n].received_at, number_, live[n].source)
        for number_, episode in enumerate(episodes)
        for n in episode.members
    )
    seen_incidents: set[int] = set()
    seen_sources: set[str] = set()
    for received_at, incident, source in arrivals:
        seen_incidents.add(incident)
        seen_sources.add(source)
        if len(seen_incidents) >= at_least and len(seen_sources) >= at_least:
            return received_at
    return arrivals[-1][0]


def _counted(
    rule: Rule,
    days: int,
    included: Sequence[Episode],
    newest: Sequence[Episode],
    words: dict[str, object],
    raised_at: int,
    history: History,
) -> Raised:
    members = sorted([n for episode in included for n in episode.members])
    words["days"] = days
    words["who"] = _who([history.live[n] for episode in newest for n in episode.members])
    return Raised(rule, _sentence(rule.sentence, words), members, raised_at)


def _who(notes: Sequence[NoteFact]) -> str:
    """`two officers, two wards`: how widely the concern is shared, and nobody's name."""
    officers = counted(len({note.author for note in notes}), "officer")
    wards = len({note.ward for note in notes if note.ward})
    return f"{officers}, {counted(wards, 'ward')}" if wards else officers


def _sentence(template: str, words: dict[str, object]) -> str:
    """The sentence with its numbers, its first letter a capital."""
    text = template.format_map(words) if words else template
    return text if text[:1].isupper() else text[:1].upper() + text[1:]


_EVALUATORS: dict[type, Callable[[Any, History], Raised | None]] = {
    DangerNow: _danger_now,
    MissingUnderAge: _missing_under_age,
    LookedAfterMarker: _looked_after_marker,
    MissingWithExploitation: _missing_with_exploitation,
    MissingLongerThan: _missing_longer_than,
    IncidentCount: _incident_count,
    SourceCount: _source_count,
    PoliceProtection: _police_protection,
    SchoolToKnow: _school_to_know,
}
