"""One open connection of the live stream: no task and no queue of its own, until it is slow or comes back.

A frame is handed straight to the connection's `send`. Nearly always that takes it at once. Where it does not, because
the line is slow, the listener waits for that one frame in a task, drops what comes meanwhile, and is repaired from the
database by position: so nobody misses a step, and a slow connection costs no memory.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from server.storage.port import StorageError

if TYPE_CHECKING:
    from server.alerts.stream import Hub

READ_AT_ONCE_MAX = 500
"""Steps read from the database at a time; a busier moment takes several reads."""

REPLAY_STEPS_MAX = 2_000
"""A client that missed more than this loads its page anew, which is quicker than hearing every step."""

STUCK_SECONDS_MAX = 30.0
"""A connection that takes nothing for this long is closed; the browser comes back with its position."""

Event = MutableMapping[str, Any]
Send = Callable[[Event], Awaitable[None]]

log = structlog.get_logger("server.alerts")


class Position(NamedTuple):
    """A place in the order of steps: (transaction, event). The client's `Last-Event-ID` is `5-17`."""

    xid: int
    event_id: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.event_id}"


BEGINNING = Position(0, 0)


class Audience(NamedTuple):
    """What a person may hear: everything, or the steps of these boroughs. Equal for people of equal scope, so that
    the question is asked once for all of them."""

    everything: bool
    boroughs: frozenset[str]

    def hears(self, boroughs: Sequence[str]) -> bool:
        """Whether a step that concerns these boroughs is for this audience."""
        return self.everything or not self.boroughs.isdisjoint(boroughs)


def body(frame: bytes) -> Event:
    """A frame as an ASGI message. One for all who hear it: `send` only reads it."""
    return {"type": "http.response.body", "body": frame, "more_body": True}


class Listener:
    """One open connection, from `Hub.join` to `Hub.leave`. `session` is how its person's session is found again."""

    __slots__ = ("_after", "_busy", "_hub", "_on_end", "_send", "audience", "ended", "session")

    def __init__(
        self, hub: Hub, audience: Audience, session: bytes, send: Send, on_end: Callable[[], object]
    ) -> None:
        self.audience = audience
        self.session = session
        self.ended = False
        self._hub = hub
        self._send = send
        self._on_end = on_end
        self._after: Position | None = None
        """The last step that this connection has, where that is not the hub's own position."""
        self._busy: asyncio.Task[None] | None = None

    @property
    def is_behind(self) -> bool:
        """Whether it is being repaired."""
        return self._busy is not None

    def take(self, message: Event, position: Position) -> None:
        """Send one step on, unless an earlier one still waits or it was read from the database already."""
        if self._busy is not None or self.ended:
            return
        if self._after is not None:
            if position <= self._after:
                return
            self._after = None
        self.say(message, position)

    def say(self, message: Event, position: Position) -> None:
        """Hand a message to the connection, which then has everything up to `position`. Where it has to wait, what
        follows is repaired later."""
        if self._busy is not None or self.ended:
            return
        sending: Any = self._send(message)
        try:
            waits_for = sending.send(None)
        except StopIteration:
            return
        except Exception as error:
            self._broken(error)
            return
        self._repair(position, carry_on(sending, waits_for))

    def catch_up(self, after: Position) -> None:
        """Read what came after this position from the database, and then go on with everybody."""
        self._repair(after, None)

    def end(self) -> None:
        """Let the connection end: the server stops, the person signed out, or the line takes nothing."""
        if not self.ended:
            self.ended = True
            self._on_end()

    def leave(self) -> None:
        """The connection is gone."""
        self.ended = True
        if self._busy is not None:
            self._busy.cancel()

    def _broken(self, error: Exception) -> None:
        log.info("stream ended", kind=type(error).__name__)
        self.end()

    def _repair(self, after: Position, first: Coroutine[Any, Any, None] | None) -> None:
        self._busy = asyncio.get_running_loop().create_task(self._repairing(after, first))

    async def _repairing(self, after: Position, first: Coroutine[Any, Any, None] | None) -> None:
        try:
            if first is not None:
                async with asyncio.timeout(STUCK_SECONDS_MAX):
                    await first
            # The hub moves only between awaits: what it has handed out by now is in what was read.
            while (reached := await self._read_on(after)) != after or after < self._hub.position:
                after = reached
            self._after = after
            self._busy = None
        except (TimeoutError, StorageError, OSError) as error:
            # The browser comes back with the position it has, and by then the line or the database may be better.
            self._broken(error)

    async def _read_on(self, after: Position) -> Position:
        """Send what the database has after this position, or the word to load anew; the position then."""
        found: list[bytes] = []
        read = 0
        while read < REPLAY_STEPS_MAX:
            steps = await self._hub.read_after(after, READ_AT_ONCE_MAX)
            found += [self._hub.encode(step) for step in steps if self.audience.hears(step.boroughs)]
            read += len(steps)
            after = steps[-1].position if steps else after
            if len(steps) < READ_AT_ONCE_MAX:
                break
        else:
            after = max(after, await self._hub.newest())
            found = [self._hub.encode(None)]
        for frame in found:
            await self._sent(frame)
        return after

    async def _sent(self, frame: bytes) -> None:
        async with asyncio.timeout(STUCK_SECONDS_MAX):
            await self._send(body(frame))


@types.coroutine
def carry_on(coroutine: Any, waits_for: Any) -> Generator[Any, Any, None]:
    """Go on, in a task, with a coroutine that was begun by hand and waits for `waits_for`."""
    while True:
        try:
            answer = yield waits_for
        except BaseException as error:
            step = coroutine.throw
            given: Any = error
        else:
            step, given = coroutine.send, answer
        try:
            waits_for = step(given)
        except StopIteration:
            return


async def hold(receive: Callable[[], Awaitable[Event]], listener: Listener) -> None:
    """Return once the client has gone, or once the listener was ended (`end` cancels this wait)."""
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if not listener.ended:
        raise asyncio.CancelledError
