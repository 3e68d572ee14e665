"""Days as people count them in England: working hours, bank holidays, school terms, and London's wall clock.

Instants are milliseconds since the epoch, UTC; what a clock on the wall says is asked of the time zone database,
so a working day is as long on either side of a change of the clocks, and a deadline never falls on the wrong hour.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec

LONDON = ZoneInfo("Europe/London")
_DAY = datetime.timedelta(days=1)


class Calendar(Protocol):
    """The days and hours in which a clock runs; `server.casework.shapes.WorkingHours` is one."""

    @property
    def weekdays(self) -> frozenset[int]:
        """0 for Monday to 6 for Sunday."""

    @property
    def opens_at(self) -> datetime.time: ...

    @property
    def closes_at(self) -> datetime.time: ...

    @property
    def closed(self) -> tuple[datetime.date, ...]:
        """Days on which nobody works, beside the bank holidays."""


class Term(Protocol):
    """A stretch of days on which there is school, both ends included."""

    @property
    def first(self) -> datetime.date: ...

    @property
    def last(self) -> datetime.date: ...


def day_of(at: int) -> datetime.date:
    """London's day at an instant."""
    return datetime.datetime.fromtimestamp(at // 1000, LONDON).date()


def instant(day: datetime.date, time: datetime.time) -> int:
    """When London's clocks say that; of an hour that comes twice the first, of one that is left out the next."""
    return int(datetime.datetime.combine(day, time, LONDON).timestamp() * 1000)


def is_bank_holiday(day: datetime.date) -> bool:
    """Whether that is a bank or public holiday of England."""
    return day in _bank_holidays(day.year)


@functools.cache
def _bank_holidays(year: int) -> frozenset[datetime.date]:
    # Imported where it is first asked: the commands that count no days start a tenth of a second sooner.
    import holidays

    return frozenset(holidays.country_holidays("GB", subdiv="ENG", years=year))


def _hours(calendar: Calendar, day: datetime.date) -> tuple[int, int] | None:
    """When work begins and ends on that day; None where it does not."""
    if day.weekday() not in calendar.weekdays or day in calendar.closed or is_bank_holiday(day):
        return None
    return instant(day, calendar.opens_at), instant(day, calendar.closes_at)


def advance(calendar: Calendar, at: int, length_ms: int) -> int:
    """The first instant by which so much working time has passed since `at`; with 0, when work next goes on."""
    day = day_of(at)
    while True:
        hours = _hours(calendar, day)
        if hours is not None:
            begins_at = max(at, hours[0])
            if begins_at < hours[1]:
                room_ms = hours[1] - begins_at
                if length_ms <= room_ms:
                    return begins_at + length_ms
                length_ms -= room_ms
        day += _DAY


def rewind(calendar: Calendar, at: int, length_ms: int) -> int:
    """The last instant since which so much working time had passed by `at`: `advance` the other way."""
    day = day_of(at)
    while True:
        hours = _hours(calendar, day)
        if hours is not None:
            ends_at = min(at, hours[1])
            if ends_at > hours[0]:
                room_ms = ends_at - hours[0]
                if length_ms <= room_ms:
                    return ends_at - length_ms
                length_ms -= room_ms
        day -= _DAY


class Running(msgspec.Struct, frozen=True, gc=False):
    """How a clock runs: its length, None for no clock, and in which hours, None for all."""

    length_ms: int | None
    calendar: Calendar | None

    def after(self, at: int, length_ms: int) -> int:
        """The instant by which so much of the clock has run since `at`."""
        return at + length_ms if self.calendar is None else advance(self.calendar, at, length_ms)

    def before(self, at: int, length_ms: int) -> int:
        """The instant since which so much of it had run by `at`."""
        return at - length_ms if self.calendar is None else rewind(self.calendar, at, length_ms)

    def share_ms(self, percent: int) -> int:
        """Per cent of the clock, rounded up: never before the share has passed."""
        return -(-(self.length_ms or 0) * percent // 100)


def is_school_day(day: datetime.date, terms: Sequence[Term]) -> bool:
    """Whether there is school: a weekday in a term that is no bank holiday.

    Of a time for which no terms are known (before the first, after the last) every weekday is taken for one:
    a school that is told too early loses nothing.
    """
    if day.weekday() >= 5 or is_bank_holiday(day):
        return False
    if not terms or day < min(term.first for term in terms) or day > max(term.last for term in terms):
        return True
    return any(term.first <= day <= term.last for term in terms)


def next_school_start(at: int, terms: Sequence[Term], starts_at: datetime.time) -> int:
    """When the next school day after `at` begins; on the morning of one, that morning."""
    day = day_of(at)
    while True:
        if is_school_day(day, terms):
            begins_at = instant(day, starts_at)
            if begins_at > at:
                return begins_at
        day += _DAY
