"""The messages of the protocol: hello, push and pull. SYNC in one page of types."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from sync import limits
from sync.limits import Limits
from sync.operations import SCHEMA_NEWEST, SCHEMA_OLDEST


class Outcome(StrEnum):
    """How an op ended. Every op that the server received ends as one of the first four, and stays so."""

    APPLIED = "applied"
    PARKED = "parked"
    """Kept; waits for the note that it speaks of."""
    SUPERSEDED = "superseded"
    """Kept; somebody else's change came first. `current` says what holds."""
    QUARANTINED = "quarantined"
    """Kept byte for byte; a person looks at it. The phone must not send it again."""
    DUPLICATE = "duplicate"
    """Received before; `code` holds the outcome it had then."""
    RETRY = "retry"
    """Not received. Send it again, unchanged."""


CUSTODY = frozenset(
    {Outcome.APPLIED, Outcome.PARKED, Outcome.SUPERSEDED, Outcome.QUARANTINED, Outcome.DUPLICATE}
)
"""Outcomes after which the server answers for the op."""


class Code(StrEnum):
    """Why an op did not simply apply."""

    NOT_AN_OP = "not_an_op"
    OP_TOO_LARGE = "op_too_large"
    SCHEMA_UNKNOWN = "schema_unknown"
    KIND_UNKNOWN = "kind_unknown"
    BODY_INVALID = "body_invalid"
    BODY_DIGEST_MISMATCH = "body_digest_mismatch"
    KEY_REUSED = "key_reused"
    """Other bytes under a key that is taken: the phone must start a new epoch."""
    DEVICE_MISMATCH = "device_mismatch"
    USER_MISMATCH = "user_mismatch"
    DEVICE_REVOKED = "device_revoked"
    ENTITY_TAKEN = "entity_taken"
    """A second note under the id of another."""
    NOT_THE_AUTHOR = "not_the_author"
    OBSERVED_OUT_OF_RANGE = "observed_out_of_range"
    WAITS_FOR_NOTE = "waits_for_note"
    STALE_REVISION = "stale_revision"
    FAILED = "failed"
    """The server met something it did not expect in this op, and kept the bytes."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one op. `epoch` and `seq` are missing only where the line is not an op of this phone (it cannot
    be read, or was damaged on its way): then `line` says which line of the push it was (from 0)."""

    epoch: str | None = None
    seq: int | None = None
    line: int | None = None
    v: Outcome
    code: str | None = None
    why: str | None = None
    """Of a duplicate: the code that it had then."""
    rev: int | None = None
    current: Any = None


class PushAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a push, one verdict a line in the order sent. It leaves after the commit is on disk."""

    verdicts: tuple[Verdict, ...]
    epoch: str | None = None
    contiguous_through: int = 0
    """Every seq of `epoch` from 1 to this one has been received."""
    durable_through: int = 0
    """Every seq of `epoch` to this one will survive the loss of the server: it is on its disk and, where the
    server keeps backups, in the newest of them. A phone keeps what lies above."""
    receipt: str | None = None
    backoff_ms: int = 0
    """How long to wait before the next push: a hint under load."""
    rotate_epoch: bool = False


class Encoding(StrEnum):
    """How a push may be packed (its Content-Encoding)."""

    GZIP = "gzip"
    ZSTD = "zstd"


class Hello(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a phone learns first. `server_time` is in milliseconds since the epoch, UTC."""

    server_time: int
    incarnation: str
    min_cursor: str | None = None
    schema_range: tuple[int, int] = (SCHEMA_OLDEST, SCHEMA_NEWEST)
    limits: Limits = Limits()
    durable_through: dict[str, int] = {}
    """By epoch. After a restore of the server it may be lower than the phone has seen: push again."""
    attachments_through: int | None = None
    """Attachments that the server received by this time (by its own clock, as their receipts say) are in its newest
    backup, and a phone keeps the later ones. None: the server keeps no backups."""
    wipe: bool = False
    """Send what is left, then erase everything, and say so (`Condition`)."""
    encodings: tuple[str, ...] = (Encoding.GZIP,)
    """How a push may be packed, the best first."""


