"""A push that came before, whole: what it was answered, said again without a step of the road."""

import hashlib
from collections.abc import Iterable, Sequence

from server.access.identity import DeviceIdentity
from server.intake import Received
from server.records import ledger
from server.storage.port import Transaction
from sync import inbox
from sync.envelope import Outcome


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
