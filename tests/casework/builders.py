"""Short ways to write facts: times in days after a fixed instant, everything else a harmless default."""

import importlib.resources
from typing import Any

from server.casework.assess import Assessment, RaisedFlag, assess
from server.casework.facts import DAY_MS, HOUR_MS, ChildFacts, NoteFact
from server.casework.pack import Pack, default_pack
from sync.vocabulary import Category

START_MS = 1_735_689_600_000
"""1 January 2025, midnight UTC."""

NOW_MS = START_MS + 400 * DAY_MS

CHILD = ChildFacts(child_id=1)


def note(name: str, days: float = 0.0, category: Category = Category.NEGLECT, **more: Any) -> NoteFact:
    """A note observed so many days after the start, received an hour later, by an officer of its own."""
    observed_at = START_MS + round(days * DAY_MS)
    facts: dict[str, Any] = {
        "note_id": name,
        "observed_at": observed_at,
        "received_at": observed_at + HOUR_MS,
        "author": f"officer-{name}",
        "source": "ward_officer:e05000001",
        "categories": (category,),
    }
    return NoteFact(**(facts | more))


def missing(name: str, days: float = 0.0, **more: Any) -> NoteFact:
    return note(name, days, Category.MISSING, **more)


def assessed(*notes: NoteFact, child: ChildFacts = CHILD, pack: Pack | None = None) -> Assessment:
    return assess(child, notes, pack or default_pack(), NOW_MS)


def flags(*notes: NoteFact, child: ChildFacts = CHILD, pack: Pack | None = None) -> dict[str, RaisedFlag]:
    """The flags by key, those of the rule `concern` left out."""
    found = assessed(*notes, child=child, pack=pack).flags
    return {flag.flag_key: flag for flag in found if flag.rule != "concern"}


def concerns(*notes: NoteFact, child: ChildFacts = CHILD) -> list[RaisedFlag]:
    return [flag for flag in assessed(*notes, child=child).flags if flag.rule == "concern"]


TERMS = """terms = [
    { first = 2025-09-01, last = 2025-10-24 },
    { first = 2025-11-03, last = 2025-12-19 },
    { first = 2026-01-05, last = 2026-02-13 },
    { first = 2026-02-23, last = 2026-03-27 },
    { first = 2026-04-13, last = 2026-05-22 },
    { first = 2026-06-01, last = 2026-07-21 },
    { first = 2026-09-01, last = 2026-10-23 },
    { first = 2026-11-02, last = 2026-12-18 },
    { first = 2027-01-04, last = 2027-02-12 },
    { first = 2027-02-22, last = 2027-03-25 },
    { first = 2027-04-12, last = 2027-05-28 },
    { first = 2027-06-07, last = 2027-07-21 },
]
"""
"""Terms as a council might publish them, for the shipped pack, which has none."""


def pack_text_with_terms() -> str:
    """The shipped pack, with terms put in where it says."""
    text = importlib.resources.files("server.casework").joinpath("rules.toml").read_text("utf-8")
    return text.replace('starts = "08:45"\n', f'starts = "08:45"\n{TERMS}', 1)
