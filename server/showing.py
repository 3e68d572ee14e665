"""What is put before a person, gathered whole: a child, a timeline, a review. The doors and the pages both use it.

Each function is the work of one reading transaction; the records below check scope and log what is shown.
"""

from __future__ import annotations

import msgspec

from server.access.identity import Person
from server.access.policy import Permission
from server.dating import seen
from server.explaining import Compared, Explained, Weighing, compared, evidence_for, explained
from server.linkage.decide import Decider
from server.linkage.model import Model
from server.placing import details_of
from server.records import (
    alerts,
    attachments,
    cases,
    children_shown,
    clusters,
    grades,
    links,
    notes_shown,
)
from server.records import steps as alert_steps
from server.records.alerts import Alert
from server.records.attachments import Named
from server.records.cases import Flag
from server.records.child import Child, Details
from server.records.clusters import Event as MergeEvent
from server.records.grades import GradeDecision
from server.records.links import Event, Review
from server.records.notes_shown import Amended, Written
from server.records.steps import AlertEvent
from server.storage.port import Transaction
from sync.note import Amendment, Note


class ChildShown(msgspec.Struct, frozen=True, kw_only=True):
    """A child with what stands now: flags that hold, alerts newest first, reviews that wait (their ids)."""

    child: Child
    flags: tuple[Flag, ...]
    alerts: tuple[Alert, ...]
    review_ids: tuple[int, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A note on a timeline: how it came there (`link`), on what evidence, where linkage weighed it, and the
    photographs and recordings that it names, whether they have arrived or not."""

    note: Written
    link: Event | None
    evidence: Compared | None
    attachments: tuple[Named, ...] = ()


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The single view: notes newest observed first, every flag (also those retracted), every alert with its
    steps and every grade that people gave it, oldest first, and every decision on whether its records are one
    child."""

    child: Child
    entries: tuple[Entry, ...]
    flags: tuple[Flag, ...]
    alerts: tuple[Alert, ...]
    steps: tuple[AlertEvent, ...]
    gradings: tuple[GradeDecision, ...] = ()
    merges: tuple[MergeEvent, ...] = ()


class ReviewShown(msgspec.Struct, frozen=True, kw_only=True):
    """A review: the note, what its subject may be (`known` by child id; without those restricted to others),
    whom a person has ruled out, and every decision so far, oldest first.

    Of a restricted record `known` says that it is one: its values are shown where it is opened, with a reason.
    """

    review: Review
    note: Written
    explained: Explained | None
    known: dict[int, Child]
    ruled_out: frozenset[int]
    events: tuple[Event, ...]


def child(
    tx: Transaction, person: Person, child_id: int, *, now: int, reason: str | None = None
) -> ChildShown:
    """A child as a whole. Raises NotAllowed (also where there is none) and ReasonNeeded."""
    shown = children_shown.show(tx, person, child_id, now=now, reason=reason)
    child_id = shown.child_id
    return ChildShown(
        child=shown,
        flags=tuple(cases.flags_of(tx, child_id)),
        alerts=tuple(alerts.of_child(tx, person, child_id, now=now)),
        review_ids=tuple(links.reviews_of_child(tx, child_id)),
    )


def timeline(
    tx: Transaction, model: Model, person: Person, child_id: int, *, now: int, reason: str | None = None
) -> Timeline:
    """Everything that happened around a child. Raises NotAllowed (also where there is none) and ReasonNeeded."""
    shown = children_shown.show(tx, person, child_id, now=now, reason=reason)
    child_id = shown.child_id
    standing = links.standing_for_child(tx, child_id)
    decider = Decider(model)
    entries = []
    written = notes_shown.about_child(tx, person, child_id, now=now)
    named = attachments.of_notes(tx, [note.note_key for note in written])
    for note in written:
        event = standing.get(note.subject_id)
        entries.append(
            Entry(
                note=note,
                link=event,
                evidence=_evidence(tx, decider, note, event, shown),
                attachments=named.get(note.note_key, ()),
            )
        )
    found = alerts.of_child(tx, person, child_id, now=now)
    alert_ids = [alert.alert_id for alert in found]
    return Timeline(
        child=shown,
        entries=tuple(entries),
        flags=tuple(cases.flags_of(tx, child_id, retracted=True)),
        alerts=tuple(found),
        steps=tuple(alert_steps.history(tx, alert_ids)),
        gradings=tuple(grades.of_alerts(tx, alert_ids)),
        merges=tuple(clusters.history(tx, [one.child_id for one in shown.records] or [child_id])),
    )


def review(tx: Transaction, model: Model, person: Person, review_id: int, *, now: int) -> ReviewShown:
    """A review with all it needs to be decided. Raises NotAllowed, also where there is none."""
    asked = links.require_review(tx, person, review_id)
    note = notes_shown.of_subject(tx, person, asked.subject_id, now=now)
    assert note is not None, "a review is of a subject, and a subject is in a note"
    events = links.history(tx, asked.subject_id)
    weighed = next((event for event in reversed(events) if event.evidence is not None), None)
    decision = weighed.evidence if weighed else None
    ids = [candidate.child_id for candidate in decision.candidates] if decision else []
    known = {one.child_id: one for one in children_shown.candidates(tx, person, ids, now=now)}
    told = None
    if weighed is not None and decision is not None:
        open_ = {number: one.details for number, one in known.items() if not one.circumstances.restricted}
        by = _weighing(Decider(model), note, weighed.at, closed=frozenset(ids) - known.keys())
        told = explained(decision, weighed.at, open_, by)
    return ReviewShown(
        review=asked,
        note=note,
        explained=told,
        known=known,
        ruled_out=links.ruled_out(tx, asked.subject_id),
        events=tuple(
            event if person.may(Permission.SEE_RESTRICTED) else _discreet(event) for event in events
        ),
    )


def _discreet(event: Event) -> Event:
    """A decision without how likely its best candidate was, where that is a record restricted to others."""
    best = event.evidence.candidates[0] if event.evidence and event.evidence.candidates else None
    if best is None or not best.restricted:
        return event
    return msgspec.structs.replace(event, probability=None, weight=None)


def _weighing(decider: Decider, note: Written, at: int, closed: frozenset[int] = frozenset()) -> Weighing:
    """What a decision of `at` on a note is explained with today."""
    return Weighing(
        decider=decider,
        described=described(note),
        amended=any(_anew(amended) is not None and amended.received_at > at for amended in note.amendments),
        closed=closed,
    )


def described(note: Written) -> Details:
    """The subject of a note as its author describes it now: the newest amendment that says it anew counts."""
    said = newest(note)
    # Where its own time could not be believed, the described age is of the day that was taken instead.
    moved = note.observed_doubtful and said.observed_at == note.body.observed_at
    return details_of(seen(said, note.observed_at) if moved else said, note.ordinal)


def newest(note: Written) -> Note:
    """A note as its author has it now, as far as it still tells of this subject."""
    for amended in reversed(note.amendments):
        anew = _anew(amended)
        if anew is not None and note.ordinal < len(anew.subjects):
            return anew
    return note.body


def _anew(amended: Amended) -> Note | None:
    return amended.body.note if isinstance(amended.body, Amendment) else None


def _evidence(
    tx: Transaction, decider: Decider, note: Written, event: Event | None, shown: Child
) -> Compared | None:
    """What linkage weighed when it, or a person after it, put this note on this child."""
    if event is None or event.child_id is None:
        return None
    found = evidence_for([event], event.child_id)
    if found is None and event.evidence is None:
        found = evidence_for(links.history(tx, note.subject_id), event.child_id)
    if found is None:
        return None
    weighed, candidate = found
    assert weighed.evidence is not None
    return compared(
        candidate,
        shown.record(event.child_id).details,
        _weighing(decider, note, weighed.at),
        weighed.evidence,
    )
