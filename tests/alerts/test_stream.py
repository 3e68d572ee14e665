"""The live stream: everybody hears every step of their boroughs once and in order, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from server import duty
from server.access.identity import Person
from server.alerts import listener as listener_module
from server.alerts import stream
from server.alerts.listener import Listener, Position
from server.alerts.stream import Hub, Step, audience_of, read_position
from server.records import steps as alert_steps
from server.storage import StorageUnavailable, Store, Transaction
from sync.note import Place
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, SOUTHWARK, Road, somebody

RIVERA = somebody("rivera")
WAIT_S = 20.0
"""Far longer than any of this takes; only a failure waits for it."""


def encode(step: Step | None) -> bytes:
    return b"reload" if step is None else f"{step.event_id}:{step.kind}".encode()


def make_hub(store: Store, fetch: stream.Fetch = alert_steps.steps_after) -> Hub:
    return Hub(
        store,
        alert_steps.TOPIC,
        fetch,
        alert_steps.newest_event,
        encode,
        signed_in=lambda _tx, some: {session: RIVERA for session in some if session},
        still_here=lambda position: f"here {position}".encode(),
    )


class Ear:
    """A client: takes what is sent at once, unless its line is `slow`."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ended = False
        self.listener: Listener
        self._line = asyncio.Event()
        self._line.set()
        self._news = asyncio.Event()

    async def send(self, message: Any) -> None:
        await self._line.wait()
        self.heard.append(message["body"])
        self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    def slow(self) -> None:
        self._line.clear()

    def quick(self) -> None:
        self._line.set()

    async def frames(self, timeout_seconds: float) -> list[bytes] | None:
        """What was heard since, waiting for the first of it; None once the hub has ended the connection."""
        if not self.heard and not self.ended:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self._news.wait()
        if self.ended:
            return None
        found, self.heard = self.heard, []
        return found


@asynccontextmanager
async def listening(
    hub: Hub, person: Person, last_seen: str | None = None, session: bytes = b"s"
) -> AsyncIterator[Ear]:
    ear, audience = Ear(), audience_of(person)
    assert audience is not None
    place = await hub.place(last_seen)
    ear.listener = hub.join(audience, session, ear.send, ear.end, place)
    try:
        yield ear
    finally:
        hub.leave(ear.listener)


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Hub]:
    hub = make_hub(store)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


def behind(ear: Ear) -> bool:
    return ear.listener.is_behind


async def hear(listener: Ear, count: int) -> list[bytes]:
    """The next `count` frames. None may be the comment of a quiet stream, which says that nothing came."""
    found: list[bytes] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            frames = await listener.frames(WAIT_S)
            assert frames is not None, "the stream ended"
            found += frames
    assert len(found) == count and not any(frame.startswith(b"here ") for frame in found), found
    return found


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * WAIT_S):
            await main()

    asyncio.run(bounded())


async def write(road: Road, borough: str = LAMBETH, **changes: object) -> None:
    """One note about somebody new, from that borough."""
    await asyncio.to_thread(lambda: road.officer("okafor", borough).writes(JONAS, **changes))


def test_a_step_reaches_the_borough_whose_it_is_and_no_other(road: Road) -> None:
    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as mine,
            listening(hub, somebody("other", borough=CAMDEN)) as other,
            listening(hub, somebody("gaffer", "force_duty_officer")) as force,
            listening(hub, somebody("inspector", "duty_inspector", SOUTHWARK)) as unit,
        ):
            await write(road)
            for listener in (mine, force, unit):
                assert await hear(listener, 1) == [b"1:raised"]
            assert await other.frames(0) == []

    go(main)


def test_a_copy_reaches_the_borough_that_is_told_for_information(road: Road) -> None:
    road.child(AMARA, home=SOUTHWARK)

    async def main() -> None:
        async with running(road.store) as hub, listening(hub, somebody("s", borough=SOUTHWARK)) as told:
            lock = Place(place="Camden Lock", borough=CAMDEN)
            await asyncio.to_thread(
                lambda: road.officer("lam", CAMDEN).writes(AMARA, danger_now=True, found_at=lock)
            )
            assert await hear(told, 1) == [b"1:raised"]

    go(main)


