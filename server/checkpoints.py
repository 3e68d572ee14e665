"""What each bucket holds at its place in the change log: said to phones at every checkpoint, and not counted anew
each time.

A phone that asks and finds nothing new is the commonest request of all, and an officer's notes only grow. So a
process remembers, for each bucket, the place in the log up to which it knows the total, and brings it on from there by
what the log says since. The first time, and where a phone says that its copy is wrong, the rows themselves are
counted. Nothing is stored: another process, or this one after a restart, counts once. So does everyone once a day:
were a change ever made and not logged, the phones would find out at the next checkpoint and mend their copies.
"""

import threading
from collections.abc import Callable, Mapping

import msgspec

from server.records import changes
from server.records.changes import Place
from server.storage.port import Transaction
from sync.envelope import ChangeOp
from sync.holdings import Total, total

BUCKETS_MAX = 20_000
"""Remembered in a process: the officers of ten forces. Beyond that the one longest known goes."""

SINCE_MAX = 500
"""Changes that are worth following; after more it is as quick to count."""


COUNTED_AGAIN_MS = 24 * 3_600_000


class Known(msgspec.Struct, frozen=True):
    """The total of a bucket once every change up to `place`, and none after it, has been made. `counted_at`: when the
    rows themselves were last counted (ms)."""

    place: Place
    total: Total
    counted_at: int

    def holds(self, place: Place, now: int) -> bool:
        """Whether it can be said at this place and time as it is."""
        return self.place == place and now < self.counted_at + COUNTED_AGAIN_MS


class Totals:
    """The totals that this process knows, for threads in any number."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()

    def at(self, bucket: str, place: Place, *, now: int) -> Total | None:
        """The total at just this place, where it is known without a look at the database."""
        known = self._known.get(bucket)
        return known.total if known is not None and known.holds(place, now) else None

    def keep(self, found: Mapping[str, Known]) -> None:
        """Remember what `of` found, now that all that it was found in is committed."""
        with self._lock:
            for bucket, known in found.items():
                if self._known.pop(bucket, None) is None and len(self._known) >= BUCKETS_MAX:
                    del self._known[next(iter(self._known))]
                self._known[bucket] = known

    def forget(self, bucket: str) -> None:
        """The next time the rows are counted."""
        with self._lock:
            self._known.pop(bucket, None)

    def of(
        self,
        tx: Transaction,
        bucket: str,
        place: Place,
        revisions: Callable[[], list[tuple[str, str, int]]],
        *,
        only_grows: bool,
        now: int,
    ) -> Known:
        """The total at `place`, which is the end of the bucket's log as `tx` sees it, none of it unsettled. To be kept
        (`keep`) once `tx` has ended well: it may see what is not committed yet.

        `only_grows`: a row that came never leaves and each of its revisions is in the log, from 1 on; so the log
        alone tells what the total became.
        """
        known = self._known.get(bucket)
        if known is not None and now >= known.counted_at + COUNTED_AGAIN_MS:
            known = None
        if known is not None and known.place == place:
            return known
        found = _brought_on(tx, bucket, known, place) if known is not None and only_grows else None
        counted_at = known.counted_at if known is not None and found is not None else now
        if found is None:
            found = total(revisions())
        return Known(place, found, counted_at)


def _brought_on(tx: Transaction, bucket: str, known: Known, place: Place) -> Total | None:
    """The total moved on by the log, or None where the log does not lead from there to `place`."""
    since = changes.after(tx, bucket, *known.place, SINCE_MAX + 1)
    if not since or len(since) > SINCE_MAX or (since[-1].xid, since[-1].seq) != place:
        return None
    found = known.total
    for entry in since:
        if entry.op is not ChangeOp.PUT:
            return None
        step = found.put if entry.rev == 1 else found.moved
        found = step(entry.kind, entry.id, entry.rev)
    return found
