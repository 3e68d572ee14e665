"""Plain words for instants, clocks, ages, weights and probabilities. Pure: `now` is always passed in.

Instants and durations are whole milliseconds (UTC for instants). What is shown is London's wall time.
"""

import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from server.linkage.words import MINUS as MINUS
from server.linkage.words import NBSP as NBSP
from server.linkage.words import odds_words as odds_words
from server.linkage.words import percent as percent
from server.linkage.words import signed as signed
from server.linkage.words import weight_words as weight_words

LONDON = ZoneInfo("Europe/London")
SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

TIMES_DIFFER_MS = 5 * MINUTE_MS
"""Two times of one note closer than this are one time to a reader; phones are seldom truer."""

CLOCK_NEAR = 0.25
"""Share of a clock that is left when its colour turns from calm to close."""

Tone = Literal["late", "close", "calm", "none", "stopped"]


class Clock(msgspec.Struct, frozen=True):
    """A duty's clock in words, the tone it is shown in, and the share of it that has run (0 to 1)."""

    text: str
    tone: Tone
    share: float


def local(at: int) -> datetime.datetime:
    """The instant as London's wall time."""
    return datetime.datetime.fromtimestamp(at / 1000, LONDON)


def iso(at: int) -> str:
    """For `<time datetime>`: RFC 3339 with London's offset, to the second."""
    return local(at).isoformat(timespec="seconds")


def exact(at: int) -> str:
    """Hover and print: "Tuesday 4 March 2025, 14:05:09 GMT"."""
    moment = local(at)
    return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M:%S %Z}"


def day(at: int, now: int) -> str:
    """A heading for a day: "Today", "Yesterday", "Tuesday 4 March", with the year when it is another."""
    moment, today = local(at).date(), local(now).date()
    if moment == today:
        return "Today"
    if moment == today - datetime.timedelta(days=1):
        return "Yesterday"
    if moment == today + datetime.timedelta(days=1):
        return "Tomorrow"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment:%A} {moment.day} {moment:%B}{year}"


def short_day(date: datetime.date) -> str:
    """ "4 March 2025": a date that is not about the clock, such as a date of birth."""
    return f"{date.day} {date:%B %Y}"


def clock_time(at: int) -> str:
    """ "14:05", London time."""
    return f"{local(at):%H:%M}"


def absolute(at: int, now: int) -> str:
    """ "Today 14:05", "Tuesday 4 March 14:05"."""
    return f"{day(at, now)} {clock_time(at)}"


def when(at: int, now: int) -> str:
    """ "Today 14:05 (12 minutes ago)"."""
    return f"{absolute(at, now)} ({ago(at, now)})"


def inside(text: str) -> str:
    """The same words inside a sentence: "today 14:05"."""
    return text[0].lower() + text[1:] if text.startswith(("Today", "Yesterday", "Tomorrow")) else text


def ago(at: int, now: int) -> str:
    """ "12 minutes ago", "in 2 hours", "just now": one unit, rounded down, as people say it."""
    distance = abs(now - at)
    if distance < MINUTE_MS:
        return "just now"
    amount = long_duration(distance)
    return f"{amount} ago" if at < now else f"in {amount}"


def long_duration(length: int) -> str:
    """The largest unit alone, in full: "12 minutes", "26 hours", "3 days", "2 months", "1 year"."""
    days = length // DAY_MS
    if length < HOUR_MS:
        return count(length // MINUTE_MS, "minute")
    if length < 2 * DAY_MS:
        return count(length // HOUR_MS, "hour")
    if days < 60:
        return count(days, "day")
    if days < 730:
        return count(days // 30, "month")
    return count(days // 365, "year")


def duration(length: int) -> str:
    """Short: "under 1 min", "37 min", "2 h", "2 h 10 min", "3 days"; two units only below ten hours."""
    minutes = abs(length) // MINUTE_MS
    if minutes < 1:
        return f"under 1{NBSP}min"
    if minutes < 60:
        return f"{minutes}{NBSP}min"
    hours, rest = divmod(minutes, 60)
    if hours < 10 and rest:
        return f"{hours}{NBSP}h {rest}{NBSP}min"
    if hours < 48:
        return f"{hours}{NBSP}h"
    return f"{hours // 24}{NBSP}days"


def clock(raised: int, deadline: int | None, now: int, stopped: int | None = None) -> Clock:
    """What a duty's clock says: "37 min left", "late by 2 h", "no clock"; or, once stopped, how it ended."""
    if deadline is None:
        return Clock("no clock", "none", 0.0)
    if stopped is not None:
        late = stopped - deadline
        text = "met in time" if late <= 0 else f"met {duration(late)} late"
        return Clock(text, "stopped", 1.0)
    if now >= deadline:
        return Clock(f"late by {duration(now - deadline)}", "late", 1.0)
    span = max(1, deadline - raised)
    share = min(1.0, max(0.0, (now - raised) / span))
    tone: Tone = "close" if 1 - share <= CLOCK_NEAR else "calm"
    return Clock(f"{duration(deadline - now)} left", tone, share)


def age_on(born: datetime.date, at: int) -> str:
    """An age in words on a day: "14", "8 months", "5 weeks", "unborn"."""
    today = local(at).date()
    if born > today:
        return "unborn"
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    if months >= 24:
        return str(months // 12)
    if months >= 3:
        return count(months, "month")
    return count((today - born).days // 7, "week")


def about_age(years: float) -> str:
    """An age that was guessed: "about 13"; below two years in months."""
    return f"about {round(years)}" if years >= 2 else f"about {count(round(years * 12), 'month')}"


def tenths(share: float) -> str:
    """A measured share in tenths of a percent: "9.0 %"."""
    return f"{share * 100:.1f}{NBSP}%"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 note", "2 notes"; `plural` where adding an s is wrong."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(items: list[str] | tuple[str, ...], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def note_times(observed: int, recorded: int, received: int) -> tuple[tuple[str, int], ...]:
    """The times of a note that a reader needs, labelled: one where they agree, up to three where not."""
    times = [("Seen", observed)]
    if abs(recorded - observed) >= TIMES_DIFFER_MS:
        times.append(("Written", recorded))
    if abs(received - recorded) >= TIMES_DIFFER_MS or len(times) > 1:
        times.append(("Received", received))
    return tuple(times)
