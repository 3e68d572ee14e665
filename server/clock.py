"""The one place where the server reads the time of day."""

from __future__ import annotations

import time

NANOSECONDS_PER_MILLISECOND = 1_000_000


def now_ms() -> int:
    """Milliseconds since the Unix epoch, UTC.

    Only the doors, the jobs and the composition root call this; everything below them is given
    `now`, so that a test or a simulation can choose the time.
    """
    return time.time_ns() // NANOSECONDS_PER_MILLISECOND
