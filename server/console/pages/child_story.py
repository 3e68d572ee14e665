"""From a child's records to the single view: who, what is live, the story, people and places, who has looked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from server import placing
from server.audit.queries import Entry as LogEntry
from server.audit.verbs import Verb
from server.console import words
from server.console.pages.alert_rows import Telling, age_of, full_name
from server.console.pages.comparing import explanation
from server.console.views import GRADES
from server.console.views_child import (
    Amendment,
    Event,
    Fact,
    FlagEntry,
    FlagWords,
    Identity,
    LinkWords,
    Look,
    Marker,
    NoteEntry,
    Person,
    Place,
    RecordEntry,
    TimelineEntry,
)
from server.records.alerts import Alert, State
from server.records.cases import Flag
from server.records.children import Child, Details, Standing
from server.records.links import Action
from server.records.notes import Amended, Written
from server.records.overview import Undone
from server.records.steps import AlertEvent, EventKind
from server.showing import Entry, Timeline
from sync.note import Amendment as AmendedBody
from sync.note import MissingEpisode, Note, Subject
from sync.vocabulary import CATEGORY_LABELS, ChildSeen, RiskLevel, SubjectRole, phrases_to_reconsider

SURE = 0.999
"""A link below this is said to be uncertain at the top of the page; linkage needs less to make one."""
LOOKS_SHOWN = 8  # the newest people; the rest is in the log
PEOPLE_SHOWN = 12

ROLES = {
    SubjectRole.CHILD_OF_CONCERN: "Child of concern",
    SubjectRole.VICTIM: "Victim",
    SubjectRole.WITNESS: "Witness",
    SubjectRole.SUSPECT: "Suspect",
    SubjectRole.SIBLING: "Brother or sister",
    SubjectRole.OTHER: "In the note",
}
SEEN = {
    ChildSeen.SEEN: "Seen, not alone",
    ChildSeen.SEEN_ALONE: "Seen alone",
    ChildSeen.NOT_SEEN: "Not seen",
}
RISKS = {
    RiskLevel.NO_APPARENT_RISK: "no apparent risk",
    RiskLevel.LOW: "low",
    RiskLevel.MEDIUM: "medium",
    RiskLevel.HIGH: "high",
}
PROPOSALS = {
    "strategy_discussion": "Hold a strategy discussion.",
    "supervisor_review": "A supervisor looks at this.",
}
MARKERS = {"exploitation": "Risk of exploitation"}


def identity(shown: Timeline, telling: Telling, waiting: int) -> Identity:
    """The identity bar, with what is uncertain about this record in sentences."""
    child, details = shown.child, shown.child.details
    authority = child.circumstances.responsible_authority or child.owner_borough
    live = next((alert for alert in shown.alerts if alert.state is not State.CLOSED and alert.owner), None)
    owner = telling.borough(child.owner_borough) if child.owner_borough else None
    if live is not None and live.owner:
        owner = f"{telling.names.name(live.owner)}, {telling.borough(live.borough)}"
    return Identity(
        child_id=child.child_id,
        name=full_name(details),
        age=age_of(details, telling.now),
        date_of_birth=details.date_of_birth,
        sex=str(details.sex).capitalize() if details.sex else None,
        also_known_as=details.aliases,
        uncertain=tuple(_uncertain(shown, waiting)),
        markers=tuple(_markers(child, telling)),
        responsible_authority=telling.borough(authority) if authority else None,
        owner=owner,
        provisional=child.standing in (Standing.PROVISIONAL, Standing.AWAITING_REVIEW),
        restricted=child.circumstances.restricted,
    )


def _uncertain(shown: Timeline, waiting: int) -> Iterable[str]:
    child = shown.child
    if child.standing is Standing.AWAITING_REVIEW:
        yield "whether this is a child we know: the note waits for a person to decide"
    elif child.standing is Standing.PROVISIONAL:
        yield "this record was made from a note and nobody has confirmed it"
    if child.details.date_of_birth is None and child.details.approximate_age is not None:
        yield "the age is as an officer judged it"
    if waiting and child.standing is not Standing.AWAITING_REVIEW:
        yield f"{words.count(waiting, 'note')} may or may not be about this child"
    for entry in shown.entries:
        event = entry.link
        if event is None or event.action is not Action.LINK or event.author != "system":
            continue
        if event.probability is not None and event.probability < SURE:
            noted = words.short_day(words.local(entry.note.observed_at).date())
            yield f"the note of {noted} was linked at {words.percent(event.probability)}"


def _markers(child: Child, telling: Telling) -> Iterable[Marker]:
    if child.circumstances.looked_after:
        yield Marker(label="Looked after", tone="amber", author="From the registry")
    for marker in child.markers:
        if marker.expires_at is None or marker.expires_at > telling.now:
            yield Marker(
                label=MARKERS.get(marker.kind, marker.kind.replace("_", " ").capitalize()),
                tone="red" if marker.kind in MARKERS else "plain",
                reason=marker.reason.rstrip("."),
                author=telling.names.name(marker.author),
                expires_at=marker.expires_at,
            )


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
    ) -> None:
        self.shown = shown
        self.telling = telling
        self.flags_of_alerts = flags_of_alerts
        self.undone = undone
        self.may_undo = may_undo
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
        return note_entry(entry.note, self.telling, link=self.link(entry), flags=raised)

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
            author=self.author(event.author),
            at=event.at,
            probability=event.probability,
            explanation=None
            if evidence is None
            # The reader has the record itself before them, so its values are theirs to see.
            else explanation(evidence, restricted=False, version=event.model_version or ""),
            can_undo=self.may_undo and event.action is Action.LINK,
        )

    def author(self, who: str) -> str:
        """Who decided: a person's name, or the system."""
        return "the system" if who == "system" else self.telling.names.name(who)

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
                    (f"note-{note_id}", _called(notes[note_id]))
                    for note_id in sorted(
                        (one for one in flag.note_ids if one in notes),
                        key=lambda one: -notes[one].observed_at,
                    )
                ),
                proposal=PROPOSALS.get(flag.proposes or ""),
                withdrawn=f"{flag.retraction}." if flag.retracted_at is not None else None,
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
        who = "the server" if step.actor in ("system", "escalation", "linkage") else names.name(step.actor)
        if step.kind is EventKind.RAISED:
            return Event(at=step.at, text=f"Told the investigators of {borough}")
        if step.kind is EventKind.GREW:
            return Event(at=step.at, text=f"Told the investigators of {borough} again: there is more")
        if step.kind is EventKind.ESCALATED:
            told = telling.role_title(step.told or "")
            waited = words.duration(step.at - alert.started_at)
            return Event(at=step.at, text=f"Nobody had acknowledged after {waited}: told {told}", tone="late")
        if step.kind is EventKind.ACKNOWLEDGED:
            return Event(at=step.at, text=f"Acknowledged by {who}", tone="done")
        if step.kind is EventKind.HANDED_OVER:
            why = f": “{step.detail}”" if step.detail else ""
            return Event(at=step.at, text=f"Handed over by {who} to {names.name(step.told or '')}{why}")
        why = f": {step.detail}" if step.detail else ""
        return Event(at=step.at, text=f"Closed by {who}{why}", tone="done")

    def record_entries(self) -> Iterable[RecordEntry]:
        """What was done to the record itself."""
        child = self.shown.child
        if child.registry_id is None:
            yield RecordEntry(
                entry_id="made",
                at=child.created_at,
                title="This record was made",
                author="the server",
                detail="From a note about a child who was not known."
                if child.standing is not Standing.AWAITING_REVIEW
                else "To hold a note until a person says which child it is about.",
            )
        for entry in self.shown.entries:
            event = entry.link
            if event is not None and event.author != "system" and event.action in (Action.LINK, Action.NEW):
                given = event.reason not in (placing.DECIDED, placing.FOR_REVIEW_AGAIN)
                yield RecordEntry(
                    entry_id=f"decided-{event.event_id}",
                    at=event.at,
                    title="A person decided: the same child"
                    if event.action is Action.LINK
                    else "A person decided: a child of their own",
                    author=self.author(event.author),
                    detail=f"“{event.reason}”" if given else None,
                )
        for one in self.undone:
            yield RecordEntry(
                entry_id=f"undone-{one.event_id}",
                at=one.at,
                title="A note was taken off this record",
                author=self.author(one.author),
            )
        for marker in child.markers:
            yield RecordEntry(
                entry_id=f"marker-{marker.marker_id}",
                at=marker.set_at,
                title=f"Marker set: {MARKERS.get(marker.kind, marker.kind.replace('_', ' ')).lower()}",
                author=self.telling.names.name(marker.author),
                detail=f"“{marker.reason}”",
            )


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


