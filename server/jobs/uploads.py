"""Gives up uploads that stood still too long, and removes what is left of uploads that are over."""

from __future__ import annotations

from server.records import uploads
from server.storage.blobs import Blobs
from server.storage.port import Store

FORGET_MS = 30 * 24 * 3_600_000
"""A phone that asks within a month after hears that its upload is gone (410), later that there is none (404)."""


async def tidy(store: Store, blobs: Blobs, now: int) -> int:
    """One round; how many parts went. The files' names are read first: a part that comes later has a row."""
    parts = await blobs.run(blobs.parts)
    await store.write(lambda tx: uploads.expire(tx, now=now))
    await store.write(lambda tx: uploads.forget(tx, before=now - FORGET_MS))
    alive = await store.read(uploads.unfinished)
    over = [name for name in parts if name not in alive]

    def remove() -> None:
        for name in over:
            blobs.drop(name)

    await blobs.run(remove)
    return len(over)
