"""What the server lends this device: how long the briefing may be held, and that it goes when the time is over.

The device erases it by itself, with signal or without, when the first of its clocks says so, and tells the server at
the next sync. Nothing here can touch the outbox.
"""

from __future__ import annotations

from typing import Any

import msgspec

from client_stub.device import Device
from client_stub.standing import BRIEFING
from sync.envelope import Lease
from sync.holdings import Clocks, Held, Holdings, Kept, lease_is_over

AREAS = "areas"


class Child(msgspec.Struct, frozen=True):
    """A row of the briefing, for the officer: as the server sent it, and the borough's own row where it is known."""

    told: dict[str, Any]
    borough: dict[str, Any]


class Lending:
    """The leases and lent rows of one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._store = device.store

    def kept(self) -> Kept | None:
        """The lease that runs, by what is stored."""
        text = self._store.get("lease")
        return msgspec.json.decode(text, type=Kept | None) if text else None

    def keep(self, lease: Lease | None, since: Clocks) -> None:
        """Store what the server says of the lease; `since`: this device's clocks when it asked, for `lasts` was counted
        after that, and before the answer came. In a transaction."""
        kept = None
        if lease is not None:
            kept = Kept(bucket=lease.bucket, until=lease.until, lasts=lease.lasts, since=since)
        self._store.put("lease", msgspec.json.encode(kept).decode())

    def erase_if_over(self) -> int:
        """Erase the briefing where its lease is over, or where there is none; how many children."""
        held = self._store.holdings()
        kept = self.kept()
        if kept is not None and lease_is_over(kept, self._device.clocks()):
            kept = None
        over = [name for name in held if name.startswith(BRIEFING) and (kept is None or name != kept.bucket)]
        if not over:
            return 0
        after = {name: rows for name, rows in held.items() if name not in over}
        with self._store.transaction():
            self._store.replace_holdings(held, after)
            self.mark_emptied(over)
            if kept is None:
                self._store.put("lease", "null")
        return sum(len(held[name]) for name in over)

    def emptied(self) -> tuple[str, ...]:
        """The buckets that are empty here whatever the cursor says, until the server has heard of it."""
        text = self._store.get("emptied")
        return msgspec.json.decode(text, type=tuple[str, ...]) if text else ()

    def mark_emptied(self, names: list[str]) -> None:
        """Remember to say that these are empty. In a transaction."""
        self._store.put("emptied", msgspec.json.encode(sorted({*self.emptied(), *names})).decode())

    def heard(self, said: tuple[str, ...]) -> None:
        """The server has answered to what it was told to be empty; what was emptied since waits. In a transaction."""
        if said:
            left = sorted({*self.emptied()} - {*said})
            self._store.put("emptied", msgspec.json.encode(left).decode())

    def briefing(self) -> list[Child]:
        """The children of the briefing, the gravest and oldest first. Ask `erase_if_over` before."""
        holdings = self._store.holdings()
        areas = {key[1]: held.data for key, held in holdings.get(AREAS, {}).items()}
        found = [
            Child(held.data, areas.get(str(held.data.get("borough")), {})) for held in children(holdings)
        ]
        order = {"red": 0, "amber": 1, "green": 2, "blue": 3}
        return sorted(found, key=lambda one: (order.get(one.told["grade"], 4), one.told["since"]))


def children(holdings: Holdings) -> list[Held]:
    """Every lent row that tells of a child."""
    return [held for name, rows in holdings.items() if name.startswith(BRIEFING) for held in rows.values()]
