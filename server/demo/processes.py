"""The processes of the demo: the server and the phones, none of which outlives it.

Phones and server share nothing with this process but files and the wire. Settings in the caller's environment
are taken away, so that the demo is the same everywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

HOST = "127.0.0.1"
PORTS_TRIED_MAX = 20
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 25.0
"""A little more than the server's own grace."""

LOG_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1


class DemoError(Exception):
    """The demo cannot go on. The message says what failed; `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any setting of Earlysign, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EARLYSIGN_")}
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(more)


def free_port(wanted: int) -> int:
    """`wanted`, or one of the next few, or any that is free."""
    for port in (*range(wanted, min(wanted + PORTS_TRIED_MAX, 65_536)), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("No port is free on this machine.", "Close some programs that listen, and try again.")


class Processes:
    """Everything that was started. `stop` ends what still runs, however the demo ends."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], out: Path, typed: bytes = b""
    ) -> subprocess.Popen[bytes]:
        """Start `python -m ARGUMENTS`; what it prints goes to the file `out`, its errors beside it."""
        with out.open("wb") as printed, out.with_suffix(".err").open("wb") as errors:
            started = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=clean_environment(environment),
                stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
                stdout=printed,
                stderr=errors,
                start_new_session=True,  # Ctrl-C reaches the demo, which then ends them in order
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        self._running.append(started)
        if started.stdin is not None:
            with contextlib.suppress(BrokenPipeError), started.stdin:
                started.stdin.write(typed)
        return started

    def stop(self) -> None:
        """End all that run: politely, and after a while by force."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for process in self._running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _end_with_parent() -> None:
    """Ask Linux to stop a process when the demo is killed and cannot do it any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers that it is ready. Raises DemoError with the end of its log."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        check_running(server, log)
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/health/ready", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise DemoError(f"The server was not ready within {START_SECONDS_MAX:.0f} seconds.", tail(log))


def check_running(server: subprocess.Popen[bytes], log: Path) -> None:
    """Raise DemoError with the end of its log when the server has ended."""
    if server.poll() is not None:
        raise DemoError(f"The server ended by itself with code {server.returncode}.", tail(log))


def tail(log: Path) -> str:
    """The last lines that a process printed and those of its errors."""
    lines: list[str] = []
    for file in (log, log.with_suffix(".err")):
        with contextlib.suppress(OSError):
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return "\n".join(lines)
