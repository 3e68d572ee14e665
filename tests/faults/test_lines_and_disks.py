"""Real phones and a real server, each a process of its own: bad lines, full and read-only disks, wrong clocks,
and kills of the phone (invariants 1 to 4, 13, 15, 16)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from client_stub.device import Device, Surroundings
from client_stub.store import Store
from client_stub.syncing import Sync
from client_stub.transport import Transport
from server.storage import open_store
from sync.outbox import State
from tests.client_stub.kit import a_note
from tests.client_stub.test_against_server import QUICK, RealServer
from tests.faults.proxy import cutting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SEED = 20261126
WAIT_SECONDS_MAX = 240
YEARS_3_MS = 3 * 366 * 86_400_000
SMALL_DISK = "8m"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    real = started(tmp_path / "server")
    yield real
    real.end()


def started(data: Path) -> RealServer:
    real = prepared(data)
    real.start()
    return real


def prepared(data: Path) -> RealServer:
    data.mkdir(exist_ok=True)
    real = RealServer(data)
    real.command("people", "add", "okafor", "--role", "ward_officer", "--borough", "E09000028")
    return real


def notes_file(folder: Path, count: int, phones: int) -> Path:
    lines = [
        msgspec.json.encode(
            {"id": f"n-{n}", "phone": n % phones, "note": a_note(f"note {n} " + "word " * 60)}
        )
        for n in range(count)
    ]
    path = folder / "notes.ndjson"
    path.write_bytes(b"\n".join(lines))
    return path


def phone_command(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "client_stub", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )


def stored(data: Path) -> tuple[int, int]:
    """(ops, notes) of the server's database."""
    store = open_store(data / "earlysign.db")
    try:
        return store.read_now(
            lambda tx: (tx.value("SELECT COUNT(*) FROM op"), tx.value("SELECT COUNT(*) FROM note"))
        )
    finally:
        store.close_now()


def test_phones_behind_a_line_that_cuts_resets_stalls_and_slows_send_everything_once(
    tmp_path: Path,
) -> None:
    print(f"seed {SEED}")
    phones, count = 3, 90
    server = prepared(tmp_path / "server")
    codes = tmp_path / "codes"
    codes.write_text("\n".join(server.code("okafor") for _ in range(phones)))
    target = ("127.0.0.1", server.port)
    with cutting(target, cuts=24, stalls=6, slow=6, spread=1_000, seed=SEED) as proxy:
        server.public_url = proxy.address
        server.start()
        phone = phone_command(
            "simulate", notes_file(tmp_path, count, phones), "--store", tmp_path / "phones", "--codes", codes,
            "--server", proxy.address, "--batch", "4", "--deadline", "200", "--not-encrypted",
        )  # fmt: skip
        told, _ = phone.communicate(timeout=WAIT_SECONDS_MAX)
        server.end()
        assert phone.returncode == 0, told
        assert (proxy.cut >= 8, proxy.stalled > 0, proxy.slowed > 0) == (True, True, True), vars(proxy)
    assert msgspec.json.decode(told.splitlines()[-1])["all_sent"], told
    assert stored(server.data) == (count, count)


