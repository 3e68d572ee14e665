"""What an engine with a disk must do. Engines inherit this and override nothing."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from server.storage import StorageBusy, StorageConflict, StorageError, Store, Transaction, WouldWait
from tests.storage.engines import SCHEMA, WAIT_SECONDS_MAX, Crew, Engine, add, names

ROOT = Path(__file__).parents[2]
WRITERS = 12
ROUNDS = 40


class DurableConformance:
    """One view for a read, commit order for a log, other processes, kill -9, migrating."""

    @pytest.fixture
    def things(self, engine: Engine) -> Store:
        return engine.open()

    @pytest.mark.invariant(7)
    def test_invariant_7_nothing_uncommitted_is_seen(self, things: Store) -> None:
        written, seen = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            add("kept")(tx)
            written.set()
            assert seen.wait(WAIT_SECONDS_MAX)

        crew = Crew()
        crew.start(lambda: things.write_now(slow))
        assert written.wait(WAIT_SECONDS_MAX)
        assert things.read_now(names) == []
        seen.set()
        crew.join()
        assert things.read_now(names) == ["kept"]

    def test_a_read_sees_one_view_while_others_write(self, things: Store) -> None:
        things.write_now(add("before"))

        def look(tx: Transaction) -> list[list[str]]:
            first = names(tx)
            crew = Crew()
            crew.start(lambda: things.write_now(add("meanwhile")))
            crew.join()
            return [first, names(tx)]

        assert things.read_now(look) == [["before"], ["before"]]
        assert things.read_now(names) == ["before", "meanwhile"]

    @pytest.mark.invariant(6)
    def test_invariant_6_pages_of_settled_changes_are_every_change(self, engine: Engine) -> None:
        """Twelve write at random paces, some undo; one pages by (xid, seq) and must see each once."""
        things = engine.open(pool_connections_max=WRITERS + 2)
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        expected: list[tuple[int, int]] = []
        writing = threading.Event()

        def writer(me: int) -> None:
            dice = random.Random(seed + me)

            def work(tx: Transaction, round_: int) -> int:
                parts = dice.randint(1, 3)
                for part in range(parts):
                    tx.execute(
                        "INSERT INTO change (writer, round) VALUES (:w, :r)",
                        {"w": me, "r": round_ * 10 + part},
                    )
                    tx.rows("SELECT count(*) FROM thing")
                if dice.random() < 0.1:
                    raise KeyError
                return parts

            for round_ in range(ROUNDS):
                try:
                    parts = things.write_now(lambda tx, r=round_: work(tx, r))  # type: ignore[misc]
                except KeyError:
                    continue
                expected.extend((me, round_ * 10 + part) for part in range(parts))

        pages: list[tuple[int, int, int, int]] = []

        def reader() -> None:
            dice = random.Random(seed)
            cursor = (-1, 0)
            while True:
                was_writing = writing.is_set()
                params = {"x": cursor[0], "s": cursor[1], "n": dice.randint(1, 40)}
                page = things.read_now(
                    lambda tx, params=params: tx.rows(  # type: ignore[misc]
                        f"SELECT xid, seq, writer, round FROM change WHERE (xid, seq) > (:x, :s) AND {tx.settled} "
                        "ORDER BY xid, seq LIMIT :n",
                        params,
                    )
                )
                pages.extend(page)
                if page:
                    assert (page[-1][0], page[-1][1]) > cursor
                    cursor = (page[-1][0], page[-1][1])
                elif not was_writing:
                    return

        writing.set()
        crew, reading = Crew(), Crew()
        for me in range(WRITERS):
            crew.start(lambda me=me: writer(me))  # type: ignore[misc]
        reading.start(reader)
        crew.join()
        writing.clear()
        reading.join()
        assert [row[:2] for row in pages] == sorted(row[:2] for row in pages)
        assert sorted(row[2:] for row in pages) == sorted(expected)

    def test_another_process_that_holds_the_database_makes_it_busy(self, engine: Engine) -> None:
        things = engine.open(busy_seconds_max=0.2, lock_seconds_max=0.2)
        other = engine.open(migrated=False)
        held, let_go = threading.Event(), threading.Event()

        def hold(tx: Transaction) -> None:
            tx.lock("the ledger")
            add("held")(tx)
            held.set()
            assert let_go.wait(WAIT_SECONDS_MAX)

        crew = Crew()
        crew.start(lambda: other.write_now(hold))
        assert held.wait(WAIT_SECONDS_MAX)
        with pytest.raises(StorageBusy):
            things.write_now(lambda tx: tx.lock("the ledger"))
        let_go.set()
        crew.join()
        things.write_now(add("free"))
        assert things.read_now(names) == ["held", "free"]

    @pytest.mark.invariant(1)
    def test_invariant_1_what_was_acknowledged_survives_kill_9(self, engine: Engine) -> None:
        engine.open().close_now()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.acknowledge", engine.address],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        with process.stdout as told:
            acknowledged = [told.readline().strip() for _ in range(200)]
            process.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in told if line.endswith("\n")]
        assert process.wait() == -signal.SIGKILL
        kept = engine.open(migrated=False).read_now(names)
        assert len(set(kept)) == len(kept)
        assert set(acknowledged) <= set(kept)

    # Migrating

    def test_migrating_twice_does_nothing_the_second_time(self, engine: Engine) -> None:
        things = engine.open()
        assert things.migrate() == []
        things.write_now(add("a"))
        assert engine.open(migrated=False).migrate() == []
        assert things.read_now(names) == ["a"]

    def test_servers_that_start_at_once_migrate_once(self, fresh: Engine) -> None:
        at_once = threading.Barrier(4, timeout=WAIT_SECONDS_MAX)
        applied: list[list[str]] = []

        def start() -> None:
            store = fresh.open(migrated=False)
            at_once.wait()
            applied.append(store.migrate())

        crew = Crew()
        for _ in range(4):
            crew.start(start)
        crew.join()
        assert sorted(applied) == [[], [], [], ["0001_things", "0002_changes"]]

    def test_a_migration_that_fails_is_undone_and_named(self, fresh: Engine, tmp_path: Path) -> None:
        for file in SCHEMA.iterdir():
            (tmp_path / file.name).write_text(file.read_text())
        later = tmp_path / "0003_wrong.sql"
        later.write_text("CREATE TABLE fine (a TEXT) $strict; CREATE TABLE fine (b TEXT);")
        with pytest.raises(StorageError, match="0003_wrong"):
            fresh.open(migrated=False, schema=tmp_path).migrate()
        later.write_text("CREATE TABLE fine (a TEXT) $strict; INSERT INTO fine VALUES ('50% :off');")
        things = fresh.open(migrated=False, schema=tmp_path)
        assert things.migrate()[-1] == "0003_wrong"
        assert things.read_now(lambda tx: tx.rows("SELECT a FROM fine")) == [("50% :off",)]

    def test_an_unknown_token_never_reaches_the_database(self, fresh: Engine, tmp_path: Path) -> None:
        (tmp_path / "0001.sql").write_text("CREATE TABLE fine (a $txt);")
        with pytest.raises(StorageError, match=r"\$txt"):
            fresh.open(migrated=False, schema=tmp_path).migrate()

    def test_references_are_enforced(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            thing = add("whole")(tx)
            tx.execute("INSERT INTO part (thing_id, place, label) VALUES (:t, 1, 'x')", {"t": thing})

        things.write_now(work)
        with pytest.raises((StorageConflict, StorageError)):
            things.write_now(lambda tx: tx.execute("DELETE FROM thing"))
        assert things.read_now(names) == ["whole"]

    def test_a_glance_is_a_read_or_is_refused_at_once(self, things: Store) -> None:
        """An engine that cannot promise to wait for nobody says so; none answers anything else than a read."""
        things.write_now(add("kept"))
        with suppress(WouldWait):
            assert things.glance(names) == ["kept"]
        written, seen = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            add("late")(tx)
            written.set()
            assert seen.wait(WAIT_SECONDS_MAX)

        crew = Crew()
        crew.start(lambda: things.write_now(slow))
        assert written.wait(WAIT_SECONDS_MAX)
        with suppress(WouldWait):
            assert things.glance(names) == ["kept"]
        seen.set()
        crew.join()
        with suppress(WouldWait):
            assert things.glance(names) == ["kept", "late"]

    def test_what_is_read_durably_is_what_is_committed(self, things: Store) -> None:
        things.write_now(add("kept"))
        assert asyncio.run(_durably(things)) == ["kept"]


async def _durably(things: Store) -> list[str]:
    return await things.read_durable(names)
