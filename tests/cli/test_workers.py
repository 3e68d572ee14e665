"""`earlysign serve --workers N`: several processes at one address, on one PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.access import people, sessions
from server.access.policy import load_policy
from server.access.sessions import SessionRules
from server.clock import now_ms
from server.storage import Store, open_store
from tests.bench.setting import free_port, start_server
from tests.cli.kit import data_option, run
from tests.http.test_stream import STREAM, Browser
from tests.road import AMARA, LAMBETH, REGISTRY, Road

WORKERS = 2
WAIT_SECONDS_MAX = 60
STREAMS = 12
"""Connections are dealt out by the system: that all of these come to one worker happens once in 2,048 times."""


def test_several_workers_on_sqlite_are_refused_in_one_line(tmp_path: Path) -> None:
    done = run("serve", "--workers", "2", *data_option(tmp_path))
    assert done.code == 1
    assert "Several workers need PostgreSQL" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [("serve",), ("serve", "--workers", "2"), ("devices", "list")])
def test_a_database_that_is_not_brought_up_to_date_is_one_line_and_what_to_do(
    tmp_path: Path,
    make_database: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setenv("EARLYSIGN_DATABASE", make_database())
    monkeypatch.setenv("EARLYSIGN_PORT", str(free_port()))
    done = run(*command, *data_option(tmp_path))
    assert done.code == 1 and "migrations are missing" in done.err and "earlysign migrate" in done.err
    assert len(done.err.strip().splitlines()) == 2


def test_a_database_of_a_newer_version_is_not_touched(
    tmp_path: Path, make_database: Callable[..., str], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(postgres_url)
    monkeypatch.setenv("EARLYSIGN_DATABASE", database)
    newer = "INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('h', '0999_of_the_year_after_next')"
    store = open_store(database)
    store.write_now(lambda tx: tx.execute(newer))
    store.close_now()
    done = run("devices", "list", *data_option(tmp_path))
    assert done.code == 1 and "newer version" in done.err


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something holds, within a bound; what it gave."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)  # between two looks
    return found


def workers_of(pid: int) -> list[int]:
    """The worker processes of a parent."""
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def database(make_database: Callable[..., str], postgres_url: str) -> str:
    return make_database(postgres_url)


@pytest.fixture
def served(tmp_path: Path, database: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    process = start_server(tmp_path, port, database=database, workers=WORKERS)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(WAIT_SECONDS_MAX)


def answers(address: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{address}/health/ready", timeout=30).status_code == 200
    return False


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_worker_that_dies_is_replaced_and_all_stop_when_told(served: tuple[str, Any]) -> None:
    address, parent = served
    before = until(lambda: len(found := workers_of(parent.pid)) == WORKERS and found, "not all started")
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(found := workers_of(parent.pid)) == WORKERS and before[0] not in found, "not replaced")
    # Each connection may come to another worker; what waits at the one that starts is answered once it is up.
    assert all(answers(address) for _ in range(20))
    after = workers_of(parent.pid)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(WAIT_SECONDS_MAX) == 0
    assert not any(map(lives, after))
    assert not answers(address)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_workers_whose_parent_was_killed_stop_by_themselves(served: tuple[str, Any]) -> None:
    address, parent = served
    workers = until(lambda: len(found := workers_of(parent.pid)) == WORKERS and found, "not all started")
    assert answers(address)
    parent.kill()
    parent.wait()
    until(lambda: not any(map(lives, workers)), "a worker outlived its parent")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_alert_is_heard_at_every_worker_and_counts_are_of_all(
    served: tuple[str, Any], database: str
) -> None:
    address, parent = served
    until(lambda: len(workers_of(parent.pid)) == WORKERS, "not all started")
    until(lambda: all(answers(address) for _ in range(20)), "not all ready")
    store = open_store(database)
    try:
        headers = {"cookie": f"earlysign={session_of(store)}"}
        with contextlib.ExitStack() as opened:
            browsers = []
            for _ in range(STREAMS):  # a client each, and so a connection each
                client = opened.enter_context(httpx.Client(base_url=address, timeout=30))
                response = opened.enter_context(client.stream("GET", STREAM, headers=headers))
                assert response.status_code == 200
                browsers.append(Browser(response))
                assert ":" in browsers[-1].block()
            road = Road(store)
            road.now = now_ms()
            road.child(AMARA)
            road.officer().writes(AMARA, danger_now=True)
            heard = [browser.events(1)[0][0] for browser in browsers]
            assert set(heard) == {"alert"}
            reads = sum(stream_readers(store))
            assert reads >= WORKERS, "one listening connection for each worker"
        shown = [counted(address) for _ in range(10)]
        assert min(shown) >= 20, "each worker shows what all have answered"
        assert shown == sorted(shown)
        holders = store.read_now(lambda tx: tx.rows("SELECT holder FROM lease WHERE name = 'jobs'"))
        assert len(holders) == 1
    finally:
        store.close_now()


def session_of(store: Store) -> str:
    def begin(tx: Any) -> str:
        person_id = people.add(
            tx, username="rivera", name="Test rivera", role="investigator", borough=LAMBETH,
            password_hash="!", must_change=False, actor=REGISTRY, now=now_ms(),
        )  # fmt: skip
        rules = SessionRules(1_800_000, 36_000_000)
        return sessions.start(tx, load_policy(), rules, person_id, now_ms()).token

    return store.write_now(begin)


def stream_readers(store: Store) -> list[int]:
    return [
        number
        for (number,) in store.read_now(
            lambda tx: tx.rows(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        )
    ]


def counted(address: str) -> float:
    """How many times the workers say that they are ready."""
    text = httpx.get(f"{address}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("earlysign_requests_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if "/health/ready" in line)
