"""The client of every peer: one connection, kept open, and as little work as HTTP allows.

The client runs on the machine that is measured. A full client library takes half a millisecond for a request, which is
more than an empty pull takes a server, and would be most of what is measured. So each server is asked by this one; JSON
is written and read by msgspec, and that counts as the client's part of the work, for all alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

ANSWER_SECONDS_MAX = 300.0
HEAD_BYTES_MAX = 64 * 1024

encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True):
    """What came back. Header names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    def ok(self) -> bytes:
        """The body of an answer that is good. Ends the bench where it is not."""
        if not 200 <= self.status < 300:
            raise SystemExit(f"A peer answered {self.status}: {self.body[:300]!r}")
        return self.body


class Wire:
    """One connection to the server at `address` (http://host:port), opened at the first request."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(
        self, path: str, query: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return await self._ask("GET", f"{path}?{urlencode(query)}" if query else path, b"", headers or {})

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        return await self._ask("POST", path, body, {"content-type": "application/json"} | dict(headers or {}))

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"content-length: {len(body)}")
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            kept = self._streams is not None
            try:
                return await self._exchange(request)
            except (ConnectionError, asyncio.IncompleteReadError):
                await self.close()
                if not kept:
                    raise
                # The server closed a connection that had stood idle. What is sent is idempotent everywhere.
                return await self._exchange(request)

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=HEAD_BYTES_MAX)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _chunks(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return Answer(int(head[0].split(" ", 2)[1]), headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


def decoded(answer: Answer) -> Any:
    """The JSON of an answer that is good."""
    return msgspec.json.decode(answer.ok())
