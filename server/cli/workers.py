"""`earlysign serve --workers N`: several server processes at one address, and the parent that looks after them.

The parent opens one listening socket for each worker (Linux deals connections out among them) and keeps it open: so
what waits there when a worker dies is answered by the next one in its place. It does nothing else: no database, no
requests. A worker that dies is started again; SIGTERM lets all finish what is under way; a worker whose parent is
gone stops by itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

import structlog
from prometheus_client import multiprocess

from server.cli.common import CommandError
from server.http.metrics import SHARED_FOLDER
from server.settings import Settings

BACKLOG = 2048  # 2,000 phones at a shift's end may connect within one second
LOOK_SECONDS = 0.2
"""How soon a worker that died is noticed."""

EARLY_SECONDS = 20.0
"""A worker that ends sooner than this after its start did not come up, or not for long."""

EARLY_ENDS_MAX = 5
"""So many early ends one after another, and the fault is not one of chance: better to stop and be seen."""

STOP_SECONDS_MAX = 35.0
"""Above the 20 s that a worker gives to requests and the 15 s to jobs; a service manager kills after 40."""

log = structlog.get_logger("server.workers")


def check(settings: Settings) -> None:
    """Raise where several processes cannot share the database."""
    if settings.workers > 1 and settings.uses_sqlite:
        raise CommandError(
            "Several workers need PostgreSQL: SQLite has one writer, and one process is right for it.",
            "Set EARLYSIGN_DATABASE=postgresql://..., or leave --workers out.",
        )


def listening(host: str, port: int, count: int) -> list[socket.socket]:
    """A socket for each worker. Where the system does not deal connections out, all share one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    shared = sys.platform != "linux"
    made: list[socket.socket] = []
    for _ in range(count):
        if made and shared:
            made.append(made[0].dup())
            continue
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((host, port))
        one.listen(BACKLOG)
        made.append(one)
    return made


class _Worker:
    """One place among the workers, and the process that fills it."""

    def __init__(
        self, number: int, command: Sequence[str], listens: socket.socket, lifeline: int, counts: str
    ) -> None:
        self.number = number
        self._counts = counts
        self._command = [*command, "--worker", f"{listens.fileno()},{lifeline}"]
        self._inherits = (listens.fileno(), lifeline)
        self._began = 0.0
        self.early_ends = 0
        self.due = 0.0
        """When to start it again."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._began = time.monotonic()
        # A group of its own: Ctrl-C reaches the parent alone, which then stops all in good order.
        self.process = subprocess.Popen(
            self._command,
            pass_fds=self._inherits,
            env=os.environ | {SHARED_FOLDER: self._counts},
            process_group=0,
        )

    def look(self) -> None:
        """Notice an end, and start anew when it is time."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self.start()
        elif (code := self.process.poll()) is not None:
            self.early_ends = self.early_ends + 1 if now - self._began < EARLY_SECONDS else 0
            self.due = now + (0.25 * 2**self.early_ends if self.early_ends else 0.0)
            multiprocess.mark_process_dead(self.process.pid, self._counts)  # type: ignore[no-untyped-call]
            self.process = None
            log.error("worker ended", worker=self.number, code=code, early_ends=self.early_ends)


class Workers:
    """The parent's work: start, watch, stop."""

    def __init__(self, command: Sequence[str], sockets: Sequence[socket.socket], counts: str) -> None:
        """`counts`: a folder of their own, in which the workers add up what `/metrics` shows."""
        # Nothing is ever written to it: when the parent ends, however it ends, its workers read the end.
        self._lifeline, self._kept_open = os.pipe()
        self._workers = [
            _Worker(number, command, one, self._lifeline, counts)
            for number, one in enumerate(sockets, start=1)
        ]
        self._sockets = sockets
        self._asked = threading.Event()

    def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises CommandError where a worker does not come up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        try:
            while not self._asked.wait(LOOK_SECONDS):
                for worker in self._workers:
                    worker.look()
                    if worker.early_ends >= EARLY_ENDS_MAX:
                        raise CommandError(
                            f"Worker {worker.number} ended {EARLY_ENDS_MAX} times at its start: all are stopped.",
                            "The lines above say why; earlysign doctor looks closer.",
                        )
        finally:
            self._stop()

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()

    def _stop(self) -> None:
        for one in self._sockets:
            one.close()  # from now on nobody new: a proxy in front asks elsewhere
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("worker did not end in time", pid=process.pid)
                process.kill()
                process.wait()


def supervise(settings: Settings) -> None:
    """Run the workers at the address of the settings until told to stop."""
    sockets = listening(settings.host, settings.port, settings.workers)
    # What `--data`, `--host` and `--port` said reaches the workers as settings do.
    command = [sys.executable, "-m", "server.cli", "serve", "--data", str(settings.data)]
    command += ["--host", settings.host, "--port", str(settings.port), "--workers", str(settings.workers)]
    with tempfile.TemporaryDirectory(prefix="earlysign-counts-") as counts:
        Workers(command, sockets, counts).run()


def inherited(text: str, parent_gone: Callable[[], None]) -> socket.socket:
    """In a worker: the socket that the parent handed on; `parent_gone` is called when the parent has ended."""
    listens, lifeline = map(int, text.split(","))

    def wait() -> None:
        os.read(lifeline, 1)
        parent_gone()

    threading.Thread(target=wait, daemon=True, name="earlysign-lifeline").start()
    return socket.socket(fileno=listens)
