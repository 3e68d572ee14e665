"""What only PostgreSQL does: lose connections, deadlock, and number rows out of commit order."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from server.storage import MISSED, StorageError, StorageUnavailable, Store, Transaction, open_store
from server.storage.postgres_transaction import lock_key
from tests.storage.engines import SCHEMA, WAIT_SECONDS_MAX, Crew, add, names
from tests.storage.fixtures import TEST_SETTINGS


@pytest.fixture
def url(make_database: Callable[..., str]) -> str:
    return make_database()


@pytest.fixture
def things(url: str) -> Iterator[Store]:
    store = open_store(url, TEST_SETTINGS, SCHEMA)
    store.migrate()
    yield store
    store.close_now()


def end_sessions(url: str, which: str = "true") -> int:
    """Cut connections of the database as an administrator or a failing network would."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            f"WHERE datname = current_database() AND pid <> pg_backend_pid() AND ({which})"
        ).fetchall()
    return len(found)


def change(tx: Transaction) -> int:
    seq: int = tx.value("INSERT INTO change (writer, round) VALUES (1, 1) RETURNING seq")
    return seq


def page(tx: Transaction, where: str, cursor: tuple[int, int]) -> list[Any]:
    return tx.rows(
        f"SELECT xid, seq FROM change WHERE {where} ORDER BY xid, seq", {"x": cursor[0], "s": cursor[1]}
    )


def test_a_cursor_over_numbers_loses_what_the_settled_cursor_keeps(things: Store) -> None:
    """The early number is committed late: whoever has read past it by number never sees it."""
    numbered, go_on = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        change(tx)
        numbered.set()
        assert go_on.wait(WAIT_SECONDS_MAX)

    crew = Crew()
    crew.start(lambda: things.write_now(slow))
    assert numbered.wait(WAIT_SECONDS_MAX)
    things.write_now(change)
    naive = things.read_now(lambda tx: page(tx, "seq > :s", (0, 0)))
    assert [seq for _, seq in naive] == [2]
    assert things.read_now(lambda tx: page(tx, f"(xid, seq) > (:x, :s) AND {tx.settled}", (-1, 0))) == []
    go_on.set()
    crew.join()
    assert things.read_now(lambda tx: page(tx, "seq > :s", naive[-1])) == []
    settled = things.read_now(lambda tx: page(tx, f"(xid, seq) > (:x, :s) AND {tx.settled}", (-1, 0)))
    assert sorted(seq for _, seq in settled) == [1, 2]


def test_a_connection_lost_during_the_work_is_unavailable(things: Store, url: str) -> None:
    def work(tx: Transaction) -> None:
        add("a")(tx)
        end_sessions(url, "state = 'idle in transaction'")
        add("b")(tx)

    with pytest.raises(StorageUnavailable):
        things.write_now(work)
    things.write_now(add("after"))
    assert things.read_now(names) == ["after"]


def test_a_connection_lost_at_the_commit_is_no_success_and_not_tried_again(things: Store, url: str) -> None:
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        runs.append(add("a")(tx))
        end_sessions(url, "state = 'idle in transaction'")

    with pytest.raises(StorageUnavailable):
        things.write_now(work)
    assert len(runs) == 1
    assert things.read_now(names) == []


def test_connections_that_died_while_idle_trouble_nobody(things: Store, url: str) -> None:
    crew = Crew()
    at_once = threading.Barrier(4, timeout=WAIT_SECONDS_MAX)
    for i in range(4):  # so that the pool has several
        crew.start(lambda i=i: things.write_now(lambda tx: [at_once.wait(), add(f"n{i}")(tx)]))  # type: ignore[misc]
    crew.join()
    assert end_sessions(url) >= 4
    assert len(things.read_now(names)) == 4


