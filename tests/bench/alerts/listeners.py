"""`python -m tests.bench.alerts.listeners together|each PORT PATH`: open streams, in a process of their own.

Reads one line of JSON from standard input: a list of cookies, one for each stream to open. Writes `open` when all are;
then, `together`: each time every stream has received another event, the moments (`time.monotonic_ns`) of its first
and its last; `each`: for each event that any stream receives, its id, its grade and the moment. Comments do not count.
Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

OPENING_AT_ONCE = 64
BLOCK_END = b"\r\n\r\n"


class Stream(asyncio.Protocol):
    """One connection: sends its request and counts events."""

    __slots__ = ("_opened", "_request", "_rest", "heard")

    def __init__(self, request: bytes, heard: Heard, opened: asyncio.Future[None]) -> None:
        self._request = request
        self._rest = b""
        self._opened: asyncio.Future[None] | None = opened
        self.heard = heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.WriteTransport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._opened is not None:
            if not data.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"A stream was refused: {data[:200]!r}")
            self._opened.set_result(None)
            self._opened = None
        *blocks, self._rest = (self._rest + data).split(BLOCK_END)
        for block in blocks:
            if b"data: " in block:
                self.heard.one(block)

    def connection_lost(self, _error: Exception | None) -> None:
        self.heard.lost()


class Heard:
    """Counts what all streams hear, an event at a time."""

    def __init__(self, streams: int, *, each: bool) -> None:
        self._streams = streams
        self._each = each
        self._count = 0
        self._first = 0
        self.ending = False

    def one(self, block: bytes) -> None:
        if self._each:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\r\n") if b": " in line)
            said = json.loads(fields[b"data"])
            event_id = fields[b"id"].decode().partition("-")[2]
            print(event_id, said["grade"], time.monotonic_ns(), flush=True)
            return
        if self._count == 0:
            self._first = time.monotonic_ns()
        self._count += 1
        if self._count == self._streams:
            print(self._first, time.monotonic_ns(), flush=True)
            self._count = 0

    def lost(self) -> None:
        if not self.ending:
            raise SystemExit("A stream was closed by the server.")


async def main(how: str, port: int, path: str, cookies: list[str]) -> None:
    loop = asyncio.get_running_loop()
    heard = Heard(len(cookies), each=how == "each")
    turns = asyncio.Semaphore(OPENING_AT_ONCE)

    async def connect(cookie: str) -> None:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\nCookie: {cookie}\r\n\r\n"
        opened: asyncio.Future[None] = loop.create_future()
        async with turns:
            await loop.create_connection(lambda: Stream(head.encode(), heard, opened), "127.0.0.1", port)
            await opened

    await asyncio.gather(*map(connect, cookies))
    print("open", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    heard.ending = True


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.stdin.readline())))
