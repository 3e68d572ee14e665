"""A pull that brings nothing new, answered before anything is set up for it.

Two thousand phones ask every few minutes, and nearly always there is nothing. What Litestar does for a request, and
the way to a thread of the database and back, cost several times what the question costs. So this layer stands before
the application: it looks once, and where the phone may pull and has everything, it says so in the very words in which
the door would have (`sync.pull`). In any other case (a refusal, a first pull, a briefing, anything new) it has done
nothing, and the door takes the request as if nobody had looked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from server import pulling
from server.clock import now_ms
from server.http.auth import bearer
from server.http.services import Services, look
from sync import cursor
from sync.cursor import CursorError
from sync.envelope import PullAnswer, PullRequest

if TYPE_CHECKING:
    from litestar.datastructures import State
    from litestar.types import ASGIApp, Receive, Scope, Send

PATH = "/api/sync/pull"
BODY_BYTES_MAX = 4_096
"""A pull is a cursor and a number or two; whatever is longer goes to the door."""

_decoder = msgspec.json.Decoder(PullRequest)
_encoder = msgspec.json.Encoder()


class AtOnce:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loose: Any = scope  # of three kinds, and only one of them has a method
        if loose["type"] != "http" or loose["path"] != PATH or loose["method"] != "POST":
            await self.app(scope, receive, send)
            return
        headers = dict(loose["headers"])
        if not _is_small_json(headers):
            await self.app(scope, receive, send)
            return
        body, came = await _body(receive)
        answer = None
        token = bearer(headers.get(b"authorization", b"").decode("latin-1"))
        if body is not None and token is not None:
            try:
                asked = _decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the door says what is wrong with it
            else:
                answer = await nothing_new(self.state.services, token, asked)
        if answer is None:
            await self.app(scope, _again(came, receive), send)
            return
        loose["path_template"] = PATH
        length = str(len(answer)).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", length)],
            }
        )
        await send({"type": "http.response.body", "body": answer, "more_body": False})


async def nothing_new(services: Services, token: str, asked: PullRequest) -> bytes | None:
    """The whole answer to a phone that has everything, or None where the door is to answer."""
    if asked.cursor is None or asked.emptied or asked.lease is not None:
        return None
    try:
        place = cursor.open_sealed(asked.cursor, services.cursor_key)
    except CursorError:
        return None
    if place.incarnation != services.incarnation:
        return None
    now = now_ms()
    checkpoint = pulling.checkpoint_known(place, now=now, totals=services.totals)
    if checkpoint is None:
        return None
    if not await look(services, lambda tx: pulling.nothing_new(tx, token, place, now=now)):
        return None
    return _encoder.encode(PullAnswer(changes=(), cursor=asked.cursor, more=False, checkpoint=checkpoint))


def _is_small_json(headers: dict[bytes, bytes]) -> bool:
    length = headers.get(b"content-length", b"")
    return (
        length.isdigit()
        and int(length) <= BODY_BYTES_MAX
        and headers.get(b"content-type") == b"application/json"
        and b"content-encoding" not in headers
    )


async def _body(receive: Receive) -> tuple[bytes | None, list[Any]]:
    """(The whole body, or None where it did not come whole or is longer than it said; what was received)."""
    parts: list[bytes] = []
    came: list[Any] = []
    more = True
    while more:
        message = await receive()
        came.append(message)
        if message["type"] != "http.request":
            return None, came
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts), came


def _again(came: list[Any], receive: Receive) -> Receive:
    """What was received is received again, and then what comes next."""
    waiting = iter(came)

    async def first_what_came() -> Any:
        for message in waiting:
            return message
        return await receive()

    return first_what_came
