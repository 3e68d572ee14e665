"""Who listens to a stream of alerts in tests, on whatever line, and what is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from server.access.identity import Person
from server.alerts import stream
from server.alerts.listener import Listener
from server.alerts.stream import Hub, Step, audience_of
from server.records import steps as alert_steps
from server.storage import Store
from tests.road import JONAS, LAMBETH, Road, somebody

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