def note_entry(
    note: Written,
    telling: Telling,
    *,
    link: LinkWords | None = None,
    flags: tuple[FlagWords, ...] = (),
) -> NoteEntry:
    """A note in its officer's words."""
    body = note.body
    subject = body.subjects[note.ordinal] if note.ordinal < len(body.subjects) else None
    withdrawn = next((a for a in note.amendments if not isinstance(a.body, AmendedBody)), None)
    return NoteEntry(
        note_id=note.note_id,
        observed_at=note.observed_at,
        recorded_at=note.recorded_at,
        received_at=note.received_at,
        title=CATEGORY_LABELS[body.category],
        categories=tuple(CATEGORY_LABELS[category] for category in body.categories[1:]),
        author=note.author_name,
        role_in_note=ROLES[note.role],
        place=place_of(body, note.found_borough, telling),
        facts=body.saw_or_heard or None,
        assessment=body.assessment or None,
        voice=body.voice_of_child or None,
        demeanour=body.demeanour or None,
        child_seen=_seen(body),
        danger_now=body.danger_now,
        action_taken=body.action_taken or None,
        missing=_missing(body.missing),
        advice=tuple(
            (phrase, better)
            for _, phrase, better in phrases_to_reconsider(f"{body.saw_or_heard}\n{body.assessment}")
        ),
        described_as=described_as(subject) if subject else None,
        link=link,
        flags=flags,
        amendments=tuple(
            _amendment(amended, note.author_name)
            for amended in note.amendments
            if isinstance(amended.body, AmendedBody)
        ),
        withdrawn=None
        if note.withdrawn_at is None
        else f"Withdrawn by its author: {withdrawn.body.reason}"
        if withdrawn
        else "Withdrawn by its author.",
    )


