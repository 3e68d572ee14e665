"""Operations: what a phone sends. One op is one line of JSON whose bytes never change once written.

An op is known by its key (device, epoch, seq). `epoch` is random for each installation, so a restored or
cloned phone cannot reuse a number; `seq` counts from 1 without gaps, so a gap is a note still owed.
The digest of an op is the SHA-256 of its whole line (without the newline): same key and same digest is a
retry, same key and another digest is a fault.
"""

import hashlib
from enum import StrEnum
from typing import Annotated

import msgspec

from sync import limits
from sync.note import Amendment, Attached, Note, Sha256, Withdrawal
from sync.upcasting import upcast

SCHEMA_NEWEST = 1
SCHEMA_OLDEST = 1

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._~-]+(?!\n)$")]
"""Safe in a log, a path and a database. Without `(?!\\n)` the `$` would let a last newline pass."""
Seq = Annotated[int, msgspec.Meta(ge=1, le=limits.SEQ_MAX)]


class Kind(StrEnum):
    """Every op kind. A new kind needs a new schema number, so that an old server quarantines it whole."""

    NOTE_WRITE = "note.write"
    NOTE_AMEND = "note.amend"
    NOTE_WITHDRAW = "note.withdraw"


Body = Note | Amendment | Withdrawal

BODY_TYPES: dict[Kind, type[Note] | type[Amendment] | type[Withdrawal]] = {
    Kind.NOTE_WRITE: Note,
    Kind.NOTE_AMEND: Amendment,
    Kind.NOTE_WITHDRAW: Withdrawal,
}


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An op as it stands on its line. `body` keeps its raw bytes, for `body_sha256` is over those.

    Unknown envelope fields are let pass: a newer phone may add one, and its op must still be kept.
    """

    device: Identifier
    epoch: Identifier
    seq: Seq
    user: Identifier
    schema: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    kind: Identifier
    entity_id: Identifier
    body: msgspec.Raw
    body_sha256: Sha256
    base_rev: Annotated[int, msgspec.Meta(ge=0, le=limits.SEQ_MAX)] | None = None
    blobs: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=limits.BLOBS_PER_OP_MAX)] = ()


_encoder = msgspec.json.Encoder()
_envelope_decoder = msgspec.json.Decoder(Envelope)
_body_decoders = {kind: msgspec.json.Decoder(type_) for kind, type_ in BODY_TYPES.items()}


def digest(line: bytes) -> str:
    """The op's digest: SHA-256 in hex of the line's bytes, newline not included."""
    return hashlib.sha256(line).hexdigest()


def freeze(
    *,
    device: str,
    epoch: str,
    seq: int,
    user: str,
    kind: Kind,
    entity_id: str,
    body: Body,
    blobs: tuple[str, ...] = (),
) -> bytes:
    """The line of a new op. Call it once, store the bytes, and send those bytes ever after.

    `blobs` are named beside those that the body speaks of.
    """
    raw = _encoder.encode(body)
    return _encoder.encode(
        Envelope(
            device=device,
            epoch=epoch,
            seq=seq,
            user=user,
            schema=SCHEMA_NEWEST,
            kind=kind.value,
            entity_id=entity_id,
            blobs=tuple(attached.sha256 for attached in attachments_of(blobs, body)),
            body=msgspec.Raw(raw),
            body_sha256=hashlib.sha256(raw).hexdigest(),
        )
    )


def renumbered(line: bytes, *, epoch: str, seq: int) -> bytes:
    """The op of `line` under another number of its device, whatever is in its body: that is not read.

    Raises `msgspec.DecodeError`.
    """
    return _encoder.encode(msgspec.structs.replace(parse_envelope(line), epoch=epoch, seq=seq))


def attachments_of(blobs: tuple[str, ...], body: Body) -> tuple[Attached, ...]:
    """Every attachment that an op names, each once, with what its body says of it."""
    said = () if isinstance(body, Withdrawal) else body.attachments
    if isinstance(body, Amendment) and body.note is not None:
        said += body.note.attachments
    found = {attached.sha256: attached for attached in reversed(said)}
    named = dict.fromkeys((*blobs, *(attached.sha256 for attached in said)))
    return tuple(found.get(digest) or Attached(sha256=digest) for digest in named)


def parse_envelope(line: bytes) -> Envelope:
    """The envelope of one line. Raises `msgspec.DecodeError`, of which ValidationError is one."""
    return _envelope_decoder.decode(line)


def parse_body(kind: Kind, raw: bytes | msgspec.Raw, schema: int = SCHEMA_NEWEST) -> Body:
    """The typed body of an op of `kind` and of any schema that was ever shipped.

    Raises `msgspec.DecodeError`; it may echo values: do not log it.
    """
    return _body_decoders[kind].decode(upcast(kind.value, schema, bytes(raw), SCHEMA_NEWEST))


def body_of(envelope: Envelope) -> Body:
    """The typed body of an op whose kind is known. Raises as `parse_body`."""
    return parse_body(Kind(envelope.kind), envelope.body, envelope.schema)
