"""An answer leaves in one piece: uvicorn writes head and body apart, and each write is a call of the system that wakes
whoever waits for the answer. Of a pull that finds nothing new that was a fifth of the time.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HELD_BYTES_MAX = 64 * 1024
"""From here on what was written leaves at once, so that uvicorn hears when a client takes no more."""


class OnePiece(HttpToolsProtocol):
    """uvicorn's protocol for HTTP, over a transport that gathers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn leaves the kind open
        super().connection_made(cast("asyncio.Transport", Gathering(transport, self.loop)))


class Gathering:
    """A transport: what is written in one step of the event loop leaves together at its end, in order."""

    __slots__ = ("_bytes", "_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] | None = None
        self._bytes = 0

    def write(self, data: bytes) -> None:
        """Keep it until the step ends, or until there is much."""
        if self._held is None:
            self._held = [data]
            self._bytes = len(data)
            self._loop.call_soon(self._let_go)
        else:
            self._held.append(data)
            self._bytes += len(data)
        if self._bytes >= HELD_BYTES_MAX:
            self._let_go()

    def close(self) -> None:
        """Close, once what was written has left."""
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._transport.writelines(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
