"""Figures about reviews: what linkage leaves to a person, what waits too long, and the clocks that run meanwhile.

Counts and times only; whose they are is shown, and logged, by `links`, `children` and `alerts`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from server.access.identity import Person
from server.access.policy import Permission
from server.audit import impersonal
from server.linkage.decide import REVIEW
from server.linkage.identifiable import ReviewShare
from server.storage.port import Transaction
from sync.vocabulary import Grade

DAY_MS = 86_400_000
SHARE_DAYS = 30
"""The share is of the last so many days, today included: long enough for a borough's number to mean something."""

_COUNTED = "linkage's outcomes"


class Overdue(msgspec.Struct, frozen=True):
    """Reviews that wait for longer than their grade allows: how many, and since when the oldest (milliseconds)."""

    number: int
    oldest_at: int | None


class AlertClock(msgspec.Struct, frozen=True, kw_only=True):
    """The clock of an alert that runs while a review waits. Times in milliseconds."""

    raised_at: int
    deadline_at: int | None
    acknowledged_at: int | None


@impersonal("counts by day and outcome")
def count(tx: Transaction, borough: str | None, outcomes: Sequence[tuple[str, bool]], *, now: int) -> None:
    """Count what linkage made of a new note's subjects: (outcome, identifiable) of each."""
    if _COUNTED not in tx.notes:
        tx.notes[_COUNTED] = []
        tx.at_commit(_add_up)
    tx.notes[_COUNTED] += [
        (now // DAY_MS, borough or "", outcome, int(is_identifiable)) for outcome, is_identifiable in outcomes
    ]


def _add_up(tx: Transaction) -> None:
    """One row for all alike of a push; in one order, so that two pushes never wait for each other."""
    counted = Counter[tuple[int, str, str, int]](tx.notes.pop(_COUNTED, []))
    tx.executemany(
        "INSERT INTO link_count (day, borough, outcome, identifiable, subjects)"
        " VALUES (:day, :borough, :outcome, :identifiable, :subjects)"
        " ON CONFLICT (day, borough, outcome, identifiable)"
        " DO UPDATE SET subjects = link_count.subjects + excluded.subjects",
        [
            {
                "day": day,
                "borough": borough,
                "outcome": outcome,
                "identifiable": is_identifiable,
                "subjects": subjects,
            }
            for (day, borough, outcome, is_identifiable), subjects in sorted(counted.items())
        ],
    )


@impersonal("counts only")
def totals(tx: Transaction) -> list[tuple[str, bool, int]]:
    """(outcome, identifiable, how many) of all subjects since the beginning, for the metrics."""
    rows = tx.rows(
        "SELECT outcome, identifiable, SUM(subjects) FROM link_count"
        " GROUP BY outcome, identifiable ORDER BY outcome, identifiable"
    )
    return [(outcome, bool(is_identifiable), int(number)) for outcome, is_identifiable, number in rows]


@impersonal("counts only")
def share(tx: Transaction, person: Person, *, now: int) -> ReviewShare:
    """Of the identifiable subjects that came from this person's boroughs lately, how many went to review."""
    rows = tx.rows(
        "SELECT borough, outcome, SUM(subjects) FROM link_count"
        " WHERE day > :since AND identifiable = 1 GROUP BY borough, outcome",
        {"since": now // DAY_MS - SHARE_DAYS},
    )
    mine = [(outcome, int(number)) for code, outcome, number in rows if person.sees_borough(code or None)]
    return ReviewShare(
        identifiable=sum(number for _, number in mine),
        left=sum(number for outcome, number in mine if outcome == REVIEW),
    )


@impersonal("counts only")
def overdue(tx: Transaction, person: Person, allowed_ms: Mapping[Grade, int | None], *, now: int) -> Overdue:
    """The reviews of this person's boroughs that have waited longer than the clock of their grade, `allowed_ms`
    (None: no clock)."""
    if not person.may(Permission.DECIDE_LINKS):
        return Overdue(0, None)
    number, oldest = 0, None
    for grade, length in allowed_ms.items():
        if length is None:
            continue
        for code, late, since in tx.rows(
            "SELECT borough, COUNT(*), MIN(opened_at) FROM review WHERE closed_at IS NULL"
            " AND urgency = :urgency AND opened_at < :before GROUP BY borough",
            {"urgency": grade.urgency, "before": now - length},
        ):
            if person.sees_borough(code or None):
                number += int(late)
                oldest = since if oldest is None else min(oldest, since)
    return Overdue(number, oldest)


@impersonal("times of alerts beside numbers of children")
def clocks(tx: Transaction, child_ids: Sequence[int]) -> dict[int, AlertClock]:
    """For each of these children with an alert that is not closed: the clock of the one that is due first."""
    if not child_ids:
        return {}
    marks: dict[str, object] = {f"c{index}": child_id for index, child_id in enumerate(child_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    found: dict[int, AlertClock] = {}
    for child_id, started, deadline, acknowledged in tx.rows(
        "SELECT child_id, started_at, deadline_at, CASE WHEN state = 'open' THEN NULL ELSE acknowledged_at END"
        " FROM alert"
        f" WHERE child_id IN ({wanted}) AND state <> 'closed'"
        " ORDER BY CASE WHEN deadline_at IS NULL THEN 1 ELSE 0 END, deadline_at, alert_id",
        marks,
    ):
        clock = AlertClock(raised_at=started, deadline_at=deadline, acknowledged_at=acknowledged)
        found.setdefault(child_id, clock)
    return found
