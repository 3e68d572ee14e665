"""Whether a phone that has everything would hear anything at all: one statement, for the commonest request there is."""

import functools
from collections.abc import Sequence

from server.access.crypto import token_digest
from server.audit import impersonal
from server.records.notes import bucket
from server.storage.port import Transaction


@impersonal("a yes or a no to the phone itself; nothing of a child")
def stands(
    tx: Transaction, token: str, buckets: Sequence[str], places: Sequence[tuple[int, int]], *, now: int
) -> bool:
    """Whether the token is of a phone that may pull, whose officer's own notes are the first of these buckets, that
    holds and is lent no briefing, and for which nothing stands in the log after these places, settled or not."""
    marks: dict[str, object] = {"token": token_digest(token), "now": now}
    for index, (name, (xid, seq)) in enumerate(zip(buckets, places, strict=True)):
        marks[f"b{index}"], marks[f"x{index}"], marks[f"s{index}"] = name, xid, seq
    row = tx.row(_asked(len(places)), marks)
    return row is not None and bucket(row[0]) == buckets[0]


@functools.cache
def _asked(buckets: int) -> str:
    news = []
    for index in range(buckets):
        after = f"EXISTS (SELECT 1 FROM change WHERE bucket = :b{index} AND xid"  # as in `changes.after`
        news += [f"{after} = :x{index} AND seq > :s{index})", f"{after} > :x{index})"]
    return (
        "SELECT p.username FROM device_token t JOIN device d ON d.device_id = t.device_id"
        " JOIN person p ON p.id = d.person WHERE t.token_sha256 = :token AND t.expires_at > :now"
        " AND d.status = 'active' AND p.active = 1 AND d.wipe_ordered_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM briefing_lease l WHERE l.device_id = d.device_id AND l.until > :now)"
        " AND NOT EXISTS (SELECT 1 FROM holding h WHERE h.device_id = d.device_id AND h.ended_at IS NULL)"
        f" AND NOT ({' OR '.join(news)})"
    )
