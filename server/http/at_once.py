"""What phones ask again and again, answered before anything is set up for it: a pull, and a push that came before.

Two thousand phones ask every few minutes, and nearly always there is nothing; and a phone whose answer was lost sends
its notes once more. What Litestar does for a request, and the way to a thread of the database and back, cost several
times what such a question costs. So this layer stands before the application: it looks once, and where the answer is
plain, it gives it in the very words in which the door would have (`sync.pull`, `sync.push`; with nothing new the phone
keeps the cursor that it has). In any other case (a refusal, a body that is not plain, a database that is busy) the door
takes the request as if nobody had looked. Nothing new, the commonest of all, is said earlier still where a request
comes whole and a glance will do (`first`).

A push that is one too many is told so here: at the end of a shift that is said thousands of times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar.enums import ScopeType

from server import pulling
from server.access import devices
from server.access.errors import DeviceRevoked, TokenRefused
from server.access.identity import DeviceIdentity
from server.clock import now_ms
from server.http import problems
from server.http.answered import BODY_KEY, Key, key_of
from server.http.auth import bearer
from server.http.notes_first import COME_BACK_SECONDS, PUSHES_WITH_ROOM
from server.http.one_piece import SMALL_BYTES_MAX
from server.http.services import Services, glance, look
from server.http.sync import answer_to, page_for
from server.intake import Received
from server.repeated import repeated
from server.storage.port import StorageError, Transaction, WouldWait
from sync import cursor
from sync.cursor import CursorError
from sync.envelope import PullAnswer, PullRequest

if TYPE_CHECKING:
    from litestar.datastructures import State
    from litestar.types import ASGIApp, HTTPScope, Receive, ReceiveMessage, Scope, Send

log = structlog.get_logger("server.http.at_once")

PULL, PUSH = "/api/sync/pull", "/api/sync/push"
PUSH_BYTES_MAX = 512 * 1024
"""As it travels: more than a phone's push of notes ever has. The door reads longer ones as they come."""

_decoder = msgspec.json.Decoder(PullRequest)
_encoder = msgspec.json.Encoder()


class AtOnce:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state
        self._doors = {PULL: self._pull, PUSH: self._push}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST" or scope["path"] not in self._doors:
            await self.app(scope, receive, send)
            return
        if scope["path"] == PULL:
            await self._answer(scope, receive, send)
            return
        notes_first = self.state.services.notes_first
        if notes_first.is_full:
            await _say(scope, send, 503, *_busy(scope))
            return
        with notes_first.hushed():
            await self._answer(scope, receive, send)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """In this layer or, where it knows no answer, in the application."""
        again = _Again(receive)
        try:
            answer = await self._doors[scope["path"]](scope, dict(scope["headers"]), again)
        except Exception as error:
            # The door meets it again, and answers it as every other fault: no stack trace, no content in the log.
            log.warning("not_answered_at_once", error=type(error).__name__)
            answer = None
        if answer is None:
            await self.app(scope, again.receive, send)
            return
        await _say(scope, send, 200, answer, [(b"content-type", b"application/json")])

    def first(self, scope: HTTPScope, body: bytes | bytearray) -> bytes | None:
        """The whole answer to a pull that brings nothing new, where a glance at the database says so: `one_piece` asks
        before there is so much as a task. None: the application is asked."""
        if scope["path"] != PULL or scope["method"] != "POST":
            return None
        try:
            answer = self._nothing_new(dict(scope["headers"]), body)
        except WouldWait:
            return None
        except Exception as error:
            log.warning("not_answered_at_once", error=type(error).__name__)
            return None
        if answer is not None:
            scope["path_template"] = PULL
        return answer

    def _nothing_new(self, headers: dict[bytes, bytes], body: bytes | bytearray) -> bytes | None:
        token = _token(headers)
        asked = _pull_of(body) if _is_plain_pull(headers) else None
        if token is None or asked is None:
            return None
        services: Services = self.state.services
        found = _answer_if(services, token, asked)
        return _encoder.encode(found[1]) if found is not None and glance(services, found[0]) else None

    async def _pull(self, scope: Scope, headers: dict[bytes, bytes], again: _Again) -> bytes | None:
        token = _token(headers)
        if token is None or not _is_plain_pull(headers):
            return None
        body = await again.body()
        asked = None if body is None else _pull_of(body)
        if asked is None:
            return None
        services: Services = self.state.services
        return await nothing_new(services, token, asked) or await page_of(services, token, asked)

    async def _push(self, scope: Scope, headers: dict[bytes, bytes], again: _Again) -> bytes | None:
        services: Services = self.state.services
        token = _token(headers)
        if token is None or not _announces(headers, PUSH_BYTES_MAX):
            return None
        encoding = headers.get(b"content-encoding", b"").decode("latin-1")
        # Under pressure, and of somebody who has never said who they are, no body is read here: it is for the door
        # to read, and its key is taken as it passes.
        if services.notes_first.under_way > PUSHES_WITH_ROOM or not services.answered.has_met(token):
            again.on_end = lambda body: _keep_key(scope, key_of(encoding, body))
            return None
        body = await again.body()
        if body is None:
            return None
        key = key_of(encoding, body)
        _keep_key(scope, key)
        return await said_before(services, token, key)


