"""Uploads on their way in: how much of each is on the disk, and until when it may go on."""

from enum import StrEnum

import msgspec

from server.audit import impersonal
from server.storage.port import Transaction

OPEN_MAX = 60
"""Unfinished uploads of one phone: two notes with as many attachments as a note may name."""
TIDIED_AT_ONCE_MAX = 1_000


class Ended(StrEnum):
    """Why an upload cannot go on."""

    EXPIRED = "expired"
    TERMINATED = "terminated"
    REFUSED = "refused"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One upload. `declared` is the digest that the phone said it would have; times in ms since the epoch."""

    upload_id: str
    length: int
    received: int
    declared: str | None
    metadata: str
    expires_at: int
    digest: str | None
    ended: Ended | None


@impersonal("sizes and times of files under way; nothing of a child")
def start(
    tx: Transaction,
    device_id: str,
    upload_id: str,
    *,
    length: int,
    declared: str | None,
    metadata: str,
    now: int,
    expires_at: int,
) -> bool:
    """Begin an upload. False, and nothing begun, where this phone has too many unfinished ones."""
    tx.lock(f"uploads:{device_id}")
    unfinished = tx.value(
        "SELECT COUNT(*) FROM upload WHERE device_id = :device AND digest IS NULL AND ended IS NULL"
        " AND expires_at > :now",
        {"device": device_id, "now": now},
    )
    if unfinished >= OPEN_MAX:
        return False
    tx.execute(
        "INSERT INTO upload (upload_id, device_id, length, declared, metadata, expires_at)"
        " VALUES (:upload, :device, :length, :declared, :metadata, :expires)",
        {
            "upload": upload_id,
            "device": device_id,
            "length": length,
            "declared": declared,
            "metadata": metadata,
            "expires": expires_at,
        },
    )
    return True


@impersonal("a sum of bytes")
def lately(tx: Transaction, device_id: str) -> int:
    """How many bytes the uploads of this phone have that are still remembered, whole or not."""
    total: int = tx.value(
        "SELECT COALESCE(SUM(length), 0) FROM upload WHERE device_id = :device AND ended IS NULL",
        {"device": device_id},
    )
    return int(total)


@impersonal("sizes and times of files under way; nothing of a child")
def find(tx: Transaction, device_id: str, upload_id: str, *, now: int) -> Upload | None:
    """An upload of this phone; another's is not there. One whose time is over counts as ended."""
    row = tx.row(
        "SELECT upload_id, length, received, declared, metadata, expires_at, digest, ended FROM upload"
        " WHERE upload_id = :upload AND device_id = :device",
        {"upload": upload_id, "device": device_id},
    )
    if row is None:
        return None
    ended = Ended(row[7]) if row[7] else None
    if ended is None and row[6] is None and row[5] <= now:
        ended = Ended.EXPIRED
    return Upload(
        upload_id=row[0],
        length=row[1],
        received=row[2],
        declared=row[3],
        metadata=row[4],
        expires_at=row[5],
        digest=row[6],
        ended=ended,
    )


@impersonal("a count of bytes")
def advance(tx: Transaction, upload_id: str, received: int, *, expires_at: int) -> None:
    """Record how many bytes are on the disk: call it only once they are (invariant 14)."""
    tx.execute(
        "UPDATE upload SET received = :received, expires_at = :expires WHERE upload_id = :upload",
        {"received": received, "expires": expires_at, "upload": upload_id},
    )


@impersonal("a digest beside an upload; the collection is logged where the attachment is added")
def complete(tx: Transaction, upload_id: str, digest: str) -> None:
    """Record that all of it has arrived and hashes to `digest`. What the phone said of it is forgotten."""
    tx.execute(
        "UPDATE upload SET received = length, digest = :digest, metadata = '' WHERE upload_id = :upload",
        {"digest": digest, "upload": upload_id},
    )


@impersonal("a word beside an upload")
def end(tx: Transaction, upload_id: str, why: Ended) -> None:
    """Record that it cannot go on. What the phone said of it is forgotten."""
    tx.execute(
        "UPDATE upload SET ended = :why, metadata = '' WHERE upload_id = :upload",
        {"why": why.value, "upload": upload_id},
    )


@impersonal("numbers of uploads")
def expire(tx: Transaction, *, now: int) -> list[str]:
    """End the unfinished uploads whose time is over; their ids."""
    return [
        upload_id
        for (upload_id,) in tx.rows(
            "UPDATE upload SET ended = :why, metadata = '' WHERE upload_id IN (SELECT upload_id FROM upload"
            " WHERE expires_at <= :now AND digest IS NULL AND ended IS NULL LIMIT :most) RETURNING upload_id",
            {"why": Ended.EXPIRED.value, "now": now, "most": TIDIED_AT_ONCE_MAX},
        )
    ]


@impersonal("numbers of uploads")
def forget(tx: Transaction, *, before: int) -> int:
    """Delete the rows of uploads that were over at that time; a phone that asks later hears 404. How many."""
    return tx.execute(
        "DELETE FROM upload WHERE expires_at <= :before AND (digest IS NOT NULL OR ended IS NOT NULL)",
        {"before": before},
    )


@impersonal("numbers of uploads")
def unfinished(tx: Transaction) -> set[str]:
    """The ids of all uploads that may still go on."""
    return {row[0] for row in tx.rows("SELECT upload_id FROM upload WHERE digest IS NULL AND ended IS NULL")}
