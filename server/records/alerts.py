"""Alerts: a flag's duty on somebody, from the moment it is raised to the moment it is answered.

A child has at most one open alert in a borough: what comes while it is open makes it grow. Every step is an
`alert_event`, in commit order, which is both the alert's history and what the live stream sends.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.grades import graver_of
from server.records import steps
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.vocabulary import Grade

QUEUE_ROWS_MAX = 200
NOBODY = ""
"""The owner of an alert that nobody has, where a queue is narrowed by owner."""

ESCALATIONS_PER_ROUND_MAX = 1_000


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


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a borough about a child. Times in milliseconds; `ladder` is when each level hears.

    Where a flag has a clock of its own, `due_at` is its end, `due_words` what ends then, and `warns_at` when a
    supervisor hears of it, answered or not.
    """

    child_id: int
    borough: str
    owner_reason: str
    grade: Grade
    why: str
    flag_ids: tuple[int, ...]
    started_at: int
    deadline_at: int | None
    late_by_ms: int
    ladder: tuple[int, ...]
    due_at: int | None = None
    due_words: str | None = None
    warns_at: int | None = None
    copies: tuple[str, ...] = ()
    first: bool = False
    """The record has had no note before, so nothing about it can be open already."""
    joint: bool = False
    """For what the records of a merged child mean only together."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as the queue needs it."""

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
    acknowledged_at: int | None
    acknowledged_by: str | None
    closed_at: int | None
    closed_reason: str | None
    rev: int
    is_copy: bool = False


_COLUMNS = [name for name in Alert.__struct_fields__ if name != "is_copy"]
_ALERT = "SELECT " + ", ".join(f"a.{name}" for name in _COLUMNS)


@impersonal("a duty on a borough; the flags behind it are logged where they are raised")
def put(
    tx: Transaction,
    duty: Duty,
    *,
    now: int,
    urgent: bool,
    actor: str = "system",
    channels: Sequence[str] = (),
) -> int:
    """Open an alert, or let the open one of this child and borough grow; its id.

    `urgent` says that the duty is graver than before, so that the clock and the ladder start anew from it
    where they would be sooner. An alert's grade and deadline never get milder by growing.
    """
    row, was = None, None
    if not duty.first:
        row = tx.row(
            _ALERT + " FROM alert a WHERE a.child_id = :child AND a.borough = :borough AND a.state = 'open'"
            f" AND a.joint = {int(duty.joint)} ORDER BY a.alert_id LIMIT 1",
            {"child": duty.child_id, "borough": duty.borough},
        )
    if row is None:
        alert_id = _open(tx, duty)
        kind = steps.EventKind.RAISED
    else:
        before = _alert(row)
        alert_id = _grow(tx, before, duty, urgent, now)
        kind = steps.EventKind.GREW
        # Also where a supervisor had lowered it: the system never lowers, and what is new may raise it again.
        was = before.grade.value if duty.grade.urgency > before.grade.urgency else None
    tx.executemany(
        "INSERT INTO alert_flag (alert_id, flag_id) VALUES (:alert, :flag)"
        " ON CONFLICT (alert_id, flag_id) DO NOTHING",
        [{"alert": alert_id, "flag": flag_id} for flag_id in duty.flag_ids],
    )
    if duty.copies:
        tx.executemany(
            "INSERT INTO alert_copy (alert_id, borough) VALUES (:alert, :borough)"
            " ON CONFLICT (alert_id, borough) DO NOTHING",
            [{"alert": alert_id, "borough": code} for code in duty.copies],
        )
    steps.add(
        tx, alert_id, duty.borough, kind, duty.grade, actor,
        now=now, told="investigators", detail=was, channels=channels,
    )  # fmt: skip
    return alert_id


