"""What a phone has pulled, and how it is kept true: apply a page, compare at the checkpoint.

Both sides compute the same checksum, so that a phone whose copy went wrong finds out at the next checkpoint
and asks for that bucket again. Nothing here knows of the outbox: a resync cannot touch it.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from sync.envelope import ChangeOp, PullAnswer

CHECKSUM_MODULUS = 2**64


class Held(msgspec.Struct, frozen=True):
    """One row on the phone."""

    rev: int
    data: dict[str, Any]


RowKey = tuple[str, str]
"""(kind, id)"""

Holdings = dict[str, dict[RowKey, Held]]
"""By bucket, then by row."""


def checksum(rows: Iterable[tuple[str, str, int]]) -> str:
    """Of (kind, id, rev), in any order: a sum, so that one row can be added or taken away alone."""
    total = 0
    for kind, row_id, rev in rows:
        raw = hashlib.sha256(f"{kind}\0{row_id}\0{rev}".encode()).digest()
        total += int.from_bytes(raw[:8], "big")
    return f"{total % CHECKSUM_MODULUS:016x}"


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
