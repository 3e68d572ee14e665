"""What follows from an age in days, reckoned once a day and looked up: two million times a date is slow."""

import datetime
from functools import cache

CHILD_YEARS = 18


class Calendar:
    """Lists indexed by age in days on `today`, from 0 to the day before the eighteenth birthday."""

    def __init__(self, today: datetime.date) -> None:
        self.days = (today - _years_before(today, CHILD_YEARS)).days
        births = [today - datetime.timedelta(days=age) for age in range(self.days)]
        september = datetime.date(today.year - (today.month < 9), 9, 1)
        self.iso = [birth.isoformat() for birth in births]
        self.academic_age = [_whole_years(birth, september) for birth in births]
        self.years = [_whole_years(birth, today) for birth in births]
        self.entry_year = [september.year - max(0, age - 4) for age in self.academic_age]


@cache
def calendar_of(today: datetime.date) -> Calendar:
    return Calendar(today)


def _years_before(day: datetime.date, years: int) -> datetime.date:
    last = 28 if (day.month, day.day) == (2, 29) else day.day
    return day.replace(year=day.year - years, day=last)


def _whole_years(birth: datetime.date, day: datetime.date) -> int:
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
