"""The live stream of alerts: one subscription to the database for each process, one encoding for each step.

    storage topic -> Hub, which reads the new steps in commit order -> a Listener for each open connection

A listener holds a bounded backlog. When that overflows, or when a client comes back with the position of the
last step it saw, the listener reads from the database instead, by position: so nobody misses a step, and a
slow connection costs no memory. A client that has been away for too long is told to load its page anew.

This room stands below `records`, so the hub is given the functions that read: they come from `records.alerts`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import msgspec
import structlog

from server.access.identity import Person
from server.access.policy import Permission
from server.storage.port import MISSED, StorageError, Store, Transaction

BACKLOG_FRAMES_MAX = 256
"""Steps that wait for one connection. A step is about 150 bytes, and 256 of them are a busy borough's hour."""

READ_AT_ONCE_MAX = 500
"""Steps read from the database at a time; a busier moment takes several reads."""

REPLAY_STEPS_MAX = 2_000
"""A client that missed more than this loads its page anew, which is quicker than hearing every step."""

LOOK_AGAIN_SECONDS = 0.1
"""How soon to look again for a step that was announced while its place in the order was not yet final."""

LOOKS_MAX = 100
"""How often to look so for one step. What takes longer is found by the sweep."""

SWEEP_SECONDS = 5.0
"""How often to look in the database when nothing was announced: an announcement may get lost with its
connection, an alert must not."""

log = structlog.get_logger("server.alerts")


class Position(NamedTuple):
    """A place in the order of steps: (transaction, event). The client's `Last-Event-ID` is `5-17`."""

    xid: int
    event_id: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.event_id}"


BEGINNING = Position(0, 0)
POSITION_LENGTH_MAX = 40


def read_position(text: str) -> Position | None:
    """The position of a `Last-Event-ID`, or None where it is not one of ours."""
    left, dash, right = text.strip().partition("-")
    plain = len(text) <= POSITION_LENGTH_MAX and dash == "-" and (left + right).isascii()
    if not plain or not left.isdigit() or not right.isdigit():
        return None
    position = Position(int(left), int(right))
    # Beyond what a database numbers with, a number could not even be asked for.
    return position if max(position) < 2**63 else None


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A step of an alert as the stream sends it: numbers, places and grades, and nobody's name."""

    xid: int
    event_id: int
    alert_id: int
    borough: str
    copies: tuple[str, ...]
    grade: str
    kind: str
    at: int

    @property
    def position(self) -> Position:
        return Position(self.xid, self.event_id)

    def is_for(self, person: Person) -> bool:
        """Whether this person's boroughs have the duty, or a copy of it."""
        return person.may(Permission.SEE_ALERTS) and (
            person.sees_borough(self.borough) or any(map(person.sees_borough, self.copies))
        )


Fetch = Callable[[Transaction, int, int, int], Sequence[Step]]
"""`fetch(tx, xid, event_id, limit)`: up to `limit` steps after that place, in order, only those that are final."""

Newest = Callable[[Transaction], tuple[int, int]]
"""`newest(tx)`: the place of the newest step that is final; (0, 0) where there is none."""

Encode = Callable[[Step | None], bytes]
"""One step as bytes on the wire. None is the word that too much was missed: load the page anew."""


class Listener:
    """One open connection. Made by `Hub.listening`; used by one task."""

    def __init__(
        self, hub: Hub, person: Person, position: Position, *, behind: bool, first: Sequence[bytes] = ()
    ) -> None:
        self.person = person
        self.position = position
        """The last step that was handed out, or was not for this person."""
        self._hub = hub
        self._behind = behind
        self._first = list(first)
        self._ended = False
        self._frames: deque[tuple[Position, bytes]] = deque()
        self._wake = asyncio.Event()

    def push(self, step: Step, frame: bytes) -> None:
        """Take a step. When too many wait they are dropped, and read from the database later."""
        if self._behind or not step.is_for(self.person):
            return
        if len(self._frames) >= BACKLOG_FRAMES_MAX:
            self._frames.clear()
            self._behind = True
        else:
            self._frames.append((step.position, frame))
        self._wake.set()

    def end(self) -> None:
        """Let the connection end: the server stops."""
        self._ended = True
        self._wake.set()

    async def frames(self, timeout_seconds: float) -> list[bytes] | None:
        """What is new, as soon as there is something; empty after the timeout; None once the hub has stopped.

        Raises StorageError where the database must be read and cannot be; calling again is safe.
        """
        if self._first:
            first, self._first = self._first, []
            return first
        if not self._behind and not self._frames and not self._ended:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self._wake.wait()
        if self._ended:
            return None
        if self._behind:
            return await self._catch_up()
        # What the hub has handed out and is not in the backlog was not for this person.
        after, self.position = self.position, max(self.position, self._hub.position)
        found = [frame for position, frame in self._frames if position > after]
        self._frames.clear()
        return found

    async def _catch_up(self) -> list[bytes]:
        """Read from the database what this connection missed, to its end."""
        # From here on new steps wait in the backlog again; those that are read below are then left out.
        self._behind = False
        after, read = self.position, 0
        found: list[bytes] = []
        try:
            while True:
                steps = await self._hub.read_after(after, READ_AT_ONCE_MAX)
                found += [self._hub.encode(step) for step in steps if step.is_for(self.person)]
                read += len(steps)
                if steps:
                    after = steps[-1].position
                if len(steps) < READ_AT_ONCE_MAX:
                    break
                if read >= REPLAY_STEPS_MAX:
                    after = max(after, await self._hub.newest())
                    found = [self._hub.encode(None)]
                    break
        except BaseException:
            self._behind = True
            raise
        self.position = after
        return found


