"""A child's story, newest first: notes, flags with what became of them, what was done to the record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from server import answering, merging
from server.console import words
from server.console.pages import attached
from server.console.pages.alert_rows import Telling
from server.console.pages.around_child import MARKERS
from server.console.pages.child_events import Events
from server.console.pages.comparing import explanation
from server.console.pages.note_words import note_entry
from server.console.views import GRADES
from server.console.views_child import (
    Event,
    FlagEntry,
    FlagWords,
    LinkWords,
    NoteEntry,
    RecordEntry,
    TimelineEntry,
)
from server.records.alerts import Alert
from server.records.cases import Flag
from server.records.child import Standing
from server.records.clusters import Action as Joining
from server.records.links import Action
from server.records.notes_shown import Written
from server.records.overview import Undone
from server.records.steps import INVESTIGATORS, AlertEvent, EventKind
from server.showing import Entry, Timeline

PROPOSALS = {
    "strategy_discussion": "Hold a strategy discussion.",
    "supervisor_review": "A supervisor looks at this.",
}


def also_of(flags: Iterable[Flag], named: Collection[str]) -> tuple[FlagWords, ...]:
    """The flags of live alerts that hold and that none of them names, gravest first, each sentence once."""
    found: dict[str, FlagWords] = {}
    for flag in sorted(flags, key=lambda flag: (-flag.grade.urgency, -flag.raised_at)):
        if flag.retracted_at is None and flag.sentence not in named:
            found.setdefault(flag.sentence, flag_words(flag))
    return tuple(found.values())


def flag_words(flag: Flag) -> FlagWords:
    """A flag inside a sentence."""
    label = flag.sentence.partition(";")[0]
    return FlagWords(flag_id=flag.flag_id, label=label[0].lower() + label[1:], grade=flag.grade.value)


class Story:
    """The one timeline, newest first: notes, flags with what became of them, and what was done to the record."""

    def __init__(
        self,
        shown: Timeline,
        telling: Telling,
        flags_of_alerts: Mapping[int, tuple[int, ...]],
        undone: Sequence[Undone],
        *,
        may_undo: bool,
        may_see_originals: bool,
        address: attached.Address,
        events: Events,
    ) -> None:
        self.shown = shown
        self.telling = telling
        self.flags_of_alerts = flags_of_alerts
        self.undone = undone
        self.may_undo = may_undo
        self.may_see_originals = may_see_originals
        self.address = address
        self.events = events
        self.flags = {flag.flag_id: flag for flag in shown.flags}

    def entries(self) -> tuple[TimelineEntry, ...]:
        """Everything, by when it happened; of one instant, what was caused stands above its cause."""
        rank = {"flag": 2, "record": 1, "note": 0}
        told: list[TimelineEntry] = [
            *map(self.note, self.shown.entries),
            *together(self.flag_entries()),
            *self.record_entries(),
        ]
        return tuple(sorted(told, key=lambda entry: (entry.at, rank[entry.kind]), reverse=True))

    def note(self, entry: Entry) -> NoteEntry:
        """A note as it stands on this child."""
        raised = tuple(
            flag_words(flag)
            for flag in self.shown.flags
            if entry.note.note_id in flag.note_ids and flag.retracted_at is None
        )
        told = note_entry(
            entry.note,
            self.telling,
            link=self.link(entry),
            flags=raised,
            attachments=attached.shown(entry.attachments, self.address, originals=self.may_see_originals),
            attachments_told=attached.told(entry.attachments),
        )
        told = self.events.grouped(entry.note, told)
        on = entry.link.child_id if entry.link else None
        return told if on == self.shown.child.child_id else msgspec.structs.replace(told, stands_on=on)

    def link(self, entry: Entry) -> LinkWords | None:
        """How the note came here, with why."""
        event = entry.link
        if event is None or event.action is Action.REVIEW:
            return None
        automatic = event.author == "system"
        evidence = entry.evidence
        if event.action is Action.NEW and (automatic or evidence is None):
            return None
        return LinkWords(
            link_id=entry.note.subject_id,
            automatic=automatic,
            author=self.telling.author(event.author),
            at=event.at,
            probability=event.probability,
            explanation=None
            if evidence is None
            # The reader has the record itself before them, so its values are theirs to see.
            else explanation(evidence, version=event.model_version or ""),
            can_undo=self.may_undo and event.action is Action.LINK,
        )

    def flag_entries(self) -> Iterable[FlagEntry]:
        """Every flag; an alert's steps stand under the gravest flag that it carries."""
        steps = self.steps_by_flag()
        notes = {entry.note.note_id: entry.note for entry in self.shown.entries}
        for flag in self.shown.flags:
            yield FlagEntry(
                flag_id=flag.flag_id,
                at=flag.raised_at,
                grade=flag.grade.value,
                title=flag.sentence.partition(";")[0],
                reason=_reason(flag, notes),
                rule=flag.rule.replace("_", " "),
                notes=tuple(
                    (f"note-{note_id}", self.events.called[note_id])
                    for note_id in sorted(
                        (one for one in flag.note_ids if one in notes),
                        key=lambda one: -notes[one].observed_at,
                    )
                ),
                proposal=PROPOSALS.get(flag.proposes or ""),
                withdrawn=flag.retraction if flag.retracted_at is not None else None,
                events=tuple(self.step(step, before) for step, before in steps.get(flag.flag_id, ())),
            )

    def steps_by_flag(self) -> dict[int, list[tuple[AlertEvent, Alert]]]:
        """The steps of each alert, under one flag of it: of the gravest the newest that still holds."""
        found: dict[int, list[tuple[AlertEvent, Alert]]] = {}
        for alert in self.shown.alerts:
            flags = [
                self.flags[one] for one in self.flags_of_alerts.get(alert.alert_id, ()) if one in self.flags
            ]
            if not flags:
                continue
            bearer = max(
                flags, key=lambda flag: (flag.retracted_at is None, flag.grade.urgency, flag.flag_id)
            )
            found.setdefault(bearer.flag_id, []).extend(
                (step, alert) for step in self.shown.steps if step.alert_id == alert.alert_id
            )
        return found

    def step(self, step: AlertEvent, alert: Alert) -> Event:
        """One step of an alert in words."""
        names, telling = self.telling.names, self.telling
        borough = telling.borough(step.borough)
        by_program = step.actor in ("system", "escalation", "linkage") or step.actor.startswith("command:")
        who = "the server" if by_program else names.name(step.actor)
        if step.kind is EventKind.RAISED:
            if step.told not in (None, "investigators"):
                text = f"Told {names.name(step.told or '')} of {borough}, who leads the open case"
                return Event(at=step.at, text=text)
            return Event(at=step.at, text=f"Told the investigators of {borough}")
        if step.kind is EventKind.GREW:
            graver = f", now {step.grade.value}, where it was {step.detail}" if step.detail else ""
            return Event(at=step.at, text=f"Told the investigators of {borough} again: there is more{graver}")
        if step.kind is EventKind.COPIED:
            others = words.listed([telling.borough(code) for code in (step.detail or "").split(", ")])
            return Event(at=step.at, text=f"Told the investigators of {others} too: the registry has changed")
        if step.kind is EventKind.GRADED:
            return self.graded(step)
        if step.kind is EventKind.LESSENED:
            return Event(at=step.at, text=f"Told {self.told(step)} that part of it does not hold any more")
        if step.kind is EventKind.ESCALATED and step.detail:
            text = f"{step.detail} soon: told {telling.whom(step.told or '')}"
            return Event(at=step.at, text=text, tone="late")
        if step.kind is EventKind.ESCALATED:
            told = telling.whom(step.told or "")
            waited = words.duration(step.at - self.unanswered_since(step, alert))
            return Event(at=step.at, text=f"Nobody had acknowledged after {waited}: told {told}", tone="late")
        if step.kind is EventKind.ACKNOWLEDGED:
            return Event(at=step.at, text=f"Acknowledged by {who}", tone="done")
        if step.kind is EventKind.HANDED_OVER:
            why = f": “{step.detail}”" if step.detail else ""
            return Event(at=step.at, text=f"Handed over by {who} to {names.name(step.told or '')}{why}")
        if step.kind is EventKind.PASSED_ON:
            return Event(at=step.at, text=self.passed_on(step), tone="late")
        if step.kind in _TRANSFERS:
            why = f": “{step.detail}”" if step.detail else ""
            text = _TRANSFERS[step.kind].format(who=who, here=borough, there=telling.borough(step.told or ""))
            return Event(at=step.at, text=text + why)
        if step.kind is EventKind.JOINED:
            return Event(at=step.at, text=f"Told the investigators of {borough}: the records were merged")
        if step.kind is EventKind.SEPARATED:
            return Event(at=step.at, text=f"Told the investigators of {borough}: a merge was undone")
        why = f": {step.detail}" if step.detail else ""
        return Event(at=step.at, text=f"Closed by {who}{why}", tone="done")

    def passed_on(self, step: AlertEvent) -> str:
        """Whose duty it was until they were not there, and whose it is now."""
        why, _, owner = (step.detail or "").partition(":")
        whom = f"now with {self.told(step)}" if step.told != INVESTIGATORS else f"told {self.told(step)}"
        return f"{self.telling.names.name(owner)} {_NOT_THERE.get(why, 'is not there')}: {whom}, not acknowledged"

    def unanswered_since(self, step: AlertEvent, alert: Alert) -> int:
        """Since when nobody had answered at this step: an owner who left began it anew."""
        left = [
            one.at
            for one in self.shown.steps
            if one.alert_id == alert.alert_id
            and one.kind is EventKind.PASSED_ON
            and one.event_id < step.event_id
        ]
        return max([alert.started_at, *left])

    def graded(self, step: AlertEvent) -> Event:
        """A grade that a person gave, with the rationale."""
        kept = (
            one.rationale
            for one in self.shown.gradings
            if (one.alert_id, one.at, one.person) == (step.alert_id, step.at, step.actor)
        )
        change = "confirmed as" if step.detail == step.grade.value else f"changed from {step.detail} to"
        who = self.telling.names.name(step.actor)
        return Event(at=step.at, text=f"Grade {change} {step.grade.value} by {who}: “{next(kept, '')}”")

    def told(self, step: AlertEvent) -> str:
        """Whom a step was told: the alert's owner, or where it has none the investigators."""
        if step.told in (None, "investigators"):
            return f"the investigators of {self.telling.borough(step.borough)}"
        return self.telling.names.name(step.told or "")

    def record_entries(self) -> Iterable[RecordEntry]:
        """What was done to the record itself."""
        child = self.shown.child
        yield from self.merge_entries()
        for made in child.records or (child,):
            if made.registry_id is not None:
                continue
            yield RecordEntry(
                entry_id=f"made-{made.child_id}",
                at=made.created_at,
                title="This record was made",
                author="the server",
                detail="From a note about a child who was not known."
                if made.standing is not Standing.AWAITING_REVIEW
                else "To hold a note until a person says which child it is about.",
            )
        for entry in self.shown.entries:
            event = entry.link
            if event is not None and event.author != "system" and event.action in (Action.LINK, Action.NEW):
                given = event.reason not in (answering.DECIDED, answering.FOR_REVIEW_AGAIN)
                yield RecordEntry(
                    entry_id=f"decided-{event.event_id}",
                    at=event.at,
                    title="A person decided: the same child"
                    if event.action is Action.LINK
                    else "A person decided: a child of their own",
                    author=self.telling.author(event.author),
                    detail=f"“{event.reason}”" if given else None,
                )
        for one in self.undone:
            yield RecordEntry(
                entry_id=f"undone-{one.event_id}",
                at=one.at,
                title="A note was taken off this record",
                author=self.telling.author(one.author),
            )
        for marker in child.markers:
            yield RecordEntry(
                entry_id=f"marker-{marker.marker_id}",
                at=marker.set_at,
                title=f"Marker set: {MARKERS.get(marker.kind, marker.kind.replace('_', ' ')).lower()}",
                author=self.telling.names.name(marker.author),
                detail=f"“{marker.reason}”",
            )

    def merge_entries(self) -> Iterable[RecordEntry]:
        """What was decided on whether this child's records are one child, and with which others."""
        decided = {event.event_id: event for event in self.shown.merges}
        undone = {event.undoes for event in self.shown.merges}
        mine = {one.child_id for one in self.shown.child.records} or {self.shown.child.child_id}
        for event in self.shown.merges:
            about = decided[event.undoes] if event.undoes is not None else event
            others = [one for one in (about.one_id, about.other_id) if one is not None]
            if about.action is Joining.MERGE and mine.issuperset(others):
                with_words = f"records {others[0]} and {others[1]}"
            else:
                with_words = f"record {next((one for one in others if one not in mine), others[-1])}"
            title, label = _JOINING[about.action]
            title = title.format(with_words)
            stands = event.undoes is None and event.event_id not in undone
            yield RecordEntry(
                entry_id=f"merge-{event.event_id}",
                at=event.at,
                title=f"Undone: {title[0].lower()}{title[1:]}" if event.undoes is not None else title,
                author=self.telling.author(event.author),
                detail=f"“{event.reason}”" if event.reason != merging.TAKEN_BACK else None,
                undoes=event.event_id if stands and self.may_undo else None,
                undo_label=label,
            )


