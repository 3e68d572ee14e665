"""The demo's processes: ports, environments, and that none of them outlives it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from server.demo.processes import DemoError, Processes, check_running, clean_environment, free_port

WAIT_SECONDS_MAX, LOOK_SECONDS = 20.0, 0.02


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        assert free_port(port) != port


def test_no_setting_of_the_caller_reaches_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARLYSIGN_DATABASE", "postgresql://elsewhere")
    environment = clean_environment({"EARLYSIGN_RULES": "here"})
    assert "EARLYSIGN_DATABASE" not in environment
    assert environment["EARLYSIGN_RULES"] == "here"
    assert environment["PATH"] == os.environ["PATH"]


def test_stopping_ends_every_process_also_one_that_is_deaf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.demo.processes.STOP_SECONDS_MAX", 1.0)
    (tmp_path / "deaf.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\nsignal.pause()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    processes = Processes()
    out = tmp_path / "deaf.out"
    deaf = processes.start(["deaf"], environment={}, out=out)
    quick = processes.start(["timeit", "-n", "1", "pass"], environment={}, out=tmp_path / "quick.out")
    wait_for(lambda: "deaf" in out.read_text())
    processes.stop()
    assert deaf.returncode is not None and quick.returncode is not None


def test_a_demo_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends a process with its parent")
    program = (
        "import sys, pathlib\nfrom server.demo.processes import Processes\n"
        "p = Processes().start(['http.server', '0', '--bind', '127.0.0.1'], environment={},"
        " out=pathlib.Path(sys.argv[1]))\nprint(p.pid, flush=True)\np.wait()\n"
    )
    demo = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "server.out")], stdout=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    with demo.stdout:
        child = int(demo.stdout.readline())
    wait_for(lambda: (tmp_path / "server.out").read_text() != "")
    demo.kill()
    demo.wait()
    wait_for(lambda: gone(child))


def gone(pid: int) -> bool:
    """Whether a process has ended, or is only waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_for(condition: Callable[[], bool]) -> None:
    """Look until it is so: what is waited for happens in another process, which cannot tell us."""
    for _ in range(int(WAIT_SECONDS_MAX / LOOK_SECONDS)):
        if condition():
            return
        threading.Event().wait(LOOK_SECONDS)
    raise AssertionError("it did not happen in time")


def test_a_server_that_has_ended_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    out = tmp_path / "server.out"
    processes = Processes()
    ended = processes.start(["no_such_module_anywhere"], environment={}, out=out)
    ended.wait(WAIT_SECONDS_MAX)
    with pytest.raises(DemoError, match="ended by itself") as raised:
        check_running(ended, out)
    assert "no_such_module_anywhere" in raised.value.hint
    processes.stop()
