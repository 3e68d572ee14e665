"""What a phone tells of itself: who it is, what is on it, what has arrived and what became of it; from its store."""

from __future__ import annotations

import msgspec

from client_stub.album import Album, AttachmentState, Picture
from client_stub.became import Became, Decision, set_aside
from client_stub.keys import ServerKey
from client_stub.protection import Protection
from client_stub.store import Item, Store
from sync.holdings import Kept
from sync.outbox import SyncState, sync_state

BRIEFING, OWN_NOTES = "briefing:", "notes:"
"""How the names of buckets begin."""
DECISION = "decision"
"""What is no note among an officer's own notes: what was decided of one that was set aside."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who this device is, once enrolled."""

    server: str
    device_id: str
    user: str
    audience: str
    server_key: ServerKey
    name: str = ""
    officer_name: str | None = None
    ward: str | None = None
    borough: str | None = None
    ca_file: str | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the first screen shows. Times in milliseconds since the epoch, by this device's clock."""

    identity: Identity | None
    protection: Protection
    state: SyncState
    items: list[Item]
    attachments: list[Picture]
    lent_rows: int
    children_held: int
    lease_until: int | None
    """When the briefing is erased, by the server's clock; None where there is none."""
    became: dict[str, Became]
    """By note: what the server last said has become of it."""
    decisions: dict[str, Decision]
    """By digest: what a person decided of an entry that was set aside, handed in by this device or by another of the
    same officer."""
    last_sync_at: int | None

    @property
    def all_sent(self) -> bool:
        """Notes and what they name: everything receipted (invariant 16)."""
        return self.state.all_sent and all(
            one.state is not AttachmentState.WAITING for one in self.attachments
        )

    @property
    def refused_elsewhere(self) -> list[Decision]:
        """What was refused of the entries of this officer that are not on this device, oldest first: those of a device
        that was lost or replaced, or that were damaged on their way."""
        here = {item.digest for item in self.items}
        found = [one for digest, one in self.decisions.items() if one.refused and digest not in here]
        return sorted(found, key=lambda one: one.decided_at)


def look(store: Store, identity: Identity | None) -> Status:
    """What the officer is told: read from disk, never from hope."""
    last, lease = store.get("last_sync_at"), store.get("lease")
    holdings = store.holdings()
    kept = msgspec.json.decode(lease, type=Kept | None) if lease else None
    own = [row for name, rows in holdings.items() if name.startswith(OWN_NOTES) for row in rows.items()]
    became = {row_id: Became.of(held.data) for (kind, row_id), held in own if kind != DECISION}
    told = [Decision.of(held.data) for (kind, _), held in own if kind == DECISION]
    everything = store.items()
    again = {item.digest for item in everything if item.reissued}
    decisions = {one.digest: one for one in told if one.digest not in again}
    items = [item for item in everything if not item.reissued]
    state = msgspec.structs.replace(
        sync_state(store.all_entries()),
        quarantined=sum(
            set_aside(item, became.get(item.entity_id), decisions.get(item.digest)) for item in items
        ),
    )
    return Status(
        identity=identity,
        protection=store.protection,
        state=state,
        attachments=Album(store).all(),
        items=items,
        lent_rows=sum(len(rows) for rows in holdings.values()),
        children_held=sum(len(rows) for name, rows in holdings.items() if name.startswith(BRIEFING)),
        lease_until=kept.until if kept else None,
        became=became,
        decisions=decisions,
        last_sync_at=None if last is None else int(last),
    )
