"""An answer leaves in one piece, and what can be answered at once is, before the application is asked.

uvicorn writes head and body apart, and each write is a call of the system that wakes whoever waits for the answer. And
it makes a task, with all that belongs to one, for each request. For a pull that finds nothing new, which phones ask for
day and night, each of these cost a fifth of the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from litestar.types import HTTPScope
    from uvicorn._types import ASGI3Application

HELD_BYTES_MAX = 64 * 1024
"""From here on what was written leaves at once, so that uvicorn hears when a client takes no more."""

SMALL_BYTES_MAX = 4_096
"""A cursor and a number or two; a body that is announced as longer is taken in by the application, as it comes."""

First = Callable[["HTTPScope", bytes | bytearray], bytes | None]
"""Is asked of a request that has come whole. It answers all of a 200 that follows its first line and date, or None:
then the application is asked. It is asked on the event loop, which stands still meanwhile."""


def protocol_of(app: Litestar) -> Any:
    """What uvicorn is to make of each connection to this application."""
    return partial(OnePiece, first=app.state.first)


class OnePiece(HttpToolsProtocol):
    """uvicorn's protocol for HTTP, over a transport that gathers. `first`: see `First`."""

    def __init__(self, *args: Any, first: First, **named: Any) -> None:
        super().__init__(*args, **named)
        self._first = first
        self._waits: tuple[RequestResponseCycle, ASGI3Application] | None = None
        """A request whose head is here, and whose body is coming."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn leaves the kind open
        super().connection_made(cast("asyncio.Transport", Gathering(transport, self.loop)))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if cycle.more_body:
            self._waits = cycle, app
        else:  # it came behind another, which has been answered now
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._waits is None:
            return
        cycle, _ = self._waits
        answer = self._first(cast("HTTPScope", cycle.scope), cycle.body) if cycle.keep_alive else None
        if answer is None:
            self._begin()
            return
        self._waits = None
        cycle.response_started = cycle.response_complete = True
        date = b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
        cast("Gathering", self.transport).write_at_once(b"HTTP/1.1 200 OK\r\n" + date + answer)
        self.on_response_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._waits is not None and not self._comes_soon():
            self._begin()

    def _comes_soon(self) -> bool:
        """Whether a body is announced that is small, so that nobody need be asked before it is here. Many a client
        sends it apart from the head."""
        length = next((value for name, value in self.headers if name == b"content-length"), b"")
        return length.isdigit() and int(length) <= SMALL_BYTES_MAX and not self.expect_100_continue

    def _begin(self) -> None:
        """Leave the request that waits to the application."""
        waits, self._waits = self._waits, None
        if waits is not None:
            super()._start_asgi_task(*waits)


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

    def write_at_once(self, data: bytes) -> None:
        """Write what is whole, after what was written before it."""
        self._let_go()
        self._transport.write(data)

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
