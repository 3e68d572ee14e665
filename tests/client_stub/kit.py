"""What the phone's tests share: a phone in a folder, a note, one sync against a fake server."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

import msgspec

from client_stub.conversation import Patience, Report
from client_stub.device import Device, Surroundings
from client_stub.store import Store
from client_stub.syncing import Sync
from client_stub.transport import Transport
from sync.note import Note, Subject
from sync.vocabulary import Category
from tests.client_stub.fake_server import NOW, FakeServer

CODE = "AAAA-BBBB-CCCC-DDDD"
ADDRESS = "https://earlysign.test"
WHEN = datetime.datetime(2024, 1, 14, 9, 0, tzinfo=datetime.UTC)


def a_note(saw: str = "Boy about 13 at Peckham bus station", **more: Any) -> Note:
    fields: dict[str, Any] = {
        "observed_at": WHEN,
        "recorded_at": WHEN,
        "category": Category.COUNTY_LINES,
        "saw_or_heard": saw,
        "subjects": (Subject(given_names="Jay", approximate_age=13.0),),
    }
    return Note(**(fields | more))


class Sleeps:
    """An injected sleep: time stands still, and the waits are written down (seconds)."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def surroundings(**more: Any) -> Surroundings:
    """A clock that ticks a millisecond a look, fixed dice, ids and epochs that count."""
    ticks = itertools.count(NOW)
    epochs = itertools.count(1)
    fields: dict[str, Any] = {
        "now_ms": lambda: next(ticks),
        "sleep": Sleeps(),
        "random": lambda: 0.5,
        "new_epoch": lambda: f"epoch-{next(epochs)}",
    }
    return Surroundings(**(fields | more))


def new_phone(folder: Path, server: FakeServer | None = None, **more: Any) -> Device:
    """A phone with a plain store, enrolled where a server is given."""
    store = Store.create(folder, passphrase=None, accept_unencrypted=True)
    device = Device(store, surroundings(**more))
    if server is not None and device.identity() is None:
        with Transport(ADDRESS, line=server.transport()) as transport:
            device.enrol(transport, code=CODE, name="test phone")
    return device


def sync_once(device: Device, server: FakeServer, **patience: Any) -> Report:
    with Transport(ADDRESS, line=server.transport()) as transport:
        return Sync(device, transport, patience=msgspec.structs.replace(Patience(), **patience)).run()


def states(device: Device) -> list[str]:
    return [entry.state.value for entry in device.store.all_entries()]
