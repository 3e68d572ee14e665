"""The live stream: everybody hears every step of their boroughs once and in order, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from server import duty
from server.access.identity import Person
from server.alerts import stream
from server.alerts.stream import Hub, Listener, Position, Step, read_position
from server.records import steps as alert_steps
from server.storage import StorageError, StorageUnavailable, Store, Transaction
from sync.note import Place
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, SOUTHWARK, Road, somebody

RIVERA = somebody("rivera")
WAIT_S = 20.0
"""Far longer than any of this takes; only a failure waits for it."""


def encode(step: Step | None) -> bytes:
    return b"reload" if step is None else f"{step.event_id}:{step.kind}".encode()


def make_hub(store: Store) -> Hub:
    return Hub(store, alert_steps.TOPIC, alert_steps.steps_after, alert_steps.newest_event, encode)


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Hub]:
    hub = make_hub(store)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


async def hear(listener: Listener, count: int) -> list[bytes]:
    """The next `count` frames."""
    found: list[bytes] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            frames = await listener.frames(WAIT_S)
            assert frames is not None, "the stream ended"
            found += frames
    assert len(found) == count, found
    return found


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * WAIT_S):
            await main()

    asyncio.run(bounded())


@pytest.fixture
def road(store: Store) -> Road:
    return Road(store)


async def write(road: Road, borough: str = LAMBETH, **changes: object) -> None:
    """One note about somebody new, from that borough."""
    await asyncio.to_thread(lambda: road.officer("okafor", borough).writes(JONAS, **changes))


def test_a_step_reaches_the_borough_whose_it_is_and_no_other(road: Road) -> None:
    async def main() -> None:
        async with (
            running(road.store) as hub,
            hub.listening(RIVERA) as mine,
            hub.listening(somebody("other", borough=CAMDEN)) as other,
            hub.listening(somebody("gaffer", "force_duty_officer")) as force,
            hub.listening(somebody("inspector", "duty_inspector", SOUTHWARK)) as unit,
            hub.listening(somebody("auditor", "auditor")) as auditor,
        ):
            await write(road)
            for listener in (mine, force, unit):
                assert await hear(listener, 1) == [b"1:raised"]
            assert await other.frames(0) == [] and await auditor.frames(0) == []

    go(main)


def test_a_copy_reaches_the_borough_that_is_told_for_information(road: Road) -> None:
    road.child(AMARA, home=SOUTHWARK)

    async def main() -> None:
        async with running(road.store) as hub, hub.listening(somebody("s", borough=SOUTHWARK)) as told:
            lock = Place(place="Camden Lock", borough=CAMDEN)
            await asyncio.to_thread(
                lambda: road.officer("lam", CAMDEN).writes(AMARA, danger_now=True, found_at=lock)
            )
            assert await hear(told, 1) == [b"1:raised"]

    go(main)


def test_every_step_of_an_alert_is_heard_in_order(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub, hub.listening(RIVERA) as listener:
            await write(road)
            [(alert_id,)] = road.rows("SELECT alert_id FROM alert")
            await road.store.write(lambda tx: duty.acknowledge(tx, RIVERA, alert_id, now=road.now))
            await road.store.write(lambda tx: duty.close(tx, RIVERA, alert_id, "All is well", now=road.now))
            assert await hear(listener, 3) == [b"1:raised", b"2:acknowledged", b"3:closed"]

    go(main)


def test_who_comes_back_hears_what_was_missed_and_nothing_twice(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub:
            async with hub.listening(RIVERA) as listener:
                await write(road)
                await hear(listener, 1)
                seen = str(listener.position)
            for _ in range(3):
                road.passes(hours=30)
                await write(road)
            async with hub.listening(RIVERA, seen) as listener:
                road.passes(hours=30)
                await write(road)
                frames = await hear(listener, 4)
                assert [int(frame.partition(b":")[0]) for frame in frames] == [2, 3, 4, 5]
                assert await listener.frames(0) == []

    go(main)


def test_another_process_goes_on_where_the_first_one_stopped(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as first, running(road.store) as second:
            async with first.listening(RIVERA) as listener:
                await write(road)
                await hear(listener, 1)
                seen = str(listener.position)
            road.passes(hours=30)
            await write(road)
            async with second.listening(RIVERA, seen) as listener:
                assert len(await hear(listener, 1)) == 1

    go(main)


@pytest.mark.parametrize(
    "last_seen", ["", "soon", "1", "-1-2", "1-2-3", "9" * 30 + "-1", "\u0661-\u0662", "99999999-99999999"]
)
def test_a_position_that_is_not_of_this_database_is_answered_with_load_anew(
    road: Road, last_seen: str
) -> None:
    async def main() -> None:
        async with running(road.store) as hub, hub.listening(RIVERA, last_seen) as listener:
            assert await listener.frames(WAIT_S) == [b"reload"]
            await write(road)
            assert await hear(listener, 1) == [b"1:raised"]

    go(main)


def test_a_connection_that_was_too_slow_is_repaired_from_the_database(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BACKLOG_FRAMES_MAX", 3)

    async def main() -> None:
        async with running(road.store) as hub, hub.listening(RIVERA) as slow, hub.listening(RIVERA) as quick:
            for number in range(8):
                road.passes(hours=30)
                await write(road)
                await hear(quick, 1)
                assert len(slow._frames) <= 3, number
            frames = await hear(slow, 8)
            assert [int(frame.partition(b":")[0]) for frame in frames] == list(range(1, 9))
            await write(road, category=Category.KNIFE)
            assert len(await hear(slow, 1)) == 1

    go(main)


def test_who_was_away_for_too_long_loads_anew_and_then_goes_on(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "REPLAY_STEPS_MAX", 4)
    monkeypatch.setattr(stream, "READ_AT_ONCE_MAX", 2)

    async def main() -> None:
        for _ in range(9):
            await write(road)
            road.passes(hours=30)
        async with running(road.store) as hub, hub.listening(RIVERA, "0-0") as listener:
            assert await listener.frames(WAIT_S) == [b"reload"]
            await write(road)
            assert len(await hear(listener, 1)) == 1

    go(main)


def test_what_was_announced_while_nobody_could_listen_is_found(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The announcement is lost with its connection: the sweep finds the step all the same."""
    monkeypatch.setattr(stream, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(alert_steps, "TOPIC", "nobody listens")

    async def main() -> None:
        hub = Hub(road.store, "alerts", alert_steps.steps_after, alert_steps.newest_event, encode)
        await hub.start()
        try:
            async with hub.listening(RIVERA) as listener:
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
            async with hub.listening(RIVERA) as listener:
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
        hub = Hub(road.store, alert_steps.TOPIC, fetch, alert_steps.newest_event, encode)
        await hub.start()
        try:
            async with hub.listening(RIVERA) as listener:
                await write(road)
                assert await hear(listener, 1) == [b"1:raised"]
        finally:
            await hub.stop()
        assert failing == 0

    go(main)


def test_a_repair_that_fails_can_be_tried_again(road: Road) -> None:
    fails = True

    def fetch(tx: Transaction, xid: int, event_id: int, limit: int) -> Sequence[Step]:
        if fails:
            raise StorageUnavailable("not now")
        return alert_steps.steps_after(tx, xid, event_id, limit)

    async def main() -> None:
        nonlocal fails
        await write(road)
        hub = Hub(road.store, alert_steps.TOPIC, fetch, alert_steps.newest_event, encode)
        await hub.start()
        try:
            async with hub.listening(RIVERA, "0-0") as listener:
                with pytest.raises(StorageError):
                    await listener.frames(1)
                fails = False
                assert await hear(listener, 1) == [b"1:raised"]
        finally:
            await hub.stop()

    go(main)


def test_when_the_server_stops_every_stream_ends_at_once(road: Road) -> None:
    async def main() -> None:
        hub = make_hub(road.store)
        await hub.start()
        async with hub.listening(RIVERA) as waiting:
            reading = asyncio.create_task(waiting.frames(WAIT_S))
            await asyncio.sleep(0)
            await hub.stop()
            assert await reading is None
            async with hub.listening(RIVERA) as late:
                assert await late.frames(WAIT_S) is None
            assert hub.listeners == 1
        assert hub.listeners == 0

    go(main)


def test_a_store_that_closes_ends_every_stream(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub, hub.listening(RIVERA) as listener:
            reading = asyncio.create_task(listener.frames(WAIT_S))
            await asyncio.sleep(0)
            await road.store.close()
            assert await reading is None

    go(main)


def test_a_quiet_borough_keeps_up_with_the_position_of_the_others(road: Road) -> None:
    async def main() -> None:
        async with (
            running(road.store) as hub,
            hub.listening(RIVERA) as busy,
            hub.listening(somebody("other", borough=CAMDEN)) as quiet,
        ):
            await write(road)
            await hear(busy, 1)
            assert await quiet.frames(0) == []
            assert quiet.position == busy.position > Position(0, 0)

    go(main)


def test_steps_are_in_commit_order_however_their_writers_overlap(store: Store) -> None:
    """Two transactions overlap; whatever the order of their numbers, each step is heard once."""
    road = Road(store)
    officers = [road.officer(f"o{n}") for n in range(4)]

    async def main() -> None:
        async with running(store) as hub, hub.listening(RIVERA) as listener:

            async def burst(index: int) -> None:
                for number in range(5):
                    name = msgspec.structs.replace(
                        JONAS,
                        given_names=f"{'BDGK'[index]}a{'lmnrt'[number]}u",
                        family_name=None,
                        date_of_birth=None,
                    )
                    await asyncio.to_thread(lambda name=name: officers[index].writes(name))  # type: ignore[misc]  # bound early

            await asyncio.gather(*[burst(index) for index in range(4)])
            frames = await hear(listener, 20)
            assert len(set(frames)) == 20
            assert await listener.frames(0.2) == []

    go(main)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("5-17", Position(5, 17)),
        (" 5-17 ", Position(5, 17)),
        ("5", None),
        ("5-", None),
        ("a-b", None),
        ("-5-1", None),
    ],
)
def test_a_position_is_read_as_it_was_written(text: str, position: Position | None) -> None:
    assert read_position(text) == position
    assert position is None or read_position(str(position)) == position


def test_a_person_whose_role_sees_no_alerts_hears_none() -> None:
    step = Step(
        xid=1, event_id=1, alert_id=1, borough=LAMBETH, copies=(CAMDEN,), grade="red", kind="raised", at=0
    )
    people: list[tuple[Person, bool]] = [
        (RIVERA, True),
        (somebody("c", borough=CAMDEN), True),
        (somebody("s", borough=SOUTHWARK), False),
        (somebody("w", "ward_officer"), False),
        (somebody("a", "administrator"), False),
    ]
    for person, hears in people:
        assert step.is_for(person) is hears, person.role
