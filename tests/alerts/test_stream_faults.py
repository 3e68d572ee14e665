"""A stream of alerts where something fails: a line, a client that takes nothing, the database, the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.alerts import listener as listener_module
from server.alerts import stream
from server.alerts.stream import Step, audience_of
from server.records import steps as alert_steps
from server.storage import StorageUnavailable, Store, Transaction
from sync.vocabulary import Category
from tests.alerts.ears import RIVERA, WAIT_S, Ear, behind, go, hear, listening, make_hub, running, write
from tests.road import Road


def test_a_connection_that_was_too_slow_is_repaired_from_the_database(road: Road) -> None:
    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as slow,
            listening(hub, RIVERA) as quick,
        ):
            assert not behind(slow), "a line that takes what it is given needs no task"
            slow.slow()
            for _ in range(8):
                road.passes(hours=30)
                await write(road)
                await hear(quick, 1)
            assert len(slow.heard) == 0 and behind(slow)
            slow.quick()
            frames = await hear(slow, 8)
            assert [int(frame.partition(b":")[0]) for frame in frames] == list(range(1, 9))
            await write(road, category=Category.KNIFE)
            assert len(await hear(slow, 1)) == 1
            assert not behind(slow)

    go(main)


def test_a_connection_that_takes_nothing_is_ended(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "STUCK_SECONDS_MAX", 0.05)

    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as stuck,
            listening(hub, RIVERA) as quick,
        ):
            stuck.slow()
            await write(road)
            assert len(await hear(quick, 1)) == 1
            assert await stuck.frames(WAIT_S) is None

    go(main)


def test_a_line_that_breaks_ends_its_own_connection_and_no_other(road: Road) -> None:
    class Broken(Ear):
        async def send(self, message: Any) -> None:
            raise OSError("gone")

    async def main() -> None:
        async with running(road.store) as hub, listening(hub, RIVERA) as good:
            ear, audience = Broken(), audience_of(RIVERA)
            assert audience is not None
            hub.join(audience, b"s", ear.send, ear.end, hub.position)
            await write(road)
            assert len(await hear(good, 1)) == 1
            assert await ear.frames(WAIT_S) is None

    go(main)


def test_what_was_announced_while_nobody_could_listen_is_found(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The announcement is lost with its connection: the sweep finds the step all the same."""
    monkeypatch.setattr(stream, "SWEEP_SECONDS", 0.05)

    async def main() -> None:
        hub = make_hub(road.store)
        monkeypatch.setattr(alert_steps, "TOPIC", "nobody listens")
        await hub.start()
        try:
            async with listening(hub, RIVERA) as listener:
                await write(road)
                assert await hear(listener, 1) == [b"1:raised"]
        finally:
            await hub.stop()

    go(main)


def test_a_missed_word_makes_the_hub_look(road: Road) -> None:
    class Silent:
        """A store whose announcements are lost, and which then says that some may have been."""

        def __init__(self, store: Store) -> None:
            self.store = store
            self.said: asyncio.Queue[str] = asyncio.Queue()

        async def read(self, work: Callable[[Transaction], object]) -> object:
            return await self.store.read(work)

        @asynccontextmanager
        async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[str]]:
            async def words() -> AsyncIterator[str]:
                while True:
                    yield await self.said.get()

            yield words()

    async def main() -> None:
        silent = Silent(road.store)
        hub = make_hub(silent)  # type: ignore[arg-type]  # as much of a store as a hub needs
        await hub.start()
        try:
            async with listening(hub, RIVERA) as listener:
                await write(road)
                assert await listener.frames(0.2) == []
                silent.said.put_nowait("")
                assert await hear(listener, 1) == [b"1:raised"]
        finally:
            await hub.stop()

    go(main)


def test_a_database_that_fails_for_a_while_loses_no_step(road: Road) -> None:
    failing = 3

    def fetch(tx: Transaction, xid: int, event_id: int, limit: int) -> Sequence[Step]:
        nonlocal failing
        if failing:
            failing -= 1
            raise StorageUnavailable("not now")
        return alert_steps.steps_after(tx, xid, event_id, limit)

    async def main() -> None:
        hub = make_hub(road.store, fetch)
        await hub.start()
        try:
            async with listening(hub, RIVERA) as listener:
                await write(road)
                assert await hear(listener, 1) == [b"1:raised"]
        finally:
            await hub.stop()
        assert failing == 0

    go(main)


def test_a_repair_that_fails_ends_the_connection_so_that_the_browser_comes_back(road: Road) -> None:
    def fetch(tx: Transaction, xid: int, event_id: int, limit: int) -> Sequence[Step]:
        raise StorageUnavailable("not now")

    async def main() -> None:
        await write(road)
        hub = make_hub(road.store, fetch)
        await hub.start()
        try:
            async with listening(hub, RIVERA, "0-0") as ear:
                assert await ear.frames(WAIT_S) is None
        finally:
            await hub.stop()

    go(main)


def test_when_the_server_stops_every_stream_ends_at_once(road: Road) -> None:
    async def main() -> None:
        hub = make_hub(road.store)
        await hub.start()
        async with listening(hub, RIVERA) as waiting:
            reading = asyncio.create_task(waiting.frames(WAIT_S))
            await asyncio.sleep(0)
            await hub.stop()
            assert await reading is None
            async with listening(hub, RIVERA) as late:
                assert await late.frames(WAIT_S) is None
            assert hub.listeners == 1
        assert hub.listeners == 0

    go(main)


def test_a_store_that_closes_ends_every_stream(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub, listening(hub, RIVERA) as listener:
            reading = asyncio.create_task(listener.frames(WAIT_S))
            await asyncio.sleep(0)
            await road.store.close()
            assert await reading is None

    go(main)
