"""What a supervisor watches: duties that wait, hours that were lost and to what, and how often people are interrupted.

Counts and hours by borough and week, never by person. Hours lost to late sync passed on the phone, after
the note was written and its clock spent; hours lost before writing passed before that; hours lost to inaction ran after
the deadline of a duty that had arrived; hours set aside passed in quarantine, until a person released an entry. They
are never added together.
"""

import datetime
from collections.abc import Mapping

import msgspec

from server.access.identity import Person
from server.access.policy import Permission
from server.audit import impersonal
from server.casework.days import day_of, instant
from server.records import quarantine
from server.storage.port import Transaction
from sync.vocabulary import Grade

WEEKS_SHOWN = 8
"""Long enough to tell a bad week from a trend, short enough to be read from the alerts themselves."""

WEEK_MS = 7 * 24 * 60 * 60 * 1000


class Waiting(msgspec.Struct, kw_only=True):
    """What waits in one borough now. `oldest_at` is when the oldest unacknowledged duty began (milliseconds)."""

    borough: str
    unacknowledged: int = 0
    red: int = 0
    overdue: int = 0
    stuck_reviews: int = 0
    oldest_at: int | None = None


class Week(msgspec.Struct, kw_only=True):
    """One borough's duties that began in one week. `unwritten_ms` was lost before an officer wrote the note,
    `late_ms` on the phone, `idle_ms` at the desk; `aside_ms` in quarantine, of what its officers' phones handed in
    that week.

    `told`, `grown`, `escalated`, `copied`: how often the borough's people were interrupted about them.
    """

    borough: str
    week: int
    duties: int = 0
    late: int = 0
    late_ms: int = 0
    unwritten_ms: int = 0
    idle: int = 0
    idle_ms: int = 0
    aside_ms: int = 0
    told: int = 0
    grown: int = 0
    escalated: int = 0
    copied: int = 0

    @property
    def calls(self) -> int:
        """Steps that called for an answer, whether or not they interrupted anybody (`noise`)."""
        return self.told + self.grown + self.escalated + self.copied


@impersonal("a time")
def begins_at(now: int) -> int:
    """The Monday, midnight in London, with which the weeks shown begin."""
    today = day_of(now)
    return instant(today - datetime.timedelta(days=today.weekday(), weeks=WEEKS_SHOWN - 1), datetime.time())


@impersonal("a day")
def monday(since: int, week: int) -> datetime.date:
    """The Monday of a week after `since`. Asked of the week's middle: a change of the clocks moves its ends."""
    middle = day_of(since + week * WEEK_MS + WEEK_MS // 2)
    return middle - datetime.timedelta(days=middle.weekday())


@impersonal("counts only")
def waiting(
    tx: Transaction, person: Person, allowed_ms: Mapping[Grade, int | None], *, now: int
) -> list[Waiting]:
    """What waits in each borough of this person's now, by borough code; `allowed_ms` is how long a review of a
    grade may wait (None: no clock). Boroughs where nothing waits are left out."""
    if not person.may(Permission.SUPERVISE):
        return []
    found: dict[str, Waiting] = {}
    for borough, number, red, overdue, oldest in tx.rows(
        "SELECT borough, COUNT(*), SUM(CASE WHEN grade = 'red' THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN deadline_at <= :now AND acknowledged_at IS NULL THEN 1 ELSE 0 END), MIN(started_at)"
        " FROM alert WHERE state = 'open' GROUP BY borough",
        {"now": now},
    ):
        found[borough] = Waiting(
            borough=borough,
            unacknowledged=int(number),
            red=int(red),
            overdue=int(overdue),
            oldest_at=oldest,
        )
    for grade, length in allowed_ms.items():
        if length is None:
            continue
        for borough, stuck in tx.rows(
            "SELECT borough, COUNT(*) FROM review WHERE closed_at IS NULL AND urgency = :urgency"
            " AND opened_at < :before GROUP BY borough",
            {"urgency": grade.urgency, "before": now - length},
        ):
            found.setdefault(borough, Waiting(borough=borough)).stuck_reviews += int(stuck)
    return sorted(
        (one for one in found.values() if person.sees_borough(one.borough or None)),
        key=lambda one: one.borough,
    )


@impersonal("counts and hours only")
def weekly(
    tx: Transaction, person: Person, *, from_ms: int, now: int, weeks: int = WEEKS_SHOWN
) -> dict[str, list[Week]]:
    """For each borough of this person's that had a duty, or whose officers had something set aside, since `from_ms`:
    its weeks from then on, in order, those with nothing in them too."""
    if not person.may(Permission.SUPERVISE):
        return {}
    found: dict[str, list[Week]] = {}

    def of(borough: str, week: int) -> Week:
        if borough not in found:
            found[borough] = [Week(borough=borough, week=number) for number in range(weeks)]
        return found[borough][min(max(week, 0), weeks - 1)]

    marks = {"from": from_ms, "now": now, "week": WEEK_MS}
    for row in tx.rows(_LOST, marks):
        borough, number, duties, late, late_ms, unwritten_ms, idle, idle_ms = row
        if not person.sees_borough(borough):
            continue
        week = of(borough, int(number))
        week.duties += int(duties)
        week.late += int(late)
        week.late_ms += int(late_ms)
        week.unwritten_ms += int(unwritten_ms)
        week.idle += int(idle)
        week.idle_ms += int(idle_ms)
    for borough, number, kind, times in tx.rows(_TOLD, marks):
        if person.sees_borough(borough):
            name = _KINDS[kind]
            week = of(borough, int(number))
            setattr(week, name, getattr(week, name) + int(times))
    for borough, number, stood_ms in quarantine.weekly(tx, from_ms=from_ms, now=now, week_ms=WEEK_MS):
        if person.sees_borough(borough):
            of(borough, number).aside_ms += stood_ms
    return dict(sorted(found.items()))


_KINDS = {"raised": "told", "grew": "grown", "escalated": "escalated", "copied": "copied"}
_ENDED = "COALESCE(a.acknowledged_at, a.closed_at, :now)"
_FIRST = "COALESCE(a.first_borough, a.borough)"  # what was lost before a transfer was the sender's
_LOST = (
    f"SELECT {_FIRST}, (a.started_at - :from) / :week, COUNT(*),"
    " SUM(CASE WHEN a.late_by_ms > 0 THEN 1 ELSE 0 END), SUM(a.unsent_ms), SUM(a.unwritten_ms),"
    f" SUM(CASE WHEN {_ENDED} > a.deadline_at THEN 1 ELSE 0 END),"
    f" SUM(CASE WHEN {_ENDED} > a.deadline_at THEN {_ENDED} - a.deadline_at ELSE 0 END)"
    f" FROM alert a WHERE a.started_at >= :from GROUP BY {_FIRST}, (a.started_at - :from) / :week"
)
# CROSS JOIN: SQLite then begins with the alerts of these weeks, by their index, and not with every event there is.
_TOLD = (
    "SELECT e.borough, (e.at - :from) / :week, e.kind, COUNT(*) FROM alert a"
    " CROSS JOIN alert_event e WHERE e.alert_id = a.alert_id AND a.started_at >= :from AND e.at >= :from"
    " AND e.kind IN ('raised', 'grew', 'escalated') GROUP BY e.borough, (e.at - :from) / :week, e.kind"
    " UNION ALL SELECT c.borough, (a.started_at - :from) / :week, 'copied', COUNT(*) FROM alert a"
    " CROSS JOIN alert_copy c WHERE c.alert_id = a.alert_id AND a.started_at >= :from"
    " GROUP BY c.borough, (a.started_at - :from) / :week"
)