def _busy(scope: Scope) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """What a phone hears that is one too many, and of whom nobody has looked who it is: body and headers."""
    problem = problems.busy(COME_BACK_SECONDS)
    told = problems.body_of(problem, str(scope["state"].get("request_id", "unknown")))
    headers = {"content-type": problems.PROBLEM_JSON} | problem.headers
    return _encoder.encode(told), [(name.encode(), value.encode()) for name, value in headers.items()]


async def _say(
    scope: Scope, send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    scope["path_template"] = scope["path"]
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def nothing_new(services: Services, token: str, asked: PullRequest) -> bytes | None:
    """The whole answer to a phone that has everything, or None where the door is to answer."""
    found = _answer_if(services, token, asked)
    return _encoder.encode(found[1]) if found is not None and await look(services, found[0]) else None


def _answer_if(
    services: Services, token: str, asked: PullRequest
) -> tuple[Callable[[Transaction], bool], PullAnswer] | None:
    """What a phone hears that has everything, and the look at the database that says whether it has."""
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
    answer = PullAnswer(changes=(), cursor=asked.cursor, more=False, checkpoint=checkpoint)
    return lambda tx: pulling.nothing_new(tx, token, place, now=now), answer


async def page_of(services: Services, token: str, asked: PullRequest) -> bytes | None:
    """The whole answer to a phone for which there is something, or None where the door is to answer."""
    now = now_ms()
    try:
        device = await look(services, lambda tx: devices.identify(tx, token, now))
        if device.must_wipe:
            return None
        services.answered.met(token)
        return _encoder.encode(await page_for(services, device, asked))
    except (TokenRefused, DeviceRevoked, StorageError):
        return None


async def said_before(services: Services, token: str, key: Key) -> bytes | None:
    """The whole answer to a push whose very bytes were answered before, or None where the door is to answer.

    Whoever may hand in may ask again: a revoked phone too.
    """
    sent = services.answered.find(key)
    if sent is None:
        return None
    now = now_ms()

    def ask(tx: Transaction) -> tuple[DeviceIdentity, Received | None]:
        device = devices.identify(tx, token, now)
        if device.device_id != sent.device_id:
            return device, None
        return device, repeated(tx, device, sent.epoch, sent.seqs, sent.check)

    try:
        device, received = await look(services, ask, durable=True)
    except TokenRefused:
        return None
    if received is None:
        return None
    return _encoder.encode(answer_to(services, device, received, now))


def _keep_key(scope: Scope, key: Key) -> None:
    state: Any = scope["state"]
    state[BODY_KEY] = key


def _token(headers: dict[bytes, bytes]) -> str | None:
    return bearer(headers.get(b"authorization", b"").decode("latin-1"))


def _is_plain_pull(headers: dict[bytes, bytes]) -> bool:
    is_json = headers.get(b"content-type") == b"application/json" and b"content-encoding" not in headers
    return is_json and _announces(headers, SMALL_BYTES_MAX)


def _pull_of(body: bytes | bytearray) -> PullRequest | None:
    """What is asked, or None where the door is to say what is wrong with it."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _announces(headers: dict[bytes, bytes], most: int) -> bool:
    """Whether the request says how long its body is, and that it is no longer than that."""
    length = headers.get(b"content-length", b"")
    return length.isdigit() and int(length) <= most


class _Again:
    """What is received, so that whoever comes after receives it too. `on_end`: is told the body once it is whole,
    where whoever comes after is the first to receive it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._came: list[ReceiveMessage] = []
        self._parts: list[bytes] = []
        self.on_end: Callable[[bytes], None] | None = None

    async def body(self) -> bytes | None:
        """The whole body, or None where it does not come whole. As long as it said: the server sees to that."""
        parts: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            self._came.append(message)
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(parts)

    async def receive(self) -> ReceiveMessage:
        if self._came:
            return self._came.pop(0)
        message = await self._receive()
        if self.on_end is not None and message["type"] == "http.request":
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                self.on_end(b"".join(self._parts))
                self.on_end = None
        return message