def test_every_step_of_an_alert_is_heard_in_order(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub, listening(hub, RIVERA) as listener:
            await write(road)
            [(alert_id,)] = road.rows("SELECT alert_id FROM alert")
            await road.store.write(lambda tx: duty.acknowledge(tx, RIVERA, alert_id, now=road.now))
            await road.store.write(lambda tx: duty.close(tx, RIVERA, alert_id, "All is well", now=road.now))
            assert await hear(listener, 3) == [b"1:raised", b"2:acknowledged", b"3:closed"]

    go(main)


def test_who_comes_back_hears_what_was_missed_and_nothing_twice(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as hub:
            async with listening(hub, RIVERA) as listener:
                await write(road)
                await hear(listener, 1)
                seen = str(hub.position)
            for _ in range(3):
                road.passes(hours=30)
                await write(road)
            async with listening(hub, RIVERA, seen) as listener:
                road.passes(hours=30)
                await write(road)
                frames = await hear(listener, 4)
                assert [int(frame.partition(b":")[0]) for frame in frames] == [2, 3, 4, 5]
                assert await listener.frames(0) == []

    go(main)


def test_another_process_goes_on_where_the_first_one_stopped(road: Road) -> None:
    async def main() -> None:
        async with running(road.store) as first, running(road.store) as second:
            async with listening(first, RIVERA) as listener:
                await write(road)
                await hear(listener, 1)
                seen = str(first.position)
            road.passes(hours=30)
            await write(road)
            async with listening(second, RIVERA, seen) as listener:
                assert await hear(listener, 1) == [b"2:grew"]

    go(main)


def test_whoever_comes_while_the_stream_looks_where_it_is_misses_nothing(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, a step is written, and the first browser comes before the stream has moved past it."""

    async def main() -> None:
        async with running(road.store) as hub:
            looking, go_on, newest = asyncio.Event(), asyncio.Event(), hub.newest

            async def slowly() -> Position:
                found = await newest()
                if found > hub.position:
                    looking.set()
                    await go_on.wait()
                return found

            monkeypatch.setattr(hub, "newest", slowly)
            await write(road)
            await asyncio.wait_for(looking.wait(), WAIT_S)
            async with listening(hub, RIVERA) as listener:
                go_on.set()
                assert await hear(listener, 1) == [b"1:raised"]

    go(main)


@pytest.mark.parametrize(
    "last_seen", ["", "soon", "1", "-1-2", "1-2-3", "9" * 30 + "-1", "\u0661-\u0662", "99999999-99999999"]
)
def test_a_position_that_is_not_of_this_database_is_answered_with_load_anew(
    road: Road, last_seen: str
) -> None:
    async def main() -> None:
        async with running(road.store) as hub, listening(hub, RIVERA, last_seen) as listener:
            assert await listener.frames(WAIT_S) == [b"reload"]
            await write(road)
            assert await hear(listener, 1) == [b"1:raised"]

    go(main)


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


def test_who_signs_out_is_heard_of_and_the_others_are_told_that_it_is_there(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE_SECONDS", 0.02)

    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as stays,
            listening(hub, RIVERA, session=b"") as leaves,
            listening(hub, somebody("moved", borough=CAMDEN)) as moves,
        ):
            assert await leaves.frames(WAIT_S) is None
            assert (await stays.frames(WAIT_S) or [])[0] == b"here 0-0"
            # The session of the third is RIVERA's by now: what that borough hears, this connection hears.
            await moves.frames(WAIT_S)
            await write(road)
            async with asyncio.timeout(WAIT_S):
                while b"1:raised" not in (await moves.frames(WAIT_S) or []):
                    pass

    go(main)


def test_who_was_away_for_too_long_loads_anew_and_then_goes_on(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "REPLAY_STEPS_MAX", 4)
    monkeypatch.setattr(listener_module, "READ_AT_ONCE_MAX", 2)

    async def main() -> None:
        for _ in range(9):
            await write(road)
            road.passes(hours=30)
        async with running(road.store) as hub, listening(hub, RIVERA, "0-0") as listener:
            assert await listener.frames(WAIT_S) == [b"reload"]
            await write(road)
            assert len(await hear(listener, 1)) == 1

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


def test_a_quiet_borough_keeps_up_with_the_position_of_the_others(road: Road) -> None:
    async def main() -> None:
        async with (
            running(road.store) as hub,
            listening(hub, RIVERA) as busy,
            listening(hub, somebody("other", borough=CAMDEN)) as quiet,
        ):
            await write(road)
            await hear(busy, 1)
            assert await quiet.frames(0) == []
            assert await hub.newest() == hub.position > Position(0, 0)

    go(main)


def test_steps_are_in_commit_order_however_their_writers_overlap(store: Store) -> None:
    """Two transactions overlap; whatever the order of their numbers, each step is heard once."""
    road = Road(store)
    officers = [road.officer(f"o{n}") for n in range(4)]

    async def main() -> None:
        async with running(store) as hub, listening(hub, RIVERA) as listener:

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
        audience = audience_of(person)
        assert (audience is not None and audience.hears(step.boroughs)) is hears, person.role
