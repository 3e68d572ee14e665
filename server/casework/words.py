"""Numbers and lengths of time as people say them, for the sentences of flags and incidents."""

import datetime

from server.casework.days import LONDON

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ORDINALS = (
    "", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip


def number(count: int) -> str:
    """`three` up to ten, then digits."""
    return _NUMBERS[count] if 0 <= count <= 10 else str(count)


def counted(count: int, noun: str) -> str:
    """`one officer`, `two officers`, `12 wards`."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def ordinal(count: int) -> str:
    """`third` up to tenth, then `11th`, `21st`, `112th`."""
    if 1 <= count <= 10:
        return _ORDINALS[count]
    if 11 <= count % 100 <= 13:
        return f"{count}th"
    return f"{count}{({1: 'st', 2: 'nd', 3: 'rd'}).get(count % 10, 'th')}"


def duration(ms: int) -> str:
    """A length of time in the largest units that matter: `40 s`, `37 min`, `2 h 5 min`, `3 days 4 h`."""
    seconds = max(ms, 0) // 1000
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def moment(at: int) -> str:
    """An instant as London's clocks say it: `Sat 28 March 14:05`."""
    said = datetime.datetime.fromtimestamp(at // 1000, LONDON)
    return f"{said:%a} {said.day} {said:%B %H:%M}"


def dated(at: int) -> str:
    """As `moment`, with the year, for what is kept for years: `Sat 28 March 2026 14:05`."""
    said = datetime.datetime.fromtimestamp(at // 1000, LONDON)
    return f"{said:%a} {said.day} {said:%B %Y %H:%M}"


def hours_in_words(hours: float | None, working: bool) -> str:
    """How long a clock runs: `none`, `8 h`, `8 working h`."""
    return "none" if hours is None else f"{hours:g} working h" if working else f"{hours:g} h"