def test_a_phone_that_is_killed_again_and_again_sends_everything_once(
    server: RealServer, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    folder, count = tmp_path / "phone", 120
    with closing(Store.create(folder, passphrase=None, accept_unencrypted=True)) as store:
        device = Device(store)
        with Transport(server.address) as transport:
            device.enrol(transport, code=server.code("okafor"), name="killed")
        for number in range(count):
            device.write(a_note(f"note {number} " + "word " * 60), note_id=f"k-{number}")
    kills = 0
    for attempt in range(60):
        phone = phone_command("sync", "--store", folder, "--json")
        try:
            # The first ones are killed while they begin, each later one a little later: on a machine of any speed
            # some die in the middle.
            phone.communicate(timeout=0.1 * 1.12**attempt * rng.uniform(0.8, 1.2))
            if phone.returncode == 0:
                break
        except subprocess.TimeoutExpired:
            phone.send_signal(signal.SIGKILL)
            phone.communicate()
            kills += 1
            if kills == 4:  # and once the server, at the same time
                server.end(signal.SIGKILL)
                server.start()
    else:
        raise AssertionError("the phone never came to its end")
    assert kills >= 3, "the phone was hardly killed: the run proves nothing"
    assert stored(server.data) == (count, count)
    with closing(Store.open(folder, passphrase=None)) as store:
        assert Device(store).status().all_sent


@pytest.mark.parametrize("off_ms", [-YEARS_3_MS, YEARS_3_MS])
def test_a_phone_whose_clock_is_three_years_off_is_heard_and_its_clock_starts_when_it_arrived(
    server: RealServer, tmp_path: Path, off_ms: int
) -> None:
    around = Surroundings(now_ms=lambda: time.time_ns() // 1_000_000 + off_ms)
    with closing(Store.create(tmp_path / "phone", passphrase=None, accept_unencrypted=True)) as store:
        device = Device(store, around)
        with Transport(server.address) as transport:
            device.enrol(transport, code=server.code("okafor"), name="another time")
            device.write(a_note("seen by somebody in another time"), note_id="t-1")
            report = Sync(device, transport, patience=QUICK).run()
        assert report.all_sent and report.problems == [], report
    database = open_store(server.data / "earlysign.db")
    try:
        received, started_at = database.read_now(
            lambda tx: tx.row("SELECT n.received_at, a.started_at FROM note n, alert a") or (0, 0)
        )
    finally:
        database.close_now()
    assert abs(received - time.time() * 1000) < 60_000
    assert abs(started_at - received) < 60_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room. Skips where one cannot be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not mounts("-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", folder):
        pytest.skip("a file system can be mounted here only by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def mounts(*arguments: str | Path) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


def test_a_full_disk_acknowledges_nothing_that_it_cannot_keep_and_drains_once_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    server = started(small_disk / "data")
    try:
        ballast = small_disk / "ballast"
        with closing(Store.create(tmp_path / "phone", passphrase=None, accept_unencrypted=True)) as store:
            device = Device(store)
            with Transport(server.address) as transport:
                device.enrol(transport, code=server.code("okafor"), name="full")
                with ballast.open("wb", buffering=0) as file:
                    fill(file.fileno())
                for number in range(60):
                    device.write(a_note(f"note {number} " + "word " * 300), note_id=f"f-{number}")
                report = Sync(device, transport, patience=QUICK).run()
                assert not report.all_sent and report.problems, report
                assert not device.status().all_sent
                acknowledged = sum(item.state is State.RECEIPTED for item in device.status().items)
                ops, notes = stored_while_full(server)
                assert acknowledged <= ops == notes
                ballast.unlink()
                assert mounts("-o", "remount,size=64m", small_disk)
                report = Sync(device, transport, patience=QUICK).run()
                assert report.all_sent and report.problems == [], report
        assert stored(server.data) == (60, 60)
        assert "Traceback" not in server.log()
    finally:
        server.end()


def fill(file: int) -> None:
    """Write until there is no room for another byte."""
    for size in (65_536, 512, 1):
        try:
            while True:
                os.write(file, b"\0" * size)
        except OSError:
            continue


def stored_while_full(server: RealServer) -> tuple[int, int]:
    """Read without writing: opening a store would want room for its log."""
    sql = "SELECT (SELECT COUNT(*) FROM op), (SELECT COUNT(*) FROM note)"
    script = f"import sqlite3; print(*sqlite3.connect('file:{server.data}/earlysign.db?mode=ro', uri=True).execute('{sql}').fetchone())"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    ops, notes = map(int, done.stdout.split())
    return ops, notes


def test_a_read_only_folder_is_one_line(small_disk: Path) -> None:
    server = started(small_disk / "data")
    server.end()
    assert mounts("-o", "remount,ro", small_disk)
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "serve", "--data", server.data, "--port", str(server.port)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done
    assert_one_line(done.stderr.splitlines())


def assert_one_line(lines: Sequence[str]) -> None:
    """An error, and perhaps a hint; no trace of the program's inside."""
    assert 1 <= len(lines) <= 2 and lines[0].startswith("Error:"), lines
