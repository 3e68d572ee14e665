"""A stream that stays open, as flat as uvicorn allows.

A door decides who may listen, and its answer (`Opening`) sends the head and leaves a `Ticket` in the scope. Then
everything that Litestar and the observer hold for a request is let go, and `Streams`, the outermost layer, keeps the
connection: of the many frames and objects of a request two small ones are left, which counts ten thousand times.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from litestar.response.base import ASGIResponse

from server.alerts.listener import Audience, Position, hold
from server.alerts.stream import Hub

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

TICKET = "stream"
KEPT_OF_SCOPE = frozenset({"type", "asgi", "method", "http_version", "path", "client"})
"""What uvicorn and the layers outside still look at while a response goes on."""

LAST_WORD_SECONDS_MAX = 1.0
"""How long a stream that is ended may take to take its end."""

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Ticket(msgspec.Struct, frozen=True):
    """Who listens, and from where on. `session` is how the session is found again."""

    hub: Hub
    audience: Audience
    session: bytes
    after: Position | None


class Opening(ASGIResponse):
    """The head of a stream and its first frame; the rest is `Streams`' business."""

    _should_set_content_length = False

    def __init__(self, ticket: Ticket, first: bytes) -> None:
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        self._ticket = ticket
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.start_response(send)
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        scope["state"][TICKET] = self._ticket


class Streams:
    """Wraps the whole application, and goes on where a door has opened a stream."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        ticket = scope.get("state", {}).pop(TICKET, None)
        if ticket is not None:
            loose: Any = scope
            loose["headers"].clear()
            for name in [name for name in loose if name not in KEPT_OF_SCOPE]:
                del loose[name]
            await _listen(ticket, receive, send)


async def _listen(ticket: Ticket, receive: Any, send: Any) -> None:
    """Keep the connection until the client goes or the hub ends it."""
    task = asyncio.current_task()
    assert task is not None
    listener = ticket.hub.join(ticket.audience, ticket.session, send, task.cancel, ticket.after)
    try:
        await hold(receive, listener)
        if listener.ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD_SECONDS_MAX):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        ticket.hub.leave(listener)
