"""Putting each subject of a note on a child's timeline: by linkage when the note comes, by a person later.

A subject always stands on exactly one child, so every worry has a timeline, flags and an owner at once. Where
linkage leaves the choice to a person, that child is a record of its own which waits (`AWAITING_REVIEW`): it
carries the duty meanwhile, and linkage does not find it, so that nothing is built on a guess.
"""

import datetime
import re
from collections.abc import Sequence
from threading import Lock, Thread

import msgspec
import structlog

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor
from server.casework.areas import AreaHistory
from server.casework.facts import NoteFact
from server.casework.pack import Pack, PackError, load_pack
from server.linkage.decide import LINK, REVIEW, Decider, Decision
from server.linkage.identifiable import identifiable
from server.linkage.model import Model, default_model
from server.linkage.names import remember
from server.linkage.newly import Basis, new_evidence
from server.linkage.standardise import Record, standardise
from server.records import alerts, cases, children, index, links, notes, packs, reference, reviewing
from server.records.children import Details, Standing
from server.records.index import StoredIndex, index_entry
from server.records.links import Action
from server.storage.port import StorageClosed, StorageError, Store, Transaction
from sync.note import Note

log = structlog.get_logger("server.placing")

SYSTEM = Actor("system", "linkage")
GSS_CODE = re.compile(r"[A-Z][0-9]{8}")
"""What a borough looks like: a phone may send any text in its place."""

MOVED = "The note was linked to another record of the same child"

