"""A TCP proxy that cuts connections after so many bytes, in either direction: a phone that goes into a tunnel."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator

READ_BYTES = 16 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing tells the other side with a reset."""


class Proxy:
    """Carries connections to `target`. `cuts` are drawn for each connection while there are any left.

    A cut falls after a number of bytes from the client below `spread`, or, one time in four, of the server; half of
    the cuts are a clean end and half a reset.
    """

    def __init__(self, target: tuple[str, int], *, cuts: int, spread: int, seed: int) -> None:
        self._target = target
        self._random = random.Random(seed)
        self._left = cuts
        self._spread = spread
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.cut = 0
        """How many connections were cut."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                up = down = None
                if self._left:
                    self._left -= 1
                    if self._random.random() < 0.25:
                        down = self._random.randrange(1, 600)
                    else:
                        up = self._random.randrange(1, self._spread)
            server = socket.create_connection(self._target)
            for source, sink, limit in ((client, server, up), (server, client, down)):
                threading.Thread(target=self._carry, args=(source, sink, limit), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        left = limit
        with contextlib.suppress(OSError):
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


@contextlib.contextmanager
def cutting(target: tuple[str, int], *, cuts: int, spread: int, seed: int) -> Iterator[Proxy]:
    """A proxy until the block ends."""
    proxy = Proxy(target, cuts=cuts, spread=spread, seed=seed)
    try:
        yield proxy
    finally:
        proxy.close()