class Wipe(StrEnum):
    BEGINS = "begins"
    """Everything this phone had to send has been signed for."""
    DONE = "done"
    """Nothing is on it any more."""


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a phone says of itself at the end of a sync, with the token that the sync had.

    `wall` is its own clock and `monotonic` the one that nobody can set (both ms), which counts from `boot_id`;
    `offset` is the server's clock less its own, seen over `round_trip` ms. Changing clocks changes nothing but
    what people are told of times (invariant 13).
    """

    wall: Annotated[int, msgspec.Meta(ge=0, le=limits.SEQ_MAX)]
    monotonic: Annotated[int, msgspec.Meta(ge=0, le=limits.SEQ_MAX)]
    boot_id: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[A-Za-z0-9._-]*(?!\n)$")]
    offset: Annotated[int, msgspec.Meta(ge=-limits.SEQ_MAX, le=limits.SEQ_MAX)]
    round_trip: Annotated[int, msgspec.Meta(ge=0, le=limits.SEQ_MAX)] = 0
    version: Annotated[str, msgspec.Meta(max_length=50, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$")] = ""
    waiting: Annotated[int, msgspec.Meta(ge=0, le=limits.SEQ_MAX)] = 0
    """Entries that only this phone has."""
    holds: Annotated[int, msgspec.Meta(ge=0, le=limits.SEQ_MAX)] = 0
    """Children that it has been lent and has not erased."""
    wipe: Wipe | None = None


class ChangeOp(StrEnum):
    PUT = "put"
    REMOVE = "remove"


class RemoveReason(StrEnum):
    LEFT_SCOPE = "left_scope"
    DELETED = "deleted"
    LEASE_OVER = "lease_over"


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row that came into, changed in, or left a bucket (a scope: "own notes of officer 7")."""

    bucket: str
    kind: str
    id: str
    rev: int
    op: ChangeOp = ChangeOp.PUT
    reason: RemoveReason | None = None
    data: dict[str, Any] | None = None


class Resync(msgspec.Struct, frozen=True, kw_only=True):
    """The cursor was no good; `cursor` is. The phone starts its copy anew and never touches its outbox."""

    reason: str
    cursor: str


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """For how long the phone may hold a bucket: until `until` by the server's clock, `lasts` ms from now."""

    bucket: str
    until: int
    lasts: int


BUCKET_CHARACTERS_MAX = 100
BUCKETS_MAX = 8

Bucket = Annotated[str, msgspec.Meta(max_length=BUCKET_CHARACTERS_MAX)]


class PullRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`emptied`: buckets of which this phone holds nothing any more, whatever the cursor says: it erased them at the
    end of their lease, or found their copy wrong. Those in scope begin anew, the others are left as they are.
    `lease`: the officer opens the briefing of the ward, and so begins a shift's lease."""

    cursor: Annotated[str, msgspec.Meta(max_length=1000)] | None = None
    emptied: Annotated[tuple[Bucket, ...], msgspec.Meta(max_length=BUCKETS_MAX)] = ()
    lease: Literal["begin"] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=limits.PULL_CHANGES_MAX)] = limits.PULL_CHANGES_MAX
    schema: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = SCHEMA_NEWEST


class PullAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of changes, in commit order within each bucket. `buckets_removed` go before the changes are applied, so
    a bucket that begins anew begins empty. `checkpoint` comes with the last page: for each bucket the
    number of rows the phone should now hold and their checksum (see `holdings.checksum`)."""

    changes: tuple[Change, ...]
    cursor: str
    more: bool
    buckets_removed: tuple[str, ...] = ()
    checkpoint: dict[str, tuple[int, str]] | None = None
    resync: Resync | None = None
    lease: Lease | None = None


def split_lines(payload: bytes) -> list[bytes]:
    """The op lines of a push body (NDJSON): without their newlines, empty lines left out."""
    return [line for line in payload.split(b"\n") if line and not line.isspace()]


def join_lines(lines: list[bytes]) -> bytes:
    """The body of a push: each op's frozen bytes on a line of its own."""
    return b"".join(line + b"\n" for line in lines)
