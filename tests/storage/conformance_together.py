"""What every engine must do when many work at once. Engines inherit this and override nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from server.storage import (
    MISSED,
    NOTIFY_BYTES_MAX,
    StorageBusy,
    StorageClosed,
    StorageConflict,
    StorageError,
    StorageUnavailable,
    Store,
    Transaction,
)
from tests.storage.engines import WAIT_SECONDS_MAX, Crew, Engine, add, names

BEAT_SECONDS_MAX = 0.5
"""The longest the event loop may stand still while the database works. A loop that ran the
transactions itself would stand still for the whole of it."""


class TogetherConformance:
    """Threads, event loops, locks, queues, notices, closing."""

    @pytest.fixture
    def things(self, engine: Engine) -> Store:
        return engine.open()

    def test_many_writers_each_get_their_own_answer(self, things: Store) -> None:
        async def main() -> list[int]:
            return await asyncio.gather(*(things.write(add(f"n{i}", i)) for i in range(300)))

        answers = asyncio.run(main())
        rows = things.read_now(lambda tx: tx.rows("SELECT thing_id, name, size FROM thing"))
        assert sorted(rows) == sorted((answers[i], f"n{i}", i) for i in range(300))

    @pytest.mark.invariant(5)
    def test_invariant_5_failing_work_leaves_its_neighbours_alone(self, things: Store) -> None:
        things.write_now(add("taken"))

        async def main() -> list[int | BaseException]:
            works = [things.write(add("taken" if i % 4 == 0 else f"n{i}")) for i in range(200)]
            return await asyncio.gather(*works, return_exceptions=True)

        answers = asyncio.run(main())
        assert [isinstance(answer, StorageConflict) for answer in answers] == [i % 4 == 0 for i in range(200)]
        assert set(things.read_now(names)) == {"taken", *(f"n{i}" for i in range(200) if i % 4)}

    def test_reads_and_writes_from_many_threads(self, things: Store) -> None:
        crew = Crew()

        def work(me: int) -> None:
            for i in range(25):
                mine = things.write_now(add(f"{me}/{i}", me))
                found = things.read_now(lambda tx: tx.row("SELECT max(thing_id), max(size) FROM thing"))
                assert found is not None and found[0] >= mine and found[1] >= me

        for me in range(12):
            crew.start(lambda me=me: work(me))  # type: ignore[misc]
        crew.join()
        assert len(things.read_now(names)) == 300

    @pytest.mark.invariant(17)
    def test_invariant_17_two_that_meet_the_same_unknown_key_end_with_one(self, things: Store) -> None:
        at_once = threading.Barrier(8, timeout=WAIT_SECONDS_MAX)

        def find_or_add(tx: Transaction, name: str) -> int:
            tx.lock(f"thing {name}")
            found: int | None = tx.value("SELECT thing_id FROM thing WHERE name = :n", {"n": name})
            return add(name)(tx) if found is None else found

        answers: list[tuple[str, int]] = []

        def work() -> None:
            for i in range(15):
                name = f"child {i}"
                at_once.wait()
                answers.append((name, things.write_now(lambda tx: find_or_add(tx, name))))  # noqa: B023 - at once

        crew = Crew()
        for _ in range(8):
            crew.start(work)
        crew.join()
        assert len(answers) == 120 and len(set(answers)) == 15

    def test_a_lock_is_held_by_one_at_a_time(self, things: Store) -> None:
        inside: list[int] = []

        def work(tx: Transaction, me: int) -> None:
            tx.lock("the only one")
            inside.append(me)
            tx.rows("SELECT count(*) FROM thing")  # a round trip, in which another could come in
            assert inside == [me]
            inside.remove(me)

        crew = Crew()
        for me in range(4):
            crew.start(
                lambda me=me: [things.write_now(lambda tx: work(tx, me)) for _ in range(20)]  # type: ignore[misc]
            )
        crew.join()

    def test_the_event_loop_keeps_its_beat(self, things: Store) -> None:
        async def main() -> float:
            done = asyncio.Event()
            longest = 0.0

            async def beat() -> None:
                nonlocal longest
                while not done.is_set():
                    before = time.perf_counter()
                    await asyncio.sleep(0)
                    longest = max(longest, time.perf_counter() - before)

            def busy(tx: Transaction) -> None:
                for i in range(200):
                    tx.execute("UPDATE thing SET size = :i WHERE name = 'x'", {"i": i})

            heart = asyncio.create_task(beat())
            await asyncio.gather(*(things.write(busy) for _ in range(60)))
            done.set()
            await heart
            return longest

        things.write_now(add("x"))
        assert asyncio.run(main()) < BEAT_SECONDS_MAX

    def test_a_full_queue_says_busy_at_once_and_nothing_of_it_happens(self, engine: Engine) -> None:
        things = engine.open(queue_jobs_max=3, pool_connections_max=1, readers=1)
        started, go_on = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> int:
            started.set()
            assert go_on.wait(WAIT_SECONDS_MAX)
            return add("slow")(tx)

        async def main() -> list[int | BaseException]:
            first = asyncio.create_task(things.write(slow))
            await asyncio.to_thread(started.wait, WAIT_SECONDS_MAX)
            rest = [asyncio.create_task(things.write(add(f"n{i}"))) for i in range(6)]
            while sum(task.done() for task in rest) < 2:  # those that were refused
                await asyncio.sleep(0)
            go_on.set()
            return await asyncio.gather(first, *rest, return_exceptions=True)

        answers = asyncio.run(main())
        refused = [answer for answer in answers if isinstance(answer, StorageBusy)]
        assert len(refused) >= 3 and all(error.retry_after_seconds > 0 for error in refused)
        assert len(things.read_now(names)) == 7 - len(refused)

    def test_a_caller_that_gives_up_disturbs_nobody(self, things: Store) -> None:
        async def main() -> None:
            tasks = [asyncio.create_task(things.write(add(f"n{i}"))) for i in range(40)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(answer, int) for answer in answers[1::2])
            assert await things.read(lambda tx: tx.value("SELECT count(*) FROM thing")) >= 20

        asyncio.run(main())

    def test_a_commit_that_fails_is_nobody_s_success(self, things: Store) -> None:
        def orphan(tx: Transaction) -> None:
            add("an orphan's neighbour")(tx)
            tx.notify("news", "1")
            tx.execute("INSERT INTO part (thing_id, place, label) VALUES (4711, 1, 'x')")

        async def main() -> list[str]:
            async with things.subscribe("news") as payloads:
                with pytest.raises(StorageError):
                    await things.write(orphan)
                await things.write(lambda tx: tx.notify("news", "2"))
                return [await anext(payloads)]

        assert asyncio.run(main()) == ["2"]
        assert things.read_now(names) == []

    def test_a_read_that_takes_too_long_is_stopped(self, engine: Engine) -> None:
        if engine.name == "memory":
            return  # has no readers of its own, and nobody waits for it
        things = engine.open(statement_seconds_max=0.2)
        endless = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
            "SELECT count(*) FROM n"
        )
        with pytest.raises(StorageUnavailable, match="too long"):
            things.read_now(lambda tx: tx.value(endless))
        assert things.read_now(names) == []

    # Notices

    def test_news_comes_after_the_commit_and_never_of_what_was_undone(self, things: Store) -> None:
        def work(tx: Transaction, name: str, fail: bool) -> None:
            tx.notify("news", name)
            add(name)(tx)
            try:
                with tx.savepoint():
                    tx.notify("news", f"undone {name}")
                    add(name)(tx)
            except StorageConflict:
                tx.notify("other", "not for you")
            if fail:
                raise KeyError

        async def main() -> None:
            async with things.subscribe("news") as payloads:
                for i in range(10):
                    try:
                        await things.write(lambda tx, i=i: work(tx, f"n{i}", i % 3 == 1))  # type: ignore[misc]
                    except KeyError:
                        continue
                for i in (0, 2, 3, 5, 6, 8, 9):
                    payload = await asyncio.wait_for(anext(payloads), WAIT_SECONDS_MAX)
                    assert payload == f"n{i}"
                    assert payload in await things.read(names)

        asyncio.run(main())

    def test_a_slow_subscriber_is_told_that_it_missed_some(self, engine: Engine) -> None:
        things = engine.open(backlog_max=5)

        async def main() -> list[str]:
            async with things.subscribe("news") as payloads, things.subscribe("end") as end:
                for i in range(8):
                    await things.write(lambda tx, i=i: tx.notify("news", str(i)))  # type: ignore[misc]
                await things.write(lambda tx: tx.notify("end", "now"))
                await asyncio.wait_for(anext(end), WAIT_SECONDS_MAX)
                return [await anext(payloads) for _ in range(3)]

        assert asyncio.run(main()) == [MISSED, "6", "7"]

    def test_every_subscriber_hears_and_hears_no_more_after_leaving(self, things: Store) -> None:
        async def main() -> list[str]:
            async with things.subscribe("t") as one:
                async with things.subscribe("t") as two:
                    await things.write(lambda tx: tx.notify("t", "both"))
                    heard = [await anext(one), await anext(two)]
                await things.write(lambda tx: tx.notify("t", "one"))
                return [*heard, await anext(one)]

        assert asyncio.run(main()) == ["both", "both", "one"]

    @pytest.mark.parametrize(
        ("topic", "payload"),
        [("t", ""), ("", "p"), ("a\nb", "p"), ("t", "x\0"), ("t", "é" * NOTIFY_BYTES_MAX)],
    )
    def test_what_cannot_be_announced_is_refused(self, things: Store, topic: str, payload: str) -> None:
        with pytest.raises(StorageError, match=r"[Nn]otification"):
            things.write_now(lambda tx: tx.notify(topic, payload))
        things.write_now(lambda tx: tx.notify("t", "x" * (NOTIFY_BYTES_MAX - 1)))

    # Closing

    def test_closing_finishes_what_was_asked_and_refuses_the_rest(self, things: Store) -> None:
        async def main() -> list[str]:
            async with things.subscribe("news") as payloads:
                tasks = [asyncio.create_task(things.write(add(f"n{i}"))) for i in range(20)]
                await asyncio.sleep(0)
                await things.close()
                assert all(isinstance(answer, int) for answer in await asyncio.gather(*tasks))
                return [payload async for payload in payloads]

        assert asyncio.run(main()) == []
        works: list[Callable[[], object]] = [
            lambda: things.write_now(add("late")),
            lambda: things.read_now(names),
            lambda: asyncio.run(things.write(add("late"))),
            lambda: asyncio.run(things.read(names)),
        ]
        for work in works:
            with pytest.raises(StorageClosed):
                work()
        things.close_now()  # twice does no harm

    def test_work_that_calls_its_own_store_is_not_left_waiting(self, things: Store) -> None:
        try:
            things.write_now(lambda tx: things.write_now(add("inner")))
        except StorageError as error:
            assert "wait for itself" in str(error)
