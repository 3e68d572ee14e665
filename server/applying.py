"""What one op does: a note comes in, or one that is here is amended or withdrawn, and its children are judged anew.

It changes nothing by halves: who calls it does so in a savepoint, and undoes what a refused op has written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from server import dating, placing
from server.access.identity import DeviceIdentity
from server.audit import Actor
from server.beside import Beside
from server.casework.facts import NoteFact, milliseconds, note_fact
from server.placing import Described
from server.prepared import Prepared, When, prepare
from server.records import attachments, cases, ledger, note_subjects, notes, who_is_who
from server.storage.port import StorageUnavailable, Transaction
from server.world import World
from sync.envelope import Code, Outcome, Verdict
from sync.inbox import Arrival
from sync.note import Amendment, Note, Withdrawal
from sync.operations import Envelope, attachments_of, body_of, parse_envelope

log = structlog.get_logger()

T = TypeVar("T")


class Trip(msgspec.Struct, frozen=True):
    """What every step of one push needs."""

    tx: Transaction
    sender: DeviceIdentity
    world: World
    actor: Actor
    now: int
    came_at: int
    """When the server received it: now, but for what a person releases, which may have been set aside for days. Those
    days are nobody's who wrote or sent it."""
    note_ids: set[str]
    """Ids that a note has already: of those in this push, and of those stored so far."""
    awaited: set[str]
    """Notes that an earlier op waits for: of this push, or of those before."""
    beside: Beside
    apart: bool
    """Whether each op has a savepoint of its own, so that one that fails costs only itself."""

    @classmethod
    def of(
        cls,
        tx: Transaction,
        sender: DeviceIdentity,
        world: World,
        note_ids: Sequence[str],
        beside: Beside,
        *,
        now: int,
        came_at: int,
        apart: bool,
    ) -> Trip:
        """A push of ops about these notes."""
        return cls(
            tx,
            sender,
            world,
            Actor("device", sender.device_id),
            now,
            came_at,
            note_ids=notes.taken_ids(tx, note_ids),
            awaited=set(ledger.awaited(tx, note_ids)),
            beside=beside,
            apart=apart,
        )


