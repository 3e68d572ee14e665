"""Instants on which the server's words and the browser's must agree: (raised, length of the clock, passed), in ms."""

from __future__ import annotations

import random

SEED = 20261123
_MINUTE, _HOUR = 60_000, 3_600_000
_EDGES = (
    0,
    1,
    59_999,
    _MINUTE,
    _HOUR - 1,
    _HOUR,
    10 * _HOUR - 1,
    10 * _HOUR,
    48 * _HOUR - 1,
    48 * _HOUR,
    72 * _HOUR,
)


def _cases() -> list[tuple[int, int, int]]:
    rng = random.Random(SEED)
    raised = 1_760_000_000_000
    found = [(raised, length, passed) for length in _EDGES for passed in _EDGES]
    for _ in range(400):
        length = rng.randrange(1, 100 * _HOUR)
        found.append((raised, length, rng.randrange(0, 2 * length)))
    return found


CLOCK_SPANS = _cases()
