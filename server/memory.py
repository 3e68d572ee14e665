"""How a process that works for long keeps its memory.

What Python and the C library do by themselves is made for programs that end soon.
"""

import contextlib
import ctypes
import gc

OBJECTS_BETWEEN_SEARCHES = 50_000
"""A push makes tens of thousands of short-lived objects and hardly ever a cycle: at Python's own threshold the search
for cycles costs a twelfth of the server's time."""

M_ARENA_MAX = -8  # from <malloc.h>


def use_one_heap() -> None:
    """Let all threads take memory from one heap, where the C library is GNU's.

    It gives each thread a heap of its own, which grows and shrinks page by page: a twentieth of the writer's time.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def search_seldom() -> None:
    """Search seldom for cycles from now on, and not in what is loaded by now (models, counts of names, boundaries)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES, 20, 20)