class Hub:
    """The live stream of one process. `start` it with the application; `stop` ends every connection."""

    def __init__(self, store: Store, topic: str, fetch: Fetch, newest: Newest, encode: Encode) -> None:
        self.encode = encode
        self._store = store
        self._topic = topic
        self._fetch = fetch
        self._newest = newest
        self._listeners: set[Listener] = set()
        self.position = BEGINNING
        """The last step that was handed out."""
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def listeners(self) -> int:
        """How many connections are open."""
        return len(self._listeners)

    async def start(self) -> None:
        """Begin to listen. Steps from now on are heard. Raises StorageError."""
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(ready), name="alert stream")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            self._task.result()

    def end_streams(self) -> None:
        """Let every connection end, so that a server that stops does not wait for them. No more are opened."""
        self._ended = True
        for listener in self._listeners:
            listener.end()

    async def stop(self) -> None:
        """End every connection and the subscription."""
        self.end_streams()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @asynccontextmanager
    async def listening(self, person: Person, last_seen: str | None = None) -> AsyncIterator[Listener]:
        """A connection of this person, from the step after `last_seen` (a `Last-Event-ID`), or from now on.

        A `last_seen` that is not a position of this database is answered with the word to load anew.
        """
        position, behind, first = self.position, False, []
        if last_seen is not None:
            asked = read_position(last_seen)
            if asked is None or asked > await self.newest():
                first = [self.encode(None)]
            else:
                position, behind = asked, True
        listener = Listener(self, person, position, behind=behind, first=first)
        if self._ended:
            listener.end()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def read_after(self, position: Position, limit: int) -> Sequence[Step]:
        """Steps after a place, from the database."""
        return await self._store.read(lambda tx: self._fetch(tx, position.xid, position.event_id, limit))

    async def newest(self) -> Position:
        """The place of the newest step, in the database."""
        return Position(*await self._store.read(self._newest))

    async def _run(self, ready: asyncio.Event) -> None:
        try:
            async with self._store.subscribe(self._topic) as announced:
                self.position = await self.newest()
                ready.set()
                await self._follow(announced)
        except Exception as error:
            log.error("alert stream ended", kind=type(error).__name__)
            raise
        finally:
            self.end_streams()

    async def _follow(self, announced: AsyncIterator[str]) -> None:
        """Hand out steps until the store closes. `awaited`: how often each announced step was looked for."""
        awaited: dict[int, int] = {}
        handed: deque[int] = deque(maxlen=READ_AT_ONCE_MAX)
        reading = asyncio.create_task(_next(announced))
        try:
            while True:
                await asyncio.wait({reading}, timeout=LOOK_AGAIN_SECONDS if awaited else SWEEP_SECONDS)
                if reading.done():
                    payload = reading.result()
                    if payload is None:
                        return
                    reading = asyncio.create_task(_next(announced))
                    if payload != MISSED and int(payload) in handed:
                        continue  # an earlier look found it already
                    if payload != MISSED:
                        awaited[int(payload)] = 0
                for event_id in await self._hand_out():
                    awaited.pop(event_id, None)
                    handed.append(event_id)
                awaited = {event: looks + 1 for event, looks in awaited.items() if looks < LOOKS_MAX}
        finally:
            reading.cancel()

    async def _hand_out(self) -> list[int]:
        """Read what is new and give it to those it is for; the ids of the steps."""
        found: list[int] = []
        try:
            if not self._listeners:
                # Nobody to hand anything to: whoever comes next begins here, and is read what comes after.
                self.position = max(self.position, await self.newest())
                return found
            while True:
                steps = await self.read_after(self.position, READ_AT_ONCE_MAX)
                for step in steps:
                    self._give(step)
                    self.position = step.position
                    found.append(step.event_id)
                if len(steps) < READ_AT_ONCE_MAX:
                    return found
        except StorageError as error:
            # The steps are safe in the database: the next look finds them.
            log.warning("alert stream waits for the database", kind=type(error).__name__)
            return found

    def _give(self, step: Step) -> None:
        if self._listeners:
            frame = self.encode(step)
            for listener in self._listeners:
                listener.push(step, frame)


async def _next(announced: AsyncIterator[str]) -> str | None:
    """The next payload, or None once the store has closed."""
    return await anext(announced, None)
