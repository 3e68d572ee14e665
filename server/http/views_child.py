"""What a child and a timeline look like as JSON. See `views`."""

from __future__ import annotations

from server.http.views import Instant, View, instant, maybe
from server.http.views_alert import (
    AlertView,
    GradingView,
    StepView,
    alert_view,
    grading_view,
    step_view,
)
from server.http.views_note import NoteView, note_view
from server.records.cases import Flag
from server.records.child import Child, Circumstances, Details, Marker
from server.showing import ChildShown, Timeline
from sync.vocabulary import Grade


class MarkerView(View, frozen=True, kw_only=True):
    """A marker: an attribute of a child with author, reason and expiry."""

    marker_id: int
    kind: str
    reason: str
    author: str
    set_at: Instant
    expires_at: Instant | None


class FlagView(View, frozen=True, kw_only=True):
    """What a rule raised, and the notes that caused it."""

    flag_id: int
    rule: str
    rule_version: str
    grade: Grade
    sentence: str
    proposes: str | None
    due_at: Instant | None
    raised_at: Instant
    changed_at: Instant
    retracted_at: Instant | None
    retraction: str | None
    note_ids: list[str]


class ChildView(View, frozen=True, kw_only=True):
    """A known child. `standing`: known, provisional, awaiting_review or retired. `left_registry_at`: since when
    the registry leaves out a child that it once had. `record_ids`: every record that is this child, the one that
    it continues as (`child_id`) first."""

    child_id: int
    standing: str
    registry_id: str | None
    left_registry_at: Instant | None
    details: Details
    circumstances: Circumstances
    owner_borough: str | None
    markers: list[MarkerView]
    rev: int
    record_ids: list[int]


class ChildWhole(View, frozen=True, kw_only=True):
    """A child with what stands now."""

    child: ChildView
    flags: list[FlagView]
    alerts: list[AlertView]
    review_ids: list[int]


class MergeView(View, frozen=True, kw_only=True):
    """A decision on whether records are one child: merge, not_same, cannot_tell, confirm; undo takes `undoes` back."""

    event_id: int
    action: str
    record_ids: list[int]
    undoes: int | None
    author: str
    at: Instant
    probability: float | None
    reason: str


class TimelineView(View, frozen=True, kw_only=True):
    """The single view of a child: notes newest observed first, all flags, alerts with their steps, and what was
    decided on its records, and every grade that people gave. A note's `link.child_id` is the record it is on."""

    notes: list[NoteView]
    flags: list[FlagView]
    alerts: list[AlertView]
    steps: list[StepView]
    gradings: list[GradingView]
    merges: list[MergeView]


def flag_view(flag: Flag) -> FlagView:
    """A flag as JSON has it."""
    return FlagView(
        flag_id=flag.flag_id,
        rule=flag.rule,
        rule_version=flag.rule_version,
        grade=flag.grade,
        sentence=flag.sentence,
        proposes=flag.proposes,
        due_at=maybe(flag.due_at),
        raised_at=instant(flag.raised_at),
        changed_at=instant(flag.changed_at),
        retracted_at=maybe(flag.retracted_at),
        retraction=flag.retraction,
        note_ids=list(flag.note_ids),
    )


def marker_view(marker: Marker) -> MarkerView:
    """A marker as JSON has it."""
    return MarkerView(
        marker_id=marker.marker_id,
        kind=marker.kind,
        reason=marker.reason,
        author=marker.author,
        set_at=instant(marker.set_at),
        expires_at=maybe(marker.expires_at),
    )


def child_view(child: Child) -> ChildView:
    """A child as JSON has it."""
    return ChildView(
        child_id=child.child_id,
        standing=child.standing.value,
        registry_id=child.registry_id,
        left_registry_at=maybe(child.left_registry_at),
        details=child.details,
        circumstances=child.circumstances,
        owner_borough=child.owner_borough,
        markers=[marker_view(marker) for marker in child.markers],
        rev=child.rev,
        record_ids=[one.child_id for one in child.records] or [child.child_id],
    )


def child_whole(shown: ChildShown) -> ChildWhole:
    """A child with what stands now, as JSON has it."""
    return ChildWhole(
        child=child_view(shown.child),
        flags=[flag_view(flag) for flag in shown.flags],
        alerts=[alert_view(alert) for alert in shown.alerts],
        review_ids=list(shown.review_ids),
    )


def timeline_view(timeline: Timeline) -> TimelineView:
    """A timeline as JSON has it."""
    return TimelineView(
        notes=[note_view(entry) for entry in timeline.entries],
        flags=[flag_view(flag) for flag in timeline.flags],
        alerts=[alert_view(alert) for alert in timeline.alerts],
        steps=[step_view(step) for step in timeline.steps],
        gradings=[grading_view(decision) for decision in timeline.gradings],
        merges=[
            MergeView(
                event_id=event.event_id,
                action=event.action.value,
                record_ids=[event.one_id] if event.other_id is None else [event.one_id, event.other_id],
                undoes=event.undoes,
                author=event.author,
                at=instant(event.at),
                probability=event.probability,
                reason=event.reason,
            )
            for event in timeline.merges
        ],
    )
