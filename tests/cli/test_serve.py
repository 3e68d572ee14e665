"""`earlysign serve` as a process of its own: it answers, says where it is, and stops when told to."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.kit import data_option, run

START_SECONDS_MAX = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "server.cli",
        "serve",
        "--port",
        str(port),
        *data_option(tmp_path / "data"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_ready(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        assert process.poll() is None and time.monotonic() < deadline, process.poll()
        try:
            if httpx.get(f"{url}/health/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            process.poll()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_and_stops_when_told_to(
    served: tuple[subprocess.Popen[str], str], how: signal.Signals
) -> None:
    process, url = served
    assert httpx.get(f"{url}/api/me").status_code == 401
    assert httpx.get(f"{url}/metrics").status_code == 200, "this machine may ask without a token"
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (0, -how), err
    assert url in out and "earlysign.db" in out
    lines = [json.loads(line) for line in err.splitlines()]
    assert any(line["event"] == "request" and line["route"] == "/api/me" for line in lines)
    assert not any("Traceback" in line["event"] for line in lines)


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = run("serve", "--port", port, *data_option(tmp_path / "data"))
    assert ran.code == 1 and f"port {port}" in ran.err and "--port" in ran.err


def test_a_policy_that_cannot_be_used_is_one_line_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[roles.x")
    monkeypatch.setenv("EARLYSIGN_POLICY", str(own))
    ran = run("serve", "--port", str(free_port()), *data_option(tmp_path / "data"))
    assert ran.code == 2 and "own.toml" in ran.err and "Traceback" not in ran.err