def _open(tx: Transaction, duty: Duty) -> int:
    alert_id: int = tx.insert(
        "INSERT INTO alert (child_id, borough, owner_reason, grade, highest_grade, why, state, started_at,"
        " deadline_at, due_at, due_words, warns_at, late_by_ms, escalates_at, joint) VALUES (:child, :borough,"
        " :owner_reason, :grade, :grade, :why, 'open', :started, :deadline, :due, :due_words, :warns, :late,"
        " :escalates, :joint)",
        {
            "child": duty.child_id,
            "borough": duty.borough,
            "owner_reason": duty.owner_reason,
            "grade": duty.grade.value,
            "why": duty.why,
            "started": duty.started_at,
            "deadline": duty.deadline_at,
            "due": duty.due_at,
            "due_words": duty.due_words,
            "warns": duty.warns_at,
            "late": duty.late_by_ms,
            "escalates": duty.ladder[0] if duty.ladder else None,
            "joint": int(duty.joint),
        },
        "alert_id",
    )
    return alert_id


def _grow(tx: Transaction, alert: Alert, duty: Duty, urgent: bool, now: int) -> int:
    timed: Alert | Duty = alert
    if duty.due_at is not None and (alert.due_at is None or not now < alert.due_at <= duty.due_at):
        timed = duty
    graver = duty.grade.urgency > alert.grade.urgency
    sooner = [at for at in (alert.deadline_at, duty.deadline_at) if at is not None]
    next_step = duty.ladder[0] if duty.ladder else None
    restart = (graver or urgent) and next_step is not None
    if restart and alert.escalates_at is not None and not graver:
        next_step = min(alert.escalates_at, next_step or alert.escalates_at)
    tx.execute(
        "UPDATE alert SET grade = :grade, highest_grade = :highest, why = :why, deadline_at = :deadline,"
        " due_at = :due, due_words = :due_words, warns_at = :warns, late_by_ms = :late, level = :level,"
        " escalates_at = :escalates, rev = rev + 1 WHERE alert_id = :alert",
        {
            "grade": (duty.grade if graver else alert.grade).value,
            "highest": graver_of(duty.grade, alert.highest_grade).value,
            "due": timed.due_at,
            "due_words": timed.due_words,
            "warns": timed.warns_at,
            "why": duty.why if duty.grade.urgency >= alert.grade.urgency else alert.why,
            "deadline": min(sooner) if sooner else None,
            "late": max(alert.late_by_ms, duty.late_by_ms),
            "level": 0 if graver else alert.level,
            "escalates": next_step if restart else alert.escalates_at,
            "alert": alert.alert_id,
        },
    )
    return alert.alert_id


@impersonal("ids, and sentences of rules; that the flags changed is logged where they do")
def lessen(
    tx: Transaction, child_id: int, gone: Sequence[int], *, now: int, channels: Sequence[str] = ()
) -> None:
    """Bring a child's alerts into line with flags that were retracted (`gone`) or became less, and say so.

    What an alert says and its flags' own clock follow the flags that still hold. Its grade and its deadline
    do not: the system never lowers them.
    """
    holding: dict[int, list[tuple[Grade, str, int | None, str | None]]] = {}
    for alert_id, grade, *rest in tx.rows(
        "SELECT a.alert_id, f.grade, f.sentence, f.due_at, f.due_words FROM alert a"
        " JOIN alert_flag l ON l.alert_id = a.alert_id JOIN flag f ON f.flag_id = l.flag_id"
        " WHERE a.child_id = :child AND a.state <> 'closed' AND f.retracted_at IS NULL ORDER BY f.flag_id",
        {"child": child_id},
    ):
        holding.setdefault(alert_id, []).append((Grade(grade), *rest))
    for alert_id, flags in holding.items():
        alert = _get(tx, alert_id)
        assert alert is not None, "alerts are never deleted"
        why = alert.why
        if why not in [flag[1] for flag in flags]:
            why = max(flags, key=lambda flag: flag[0].urgency)[1]
        running = [flag for flag in flags if flag[2] is not None and flag[2] > now]
        due_at, due_words = min(running, key=lambda flag: flag[2] or 0)[2:] if running else (None, None)
        lost = tx.value(
            "SELECT COUNT(*) FROM alert_flag WHERE alert_id = :alert AND flag_id IN"
            f" ({', '.join(str(int(flag_id)) for flag_id in gone) or 'NULL'})",
            {"alert": alert_id},
        )
        if not lost and (why, due_at, due_words) == (alert.why, alert.due_at, alert.due_words):
            continue
        tx.execute(
            "UPDATE alert SET why = :why, due_at = :due, due_words = :due_words, warns_at = :warns,"
            " rev = rev + 1 WHERE alert_id = :alert",
            {
                "why": why,
                "due": due_at,
                "due_words": due_words,
                "warns": alert.warns_at if due_at is not None else None,
                "alert": alert_id,
            },
        )
        steps.add(
            tx, alert_id, alert.borough, steps.EventKind.LESSENED, alert.grade, "system",
            now=now, told=alert.owner or "investigators", channels=channels,
        )  # fmt: skip


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
        f"{_ALERT}, {copied} FROM alert a WHERE a.state IN ({states_wanted}) AND {condition}"
        " ORDER BY CASE a.grade WHEN 'red' THEN 0 WHEN 'amber' THEN 1 WHEN 'green' THEN 2 ELSE 3 END,"
        " a.deadline_at IS NULL, a.deadline_at, a.alert_id LIMIT :most",
        {**marks, "most": limit},
    )
    found = [_alert(row[:-1], is_copy=bool(row[-1])) for row in rows]
    if found:
        ids = [alert.alert_id for alert in found]
        record(tx, Actor("person", person.username), Verb.CONSULTATION, "alert", ids, now=now)
    return found


