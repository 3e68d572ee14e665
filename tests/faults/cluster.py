"""A PostgreSQL that can be killed, started again, copied to a standby and promoted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.storage.postgres_server import (
    COMMON,
    QUICK,
    START_SECONDS_MAX,
    USER,
    end_with_parent,
    find_programs,
    unprivileged,
    wait_until_ready,
)

STANDBY = "standby1"


class Cluster:
    """One server with a folder of its own: its socket and its data."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self._options = {**COMMON, **QUICK, "unix_socket_directories": str(folder), **options}
        self._programs, self._account = find_programs(), unprivileged()
        self._server: subprocess.Popen[bytes] | None = None

    def run_program(self, name: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / name, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            timeout=START_SECONDS_MAX,
            **self._account,
        )

    def make_folder(self) -> None:
        self.folder.mkdir(mode=0o755)
        if self._account:
            os.chown(self.folder, self._account["user"], self._account["group"])

    def initialise(self) -> None:
        """An empty database server whose sockets are trusted, for replication as well."""
        self.make_folder()
        self.run_program(
            "initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )

    def copy_of(self, primary: Cluster) -> None:
        """A standby that follows `primary`, under the name STANDBY."""
        self.make_folder()
        source = f"host={primary.folder} user={USER} application_name={STANDBY}"
        self.run_program("pg_basebackup", "-D", self.data, "-d", source, "-R", "-X", "stream", "-c", "fast")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        arguments = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=end_with_parent,
                **self._account,
            )
        wait_until_ready(self._programs, self.folder, self._server)

    def kill(self) -> None:
        """SIGKILL the server and every process of it, as a power cut of that machine would look from outside."""
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        for pid in (self._server.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait()

    def stop_immediately(self) -> None:
        """PostgreSQL's own "immediate": every session is cut, and the next start recovers as from a crash."""
        assert self._server is not None
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(START_SECONDS_MAX)

    def promote(self) -> None:
        """Make a standby the primary; it takes writes when this returns."""
        self.run_program("pg_ctl", "promote", "-D", self.data, "-w")

    def close(self) -> None:
        if self._server is not None and self._server.poll() is None:
            self.stop_immediately()


@contextmanager
def clusters(count: int, **options: str) -> Iterator[list[Cluster]]:
    """So many clusters, not yet initialised; gone at the end."""
    above = Path(tempfile.mkdtemp(prefix="earlysign-pg-"))  # short: socket paths end at 107 bytes
    above.chmod(0o755)
    made = [Cluster(above / f"{number}", **options) for number in range(count)]
    try:
        yield made
    finally:
        for cluster in made:
            cluster.close()
        shutil.rmtree(above, ignore_errors=True)


def address(*made: Cluster, database: str = "postgres") -> str:
    """Where a server finds whichever of these takes writes."""
    hosts = ",".join(str(cluster.folder) for cluster in made)
    return f"postgresql://{USER}@/{database}?host={hosts}&target_session_attrs=read-write"
