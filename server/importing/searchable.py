"""Search's index follows an import: children that were written are put into it by the part, while more are written.

Other processes turn them into sets; this one writes. What anybody else changes meanwhile is left in the queue, and
is moved at the end the way that the server's job moves it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TypeVar

from server.linkage.inverting import invert_packed, pack_told, unpack_inverted
from server.records import search, search_bulk
from server.records.search_bulk import Part
from server.storage.port import Store, Transaction

T = TypeVar("T")

PARTS_WAITING_MAX = 3
"""Parts that are being turned into sets at once, some megabytes each."""


class Searchable:
    """Fills search's index. `write` runs a transaction of the import; `told` hears how many children were moved."""

    def __init__(
        self,
        store: Store,
        write: Callable[[Callable[[Transaction], int]], int],
        told: Callable[[int], None],
    ) -> None:
        self._store, self._write, self._told = store, write, told
        self._waiting: deque[tuple[Part, Future[bytes]]] = deque()
        self._after = self._behind = self._moved = 0

    def follow(self, helpers: Executor, written: int) -> None:
        """So many children were written: take on the next part once there is a whole one."""
        self._behind += written
        if self._behind >= 2 * search_bulk.PART_CHILDREN:  # two, so that a block's end cuts few parts short
            self._take(helpers)
        while len(self._waiting) > PARTS_WAITING_MAX:
            self._put()

    def catch_up(self, helpers: Executor) -> None:
        """Nothing more is written: take on and put into the index all that waits."""
        while self._take(helpers):
            if len(self._waiting) > PARTS_WAITING_MAX:
                self._put()
        while self._waiting:
            self._put()

    def finish(self) -> None:
        """Move what is left in the queue: changes, and what changed while it was on its way."""
        while count := self._write(search.fill):
            self._count(count)

    def _take(self, helpers: Executor) -> bool:
        part = self._store.read_now(lambda tx: search_bulk.read_part(tx, self._after))
        if part is None:
            return False
        self._after = part.last
        self._behind -= len(part.stamps)
        self._waiting.append((part, helpers.submit(invert_packed, pack_told(part.told))))
        return True

    def _put(self) -> None:
        part, made = self._waiting.popleft()
        inverted = unpack_inverted(made.result())
        self._count(self._write(lambda tx: search_bulk.write_part(tx, part, inverted)))

    def _count(self, moved: int) -> None:
        self._moved += moved
        self._told(self._moved)
