"""`python -m tests.bench.sampled SHARES.json serve ...`: the server with a clock that looks where time goes.

Every two milliseconds a thread looks at what every other thread is doing and counts the room that its
innermost known frame is in. Waiting (for a connection, for work) counts for nobody. The shares go to
SHARES.json when the server stops. The looking costs some per cent, so rates come from runs without it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from itertools import count
from pathlib import Path
from types import FrameType

from server import cli

EVERY_SECONDS = 0.002
WRITE_EVERY = 500
ROOMS = (
    ("linkage", ("/server/linkage/", "/server/records/index.py")),
    ("rules", ("/server/casework/",)),
    ("audit", ("/server/audit/",)),
    ("storage", ("/server/storage/", "/server/records/")),
    ("protocol", ("/sync/", "/server/intake.py", "/server/placing.py", "/msgspec/")),
    (
        "HTTP",
        ("/server/http/", "/litestar/", "/uvicorn/", "/httptools/", "/server/access/", "/server/logs.py"),
    ),
)
WAITING = ("/threading.py", "/concurrent/futures/thread.py", "/selectors.py", "/queue.py")
WAITING_IN_LOOP = ("/asyncio/", "/uvicorn/server.py")


def room_of(frame: FrameType) -> str | None:
    """The room of the innermost known frame; None for a thread that waits.

    A statement that storage runs for linkage's index counts as linkage: its caller's room decides where the
    innermost frame is the engine's own and the next one up is the index.
    """
    innermost = frame.f_code.co_filename
    if innermost.endswith(WAITING) or any(part in innermost for part in WAITING_IN_LOOP):
        return None
    found = None
    current: FrameType | None = frame
    while current is not None:
        name = current.f_code.co_filename
        for room, parts in ROOMS:
            if any(part in name for part in parts):
                if room == "storage" and found is None:
                    found = room
                    break
                if found == "storage" and room != "linkage":
                    return found
                return room
        current = current.f_back
    return found or "other"


def watch(shares: Path) -> None:
    """Count for ever, and write the shares down every second: the server ends by a signal, without notice."""
    own = threading.get_ident()
    counts: Counter[str] = Counter()
    for tick in count():
        if tick % WRITE_EVERY == 0:
            total = counts.total() or 1
            shares.write_text(json.dumps({room: n / total for room, n in counts.most_common()}))
        time.sleep(EVERY_SECONDS)
        for thread, frame in sys._current_frames().items():
            if thread != own and (room := room_of(frame)) is not None:
                counts[room] += 1


def main() -> None:
    shares = Path(sys.argv.pop(1))
    sys.setswitchinterval(0.0005)
    threading.Thread(target=watch, args=(shares,), daemon=True).start()
    cli.main()


if __name__ == "__main__":
    main()
