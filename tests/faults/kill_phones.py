"""Phones are killed with SIGKILL while they write and while they sync, and the server with them; then all drains.

The phones are `earlysign-device` as officers run it: every command a process of its own, a note written while a sync
is under way. What a phone has said to be kept is acknowledged: none of it may be lost, or be there twice
(invariants 1, 2, 12 and 15 of the protocol).
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec

from client_stub.store import Store as PhoneStore
from server.access import devices, people
from server.audit import Actor
from server.clock import now_ms
from server.storage import Transaction, open_store
from sync.outbox import sync_state
from tests.bench.setting import database_with, free_port
from tests.faults.killing import Killer

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS_MAX = 120
SYNCS_MAX = 6
"""Syncs of a phone that nobody disturbs, until everything must be there."""
CODE_MS = 600_000


class Found(msgspec.Struct, kw_only=True):
    """What a run came to. `acknowledged`: notes that a command said to have kept; `kept`: those on phones' disks."""

    kills: int = 0
    server_kills: int = 0
    acknowledged: int = 0
    kept: int = 0
    in_ledger: int = 0
    notes: int = 0
    missing: int = 0
    set_aside: int = 0
    waiting: int = 0

    @property
    def whole(self) -> bool:
        """Nothing lost, nothing twice, nothing left."""
        lost = self.missing or self.waiting or self.set_aside or self.kept < self.acknowledged
        return not lost and self.kept == self.in_ledger == self.notes


class Phone:
    """One officer with a phone. Each command is a process."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.acknowledged: list[str] = []
        self.kills = 0
        self.command_seconds = 1.0
        """How long a command takes here and now: kills are drawn over that, so that they fall into its work."""

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "client_stub", command[0], "--store", str(self.folder), *command[1:]],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def end(self, running: subprocess.Popen[bytes], *, kill: bool) -> tuple[bytes, int]:
        """What it said and how it ended; `kill`: after a part of the time that it needs, or a little more."""
        if kill:
            try:
                running.wait(self.rng.uniform(0.3, 1.1) * self.command_seconds)
            except subprocess.TimeoutExpired:
                running.kill()
                self.kills += 1
        said, _ = running.communicate(timeout=COMMAND_SECONDS_MAX)
        return said, running.returncode

    def enrol(self, address: str, code: str) -> None:
        began = time.monotonic()
        running = self.begin("enrol", "--server", address, "--code", code, "--not-encrypted")
        assert self.end(running, kill=False)[1] == 0, "the phone could not be enrolled"
        self.command_seconds = time.monotonic() - began

    def writes(self, number: int) -> subprocess.Popen[bytes]:
        return self.begin(
            "note", "--given-names", "Jay", "--age", "13", "--saw", f"Alone, {number}", "--json"
        )

    def wrote(self, running: subprocess.Popen[bytes], *, kill: bool) -> None:
        """What it said before it was killed is a promise."""
        said, _ = self.end(running, kill=kill)
        if said.endswith(b"\n"):
            self.acknowledged.append(msgspec.json.decode(said)["id"])

    def shift(self, rounds: int) -> None:
        """Write, sync and write meanwhile; most of it is killed somewhere."""
        for number in range(rounds):
            self.wrote(self.writes(number), kill=self.rng.random() < 0.5)
            syncing = self.begin("sync", "--tries", "2")
            meanwhile = self.writes(rounds + number)
            self.wrote(meanwhile, kill=self.rng.random() < 0.3)
            self.end(syncing, kill=self.rng.random() < 0.8)

    def drain(self) -> None:
        for _ in range(SYNCS_MAX):
            if self.end(self.begin("sync"), kill=False)[1] == 0:
                return


def run(rounds: int, phones: int, seed: int, *, server_rounds: int = 2) -> Found:
    """So many phones at once, each for so many rounds; the server is killed so many times meanwhile."""
    folder = database_with(200)
    try:
        port = free_port()
        crew = [Phone(folder / f"phone-{number}", random.Random(seed + number)) for number in range(phones)]
        codes = _codes(folder, phones)
        killer = Killer(folder, port, server_rounds, random.Random(seed))
        try:
            with ThreadPoolExecutor(phones) as pool:
                list(pool.map(lambda phone, code: phone.enrol(f"http://127.0.0.1:{port}", code), crew, codes))
                killer.start()
                list(pool.map(lambda phone: phone.shift(rounds), crew))
                killer.finished.set()
                killer.join()
                list(pool.map(lambda phone: phone.drain(), crew))
        finally:
            killer.stop()
        return _found(folder, crew, killer.kills)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _codes(folder: Path, phones: int) -> list[str]:
    store, now, actor = open_store(folder / "earlysign.db"), now_ms(), Actor("system", "tests")

    def add(tx: Transaction) -> list[str]:
        for number in range(phones):
            people.add(
                tx, username=f"officer{number}", name=f"PC {number}", role="ward_officer", borough="E09000022",
                password_hash="!", must_change=False, actor=actor, now=now,
            )  # fmt: skip
        return [
            devices.make_code(tx, f"officer{number}", ward="E05000416", now=now, lifetime_ms=CODE_MS)
            for number in range(phones)
        ]

    try:
        return store.write_now(add)
    finally:
        store.close_now()


def _found(folder: Path, crew: list[Phone], server_kills: int) -> Found:
    found = Found(server_kills=server_kills)
    promised: set[str] = set()
    for phone in crew:
        found.kills += phone.kills
        promised.update(phone.acknowledged)
        with closing(PhoneStore.open(phone.folder, passphrase=None)) as store:
            state = sync_state(store.all_entries())
            found.kept += len(store.all_entries())
            found.waiting += state.waiting + state.unconfirmed
    found.acknowledged = len(promised)
    server = open_store(folder / "earlysign.db")
    try:
        ops, notes, set_aside = server.read_now(
            lambda tx: (
                tx.value("SELECT COUNT(*) FROM op"),
                {note_id for (note_id,) in tx.rows("SELECT note_id FROM note")},
                tx.value("SELECT COUNT(*) FROM quarantine"),
            )
        )
    finally:
        server.close_now()
    found.in_ledger, found.notes, found.set_aside = ops, len(notes), set_aside
    found.missing = len(promised - notes)
    return found
