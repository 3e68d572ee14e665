"""Shapes of the doors for work: what an alert, a child, a timeline and a review look like as JSON.

Instants are RFC 3339 with an offset. Free text and names appear only in answers to those who may see the record.
"""

from __future__ import annotations

import datetime

import msgspec

from server.explaining import Compared, Explained
from server.records.alerts import Alert
from server.records.attachments import FormState, Named
from server.records.cases import Flag
from server.records.child import Child, Circumstances, Details, Marker
from server.records.grades import GradeDecision
from server.records.links import Action, Event, Review
from server.records.steps import AlertEvent
from server.showing import ChildShown, Entry, ReviewShown, Timeline
from sync.note import Amendment, Note
from sync.vocabulary import Grade, SubjectRole

Instant = datetime.datetime


def instant(at: int) -> Instant:
    """Milliseconds since the epoch as an instant that is written in RFC 3339."""
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)


def maybe(at: int | None) -> Instant | None:
    """The same, where there may be none."""
    return None if at is None else instant(at)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every shape here."""


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


class LinkView(View, frozen=True, kw_only=True):
    """How a note came to this child. `evidence`, field by field, where linkage weighed it."""

    subject_id: int
    child_id: int | None
    action: Action
    automatic: bool
    author: str
    at: Instant
    probability: float | None
    reason: str
    evidence: Compared | None


class AmendmentView(View, frozen=True, kw_only=True):
    """What the author added or corrected later. `withdrawn`: that the note was written in error."""

    received_at: Instant
    withdrawn: bool
    reason: str
    text: str
    note: Note | None


class AttachmentView(View, frozen=True, kw_only=True):
    """A photograph or recording that a note names. `kind`: photograph or audio, where that is known.

    `state`: `awaited` (still on the phone), `arrived` (being made ready), `ready` (ask for it), or `unshowable`.
    """

    sha256: str
    kind: str | None
    taken_at: Instant | None
    state: str
    size: int | None


class NoteView(View, frozen=True, kw_only=True):
    """A concern note in its author's words, with how it came to this child."""

    note_id: str
    author: str
    author_name: str
    found_borough: str | None
    observed_at: Instant
    observed_doubtful: bool
    recorded_at: Instant
    received_at: Instant
    withdrawn_at: Instant | None
    role: SubjectRole
    note: Note
    amendments: list[AmendmentView]
    attachments: list[AttachmentView]
    link: LinkView | None


class GradingView(View, frozen=True, kw_only=True):
    """A grade that a person gave an alert, and why. `proposed_grade` is what the rules said then."""

    alert_id: int
    by: str
    at: Instant
    from_grade: Grade
    to_grade: Grade
    proposed_grade: Grade | None
    rationale: str


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


class ReviewRow(View, frozen=True, kw_only=True):
    """A review that waits. `urgency` is the grade's: 3 for red to 0 for blue; `danger`: a child is in danger now;
    `noted_at`: when its note was observed."""

    review_id: int
    subject_id: int
    borough: str
    danger: bool
    urgency: int
    noted_at: Instant
    opened_at: Instant
    closed_at: Instant | None
    closed_by: str | None
    answer: str | None


class ReviewWhole(View, frozen=True, kw_only=True):
    """A review with all it needs: the note, each candidate field by field, the candidates' records, the
    decisions so far. `known` leaves out restricted records: they are opened by themselves, with a reason."""

    review: ReviewRow
    note: NoteView
    explained: Explained | None
    known: list[ChildView]
    ruled_out: list[int]
    decisions: list[LinkView]


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


def link_view(event: Event, evidence: Compared | None = None) -> LinkView:
    """A decision on a subject as JSON has it."""
    return LinkView(
        subject_id=event.subject_id,
        child_id=event.child_id,
        action=event.action,
        automatic=event.author == "system",
        author=event.author,
        at=instant(event.at),
        probability=event.probability,
        reason=event.reason,
        evidence=evidence,
    )


def note_view(entry: Entry) -> NoteView:
    """A note on a timeline as JSON has it."""
    written = entry.note
    return NoteView(
        note_id=written.note_id,
        author=written.author,
        author_name=written.author_name,
        found_borough=written.found_borough,
        observed_at=instant(written.observed_at),
        observed_doubtful=written.observed_doubtful,
        recorded_at=instant(written.recorded_at),
        received_at=instant(written.received_at),
        withdrawn_at=maybe(written.withdrawn_at),
        role=written.role,
        note=written.body,
        amendments=[
            AmendmentView(
                received_at=instant(amended.received_at),
                withdrawn=not isinstance(amended.body, Amendment),
                reason=amended.body.reason,
                text=amended.body.text if isinstance(amended.body, Amendment) else "",
                note=amended.body.note if isinstance(amended.body, Amendment) else None,
            )
            for amended in written.amendments
        ],
        attachments=[attachment_view(named) for named in entry.attachments],
        link=link_view(entry.link, entry.evidence) if entry.link else None,
    )


ATTACHMENT_STATES = {
    FormState.WAITING: "arrived",
    FormState.MADE: "ready",
    FormState.FAILED: "unshowable",
}


def attachment_view(named: Named) -> AttachmentView:
    """An attachment of a note as JSON has it."""
    kept = named.kept
    return AttachmentView(
        sha256=named.digest,
        kind=named.kind.value if named.kind else None,
        taken_at=maybe(named.taken_at),
        state=ATTACHMENT_STATES[kept.form_state] if kept else "awaited",
        size=kept.size if kept else None,
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


def review_row(review: Review) -> ReviewRow:
    """A review in a list, as JSON has it."""
    return ReviewRow(
        review_id=review.review_id,
        subject_id=review.subject_id,
        borough=review.borough,
        danger=review.danger,
        urgency=review.urgency,
        noted_at=instant(review.noted_at),
        opened_at=instant(review.opened_at),
        closed_at=maybe(review.closed_at),
        closed_by=review.closed_by,
        answer=review.answer,
    )


def review_whole(shown: ReviewShown) -> ReviewWhole:
    """A review with all it needs, as JSON has it."""
    return ReviewWhole(
        review=review_row(shown.review),
        note=note_view(Entry(note=shown.note, link=None, evidence=None)),
        explained=shown.explained,
        known=[child_view(child) for child in shown.known.values() if not child.circumstances.restricted],
        ruled_out=sorted(shown.ruled_out),
        decisions=[link_view(event) for event in shown.events],
    )
