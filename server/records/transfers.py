"""Duties that are offered to another borough. Until it accepts, the sender has the duty and the clock runs there."""

from collections.abc import Collection
from enum import StrEnum

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.records import children, own_clocks, steps
from server.records.alerts import SELECT, Alert, alert_of
from server.storage.port import Transaction

PENDING_MAX = 500
"""Offers that wait in the whole force at once; more would mean that boroughs do not answer each other."""


class Answer(StrEnum):
    """How an offer ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer. `alert_id` None: the child as a whole, with every live alert of the sender's and its open case."""

    transfer_id: int
    child_id: int
    alert_id: int | None
    from_borough: str
    to_borough: str
    reason: str
    asked_by: str
    asked_at: int
    answer: Answer | None
    answered_by: str | None
    answered_at: int | None
    answer_reason: str | None


_COLUMNS = Transfer.__struct_fields__
_TRANSFER = "SELECT " + ", ".join(f"t.{name}" for name in _COLUMNS) + " FROM transfer t"


@audited(Verb.DISCLOSURE)
def offer(
    tx: Transaction, person: Person, alert: Alert, to: str, reason: str, *, whole: bool, now: int
) -> int:
    """Offer an alert, or its child as a whole, to another borough, which may see both from now on. The offer's
    number, or 0 where one waits for an answer already."""
    row = tx.row(
        "INSERT INTO transfer (child_id, alert_id, from_borough, to_borough, reason, asked_by, asked_at)"
        " VALUES (:child, :alert, :from, :to, :reason, :person, :now) ON CONFLICT DO NOTHING"
        " RETURNING transfer_id",
        {
            "child": alert.child_id, "alert": None if whole else alert.alert_id, "from": alert.borough,
            "to": to, "reason": reason, "person": person.username, "now": now,
        },
    )  # fmt: skip
    if row is None:
        return 0
    actor = Actor("person", person.username)
    offered = covered(tx, alert.child_id, None if whole else alert.alert_id, alert.borough)
    children.add_boroughs(tx, alert.child_id, [to])
    for one in offered:
        _copy(tx, one.alert_id, to)
        steps.add(
            tx, one.alert_id, one.borough, steps.EventKind.OFFERED, one.grade, person.username,
            now=now, told=to, detail=reason,
        )  # fmt: skip
    recipients = [f"borough:{to}"]
    ids = [one.alert_id for one in offered]
    record(tx, actor, Verb.DISCLOSURE, "alert", ids, now=now, recipients=recipients)
    record(tx, actor, Verb.DISCLOSURE, "child", [alert.child_id], now=now, recipients=recipients)
    transfer_id: int = row[0]
    return transfer_id


@impersonal("alerts by number, for the server's own work")
def covered(tx: Transaction, child_id: int, alert_id: int | None, borough: str) -> list[Alert]:
    """The live alerts that an offer is about: the one, or every one of the child's in the sender's borough."""
    if alert_id is not None:
        condition, marks = "a.alert_id = :alert", {"alert": alert_id, "borough": borough}
    else:
        records = sorted(children.whole(tx, [child_id]))
        marks = {"borough": borough} | {f"c{index}": one for index, one in enumerate(records)}
        condition = f"a.child_id IN ({', '.join(f':c{index}' for index in range(len(records)))})"
    rows = tx.rows(
        f"{SELECT} FROM alert a WHERE {condition} AND a.borough = :borough AND a.state <> 'closed'"
        " ORDER BY a.alert_id",
        marks,
    )
    return [alert_of(row) for row in rows]


@impersonal("an offer by number; what it is about is logged where it is shown")
def get(tx: Transaction, transfer_id: int) -> Transfer | None:
    """An offer."""
    row = tx.row(_TRANSFER + " WHERE t.transfer_id = :id", {"id": transfer_id})
    return _transfer(row) if row else None


@impersonal("offers by number; the alert or child that each is about is logged where it is shown")
def pending(tx: Transaction) -> list[Transfer]:
    """Every offer that waits for an answer and whose alert is still live, oldest first."""
    rows = tx.rows(
        _TRANSFER + " LEFT JOIN alert a ON a.alert_id = t.alert_id WHERE t.answered_at IS NULL"
        " AND (a.alert_id IS NULL OR a.state <> 'closed') ORDER BY t.transfer_id LIMIT :most",
        {"most": PENDING_MAX},
    )
    return [_transfer(row) for row in rows]


