"""Putting each subject of a note on a child's timeline, by linkage, when the note comes.

A subject always stands on exactly one child, so every worry has a timeline, flags and an owner at once. Where
linkage leaves the choice to a person, that child is a record of its own which waits (`AWAITING_REVIEW`): it
carries the duty meanwhile, and linkage does not find it, so that nothing is built on a guess.
"""

import datetime
from collections.abc import Sequence

import msgspec

from server.audit import Actor
from server.casework.facts import NoteFact
from server.linkage.decide import LINK, NEW, REVIEW, Decision
from server.linkage.entries import Entry, index_entry
from server.linkage.identifiable import identifiable
from server.linkage.newly import Basis, new_evidence
from server.linkage.standardise import Record, standardise
from server.records import (
    cases,
    children,
    duties,
    links,
    note_subjects,
    notes,
    reviewing,
)
from server.records.child import Details, Standing
from server.records.index import StoredIndex
from server.records.links import Action
from server.storage.port import Transaction
from server.world import World
from sync.note import Note

SYSTEM = Actor("system", "linkage")

MOVED = "The note was linked to another record of the same child"

NEW_EVIDENCE = "New evidence since a person ruled it out"


class Described(msgspec.Struct, frozen=True):
    """A subject made ready for linkage."""

    details: Details
    record: Record


def describe(note: Note, records: Sequence[Record] = ()) -> tuple[Described, ...]:
    """The subjects of a note as linkage takes them. `records`: standardised before, where there are as many."""
    details = [details_of(note, ordinal) for ordinal in range(len(note.subjects))]
    if len(records) != len(details):
        records = [standardise(one.description()) for one in details]
    return tuple(map(Described, details, records))


def details_of(note: Note, ordinal: int) -> Details:
    """One subject of a note, as a child's details are written."""
    subject = note.subjects[ordinal]
    as_of = None
    if subject.approximate_age is not None:
        as_of = _day_of(note.observed_at)
    return Details(
        given_names=subject.given_names,
        family_name=subject.family_name,
        aliases=subject.aliases,
        date_of_birth=subject.date_of_birth,
        approximate_age=subject.approximate_age,
        age_as_of=as_of,
        sex=subject.sex,
        address=subject.address,
        postcode=subject.postcode,
        school=subject.school,
        phone=subject.phone,
        guardian=subject.guardian,
        upn=subject.upn,
        nhs_number=subject.nhs_number,
    )


def _day_of(instant: datetime.datetime) -> datetime.date:
    """The day in UTC; in the first and last hours of the calendar, where there is none, the day as written."""
    try:
        return instant.astimezone(datetime.UTC).date()
    except OverflowError:
        return instant.date()


class Placement(msgspec.Struct, frozen=True):
    """A subject and what linkage decided of it. `kept_id`: the child, whichever of its records was found. `entry`: what
    a child that is made for it is to be found by."""

    subject: Described
    decision: Decision
    kept_id: int | None
    entry: Entry | None


def decide(
    tx: Transaction, world: World, subjects: Sequence[Described], asked: list[int] | None = None
) -> list[Placement]:
    """Ask linkage which child each subject of a note is. Writes nothing.

    Two subjects of one note are two people, however alike their descriptions. `asked` is given every key that was
    looked up: only a child that is found by one of them could make the answer another.
    """
    placements = []
    taken: set[int] = set()
    for subject in subjects:
        source = StoredIndex(tx, asked)
        decision = world.decider.decide(subject.record, source, excluded=taken)
        child_id = decision.child_id
        if decision.outcome == LINK and child_id is not None:
            taken |= children.whole(tx, [child_id]) if child_id in source.clusters else {child_id}
        kept_id = source.clusters.get(child_id, child_id) if child_id is not None else None
        entry = index_entry(subject.record) if decision.outcome == NEW else None
        placements.append(Placement(subject, decision, kept_id, entry))
    return placements


def status_of(placements: Sequence[Placement]) -> notes.Status:
    """What the author is told of a note: linked where any subject was, else in review, else new."""
    return _status({Action(placement.decision.outcome) for placement in placements})


def tell_author(tx: Transaction, subject_id: int) -> None:
    """The same after a person has decided, or taken a decision back, on this subject of it."""
    _, note_key, _ = note_subjects.subject_record(tx, subject_id)
    actions = {
        next(event.action for event in reversed(links.history(tx, one)) if event.action in _STATUS)
        for one, _ in note_subjects.subjects_of(tx, note_key)
    }
    notes.set_status(tx, [note_subjects.id_of_subject(tx, subject_id)], _status(actions))


def _status(actions: set[Action]) -> notes.Status:
    return next(status for action, status in _STATUS.items() if action in actions)


def place(
    tx: Transaction,
    world: World,
    note_key: int,
    placements: Sequence[Placement],
    facts: Sequence[NoteFact],
    cause: cases.Arrival,
    *,
    now: int,
) -> None:
    """Put every subject of a new note on its child, and see that somebody has the duty."""
    counted = [(p.decision.outcome, identifiable(p.subject.record)) for p in placements]
    reviewing.count(tx, cause.found_borough or cause.author_borough, counted, now=now)
    for ordinal, (placement, fact) in enumerate(zip(placements, facts, strict=True)):
        subject, decision = placement.subject, placement.decision
        child_id, is_new = _child_for(tx, placement, now)
        subject_id = note_subjects.add_subject(tx, note_key, ordinal, subject.record, fact, child_id)
        action = Action(decision.outcome)
        links.decide(
            tx, SYSTEM, subject_id, action, child_id, now=now, reason=decision.reason, evidence=decision
        )
        outcome = cases.reassess(
            tx,
            SYSTEM,
            child_id,
            world.pack,
            now=now,
            arrival=cause,
            made_for=(subject.details, fact) if is_new else None,
        )
        if action is Action.REVIEW:
            borough = outcome.owner or cause.found_borough or cause.author_borough or ""
            links.open_review(
                tx,
                subject_id,
                borough,
                danger=cause.danger_now,
                urgency=outcome.grade.urgency if outcome.grade else 0,
                noted_at=cause.observed_at,
                now=now,
                first=True,
            )


