"""The phone against the real server, each a process of its own: they share nothing but `sync/` and the wire."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from client_stub import leaving, simulator
from client_stub.conversation import Patience, Report
from client_stub.device import Device, Surroundings
from client_stub.lending import Lending
from client_stub.simulator import Entry, Line, Phone
from client_stub.store import Store, wiped_at
from client_stub.syncing import Sync
from client_stub.transport import Refused, Transport
from sync.note import Amendment, Withdrawal
from tests.client_stub.kit import WHEN, a_note

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
START_S_MAX = 60
QUICK = Patience(base_ms=10, cap_ms=200, tries_max=10)


class RealServer:
    """`earlysign serve` over a folder; it can be killed and started again on the same port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.public_url = ""
        """Where phones come to, if that is another address."""
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "server.cli", *arguments, "--data", str(self.data)],
            cwd=ROOT, env=self._environment(), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.strip()

    def start(self) -> None:
        with (self.data / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server.cli", "serve", "--data", str(self.data), "--port", str(self.port)],
                cwd=ROOT, env=self._environment(), stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_S_MAX
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.address + "/api/sync/hello", timeout=5)
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.data / "server.log").read_text()[-3000:])
            time.sleep(0.05)

    def end(self, how: int = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=60)

    def code(self, officer: str, ward: str | None = None) -> str:
        where = () if ward is None else ("--ward", ward)
        return self.command("devices", "enrol-code", "--officer", officer, "--plain", *where)

    def log(self) -> str:
        return (self.data / "server.log").read_text()

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "EARLYSIGN_PORT": str(self.port),
            "EARLYSIGN_PUBLIC_URL": self.public_url,
            "EARLYSIGN_JOBS": "0",
            "NO_COLOR": "1",
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    real = RealServer(tmp_path_factory.mktemp("server"))
    for officer, borough in (("okafor", "E09000028"), ("rivera", "E09000022")):
        real.command("people", "add", officer, "--role", "schools_officer", "--borough", borough)
    real.start()
    yield real
    real.end()


def phone(server: RealServer, folder: Path, officer: str, around: Surroundings | None = None) -> Device:
    device = Device(Store.create(folder, passphrase=None, accept_unencrypted=True), around)
    with Transport(server.address) as transport:
        device.enrol(transport, code=server.code(officer), name="test phone")
    return device


def sync_once(server: RealServer, device: Device) -> Report:
    with Transport(server.address) as transport:
        return Sync(device, transport, patience=QUICK).run()


def own_notes(device: Device) -> set[str]:
    return set(device.status().became)


def test_a_note_written_with_no_signal_arrives_and_comes_back_to_its_author(
    server: RealServer, tmp_path: Path
) -> None:
    device = phone(server, tmp_path / "p", "okafor")
    assert device.enrolled().user == "okafor"
    note_id = device.write(a_note())
    device.amend(note_id, Amendment(recorded_at=WHEN, reason="more", text="His mother called."))
    report = sync_once(server, device)
    assert report.all_sent and report.problems == [] and report.receipted == 2
    assert note_id in own_notes(device)
    device.withdraw(note_id, Withdrawal(recorded_at=WHEN, reason="wrong child"))
    report = sync_once(server, device)
    assert report.all_sent and report.problems == []
    assert {item.outcome for item in device.status().items} == {"applied"}
    device.store.close()


def test_over_a_bad_line_every_note_is_received_once_and_can_be_pulled(
    server: RealServer, tmp_path: Path
) -> None:
    phones = [
        Phone(folder=tmp_path / str(n), code=server.code("rivera"), server=server.address) for n in range(3)
    ]
    entries = [Entry(id=f"bad-line-{n}", note=a_note(f"note {n} " + "word " * 40)) for n in range(60)]
    summary = simulator.rehearse(
        phones,
        simulator.deal(entries, len(phones)),
        Line(cut=0.4, repeat=0.4, seed=11, ops_per_push=5),
        passphrase=None,
        accept_unencrypted=True,
        deadline_s=90,
    )
    assert summary.all_sent and summary.problems == [] and summary.quarantined == 0, summary
    assert summary.cuts > 0 and summary.repeats > 0
    other = phone(server, tmp_path / "other", "rivera")
    assert sync_once(server, other).problems == []
    assert own_notes(other) == {f"bad-line-{n}" for n in range(60)}
    other.store.close()


