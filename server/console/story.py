"""The story of a child, laid out by day for the page and for print. Pure."""

from collections.abc import Iterable

from server.console import words
from server.console.views_child import TimelineEntry


def by_day(story: Iterable[TimelineEntry], now: int) -> list[tuple[int, str, list[TimelineEntry]]]:
    """(instant of the first entry, the day in words, the entries) per London day, in the order given."""
    days: list[tuple[int, str, list[TimelineEntry]]] = []
    for entry in story:
        if not days or words.local(days[-1][0]).date() != words.local(entry.at).date():
            days.append((entry.at, words.day(entry.at, now), []))
        days[-1][2].append(entry)
    return days
