"""What benches share: a database with known children, enrolled phones, and notes ready to be sent.

Phones are put into the database directly (their keys have nothing to do with what is measured); everything
measured goes over HTTP to a server in a process of its own.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import msgspec

from client_stub.keys import new_private_key, public_jwk
from server.access import devices, people
from server.access.assertions import Claims
from server.audit import Actor
from server.clock import now_ms
from server.demo.describe import as_subject, describe
from server.demo.phrases import note_texts
from server.demo.places import boroughs
from server.demo.population import population, write_registry_csv
from server.demo.strata import Quality
from server.importing import import_registry
from server.storage import Transaction, open_store
from sync.envelope import join_lines
from sync.note import Note, Place
from sync.operations import Kind, freeze
from sync.vocabulary import Category

SEED = 20261123
TOKEN_MS = 12 * 3_600_000
START_SECONDS_MAX = 60

_CATEGORIES = (Category.NEGLECT, Category.MISSING, Category.CCE, Category.KNIFE, Category.SCHOOL_ABSENCE,
               Category.DOMESTIC_ABUSE_HOUSEHOLD, Category.MENTAL_HEALTH, Category.BULLYING)  # fmt: skip


class Phone(msgspec.Struct, frozen=True):
    """An enrolled phone with a token."""

    device_id: str
    username: str
    token: str


def database_with(children: int) -> Path:
    """A folder whose SQLite database holds the synthetic registry; made once for each size and copied.

    Made anew when the code that decides what is stored has changed.
    """
    version = hashlib.sha256(b"".join(path.read_bytes() for path in _decides_what_is_stored())).hexdigest()[
        :12
    ]
    kept = Path(tempfile.gettempdir()) / f"earlysign-bench-{os.getuid()}" / f"registry-{children}-{version}"
    if not (kept / "done").exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True, mode=0o700)
        write_registry_csv(kept / "known.csv", SEED, children)
        store = open_store(kept / "earlysign.db")
        store.migrate()
        import_registry(store, kept / "known.csv", now=now_ms())
        store.close_now()
        (kept / "done").touch()
    folder = Path(tempfile.mkdtemp(prefix="earlysign-bench-"))
    shutil.copy(kept / "earlysign.db", folder / "earlysign.db")
    # What of a copy is still on its way to the disk, commits would have to wait for: of two million children, seconds.
    with (folder / "earlysign.db").open("rb") as copied:
        os.fsync(copied.fileno())
    return folder


def _decides_what_is_stored() -> list[Path]:
    server = Path(__file__).parents[2] / "server"
    folders = (server / "linkage", server / "demo", server / "records", server / "storage" / "migrations")
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".py", ".sql", ".toml", ".txt")
    )


def enrol_phones(database: Path | str, count: int) -> list[Phone]:
    """Put officers and their phones into the database (a folder, or a PostgreSQL address), spread over the
    boroughs."""
    store = open_store(database / "earlysign.db" if isinstance(database, Path) else database)
    codes = list(boroughs())
    try:
        return [store.write_now(_enrolling(index, codes[index % len(codes)])) for index in range(count)]
    finally:
        store.close_now()


def _enrolling(index: int, borough: str) -> Callable[[Transaction], Phone]:
    now, actor, username = now_ms(), Actor("system", "bench"), f"officer{index}"

    def enrol(tx: Transaction) -> Phone:
        people.add(
            tx, username=username, name=f"Officer {index}", role="ward_officer", borough=borough,
            password_hash="!", must_change=False, actor=actor, now=now,
        )  # fmt: skip
        code = devices.make_code(tx, username, ward=f"E0500{index:04}", now=now, lifetime_ms=60_000)
        jwk = public_jwk(new_private_key())
        enrolled = devices.enrol(tx, code, jwk, name="bench", app_version=None, now=now)
        claims = Claims(device_id=enrolled.device_id, jti=secrets.token_hex(8), expires_at_ms=now)
        token = devices.issue_token(tx, claims, now=now, lifetime_ms=TOKEN_MS, keep_ms=0)
        return Phone(enrolled.device_id, username, token)

    return enrol


def pushes(phones: Sequence[Phone], notes: int, per_push: int, children: int) -> list[tuple[Phone, bytes]]:
    """The bodies of pushes, dealt to the phones in turn: `notes` notes about the first `children` of the registry."""
    rng = Random(SEED)
    known = list(population(SEED, children))
    places = list(boroughs().values())
    newest = datetime.datetime.now(datetime.UTC)
    seqs = dict.fromkeys((phone.device_id for phone in phones), 0)
    made = []
    for index in range(notes // per_push):
        phone = phones[index % len(phones)]
        lines = []
        for _ in range(per_push):
            seqs[phone.device_id] += 1
            description = describe(rng.choice(known), rng, Quality.MIXED)
            category, place = rng.choice(_CATEGORIES), rng.choice(places)
            texts = note_texts(category, rng)
            at = newest - datetime.timedelta(minutes=rng.randrange(8 * 60))
            note = Note(
                observed_at=at,
                recorded_at=at,
                category=category,
                saw_or_heard=texts.saw_or_heard,
                assessment=texts.assessment,
                voice_of_child=texts.voice_of_child,
                demeanour=texts.demeanour,
                danger_now=rng.random() < 0.02,
                found_at=Place(latitude=place.latitude, longitude=place.longitude, accuracy_m=20),
                subjects=(as_subject(description),),
            )
            lines.append(
                freeze(
                    device=phone.device_id,
                    epoch="bench",
                    seq=seqs[phone.device_id],
                    user=phone.username,
                    kind=Kind.NOTE_WRITE,
                    entity_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
                    body=note,
                )
            )
        made.append((phone, join_lines(lines)))
    return made


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_server(
    folder: Path, port: int, *command: str, database: str = "", workers: int = 1
) -> subprocess.Popen[bytes]:
    """Start the server on this folder and wait until it is ready. `command` replaces `-m server.cli`; `database`
    is an address of PostgreSQL in place of the folder's SQLite."""
    started = subprocess.Popen(
        [
            sys.executable,
            *(command or ("-m", "server.cli")),
            "serve",
            "--data",
            str(folder),
            "--port",
            str(port),
            *(("--workers", str(workers)) if workers > 1 else ()),
        ],
        env=os.environ | {"EARLYSIGN_LOG_LEVEL": "warning", "EARLYSIGN_DATABASE": database},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", started)
    except BaseException:
        started.kill()  # or it would outlive whoever wanted it
        raise
    return started


@contextmanager
def running_server(
    folder: Path, *command: str, database: str = "", workers: int = 1
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The server as a process of its own on this folder: (address, process)."""
    port = free_port()
    started = start_server(folder, port, *command, database=database, workers=workers)
    try:
        yield f"http://127.0.0.1:{port}", started
    finally:
        if started.poll() is None:
            started.terminate()
            started.wait(timeout=60)


def wait_until_ready(address: str, started: subprocess.Popen[bytes]) -> None:
    """Return when the server there answers. Ends the bench where it does not."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if started.poll() is not None:
            raise SystemExit(f"The server ended at once with code {started.returncode}.")
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"The server was not ready within {START_SECONDS_MAX} s.")
