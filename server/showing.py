"""What is put before a person, gathered whole: a child, a timeline, a review. The doors and the pages both use it.

Each function is the work of one reading transaction; the records below check scope and log what is shown.
"""

from __future__ import annotations

import msgspec

from server.access.identity import Person
from server.explaining import Compared, Explained, compared, evidence_for, explained
from server.linkage.model import Model
from server.placing import details_of
from server.records import alerts, attachments, cases, children, links, notes
from server.records import steps as alert_steps
from server.records.alerts import Alert
from server.records.attachments import Named
from server.records.cases import Flag
from server.records.children import Child, Details
from server.records.links import Event, Review
from server.records.notes import Amended, Written
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
    steps, oldest first."""

    child: Child
    entries: tuple[Entry, ...]
    flags: tuple[Flag, ...]
    alerts: tuple[Alert, ...]
    steps: tuple[AlertEvent, ...]


class ReviewShown(msgspec.Struct, frozen=True, kw_only=True):
    """A review: the note, what its subject may be (`known` by child id; without those restricted to others),
    whom a person has ruled out, and every decision so far, oldest first."""

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
    shown = children.show(tx, person, child_id, now=now, reason=reason)
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
    shown = children.show(tx, person, child_id, now=now, reason=reason)
    standing = links.standing_for_child(tx, child_id)
    entries = []
    written = notes.about_child(tx, person, child_id, now=now)
    named = attachments.of_notes(tx, [note.note_key for note in written])
    for note in written:
        event = standing.get(note.subject_id)
        entries.append(
            Entry(
                note=note,
                link=event,
                evidence=_evidence(tx, model, note, event, shown.details),
                attachments=named.get(note.note_key, ()),
            )
        )
    found = alerts.of_child(tx, person, child_id, now=now)
    return Timeline(
        child=shown,
        entries=tuple(entries),
        flags=tuple(cases.flags_of(tx, child_id, retracted=True)),
        alerts=tuple(found),
        steps=tuple(alert_steps.history(tx, [alert.alert_id for alert in found])),
    )


def review(tx: Transaction, model: Model, person: Person, review_id: int, *, now: int) -> ReviewShown:
    """A review with all it needs to be decided. Raises NotAllowed, also where there is none."""
    asked = links.require_review(tx, person, review_id)
    note = notes.of_subject(tx, person, asked.subject_id, now=now)
    assert note is not None, "a review is of a subject, and a subject is in a note"
    events = links.history(tx, asked.subject_id)
    decision = next((event.evidence for event in reversed(events) if event.evidence is not None), None)
    ids = [candidate.child_id for candidate in decision.candidates] if decision else []
    known = {one.child_id: one for one in children.candidates(tx, person, ids, now=now)}
    weighed = None
    if decision is not None:
        details = {child_id: one.details for child_id, one in known.items()}
        weighed = explained(decision, described(note), details, model)
    return ReviewShown(
        review=asked,
        note=note,
        explained=weighed,
        known=known,
        ruled_out=links.ruled_out(tx, asked.subject_id),
        events=tuple(events),
    )


def described(note: Written) -> Details:
    """The subject of a note as its author describes it now: the newest amendment that says it anew counts."""
    for amended in reversed(note.amendments):
        anew = _anew(amended)
        if anew is not None and note.ordinal < len(anew.subjects):
            return details_of(anew, note.ordinal)
    return details_of(note.body, note.ordinal)


def _anew(amended: Amended) -> Note | None:
    return amended.body.note if isinstance(amended.body, Amendment) else None


def _evidence(
    tx: Transaction, model: Model, note: Written, event: Event | None, details: Details
) -> Compared | None:
    """What linkage weighed when it, or a person after it, put this note on this child."""
    if event is None or event.child_id is None:
        return None
    found = evidence_for([event], event.child_id)
    if found is None and event.evidence is None:
        found = evidence_for(links.history(tx, note.subject_id), event.child_id)
    return compared(found[1], described(note), details, model) if found else None