@audited(Verb.CONSULTATION)
def of_child(tx: Transaction, person: Person, child_id: int, *, now: int) -> list[Alert]:
    """Every alert on a child, on whichever of its records, newest first. Ask `children.require_sight` before."""
    rows = tx.rows(
        f"{_ALERT} FROM alert a WHERE a.child_id IN {WHOLE} AND (a.joint = 0 OR EXISTS (SELECT 1 FROM child c"
        " WHERE c.child_id = :child AND c.cluster_id = :child)) ORDER BY a.alert_id DESC",
        {"child": child_id},
    )
    found = [_alert(row, is_copy=not person.sees_borough(row[2])) for row in rows]
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
        "UPDATE alert SET state = 'acknowledged', owner = COALESCE(owner, :person), acknowledged_at = :now,"
        " acknowledged_by = :person, escalates_at = :warns, rev = rev + 1 WHERE alert_id = :alert",
        {
            "person": person.username,
            "now": now,
            # An answer ends the grade's chain, and not a clock of its own: of that a supervisor hears in time.
            "warns": max(now, alert.warns_at or now) if (alert.due_at or 0) > now else None,
            "alert": alert_id,
        },
    )
    steps.add(
        tx, alert_id, alert.borough, steps.EventKind.ACKNOWLEDGED, alert.grade, person.username, now=now
    )
    return _get(tx, alert_id) or alert


@audited(Verb.ALTERATION)
def hand_over(tx: Transaction, person: Person, alert_id: int, to: str, reason: str, *, now: int) -> Alert:
    """Give an alert to somebody else of the borough (a username). Raises NotAllowed and AlertConflict."""
    alert = _require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS, own=True)
    if alert.state is State.CLOSED:
        raise AlertConflict(alert.state, alert.rev)
    tx.execute(
        "UPDATE alert SET owner = :to, rev = rev + 1 WHERE alert_id = :alert", {"to": to, "alert": alert_id}
    )
    steps.add(
        tx, alert_id, alert.borough, steps.EventKind.HANDED_OVER, alert.grade, person.username,
        now=now, told=to, detail=reason,
    )  # fmt: skip
    record(tx, Actor("person", person.username), Verb.ALTERATION, "alert", [alert_id], now=now)
    return _get(tx, alert_id) or alert


