"""The road: from the lines that a phone sent to the person who must know, in one transaction.

    custody      the bytes are in the ledger, under a key that is unique in the database
    linkage      which child is each subject of the note?
    casework     what do all notes about that child mean, and which borough owns it?
    alerts       somebody there has the duty, with a clock
    audit        each step, under its verb
    change log   the author's phone will hear what became of the note

`receive` is the transaction; `server/prepared.py` has read the lines before it, `server/applying.py` does what each op
says. A bad op is undone alone and quarantined, and changes nothing for the others. A failing database is no verdict.
"""

from collections.abc import Sequence

import msgspec
import structlog

from server import dating
from server.access.identity import DeviceIdentity
from server.applying import Refused, Trip, apply, by_itself
from server.beside import Alone, Beside
from server.foreseen import Foreseen
from server.prepared import Prepared
from server.records import ledger, who_is_who
from server.storage.port import StorageUnavailable, Transaction
from server.world import World
from sync import inbox
from sync.envelope import CUSTODY, Code, Outcome, Verdict
from sync.inbox import Arrival
from sync.note import Note

log = structlog.get_logger()


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What the transaction decided; the door signs a receipt over `custody` once it is on disk."""

    verdicts: tuple[Verdict, ...]
    epoch: str | None
    contiguous_through: int
    durable_through: int
    custody: tuple[tuple[str, int, str], ...]
    rotate_epoch: bool


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
    if not isinstance(error, Refused):
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
    prepared = dating.dated(tx, sender.device_id, prepared, now)
    beside = Beside(tx, world, alone=alone, foreseen=dating.still_foreseen(foreseen, prepared))
    trip = Trip.of(tx, sender, world, entities, beside, now=now, came_at=now, apart=apart)
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


def _take(trip: Trip, stream: ledger.Stream | None, item: Prepared) -> tuple[Verdict, int | None]:
    """Apply, park or quarantine a line that the ledger does not hold; the verdict and the op's id."""
    arrival = item.arrival
    fault = arrival.fault
    if fault is None and trip.sender.revoked:
        fault = Code.DEVICE_REVOKED
    elif fault is None and arrival.envelope is not None and arrival.envelope.user != trip.sender.username:
        fault = Code.USER_MISMATCH
    if fault is None and stream is not None:
        if not trip.apart:
            return apply(trip, stream, item)
        done = by_itself(trip, arrival, lambda: apply(trip, stream, item))
        if not isinstance(done, Code):
            return done
        fault = done
    assert fault is not None
    return _set_aside(trip, stream, arrival, fault)


def _set_aside(
    trip: Trip, stream: ledger.Stream | None, arrival: Arrival, code: Code
) -> tuple[Verdict, int | None]:
    op_id = None
    if stream is not None and arrival.envelope is not None:
        op_id = ledger.keep(trip.tx, stream, arrival, Outcome.QUARANTINED, now=trip.now, code=code)
    ledger.set_aside(trip.tx, trip.actor, trip.sender.device_id, arrival, code, now=trip.now, op_id=op_id)
    return arrival.verdict(Outcome.QUARANTINED, code), op_id