@pytest.mark.parametrize("swallowing", [False, True], ids=["plain", "swallowed in a savepoint"])
def test_of_two_that_deadlock_one_is_run_again(things: Store, swallowing: bool) -> None:
    for name in ("a", "b"):
        things.write_now(add(name))
    first_time = threading.Barrier(2, timeout=WAIT_SECONDS_MAX)
    runs: list[str] = []

    def work(tx: Transaction, one: str, other: str) -> None:
        runs.append(one)
        grow = "UPDATE thing SET size = size + 1 WHERE name = :n"
        tx.execute(grow, {"n": one})
        if runs.count(one) == 1:
            first_time.wait()
        if not swallowing:
            tx.execute(grow, {"n": other})
            return
        try:
            with tx.savepoint():
                tx.execute(grow, {"n": other})
        except StorageError:
            tx.notes["quarantined"] = True  # which it must not come to

    crew = Crew()
    crew.start(lambda: things.write_now(lambda tx: work(tx, "a", "b")))
    crew.start(lambda: things.write_now(lambda tx: work(tx, "b", "a")))
    crew.join()
    assert len(runs) == 3
    assert things.read_now(lambda tx: tx.rows("SELECT size FROM thing")) == [(2,), (2,)]


def test_after_a_lost_connection_subscribers_hear_that_they_missed_some(things: Store, url: str) -> None:
    async def main() -> list[str]:
        async with things.subscribe("news") as payloads:
            assert await asyncio.to_thread(end_sessions, url, "query LIKE 'LISTEN%'") == 1
            heard = [await asyncio.wait_for(anext(payloads), WAIT_SECONDS_MAX)]
            await things.write(lambda tx: tx.notify("news", "again"))
            return [*heard, await asyncio.wait_for(anext(payloads), WAIT_SECONDS_MAX)]

    assert asyncio.run(main()) == [MISSED, "again"]


def test_news_of_one_process_reaches_another(things: Store, url: str) -> None:
    other = open_store(url, TEST_SETTINGS, SCHEMA)

    async def main() -> str:
        async with things.subscribe("news") as payloads:
            await other.write(lambda tx: tx.notify("news", "from afar"))
            return await asyncio.wait_for(anext(payloads), WAIT_SECONDS_MAX)

    assert asyncio.run(main()) == "from afar"
    other.close_now()


def test_a_commit_is_synchronous_though_the_server_s_default_is_not(things: Store, url: str) -> None:
    with psycopg.connect(url) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
    for run in (things.write_now, things.read_now):
        assert run(lambda tx: tx.value("SHOW synchronous_commit")) == "on"
    shown = things.write_now(
        lambda tx: [tx.value(f"SHOW {name}") for name in ("statement_timeout", "timezone")]
    )
    assert shown == ["30s", "UTC"]


def test_a_wrong_address_is_told_without_its_password(url: str) -> None:
    wrong = url.replace("earlysign@", "earlysign:s3cret@").replace("?host=", "_not?host=")
    with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
        open_store(wrong, TEST_SETTINGS)
    assert "s3cret" not in str(caught.value)


def test_without_the_driver_the_message_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from server.storage import StorageError, open_store\n"
        "try: open_store('postgresql:///x')\n"
        "except StorageError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert "earlysign[postgres]" in done.stdout and "psycopg" in done.stdout


def test_a_lock_is_the_same_number_in_every_release() -> None:
    """Two releases that run at once during an upgrade must exclude each other."""
    assert lock_key("audit") == 7789480235348023077
    assert -(2**63) <= lock_key("child 5") < 2**63


def test_a_look_at_all_tables_may_take_longer_than_any_statement(things: Store) -> None:
    """After a restore on a slow disk it does, and the server could not begin anew without it."""

    def at_most(tx: Transaction) -> None:
        tx.execute("SET LOCAL statement_timeout = 5")

    def analyse_at_most(tx: Transaction) -> None:
        at_most(tx)
        tx.execute("ANALYZE")

    def analyse(tx: Transaction) -> None:
        at_most(tx)
        tx.analyse()

    with pytest.raises(StorageUnavailable):
        things.write_now(analyse_at_most)
    things.write_now(analyse)
