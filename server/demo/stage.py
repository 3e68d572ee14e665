"""The stage: the demo's folder, the database with registry, outlines, people and codes, before the server runs.

It calls what `earlysign import-children`, `import-areas`, `people add` and `devices enrol-code` call.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from server.access import devices, people
from server.access.passwords import Passwords
from server.access.policy import load_policy
from server.audit import Actor
from server.casework.areas import parse_geojson
from server.clock import now_ms
from server.demo.cast import OFFICERS, Who
from server.demo.drill import drill_pack
from server.demo.outlines import outlines_geojson
from server.demo.population import CSV_COLUMNS, SyntheticChild, csv_row
from server.demo.processes import DemoError
from server.importing import Imported, Progress, import_registry
from server.records import reference
from server.storage import Store, Transaction, open_store

MARKER = "made-by-earlysign-demo"
CODE_LIFETIME_MS = 15 * 60_000
PROGRESS_EVERY = 500
ACTOR = Actor("system", "command:demo")


class Folder:
    """Where everything of one demo lies. It is made anew each time."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.registry = self.root / "registry.csv"
        self.outlines = self.root / "outlines.geojson"
        self.rules = self.root / "rules.toml"
        self.sign_in = self.root / "sign-in.txt"
        self.data = self.root / "server"
        self.database = self.data / "earlysign.db"
        self.server_log = self.root / "server.out"
        self.phones = self.root / "phones"

    @contextlib.contextmanager
    def made_anew(self) -> Iterator[None]:
        """Remove what an earlier demo left, and keep another demo out while this one runs. Raises DemoError."""
        marker = self.root / MARKER
        if self.root.exists() and not marker.exists() and any(self.root.iterdir()):
            raise DemoError(
                f"{self.root} holds something that no demo has made.",
                "Move it, or choose another with --folder.",
            )
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with marker.open("a") as lock:
            if not _locked(lock):
                raise DemoError(
                    "Another demo runs in this folder.", "Stop it, or choose another with --folder."
                )
            for thing in self.root.iterdir():
                if thing == marker:
                    continue
                if thing.is_dir():
                    shutil.rmtree(thing)
                else:
                    thing.unlink()
            self.phones.mkdir(mode=0o700)
            self.data.mkdir(mode=0o700)
            yield


def _locked(file: IO[str]) -> bool:
    """Take the lock that ends with this process. True where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_files(folder: Folder, registry: Sequence[SyntheticChild]) -> None:
    """The files that the server is given: registry, outlines, rules."""
    import csv

    with folder.registry.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(CSV_COLUMNS)
        rows.writerows(csv_row(child) for child in registry)
    folder.outlines.write_bytes(outlines_geojson())
    folder.rules.write_text(drill_pack(), encoding="utf-8")


def open_database(folder: Folder) -> Store:
    """The server's database, brought up to date."""
    store = open_store(folder.database)
    store.migrate()
    return store


def load_registry(store: Store, folder: Folder, progress: Progress) -> Imported:
    """Import the registry, as `earlysign import-children` does."""
    return import_registry(store, folder.registry, now=now_ms(), progress=progress)


def load_outlines(store: Store, folder: Folder) -> int:
    """Import the outlines, as `earlysign import-areas` does; how many there are."""
    areas = list(parse_geojson(folder.outlines.read_bytes()))
    store.write_now(lambda tx: reference.replace_areas(tx, areas, now=now_ms()))
    return len(areas)


def add_people(store: Store, everybody: Sequence[Who], password: str) -> None:
    """Give everybody an account, all with this password; officers on foot get one that nobody knows."""
    policy = load_policy(None, None)
    passwords = Passwords(at_once=1)
    hashed = passwords.hash_now(password)
    passwords.close()
    for who in everybody:
        people.check_new_person(
            policy, username=who.username, name=who.name, role=who.role, borough=who.borough, unit=who.unit
        )
    store.write_now(lambda tx: _add_all(tx, everybody, hashed))


def _add_all(tx: Transaction, everybody: Sequence[Who], hashed: str) -> None:
    now = now_ms()
    for who in everybody:
        people.add(
            tx,
            username=who.username,
            name=who.name,
            role=who.role,
            borough=who.borough,
            unit=who.unit,
            password_hash="!" if who in OFFICERS else hashed,
            must_change=False,
            actor=ACTOR,
            now=now,
        )


def make_codes(store: Store, officers: Sequence[Who]) -> list[str]:
    """A one-time code for each officer's phone."""
    now = now_ms()

    def work(tx: Transaction) -> list[str]:
        return [
            devices.make_code(tx, who.username, ward=who.ward, now=now, lifetime_ms=CODE_LIFETIME_MS)
            for who in officers
        ]

    return store.write_now(work)
