"""From the wire to the disk: the body of one request into one upload, in little memory.

The event loop only gathers pieces; writing, hashing and syncing happen in threads of the store. Bytes count once they
are on the disk and their number is in the database, and never before (invariant 14). A connection that ends in the
middle keeps what came; so does one that stands still.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from server.access.identity import DeviceIdentity
from server.clock import now_ms
from server.http import tus
from server.http.problems import CHECKSUM_MISMATCH, MEDIA_REFUSED, Problem
from server.http.services import Services
from server.http.turns import Turn
from server.records import attachments, uploads
from server.records.uploads import Ended, Upload
from server.settings import MEGABYTE
from server.storage.blobs import NoRoom, Part
from server.storage.port import Transaction
from sync import media

GATHERED_BYTES = 384 * 1024
"""Handed to the disk at once: with what the socket holds, an upload takes less than a megabyte."""
SYNC_EVERY_BYTES = 8 * 1024 * 1024
"""So much at most is sent again after the server was killed, and no sync holds up the database's own for long."""
STILL_SECONDS_MAX = 60.0
"""A phone that has sent nothing for a minute has gone."""


def lifetime(services: Services) -> int:
    """When an upload that moves now will be given up, in ms since the epoch."""
    return now_ms() + services.settings.attachment_upload_hours * 3_600_000


class Came(msgspec.Struct, frozen=True):
    """A file that has come to its end: its SHA-256 in hex where one request brought all of it, and how many of its
    bytes no record has counted yet."""

    digest: str | None
    uncounted: int


class Receiving:
    """One request's bytes on their way into one upload. The caller has the turn."""

    def __init__(
        self, services: Services, upload: Upload, offset: int, turn: Turn, checksum: tus.Checksum | None
    ) -> None:
        self._services = services
        self._blobs = services.blobs
        self._upload = upload
        self._turn = turn
        self._checksum = checksum
        self._hasher = checksum.hasher() if checksum else None
        self._begun = offset
        # Hashed as they come, where all of them come in one request: so the file need not be read again.
        self._digest = hashlib.sha256() if offset == 0 else None
        self.offset = offset
        """How many bytes are on the disk and recorded."""
        self.came: Came | None = None
        """The whole file has come, and is neither synced nor recorded yet: `finish` does both in one."""
        self.expires_at = upload.expires_at

    async def run(self, request: Request[Any, Any, Any]) -> bool:
        """Receive until the body, the upload or the line ends. Whether the body came to its end."""
        room = self._upload.length - self._begun
        if (tus.announced(request.headers) or 0) > room:
            raise tus.too_large(room)
        part = await self._blobs.run(lambda: self._blobs.open_part(self._upload.upload_id, self._begun))
        try:
            try:
                whole = await self._fill(part, pieces_of(request, self._turn), room)
            except NoRoom:
                # What was written before the disk was full may still fit, once it is synced.
                if self._hasher is None:
                    await self._settle(part)
                raise
            if self._checksum is not None and not (whole and self._holds()):
                await self._blobs.run(lambda: part.cut_back(self._begun))
                if whole:
                    raise Problem(
                        CHECKSUM_MISMATCH, "The checksum does not match.", headers=tus.answer(self._begun)
                    )
                return False
            if part.end == self._upload.length:
                self.came = Came(self._digest.hexdigest() if self._digest else None, part.end - self.offset)
            else:
                await self._settle(part)
            return whole
        finally:
            await self._blobs.run(part.close)

    async def _fill(self, part: Part, pieces: AsyncIterator[bytes | None], room: int) -> bool:
        gathered: list[bytes] = []
        waiting = received = unsynced = 0
        whole = True
        async for piece in pieces:
            if piece is None:
                whole = False
                break
            received += len(piece)
            if received > room:
                await self._blobs.run(lambda: part.cut_back(self.offset))
                raise tus.too_large(room)
            gathered.append(piece)
            waiting += len(piece)
            if waiting >= GATHERED_BYTES:
                unsynced += waiting
                await self._write(part, gathered)
                if self._begun == 0 and waiting == received:  # the first of the file
                    await self._refuse_early(part)
                gathered, waiting = [], 0
                await self._services.notes_first.give_way()
                if unsynced >= SYNC_EVERY_BYTES and self._hasher is None:
                    await self._settle(part)
                    unsynced = 0
        await self._write(part, gathered)
        return whole

    async def _write(self, part: Part, pieces: list[bytes]) -> None:
        def write() -> None:
            part.write(pieces)
            for hasher in (self._hasher, self._digest):
                if hasher is not None:
                    for piece in pieces:
                        hasher.update(piece)

        if pieces:
            await self._blobs.run(write)

    async def _settle(self, part: Part) -> None:
        """Bring what was written to the disk, and then record it."""
        end = await self._blobs.run(part.sync)
        if end == self.offset:
            return
        self.expires_at = lifetime(self._services)
        await self._services.store.write(
            lambda tx: uploads.advance(tx, self._upload.upload_id, end, expires_at=self.expires_at)
        )
        self._services.metrics.upload_bytes.inc(end - self.offset)
        self.offset = end

    async def _refuse_early(self, part: Part) -> None:
        """End an upload once its first bytes are written where its beginning says that it will not be taken."""
        head = await self._blobs.run(lambda: part.head(media.HEAD_BYTES))
        if media.by_head(head) is None:
            raise await refused(self._services, self._upload)

    def _holds(self) -> bool:
        assert self._checksum is not None and self._hasher is not None
        return bool(self._hasher.digest() == self._checksum.digest)


