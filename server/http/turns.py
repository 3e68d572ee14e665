"""One request at a time for each upload, and the newest goes first.

A phone whose line was cut comes back before the server knows: the old request still waits for bytes that will never
come. So a new request asks the old one to end at once; what that one has received by then is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.http.problems import UPLOAD_BUSY, Problem

WAIT_SECONDS_MAX = 15.0
"""An old request that was asked to end has only to write what it has to the disk."""


class Turn:
    """An upload that somebody is at, or waits for."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.here = 0
        self.asked = False
        self._reading: asyncio.Timeout | None = None

    @asynccontextmanager
    async def reading(self, seconds: float) -> AsyncIterator[None]:
        """Around a wait for bytes: TimeoutError after so many seconds, or when somebody else wants the turn."""
        async with asyncio.timeout(0 if self.asked else seconds) as waiting:
            self._reading = waiting
            try:
                yield
            finally:
                self._reading = None

    def ask(self) -> None:
        """Ask whoever is at the upload to end."""
        self.asked = True
        # A wait that is over already cannot be ended once more, though whoever waited has not heard of it yet.
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())


class Turns:
    """The turns of one process. Between processes the lock on the part's file decides (storage/blobs.py)."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    @asynccontextmanager
    async def at(self, upload_id: str) -> AsyncIterator[Turn]:
        """Be the only one at this upload. Raises a problem (423) where the one before does not end."""
        turn = self._turns.setdefault(upload_id, Turn())
        turn.here += 1
        try:
            if turn.lock.locked():
                turn.ask()
            try:
                async with asyncio.timeout(WAIT_SECONDS_MAX):
                    await turn.lock.acquire()
            except TimeoutError:
                raise Problem(UPLOAD_BUSY, "The request before has not ended yet.") from None
            # Whoever came after this one still wants its turn.
            turn.asked = turn.here > 1
            try:
                yield turn
            finally:
                turn.lock.release()
        finally:
            turn.here -= 1
            if not turn.here:
                del self._turns[upload_id]