def _amendment(amended: Amended, author: str) -> Amendment:
    body = amended.body
    assert isinstance(body, AmendedBody)
    text = body.text
    if body.note is not None:
        text = "\n".join(part for part in (text, body.note.saw_or_heard, _described_anew(body.note)) if part)
    return Amendment(at=amended.received_at, author=author, reason=body.reason, text=text)


def _described_anew(note: Note) -> str:
    said = [described_as(subject) for subject in note.subjects]
    return "Now described as: " + "; ".join(part for part in said if part) if any(said) else ""


def described_as(subject: Subject) -> str | None:
    """The subject as this note describes them, in one line."""
    born = f"born {words.short_day(subject.date_of_birth)}" if subject.date_of_birth else None
    aged = (
        words.about_age(subject.approximate_age) if subject.approximate_age is not None and not born else None
    )
    name = " ".join(part for part in (subject.given_names, subject.family_name) if part) or None
    known_as = f"known as {words.listed(subject.aliases)}" if subject.aliases else None
    where = ", ".join(part for part in (subject.address, subject.postcode) if part) or None
    parts = (name, known_as, born or aged, where, subject.school, subject.description)
    return ", ".join(part for part in parts if part) or None


def place_of(note: Note, borough: str | None, telling: Telling) -> str | None:
    """Where it was seen, as typed, with the borough where that says more."""
    typed = note.found_at.place if note.found_at else None
    named = telling.borough(borough) if borough else None
    if typed and named and named.casefold() not in typed.casefold():
        return f"{typed}, {named}"
    return typed or named


def _seen(note: Note) -> str | None:
    if note.child_seen is None:
        return None
    said = SEEN[note.child_seen]
    return f"{said}: {note.not_seen_reason}" if note.not_seen_reason else said


