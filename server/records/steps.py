"""The steps of alerts, in commit order: the history of each, and what the live stream sends."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.alerts.channels import EVERYBODY
from server.alerts.stream import Step
from server.audit import impersonal
from server.records import briefing
from server.storage.port import Transaction
from sync.vocabulary import Grade

TOPIC = "alerts"
"""Storage topic on which the id of a transaction's last step is announced after its commit."""

_TAKEN = "alert steps"

INVESTIGATORS = "investigators"
"""Who is told of a duty that nobody in particular has: those of its borough."""


class EventKind(StrEnum):
    RAISED = "raised"
    GREW = "grew"
    LESSENED = "lessened"
    GRADED = "graded"
    COPIED = "copied"
    """Another borough has to do with the child now, and got a copy."""
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    HANDED_OVER = "handed_over"
    PASSED_ON = "passed_on"
    """Its owner is away or not there any more: the deputy (`told`), or whoever of the borough answers."""
    OFFERED = "offered"
    """To another borough (`told`), whose duty it becomes when it accepts."""
    TRANSFERRED = "transferred"
    TRANSFER_REFUSED = "transfer_refused"
    TRANSFER_TAKEN_BACK = "transfer_taken_back"
    CLOSED = "closed"
    JOINED = "joined"
    """The record was merged with another: the duty stands, and concerns all of the child."""
    SEPARATED = "separated"
    """A merge was taken back: the duty stands on its own record."""


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an alert. (xid, event_id) is its place in commit order."""

    xid: int
    event_id: int
    alert_id: int
    borough: str
    kind: EventKind
    grade: Grade
    actor: str
    told: str | None
    detail: str | None
    at: int


_EVENT_COLUMNS = AlertEvent.__struct_fields__
_EVENT = "SELECT " + ", ".join(_EVENT_COLUMNS) + " FROM alert_event"


@impersonal("a step by number; what it is a step of is logged where it is taken")
def add(
    tx: Transaction,
    alert_id: int,
    borough: str,
    kind: EventKind,
    grade: Grade,
    actor: str,
    *,
    now: int,
    told: str | None = None,
    detail: str | None = None,
) -> None:
    """Write down a step of an alert, announce it, and queue it for everybody outside whom it concerns."""
    briefing.touch_alert(tx, alert_id)
    event_id: int = tx.insert(
        "INSERT INTO alert_event (alert_id, borough, kind, grade, actor, told, detail, at)"
        " VALUES (:alert, :borough, :kind, :grade, :actor, :told, :detail, :now)",
        {
            "alert": alert_id,
            "borough": borough,
            "kind": kind.value,
            "grade": grade.value,
            "actor": actor,
            "told": told,
            "detail": detail,
            "now": now,
        },
        "event_id",
    )
    if _TAKEN not in tx.notes:
        tx.notes[_TAKEN] = []
        tx.at_commit(_tell)
    tx.notes[_TAKEN].append((event_id, now))


def _tell(tx: Transaction) -> None:
    """Queue the steps of a transaction for everybody, and say one word for all: whoever hears of the last reads
    those before it too."""
    taken: list[tuple[int, int]] = tx.notes.pop(_TAKEN, [])
    if not taken:
        return
    tx.executemany(
        "INSERT INTO delivery (event_id, channel, state, next_at, due_at)"
        " VALUES (:event, :channel, 'waiting', :now, :now)",
        [{"event": event_id, "channel": EVERYBODY, "now": now} for event_id, now in taken],
    )
    tx.notify(TOPIC, str(taken[-1][0]))


@impersonal("steps by number and time; a person sees them with the child, whose showing is logged")
def history(tx: Transaction, alert_ids: Sequence[int]) -> list[AlertEvent]:
    """Every step of these alerts, oldest first."""
    if not alert_ids:
        return []
    marks = {f"a{index}": alert_id for index, alert_id in enumerate(alert_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    return [
        _alert_event(row)
        for row in tx.rows(f"{_EVENT} WHERE alert_id IN ({wanted}) ORDER BY event_id", marks)
    ]


@impersonal("ids, boroughs and grades: what the live stream carries names nobody")
def steps_after(tx: Transaction, xid: int, event_id: int, limit: int) -> list[Step]:
    """Up to `limit` steps after (xid, event_id), in commit order, only those whose place is final."""
    rows = tx.rows(
        "SELECT xid, event_id, alert_id, borough, grade, kind, at FROM alert_event"
        f" WHERE (xid, event_id) > (:xid, :event) AND {tx.settled} ORDER BY xid, event_id LIMIT :most",
        {"xid": xid, "event": event_id, "most": limit},
    )
    copies: dict[int, list[str]] = {}
    alert_ids = list({row[2] for row in rows})
    if alert_ids:
        marks = {f"a{index}": alert_id for index, alert_id in enumerate(alert_ids)}
        wanted = ", ".join(f":{name}" for name in marks)
        for alert_id, code in tx.rows(
            f"SELECT alert_id, borough FROM alert_copy WHERE alert_id IN ({wanted})", marks
        ):
            copies.setdefault(alert_id, []).append(code)
    return [
        Step(
            xid=row[0],
            event_id=row[1],
            alert_id=row[2],
            borough=row[3],
            copies=tuple(copies.get(row[2], ())),
            grade=row[4],
            kind=row[5],
            at=row[6],
        )
        for row in rows
    ]


@impersonal("a position in the order of events")
def newest_event(tx: Transaction) -> tuple[int, int]:
    """(xid, event_id) of the newest step whose place is final; (0, 0) where there is none."""
    row = tx.row(
        f"SELECT xid, event_id FROM alert_event WHERE {tx.settled} ORDER BY xid DESC, event_id DESC LIMIT 1"
    )
    return (row[0], row[1]) if row else (0, 0)


def _alert_event(row: Sequence[object]) -> AlertEvent:
    return msgspec.convert(dict(zip(_EVENT_COLUMNS, row, strict=True)), AlertEvent)