async def pieces_of(request: Request[Any, Any, Any], turn: Turn) -> AsyncIterator[bytes | None]:
    """The body piece by piece; None, and the end, where the line was cut, stands still, or another is waiting."""
    stream = aiter(request.stream())
    while True:
        try:
            async with turn.reading(STILL_SECONDS_MAX):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except (TimeoutError, InternalServerException):
            # The latter is Litestar's word for a connection that was cut: everyday life on a phone.
            yield None
            return
        yield piece


async def refused(services: Services, upload: Upload, *, declared_other: bool = False) -> Problem:
    """End an upload that will not be taken and remove its bytes; the problem to raise."""
    await services.store.write(lambda tx: uploads.end(tx, upload.upload_id, Ended.REFUSED))
    await services.blobs.run(lambda: services.blobs.drop(upload.upload_id))
    services.metrics.uploads.labels("refused").inc()
    if declared_other:
        return Problem(
            CHECKSUM_MISMATCH,
            "The file is not the one that was declared.",
            hint="Begin a new upload.",
            headers=tus.answer(0),
        )
    return Problem(MEDIA_REFUSED, "The content is of no type that is taken.", headers=tus.RESUMABLE)


async def finish(
    services: Services, device: DeviceIdentity, upload: Upload, came: Came | None = None
) -> None:
    """All bytes have come: hash them (or they were, on their way), look what they are, and keep them.

    The file is synced, then its directory, then the row, and only then is the answer sent. A crash in between leaves
    the part: once it is synced the next request comes here again, before that it sends what no record has counted.
    """
    blobs, upload_id = services.blobs, upload.upload_id

    def look() -> tuple[str, media.Media | None]:
        digest = came.digest if came is not None else None
        return digest or blobs.digest_of_part(upload_id), media.recognise(
            blobs.read_part(upload_id), upload.length
        )

    await services.notes_first.give_way()
    digest, found = await blobs.run(look)
    if upload.declared is not None and upload.declared != digest:
        raise await refused(services, upload, declared_other=True)
    if found is None:
        raise await refused(services, upload)
    await services.notes_first.give_way()
    await blobs.run(lambda: blobs.keep(upload_id, digest))
    now = now_ms()

    def add(tx: Transaction) -> None:
        uploads.complete(tx, upload_id, digest)
        attachments.add(tx, device, digest, upload.length, found.type, now=now)

    await services.store.write(add)
    services.metrics.upload_bytes.inc(came.uncounted if came is not None else 0)
    services.metrics.uploads.labels("complete").inc()
    await blobs.run(lambda: blobs.drop(upload_id))


def bytes_max(services: Services) -> int:
    """The largest file that is taken."""
    return services.settings.attachment_megabytes * MEGABYTE
