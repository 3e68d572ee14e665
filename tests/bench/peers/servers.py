"""The peers, each started as its users would. How a client speaks to each is in `dialects.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import msgspec

from tests.bench.peers import environment
from tests.bench.peers.dialects import Dialect, Kinto, Ours, Plain, Pouch, Rx
from tests.bench.push_postgres import execute
from tests.bench.setting import Phone, database_with, enrol_phones, free_port, running_server
from tests.storage.postgres_server import server_url

START_SECONDS_MAX = 60


class Running(msgspec.Struct, frozen=True):
    """A server that runs: where, its process, others that work for it, and how one speaks to it.

    `phones`: those that are enrolled, where the server knows its clients; each of them pulls what is its own.
    """

    address: str
    pid: int
    helpers: tuple[int, ...]
    dialect: Dialect
    phones: Sequence[Phone] = ()


Start = Callable[[int], AbstractContextManager[Running]]
"""Starts a server anew, empty, for so many clients."""


class Peer(msgspec.Struct, frozen=True):
    """A server to measure. `durable`: what it acknowledges is on disk by then. `share`: how much of the work it is
    given; its rates are for one second all the same."""

    name: str
    durable: bool
    start: Start
    share: float = 1.0


def never(clients: int) -> AbstractContextManager[Running]:
    """Stands for a server of which everything was measured before."""
    raise SystemExit("This peer was measured before and is not started again. Use --again.")


@contextmanager
def _process(
    command: Sequence[object], address: str, folder: Path, variables: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers at `address`, ended afterwards."""
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | (variables or {}),
        )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"A peer did not start: {(folder / 'peer.log').read_text()[-500:]}")
            try:
                httpx.get(address)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def _folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="earlysign-peer-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def pouchdb_server(clients: int) -> Iterator[Running]:
    """pouchdb-server in memory: its store on disk needs a compiler."""
    port, npm = free_port(), environment.npm()
    address = f"http://127.0.0.1:{port}"
    program = npm / "node_modules" / "pouchdb-server" / "bin" / "pouchdb-server"
    options = ("--in-memory", "--no-stdout-logs", "--host", "127.0.0.1", "--port", str(port))
    with _folder() as folder, _process([environment.node(), program, *options], address, folder) as process:
        httpx.put(f"{address}/concern").raise_for_status()
        yield Running(address, process.pid, (), Pouch())


@contextmanager
def rxdb_server(clients: int) -> Iterator[Running]:
    """rxdb-server over rxdb's storage in memory."""
    port, npm = free_port(), environment.npm()
    address = f"http://127.0.0.1:{port}"
    command = [environment.node(), npm / "rxdb_server.mjs", str(port)]
    with _folder() as folder, _process(command, address, folder) as process:
        yield Running(address, process.pid, (), Rx())


@contextmanager
def fastapi_sqlmodel(clients: int) -> Iterator[Running]:
    """FastAPI and SQLModel on SQLite under uvicorn."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with _folder() as folder:
        shutil.copy(environment.HERE / "fastapi_store.py", folder)
        command = [environment.python(), "-m", "uvicorn", "fastapi_store:app", "--port", str(port),
                   "--log-level", "warning"]  # fmt: skip
        variables = {"PEER_DATABASE": str(folder / "peer.db")}
        with _process(command, address, folder, variables) as process:
            yield Running(address, process.pid, (), Plain())


KINTO_SETTINGS = """
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
threads = 8
[app:main]
use = egg:kinto
kinto.userid_hmac_secret = bench
multiauth.policies = basicauth
multiauth.policy.basicauth.use = kinto.core.authentication.BasicAuthAuthenticationPolicy
kinto.storage_backend = kinto.core.storage.postgresql
kinto.permission_backend = kinto.core.permission.postgresql
kinto.cache_backend = kinto.core.cache.memory
kinto.storage_url = {database}
kinto.permission_url = {database}
kinto.batch_max_requests = 50
kinto.paginate_by = 500
"""


def kinto(postgres: str, postmaster: int) -> Start:
    """Kinto on PostgreSQL, whose socket is in the folder `postgres`."""

    @contextmanager
    def start(clients: int) -> Iterator[Running]:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        _forget(postgres, "kinto")
        execute(postgres, "CREATE DATABASE kinto")
        with _folder() as folder:
            settings = KINTO_SETTINGS.format(port=port, database=server_url(postgres, "kinto"))
            (folder / "kinto.ini").write_text(settings)
            program = [environment.python().parent / "kinto"]
            subprocess.run(
                [*program, "migrate", "--ini", "kinto.ini"], cwd=folder, check=True, capture_output=True
            )
            command = [*program, "start", "--ini", "kinto.ini", "--port", str(port)]
            with _process(command, f"{address}/v1/", folder) as process:
                for path in ("/v1/buckets/bench", "/v1/buckets/bench/collections/concern"):
                    httpx.put(address + path, auth=("bench", "bench")).raise_for_status()
                yield Running(address, process.pid, (postmaster,), Kinto())
        _forget(postgres, "kinto")

    return start


def _forget(postgres: str, database: str) -> None:
    """Drop a database, so that PostgreSQL does not tidy it up while the next server is measured."""
    execute(postgres, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def ours_on_sqlite(children: int) -> Start:
    """The whole road on SQLite, with so many known children."""

    @contextmanager
    def start(clients: int) -> Iterator[Running]:
        folder = database_with(children)
        try:
            phones = enrol_phones(folder, clients)
            with running_server(folder) as (address, process):
                yield Running(address, process.pid, (), Ours(phones), phones)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return start


def ours_on_postgres(postgres: str, postmaster: int) -> Start:
    """The same on PostgreSQL; the known children are in its database `registry`."""

    @contextmanager
    def start(clients: int) -> Iterator[Running]:
        _forget(postgres, "run")
        execute(postgres, "CREATE DATABASE run TEMPLATE registry")
        database = server_url(postgres, "run")
        phones = enrol_phones(database, clients)
        with _folder() as folder, running_server(folder, database=database) as (address, process):
            yield Running(address, process.pid, (postmaster,), Ours(phones), phones)
        _forget(postgres, "run")

    return start
