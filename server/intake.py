"""The road: from the lines that a phone sent to the person who must know, in one transaction.

    custody      the bytes are in the ledger, under a key that is unique in the database
    linkage      which child is each subject of the note?
    casework     what do all notes about that child mean, and which borough owns it?
    alerts       somebody there has the duty, with a clock
    audit        each step, under its verb
    change log   the author's phone will hear what became of the note

`prepare` is the part that needs no database; `receive` is the transaction. A bad op is undone alone and
quarantined, and changes nothing for the others. A failing database is no verdict at all.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
import structlog

from server import placing
from server.access.identity import DeviceIdentity
from server.audit import Actor
from server.beside import Alone, Beside
from server.casework.facts import NoteFact, milliseconds, note_fact
from server.foreseen import Foreseen
from server.placing import Described
from server.records import attachments, cases, ledger, note_subjects, notes, who_is_who
from server.storage.port import StorageUnavailable, Transaction
from server.world import World
from sync import inbox, limits
from sync.envelope import CUSTODY, Code, Outcome, Verdict
from sync.inbox import Arrival
from sync.note import Amendment, Note, Withdrawal
from sync.operations import Envelope, attachments_of, parse_envelope

log = structlog.get_logger()


class Prepared(msgspec.Struct, frozen=True):
    """One line, read as far as it can be without the database."""

    arrival: Arrival
    subjects: tuple[Described, ...] = ()


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What the transaction decided; the door signs a receipt over `custody` once it is on disk."""

    verdicts: tuple[Verdict, ...]
    epoch: str | None
    contiguous_through: int
    durable_through: int
    custody: tuple[tuple[str, int, str], ...]
    rotate_epoch: bool


class _Trip(msgspec.Struct, frozen=True):
    """What every step of one push needs."""

    tx: Transaction
    sender: DeviceIdentity
    world: World
    actor: Actor
    now: int
    note_ids: set[str]
    """Ids that a note has already: of those in this push, and of those stored so far."""
    awaited: set[str]
    """Notes that an earlier op waits for: of this push, or of those before."""
    beside: Beside
    apart: bool


def prepare(lines: Sequence[bytes], device_id: str) -> list[Prepared]:
    """Read the lines of a push and standardise whom they describe. Never raises for any bytes."""
    return [_prepared(inbox.read_line(index, line, device=device_id)) for index, line in enumerate(lines)]


def prepare_alone(line: bytes) -> Prepared:
    """The same for a line of whatever phone it names."""
    try:
        device_id = parse_envelope(line).device
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        device_id = ""
    return _prepared(inbox.read_line(0, line, device=device_id))


def _prepared(arrival: Arrival) -> Prepared:
    note = arrival.body.note if isinstance(arrival.body, Amendment) else arrival.body
    return Prepared(arrival, placing.describe(note) if isinstance(note, Note) else ())


def repeated(
    tx: Transaction, sender: DeviceIdentity, epoch: str, seqs: Sequence[int], check: bytes
) -> Received | None:
    """The answer to a push that came before, whole: all these ops are in the ledger, with these bytes, and applied.

    It reads, and writes nothing. `check` is `check_of` their digests, in this order. None: something is new in it or
    may have come to another end since, and the push takes the road.
    """
    stream = ledger.stream(tx, sender.device_id, epoch)
    if stream is None or not seqs:
        return None
    known = ledger.recorded(tx, stream, seqs)
    entries = [entry.recorded for seq in seqs if (entry := known.get(seq)) is not None]
    if len(entries) != len(seqs) or any(entry.outcome is not Outcome.APPLIED for entry in entries):
        return None
    if check_of(entry.digest for entry in entries) != check:
        return None
    both = list(zip(seqs, entries, strict=True))
    return Received(
        verdicts=tuple(inbox.said_again(epoch, seq, entry) for seq, entry in both),
        epoch=epoch,
        contiguous_through=stream.contiguous_through,
        durable_through=stream.durable_through,
        custody=tuple((epoch, seq, entry.digest) for seq, entry in both),
        rotate_epoch=False,
    )


def check_of(digests: Iterable[str]) -> bytes:
    """One digest of several, in their order."""
    return hashlib.sha256("".join(digests).encode()).digest()