@audited(Verb.ALTERATION)
def answer(
    tx: Transaction, person: Person, asked: Transfer, how: Answer, reason: str | None, *, now: int
) -> bool:
    """Answer an offer. Accepted, its alerts are the person's from now on. False where it was answered before."""
    if not tx.execute(
        "UPDATE transfer SET answer = :answer, answered_by = :person, answered_at = :now, answer_reason = :reason"
        " WHERE transfer_id = :id AND answered_at IS NULL",
        {
            "answer": how.value, "person": person.username, "now": now, "reason": reason,
            "id": asked.transfer_id,
        },
    ):  # fmt: skip
        return False
    actor = Actor("person", person.username)
    kind = {
        Answer.ACCEPTED: steps.EventKind.TRANSFERRED,
        Answer.REFUSED: steps.EventKind.TRANSFER_REFUSED,
        Answer.TAKEN_BACK: steps.EventKind.TRANSFER_TAKEN_BACK,
    }[how]
    found = covered(tx, asked.child_id, asked.alert_id, asked.from_borough)
    for alert in found:
        borough, other = asked.from_borough, asked.to_borough
        if how is Answer.ACCEPTED:
            _move(tx, alert, person.username, asked.to_borough, now)
            borough, other = other, borough
        steps.add(
            tx,
            alert.alert_id,
            borough,
            kind,
            alert.grade,
            person.username,
            now=now,
            told=other,
            detail=reason,
        )
    ids = [alert.alert_id for alert in found]
    record(tx, actor, Verb.ALTERATION, "alert", ids, now=now)
    record(tx, actor, Verb.ALTERATION, "transfer", [asked.transfer_id], now=now)
    return True


def _move(tx: Transaction, alert: Alert, person: str, to: str, now: int) -> None:
    """Make an alert another borough's and this person's. Its clock runs on, and what it was answered by stays."""
    tx.execute(
        "UPDATE alert SET borough = :to, owner = :person, came_from = NULL, state = 'acknowledged',"
        " first_borough = COALESCE(first_borough, borough), acknowledged_at = COALESCE(acknowledged_at, :now),"
        " acknowledged_by = COALESCE(acknowledged_by, :person), escalates_at = :warns, rev = rev + 1"
        " WHERE alert_id = :alert",
        {
            "to": to, "person": person, "now": now, "alert": alert.alert_id,
            "warns": own_clocks.wakes_at(own_clocks.of_alert(tx, alert.alert_id), now),
        },
    )  # fmt: skip
    tx.execute(
        "DELETE FROM alert_copy WHERE alert_id = :alert AND borough = :to",
        {"alert": alert.alert_id, "to": to},
    )
    _copy(tx, alert.alert_id, alert.borough)


def _copy(tx: Transaction, alert_id: int, borough: str) -> None:
    tx.execute(
        "INSERT INTO alert_copy (alert_id, borough) VALUES (:alert, :borough)"
        " ON CONFLICT (alert_id, borough) DO NOTHING",
        {"alert": alert_id, "borough": borough},
    )


@impersonal("borough codes, asked in order to decide who may see a record")
def concerned(tx: Transaction, child_id: int) -> set[str]:
    """The boroughs that a record was offered to and did not leave: those that have not refused it."""
    rows = tx.rows(
        "SELECT to_borough FROM transfer WHERE child_id = :child AND (answer IS NULL OR answer = 'accepted')",
        {"child": child_id},
    )
    return {code for (code,) in rows}


@impersonal("offers by number, filtered by what a person may see")
def visible(tx: Transaction, person: Person, boroughs: Collection[str]) -> list[Transfer]:
    """The offers that wait and that these boroughs made or are to answer (all of them for the whole force)."""
    everywhere = person.sees_borough(None)
    return [one for one in pending(tx) if everywhere or {one.from_borough, one.to_borough} & set(boroughs)]


def _transfer(row: tuple[object, ...]) -> Transfer:
    return msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), Transfer)
