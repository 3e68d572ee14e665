"""A private PostgreSQL for the tests: in a temporary folder, on a Unix socket, gone afterwards.

Each process of a test run has one of its own. They could share one, but transactions of any
database of a server hold back `Transaction.settled` for all of them, and then one worker's tests
would see another's.

The tests' server does not fsync, for speed: killing processes loses nothing even so, because what
was written stays with the operating system. Benchmarks ask for `durable=True`: on disk, and with
plans that follow the tables as they grow, as wherever nobody turned that off.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USER = "earlysign"
START_SECONDS_MAX = 60
MUST_NOT_SKIP = "EARLYSIGN_TEST_MUST_NOT_SKIP"
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>

COMMON = {
    "listen_addresses": "",
    "max_connections": "200",
    "max_locks_per_transaction": "128",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    # Off, as a careless administrator might have it: the store must ask for it by itself.
    "synchronous_commit": "off",
}
QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # its ANALYZE is a transaction too, and would hold back `settled`
}
DURABLE = {"autovacuum_naptime": "10s"}


class NoPostgres(Exception):
    """There are no PostgreSQL server programs on this machine; the text says where was looked."""


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`: the newest of Debian's, else what PATH has."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda found: float(found.parts[-3])
    )
    if debian:
        return debian[-1].parent
    on_path = shutil.which("postgres")
    if on_path is not None:
        return Path(on_path).resolve().parent
    raise NoPostgres(
        "no PostgreSQL server programs in /usr/lib/postgresql/*/bin or on PATH "
        "(Debian: apt-get install postgresql)"
    )


def unprivileged() -> dict[str, Any]:
    """How to start a program so that PostgreSQL agrees: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise NoPostgres("PostgreSQL refuses to run as root, and there is no account postgres or nobody")


@contextmanager
def private_server(*, durable: bool = False) -> Iterator[str]:
    """Run a server of one's own; gives the folder of its socket."""
    programs = find_programs()
    account = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="earlysign-pg-"))  # short: socket paths end at 107 bytes
    server: subprocess.Popen[bytes] | None = None
    try:
        if account:
            os.chown(folder, account["user"], account["group"])
        folder.chmod(0o755)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **account,
        )
        options = {**COMMON, "unix_socket_directories": str(folder), **(DURABLE if durable else QUICK)}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (folder / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *arguments],
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,  # Ctrl-C reaches the tests, and they stop the server
                preexec_fn=end_with_parent,
                **account,
            )
        wait_until_ready(programs, folder, server)
        yield str(folder)
    finally:
        if server is not None:
            # "Fast" ends sessions and writes all that is in memory to disk; "immediate" leaves that out, and what is
            # in this folder goes anyway.
            server.send_signal(signal.SIGINT if durable else signal.SIGQUIT)
            try:
                server.wait(START_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def server_url(folder: str, database: str = "postgres") -> str:
    return f"postgresql://{USER}@/{database}?host={folder}"


def end_with_parent() -> None:
    """Ask Linux to stop the server when the test run is killed and cannot do it any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def wait_until_ready(programs: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    """Let the server's own program ask until it answers."""
    ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", folder, "-U", USER, "-t", "1"]
    for _ in range(START_SECONDS_MAX * 20):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended at once: {(folder / 'server.log').read_text()[-2000:]}")
        if subprocess.run(ready).returncode == 0:
            return
        try:
            server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise RuntimeError("PostgreSQL did not answer in time.")
