"""Notes go before photographs: while a push is here, uploads hold still for a moment.

On a small server both want the same cores. A push is answered in tens of milliseconds and somebody's safety may hang
on it; a photograph of some seconds can wait that long, again and again, and never for long at once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from server.storage.port import StorageBusy

HOLD_SECONDS_MAX = 0.1
"""For each quarter of a megabyte: so an upload still moves at 2.5 MB/s while pushes never cease."""

LINGER_SECONDS = 0.01
"""After the last push: a phone that has more sends it at once, and would find eight uploads that have just set out."""

WAIT_SECONDS_MAX = 6.0
"""A push that would wait longer, as fast as they are answered now, is told to come back (503)."""
PUSHES_AT_ONCE_MIN, PUSHES_AT_ONCE_MAX = 64, 512
"""So many are let in however slow it goes, and no more than so many however fast: each holds its notes in memory."""
SECONDS_EACH_AT_FIRST = 0.015
"""From one answer to the next, until it is known: some 20 notes."""
SMOOTHING = 1 / 32
"""What one answer counts: as many come at once as were committed together."""
COME_BACK_SECONDS = 4
"""Asked of those who must wait longer: by then most of the ones here are worked on. Phones wait up to twice as long,
each another time. Were it a second, two thousand phones at the end of a shift would ask ten thousand times, in time
that notes need."""
PUSHES_WITH_ROOM = 32
BACKOFF_MS_EACH = 20
"""For each push above those: about what one takes."""
BACKOFF_MS_MAX = 5_000


class NotesFirst:
    """Counts the pushes that this process has before it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._here = 0
        self._pushes = 0
        self._let_in = 0
        self._seconds_each = SECONDS_EACH_AT_FIRST
        self._answered_at: float | None = None
        """While others wait behind the one that was answered then."""
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._lingering: asyncio.TimerHandle | None = None

    @property
    def under_way(self) -> int:
        """How many pushes wait or are worked on now."""
        return self._pushes

    @property
    def is_full(self) -> bool:
        """Whether as many pushes are here as may be."""
        may_be = min(WAIT_SECONDS_MAX / self._seconds_each, PUSHES_AT_ONCE_MAX)
        return self._let_in >= max(may_be, PUSHES_AT_ONCE_MIN)

    @contextmanager
    def let_in(self) -> Iterator[None]:
        """Around a push from its first byte to its answer. Raises StorageBusy where too many are here."""
        if self.is_full:
            raise StorageBusy("Many phones are sending at this moment.", COME_BACK_SECONDS)
        self._let_in += 1
        try:
            yield
            self._answered()
        finally:
            self._let_in -= 1
            if not self._let_in:
                self._answered_at = None

    def _answered(self) -> None:
        now = self._clock()
        if self._answered_at is not None:
            self._seconds_each += SMOOTHING * (now - self._answered_at - self._seconds_each)
        self._answered_at = now

    def backoff_ms(self) -> int:
        """How long a phone that was just answered should wait before its next push: a hint, 0 while there is room."""
        above = self._pushes - PUSHES_WITH_ROOM
        return min(BACKOFF_MS_MAX, max(0, above) * BACKOFF_MS_EACH)

    @contextmanager
    def pushing(self) -> Iterator[None]:
        """Around the work on a push, once its notes are here."""
        self._pushes += 1
        try:
            yield
        finally:
            self._pushes -= 1

    @contextmanager
    def hushed(self) -> Iterator[None]:
        """Around a push from its head to the end of its answer: who sends it is looked up, and its notes are taken in,
        on the event loop that uploads need too."""
        self._here += 1
        self._quiet.clear()
        if self._lingering is not None:
            self._lingering.cancel()
        try:
            yield
        finally:
            self._here -= 1
            if not self._here:
                loop = asyncio.get_running_loop()
                self._lingering = loop.call_later(LINGER_SECONDS, self._quiet.set)

    async def give_way(self) -> None:
        """Wait until no push is here, or the moment is over."""
        if self._quiet.is_set():
            return
        try:
            async with asyncio.timeout(HOLD_SECONDS_MAX):
                await self._quiet.wait()
        except TimeoutError:
            return


PUSH_SECONDS_MAX = 10.0
"""How long a push waits for those before it: as long as for a lock of the database."""


class OnePush:
    """The turn of the pushes of one process, in whatever threads they run."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def __enter__(self) -> None:
        if not self._turn.acquire(timeout=PUSH_SECONDS_MAX):
            raise StorageBusy("Many pushes are waiting already. Try again soon.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turn.release()
