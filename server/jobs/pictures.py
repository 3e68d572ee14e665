"""Makes what people are shown of an attachment, one at a time, in the background, in a program apart (`render.py`)."""

from __future__ import annotations

import asyncio
import sys
from typing import BinaryIO

import structlog

from server.jobs.render import LATER, NEVER
from server.records import attachments
from server.records.attachments import Kept
from server.storage.blobs import BlobDamaged, BlobMissing, Blobs, BlobsUnavailable, NoRoom
from server.storage.port import Store

SHOWN, THUMBNAIL = "shown", "thumbnail"
AT_ONCE_MAX = 50
"""Made in one round: the rest is the next round's, so that a stop need not wait for hundreds."""
SECONDS_MAX = 120.0
NICENESS = 19
"""Notes that come in and people who wait for a page go first."""

log = structlog.get_logger("server.jobs")


async def run(store: Store, blobs: Blobs) -> int:
    """One round; how many were made."""
    made = 0
    for _ in range(AT_ONCE_MAX):
        waiting = await store.read(attachments.next_to_make)
        if waiting is None:
            break
        try:
            made += await _make_one(store, blobs, waiting)
        except (NoRoom, BlobsUnavailable) as error:
            # It says nothing of the picture, which waits as it did; so do the others, for they would fare the same.
            log.warning("attachments wait for the disk", kind=type(error).__name__)
            break
    return made


async def _make_one(store: Store, blobs: Blobs, waiting: Kept) -> bool:
    outcome = await make(blobs, waiting)
    await store.write(
        lambda tx: attachments.set_made(tx, waiting.digest, made=bool(outcome), again=outcome is None)
    )
    return bool(outcome)


async def make(blobs: Blobs, waiting: Kept) -> bool | None:
    """Make the forms of one attachment. False: it will never be shown; None: it may be tried again.

    Raises NoRoom and BlobsUnavailable where the disk is at fault.
    """
    try:
        original = await blobs.run(lambda: blobs.open_verified(waiting.digest))
    except (BlobDamaged, BlobMissing) as error:
        log.error("attachment unreadable", kind=type(error).__name__, digest=waiting.digest[:12])
        return None
    with (
        original,
        blobs.making(waiting.digest, SHOWN) as shown,
        blobs.making(waiting.digest, THUMBNAIL) as small,
    ):
        code = await _render(original, waiting.media_type, str(shown), str(small))
        if code == LATER:
            raise BlobsUnavailable("What was made of an attachment could not be written.")
    if code:
        log.warning("attachment not made ready", code=code, digest=waiting.digest[:12])
    return True if code == 0 else False if code == NEVER else None


async def _render(original: BinaryIO, media_type: str, shown: str, thumbnail: str) -> int:
    command = [sys.executable, "-I", "-m", "server.jobs.render", media_type, shown, thumbnail]
    if sys.platform != "win32":
        command = ["nice", "-n", str(NICENESS), *command]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=original, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env={}
    )
    try:
        async with asyncio.timeout(SECONDS_MAX):
            return await process.wait()
    except TimeoutError:
        return NEVER
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
