"""What a phone has pulled, and how it is kept true: apply a page, compare at the checkpoint.

What tells of children is lent for one shift (`Kept`): the phone erases it by itself when the first of its clocks says
that the lease is over. On the server the ledger says what was where (`Lent`).

Both sides compute the same checksum, so that a phone whose copy went wrong finds out at the next checkpoint
and asks for that bucket again. Nothing here knows of the outbox: a resync cannot touch it.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import Any

import msgspec

from sync.envelope import ChangeOp, PullAnswer

CHECKSUM_MODULUS = 2**64
_sha256 = hashlib.sha256
_first_eight = struct.Struct(">Q").unpack_from


class Held(msgspec.Struct, frozen=True):
    """One row on the phone."""

    rev: int
    data: dict[str, Any]


RowKey = tuple[str, str]
"""(kind, id)"""

Holdings = dict[str, dict[RowKey, Held]]
"""By bucket, then by row."""


class Total(msgspec.Struct, frozen=True):
    """How many rows there are, and the sum that their checksum is of: a row is put in or taken out alone."""

    rows: int = 0
    sum: int = 0

    def put(self, kind: str, row_id: str, rev: int) -> "Total":
        """With one more row."""
        return Total(self.rows + 1, self.sum + _share(kind, row_id, rev))

    def moved(self, kind: str, row_id: str, rev: int) -> "Total":
        """With a row that was here with the revision before, and has this one now."""
        return Total(self.rows, self.sum + _share(kind, row_id, rev) - _share(kind, row_id, rev - 1))

    @property
    def told(self) -> tuple[int, str]:
        """As a checkpoint says it."""
        return self.rows, f"{self.sum % CHECKSUM_MODULUS:016x}"


def total(rows: Iterable[tuple[str, str, int]]) -> Total:
    """Of (kind, id, rev), in any order."""
    # `_share`, written out: a phone that begins anew has thousands of rows.
    shares = [
        _first_eight(_sha256(f"{kind}\0{row_id}\0{rev}".encode()).digest())[0] for kind, row_id, rev in rows
    ]
    return Total(len(shares), sum(shares))


def checksum(rows: Iterable[tuple[str, str, int]]) -> str:
    """Of (kind, id, rev), in any order: a sum, so that one row can be added or taken away alone."""
    return total(rows).told[1]


def _share(kind: str, row_id: str, rev: int) -> int:
    raw = _sha256(f"{kind}\0{row_id}\0{rev}".encode()).digest()
    share: int = _first_eight(raw)[0]
    return share


def apply_page(holdings: Holdings, page: PullAnswer) -> Holdings:
    """What the phone holds after `page`. A row moves forward by rev and never back; a removal always removes.

    A row that is missing shows at the next checkpoint; one that stays after it left scope is a breach.
    A resync starts from nothing: the answer's cursor is at the beginning of what follows.
    """
    after: Holdings = {} if page.resync else {bucket: dict(rows) for bucket, rows in holdings.items()}
    for bucket in page.buckets_removed:
        after.pop(bucket, None)
    for change in page.changes:
        rows = after.setdefault(change.bucket, {})
        key = (change.kind, change.id)
        held = rows.get(key)
        if change.op is ChangeOp.REMOVE:
            rows.pop(key, None)
        elif held is None or held.rev <= change.rev:
            rows[key] = Held(change.rev, change.data or {})
    return after


def wrong_buckets(holdings: Holdings, checkpoint: dict[str, tuple[int, str]]) -> list[str]:
    """The buckets whose copy differs from what the server says the phone should hold."""
    wrong = []
    for bucket in sorted(holdings.keys() | checkpoint.keys()):
        rows = holdings.get(bucket, {})
        mine = (len(rows), checksum((kind, row_id, held.rev) for (kind, row_id), held in rows.items()))
        if mine != tuple(checkpoint.get(bucket, (0, checksum(())))):
            wrong.append(bucket)
    return wrong


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone can know of time: the clock that anybody can set, corrected by what the server last said, and the
    monotonic one, which counts from a boot. Milliseconds."""

    wall: int
    monotonic: int
    boot_id: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as the phone keeps it, with its clocks at the moment when it heard of it."""

    bucket: str
    until: int
    lasts: int
    since: Clocks


def lease_is_over(kept: Kept, now: Clocks) -> bool:
    """Whether any clock says so: the worst of them counts.

    A wall clock that was set back gains nothing: within one boot the monotonic clock says how long it has been, and
    after another boot a clock that stands before the lease began is not believed at all.
    """
    if now.wall >= kept.until:
        return True
    if now.boot_id == kept.since.boot_id and now.monotonic >= kept.since.monotonic:
        return now.monotonic - kept.since.monotonic >= kept.lasts
    return now.wall < kept.since.wall


class Lent(msgspec.Struct, frozen=True, kw_only=True):
    """One child on one phone, from when it was sent to when the phone was known to be rid of it (None: not yet).

    Times in ms by the server's clock; `until` is when the phone erases it by itself.
    """

    child: int
    given_at: int
    until: int
    ended_at: int | None = None


def on_phone(lent: Iterable[Lent], at: int) -> list[Lent]:
    """What may have been on the phone at that time, each child once, by number: of several, the last that was sent.

    A lease that had run out is no proof: until the phone has said so, or has come back without it, it counts.
    """
    found: dict[int, Lent] = {}
    for one in lent:
        if one.given_at <= at and (one.ended_at is None or one.ended_at > at):
            before = found.get(one.child)
            if before is None or one.given_at >= before.given_at:
                found[one.child] = one
    return [found[child] for child in sorted(found)]