_NOT_THERE = {
    "away": "is away",
    "gone": "does not answer alerts any more",
    "elsewhere": "answers for other boroughs now",
}
_TRANSFERS = {
    EventKind.OFFERED: "Offered by {who} to {there}: it stays with {here} until they accept",
    EventKind.TRANSFERRED: "Accepted by {who}: now with {here}, before with {there}",
    EventKind.TRANSFER_REFUSED: "Refused by {who} of {there}: it stays with {here}",
    EventKind.TRANSFER_TAKEN_BACK: "Offer to {there} taken back by {who}",
}

_JOINING = {
    Joining.MERGE: ("Merged, the same child: {}", "Undo merge"),
    Joining.NOT_SAME: ("Not the same child: {}", "Undo: it may be the same child"),
    Joining.CANNOT_TELL: ("Could not be told whether the same child: {}", "Undo"),
    Joining.CONFIRM: ("Confirmed: a child of their own", "Undo: provisional again"),
}


def together(flags: Iterable[FlagEntry]) -> Iterable[FlagEntry]:
    """Flags raised in one instant as one entry: the gravest, or the one whose alert has a history, bears it."""
    at_once: dict[int, list[FlagEntry]] = {}
    for flag in flags:
        at_once.setdefault(flag.at, []).append(flag)
    for raised in at_once.values():
        order = sorted(
            raised, key=lambda one: (one.withdrawn is not None, GRADES.index(one.grade), not one.events)
        )
        first, *others = order
        bearing = [one for one in order if one.events]
        yield msgspec.structs.replace(
            first,
            beside=tuple(msgspec.structs.replace(one, events=()) for one in others),
            events=tuple(event for one in bearing for event in one.events),
        )


def _reason(flag: Flag, notes: Mapping[str, Written]) -> str:
    """What the flag rests on, beyond its title."""
    detail = flag.sentence.partition(";")[2].strip()
    found = [notes[note_id] for note_id in flag.note_ids if note_id in notes]
    if len(found) < 2:
        return f"{detail[:1].upper()}{detail[1:]}." if detail else "From this one note."
    first = min(note.observed_at for note in found)
    said = f"{words.count(len(found), 'note')} since {words.short_day(words.local(first).date())}"
    return f"{said}: {detail}." if detail else f"{said}."