def test_a_phone_whose_clock_is_a_day_off_is_corrected(server: RealServer, tmp_path: Path) -> None:
    around = Surroundings(now_ms=lambda: time.time_ns() // 1_000_000 - 86_400_000)
    device = phone(server, tmp_path / "p", "okafor", around)
    device.write(a_note())
    assert sync_once(server, device).all_sent
    assert abs(int(device.store.get("clock_offset_ms") or 0) - 86_400_000) < 60_000
    device.store.close()


def test_a_wrong_code_is_refused_with_a_hint(server: RealServer, tmp_path: Path) -> None:
    device = Device(Store.create(tmp_path / "p", passphrase=None, accept_unencrypted=True))
    with Transport(server.address) as transport, pytest.raises(Refused) as caught:
        device.enrol(transport, code="0000-0000-0000-0000", name="x")
    assert "code" in str(caught.value) and "enrol-code" in caught.value.hint
    device.store.close()


def test_what_the_server_sets_aside_is_named_and_does_not_hold_up_the_rest(
    server: RealServer, tmp_path: Path
) -> None:
    device = phone(server, tmp_path / "p", "okafor")
    written = {"observed_at": (at := datetime.datetime.now(datetime.UTC)), "recorded_at": at}
    first = device.write(a_note("first", **written))
    device.write(a_note("the same id again", **written), note_id=first)
    last = device.write(a_note("last", **written))
    report = sync_once(server, device)
    assert report.all_sent and report.problems == []
    assert [(item.outcome, item.code) for item in device.status().items] == [
        ("applied", None),
        ("quarantined", "entity_taken"),
        ("applied", None),
    ]
    assert {first, last} <= own_notes(device)
    device.store.close()


def test_a_number_that_another_installation_used_makes_the_phone_start_anew(
    server: RealServer, tmp_path: Path
) -> None:
    device = phone(server, tmp_path / "p", "okafor")
    lost = device.write(a_note("sent by the twin"))
    sync_once(server, device)
    with device.store.transaction():  # as a restored backup of before that note would be
        device.store.run("DELETE FROM outbox")
    note_id = device.write(a_note("written after the restore"))
    report = sync_once(server, device)
    assert report.all_sent and report.problems == [], report
    assert {lost, note_id} <= own_notes(device)
    assert len({item.epoch for item in device.store.items()}) == 2
    device.store.close()


def test_a_revoked_phone_hands_in_what_it_holds_and_is_wiped(server: RealServer, tmp_path: Path) -> None:
    device = phone(server, tmp_path / "p", "okafor")
    device.write(a_note("before"))
    sync_once(server, device)
    device.write(a_note("after it was lost"))
    server.command("devices", "revoke", device.enrolled().device_id, "--yes")
    report = sync_once(server, device)
    assert report.wiped and report.problems == []
    assert wiped_at(tmp_path / "p") is not None and not (tmp_path / "p" / "outbox.db").exists()


def test_a_phone_that_is_wiped_by_hand_is_shown_so_and_a_copy_of_it_is_wiped_too(
    server: RealServer, tmp_path: Path
) -> None:
    device = phone(server, tmp_path / "p", "okafor")
    device_id = device.enrolled().device_id
    device.write(a_note())
    sync_once(server, device)
    with Transport(server.address) as transport:
        shutil.copytree(tmp_path / "p", tmp_path / "copy")
        assert leaving.wipe(device, transport)
    assert "wiped" in server.command("devices", "list")
    copied = Device(Store.open(tmp_path / "copy", passphrase=None))
    assert sync_once(server, copied).wiped
    assert "reads nothing either" in server.command("devices", "revoke", device_id, "--yes")


def test_killed_in_the_middle_and_started_again_the_server_has_everything_once(
    server: RealServer, tmp_path: Path
) -> None:
    phones = [
        Phone(folder=tmp_path / str(n), code=server.code("okafor"), server=server.address) for n in range(4)
    ]
    entries = [Entry(id=f"killed-{n}", note=a_note(f"note {n}")) for n in range(200)]
    received = threading.Event()
    seen = itertools.count(1)

    def watch(_written: int, receipted: int) -> None:
        if receipted and next(seen) >= 4:
            received.set()

    summaries = []

    def go() -> None:
        summaries.append(
            simulator.rehearse(
                phones, simulator.deal(entries, len(phones)), Line(seed=5, ops_per_push=4), passphrase=None,
                accept_unencrypted=True, deadline_s=90, progress=watch,
            )
        )  # fmt: skip

    thread = threading.Thread(target=go)
    thread.start()
    assert received.wait(60)
    server.end(signal.SIGKILL)
    server.start()
    thread.join(100)
    (summary,) = summaries
    assert summary.all_sent and summary.receipted == 200 and summary.problems == [], summary
    other = phone(server, tmp_path / "other", "okafor")
    assert sync_once(server, other).problems == []
    assert {name for name in own_notes(other) if name.startswith("killed-")} == {
        f"killed-{n}" for n in range(200)
    }
    other.store.close()


def test_a_server_that_comes_back_from_a_backup_is_sent_what_phones_still_hold(tmp_path: Path) -> None:
    server = RealServer(tmp_path / "server")
    server.data.mkdir()
    server.command("people", "add", "okafor", "--role", "schools_officer", "--borough", "E09000028")
    server.start()
    try:
        device = phone(server, tmp_path / "p", "okafor")
        before = device.write(a_note("before the backup"))
        assert sync_once(server, device).all_sent
        server.command("backup", "--to", str(tmp_path / "backups"))
        after = device.write(a_note("after the backup"))
        assert sync_once(server, device).all_sent
        server.end(signal.SIGKILL)
        (made,) = (tmp_path / "backups").iterdir()
        assert "Moved aside" in server.command("restore", str(made), "--replace")
        server.start()
        report = sync_once(server, device)
        # Both: what the phone still holds goes again, also where the backup has it.
        assert report.all_sent and report.problems == [] and report.receipted == 2
        assert own_notes(device) == {before, after}
        device.store.close()
    finally:
        server.end()


def test_no_name_and_no_text_of_a_note_is_in_the_servers_log(server: RealServer) -> None:
    log = server.log()
    for word in ("Jay", "Peckham", "His mother", "after it was lost"):
        assert word not in log


def test_a_briefing_is_lent_erased_when_its_time_is_over_and_a_wipe_is_acknowledged(
    server: RealServer, tmp_path: Path
) -> None:
    moved = 0
    around = Surroundings(monotonic_ms=lambda: 1_000 + moved, boot_id=lambda: "boot")
    device = Device(Store.create(tmp_path / "phone", passphrase=None, accept_unencrypted=True), around)
    with Transport(server.address) as transport:
        device.enrol(transport, code=server.code("okafor", "E05011095"), name="lent to")
    device.write(a_note("Seen alone again", danger_now=True))
    sync_once(server, device)
    assert device.status().children_held == 0, "a sync alone begins no lease"
    with Transport(server.address) as transport:
        report = Sync(device, transport, patience=QUICK, begin_lease=True).run()
    assert report.problems == []
    (child,) = Lending(device).briefing()
    assert (child.told["first_name"], child.told["grade"]) == ("Jay", "red")
    assert child.borough["name"] == "Southwark"
    identity = device.enrolled().device_id
    assert "not known" in server.command("devices", "holdings", identity)
    moved = 11 * 3_600_000
    until = device.status().lease_until
    assert Lending(device).erase_if_over() == 1 and device.status().children_held == 0
    # By the server's clock the shift goes on, so what a wrong clock erased is lent again, and no longer than before.
    sync_once(server, device)
    assert (device.status().children_held, device.status().lease_until) == (1, until)
    device.write(a_note("The last before the wipe"))
    server.command("devices", "wipe", identity, "--yes")
    assert sync_once(server, device).wiped
    assert "wiped" in server.command("devices", "list", "--officer", "okafor")
    assert "No child was on that phone" in server.command("devices", "holdings", identity)
