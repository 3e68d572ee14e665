"""`uvicorn tests.bench.counting:app`: a server that takes uploads and only counts their bytes.

It answers a creation and a PATCH as the tus door does and keeps nothing: what uvicorn, asyncio and the client reach on
this machine, which no upload to the whole server can pass.
"""

from __future__ import annotations

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    count, more = 0, True
    while more:
        message = await receive()
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    created = scope["method"] == "POST"
    headers = [(b"location", b"/api/attachments/one"), (b"upload-offset", str(count).encode())]
    if created:
        headers.append((b"content-length", b"0"))
    status = 201 if created else 204 if scope["method"] == "PATCH" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
