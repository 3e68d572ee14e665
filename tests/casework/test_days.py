"""Working hours, bank holidays and school days, against a count of minutes that shares no code with the server."""

import datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.casework.days import (
    advance,
    is_bank_holiday,
    is_school_day,
    next_school_start,
    rewind,
)
from server.casework.pack import default_pack, load_pack
from server.casework.shapes import Term, WorkingHours
from tests.casework.builders import pack_text_with_terms

MINUTE = 60_000
EPOCH = datetime.datetime(1970, 1, 1)
CALENDAR = WorkingHours()

# As published on gov.uk for England.
_PUBLISHED = """
2024-01-01 2024-03-29 2024-04-01 2024-05-06 2024-05-27 2024-08-26 2024-12-25 2024-12-26
2025-01-01 2025-04-18 2025-04-21 2025-05-05 2025-05-26 2025-08-25 2025-12-25 2025-12-26
2026-01-01 2026-04-03 2026-04-06 2026-05-04 2026-05-25 2026-08-31 2026-12-25 2026-12-28
2027-01-01 2027-03-26 2027-03-29 2027-05-03 2027-05-31 2027-08-30 2027-12-27 2027-12-28
"""
BANK_HOLIDAYS = {datetime.date.fromisoformat(day) for day in _PUBLISHED.split()}


def utc(text: str) -> int:
    """Milliseconds of an instant in UTC: `2026-03-27 16:30`."""
    return int((datetime.datetime.fromisoformat(text) - EPOCH).total_seconds()) * 1000


def last_sunday(year: int, month: int) -> datetime.datetime:
    last = datetime.datetime(year, month, 31, 1)
    return last - datetime.timedelta(days=(last.weekday() + 1) % 7)


def wall(minute: int) -> datetime.datetime:
    """London's wall time of a minute since the epoch: an hour ahead between the last Sundays at 01:00 UTC."""
    at = EPOCH + datetime.timedelta(minutes=minute)
    summer = last_sunday(at.year, 3) <= at < last_sunday(at.year, 10)
    return at + datetime.timedelta(hours=1 if summer else 0)


def works(minute: int) -> bool:
    at = wall(minute)
    return at.weekday() < 5 and 9 <= at.hour < 17 and at.date() not in BANK_HOLIDAYS


def counted_on(minute: int, length: int) -> int:
    while length:
        length -= works(minute)
        minute += 1
    return minute


def counted_back(minute: int, length: int) -> int:
    while length:
        minute -= 1
        length -= works(minute)
    return minute