def receive(
    tx: Transaction,
    sender: DeviceIdentity,
    prepared: Sequence[Prepared],
    *,
    now: int,
    world: World,
    foreseen: Foreseen | None = None,
) -> Received:
    """Take one push all the way. Raises StorageUnavailable: then nothing of it happened.

    Nearly every push has nothing wrong in it, and a savepoint for each op costs a quarter of the time: so the
    push is tried in one savepoint, and only where an op fails is it undone and taken again op by op.

    `foreseen`: what linkage said of it while it waited; taken where it still stands.
    """
    # A phone that retries with two servers at once is taken by one after the other.
    tx.lock(f"phone:{sender.device_id}")
    only_notes = all(isinstance(item.arrival.body, Note | None) for item in prepared)
    if only_notes and not tx.sole_writer:
        try:
            with tx.savepoint():
                tx.lock(who_is_who.LOCK, shared=True)
                return _receive(tx, sender, prepared, now, world, alone=False)
        except Alone:
            pass  # the savepoint has let go of what it held
        except StorageUnavailable:
            raise
        except Exception as error:
            return _receive_apart(tx, sender, prepared, now, world, error)
    plain = only_notes and tx.sole_writer
    if not plain:
        who_is_who.hold(tx)
    try:
        with tx.savepoint():
            return _receive(tx, sender, prepared, now, world, foreseen=foreseen if plain else None)
    except StorageUnavailable:
        raise
    except Exception as error:
        return _receive_apart(tx, sender, prepared, now, world, error)


def _receive_apart(
    tx: Transaction,
    sender: DeviceIdentity,
    prepared: Sequence[Prepared],
    now: int,
    world: World,
    error: Exception,
) -> Received:
    """Take a push op by op, since one of them failed."""
    if not isinstance(error, _Refused):
        log.warning("push_taken_op_by_op", error=type(error).__name__)
    who_is_who.hold(tx)
    return _receive(tx, sender, prepared, now, world, apart=True)


def _receive(
    tx: Transaction,
    sender: DeviceIdentity,
    prepared: Sequence[Prepared],
    now: int,
    world: World,
    *,
    alone: bool = True,
    apart: bool = False,
    foreseen: Foreseen | None = None,
) -> Received:
    """`alone`: no other push decides meanwhile. `apart`: each op in a savepoint of its own, so that one that
    fails costs only itself."""
    entities = list({p.arrival.envelope.entity_id for p in prepared if p.arrival.envelope})
    trip = _Trip(
        tx,
        sender,
        world,
        Actor("device", sender.device_id),
        now,
        note_ids=notes.taken_ids(tx, entities),
        awaited=set(ledger.awaited(tx, entities)),
        beside=Beside(tx, world, alone=alone, foreseen=foreseen),
        apart=apart,
    )
    if trip.awaited and not alone:
        raise Alone  # an amendment judges the children of its note anew
    streams = {
        epoch: ledger.open_stream(tx, sender.device_id, epoch)
        for epoch in dict.fromkeys(p.arrival.envelope.epoch for p in prepared if p.arrival.envelope)
    }
    known = {
        epoch: ledger.recorded(
            tx,
            stream,
            [e.seq for p in prepared if (e := p.arrival.envelope) is not None and e.epoch == epoch],
        )
        for epoch, stream in streams.items()
    }
    trip.beside.look_ahead(
        (item.arrival.index, item.subjects)
        for item in prepared
        if (e := item.arrival.envelope) is not None and e.seq not in known[e.epoch]
    )
    verdicts: list[Verdict] = []
    fresh: dict[str, list[int]] = {epoch: [] for epoch in streams}
    custody: list[tuple[str, int, str]] = []
    for item in prepared:
        arrival, envelope = item.arrival, item.arrival.envelope
        entry = known[envelope.epoch].get(envelope.seq) if envelope else None
        if entry is not None and envelope is not None and entry.recorded.outcome is Outcome.PARKED:
            # The note that it waited for may have come in this very push.
            entry = ledger.recorded(tx, streams[envelope.epoch], [envelope.seq]).get(envelope.seq, entry)
        verdict = inbox.against_ledger(arrival, entry.recorded if entry else None)
        if verdict is None:
            stream = streams[envelope.epoch] if envelope else None
            verdict, op_id = _take(trip, stream, item)
            if envelope is not None and op_id is not None:
                recorded = inbox.Recorded(arrival.digest, verdict.v, verdict.code, verdict.rev)
                known[envelope.epoch][envelope.seq] = ledger.Entry(op_id, recorded)
                fresh[envelope.epoch].append(envelope.seq)
        elif verdict.code == Code.KEY_REUSED:
            ledger.set_aside(tx, trip.actor, sender.device_id, arrival, Code.KEY_REUSED, now=now, op_id=None)
        verdicts.append(verdict)
        if verdict.v in CUSTODY:
            # A line that has no key of its own is signed for by its digest alone.
            epoch, seq = (envelope.epoch, envelope.seq) if envelope else ("", 0)
            custody.append((epoch, seq, arrival.digest))
    for epoch, stream in streams.items():
        ledger.advance(tx, stream, fresh[epoch])
    last = next(reversed(streams.values()), None)
    return Received(
        verdicts=tuple(verdicts),
        epoch=last.epoch if last else None,
        contiguous_through=last.contiguous_through if last else 0,
        durable_through=last.durable_through if last else 0,
        custody=tuple(custody),
        rotate_epoch=any(verdict.code == Code.KEY_REUSED for verdict in verdicts),
    )


