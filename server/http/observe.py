"""The outermost layer: a number for each request, security headers on every answer, one log line, metrics.

The log line holds the route's template, never the address: an address holds ids, and a query may hold a name.
"""

from __future__ import annotations

import functools
import logging
import random
import time
from typing import TYPE_CHECKING

import structlog
from litestar.enums import ScopeType

from server.http.metrics import Metrics
from server.http.one_piece import First

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
)
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
NO_STORE = (b"cache-control", b"no-store")
JSON = (b"content-type", b"application/json")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

LINES = logging.getLogger("server.access_log")
log = structlog.get_logger(LINES.name)


class Observe:
    """Wraps the whole application, answers to unknown addresses included."""

    def __init__(self, app: ASGIApp, at_once: First, metrics: Metrics, *, behind_tls: bool) -> None:
        self.app = app
        self._at_once = at_once
        self.metrics = metrics
        # What is shown here is personal unless a door says otherwise, as the static files do.
        self.headers = [*SECURITY_HEADERS, *([STRICT_TRANSPORT] if behind_tls else []), NO_STORE]
        self._names = frozenset(name for name, _ in self.headers)
        self._fixed = b"".join(b"%s: %s\r\n" % pair for pair in (*self.headers, JSON))
        # By their labels, of which there are as many as doors: looking them up costs more than counting.
        self._counters = functools.cache(metrics.requests.labels)
        self._timers = functools.cache(metrics.seconds.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        number = new_number()
        scope["state"]["request_id"] = number
        started = time.perf_counter()
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", []))
                said = self._names.intersection([name.lower() for name, _ in headers])
                headers += [pair for pair in self.headers if pair[0] not in said] if said else self.headers
                headers.append((b"x-request-id", number.encode()))
                message["headers"] = headers
            await send(message)

        self.metrics.under_way.inc()
        structlog.contextvars.bind_contextvars(request=number)
        try:
            await self.app(scope, receive, send_observed)
        finally:
            self.metrics.under_way.dec()
            self._note(scope, scope["method"], status, time.perf_counter() - started, number)
            structlog.contextvars.unbind_contextvars("request")

    def first(self, scope: HTTPScope, body: bytes | bytearray) -> bytes | None:
        """All of an answer behind its first line, where it can be given before the application is asked: with the same
        headers, counted and logged alike. None: ask the application."""
        started = time.perf_counter()
        content = self._at_once(scope, body)
        if content is None:
            return None
        number = new_number()
        self._note(scope, scope["method"], 200, time.perf_counter() - started, number)
        lines = b"content-length: %d\r\nx-request-id: %s\r\n\r\n" % (len(content), number.encode())
        return self._fixed + lines + content

    def _note(self, scope: Scope, asked: str, status: int, seconds: float, number: str) -> None:
        route = scope.get("path_template") or "unknown"
        method = asked if asked in METHODS else "other"
        self._counters(method, route, f"{status // 100}xx").inc()
        self._timers(method, route).observe(seconds)
        if LINES.isEnabledFor(logging.INFO):  # what is not written need not be put together first
            ms = round(seconds * 1000, 1)
            log.info("request", request=number, method=method, route=route, status=status, ms=ms)


def new_number() -> str:
    """What a request is known by in the log, and to whoever asked. It need not be hard to guess, so the system is not
    asked for it."""
    return f"{random.getrandbits(128):032x}"