# Reasons of a person's decisions where the person gives none of their own.
DECIDED = "Decided by a person"
RULED_OUT = "Ruled out by a person"
RULED_IN = "A person took the ruling back"
LEFT_OPEN = "A person could not tell"
FOR_REVIEW_AGAIN = "For review again"
NEW_EVIDENCE = "New evidence since a person ruled it out"


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What the road needs beside the database: the model, the rules, the map, and where alerts go."""

    decider: Decider
    pack: Pack
    areas: AreaHistory
    channels: tuple[str, ...] = ()

    def borough_of(self, note: Note, observed_at: int) -> str | None:
        """Where it was observed: by position and the boundaries of that day, else as the officer chose."""
        found = note.found_at
        if found is None:
            return None
        if found.latitude is not None and found.longitude is not None:
            borough = self.areas.borough_at(found.latitude, found.longitude, observed_at)
            if borough is not None:
                return borough
        return found.borough if found.borough and GSS_CODE.fullmatch(found.borough) else None


class Worlds:
    """The world as of the database's reference data; made anew when those change, in whatever process.

    `pack` holds until another is put in force in the database (`earlysign rules reload`).
    """

    def __init__(self, pack: Pack, channels: tuple[str, ...] = (), model: Model | None = None) -> None:
        self._pack = pack
        self._in_force: tuple[str | None, Pack] = (None, pack)
        """The text of the pack that was last found in the database, and what it says."""
        self._channels = channels
        self._model = model or default_model()
        self._loaded: tuple[int, World] | None = None
        self._beside: Store | None = None
        self._turn = Lock()

    def load_beside(self, store: Store) -> None:
        """From now on load what changes in a thread and a read of their own, and work on with what there was.

        The names of two million children take a second to load, in which no note should wait.
        """
        self._beside = store

    def current(self, tx: Transaction) -> World:
        """The world for this transaction. One small query when nothing has changed."""
        generation = reference.generation(tx)
        loaded = self._loaded
        if loaded is not None and loaded[0] == generation:
            return loaded[1]
        if loaded is None or self._beside is None:
            return self._load(tx)
        if self._turn.acquire(blocking=False):
            Thread(
                target=self._load_in_turn, args=(self._beside,), daemon=True, name="earlysign-world"
            ).start()
        # What there was when this began, however quickly the other thread is done; but rules are small, and hold
        # from the next transaction on.
        world, pack = loaded[1], self.pack_in_force(tx)
        return world if pack is world.pack else msgspec.structs.replace(world, pack=pack)

    def _load_in_turn(self, store: Store) -> None:
        try:
            store.read_now(self._load)
        except StorageClosed:
            pass  # the server is stopping
        except StorageError as error:
            log.warning("reference data not loaded, the next note tries again", error=type(error).__name__)
        finally:
            self._turn.release()

    def _load(self, tx: Transaction) -> World:
        generation = reference.generation(tx)
        counts = index.load_frequencies(tx)
        model = self._model.with_term_frequencies(counts) if counts else self._model
        remember(model.term_frequencies.words)
        world = World(
            decider=Decider(model),
            pack=self.pack_in_force(tx),
            areas=AreaHistory(reference.areas(tx)),
            channels=self._channels,
        )
        self._loaded = (generation, world)
        return world

    def pack_in_force(self, tx: Transaction) -> Pack:
        """The rules of the database, or those that the server started with.

        Every pack was checked before it was stored. One that this process cannot read was written for a newer
        release: it goes on with the rules that it has, and says so, until it is restarted.
        """
        text = packs.in_force(tx)
        if text != self._in_force[0]:
            try:
                pack = load_pack(text, self._pack.force) if text is not None else self._pack
            except PackError as error:
                log.error("rules_not_loaded", error=type(error).__name__)
                pack = self._in_force[1]
            self._in_force = (text, pack)
        return self._in_force[1]


class Described(msgspec.Struct, frozen=True):
    """A subject made ready for linkage."""

    details: Details
    record: Record


WHO_IS_WHO = "intake"
"""Lock of the database under which it is decided which child is which. People who decide hold it alone, so that a
note which comes while its child is merged is counted with it; pushes share it, and hold what they decide on besides
(`server/beside.py`). SQLite has one writer anyway."""


class ReviewClosed(Exception):
    """Somebody else has decided this review already."""


def describe(note: Note) -> tuple[Described, ...]:
    """The subjects of a note as linkage takes them."""
    found = []
    for ordinal in range(len(note.subjects)):
        details = details_of(note, ordinal)
        record = standardise(details.description())
        found.append(Described(details, record))
    return tuple(found)


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
    """A subject and what linkage decided of it. `kept_id`: the child, whichever of its records was found."""

    subject: Described
    decision: Decision
    kept_id: int | None


def decide(tx: Transaction, world: World, subjects: Sequence[Described]) -> list[Placement]:
    """Ask linkage which child each subject of a note is. Writes nothing.

    Two subjects of one note are two people, however alike their descriptions.
    """
    placements = []
    taken: set[int] = set()
    for subject in subjects:
        source = StoredIndex(tx)
        decision = world.decider.decide(subject.record, source, excluded=taken)
        child_id = decision.child_id
        if decision.outcome == LINK and child_id is not None:
            taken |= children.whole(tx, [child_id]) if child_id in source.clusters else {child_id}
        kept_id = source.clusters.get(child_id, child_id) if child_id is not None else None
        placements.append(Placement(subject, decision, kept_id))
    return placements


def status_of(placements: Sequence[Placement]) -> notes.Status:
    """What the author is told of a note: linked where any subject was, else in review, else new."""
    actions = {Action(placement.decision.outcome) for placement in placements}
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
        child_id, is_new = _child_for(tx, subject, decision, now)
        subject_id = notes.add_subject(tx, note_key, ordinal, subject.record, fact, child_id)
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
            channels=world.channels,
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
    standing = notes.subjects_of(tx, note_key)
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
            _move(tx, SYSTEM, world, subject_id, child_id, decision.child_id, decision.reason, now, decision)


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
    _ask(tx, subject_id, child_id, "", now)


def _ask(tx: Transaction, subject_id: int, child_id: int, otherwise: str, now: int) -> int:
    """Open a review of a subject, where the duty on the record is, with what is at stake there. Its number."""
    danger, urgency = cases.stake(tx, child_id)
    _, note_key, _ = notes.subject_record(tx, subject_id)
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


def answer_same(
    tx: Transaction,
    world: World,
    person: Person,
    review_id: int,
    child_id: int,
    *,
    now: int,
    reason: str | None = None,
) -> None:
    """A person says that the subject is this child. Raises NotAllowed and ReviewClosed."""
    tx.lock(WHO_IS_WHO)
    review = links.require_review(tx, person, review_id)
    actor = Actor("person", person.username)
    if child_id not in _offered(tx, review.subject_id) or not children.candidates(
        tx, person, [child_id], now=now
    ):
        raise NotAllowed("That child is not one of the candidates that you may choose.")
    _close(tx, person, review, f"same:{child_id}", now)
    _move(tx, actor, world, review.subject_id, review.holding_child_id, child_id, reason or DECIDED, now)


def answer_new(
    tx: Transaction, world: World, person: Person, review_id: int, *, now: int, reason: str | None = None
) -> None:
    """A person says that the subject is none of the known children. Raises NotAllowed and ReviewClosed."""
    tx.lock(WHO_IS_WHO)
    review = links.require_review(tx, person, review_id)
    actor = Actor("person", person.username)
    _close(tx, person, review, "new", now)
    child_id = review.holding_child_id
    children.set_standing(tx, actor, child_id, Standing.KNOWN, now=now)
    links.decide(tx, actor, review.subject_id, Action.NEW, child_id, now=now, reason=reason or DECIDED)


def answer_not_same(
    tx: Transaction,
    world: World,
    person: Person,
    review_id: int,
    child_id: int,
    *,
    now: int,
    reason: str | None = None,
) -> None:
    """A person rules one candidate out. It persists; the review stays open for the others."""
    tx.lock(WHO_IS_WHO)
    review = links.require_review(tx, person, review_id)
    if review.closed_at is not None:
        raise ReviewClosed
    if child_id in links.ruled_out(tx, review.subject_id):
        return
    if child_id not in _offered(tx, review.subject_id):
        raise NotAllowed("That child is not one of the candidates of this review.")
    links.decide(
        tx,
        Actor("person", person.username),
        review.subject_id,
        Action.NOT_SAME,
        child_id,
        now=now,
        reason=reason or RULED_OUT,
        basis=Basis(_described_now(tx, review.subject_id), children.record_of(tx, child_id)),
    )


def _described_now(tx: Transaction, subject_id: int) -> Record:
    """A subject as its author describes it now, standardised."""
    note, ordinal = notes.newest_body(tx, subject_id)
    return standardise(details_of(note, ordinal).description())


def answer_maybe_same(
    tx: Transaction, person: Person, review_id: int, child_id: int, *, now: int, reason: str | None = None
) -> None:
    """A person takes "not the same" back: the child is a candidate of this open review again."""
    tx.lock(WHO_IS_WHO)
    review = links.require_review(tx, person, review_id)
    if review.closed_at is not None:
        raise ReviewClosed
    if child_id not in links.ruled_out(tx, review.subject_id):
        return
    actor = Actor("person", person.username)
    links.decide(
        tx, actor, review.subject_id, Action.MAYBE_SAME, child_id, now=now, reason=reason or RULED_IN
    )


def answer_cannot_tell(
    tx: Transaction, person: Person, review_id: int, *, now: int, reason: str | None = None
) -> None:
    """A person cannot tell. The note keeps its own record, with its duty, until more is known."""
    tx.lock(WHO_IS_WHO)
    review = links.require_review(tx, person, review_id)
    _close(tx, person, review, "cannot_tell", now)
    actor, holding = Actor("person", person.username), review.holding_child_id
    links.decide(tx, actor, review.subject_id, Action.REVIEW, holding, now=now, reason=reason or LEFT_OPEN)


def undo(tx: Transaction, world: World, person: Person, review_id: int, *, now: int) -> None:
    """Take a decision on a review back: the subject returns to a record that waits."""
    tx.lock(WHO_IS_WHO)
    review = links.require_review(tx, person, review_id)
    if review.closed_at is None:
        return
    take_back(tx, world, person, review.subject_id, now=now)


def undo_link(
    tx: Transaction, world: World, person: Person, subject_id: int, *, now: int, reason: str | None = None
) -> int:
    """Undo the link of a subject, whoever made it, where the person may decide links and see the child.

    The review that then waits. Raises NotAllowed, also where there is no such subject, and ReasonNeeded.
    """
    tx.lock(WHO_IS_WHO)
    child_id = links.child_of(tx, subject_id)
    if child_id is None or not person.may(Permission.DECIDE_LINKS):
        raise NotAllowed("There is no such link among those you may undo.")
    children.require_sight(tx, person, child_id, reason)
    return take_back(tx, world, person, subject_id, now=now)


def take_back(tx: Transaction, world: World, person: Person, subject_id: int, *, now: int) -> int:
    """Undo the link of a subject, whoever made it: it waits for review again. The review's id.

    Asks nothing of the person's scope: call `children.require_sight` or `links.require_review` before.
    """
    actor = Actor("person", person.username)
    record, note_key, _ = notes.subject_record(tx, subject_id)
    child_id = dict(notes.subjects_of(tx, note_key))[subject_id]
    events = links.history(tx, subject_id)
    holding = next((event.child_id for event in events if event.action is Action.REVIEW), None)
    if holding is None:
        note, ordinal = notes.body_of_subject(tx, subject_id)
        details = details_of(note, ordinal)
        holding = children.add(tx, actor, details, record, Standing.AWAITING_REVIEW, now=now)
    elif holding != child_id or events[-1].action is Action.NEW:
        children.set_standing(tx, actor, holding, Standing.AWAITING_REVIEW, now=now)
    if holding != child_id:
        links.decide(tx, actor, subject_id, Action.UNLINK, child_id, now=now, reason="Taken back by a person")
        _relocate(tx, actor, world, subject_id, child_id, holding, now)
    links.decide(tx, actor, subject_id, Action.REVIEW, holding, now=now, reason=FOR_REVIEW_AGAIN)
    return _ask(tx, subject_id, holding, person.borough or "", now)


def _offered(tx: Transaction, subject_id: int) -> set[int]:
    """The candidates that linkage found for a subject, less every record of the children ruled out."""
    offered: set[int] = set()
    for event in links.history(tx, subject_id):
        if event.evidence is not None:
            offered |= {candidate.child_id for candidate in event.evidence.candidates}
    return offered - children.whole(tx, links.ruled_out(tx, subject_id))


def _close(tx: Transaction, person: Person, review: links.Review, answer: str, now: int) -> None:
    if not links.close_review(tx, review.review_id, person, answer, now=now):
        raise ReviewClosed


def _child_for(tx: Transaction, subject: Described, decision: Decision, now: int) -> tuple[int, bool]:
    """The child that a decision puts a subject on, and whether it was made for it."""
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
        entry=None if waits else index_entry(subject.record),
    )
    return child_id, True


def _move(
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
    _relocate(tx, actor, world, subject_id, from_child, to_child, now)
    notes.set_status(tx, [notes.id_of_subject(tx, subject_id)], notes.Status.LINKED)


def _relocate(
    tx: Transaction, actor: Actor, world: World, subject_id: int, from_child: int, to_child: int, now: int
) -> None:
    """Move a subject between timelines and judge both children anew."""
    running = alerts.running_since(tx, from_child, notes.id_of_subject(tx, subject_id))
    links.move(tx, subject_id, to_child)
    if children.retire_if_empty(tx, actor, from_child, now=now):
        open_ids = alerts.open_ids(tx, from_child)
        alerts.close(tx, actor, open_ids, MOVED, now=now, channels=world.channels)
    cases.reassess(tx, actor, from_child, world.pack, now=now, channels=world.channels)
    cases.reassess(tx, actor, to_child, world.pack, now=now, channels=world.channels, running_since=running)
