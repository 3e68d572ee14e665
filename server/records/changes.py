"""The change log: what came into, changed in, or left a bucket, in commit order. Phones pull from it."""

from collections.abc import Sequence

import msgspec

from server.audit import impersonal
from server.storage.port import Params, Row, Transaction
from sync.envelope import Change, ChangeOp, RemoveReason

_PUT = "changes"

Place = tuple[int, int]
"""(xid, seq) in the change log."""


class Logged(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the change log. (xid, seq) is its place in commit order."""

    xid: int
    seq: int
    kind: str
    id: str
    rev: int
    op: ChangeOp
    reason: RemoveReason | None


class Heard(msgspec.Struct, frozen=True):
    """A part of a bucket's log as a phone is sent it: the rows, the place that it has reached with them, and whether
    more stands after it."""

    changes: Sequence[Change]
    place: Place
    more: bool


@impersonal("ids and revisions; what they stand for is read, and its reading logged, when it is sent")
def put(
    tx: Transaction,
    bucket: str,
    kind: str,
    id: str,
    rev: int,
    op: ChangeOp,
    reason: RemoveReason | None = None,
    note_key: int | None = None,
) -> None:
    """Log that a row came into, changed in or left a bucket. Written at the end of the transaction, in this order.
    `note_key`: of an officer's own note, which is read by it when it is sent."""
    if _PUT not in tx.notes:
        tx.notes[_PUT] = []
        tx.at_commit(_write)
    tx.notes[_PUT].append(
        {
            "bucket": bucket, "kind": kind, "id": id, "note_key": note_key, "rev": rev, "op": op.value,
            "reason": reason,
        }
    )  # fmt: skip


def _write(tx: Transaction) -> None:
    """All that was put, in one statement: one for each would cost a push a hundred more."""
    tx.executemany(
        "INSERT INTO change (bucket, kind, id, note_key, rev, op, reason)"
        " VALUES (:bucket, :kind, :id, :note_key, :rev, :op, :reason)",
        tx.notes.pop(_PUT, []),
    )


@impersonal("whatever the caller selects, who says what is shown of it")
def in_order(tx: Transaction, here: str, marks: Params, place: Place, limit: int) -> list[Row]:
    """Up to `limit` rows of `here` after a place, in commit order. `here` selects from the table as `c`, xid and seq
    first, and ends within its conditions, a bucket and `tx.settled` among them.

    Two searches, for SQLite finds its way in the index by `(xid, seq) > (...)` no further than to the xid, which is
    the same in every row there: it would read the bucket from its beginning each time.
    """
    at = {**marks, "xid": place[0], "seq": place[1]}
    rows = tx.rows(
        f"{here} AND c.xid = :xid AND c.seq > :seq ORDER BY c.seq LIMIT :most", at | {"most": limit}
    )
    if len(rows) < limit:
        rest = {**marks, "xid": place[0], "most": limit - len(rows)}
        rows += tx.rows(f"{here} AND c.xid > :xid ORDER BY c.xid, c.seq LIMIT :most", rest)
    return rows


@impersonal("ids and revisions")
def after(tx: Transaction, bucket: str, xid: int, seq: int, limit: int) -> list[Logged]:
    """Up to `limit` entries of a bucket after (xid, seq), in commit order, only those whose place is final."""
    here = (
        "SELECT c.xid, c.seq, c.kind, c.id, c.rev, c.op, c.reason FROM change c"
        f" WHERE c.bucket = :bucket AND {tx.settled}"
    )
    return [
        Logged(xid, seq, kind, id, rev, _OPS[op], None if reason is None else _REASONS[reason])
        for xid, seq, kind, id, rev, op, reason in in_order(tx, here, {"bucket": bucket}, (xid, seq), limit)
    ]


_OPS = {op.value: op for op in ChangeOp}
_REASONS = {reason.value: reason for reason in RemoveReason}


@impersonal("a yes or a no")
def unsettled(tx: Transaction, buckets: Sequence[str]) -> bool:
    """Whether a change of these buckets is committed but its place in commit order is not final yet.

    Then what a query sees is ahead of what the phone has been sent, and a checkpoint would differ.
    """
    marks: dict[str, object] = {f"b{index}": bucket for index, bucket in enumerate(buckets)}
    wanted = ", ".join(f":{name}" for name in marks)
    found = tx.row(f"SELECT 1 FROM change WHERE bucket IN ({wanted}) AND NOT ({tx.settled}) LIMIT 1", marks)
    return found is not None


@impersonal("an id")
def taken_off(bucket: str, kind: str, id: str, rev: int, reason: RemoveReason | None) -> Change:
    """What takes a row off a phone that may not be sent it, or not any more."""
    return Change(
        bucket=bucket, kind=kind, id=id, rev=rev, op=ChangeOp.REMOVE, reason=reason or RemoveReason.LEFT_SCOPE
    )
