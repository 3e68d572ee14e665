"""`uvicorn tests.bench.alerts.bare:app`: a stream with nothing in it, to measure ours beside.

`GET /stream` stays open; `POST /say` sends its body to every open stream and answers with the moment at which it
began to (`time.monotonic_ns`). No database, nobody signed in, nothing repaired: what uvicorn and asyncio cost.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

queues: set[asyncio.Queue[bytes]] = set()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] == "/stream":
        await _stream(send)
    else:
        frame = (await receive())["body"]
        began = time.monotonic_ns()
        for queue in queues:
            queue.put_nowait(frame)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(began).encode()})


async def _stream(send: Any) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")],
        }
    )
    await send({"type": "http.response.body", "body": b": open\r\n\r\n", "more_body": True})
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    queues.add(queue)
    try:
        while True:
            await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})
    finally:
        queues.discard(queue)