@audited(Verb.ALTERATION)
def close(
    tx: Transaction,
    actor: Actor,
    alert_ids: Sequence[int],
    reason: str,
    *,
    now: int,
    channels: Sequence[str] = (),
) -> list[int]:
    """Close alerts whose grounds are gone or whose work is done, with the reason. Those that were open."""
    closed = []
    for alert_id in alert_ids:
        row = tx.row(
            "UPDATE alert SET state = 'closed', closed_at = :now, closed_reason = :reason, escalates_at = NULL,"
            " rev = rev + 1 WHERE alert_id = :alert AND state <> 'closed' RETURNING borough, grade, owner",
            {"now": now, "reason": reason, "alert": alert_id},
        )
        if row is not None:
            closed.append(alert_id)
            steps.add(
                tx, alert_id, row[0], steps.EventKind.CLOSED, Grade(row[1]), actor.id,
                now=now, told=row[2], detail=reason, channels=channels,
            )  # fmt: skip
    if closed:
        record(tx, actor, Verb.ALTERATION, "alert", closed, now=now)
    return closed


@audited(Verb.ALTERATION)
def copy_to(
    tx: Transaction,
    actor: Actor,
    alert_id: int,
    boroughs: Iterable[str],
    *,
    now: int,
    channels: Sequence[str] = (),
) -> bool:
    """Give these boroughs a copy of an alert, but for its own and those that have one. True where any is new."""
    row = tx.row("SELECT borough, grade FROM alert WHERE alert_id = :alert", {"alert": alert_id})
    assert row is not None, "an alert is never deleted"
    fresh = [
        code
        for code in dict.fromkeys(boroughs)
        if code != row[0]
        and tx.execute(
            "INSERT INTO alert_copy (alert_id, borough) VALUES (:alert, :borough)"
            " ON CONFLICT (alert_id, borough) DO NOTHING",
            {"alert": alert_id, "borough": code},
        )
    ]
    if fresh:
        steps.add(
            tx, alert_id, row[0], steps.EventKind.COPIED, Grade(row[1]), actor.id, now=now,
            told="investigators", detail=", ".join(fresh), channels=channels,
        )  # fmt: skip
        record(tx, actor, Verb.ALTERATION, "alert", [alert_id], now=now)
    return bool(fresh)


@impersonal("numbers only")
def open_ids(tx: Transaction, child_id: int) -> list[int]:
    """The alerts on a child that are not closed."""
    rows = tx.rows(
        "SELECT alert_id FROM alert WHERE child_id = :child AND state <> 'closed' ORDER BY alert_id",
        {"child": child_id},
    )
    return [alert_id for (alert_id,) in rows]


