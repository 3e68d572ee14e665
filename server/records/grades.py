"""Grades that people gave: each kept with who, when, from which, to which, and why.

The rationale is about a child. It stands here alone, is shown with the child's record, and goes into no step, log,
error or message.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.grades import graver_of, highest
from server.records import steps
from server.records.alerts import Alert, AlertConflict
from server.storage.port import Transaction
from sync.vocabulary import Grade


class GradeDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A grade that a person gave an alert. `proposed_grade` is what the rules said then; `at` in milliseconds."""

    decision_id: int
    alert_id: int
    person: str
    at: int
    from_grade: Grade
    to_grade: Grade
    proposed_grade: Grade | None
    rationale: str


class NewClock(msgspec.Struct, frozen=True):
    """What a decision makes of an alert's clock: when it ends, and which level hears when."""

    deadline_at: int | None
    level: int
    escalates_at: int | None


_COLUMNS = GradeDecision.__struct_fields__


@impersonal("a grade")
def proposed(tx: Transaction, alert_id: int) -> Grade | None:
    """The highest grade of the flags behind an alert that hold now."""
    rows = tx.rows(
        "SELECT DISTINCT f.grade FROM alert_flag l JOIN flag f ON f.flag_id = l.flag_id"
        " WHERE l.alert_id = :alert AND f.retracted_at IS NULL",
        {"alert": alert_id},
    )
    return highest(Grade(code) for (code,) in rows)


@audited(Verb.ALTERATION)
def decide(
    tx: Transaction,
    person: Person,
    alert: Alert,
    to: Grade,
    rationale: str,
    clock: NewClock,
    *,
    said: Grade | None,
    now: int,
) -> None:
    """Give an alert a grade, where it is still as the person saw it. `said` is what the rules propose.

    Raises AlertConflict where somebody was quicker. Whether the person may is asked before, in `server.duty`.
    """
    moved = tx.execute(
        "UPDATE alert SET grade = :grade, highest_grade = :highest, deadline_at = :deadline, level = :level,"
        " escalates_at = :escalates, waits_for = CASE WHEN :level = 0 THEN NULL ELSE waits_for END, rev = rev + 1"
        " WHERE alert_id = :alert AND rev = :rev AND state <> 'closed'",
        {
            "grade": to.value,
            "highest": graver_of(to, alert.highest_grade).value,
            "deadline": clock.deadline_at,
            "level": clock.level,
            "escalates": clock.escalates_at,
            "alert": alert.alert_id,
            "rev": alert.rev,
        },
    )
    if not moved:
        raise AlertConflict(alert.state, alert.rev)
    tx.execute(
        "INSERT INTO grade_decision (alert_id, person, at, from_grade, to_grade, proposed_grade, rationale)"
        " VALUES (:alert, :person, :now, :from, :to, :proposed, :rationale)",
        {
            "alert": alert.alert_id,
            "person": person.username,
            "now": now,
            "from": alert.grade.value,
            "to": to.value,
            "proposed": said.value if said else None,
            "rationale": rationale,
        },
    )
    steps.add(
        tx, alert.alert_id, alert.borough, steps.EventKind.GRADED, to, person.username,
        now=now, told="investigators", detail=alert.grade.value,
    )  # fmt: skip
    record(tx, Actor("person", person.username), Verb.ALTERATION, "alert", [alert.alert_id], now=now)


@impersonal("decisions on alerts; a person sees them with the child, whose showing is logged")
def of_alerts(tx: Transaction, alert_ids: Sequence[int]) -> list[GradeDecision]:
    """Every grade that people gave these alerts, oldest first."""
    if not alert_ids:
        return []
    marks = {f"a{index}": alert_id for index, alert_id in enumerate(alert_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    rows = tx.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM grade_decision WHERE alert_id IN ({wanted}) ORDER BY decision_id",
        marks,
    )
    return [msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), GradeDecision) for row in rows]
