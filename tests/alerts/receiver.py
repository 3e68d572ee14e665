"""A webhook's receiver: checks signatures as a stranger would, and answers as the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(httpx.AsyncBaseTransport):
    """Keeps what it received in order. `answers` are statuses to give (the last one for ever), or exceptions."""

    def __init__(self, *answers: int | Exception, headers: dict[str, str] | None = None) -> None:
        self.answers = list(answers) or [204]
        self.headers = headers or {}
        self.received: list[Any] = []
        self.ids: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        self.received.append(Webhook(SECRET).verify(body, dict(request.headers)))
        self.ids.append(request.headers["webhook-id"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers=self.headers, stream=_Long())


class _Long(httpx.AsyncByteStream):
    """An answer that is longer than anybody cares to read."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000
