"""A borough's duties about a child, as flags make and unmake them.

A child has at most one open alert in a borough: what comes while it is open makes it grow.
"""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.grades import graver_of
from server.records import steps
from server.records.alerts import SELECT, Alert, alert_of, get
from server.storage.port import Transaction
from sync.vocabulary import Grade, NoteOutcome


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a borough about a child. Times in milliseconds; `hears_at` is when somebody more hears of it.

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
    hears_at: int
    unwritten_ms: int = 0
    unsent_ms: int = 0
    due_at: int | None = None
    due_words: str | None = None
    warns_at: int | None = None
    copies: tuple[str, ...] = ()
    owner: str | None = None
    """Who leads the open case of the child: it goes to them."""
    first: bool = False
    """The record has had no note before, so nothing about it can be open already."""
    joint: bool = False
    """For what the records of a merged child mean only together."""


@impersonal("a duty on a borough; the flags behind it are logged where they are raised")
def put(
    tx: Transaction,
    duty: Duty,
    *,
    now: int,
    urgent: bool,
    actor: str = "system",
) -> int:
    """Open an alert, or let the open one of this child and borough grow; its id.

    `urgent` says that the duty is graver than before, so that the clock and the chain start anew from it
    where they would be sooner. An alert's grade and deadline never get milder by growing.
    """
    row, was = None, None
    if not duty.first:
        row = tx.row(
            SELECT + " FROM alert a WHERE a.child_id = :child AND a.borough = :borough AND a.state = 'open'"
            f" AND a.joint = {int(duty.joint)} ORDER BY a.alert_id LIMIT 1",
            {"child": duty.child_id, "borough": duty.borough},
        )
    if row is None:
        alert_id = _open(tx, duty)
        kind = steps.EventKind.RAISED
    else:
        before = alert_of(row)
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
        now=now, told=duty.owner or "investigators", detail=was,
    )  # fmt: skip
    return alert_id


