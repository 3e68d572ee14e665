"""The change log: what came into, changed in, or left a bucket, in commit order. Phones pull from it."""

from collections.abc import Sequence

import msgspec

from server.audit import impersonal
from server.storage.port import Transaction
from sync.envelope import ChangeOp, RemoveReason

_PUT = "changes"


class Logged(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the change log. (xid, seq) is its place in commit order."""

    xid: int
    seq: int
    bucket: str
    kind: str
    id: str
    rev: int
    op: ChangeOp
    reason: RemoveReason | None


@impersonal("ids and revisions; what they stand for is read, and its reading logged, when it is sent")
def put(
    tx: Transaction,
    bucket: str,
    kind: str,
    id: str,
    rev: int,
    op: ChangeOp,
    reason: RemoveReason | None = None,
) -> None:
    """Log that a row came into, changed in or left a bucket. Written at the end of the transaction, in this order."""
    if _PUT not in tx.notes:
        tx.notes[_PUT] = []
        tx.at_commit(_write)
    tx.notes[_PUT].append(
        {"bucket": bucket, "kind": kind, "id": id, "rev": rev, "op": op.value, "reason": reason}
    )


def _write(tx: Transaction) -> None:
    """All that was put, in one statement: one for each would cost a push a hundred more."""
    tx.executemany(
        "INSERT INTO change (bucket, kind, id, rev, op, reason) VALUES (:bucket, :kind, :id, :rev, :op, :reason)",
        tx.notes.pop(_PUT, []),
    )


@impersonal("ids and revisions")
def after(tx: Transaction, bucket: str, xid: int, seq: int, limit: int) -> list[Logged]:
    """Up to `limit` entries of a bucket after (xid, seq), in commit order, only those whose place is final.

    Two searches, for SQLite finds its way in the index by `(xid, seq) > (...)` no further than to the xid, which is
    the same in every row there: it would read the bucket from its beginning each time.
    """
    here = (
        "SELECT xid, seq, bucket, kind, id, rev, op, reason FROM change"
        f" WHERE bucket = :bucket AND {tx.settled} AND xid"
    )
    place = {"bucket": bucket, "xid": xid, "seq": seq}
    rows = tx.rows(f"{here} = :xid AND seq > :seq ORDER BY seq LIMIT :most", place | {"most": limit})
    if len(rows) < limit:
        rest = {"bucket": bucket, "xid": xid, "most": limit - len(rows)}
        rows += tx.rows(f"{here} > :xid ORDER BY xid, seq LIMIT :most", rest)
    return [
        Logged(xid, seq, bucket, kind, id, rev, _OPS[op], None if reason is None else _REASONS[reason])
        for xid, seq, bucket, kind, id, rev, op, reason in rows
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
