"""What phones are lent, as it must be: briefings under their leases, words and boroughs, and who held which child when.

As `oracle.py`, of no code of the product. `Lent` is a part of a server's memory, and a backup is a copy of it;
`OnPhones` is what really lay on the phones' disks, which no server can know.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

VOCABULARY, AREAS = "vocabulary", "areas"
GRADES = ("red", "amber", "green", "blue")
YEAR_DAYS = 365.25

Place = tuple[int, int]
Rows = dict[str, tuple[int, dict[str, Any]]]
"""By id: (rev, data)."""


class Gone(Exception):
    """Says why what a phone or a server holds is not what it must be."""


@dataclass
class Holding:
    """A child on a phone, as far as the server can know. `leaves`: the place of the removal that was sent."""

    child: int
    given_at: int
    until: int
    ended_at: int | None = None
    leaves: Place | None = None


@dataclass
class Lent:
    """By device: until when its lease runs, and what was sent to it; by bucket: what every phone has."""

    leases: dict[str, int] = field(default_factory=dict)
    holdings: dict[str, list[Holding]] = field(default_factory=dict)
    published: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    restricted: set[int] = field(default_factory=set)
    in_doubt: set[str] = field(default_factory=set)
    """Given names of children who were ever restricted: no note is linked to such a record but by a person."""

    def runs(self, device: str, now: int) -> int | None:
        until = self.leases.get(device, 0)
        return until if until > now else None

    def begin(self, device: str, now: int, lasts: int) -> None:
        if self.runs(device, now) is None:
            self.leases[device] = now + lasts

    def open(self, device: str) -> list[Holding]:
        return [one for one in self.holdings.get(device, []) if one.ended_at is None]

    def came_back(self, device: str, here: Place | None, issued_at: int, now: int) -> None:
        """A phone asked with a cursor of that time: it is at that place in the briefing, or has none of it (None)."""
        for one in self.open(device):
            if one.given_at <= issued_at and (
                here is None or (one.leaves is not None and one.leaves <= here)
            ):
                one.ended_at = now

    def sent(self, device: str, puts: Iterable[int], removes: Iterable[int], at: Place, now: int) -> None:
        """A page left for a phone, up to that place of the briefing."""
        until = self.leases.get(device, 0)
        for child in puts:
            here = [one for one in self.open(device) if (one.child, one.until) == (child, until)]
            for one in here:
                one.leaves = None
            if not here:
                self.holdings.setdefault(device, []).append(Holding(child, now, until))
        for child in removes:
            for one in self.open(device):
                if one.child == child and one.leaves is None:
                    one.leaves = at

    def erased(self, device: str, now: int) -> None:
        """The phone said that it holds nothing, and will be sent nothing more."""
        for one in self.open(device):
            one.ended_at = now

    def moments(self, device: str) -> set[int]:
        """Every moment at which the answer to "what was on it?" changes."""
        held = self.holdings.get(device, [])
        return {at for one in held for at in (one.given_at, one.ended_at) if at is not None}

    def on_phone(self, device: str, at: int) -> set[int]:
        return {
            one.child
            for one in self.holdings.get(device, [])
            if one.given_at <= at and (one.ended_at is None or one.ended_at > at)
        }


@dataclass
class OnPhones:
    """The children on each phone's disk: by phone those there now, by device every (child, from, to) before."""

    now: dict[str, dict[int, int]] = field(default_factory=dict)
    past: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    copied: set[str] = field(default_factory=set)
    """Devices of which a copy with children on it came to life: the server cannot tell the two apart."""
    unknown: dict[str, set[int]] = field(default_factory=dict)
    """By phone: what it held when the server was lost with its ledger, until the phone has begun anew."""

    def saw(self, phone: str, device: str, held: set[int], now: int) -> None:
        before = self.now.setdefault(phone, {})
        for child in before.keys() - held:
            since = before.pop(child)
            if child not in self.unknown.get(phone, ()):
                self.past.setdefault(device, []).append((child, since, now))
        for child in held - before.keys():
            before[child] = now
        self.unknown[phone] = self.unknown.get(phone, set()) & held

    def server_lost(self) -> None:
        """The server comes back from a copy: what was sent since is not in its ledger."""
        self.past.clear()
        self.unknown = {phone: set(held) for phone, held in self.now.items()}

    def begun_anew(self, phone: str, now: int) -> None:
        """The phone was sent everything from the beginning: from here the ledger must know again."""
        for child in self.unknown.pop(phone, set()):
            if child in self.now.get(phone, {}):
                self.now[phone][child] = now

    def moments(self, device: str) -> set[int]:
        """When something came to or left a device that is not there any more, and just before."""
        return {at for _, since, to in self.past.get(device, []) for at in (since, to - 1) if to > since}

    def held(self, phones: Mapping[str, str], device: str, at: int) -> set[int]:
        """What was on a device at that time. `phones`: the device of each living phone."""
        found = {child for child, since, to in self.past.get(device, []) if since <= at < to}
        for phone, of in phones.items():
            if of == device:
                unknown = self.unknown.get(phone, set())
                found |= {
                    c for c, since in self.now.get(phone, {}).items() if since <= at and c not in unknown
                }
        return found


@dataclass
class PhoneLease:
    """What a phone must go by: its clocks when it asked, and what the server then said."""

    until: int
    lasts: int
    boot: str
    monotonic: int
    wall: int

    def over(self, boot: str, monotonic: int, wall: int) -> bool:
        if wall >= self.until:
            return True
        if boot == self.boot:
            return monotonic - self.monotonic >= self.lasts
        return wall < self.wall


def told(details: Mapping[str, Any], alerts: Iterable[tuple[Any, ...]], now: int) -> dict[str, Any] | None:
    """What a briefing says of a child, from its live alerts: rows of (alert id, grade, why, started at, borough)."""
    live = sorted(alerts, key=lambda row: (GRADES.index(row[1]), row[0]))
    if not live:
        return None
    _, grade, why, started_at, borough = live[0]
    return {
        "first_name": details["given_names"],
        "age": _years(details["date_of_birth"], now),
        "grade": grade,
        "look_out": why,
        "since": started_at,
        "borough": borough,
    }


def _years(born: str, now: int) -> int:
    day = datetime.date.fromisoformat(born)
    today = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).date()
    return today.year - day.year - ((today.month, today.day) < (day.month, day.day))


def checksum(rows: Iterable[tuple[str, str, int]]) -> str:
    total = 0
    for kind, row_id, rev in rows:
        total += int(hashlib.sha256(f"{kind}\0{row_id}\0{rev}".encode()).hexdigest()[:16], 16)
    return f"{total % (1 << 64):016x}"
