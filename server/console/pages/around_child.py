"""Around a child's story: who they are, people and places, and who has looked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.audit.queries import Entry as LogEntry
from server.audit.verbs import Verb
from server.console import words
from server.console.pages.alert_rows import Telling, age_of, full_name
from server.console.pages.note_words import ROLES, described_as, place_of
from server.console.views_child import (
    Fact,
    Identity,
    Look,
    Marker,
    Person,
    Place,
)
from server.records.alerts import State
from server.records.child import Child, Details, Standing
from server.records.links import Action
from server.records.notes_shown import Written
from server.showing import Timeline

SURE = 0.999
"""A link below this is said to be uncertain at the top of the page; linkage needs less to make one."""
LOOKS_SHOWN = 8  # the newest people; the rest is in the log
PEOPLE_SHOWN = 12
MARKERS = {"exploitation": "Risk of exploitation"}


def identity(shown: Timeline, telling: Telling, waiting: int, *, may_merge: bool) -> Identity:
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
        records=tuple(one.child_id for one in child.records),
        may_merge=may_merge,
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
    if child.left_registry_at is not None:
        since = words.short_day(words.local(child.left_registry_at).date())
        yield f"whether these details still hold: no longer in the registry since {since}"
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