@impersonal("numbers of flags, for the server's own work")
def flags_without(tx: Transaction, child_id: int, flag_ids: Sequence[int]) -> set[int]:
    """Those of these flags that no alert on this record has carried."""
    if not flag_ids:
        return set()
    marks = {f"f{index}": flag_id for index, flag_id in enumerate(flag_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    rows = tx.rows(
        "SELECT DISTINCT l.flag_id FROM alert_flag l JOIN alert a ON a.alert_id = l.alert_id"
        f" WHERE a.child_id = :child AND l.flag_id IN ({wanted})",
        marks | {"child": child_id},
    )
    return set(flag_ids) - {flag_id for (flag_id,) in rows}


@impersonal("one time of one alert")
def running_since(tx: Transaction, child_id: int, note_id: str) -> int | None:
    """Since when a clock runs on a record for this note that nobody has answered; None where none does."""
    since: int | None = tx.value(
        "SELECT MIN(a.started_at) FROM alert a JOIN alert_flag l ON l.alert_id = a.alert_id"
        " JOIN flag_note n ON n.flag_id = l.flag_id"
        " WHERE a.child_id = :child AND a.joint = 0 AND a.state = 'open' AND n.note_id = :note",
        {"child": child_id, "note": note_id},
    )
    return since


@impersonal("steps that name nobody; the merge that they tell of is logged where it is decided")
def tell(
    tx: Transaction,
    child_ids: Collection[int],
    kind: steps.EventKind,
    actor: str,
    *,
    now: int,
    channels: Sequence[str] = (),
) -> None:
    """Tell whoever has a duty on one of these records that they were put together or taken apart."""
    if not child_ids:
        return
    marks = {f"c{index}": child_id for index, child_id in enumerate(sorted(child_ids))}
    wanted = ", ".join(f":{name}" for name in marks)
    for alert_id, borough, grade in tx.rows(
        "SELECT alert_id, borough, grade FROM alert"
        f" WHERE child_id IN ({wanted}) AND state <> 'closed' ORDER BY alert_id",
        marks,
    ):
        steps.add(
            tx, alert_id, borough, kind, Grade(grade), actor, now=now, told="investigators", channels=channels
        )


@impersonal("ids and times of alerts that are due; what is done to them is logged by `escalate`")
def due(tx: Transaction, *, now: int) -> list[Alert]:
    """The alerts of which somebody more must hear now, in the order of their times."""
    rows = tx.rows(
        _ALERT + " FROM alert a WHERE a.escalates_at IS NOT NULL AND a.escalates_at <= :now"
        " ORDER BY a.escalates_at, a.alert_id LIMIT :most",
        {"now": now, "most": ESCALATIONS_PER_ROUND_MAX},
    )
    return [_alert(row) for row in rows]


@audited(Verb.ALTERATION)
def escalate(
    tx: Transaction,
    actor: Actor,
    alert: Alert,
    *,
    level: int,
    told: str,
    next_at: int | None,
    now: int,
    detail: str | None = None,
    channels: Sequence[str] = (),
) -> bool:
    """Tell somebody more of an alert; its revision is then one higher. False where it changed meanwhile."""
    moved = tx.execute(
        "UPDATE alert SET level = :level, escalates_at = :next, rev = rev + 1"
        " WHERE alert_id = :alert AND state <> 'closed' AND rev = :rev",
        {"level": level, "next": next_at, "alert": alert.alert_id, "rev": alert.rev},
    )
    if not moved:
        return False
    record(tx, actor, Verb.ALTERATION, "alert", [alert.alert_id], now=now)
    steps.add(
        tx, alert.alert_id, alert.borough, steps.EventKind.ESCALATED, alert.grade, actor.id,
        now=now, told=told, detail=detail, channels=channels,
    )  # fmt: skip
    return True


@impersonal("one time of one alert")
def end_escalation(tx: Transaction, alert: Alert) -> None:
    """Everybody in an alert's chain has been told."""
    tx.execute(
        "UPDATE alert SET escalates_at = NULL WHERE alert_id = :alert AND rev = :rev",
        {"alert": alert.alert_id, "rev": alert.rev},
    )


@impersonal("a yes or a no")
def is_any_due(tx: Transaction, *, now: int) -> bool:
    """Whether there is an alert of which somebody more must hear now."""
    found = tx.row(
        "SELECT 1 FROM alert WHERE escalates_at IS NOT NULL AND escalates_at <= :now LIMIT 1",
        {"now": now},
    )
    return found is not None


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
    alert = _get(tx, alert_id)
    mine = alert is not None and person.sees_borough(alert.borough)
    seen = mine or (not own and _copied_to(tx, alert_id, person))
    if alert is None or not seen or not person.may(permission):
        raise NotAllowed("There is no such alert among those you may see.")
    return alert if mine else msgspec.structs.replace(alert, is_copy=True)


def _copied_to(tx: Transaction, alert_id: int, person: Person) -> bool:
    rows = tx.rows("SELECT borough FROM alert_copy WHERE alert_id = :alert", {"alert": alert_id})
    return any(person.sees_borough(code) for (code,) in rows)


def _get(tx: Transaction, alert_id: int) -> Alert | None:
    row = tx.row(_ALERT + " FROM alert a WHERE a.alert_id = :alert", {"alert": alert_id})
    return _alert(row) if row else None


def _alert(row: Sequence[object], *, is_copy: bool = False) -> Alert:
    values = dict(zip(_COLUMNS, row, strict=True))
    return msgspec.convert(values | {"is_copy": is_copy}, Alert)
