"""What phones say of themselves: clocks, what waits on them, what they hold, and that they were wiped."""

import msgspec

from server.access import devices
from server.audit import Actor, impersonal
from server.records import leases
from server.storage.port import Transaction
from sync.envelope import Condition, Wipe


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The last that a phone said. Times in ms; `offset_ms` is the server's clock less the phone's."""

    device_id: str
    received_at: int
    wall_at: int
    monotonic_ms: int
    boot_id: str
    offset_ms: int
    round_trip_ms: int
    waiting: int
    holds: int


_COLUMNS = ", ".join(Said.__struct_fields__)


@impersonal("a phone's clocks and counts, nothing of a child; the wipe has its entry in `devices`")
def said(tx: Transaction, device_id: str, condition: Condition, *, now: int) -> None:
    """Keep what a phone says of itself. That it wipes itself ends what the ledger says is on it."""
    tx.execute(
        f"INSERT INTO device_report ({_COLUMNS}, empty_at) VALUES (:device, :now, :wall, :monotonic, :boot, :offset,"
        " :round_trip, :waiting, :holds, :empty) ON CONFLICT (device_id) DO UPDATE SET"
        " received_at = excluded.received_at, wall_at = excluded.wall_at,"
        " monotonic_ms = excluded.monotonic_ms, boot_id = excluded.boot_id, offset_ms = excluded.offset_ms,"
        " round_trip_ms = excluded.round_trip_ms, waiting = excluded.waiting, holds = excluded.holds,"
        " empty_at = COALESCE(excluded.empty_at, device_report.empty_at)",
        {
            "device": device_id,
            "now": now,
            "wall": condition.wall,
            "monotonic": condition.monotonic,
            "boot": condition.boot_id,
            "offset": condition.offset,
            "round_trip": condition.round_trip,
            "waiting": condition.waiting,
            "holds": condition.holds,
            "empty": None if condition.waiting else now,
        },
    )
    devices.seen(tx, device_id, now=now, app_version=condition.version or None)
    actor = Actor("device", device_id)
    if condition.wipe is Wipe.BEGINS:
        devices.wipe_begins(tx, device_id, actor=actor, now=now)
    elif condition.wipe is Wipe.DONE:
        devices.wiped(tx, device_id, actor=actor, now=now)
    if condition.wipe is Wipe.DONE or (condition.wipe is Wipe.BEGINS and condition.holds == 0):
        # What was lent goes first, and a phone that begins to wipe itself is sent nothing more.
        leases.confirm(tx, device_id, None, sent_until=now, now=now)


@impersonal("a time of a phone, nothing of a child")
def empty_at(tx: Transaction, device_id: str, *, by: int) -> int:
    """The last time up to `by` (ms) at which nothing can have waited on a phone: when it was enrolled, or last said so.
    0 for a phone that is not known."""
    row = tx.row(
        "SELECT d.enrolled_at, r.empty_at FROM device d LEFT JOIN device_report r ON r.device_id = d.device_id"
        " WHERE d.device_id = :device",
        {"device": device_id},
    )
    return max((at for at in row or () if at is not None and at <= by), default=0)


@impersonal("phones' clocks and counts")
def all_said(tx: Transaction) -> dict[str, Said]:
    """By phone: the last that it said."""
    rows = tx.rows(f"SELECT {_COLUMNS} FROM device_report")
    return {row[0]: Said(**dict(zip(Said.__struct_fields__, row, strict=True))) for row in rows}
