"""What the count rules mean, written as slowly and plainly as possible. Shares no code with `server`.

Incidents: every pair compared, then the closure. Windows: every window that ends at an incident.
"""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the type only: not a line of the server runs here
    from server.casework.facts import NoteFact

HOUR = 3_600_000
DAY = 24 * HOUR

EXPLOITATION_FAMILY = {"cse", "cce", "county_lines", "trafficking", "gangs", "sexual"}
VIOLENCE_FAMILY = {"gangs", "knife", "physical"}
HOUSEHOLD_FAMILY = {
    "neglect",
    "emotional",
    "domestic_abuse_household",
    "substance_parent",
    "substance_household",
    "parental_mental_health",
}


def alike(a: "NoteFact", b: "NoteFact") -> bool:
    one, two = {str(c) for c in a.categories}, {str(c) for c in b.categories}
    if a.missing_hours is not None:
        one.add("missing")
    if b.missing_hours is not None:
        two.add("missing")
    families = (EXPLOITATION_FAMILY, VIOLENCE_FAMILY, HOUSEHOLD_FAMILY)
    return bool(one & two) or any(one & f and two & f for f in families)


def away(a: "NoteFact") -> tuple[int, int] | None:
    is_missing = a.missing_hours is not None or "missing" in {str(c) for c in a.categories}
    if not is_missing:
        return None
    return a.observed_at - min(int((a.missing_hours or 0) * HOUR), 7 * DAY), a.observed_at


def kilometres(one: tuple[float, float], two: tuple[float, float]) -> float:
    p, q = math.radians(one[0]), math.radians(two[0])
    half = math.radians(two[1] - one[1]) / 2
    h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(half) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(h))


def near(a: "NoteFact", b: "NoteFact") -> bool:
    position_a, position_b = (a.latitude, a.longitude), (b.latitude, b.longitude)
    both_positions = None not in position_a and None not in position_b
    if both_positions and kilometres(position_a, position_b) <= 0.5:  # type: ignore[arg-type]  # no None in it
        return True
    if a.place and b.place and a.place.lower() == b.place.lower():
        return True
    if both_positions or (a.place and b.place):
        return False
    common = a.words & b.words
    return len(common) >= 3 and len(common) * 2 >= min(len(a.words), len(b.words))


def same(a: "NoteFact", b: "NoteFact") -> bool:
    if getattr(a, "apart", False) or getattr(b, "apart", False):
        return False
    if getattr(a, "event", None) is not None and a.event == b.event:
        return True
    gap = abs(a.observed_at - b.observed_at)
    one, two = away(a), away(b)
    # A note of a time away without a length is an instant, and two of those are two episodes.
    if one and two and (a.missing_hours or b.missing_hours):
        later, earlier = (a, b) if (a.observed_at, a.note_id) > (b.observed_at, b.note_id) else (b, a)
        began, _ = away(later) or (later.observed_at, 0)
        if later.missing_hours and began <= earlier.observed_at:
            return True
    if not alike(a, b):
        return False
    if a.author == b.author:
        return gap <= 10 * 60_000
    return gap <= 2 * HOUR and near(a, b)


def incidents(notes: Sequence["NoteFact"]) -> set[frozenset[str]]:
    groups = [{n.note_id} for n in notes if not n.withdrawn]
    by_id = {n.note_id: n for n in notes}
    changed = True
    while changed:
        changed = False
        for one, two in combinations(groups, 2):
            if any(same(by_id[x], by_id[y]) for x in one for y in two):
                groups.remove(one)
                groups.remove(two)
                groups.append(one | two)
                changed = True
                break
    return {frozenset(g) for g in groups}


def counted(
    notes: Sequence["NoteFact"],
    days: int,
    at_least: int,
    only_missing: bool = False,
    sources: bool = False,
) -> set[str]:
    """The ids of the notes of every window of `days` that ends at an incident and qualifies; or nothing."""
    by_id = {n.note_id: n for n in notes}
    events = []
    for group in incidents(notes):
        members = [by_id[i] for i in group]
        if only_missing and not any(away(m) for m in members):
            continue
        events.append((min(m.observed_at for m in members), members))
    result: set[str] = set()
    for end, _ in events:
        window = [members for t, members in events if end - days * DAY <= t <= end]
        enough = len(window) >= at_least
        if sources:
            enough = enough and len({m.source for members in window for m in members}) >= at_least
        if enough:
            result |= {m.note_id for members in window for m in members}
    return result


EXPLOITATION = {"cse", "cce", "county_lines", "trafficking", "gangs", "harmful_sexual_behaviour"}


def flags_from_nothing(notes: Sequence[Any], *, born: date | None, school: bool) -> dict[str, set[str]]:
    """The note ids of every flag of the default pack but `concern`, of a child that nothing else is known of.

    Notes have what `NoteFact` has, and `danger_now`, `indicator` (a sign of exploitation) and `protected`.
    """
    live = [n for n in notes if not n.withdrawn]
    gone = [n for n in live if away(n)]
    signs = [n for n in live if set(map(str, n.categories)) & EXPLOITATION or n.indicator]
    exploited: set[str] = set()
    for missing in gone:
        close = {s.note_id for s in signs if abs(s.observed_at - missing.observed_at) <= 365 * DAY}
        if close:
            exploited |= close | {missing.note_id}

    def young(note: Any) -> bool:
        if born is None:
            return False
        tenth = datetime(born.year + 10, born.month, born.day, tzinfo=UTC)
        return bool(note.observed_at < tenth.timestamp() * 1000)

    found = {
        "danger_now": {n.note_id for n in live if n.danger_now},
        "missing_under_10": {n.note_id for n in gone if young(n)},
        "missing_exploitation": exploited,
        "missing_long": {n.note_id for n in gone if (n.missing_hours or 0) > 24},
        "missing_repeat": counted(live, 90, 3, only_missing=True),
        "notes_repeat": counted(live, 90, 3),
        "sources_several": counted(live, 30, 2, sources=True),
        "police_protection": {n.note_id for n in live if n.protected},
        "encompass": {
            n.note_id for n in live if school and "domestic_abuse_household" in map(str, n.categories)
        },
    }
    return {rule: ids for rule, ids in found.items() if ids}
