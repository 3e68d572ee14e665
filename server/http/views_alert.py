"""What an alert, its steps and its grades look like as JSON. See `views`."""

from __future__ import annotations

from server.http.views import Instant, View, instant, maybe
from server.records.alerts import Alert
from server.records.grades import GradeDecision
from server.records.steps import AlertEvent
from sync.vocabulary import Grade


class AlertView(View, frozen=True, kw_only=True):
    """An alert. `is_copy`: another borough has the duty. `rev` goes into `from_rev` of what changes it.

    `late_by_seconds`: how long its clock had been spent before the note reached the server. `highest_grade` is
    graver than `grade` where a supervisor lowered it. `waits_for`: whose answer an open alert waits for until
    `escalates_at`: a username, the id of the role that heard last, or `investigators`, those of its borough.
    `due_at`: a clock of its own ends, `due_words` says which.
    """

    alert_id: int
    child_id: int
    borough: str
    owner_reason: str
    owner: str | None
    grade: Grade
    highest_grade: Grade
    why: str
    state: str
    started_at: Instant
    deadline_at: Instant | None
    due_at: Instant | None
    due_words: str | None
    late_by_seconds: int
    level: int
    escalates_at: Instant | None
    waits_for: str | None
    acknowledged_at: Instant | None
    acknowledged_by: str | None
    closed_at: Instant | None
    closed_reason: str | None
    rev: int
    is_copy: bool


class StepView(View, frozen=True, kw_only=True):
    """One step in the life of an alert. `told` is a role, or the username that it was handed to."""

    event_id: int
    alert_id: int
    kind: str
    grade: Grade
    by: str
    told: str | None
    detail: str | None
    at: Instant


class AlertPage(View, frozen=True, kw_only=True):
    """Alerts, red first, then least time left. `last_event_id` is where the live stream goes on from here."""

    alerts: list[AlertView]
    last_event_id: str


class AlertWhole(View, frozen=True, kw_only=True):
    """An alert with its steps, oldest first, and the notes behind it."""

    alert: AlertView
    steps: list[StepView]
    note_ids: list[str]


class GradingView(View, frozen=True, kw_only=True):
    """A grade that a person gave an alert, and why. `proposed_grade` is what the rules said then."""

    alert_id: int
    by: str
    at: Instant
    from_grade: Grade
    to_grade: Grade
    proposed_grade: Grade | None
    rationale: str


def alert_view(alert: Alert) -> AlertView:
    """An alert as JSON has it."""
    return AlertView(
        alert_id=alert.alert_id,
        child_id=alert.child_id,
        borough=alert.borough,
        owner_reason=alert.owner_reason,
        owner=alert.owner,
        grade=alert.grade,
        highest_grade=alert.highest_grade,
        why=alert.why,
        state=alert.state.value,
        started_at=instant(alert.started_at),
        deadline_at=maybe(alert.deadline_at),
        due_at=maybe(alert.due_at),
        due_words=alert.due_words,
        late_by_seconds=alert.late_by_ms // 1000,
        level=alert.level,
        escalates_at=maybe(alert.escalates_at),
        waits_for=alert.waited_for,
        acknowledged_at=maybe(alert.acknowledged_at),
        acknowledged_by=alert.acknowledged_by,
        closed_at=maybe(alert.closed_at),
        closed_reason=alert.closed_reason,
        rev=alert.rev,
        is_copy=alert.is_copy,
    )


def step_view(step: AlertEvent) -> StepView:
    """A step of an alert as JSON has it."""
    return StepView(
        event_id=step.event_id,
        alert_id=step.alert_id,
        kind=step.kind.value,
        grade=step.grade,
        by=step.actor,
        told=step.told,
        detail=step.detail,
        at=instant(step.at),
    )


def grading_view(decision: GradeDecision) -> GradingView:
    """A person's grade as JSON has it."""
    return GradingView(
        alert_id=decision.alert_id,
        by=decision.person,
        at=instant(decision.at),
        from_grade=decision.from_grade,
        to_grade=decision.to_grade,
        proposed_grade=decision.proposed_grade,
        rationale=decision.rationale,
    )
