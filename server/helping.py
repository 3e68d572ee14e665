"""How a process begins that only computes for another one: an import's helpers.

It imports hardly anything, so that a helper holds little more than what it works on.
"""

from __future__ import annotations

import gc
import os
from multiprocessing import parent_process
from threading import Thread

OBJECTS_BETWEEN_SEARCHES = (100_000, 50, 100)


def begin_helping() -> None:
    """Work without searches for cycles, which rows never make; end when the parent is killed, for nobody would
    ever give this helper work again."""
    gc.set_threshold(*OBJECTS_BETWEEN_SEARCHES)
    parent = parent_process()
    assert parent is not None, "only a process of a pool runs this"

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
