"""The live stream of alerts: one subscription to the database for each process, one encoding for each step.

    storage topic -> Hub, which reads the new steps in commit order -> a Listener for each open connection

Those who may hear the same are asked about together, and a step is encoded once for all of them. A client that comes
back with the position of the last step it saw is repaired from the database; one that has been away for too long is
told to load its page anew.

This room stands below `records`, so the hub is given the functions that read: they come from `records.steps`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import msgspec
import structlog

from server.access.identity import Person
from server.access.policy import Permission, Scope
from server.alerts.listener import BEGINNING, READ_AT_ONCE_MAX, Audience, Listener, Position, Send, body
from server.storage.port import MISSED, StorageError, Store, Transaction

LOOK_AGAIN_SECONDS = 0.1
"""How soon to look again for a step that was announced while its place in the order was not yet final."""

LOOKS_MAX = 100
"""How often to look so for one step. What takes longer is found by the sweep."""

SWEEP_SECONDS = 5.0
"""How often to look in the database when nothing was announced: an announcement may get lost with its
connection, an alert must not."""

KEEP_ALIVE_SECONDS = 15.0
"""A proxy that closes silent connections waits for 30 s or more; and no longer may a stream outlive its session."""

KEPT_AT_ONCE_MAX = 500
"""Connections whose sessions are looked at in one read, and that get their comment in one turn of the loop."""

POSITION_LENGTH_MAX = 40

log = structlog.get_logger("server.alerts")


def read_position(text: str) -> Position | None:
    """The position of a `Last-Event-ID`, or None where it is not one of ours."""
    left, dash, right = text.strip().partition("-")
    plain = len(text) <= POSITION_LENGTH_MAX and dash == "-" and (left + right).isascii()
    if not plain or not left.isdigit() or not right.isdigit():
        return None
    position = Position(int(left), int(right))
    # Beyond what a database numbers with, a number could not even be asked for.
    return position if max(position) < 2**63 else None


def audience_of(person: Person) -> Audience | None:
    """What this person may hear; None where the role sees no alerts."""
    if not person.may(Permission.SEE_ALERTS):
        return None
    everything = person.scope is Scope.FORCE
    return Audience(everything, frozenset() if everything else person.boroughs)


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

    @property
    def boroughs(self) -> tuple[str, ...]:
        """The borough that has the duty, and those that have a copy of it."""
        return (self.borough, *self.copies)


Fetch = Callable[[Transaction, int, int, int], Sequence[Step]]
"""`fetch(tx, xid, event_id, limit)`: up to `limit` steps after that place, in order, only those that are final."""

Newest = Callable[[Transaction], tuple[int, int]]
"""`newest(tx)`: the place of the newest step that is final; (0, 0) where there is none."""

Encode = Callable[[Step | None], bytes]
"""One step as bytes on the wire. None is the word that too much was missed: load the page anew."""

Signed = Callable[[Transaction, Sequence[bytes]], Mapping[bytes, Person]]
"""`signed_in(tx, sessions)`: of these sessions those that stand, and whose they are."""


class Hub:
    """The live stream of one process. `start` it with the application; `stop` ends every connection."""

    def __init__(
        self,
        store: Store,
        topic: str,
        fetch: Fetch,
        newest: Newest,
        encode: Encode,
        *,
        signed_in: Signed,
        still_here: Callable[[Position], bytes],
    ) -> None:
        self.encode = encode
        self._store = store
        self._topic = topic
        self._fetch = fetch
        self._newest = newest
        self._signed_in = signed_in
        self._still_here = still_here
        self._groups: dict[Audience, set[Listener]] = {}
        self.position = BEGINNING
        """The last step that was handed out."""
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = False

    @property
    def listeners(self) -> int:
        """How many connections are open."""
        return sum(map(len, self._groups.values()))

    async def start(self) -> None:
        """Begin to listen. Steps from now on are heard. Raises StorageError."""
        ready = asyncio.Event()
        following = asyncio.create_task(self._run(ready), name="alert stream")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if following.done():
            following.result()
        self._tasks = [following, asyncio.create_task(self._keep_alive(), name="alert stream keep-alive")]

    def end_streams(self) -> None:
        """Let every connection end, so that a server that stops does not wait for them. No more are opened."""
        self._ended = True
        for listener in self._everybody():
            listener.end()

    async def stop(self) -> None:
        """End every connection and the subscription."""
        self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def place(self, last_seen: str | None) -> Position | None:
        """Where a connection goes on that has seen `last_seen` (a `Last-Event-ID`); from now on where it says nothing.

        None where that is no position of this database: then it is told to load its page anew. Raises StorageError.
        """
        if last_seen is None:
            return self.position
        asked = read_position(last_seen)
        return None if asked is None or asked > await self.newest() else asked

    def shared(self, audience: Audience) -> Audience:
        """The same audience, in the one object that all who are of it have: a set of boroughs is 2 KB."""
        return next((one.audience for one in self._groups.get(audience, ())), audience)

    def join(
        self,
        audience: Audience,
        session: bytes,
        send: Send,
        on_end: Callable[[], object],
        after: Position | None,
    ) -> Listener:
        """Open a connection, at a place that `place` gave a moment ago. `on_end` is called when it is to end."""
        listener = Listener(self, audience, session, send, on_end)
        self._groups.setdefault(audience, set()).add(listener)
        if self._ended:
            listener.end()
        elif after is None:
            listener.say(body(self.encode(None)), self.position)
        elif after != self.position:
            listener.catch_up(after)
        return listener

    def leave(self, listener: Listener) -> None:
        """The connection has ended."""
        listener.leave()
        group = self._groups.get(listener.audience, set())
        group.discard(listener)
        if not group:
            self._groups.pop(listener.audience, None)

    async def read_after(self, position: Position, limit: int) -> Sequence[Step]:
        """Steps after a place, from the database."""
        return await self._store.read(lambda tx: self._fetch(tx, position.xid, position.event_id, limit))

    async def newest(self) -> Position:
        """The place of the newest step, in the database."""
        return Position(*await self._store.read(self._newest))

    def _everybody(self) -> list[Listener]:
        return [listener for group in self._groups.values() for listener in group]

    async def _keep_alive(self) -> None:
        """Every so often: a comment to each connection, and an end to those whose person is signed in no more."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            everybody = self._everybody()
            for start in range(0, len(everybody), KEPT_AT_ONCE_MAX):
                await self._keep(everybody[start : start + KEPT_AT_ONCE_MAX])

    async def _keep(self, some: Sequence[Listener]) -> None:
        sessions = [listener.session for listener in some]
        try:
            standing = await self._store.read(lambda tx: self._signed_in(tx, sessions))
        except StorageError as error:
            # Nobody is thrown out because the database is away; the next round looks again.
            log.warning("alert stream waits for the database", kind=type(error).__name__)
            return
        # The position too, so that a borough where nothing happens need not be read again later.
        comment = body(self._still_here(self.position))
        for listener in some:
            person = standing.get(listener.session)
            audience = audience_of(person) if person is not None else None
            if audience is None:
                listener.end()
                continue
            if audience != listener.audience:
                self._move(listener, self.shared(audience))
            listener.say(comment, self.position)

    def _move(self, listener: Listener, audience: Audience) -> None:
        """Somebody's role or borough is another now."""
        group = self._groups.get(listener.audience, set())
        if listener in group:
            group.discard(listener)
            listener.audience = audience
            self._groups.setdefault(audience, set()).add(listener)

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
            if not any(self._groups.values()):
                # Nobody to hand anything to: whoever comes next begins here, and is read what comes after. Whoever
                # came during the look began before it, and is handed what the look would have passed over.
                newest = await self.newest()
                if not any(self._groups.values()):
                    self.position = max(self.position, newest)
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
        """Hand a step to everybody whom it is for, encoded once."""
        message, position, boroughs = body(self.encode(step)), step.position, step.boroughs
        for audience, group in self._groups.items():
            if audience.hears(boroughs):
                for listener in group:
                    listener.take(message, position)


async def _next(announced: AsyncIterator[str]) -> str | None:
    """The next payload, or None once the store has closed."""
    return await anext(announced, None)
