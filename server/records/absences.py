"""A duty whose owner is not there: away, gone, or of another borough now. It comes to somebody who is.

The deputy of whoever is away has it next, where they answer for the borough; otherwise it is in the borough's open
queue again. What was acknowledged waits for an answer anew, with the chain of its grade from now on: nobody has
seen it who could act. What was still open keeps its next time. The deadline stays in both cases, and so does the
answer that there was, in the history.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.access.policy import Policy
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.clocks import first_hearing_at
from server.casework.pack import Pack
from server.records import steps
from server.records.alerts import SELECT, Alert, State, alert_of
from server.records.handing import fold, open_beside
from server.records.staff import Staff
from server.records.steps import INVESTIGATORS, EventKind
from server.storage.port import Transaction

GOES_ON = "It goes on in the open alert about the same child: its owner is away or gone"


class Why(StrEnum):
    """Why an owner cannot answer."""

    AWAY = "away"
    GONE = "gone"
    """The account is closed, or the role answers no alerts."""
    ELSEWHERE = "elsewhere"
    """They answer for other boroughs now."""


class Stranded(msgspec.Struct, frozen=True):
    """An alert whose owner cannot answer, why, and who can in their place (a username, or None)."""

    alert: Alert
    why: Why
    deputy: str | None


@impersonal("alerts by number and usernames of staff; what is done to them is logged by `pass_on`")
def stranded(tx: Transaction, policy: Policy, *, now: int) -> list[Stranded]:
    """The live alerts whose owner cannot answer, oldest first. One small query where everybody is there."""
    owned = tx.rows(
        "SELECT DISTINCT owner, borough FROM alert WHERE state IN ('open', 'acknowledged') AND owner IS NOT NULL"
        " ORDER BY owner, borough"
    )
    if not owned:
        return []
    staff = Staff(tx, policy, now)
    found = []
    for owner, borough in owned:
        why = _why_not(staff, owner, borough)
        if why is not None:
            deputy = _deputy(staff, owner, borough) if why is Why.AWAY else None
            found += [Stranded(alert, why, deputy) for alert in _owned(tx, owner, borough)]
    return sorted(found, key=lambda one: one.alert.alert_id)


@audited(Verb.ALTERATION)
def pass_on(tx: Transaction, actor: Actor, policy: Policy, pack: Pack, *, now: int) -> int:
    """See that every live alert is somebody's who can answer, or waits in its borough's queue; how many moved."""
    moved = stranded(tx, policy, now=now)
    for one in moved:
        if one.alert.state is State.OPEN:
            _move(tx, one, one.alert.level, one.alert.escalates_at, actor, now)
            continue
        if open_beside(tx, one.alert) is not None:
            fold(tx, actor, one.alert, one.deputy, GOES_ON, hears_at=_hears_at(one.alert, pack, now), now=now)
        else:
            _move(tx, one, 0, _hears_at(one.alert, pack, now), actor, now)
    if moved:
        record(tx, actor, Verb.ALTERATION, "alert", [one.alert.alert_id for one in moved], now=now)
    return len(moved)


def _why_not(staff: Staff, owner: str, borough: str) -> Why | None:
    person = staff.find(owner)
    if person is None:
        return Why.GONE
    if not person.sees_borough(borough):
        return Why.ELSEWHERE
    return Why.AWAY if staff.is_away(person) else None


def _deputy(staff: Staff, owner: str, borough: str) -> str | None:
    person = staff.find(owner)
    deputy = staff.stand_in(person, borough) if person is not None else None
    return deputy.username if deputy is not None else None


def _owned(tx: Transaction, owner: str, borough: str) -> Sequence[Alert]:
    rows = tx.rows(
        SELECT + " FROM alert a WHERE a.state IN ('open', 'acknowledged') AND a.owner = :owner"
        " AND a.borough = :borough ORDER BY a.alert_id",
        {"owner": owner, "borough": borough},
    )
    return [alert_of(row) for row in rows]


def _hears_at(alert: Alert, pack: Pack, now: int) -> int:
    preset = pack.preset_of(alert.borough)
    hears_at = first_hearing_at(alert.grade, preset, now, alert.deadline_at, pack)
    if alert.warns_at is not None and (alert.due_at or 0) > now:
        hears_at = min(hears_at, alert.warns_at)
    # A clock that has run out meanwhile is a reason to tell somebody at once.
    return max(now, hears_at)


def _move(tx: Transaction, one: Stranded, level: int, hears_at: int | None, actor: Actor, now: int) -> None:
    alert = one.alert
    tx.execute(
        "UPDATE alert SET state = 'open', owner = :deputy, came_from = :owner, waits_for = NULL, level = :level,"
        " escalates_at = :hears, rev = rev + 1 WHERE alert_id = :alert",
        {
            "deputy": one.deputy, "owner": alert.owner, "level": level, "hears": hears_at,
            "alert": alert.alert_id,
        },
    )  # fmt: skip
    steps.add(
        tx, alert.alert_id, alert.borough, EventKind.PASSED_ON, alert.grade, actor.id,
        now=now, told=one.deputy or INVESTIGATORS, detail=f"{one.why.value}:{alert.owner}",
    )  # fmt: skip
