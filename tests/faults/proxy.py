"""A TCP proxy that cuts, resets, stalls and slows connections at any byte, either way: a phone that goes into a
tunnel."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator

READ_BYTES = 16 * 1024
STALL_SECONDS = 1.5
SLOW_BYTES, SLOW_PIECES, SLOW_SECONDS = 97, 40, 0.02
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing tells the other side with a reset."""


class Proxy:
    """Carries connections to `target`. `cuts` are drawn for each connection while there are any left.

    A cut falls after a number of bytes from the client below `spread`, or, one time in four, of the server; half of
    the cuts are a clean end and half a reset. `stalls`: so many connections stand still at such a byte before they
    go on, and `slow`: so many have every byte of theirs carried in small pieces.
    """

    def __init__(
        self, target: tuple[str, int], *, cuts: int, spread: int, seed: int, stalls: int = 0, slow: int = 0
    ) -> None:
        self._target = target
        self._random = random.Random(seed)
        self._left = cuts
        self._stalls = stalls
        self._slow = slow
        self._spread = spread
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.cut = 0
        """How many connections were cut."""
        self.stalled = 0
        self.slowed = 0
        self._closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                up = down = None
                fault = self._next_fault()
                # A line that stood still or was slow breaks in the end as well.
                if self._left:
                    self._left -= 1
                    if self._random.random() < 0.25:
                        down = self._random.randrange(1, 600)
                    else:
                        up = self._random.randrange(1, self._spread)
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()  # the server is down: the phone hears what it would hear from it
                continue
            for source, sink, limit in ((client, server, up), (server, client, down)):
                threading.Thread(target=self._carry, args=(source, sink, limit, fault), daemon=True).start()

    def _next_fault(self) -> str:
        """What befalls the next connection; the kinds are mixed by the seed."""
        left = {"stall": self._stalls, "slow": self._slow}
        waiting = [kind for kind, number in left.items() for _ in range(number)]
        fault = self._random.choice([*waiting, ""]) if waiting else ""
        self._stalls -= fault == "stall"
        self._slow -= fault == "slow"
        return fault

    def _carry(self, source: socket.socket, sink: socket.socket, limit: int | None, fault: str) -> None:
        left = limit
        if fault == "slow":
            self.slowed += 1
            self._carry_slowly(source, sink)
        with contextlib.suppress(OSError):
            if fault == "stall" and (data := source.recv(READ_BYTES)):
                # Not waited for by anything: it is the fault itself.
                at = self._random.randrange(len(data))
                sink.sendall(data[:at])
                self.stalled += 1
                self._closed.wait(STALL_SECONDS)
                sink.sendall(data[at:])
            while data := source.recv(READ_BYTES if left is None else min(READ_BYTES, left)):
                sink.sendall(data)
                if left is not None:
                    left -= len(data)
                    if not left:
                        with self._lock:
                            self.cut += 1
                            if self._random.random() < 0.5:
                                for one in (source, sink):
                                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        break
        for one in (source, sink):
            # Both directions end: the other thread is waiting in one of them.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _carry_slowly(self, source: socket.socket, sink: socket.socket) -> None:
        """The first of it, a few bytes at a time, as a line at the edge of its range does."""
        with contextlib.suppress(OSError):
            for _ in range(SLOW_PIECES):
                data = source.recv(SLOW_BYTES)
                if not data:
                    return
                sink.sendall(data)
                self._closed.wait(SLOW_SECONDS)


@contextlib.contextmanager
def cutting(
    target: tuple[str, int], *, cuts: int, spread: int, seed: int, stalls: int = 0, slow: int = 0
) -> Iterator[Proxy]:
    """A proxy until the block ends."""
    proxy = Proxy(target, cuts=cuts, spread=spread, seed=seed, stalls=stalls, slow=slow)
    try:
        yield proxy
    finally:
        proxy.close()