_STATUS = {
    Action.LINK: notes.Status.LINKED,
    Action.REVIEW: notes.Status.IN_REVIEW,
    Action.NEW: notes.Status.NEW_CHILD,
}


def place_again(
    tx: Transaction, world: World, note_key: int, subjects: Sequence[Described], *, now: int
) -> None:
    """An amendment describes the subjects anew: link those that the system placed and now places surely.

    What a person decided stays as it is, and what linkage is not sure of stays where it stands.
    """
    standing = note_subjects.subjects_of(tx, note_key)
    for (subject_id, child_id), subject in zip(standing, subjects, strict=False):
        events = links.history(tx, subject_id)
        _consider_again(tx, world, subject_id, child_id, subject, now=now)
        if any(event.author not in (SYSTEM.kind, SYSTEM.id) for event in events):
            continue
        taken = {other for _, other in standing if other != child_id}
        excluded = children.whole(tx, taken | links.ruled_out(tx, subject_id))
        decision = world.decider.decide(subject.record, StoredIndex(tx), excluded=excluded)
        if decision.outcome == LINK and decision.child_id is not None:
            if decision.child_id in children.whole(tx, [child_id]):
                continue
            links.settle_review(tx, subject_id, f"same:{decision.child_id}", now=now)
            move(tx, SYSTEM, world, subject_id, child_id, decision.child_id, decision.reason, now, decision)


def _consider_again(
    tx: Transaction, world: World, subject_id: int, child_id: int, subject: Described, *, now: int
) -> None:
    """Where an amendment brings new evidence on a child that a person ruled out, ask a person again.

    The note stays where it stands, and linkage alone never undoes what a person has said.
    """
    reopened = []
    for other, basis in links.ruled_out_on(tx, subject_id).items():
        found = children.record_of(tx, other)
        new = new_evidence(basis, Basis(subject.record, found))
        if new is not None:
            reason = f"{NEW_EVIDENCE}: {new}"
            links.decide(tx, SYSTEM, subject_id, Action.MAYBE_SAME, other, now=now, reason=reason)
            reopened.append(other)
    if not reopened:
        return
    decision = world.decider.decide(subject.record, StoredIndex(tx))
    if not {candidate.child_id for candidate in decision.candidates} & set(reopened):
        return
    reason = f"{decision.reason}; {NEW_EVIDENCE.lower()}"
    links.decide(tx, SYSTEM, subject_id, Action.REVIEW, child_id, now=now, reason=reason, evidence=decision)
    ask(tx, subject_id, child_id, "", now)


def ask(tx: Transaction, subject_id: int, child_id: int, otherwise: str, now: int) -> int:
    """Open a review of a subject, where the duty on the record is, with what is at stake there. Its number."""
    danger, urgency = cases.stake(tx, child_id)
    _, note_key, _ = note_subjects.subject_record(tx, subject_id)
    borough = children.owner(tx, child_id) or otherwise
    return links.open_review(
        tx,
        subject_id,
        borough,
        danger=danger,
        urgency=urgency,
        noted_at=notes.observed_at(tx, note_key),
        now=now,
    )


def _child_for(tx: Transaction, placement: Placement, now: int) -> tuple[int, bool]:
    """The child that a decision puts a subject on, and whether it was made for it."""
    subject, decision = placement.subject, placement.decision
    if decision.outcome == LINK:
        assert decision.child_id is not None, "a link names its child"
        return decision.child_id, False
    waits = decision.outcome == REVIEW
    child_id = children.add(
        tx,
        SYSTEM,
        subject.details,
        subject.record,
        Standing.AWAITING_REVIEW if waits else Standing.PROVISIONAL,
        now=now,
        entry=placement.entry,
    )
    return child_id, True


def move(
    tx: Transaction,
    actor: Actor,
    world: World,
    subject_id: int,
    from_child: int,
    to_child: int,
    reason: str,
    now: int,
    evidence: Decision | None = None,
) -> None:
    """Link a subject to another child than the one it stands on."""
    links.decide(tx, actor, subject_id, Action.LINK, to_child, now=now, reason=reason, evidence=evidence)
    relocate(tx, actor, world, subject_id, from_child, to_child, now)
    tell_author(tx, subject_id)


def relocate(
    tx: Transaction, actor: Actor, world: World, subject_id: int, from_child: int, to_child: int, now: int
) -> None:
    """Move a subject between timelines and judge both children anew."""
    running = duties.running_since(tx, from_child, note_subjects.id_of_subject(tx, subject_id))
    links.move(tx, subject_id, to_child)
    if children.standing_of(tx, to_child) is Standing.RETIRED:
        # It held nothing any more, and now it does: the next note about this child must find it.
        children.set_standing(tx, actor, to_child, Standing.PROVISIONAL, now=now)
    if children.retire_if_empty(tx, actor, from_child, now=now):
        open_ids = duties.open_ids(tx, from_child)
        duties.close(tx, actor, open_ids, MOVED, now=now)
    cases.reassess(tx, actor, from_child, world.pack, now=now)
    cases.reassess(tx, actor, to_child, world.pack, now=now, running_since=running)
