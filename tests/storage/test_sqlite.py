"""What only SQLite does: group commit, one file, and a disk that can be full."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from server.storage import (
    StorageConflict,
    StorageError,
    StorageSettings,
    StorageUnavailable,
    Store,
    Transaction,
    WouldWait,
)
from server.storage.sqlite import SqliteStore
from server.storage.writer import Writer
from tests.storage.engines import SCHEMA, WAIT_SECONDS_MAX, add, names, put


@pytest.fixture
def things(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "things.db", migrations=SCHEMA)
    store.migrate()
    yield store
    store.close_now()


@contextmanager
def held(store: Store) -> Iterator[threading.Thread]:
    """Keep the writer busy, so that what is asked inside the block gathers into one group."""
    started, go_on = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        started.set()
        assert go_on.wait(WAIT_SECONDS_MAX)

    def run() -> None:
        with suppress(StorageUnavailable):  # it shares the fate of its group
            store.write_now(hold)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(WAIT_SECONDS_MAX)
    try:
        yield thread
    finally:
        go_on.set()
        thread.join(WAIT_SECONDS_MAX)


def together(store: Store, works: list[Callable[[Transaction], Any]]) -> list[Any]:
    """Run works as one group; their answers and errors."""

    async def main() -> list[Any]:
        with held(store):
            tasks = [asyncio.create_task(store.write(work)) for work in works]
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(main())


def orphan(tx: Transaction) -> None:
    """Work whose mistake shows only at the commit."""
    tx.execute("INSERT INTO part (thing_id, place, label) VALUES (4711, 1, 'x')")


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pieces of work each commit was for."""
    found: list[int] = []
    commit = Writer._commit

    def counting(self: Writer, group: list[Any]) -> None:
        found.append(len(group))
        commit(self, group)

    monkeypatch.setattr(Writer, "_commit", counting)
    return found


def test_what_gathers_shares_a_commit(things: SqliteStore, sizes: list[int]) -> None:
    answers = together(things, [add(f"n{i}") for i in range(150)])
    assert len(set(answers)) == 150
    assert sum(sizes) == 151 and max(sizes) == StorageSettings().group_jobs_max


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_commit_waits_for_work_that_was_announced(
    tmp_path: Path, sizes: list[int], is_announced: bool
) -> None:
    patient = StorageSettings(group_seconds_max=WAIT_SECONDS_MAX, follow_seconds_max=WAIT_SECONDS_MAX)
    store = SqliteStore(tmp_path / "things.db", settings=patient, migrations=SCHEMA)
    store.migrate()

    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def first(tx: Transaction) -> None:
            add("first")(tx)
            loop.call_soon_threadsafe(done.set)

        writing = asyncio.create_task(store.write(first, followed=is_announced))
        await done.wait()
        if not is_announced:
            await writing
        await asyncio.gather(writing, store.write(add("next")))

    asyncio.run(main())
    assert store.read_now(names) == ["first", "next"]
    store.close_now()
    assert sizes == ([2] if is_announced else [1, 1])


def test_work_that_was_announced_and_does_not_come_is_not_waited_for_long(
    tmp_path: Path, sizes: list[int]
) -> None:
    store = SqliteStore(
        tmp_path / "things.db", settings=StorageSettings(follow_seconds_max=0.01), migrations=SCHEMA
    )
    store.migrate()
    asyncio.run(asyncio.wait_for(store.write(add("alone"), followed=True), WAIT_SECONDS_MAX))
    assert store.read_now(names) == ["alone"]
    store.close_now()
    assert sizes == [1]


def test_a_failing_commit_fails_all_of_its_group_and_keeps_nothing(things: SqliteStore) -> None:
    things.write_now(add("taken"))
    answers = together(things, [add("a"), orphan, add("taken"), add("b")])
    kinds = [type(answer) for answer in answers]
    assert kinds == [StorageUnavailable, StorageUnavailable, StorageConflict, StorageUnavailable]
    assert things.read_now(names) == ["taken"]
    things.write_now(add("after"))
    assert things.read_now(names) == ["taken", "after"]


@pytest.mark.invariant(7)
@pytest.mark.parametrize("is_lost", [False, True])
def test_invariant_7_a_recorded_read_is_answered_only_if_what_it_saw_is_kept(
    things: SqliteStore, sizes: list[int], is_lost: bool
) -> None:
    def look(tx: Transaction) -> list[str]:
        tx.at_commit(put("shown"))
        return names(tx)

    async def main() -> list[Any]:
        with held(things):
            tasks = [
                asyncio.create_task(things.write(add("a"))),
                asyncio.create_task(things.read_recorded(look)),
            ]
            if is_lost:
                tasks.append(asyncio.create_task(things.write(orphan)))
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks, return_exceptions=True)

    _, seen, *_ = asyncio.run(main())
    if is_lost:
        assert isinstance(seen, StorageUnavailable) and things.read_now(names) == []
    else:
        assert seen == ["a"] and things.read_now(names) == ["a", "shown"]
    assert max(sizes) == 3 + is_lost, "one commit was for all of them"