MINUTES = st.integers(utc("2024-01-01 00:00") // MINUTE, utc("2027-11-30 00:00") // MINUTE)
EDGES = st.sampled_from(
    [
        "2024-02-28 15:00",  # a leap day follows
        "2024-03-28 16:59",  # Easter, and the clocks go forward within it
        "2024-12-24 16:30",  # Christmas and the year's end
        "2025-10-24 15:59",  # the clocks go back on the Sunday
        "2026-03-27 16:00",
        "2026-12-31 17:00",
        "2027-12-24 12:00",
    ]
).flatmap(lambda text: st.integers(-600, 600).map(lambda more: utc(text) // MINUTE + more))
LENGTHS = st.integers(1, 24 * 60)


@settings(max_examples=60, deadline=None)
@given(MINUTES | EDGES, LENGTHS)
def test_working_time_is_what_counting_minutes_says(minute: int, length: int) -> None:
    assert advance(CALENDAR, minute * MINUTE, length * MINUTE) == counted_on(minute, length) * MINUTE
    assert rewind(CALENDAR, minute * MINUTE, length * MINUTE) == counted_back(minute, length) * MINUTE


@pytest.mark.parametrize(
    ("begins", "hours", "ends"),
    [
        ("2026-03-27 16:30", 1, "2026-03-30 08:30"),  # Friday in winter time to Monday in summer time
        ("2025-10-24 15:30", 1, "2025-10-27 09:30"),  # and the other way
        ("2024-02-28 16:00", 8, "2024-02-29 16:00"),  # a leap day is a working day
        ("2026-12-31 16:00", 2, "2027-01-04 10:00"),  # the year ends, New Year's Day is a Friday
        ("2026-04-02 15:00", 2, "2026-04-07 09:00"),  # Easter, from Thursday to Tuesday
        ("2026-06-06 12:00", 4, "2026-06-08 12:00"),  # Saturday
        ("2026-06-08 08:00", 8, "2026-06-08 16:00"),  # a day to its last minute
    ],
)
def test_a_clock_of_working_hours(begins: str, hours: int, ends: str) -> None:
    assert advance(CALENDAR, utc(begins), hours * 60 * MINUTE) == utc(ends)


def test_no_time_at_all_ends_when_work_goes_on() -> None:
    assert advance(CALENDAR, utc("2026-06-06 12:00"), 0) == utc("2026-06-08 08:00")
    assert advance(CALENDAR, utc("2026-06-08 12:00"), 0) == utc("2026-06-08 12:00")


def test_a_day_may_be_closed_and_others_open() -> None:
    calendar = WorkingHours(
        days=("saturday", "sunday"), opens="10:00", closes="12:30", closed=(datetime.date(2026, 6, 7),)
    )
    assert advance(calendar, utc("2026-06-06 09:00"), 180 * MINUTE) == utc("2026-06-13 09:30")


def test_bank_holidays_are_englands() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=n) for n in range(4 * 365 + 1)]
    ours = {day for day in days if is_bank_holiday(day) and day.weekday() < 5}
    assert ours == BANK_HOLIDAYS
    assert not is_bank_holiday(datetime.date(2026, 1, 2)), "a Scottish one"


# School ----------------------------------------------------------------------------------------------------

LONDON = load_pack(pack_text_with_terms()).school.year_of("E09000022")


@pytest.mark.parametrize(
    ("at", "starts"),
    [
        ("2026-01-14 22:00", "2026-01-15 08:45"),  # Wednesday night
        ("2026-01-15 08:44", "2026-01-15 08:45"),
        ("2026-01-15 08:45", "2026-01-16 08:45"),  # that day has begun
        ("2026-01-16 20:00", "2026-01-19 08:45"),  # Friday night to Monday
        ("2026-02-13 20:00", "2026-02-23 08:45"),  # half term
        ("2026-03-27 20:00", "2026-04-13 07:45"),  # Easter; summer time begins meanwhile
        ("2026-05-01 20:00", "2026-05-05 07:45"),  # the bank holiday in May
        ("2026-07-21 20:00", "2026-09-01 07:45"),  # the summer
        ("2026-10-23 20:00", "2026-11-02 08:45"),  # summer time ends within half term
        ("2026-12-18 20:00", "2027-01-04 08:45"),  # the year's end
        ("2027-07-21 20:00", "2027-07-22 07:45"),  # beyond the terms that are known
    ],
)
def test_the_next_school_day(at: str, starts: str) -> None:
    assert next_school_start(utc(at), LONDON.terms, LONDON.starts_at) == utc(starts)


def test_without_terms_every_weekday_that_is_no_bank_holiday_counts() -> None:
    assert is_school_day(datetime.date(2026, 8, 3), ())
    assert not is_school_day(datetime.date(2026, 8, 1), ())
    assert not is_school_day(datetime.date(2026, 8, 31), ())


@settings(max_examples=100, deadline=None)
@given(MINUTES, st.lists(st.integers(0, 1_500), min_size=4, max_size=8, unique=True))
def test_a_school_day_is_a_weekday_of_a_term(minute: int, bounds: list[int]) -> None:
    start = datetime.date(2024, 1, 1)
    days = [start + datetime.timedelta(days=n) for n in sorted(bounds)]
    pairs = [pair for n, pair in enumerate(pairwise(days)) if n % 2 == 0]
    terms = [Term(first=first, last=last) for first, last in pairs]
    begins = next_school_start(minute * MINUTE, terms, LONDON.starts_at)
    found = wall(begins // MINUTE)
    assert (found.hour, found.minute) == (8, 45)
    assert begins > minute * MINUTE

    def school(day: datetime.date) -> bool:
        known = pairs[0][0] <= day <= pairs[-1][1]
        taught = any(first <= day <= last for first, last in pairs)
        return day.weekday() < 5 and day not in BANK_HOLIDAYS and (taught or not known)

    if found.year < 2028:
        assert school(found.date())
    day = wall(minute).date() + datetime.timedelta(days=1)
    while day < found.date():
        assert not school(day), "a school day was passed over"
        day += datetime.timedelta(days=1)


def test_the_shipped_pack_invents_no_terms() -> None:
    """Whoever runs it puts their council's in; until then every weekday but a bank holiday counts."""
    year = default_pack().school.year_of("E09000022")
    assert year.terms == ()
    assert next_school_start(utc("2026-02-13 20:00"), year.terms, year.starts_at) == utc("2026-02-16 08:45")