def _take(trip: _Trip, stream: ledger.Stream | None, item: Prepared) -> tuple[Verdict, int | None]:
    """Apply, park or quarantine a line that the ledger does not hold; the verdict and the op's id."""
    arrival = item.arrival
    fault = arrival.fault
    if fault is None and trip.sender.revoked:
        fault = Code.DEVICE_REVOKED
    elif fault is None and arrival.envelope is not None and arrival.envelope.user != trip.sender.username:
        fault = Code.USER_MISMATCH
    if fault is None and stream is not None:
        if not trip.apart:
            return _apply(trip, stream, item)
        try:
            with trip.tx.savepoint():
                return _apply(trip, stream, item)
        except _Refused as refused:
            fault = refused.code
        except StorageUnavailable:
            raise
        except Exception as error:
            # The bytes are kept and shown to a person; the log gets the kind of error and no content.
            log.error("op_failed", error=type(error).__name__, digest=arrival.digest[:12], exc_info=False)
            fault = Code.FAILED
    assert fault is not None
    return _set_aside(trip, stream, arrival, fault)


class _Refused(Exception):
    """This op can never apply; what it wrote is undone and its bytes are set aside."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.value)
        self.code = code


def _set_aside(
    trip: _Trip, stream: ledger.Stream | None, arrival: Arrival, code: Code
) -> tuple[Verdict, int | None]:
    op_id = None
    if stream is not None and arrival.envelope is not None:
        op_id = ledger.keep(trip.tx, stream, arrival, Outcome.QUARANTINED, now=trip.now, code=code)
    ledger.set_aside(trip.tx, trip.actor, trip.sender.device_id, arrival, code, now=trip.now, op_id=op_id)
    return arrival.verdict(Outcome.QUARANTINED, code), op_id


def take_again(
    tx: Transaction, sender: DeviceIdentity, item: Prepared, op_id: int, *, now: int, world: World
) -> Verdict:
    """The road for a line that was set aside and is released by a person: `op_id` holds its bytes.

    The ledger keeps the verdict that the phone has. Where the line cannot apply, nothing of it stays, and the verdict
    says why not.
    """
    arrival, envelope = item.arrival, item.arrival.envelope
    if arrival.fault is not None or envelope is None:
        return arrival.verdict(Outcome.QUARANTINED, arrival.fault)
    who_is_who.hold(tx)
    actor, ids = Actor("device", sender.device_id), [envelope.entity_id]
    trip = _Trip(
        tx, sender, world, actor, now,
        note_ids=notes.taken_ids(tx, ids), awaited=set(ledger.awaited(tx, ids)),
        beside=Beside(tx, world, alone=True), apart=True,
    )  # fmt: skip
    try:
        with tx.savepoint():
            return _apply(trip, None, item, op_id)[0]
    except _Refused as refused:
        return arrival.verdict(Outcome.QUARANTINED, refused.code)
    except StorageUnavailable:
        raise
    except Exception as error:
        log.error("op_failed", error=type(error).__name__, digest=arrival.digest[:12], exc_info=False)
        return arrival.verdict(Outcome.QUARANTINED, Code.FAILED)


def _apply(
    trip: _Trip, stream: ledger.Stream | None, item: Prepared, op_id: int | None = None
) -> tuple[Verdict, int]:
    """`op_id`: the bytes are in the ledger already, with a verdict of their own."""

    def keep(outcome: Outcome, code: Code | None = None, rev: int | None = None) -> int:
        if op_id is not None:
            return op_id
        assert stream is not None
        return ledger.keep(trip.tx, stream, arrival, outcome, now=trip.now, code=code, rev=rev)

    arrival, envelope, body = item.arrival, item.arrival.envelope, item.arrival.body
    assert envelope is not None and body is not None
    if isinstance(body, Note):
        observed_at, doubtful = _observed(body, trip.now)
        code = Code.OBSERVED_OUT_OF_RANGE if doubtful else None
        kept = keep(Outcome.APPLIED, code, 1)
        _write(trip, item, envelope, kept, body, observed_at, doubtful)
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
    trip: _Trip,
    item: Prepared,
    envelope: Envelope,
    op_id: int,
    note: Note,
    observed_at: int,
    doubtful: bool,
) -> None:
    """A note comes in: store it, find its children, and see that somebody has the duty."""
    tx, sender, now = trip.tx, trip.sender, trip.now
    if envelope.entity_id in trip.note_ids:
        raise _Refused(Code.ENTITY_TAKEN)
    found_borough = trip.world.borough_of(note, observed_at)
    cause = cases.Arrival(
        note_id=envelope.entity_id,
        observed_at=observed_at,
        recorded_at=milliseconds(note.recorded_at),
        received_at=now,
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
            observed_doubtful=doubtful,
            recorded_at=milliseconds(note.recorded_at),
            received_at=now,
            status=placing.status_of(placements),
        ),
    )
    facts = _facts(trip, envelope.entity_id, note, found_borough, now, observed_at)
    attachments.name(tx, note_key, attachments_of(envelope.blobs, note))
    placing.place(tx, trip.world, note_key, placements, facts, cause, now=now)
    if envelope.entity_id in trip.awaited:
        _apply_parked(trip, envelope.entity_id)


def _apply_parked(trip: _Trip, note_id: str) -> None:
    """The amendments and withdrawals that came before their note. One that cannot apply costs only itself."""
    tx = trip.tx
    who_is_who.hold(tx)
    trip.beside.changed()
    for op_id in ledger.parked_for(tx, note_id):
        line = ledger.line_of(tx, op_id)
        # Whose it is was checked when it came: the device that it names is the one that sent it.
        device_id = parse_envelope(line).device
        prepared = prepare([line], device_id)[0]
        arrival, body, code = prepared.arrival, prepared.arrival.body, Code.FAILED
        note = notes.stored(tx, note_id)
        assert note is not None and arrival.envelope is not None
        try:
            if not isinstance(body, Amendment | Withdrawal):
                raise _Refused(arrival.fault or Code.FAILED)
            with tx.savepoint():
                _follow_up(trip, note, op_id, body, prepared.subjects, arrival.envelope)
                ledger.settle(tx, op_id, Outcome.APPLIED)
            continue
        except _Refused as refused:
            code = refused.code
        except StorageUnavailable:
            raise
        except Exception as error:
            log.error("op_failed", error=type(error).__name__, digest=arrival.digest[:12], exc_info=False)
        ledger.settle(tx, op_id, Outcome.QUARANTINED, code)
        ledger.set_aside(tx, trip.actor, device_id, arrival, code, now=trip.now, op_id=op_id)


def _follow_up(
    trip: _Trip,
    note: notes.Stored,
    op_id: int,
    body: Amendment | Withdrawal,
    subjects: Sequence[Described],
    envelope: Envelope,
) -> int:
    """Amend or withdraw a note, and judge its children anew. The note's new rev."""
    tx, now = trip.tx, trip.now
    if note.author != envelope.user:
        raise _Refused(Code.NOT_THE_AUTHOR)
    if isinstance(body, Withdrawal):
        rev = notes.withdraw(tx, trip.actor, note, op_id, now=now)
    else:
        rev = notes.amend(tx, trip.actor, note, op_id, now=now)
        attachments.name(tx, note.note_key, attachments_of(envelope.blobs, body))
        if body.note is not None:
            received_at = note.received_at
            observed_at, _ = _observed(body.note, received_at)
            found_borough = trip.world.borough_of(body.note, observed_at)
            facts = _facts(trip, note.note_id, body.note, found_borough, received_at, observed_at)
            note_subjects.recount(tx, note.note_key, facts)
            placing.place_again(tx, trip.world, note.note_key, subjects, now=now)
    for child_id in note_subjects.children_of(tx, note.note_key):
        cases.reassess(tx, placing.SYSTEM, child_id, trip.world.pack, now=now)
    return rev


def _facts(
    trip: _Trip, note_id: str, note: Note, found_borough: str | None, received_at: int, observed_at: int
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


def _observed(note: Note, received_at: int) -> tuple[int, bool]:
    """When the note was observed as the rules take it, and whether the phone's word for it is doubtful.

    A phone's clock may be wrong by years and must not keep a worry from anyone (invariant 13): what cannot
    be is taken as observed when it was received, and both times stay on record.
    """
    said = milliseconds(note.observed_at)
    if said > received_at:
        return received_at, said > received_at + limits.CLOCK_AHEAD_MS_MAX
    if said < received_at - limits.OBSERVED_BEFORE_MS_MAX:
        return received_at, True
    return said, False
