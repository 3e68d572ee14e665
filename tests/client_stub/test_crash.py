"""Invariants 1, 2 and 12 at the phone: killed between any two steps (a real SIGKILL), nothing is lost or doubled."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_stub.device import Device
from client_stub.store import Store
from sync.envelope import Change
from sync.operations import parse_envelope
from sync.outbox import sync_state
from tests.client_stub.fake_server import FakeServer, serve
from tests.client_stub.kit import a_note

ROOT = Path(__file__).parents[2]
SYNC_POINTS = [
    "hello.stored",
    "push.marked",
    "push.answered",
    "push.before_commit",
    "push.stored",
    "pull.answered",
    "pull.stored",
]


@pytest.fixture
def server() -> FakeServer:
    fake = FakeServer()
    fake.now = time.time_ns() // 1_000_000
    fake.changes = [Change(bucket="own", kind="note", id=str(n), rev=1, data={}) for n in range(3)]
    fake.page_size = 2
    return fake


@pytest.fixture
def address(server: FakeServer) -> Iterator[str]:
    with serve(server) as url:
        yield url


def run(
    folder: Path, address: str, point: str, what: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.client_stub.crashing", str(folder), address, point, what, text]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def write_here(folder: Path, text: str) -> str:
    store = Store.open(folder, passphrase=None)
    note_id = Device(store).write(a_note(text))
    store.close()
    return note_id


@pytest.mark.invariant(1, 2, 12)
def test_killed_at_every_point_of_a_sync_nothing_is_lost_or_doubled(
    tmp_path: Path, address: str, server: FakeServer
) -> None:
    folder = tmp_path / "phone"
    assert run(folder, address, "-", "enrol").returncode == 0
    written = []
    for point in SYNC_POINTS:
        written.append(write_here(folder, point))
        if point.startswith("pull"):
            server.changes.append(Change(bucket="own", kind="note", id=point, rev=1, data={}))
        killed = run(folder, address, point, "sync")
        assert killed.returncode == -signal.SIGKILL, (point, killed.stderr)
    last = run(folder, address, "-", "sync")
    assert last.stdout.strip() == "all sent", last
    assert sorted(server.notes) == sorted(written)
    assert len(server.ledger) == len(written) and server.quarantine == []
    store = Store.open(folder, passphrase=None)
    state = sync_state(store.all_entries())
    assert state.all_sent and state.receipted == len(written)
    assert [entry.seq for entry in store.all_entries()] == list(range(1, len(written) + 1))
    assert set(store.holdings()["own"]) == {("note", change.id) for change in server.changes}
    store.close()


def test_killed_while_writing_the_note_is_there_whole_or_not_at_all(tmp_path: Path, address: str) -> None:
    folder = tmp_path / "phone"
    run(folder, address, "-", "enrol")
    assert run(folder, address, "write.before_commit", "write", "half").returncode == -signal.SIGKILL
    assert run(folder, address, "write.after_commit", "write", "whole").returncode == -signal.SIGKILL
    store = Store.open(folder, passphrase=None)
    lines = store.lines(store.all_entries())
    store.close()
    assert len(lines) == 1 and b"whole" in lines[0]
    assert parse_envelope(lines[0]).seq == 1


@pytest.mark.parametrize("point", ["enrol.key_stored", "enrol.answered"])
def test_killed_while_enrolling_the_same_code_still_works_with_the_same_key(
    tmp_path: Path, address: str, server: FakeServer, point: str
) -> None:
    folder = tmp_path / "phone"
    assert run(folder, address, point, "enrol").returncode == -signal.SIGKILL
    assert run(folder, address, "-", "enrol").returncode == 0
    assert len(server.devices) == 1


def test_killed_before_an_ordered_wipe_it_is_wiped_next_time(
    tmp_path: Path, address: str, server: FakeServer
) -> None:
    folder = tmp_path / "phone"
    run(folder, address, "-", "enrol")
    write_here(folder, "the last")
    server.wipe = True
    assert run(folder, address, "wipe.before", "sync").returncode == -signal.SIGKILL
    assert (folder / "outbox.db").exists()
    assert run(folder, address, "-", "sync").stdout.strip() == "all sent"
    assert not (folder / "outbox.db").exists()
    assert any(b"the last" in line for line in server.quarantine)
