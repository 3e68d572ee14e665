"""How often each person was interrupted outside the page, so that noise is seen and something is done about it.

It says how much was asked of people, and nothing of what they did: no answer, no time and no child is in it.
"""

import msgspec

from server.access.identity import Person
from server.access.policy import Permission, Policy
from server.alerts.presets import is_quiet
from server.audit import impersonal
from server.casework.facts import DAY_MS, MINUTE_MS
from server.storage.port import Transaction
from sync.vocabulary import Grade

DAYS = 7
"""How far it looks back: a week is what a person remembers."""

NIGHT_FROM, NIGHT_UNTIL = 22 * 60, 7 * 60
"""The night of whoever has chosen no quiet hours, in minutes of the day."""

QUARTER_MS = 15 * MINUTE_MS
"""How finely the hour of an interruption is told, so that a week of a whole force is some rows a person."""

ROWS_MAX = 200
"""The most interrupted; a page with more people is read by nobody."""


class Interrupted(msgspec.Struct, frozen=True, kw_only=True):
    """One person: interruptions by grade, how many of them in their quiet hours or at night, and what waited for a
    digest instead."""

    name: str
    role: str
    borough: str | None
    at_once: dict[Grade, int]
    at_night: int
    in_digests: int

    @property
    def total(self) -> int:
        """How often they were interrupted."""
        return sum(self.at_once.values())


@impersonal("counts by member of staff for their supervisor; no child is in it")
def interruptions(tx: Transaction, policy: Policy, person: Person, *, now: int) -> list[Interrupted]:
    """The people of this supervisor's boroughs who were told of anything in `DAYS`, the most interrupted first.

    A step of an alert counts once, over however many channels it was told. Empty for whoever does not supervise.
    """
    if not person.may(Permission.SUPERVISE):
        return []
    found: dict[int, Interrupted] = {}
    for (
        person_id,
        name,
        role,
        borough,
        grade,
        quarter,
        quiet_from,
        quiet_until,
        at_once,
        in_digests,
    ) in tx.rows(
        "SELECT p.id, p.name, p.role, p.borough, t.grade, t.quarter, c.quiet_from, c.quiet_until,"
        " SUM(1 - t.is_digest), SUM(t.is_digest)"
        " FROM (SELECT DISTINCT d.person_id, d.event_id, d.is_digest, e.grade, d.due_at / :quarter AS quarter"
        " FROM delivery d"
        " JOIN alert_event e ON e.event_id = d.event_id WHERE d.person_id > 0 AND d.due_at >= :since) t"
        " JOIN person p ON p.id = t.person_id LEFT JOIN telling c ON c.person_id = p.id"
        " GROUP BY p.id, p.name, p.role, p.borough, t.grade, t.quarter, c.quiet_from, c.quiet_until"
        " ORDER BY p.name, p.id, t.grade, t.quarter",
        {"since": now - DAYS * DAY_MS, "quarter": QUARTER_MS},
    ):
        if not person.sees_borough(borough):
            continue
        title = policy.roles[role].title if role in policy.roles else role
        one = found.setdefault(
            person_id,
            Interrupted(name=name, role=title, borough=borough, at_once={}, at_night=0, in_digests=0),
        )
        chosen = quiet_from is not None and quiet_until is not None
        night = (quiet_from, quiet_until) if chosen else (NIGHT_FROM, NIGHT_UNTIL)
        asleep = is_quiet(int(quarter) * QUARTER_MS, *night)
        found[person_id] = msgspec.structs.replace(
            one,
            at_once=one.at_once | {Grade(grade): one.at_once.get(Grade(grade), 0) + int(at_once)},
            at_night=one.at_night + (int(at_once) if asleep else 0),
            in_digests=one.in_digests + int(in_digests),
        )
    return sorted(found.values(), key=lambda one: -one.total)[:ROWS_MAX]