class Refused(Exception):
    """This op can never apply; what it wrote is undone and its bytes are set aside."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.value)
        self.code = code


def by_itself(trip: Trip, arrival: Arrival, do: Callable[[], T]) -> T | Code:
    """Do something of one op in a savepoint of its own: what it gives, or why all of it was undone."""
    try:
        with trip.tx.savepoint():
            return do()
    except Refused as refused:
        return refused.code
    except StorageUnavailable:
        raise
    except Exception as error:
        # The bytes are kept and shown to a person; the log gets the kind of error and no content.
        log.error("op_failed", error=type(error).__name__, digest=arrival.digest[:12], exc_info=False)
        return Code.FAILED


def apply(
    trip: Trip, stream: ledger.Stream | None, item: Prepared, op_id: int | None = None
) -> tuple[Verdict, int]:
    """Do what one op says: its verdict, and its id in the ledger. Raises Refused where it can never apply.

    `op_id`: the bytes are in the ledger already, with a verdict of their own.
    """

    def keep(outcome: Outcome, code: Code | None = None, rev: int | None = None) -> int:
        if op_id is not None:
            return op_id
        assert stream is not None
        return ledger.keep(trip.tx, stream, arrival, outcome, now=trip.now, code=code, rev=rev)

    arrival, envelope, body = item.arrival, item.arrival.envelope, item.arrival.body
    assert envelope is not None and body is not None
    if isinstance(body, Note):
        when = item.when or When(milliseconds(body.observed_at), milliseconds(body.recorded_at), False)
        code = Code.OBSERVED_OUT_OF_RANGE if when.doubtful else None
        kept = keep(Outcome.APPLIED, code, 1)
        _write(trip, item, envelope, kept, body, when)
        trip.note_ids.add(envelope.entity_id)
        return arrival.verdict(Outcome.APPLIED, code, rev=1), kept
    note = notes.stored(trip.tx, envelope.entity_id)
    if note is None:
        code = Code.WAITS_FOR_NOTE
        kept = keep(Outcome.PARKED, code)
        ledger.park(trip.tx, kept, envelope.entity_id)
        trip.awaited.add(envelope.entity_id)
        return arrival.verdict(Outcome.PARKED, code), kept
    kept = keep(Outcome.APPLIED)
    rev = _follow_up(trip, note, kept, body, item.subjects, envelope)
    return arrival.verdict(Outcome.APPLIED, rev=rev), kept


def _write(
    trip: Trip,
    item: Prepared,
    envelope: Envelope,
    op_id: int,
    note: Note,
    when: When,
) -> None:
    """A note comes in: store it, find its children, and see that somebody has the duty."""
    tx, sender, now = trip.tx, trip.sender, trip.now
    if envelope.entity_id in trip.note_ids:
        raise Refused(Code.ENTITY_TAKEN)
    observed_at = when.seen_at
    found_borough = trip.world.borough_of(note, observed_at)
    cause = cases.Arrival(
        note_id=envelope.entity_id,
        observed_at=observed_at,
        recorded_at=when.written_at,
        received_at=trip.came_at,
        found_borough=found_borough,
        author_borough=sender.borough,
        danger_now=note.danger_now,
    )
    placements = trip.beside.decide(item.arrival.index, item.subjects)
    note_key = notes.add(
        tx,
        trip.actor,
        notes.NewNote(
            note_id=envelope.entity_id,
            op_id=op_id,
            author=sender.username,
            author_name=sender.officer_name,
            device_id=sender.device_id,
            author_borough=sender.borough,
            found_borough=found_borough,
            observed_at=observed_at,
            observed_doubtful=when.doubtful,
            recorded_at=when.written_at,
            received_at=trip.came_at,
            status=placing.status_of(placements),
        ),
    )
    facts = _facts(trip, envelope.entity_id, note, found_borough, trip.came_at, observed_at)
    attachments.name(tx, note_key, attachments_of(envelope.blobs, note))
    placing.place(tx, trip.world, note_key, placements, facts, cause, now=now)
    if envelope.entity_id in trip.awaited:
        _apply_parked(trip, envelope.entity_id)


def _apply_parked(trip: Trip, note_id: str) -> None:
    """The amendments and withdrawals that came before their note. One that cannot apply costs only itself."""
    tx = trip.tx
    who_is_who.hold(tx)
    trip.beside.changed()
    for op_id in ledger.parked_for(tx, note_id):
        line = ledger.line_of(tx, op_id)
        # Whose it is was checked when it came: the device that it names is the one that sent it.
        device_id = parse_envelope(line).device
        prepared = prepare([line], device_id)[0]
        arrival, body = prepared.arrival, prepared.arrival.body
        note = notes.stored(tx, note_id)
        assert note is not None and arrival.envelope is not None
        code = arrival.fault or Code.FAILED
        if isinstance(body, Amendment | Withdrawal):
            follow_up = partial(_follow_up, trip, note, op_id, body, prepared.subjects, arrival.envelope)
            done = by_itself(trip, arrival, follow_up)
            if not isinstance(done, Code):
                ledger.settle(tx, op_id, Outcome.APPLIED)
                continue
            code = done
        ledger.settle(tx, op_id, Outcome.QUARANTINED, code)
        ledger.set_aside(tx, trip.actor, device_id, arrival, code, now=trip.now, op_id=op_id)


def _follow_up(
    trip: Trip,
    note: notes.Stored,
    op_id: int,
    body: Amendment | Withdrawal,
    subjects: Sequence[Described],
    envelope: Envelope,
) -> int:
    """Amend or withdraw a note, and judge its children anew. The note's new rev."""
    tx, now = trip.tx, trip.now
    if note.author != envelope.user:
        raise Refused(Code.NOT_THE_AUTHOR)
    if isinstance(body, Withdrawal):
        rev = notes.withdraw(tx, trip.actor, note, op_id, now=now)
    else:
        rev = notes.amend(tx, trip.actor, note, op_id, now=now)
        attachments.name(tx, note.note_key, attachments_of(envelope.blobs, body))
        if body.note is not None:
            received_at = note.received_at
            observed_at = _seen_at(tx, note, body.note)
            if observed_at != milliseconds(body.note.observed_at):
                subjects = placing.describe(dating.seen(body.note, observed_at))
            found_borough = trip.world.borough_of(body.note, observed_at)
            facts = _facts(trip, note.note_id, body.note, found_borough, received_at, observed_at)
            note_subjects.recount(tx, note.note_key, facts)
            placing.place_again(tx, trip.world, note.note_key, subjects, now=now)
    for child_id in note_subjects.children_of(tx, note.note_key):
        cases.reassess(tx, placing.SYSTEM, child_id, trip.world.pack, now=now)
    return rev


def _facts(
    trip: Trip, note_id: str, note: Note, found_borough: str | None, received_at: int, observed_at: int
) -> list[NoteFact]:
    """How the note counts, for each of its subjects."""
    found = []
    for ordinal in range(len(note.subjects)):
        fact = note_fact(
            note,
            ordinal,
            note_id=note_id,
            received_at=received_at,
            author=trip.sender.username,
            author_role=trip.sender.role,
            ward=trip.sender.ward,
            borough=found_borough or trip.sender.borough,
            counted_roles=trip.world.pack.counted_roles,
        )
        if fact.observed_at != observed_at:
            fact = msgspec.structs.replace(fact, observed_at=observed_at)
        found.append(fact)
    return found


def _seen_at(tx: Transaction, stored: notes.Stored, anew: Note) -> int:
    """When a note was seen that its author describes anew. Where the note could not be believed, and the author only
    repeats what it said, what was taken instead stands."""
    said = milliseconds(anew.observed_at)
    if stored.observed_doubtful:
        first = body_of(parse_envelope(ledger.line_of(tx, stored.op_id)))
        if isinstance(first, Note) and milliseconds(first.observed_at) == said:
            return stored.observed_at
    when = dating.believed(said, milliseconds(anew.recorded_at), stored.received_at)
    return said if when is None else when.seen_at
