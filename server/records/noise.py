"""How often each person was interrupted outside the page, so that noise is seen and something is done about it.

It says how much was asked of people, and nothing of what they did: no answer, no time and no child is in it.
"""

import msgspec

from server.access.identity import Person
from server.access.policy import Permission, Policy
from server.audit import impersonal
from server.casework.facts import DAY_MS
from server.storage.port import Transaction
from sync.vocabulary import Grade

DAYS = 7
"""How far it looks back: a week is what a person remembers."""

ROWS_MAX = 200
"""The most interrupted; a page with more people is read by nobody."""


class Interrupted(msgspec.Struct, frozen=True, kw_only=True):
    """One person: interruptions by grade, and what waited for a digest instead."""

    name: str
    role: str
    borough: str | None
    at_once: dict[Grade, int]
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
    for person_id, name, role, borough, grade, at_once, in_digests in tx.rows(
        "SELECT p.id, p.name, p.role, p.borough, t.grade, SUM(1 - t.is_digest), SUM(t.is_digest)"
        " FROM (SELECT DISTINCT d.person_id, d.event_id, d.is_digest, e.grade FROM delivery d"
        " JOIN alert_event e ON e.event_id = d.event_id WHERE d.person_id > 0 AND d.due_at >= :since) t"
        " JOIN person p ON p.id = t.person_id GROUP BY p.id, p.name, p.role, p.borough, t.grade"
        " ORDER BY p.name, p.id, t.grade",
        {"since": now - DAYS * DAY_MS},
    ):
        if not person.sees_borough(borough):
            continue
        title = policy.roles[role].title if role in policy.roles else role
        one = found.setdefault(
            person_id, Interrupted(name=name, role=title, borough=borough, at_once={}, in_digests=0)
        )
        found[person_id] = msgspec.structs.replace(
            one,
            at_once=one.at_once | {Grade(grade): int(at_once)},
            in_digests=one.in_digests + int(in_digests),
        )
    return sorted(found.values(), key=lambda one: -one.total)[:ROWS_MAX]