def test_no_answer_leaves_before_its_commit(things: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    commit, release = Writer._commit, Writer._release

    def committing(self: Writer, group: list[Any]) -> None:
        commit(self, group)
        order.append("committed")

    def releasing(self: Writer, group: list[Any]) -> None:
        assert not any(job.promise.done() for job in group)
        order.append("released")
        release(self, group)

    monkeypatch.setattr(Writer, "_commit", committing)
    monkeypatch.setattr(Writer, "_release", releasing)
    things.write_now(add("a"))
    assert order == ["committed", "released"]


def test_a_full_disk_is_unavailable_however_the_work_takes_it(things: SqliteStore) -> None:
    def fill(tx: Transaction) -> None:
        for i in range(1_000):
            tx.execute("INSERT INTO thing (name, picture) VALUES (:n, :p)", {"n": f"{i}", "p": bytes(4_000)})

    def swallow(tx: Transaction) -> str:
        try:
            with tx.savepoint():
                fill(tx)
        except StorageError:
            pass
        return "quarantined as a bad record, which it is not"

    things.write_now(lambda tx: tx.rows("PRAGMA max_page_count = 100"))
    for work in (fill, swallow):
        with pytest.raises(StorageUnavailable, match="full"):
            things.write_now(work)
    assert things.read_now(names) == []
    answers = together(things, [add("a"), fill, add("b")])
    kept = things.read_now(names)
    assert kept == [name for name, answer in zip(["a", "b"], answers[::2], strict=True) if answer in (1, 2)]
    things.write_now(lambda tx: tx.rows("PRAGMA max_page_count = 100000"))
    things.write_now(fill)


def test_work_that_ends_the_transaction_itself_is_told_off(things: SqliteStore) -> None:
    for command in ("COMMIT", "ROLLBACK"):
        with pytest.raises(StorageError):
            things.write_now(lambda tx, command=command: tx.execute(command))  # type: ignore[misc]
        things.write_now(add(command))
    assert things.read_now(names) == ["COMMIT", "ROLLBACK"]


def test_every_commit_reaches_the_disk_and_references_hold(things: SqliteStore) -> None:
    def ask(tx: Transaction) -> list[Any]:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "trusted_schema")
        return [tx.value(f"PRAGMA {name}") for name in pragmas]

    assert things.write_now(ask) == ["wal", 2, 1, 1, 0]


def test_the_files_are_their_owner_s_alone(things: SqliteStore, tmp_path: Path) -> None:
    things.write_now(add("a"))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["things.db", "things.db-shm", "things.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_what_is_no_database_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_bytes(b"Dear Sir or Madam, " * 100)
    with pytest.raises(StorageUnavailable, match="not an SQLite database"):
        SqliteStore(tmp_path / "letter.db")
    with pytest.raises(StorageUnavailable, match="folder"):
        SqliteStore(tmp_path / "nowhere" / "things.db")


def test_reads_that_were_given_up_leave_their_places_free(tmp_path: Path) -> None:
    settings = StorageSettings(queue_jobs_max=4, readers=1)
    store = SqliteStore(tmp_path / "things.db", settings, SCHEMA)
    store.migrate()
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        started.set()
        assert go_on.wait(WAIT_SECONDS_MAX)

    async def main() -> None:
        first = asyncio.create_task(store.read(slow))
        await asyncio.to_thread(started.wait, WAIT_SECONDS_MAX)
        for _ in range(20):
            given_up = asyncio.create_task(store.read(names))
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
        last = asyncio.create_task(store.read(names))
        await asyncio.sleep(0)
        go_on.set()
        await first
        assert await last == []

    asyncio.run(main())
    store.close_now()


def test_work_that_calls_its_own_store_is_told_off_and_not_left_waiting(things: SqliteStore) -> None:
    with pytest.raises(StorageError, match="wait for itself"):
        things.write_now(lambda tx: things.write_now(add("inner")))


def test_a_database_in_memory_is_one_s_own() -> None:
    one, other = SqliteStore(":memory:", migrations=SCHEMA), SqliteStore(":memory:", migrations=SCHEMA)
    one.migrate()
    one.write_now(add("a"))
    other.migrate()
    assert one.read_now(names) == ["a"] and other.read_now(names) == []
    one.close_now()
    other.close_now()


def test_a_glance_waits_for_nobody_and_takes_no_more_than_a_moment(things: SqliteStore) -> None:
    things.write_now(add("kept"))
    assert things.glance(names) == ["kept"]
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    with pytest.raises(WouldWait):
        things.glance(lambda tx: tx.rows(endless))
    # However often it is looked, a look is not stopped for the steps of those before.
    assert {tuple(things.glance(names)) for _ in range(5_000)} == {("kept",)}

    def another(_tx: Transaction) -> None:
        with pytest.raises(WouldWait):
            things.glance(names)

    things.glance(another)
    assert things.glance(names) == ["kept"]


def test_a_glance_writes_nothing_and_shows_nothing_that_must_be_recorded(things: SqliteStore) -> None:
    with pytest.raises(StorageError):
        things.glance(add("sneaked in"))
    with pytest.raises(StorageError, match="recorded"):
        things.glance(lambda tx: tx.at_commit(lambda _last: None))
    assert things.glance(names) == []


def test_a_database_in_memory_and_a_store_that_is_closed_give_no_glance(things: SqliteStore) -> None:
    memory = SqliteStore(":memory:", migrations=SCHEMA)
    memory.migrate()
    with pytest.raises(WouldWait):
        memory.glance(names)
    memory.close_now()
    things.close_now()
    with pytest.raises(StorageError):
        things.glance(names)


def test_a_parameter_without_a_value_is_an_error_of_the_store_that_tells_no_value(
    things: SqliteStore,
) -> None:
    missed = {"marker": "Marker-name"}
    with pytest.raises(StorageError, match=r"A parameter has no value\. At: SELECT :a") as caught:
        things.read_now(lambda tx: tx.value("SELECT :a", missed))
    assert "arker" not in str(caught.value)
    with pytest.raises(StorageError, match="A parameter has no value"):
        things.write_now(lambda tx: tx.executemany("INSERT INTO thing (name) VALUES (:a)", [missed]))
    assert things.read_now(names) == []