def _open(tx: Transaction, duty: Duty) -> int:
    alert_id: int = tx.insert(
        "INSERT INTO alert (child_id, borough, owner_reason, owner, grade, highest_grade, why, state, started_at,"
        " deadline_at, due_at, due_words, warns_at, late_by_ms, unwritten_ms, unsent_ms, escalates_at, joint)"
        " VALUES (:child, :borough,"
        " :owner_reason, :owner, :grade, :grade, :why, 'open', :started, :deadline, :due, :due_words, :warns, :late,"
        " :unwritten, :unsent,"
        " :escalates, :joint)",
        {
            "child": duty.child_id,
            "borough": duty.borough,
            "owner_reason": duty.owner_reason,
            "owner": duty.owner,
            "grade": duty.grade.value,
            "why": duty.why,
            "started": duty.started_at,
            "deadline": duty.deadline_at,
            "due": duty.due_at,
            "due_words": duty.due_words,
            "warns": duty.warns_at,
            "late": duty.late_by_ms,
            "unwritten": duty.unwritten_ms,
            "unsent": duty.unsent_ms,
            "escalates": duty.hears_at,
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
    hears_at = alert.escalates_at or duty.hears_at
    if graver or urgent:
        hears_at = duty.hears_at if graver else min(hears_at, duty.hears_at)
    tx.execute(
        "UPDATE alert SET owner = COALESCE(owner, :owner), grade = :grade, highest_grade = :highest, why = :why,"
        " deadline_at = :deadline,"
        " due_at = :due, due_words = :due_words, warns_at = :warns, late_by_ms = :late, level = :level,"
        " unwritten_ms = CASE WHEN :unwritten > unwritten_ms THEN :unwritten ELSE unwritten_ms END,"
        " unsent_ms = CASE WHEN :unsent > unsent_ms THEN :unsent ELSE unsent_ms END,"
        " waits_for = CASE WHEN :level = 0 THEN NULL ELSE waits_for END,"
        " escalates_at = :escalates, rev = rev + 1 WHERE alert_id = :alert",
        {
            "grade": (duty.grade if graver else alert.grade).value,
            "owner": duty.owner,
            "highest": graver_of(duty.grade, alert.highest_grade).value,
            "due": timed.due_at,
            "due_words": timed.due_words,
            "warns": timed.warns_at,
            "why": duty.why if duty.grade.urgency >= alert.grade.urgency else alert.why,
            "deadline": min(sooner) if sooner else None,
            "late": max(alert.late_by_ms, duty.late_by_ms),
            "unwritten": duty.unwritten_ms,
            "unsent": duty.unsent_ms,
            "level": 0 if graver else alert.level,
            "escalates": hears_at,
            "alert": alert.alert_id,
        },
    )
    return alert.alert_id


@impersonal("ids, and sentences of rules; that the flags changed is logged where they do")
def lessen(tx: Transaction, child_id: int, gone: Sequence[int], *, now: int) -> None:
    """Bring a child's alerts into line with flags that were retracted (`gone`) or became less, and say so.

    What an alert says and its flags' own clock follow the flags that still hold. Its grade and its deadline
    do not: the system never lowers them.
    """
    holding: dict[int, list[tuple[Grade, str, int | None, str | None, int | None]]] = {}
    for alert_id, grade, *rest in tx.rows(
        "SELECT a.alert_id, f.grade, f.sentence, f.due_at, f.due_words, f.warns_at FROM alert a"
        " JOIN alert_flag l ON l.alert_id = a.alert_id JOIN flag f ON f.flag_id = l.flag_id"
        " WHERE a.child_id = :child AND a.state <> 'closed' AND f.retracted_at IS NULL ORDER BY f.flag_id",
        {"child": child_id},
    ):
        holding.setdefault(alert_id, []).append((Grade(grade), *rest))
    for alert_id, flags in holding.items():
        alert = get(tx, alert_id)
        assert alert is not None, "alerts are never deleted"
        why = alert.why
        if why not in [flag[1] for flag in flags]:
            why = max(flags, key=lambda flag: flag[0].urgency)[1]
        running = [flag for flag in flags if flag[2] is not None and flag[2] > now]
        first = min(running, key=lambda flag: flag[2] or 0, default=None)
        due_at, due_words, warns_at = first[2:] if first else (None, None, None)
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
                "warns": warns_at,
                "alert": alert_id,
            },
        )
        steps.add(
            tx, alert_id, alert.borough, steps.EventKind.LESSENED, alert.grade, "system",
            now=now, told=alert.owner or "investigators",
        )  # fmt: skip


@audited(Verb.ALTERATION)
def close(
    tx: Transaction,
    actor: Actor,
    alert_ids: Sequence[int],
    reason: str,
    *,
    now: int,
    outcome: NoteOutcome | None = None,
) -> list[int]:
    """Close alerts whose grounds are gone or whose work is done, with the reason. Those that were open."""
    closed = []
    for alert_id in alert_ids:
        row = tx.row(
            "UPDATE alert SET state = 'closed', closed_at = :now, closed_reason = :reason, outcome = :outcome,"
            " escalates_at = NULL, rev = rev + 1 WHERE alert_id = :alert AND state <> 'closed'"
            " RETURNING borough, grade, owner",
            {"now": now, "reason": reason, "outcome": outcome.value if outcome else None, "alert": alert_id},
        )
        if row is not None:
            closed.append(alert_id)
            steps.add(
                tx, alert_id, row[0], steps.EventKind.CLOSED, Grade(row[1]), actor.id,
                now=now, told=row[2], detail=reason,
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
            told="investigators", detail=", ".join(fresh),
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


@impersonal("numbers only")
def without_flags(tx: Transaction, alert_ids: Collection[int]) -> list[int]:
    """Those of these alerts that are not closed and have no flag that holds."""
    return [
        alert_id
        for alert_id in alert_ids
        if tx.value(
            "SELECT 1 FROM alert a WHERE a.alert_id = :alert AND a.state <> 'closed' AND NOT EXISTS (SELECT 1 FROM"
            " alert_flag l JOIN flag f ON f.flag_id = l.flag_id"
            " WHERE l.alert_id = a.alert_id AND f.retracted_at IS NULL)",
            {"alert": alert_id},
        )
    ]


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
        steps.add(tx, alert_id, borough, kind, Grade(grade), actor, now=now, told="investigators")
