"""`python -m tests.bench.measured SHARES.json serve ...`: the server with a meter on each room.

The meter charges the CPU time of a thread to the room it is in, the innermost one: a statement that linkage
asks for is storage's. Whatever the process uses besides is HTTP's: reading requests, authentication, answers,
the event loop. Decisions made ahead by a process of their own (`server/ahead.py`) are not in it: run with
`EARLYSIGN_LINKAGE_AHEAD=no` for what linkage costs. The shares go to SHARES.json every second. Metering costs some
per cent, so rates come from runs without it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server import applying, cli, intake, placing
from server.audit import trail
from server.http import sync as door
from server.linkage.decide import Decider
from server.records import cases
from server.storage.sqlite_transaction import SqliteTransaction
from server.storage.writer import Writer

WRITE_EVERY_SECONDS = 1.0

STATEMENTS = ("execute", "executemany", "insert_many", "rows", "row", "value", "savepoint_command")

ROOMS: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("storage", SqliteTransaction, STATEMENTS),
    ("storage", Writer, ("_run_group",)),
    ("storage: commit", Writer, ("_commit",)),
    ("linkage", Decider, ("decide",)),
    ("linkage", placing, ("describe",)),
    ("rules", cases, ("assess", "route", "deadline")),
    ("rules", applying, ("note_fact",)),
    ("audit", trail, ("_write",)),
    ("the road itself", door, ("prepare",)),
    ("the road itself", intake, ("receive",)),
)


class Meter:
    """CPU seconds by room."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.started: float | None = None
        """The process's CPU time when the first push came: starting up is not what is measured."""
        self._local = threading.local()

    def on(self, room: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, charged to `room` except for what it calls in other rooms."""
        clock, seconds, local = time.thread_time, self.seconds, self._local

        def metered(*args: Any, **kwargs: Any) -> Any:
            stack = local.__dict__.setdefault("stack", [])
            now = clock()
            if stack:
                seconds[stack[-1][0]] += now - stack[-1][1]
            stack.append([room, now])
            try:
                return function(*args, **kwargs)
            finally:
                now = clock()
                seconds[room] += now - stack.pop()[1]
                if stack:
                    stack[-1][1] = now

        return metered

    def install(self) -> None:
        for room, owner, names in ROOMS:
            for name in names:
                setattr(owner, name, self.on(room, getattr(owner, name)))
        vars(door)["prepare"] = self._from_the_first_push(vars(door)["prepare"])

    def _from_the_first_push(self, prepare: Callable[..., Any]) -> Callable[..., Any]:
        def first(*args: Any) -> Any:
            if self.started is None:
                self.started = time.process_time()
                self.seconds.clear()
            return prepare(*args)

        return first

    def shares(self) -> dict[str, float]:
        if self.started is None:
            return {}
        total = time.process_time() - self.started
        found = {room: seconds / total for room, seconds in self.seconds.most_common()}
        return found | {"HTTP and the rest": 1 - sum(found.values())}


def keep_writing(meter: Meter, shares: Path) -> None:
    """The server ends by a signal, without notice: so write all the time."""
    while True:
        time.sleep(WRITE_EVERY_SECONDS)
        shares.write_text(json.dumps(meter.shares()))


def main() -> None:
    shares = Path(sys.argv.pop(1))
    meter = Meter()
    meter.install()
    threading.Thread(target=keep_writing, args=(meter, shares), daemon=True).start()
    cli.main()


if __name__ == "__main__":
    main()
