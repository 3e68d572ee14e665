"""For how long a phone may hold the briefing of its ward, and the ledger of which children it held.

A lease begins when the officer opens the briefing, and syncing does not prolong it: a phone that lies in a locker and
syncs by itself gets no second one. Every child sent under it is written down before the answer leaves.
"""

from collections.abc import Collection

import msgspec

from server.access.identity import DeviceIdentity
from server.audit import Actor, Verb, audited, impersonal, record
from server.storage.port import Transaction
from sync.holdings import Lent

HOLDING_KEPT_MS = 6 * 366 * 86_400_000
"""How long the ledger says who was on a phone, once they are off: six years, in which a claim may be brought
(Limitation Act 1980, ss.2 and 9). Whoever is still on a phone is never struck off."""
BRIEFED_KEPT_MS = 7 * 86_400_000
"""How long a briefing remembers a child that left it: far longer than any lease, so no phone can have it any more."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A lease that runs: of which ward, and when it ends (ms)."""

    ward: str
    until: int


@impersonal("a phone, a ward and a time")
def running(tx: Transaction, device_id: str, *, now: int) -> Running | None:
    """The lease of a phone, if one runs."""
    row = tx.row(
        "SELECT ward, until FROM briefing_lease WHERE device_id = :device AND until > :now",
        {"device": device_id, "now": now},
    )
    return Running(ward=row[0], until=row[1]) if row else None


@impersonal("a phone, a ward and a time; what is sent under the lease is logged when it is sent")
def begin(tx: Transaction, device: DeviceIdentity, *, now: int, lasts: int) -> bool:
    """Begin a lease of `lasts` ms, unless one runs already or the phone has no ward. Whether one began."""
    if device.ward is None or lasts <= 0:
        return False
    return bool(
        tx.execute(
            "INSERT INTO briefing_lease (device_id, ward, begun_at, until)"
            " VALUES (:device, :ward, :now, :until) ON CONFLICT (device_id) DO UPDATE"
            " SET ward = excluded.ward, begun_at = excluded.begun_at, until = excluded.until"
            " WHERE briefing_lease.until <= :now",
            {"device": device.device_id, "ward": device.ward, "now": now, "until": now + lasts},
        )
    )


@impersonal("numbers of children that were sent, whose sending is logged where they are")
def given(tx: Transaction, device_id: str, child_ids: Collection[int], *, until: int, now: int) -> None:
    """Write down that these children are about to be on a phone. In a read it is written before the read returns."""
    ids = sorted(child_ids)

    def write(last: Transaction) -> None:
        for child_id in ids:
            here = last.execute(
                "UPDATE holding SET leaves_xid = NULL, leaves_seq = NULL"
                " WHERE device_id = :device AND child_id = :child AND until = :until AND ended_at IS NULL",
                {"device": device_id, "child": child_id, "until": until},
            )
            if not here:
                last.execute(
                    "INSERT INTO holding (device_id, child_id, given_at, until)"
                    " VALUES (:device, :child, :now, :until)",
                    {"device": device_id, "child": child_id, "now": now, "until": until},
                )

    if ids:
        tx.at_commit(write)


@impersonal("numbers of children")
def leaving(tx: Transaction, device_id: str, child_id: int, place: tuple[int, int]) -> None:
    """Write down that the removal of a child is on its way to a phone, from this place of the change log."""

    def write(last: Transaction) -> None:
        last.execute(
            "UPDATE holding SET leaves_xid = :xid, leaves_seq = :seq"
            " WHERE device_id = :device AND child_id = :child AND ended_at IS NULL AND leaves_xid IS NULL",
            {"xid": place[0], "seq": place[1], "device": device_id, "child": child_id},
        )

    tx.at_commit(write)


@impersonal("numbers of children")
def still_on(tx: Transaction, device_id: str) -> list[int]:
    """The children that a phone is not known to be rid of."""
    rows = tx.rows(
        "SELECT DISTINCT child_id FROM holding WHERE device_id = :device AND ended_at IS NULL"
        " ORDER BY child_id",
        {"device": device_id},
    )
    return [child_id for (child_id,) in rows]


@impersonal("numbers of children")
def confirm(
    tx: Transaction, device_id: str, reached: tuple[int, int] | None, *, sent_until: int, now: int
) -> None:
    """The phone has come back: from this place, so what was to leave before it is off; or (None) with a cursor, or
    a word of its own, that says that it holds nothing of the briefing any more: nothing of what was sent to it until
    `sent_until`, for it may have asked again since."""
    condition, marks = "given_at <= :sent", {"device": device_id, "now": now, "sent": sent_until}
    if reached is not None:
        condition += " AND leaves_xid IS NOT NULL AND (leaves_xid, leaves_seq) <= (:xid, :seq)"
        marks |= {"xid": reached[0], "seq": reached[1]}
    if (
        tx.row(
            f"SELECT 1 FROM holding WHERE device_id = :device AND ended_at IS NULL AND {condition} LIMIT 1",
            {name: value for name, value in marks.items() if name != "now"},
        )
        is None
    ):
        return

    def write(last: Transaction) -> None:
        last.execute(
            f"UPDATE holding SET ended_at = :now WHERE device_id = :device AND ended_at IS NULL AND {condition}",
            marks,
        )

    tx.at_commit(write)


@audited(Verb.CONSULTATION)
def show_ledger(tx: Transaction, actor: Actor, device_id: str, *, now: int) -> list[Lent]:
    """Every child that was ever sent to a phone, oldest first, for somebody who asks what was on it."""
    found = [
        Lent(child=row[0], given_at=row[1], until=row[2], ended_at=row[3])
        for row in tx.rows(
            "SELECT child_id, given_at, until, ended_at FROM holding WHERE device_id = :device"
            " ORDER BY holding_id",
            {"device": device_id},
        )
    ]
    if found:
        record(tx, actor, Verb.CONSULTATION, "device", [device_id], now=now, reason="holdings of a phone")
    return found


@impersonal("counts only")
def counts(tx: Transaction) -> dict[str, int]:
    """How many children each phone is not known to be rid of; phones without any are left out."""
    return dict(
        tx.rows(
            "SELECT device_id, COUNT(DISTINCT child_id) FROM holding WHERE ended_at IS NULL"
            " GROUP BY device_id"
        )
    )


@impersonal("numbers of children and phones whose time is over")
def prune(tx: Transaction, now: int) -> int:
    """Strike off what the ledger and the briefings need no longer; how many rows."""
    gone = tx.execute(
        "DELETE FROM holding WHERE ended_at IS NOT NULL AND ended_at < :old", {"old": now - HOLDING_KEPT_MS}
    )
    left = tx.rows(
        "DELETE FROM briefed WHERE gone = 1 AND swept_at < :old RETURNING ward, child_id",
        {"old": now - BRIEFED_KEPT_MS},
    )
    for ward, child_id in left:
        gone += tx.execute(
            "DELETE FROM change WHERE bucket = :bucket AND kind = 'child' AND id = :id",
            {"bucket": f"briefing:{ward}", "id": str(child_id)},
        )
    tx.execute("UPDATE briefed SET swept_at = :now WHERE gone = 1 AND swept_at IS NULL", {"now": now})
    return gone + len(left)
