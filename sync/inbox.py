"""The server's inbox as pure rules: what a line is, and what it means beside what came before.

Nothing here stores anything. `read_line` turns bytes into an `Arrival`; `against_ledger` compares it with
what the ledger holds under its key; the server then applies, parks or quarantines it, and keeps the bytes
whatever the verdict (invariant 4).
"""

from collections.abc import Iterable

import msgspec

from sync import limits
from sync.envelope import Code, Outcome, Verdict
from sync.operations import (
    SCHEMA_NEWEST,
    SCHEMA_OLDEST,
    Body,
    Envelope,
    Kind,
    digest,
    parse_body,
    parse_envelope,
)

_KINDS = {kind.value: kind for kind in Kind}


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a push, read as far as it can be. `fault` is why it cannot be applied, if so;
    `at` names the place in the body that is wrong (a JSON path, never a value)."""

    index: int
    line: bytes
    digest: str
    envelope: Envelope | None = None
    kind: Kind | None = None
    body: Body | None = None
    fault: Code | None = None
    at: str | None = None

    def verdict(self, outcome: Outcome, code: str | None = None, rev: int | None = None) -> Verdict:
        """The verdict on this line, under its key where it has one."""
        current = {"at": self.at} if self.at and code == self.fault else None
        if self.envelope is None:
            return Verdict(line=self.index, v=outcome, code=code, current=current)
        return Verdict(
            epoch=self.envelope.epoch, seq=self.envelope.seq, v=outcome, code=code, rev=rev, current=current
        )


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """What the ledger holds under a key."""

    digest: str
    outcome: Outcome
    code: str | None
    rev: int | None


def read_line(index: int, line: bytes, *, device: str) -> Arrival:
    """Line number `index` (from 0) of a push by the authenticated `device`. Never raises."""
    sha = digest(line)
    if len(line) > limits.OP_BYTES_MAX:
        return Arrival(index=index, line=line, digest=sha, fault=Code.OP_TOO_LARGE)
    try:
        envelope = parse_envelope(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Arrival(index=index, line=line, digest=sha, fault=Code.NOT_AN_OP, at=_path(error))
    if envelope.device != device:
        return Arrival(index=index, line=line, digest=sha, fault=Code.DEVICE_MISMATCH)
    raw = bytes(envelope.body)
    if digest(raw) != envelope.body_sha256:
        # Damaged on its way: were it to take the number, the op itself would find it taken when it is sent again.
        return Arrival(index=index, line=line, digest=sha, fault=Code.BODY_DIGEST_MISMATCH)

    def faulty(fault: Code, at: str | None = None) -> Arrival:
        return Arrival(index=index, line=line, digest=sha, envelope=envelope, fault=fault, at=at)

    if not SCHEMA_OLDEST <= envelope.schema <= SCHEMA_NEWEST:
        return faulty(Code.SCHEMA_UNKNOWN)
    kind = _KINDS.get(envelope.kind)
    if kind is None:
        return faulty(Code.KIND_UNKNOWN)
    try:
        body = parse_body(kind, raw, envelope.schema)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return faulty(Code.BODY_INVALID, _path(error))
    return Arrival(index=index, line=line, digest=sha, envelope=envelope, kind=kind, body=body)


def against_ledger(arrival: Arrival, recorded: Recorded | None) -> Verdict | None:
    """The verdict where the key is taken, or None where the op is new.

    Same bytes: the outcome it had then, for ever. Other bytes: quarantined, and the phone must change epoch.
    """
    if recorded is None:
        return None
    if recorded.digest == arrival.digest:
        envelope = arrival.envelope
        assert envelope is not None, "what is recorded has a key"
        current = arrival.verdict(recorded.outcome, recorded.code).current
        return said_again(envelope.epoch, envelope.seq, recorded, current)
    return arrival.verdict(Outcome.QUARANTINED, Code.KEY_REUSED)


def said_again(epoch: str, seq: int, recorded: Recorded, current: object = None) -> Verdict:
    """The verdict on an op that came before, byte for byte: the one that it had then, for ever."""
    return Verdict(
        epoch=epoch, seq=seq, v=Outcome.DUPLICATE, code=recorded.outcome.value, why=recorded.code,
        rev=recorded.rev, current=current,
    )  # fmt: skip


def contiguous_through(start: int, seqs_above: Iterable[int]) -> int:
    """The last seq of the unbroken run from `start` (0 for none), given the seqs received above it."""
    reached = start
    for seq in sorted(seqs_above):
        if seq == reached + 1:
            reached = seq
        elif seq > reached + 1:
            break
    return reached


def owed(start: int, seqs_above: Iterable[int]) -> list[tuple[int, int]]:
    """The gaps above `start`, as (first, last): "this phone owes notes 41 to 43"."""
    gaps = []
    expected = start + 1
    for seq in sorted(set(seqs_above)):
        if seq > expected:
            gaps.append((expected, seq - 1))
        expected = max(expected, seq + 1)
    return gaps


def _path(error: Exception) -> str | None:
    """The JSON path in msgspec's message, which names fields and never values; `$` is the whole."""
    _, found, path = str(error).rpartition(" - at `")
    if found:
        return path.rstrip("`")[:200]
    return "$" if isinstance(error, msgspec.ValidationError) else None
