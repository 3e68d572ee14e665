"""Alerts: a flag's duty on somebody, from the moment it is raised to the moment it is answered.

Every step is an `alert_event`, in commit order, which is both the alert's history and what the live stream sends.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.records import own_clocks, steps
from server.records.steps import INVESTIGATORS
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.vocabulary import Grade

QUEUE_ROWS_MAX = 200
NOBODY = ""
"""The owner of an alert that nobody has, where a queue is narrowed by owner."""


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class AlertConflict(Exception):
    """Somebody else was quicker. `state` and `rev` are what holds now."""

    def __init__(self, state: str, rev: int) -> None:
        super().__init__("This alert has changed since you last saw it.")
        self.state = state
        self.rev = rev


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as the queue needs it.

    Open, it waits for `waited_for` until `escalates_at`; acknowledged, it has an owner; closed, it has a reason.
    `waits_for` is whom it was told to last because nobody answered, `came_from` whose it was until they were away or
    gone.
    """

    alert_id: int
    child_id: int
    borough: str
    owner_reason: str
    owner: str | None
    grade: Grade
    highest_grade: Grade
    why: str
    state: State
    started_at: int
    deadline_at: int | None
    due_at: int | None
    due_words: str | None
    warns_at: int | None
    late_by_ms: int
    level: int
    escalates_at: int | None
    waits_for: str | None
    came_from: str | None
    acknowledged_at: int | None
    acknowledged_by: str | None
    closed_at: int | None
    closed_reason: str | None
    rev: int
    is_copy: bool = False

    @property
    def waited_for(self) -> str | None:
        """Whose answer an open alert waits for until `escalates_at`: a username, the id of the role that heard last,
        or the borough's investigators."""
        return (self.waits_for or self.owner or INVESTIGATORS) if self.state is State.OPEN else None


_COLUMNS = [name for name in Alert.__struct_fields__ if name != "is_copy"]
SELECT = "SELECT " + ", ".join(f"a.{name}" for name in _COLUMNS)


@audited(Verb.CONSULTATION)
def queue(
    tx: Transaction,
    person: Person,
    *,
    now: int,
    states: Sequence[State] = (State.OPEN, State.ACKNOWLEDGED),
    borough: str | None = None,
    grades: Sequence[Grade] = (),
    owner: str | None = None,
    limit: int = QUEUE_ROWS_MAX,
) -> list[Alert]:
    """The alerts that this person may see: red first, then least time left. Copies come with `is_copy`.

    `owner` is a username, or `NOBODY` for those that nobody has; no grade means every grade.
    """
    if not person.may(Permission.SEE_ALERTS):
        raise NotAllowed("Your role does not see alerts.")
    scope = [code for code in sorted(person.boroughs) if borough in (None, code)]
    if person.sees_borough(None):
        condition, marks = ("a.borough = :only", {"only": borough}) if borough else ("1 = 1", {})
        copied = "0"
    else:
        marks = {f"b{index}": code for index, code in enumerate(scope)}
        wanted = ", ".join(f":{name}" for name in marks) or "NULL"
        condition = (
            f"(a.borough IN ({wanted}) OR EXISTS (SELECT 1 FROM alert_copy c"
            f" WHERE c.alert_id = a.alert_id AND c.borough IN ({wanted})))"
        )
        copied = f"CASE WHEN a.borough IN ({wanted}) THEN 0 ELSE 1 END"
    marks = dict(marks)
    states_wanted = ", ".join(f"'{State(state).value}'" for state in states) or "NULL"
    if grades:
        condition += " AND a.grade IN (" + ", ".join(f"'{Grade(grade).value}'" for grade in grades) + ")"
    if owner == NOBODY:
        condition += " AND a.owner IS NULL"
    elif owner is not None:
        condition += " AND a.owner = :owner"
        marks["owner"] = owner
    rows = tx.rows(
        f"{SELECT}, {copied} FROM alert a WHERE a.state IN ({states_wanted}) AND {condition}"
        " ORDER BY CASE a.grade WHEN 'red' THEN 0 WHEN 'amber' THEN 1 WHEN 'green' THEN 2 ELSE 3 END,"
        " a.deadline_at IS NULL, a.deadline_at, a.alert_id LIMIT :most",
        {**marks, "most": limit},
    )
    found = [alert_of(row[:-1], is_copy=bool(row[-1])) for row in rows]
    if found:
        ids = [alert.alert_id for alert in found]
        record(tx, Actor("person", person.username), Verb.CONSULTATION, "alert", ids, now=now)
    return found


@audited(Verb.CONSULTATION)
def of_child(tx: Transaction, person: Person, child_id: int, *, now: int) -> list[Alert]:
    """Every alert on a child, on whichever of its records, newest first. Ask `children_shown.require_sight` before."""
    rows = tx.rows(
        f"{SELECT} FROM alert a WHERE a.child_id IN {WHOLE} AND (a.joint = 0 OR EXISTS (SELECT 1 FROM child c"
        " WHERE c.child_id = :child AND c.cluster_id = :child)) ORDER BY a.alert_id DESC",
        {"child": child_id},
    )
    found = [alert_of(row, is_copy=not person.sees_borough(row[2])) for row in rows]
    if found:
        ids = [alert.alert_id for alert in found]
        record(tx, Actor("person", person.username), Verb.CONSULTATION, "alert", ids, now=now)
    return found