def _missing(episode: MissingEpisode | None) -> str | None:
    if episode is None:
        return None
    parts = [
        "Missing"
        if episode.hours is None
        else f"Missing {words.long_duration(round(episode.hours * words.HOUR_MS))}"
    ]
    if episode.risk_level is not None:
        parts.append(f"risk level {RISKS[episode.risk_level]}")
    if episode.returned is not None:
        parts.append("returned" if episode.returned else "not yet returned")
    return ", ".join(parts)


def _called(note: Written) -> str:
    """A note in a list: "4 March (PC Okafor)"."""
    day = words.local(note.observed_at)
    return f"{day.day} {day:%B} ({note.author_name})"


def _reason(flag: Flag, notes: Mapping[str, Written]) -> str:
    """What the flag rests on, beyond its title."""
    detail = flag.sentence.partition(";")[2].strip()
    found = [notes[note_id] for note_id in flag.note_ids if note_id in notes]
    if len(found) < 2:
        return f"{detail[:1].upper()}{detail[1:]}." if detail else "From this one note."
    first = min(note.observed_at for note in found)
    said = f"{words.count(len(found), 'note')} since {words.short_day(words.local(first).date())}"
    return f"{said}: {detail}." if detail else f"{said}."


def facts_of(details: Details, registry: bool) -> tuple[Fact, ...]:
    """What is known, and where from."""
    source = None if registry else "as the note describes"
    address = ", ".join(part for part in (details.address, details.postcode) if part)
    known = (
        ("Home", address),
        ("School", details.school),
        ("Phone", details.phone),
        ("Guardian", details.guardian),
        ("UPN", details.upn),
        ("NHS number", details.nhs_number),
    )
    return tuple(
        Fact(label=label, value=value, source=source, uncertain=not registry)
        for label, value in known
        if value
    )


def people_of(
    shown: Timeline, beside: Mapping[tuple[str, int], int], openable: frozenset[int]
) -> tuple[Person, ...]:
    """The others in this child's notes, the newest note first, each description once."""
    found: dict[str, Person] = {}
    for entry in shown.entries:
        note = entry.note
        for ordinal, subject in enumerate(note.body.subjects):
            if ordinal == note.ordinal:
                continue
            name = described_as(subject) or "Somebody not described"
            child_id = beside.get((note.note_id, ordinal))
            day = words.local(note.observed_at)
            found.setdefault(
                name,
                Person(
                    name=name,
                    relation=ROLES[subject.role],
                    source=f"note of {day.day} {day:%B %Y}",
                    child_id=child_id if child_id in openable else None,
                ),
            )
    return tuple(found.values())[:PEOPLE_SHOWN]


def places_of(shown: Timeline, telling: Telling) -> tuple[Place, ...]:
    """Where the notes were made, the newest first, with how often."""
    counted: dict[str, list[Written]] = {}
    for entry in shown.entries:
        place = place_of(entry.note.body, entry.note.found_borough, telling)
        if place:
            counted.setdefault(place, []).append(entry.note)
    return tuple(
        Place(
            name=place,
            relation="seen there" if len(notes) == 1 else f"seen there {len(notes)} times",
            detail=f"last {words.inside(words.day(max(n.observed_at for n in notes), telling.now))}",
        )
        for place, notes in counted.items()
    )[:PEOPLE_SHOWN]


_LOOKED = {
    None: "Opened the record",
    "review": "Compared it in a review",
    "restricted record": "Opened the restricted record, with a reason",
}


def looks_of(entries: Iterable[LogEntry], telling: Telling) -> tuple[Look, ...]:
    """Who has looked, newest first: once for each person and way of looking, at its newest time."""
    found: dict[tuple[str, str], Look] = {}
    for entry in entries:
        shown = entry.verb in (Verb.CONSULTATION, Verb.DISCLOSURE)
        # A first name in a queue is in the log, and is no look at the record.
        if entry.actor.kind != "person" or not shown or entry.reason == "list":
            continue
        what = (
            "Was sent it" if entry.verb is Verb.DISCLOSURE else _LOOKED.get(entry.reason, "Opened the record")
        )
        role = telling.names.role(entry.actor.id)
        title = telling.policy.roles[role].title if role in telling.policy.roles else None
        found.setdefault(
            (entry.actor.id, what),
            Look(at=entry.at, person=telling.names.name(entry.actor.id), role=title, what=what),
        )
    return tuple(found.values())