@audited(Verb.CONSULTATION)
def show(tx: Transaction, person: Person, alert_id: int, *, now: int) -> Alert:
    """One alert. Raises NotAllowed, also where there is none."""
    alert = _require(tx, person, alert_id, Permission.SEE_ALERTS)
    record(tx, Actor("person", person.username), Verb.CONSULTATION, "alert", [alert_id], now=now)
    return alert


@impersonal("what the server must know to decide; raises NotAllowed without saying whether there is one")
def require(tx: Transaction, person: Person, alert_id: int, permission: Permission) -> Alert:
    """An alert of this person's own boroughs, copies left out, if the role holds the permission."""
    return _require(tx, person, alert_id, permission, own=True)


@audited(Verb.ALTERATION)
def acknowledge(
    tx: Transaction, person: Person, alert_id: int, *, now: int, from_rev: int | None = None
) -> Alert:
    """Answer an alert: its escalation ends and the person owns it. Answering twice changes nothing.

    Raises NotAllowed, and AlertConflict where it is closed or `from_rev` is no longer its revision.
    """
    alert = _require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS, own=True)
    changed = alert.state is State.CLOSED or (from_rev is not None and from_rev != alert.rev)
    mine_already = alert.state is State.ACKNOWLEDGED and alert.acknowledged_by == person.username
    if changed and not mine_already:
        raise AlertConflict(alert.state, alert.rev)
    record(tx, Actor("person", person.username), Verb.ALTERATION, "alert", [alert_id], now=now)
    if alert.state is State.ACKNOWLEDGED:
        return alert
    tx.execute(
        "UPDATE alert SET state = 'acknowledged', owner = :person, came_from = NULL,"
        " acknowledged_at = COALESCE(acknowledged_at, :now), acknowledged_by = :person, escalates_at = :warns,"
        " rev = rev + 1 WHERE alert_id = :alert",
        {
            "person": person.username,
            "now": now,
            # An answer ends the grade's chain, and not clocks of its own: of those a supervisor hears in time.
            "warns": own_clocks.wakes_at(own_clocks.of_alert(tx, alert_id), now),
            "alert": alert_id,
        },
    )
    steps.add(
        tx, alert_id, alert.borough, steps.EventKind.ACKNOWLEDGED, alert.grade, person.username, now=now
    )
    return get(tx, alert_id) or alert


@impersonal("ids of an alert's notes, for telling their authors")
def note_ids(tx: Transaction, alert_id: int) -> list[str]:
    """The notes behind an alert."""
    rows = tx.rows(
        "SELECT DISTINCT n.note_id FROM alert_flag f JOIN flag_note n ON n.flag_id = f.flag_id"
        " WHERE f.alert_id = :alert ORDER BY n.note_id",
        {"alert": alert_id},
    )
    return [note_id for (note_id,) in rows]


@impersonal("counts only")
def counts(tx: Transaction) -> dict[str, int]:
    """How many alerts are in each state, and how many steps went up a level."""
    found = dict(tx.rows("SELECT state, COUNT(*) FROM alert GROUP BY state"))
    found["escalations"] = tx.value("SELECT COUNT(*) FROM alert_event WHERE kind = 'escalated'")
    return found


def _require(
    tx: Transaction, person: Person, alert_id: int, permission: Permission, *, own: bool = False
) -> Alert:
    alert = get(tx, alert_id)
    mine = alert is not None and person.sees_borough(alert.borough)
    seen = mine or (not own and _copied_to(tx, alert_id, person))
    if alert is None or not seen or not person.may(permission):
        raise NotAllowed("There is no such alert among those you may see.")
    return alert if mine else msgspec.structs.replace(alert, is_copy=True)


def _copied_to(tx: Transaction, alert_id: int, person: Person) -> bool:
    rows = tx.rows("SELECT borough FROM alert_copy WHERE alert_id = :alert", {"alert": alert_id})
    return any(person.sees_borough(code) for (code,) in rows)


@impersonal("for the server's own work; a person is shown one by `show`")
def get(tx: Transaction, alert_id: int) -> Alert | None:
    """An alert by its number; None where there is none."""
    row = tx.row(SELECT + " FROM alert a WHERE a.alert_id = :alert", {"alert": alert_id})
    return alert_of(row) if row else None


@impersonal("reads nothing: puts a row of `SELECT` into its shape")
def alert_of(row: Sequence[object], *, is_copy: bool = False) -> Alert:
    """An alert from a row of `SELECT`."""
    values = dict(zip(_COLUMNS, row, strict=True))
    return msgspec.convert(values | {"is_copy": is_copy}, Alert)
