"""The phone's doors for photographs and recordings: tus 1.0 under `/api/attachments`, and receipts.

A phone sends its notes first, these after. It sees its own uploads and digests only: whether somebody else has sent
the same bytes cannot be told from any answer. A phone that was revoked hands in what its notes name and nothing else.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, head, patch, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.params import FromPath, PathParameter

from server.access.errors import DeviceRevoked
from server.access.identity import DeviceIdentity
from server.clock import now_ms
from server.http import tus
from server.http.auth import DEVICE_HANDS_IN, DEVICE_SECURITY, OPEN
from server.http.problems import (
    BAD_REQUEST,
    CHECKSUM_MISMATCH,
    DEVICE_REVOKED,
    DISK_FULL,
    MEDIA_REFUSED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OFFSET_MISMATCH,
    TOKEN_REFUSED,
    TOO_LARGE,
    TOO_MANY_UPLOADS,
    TUS_VERSION,
    UNAVAILABLE,
    UNSUPPORTED_TYPE,
    UPLOAD_BUSY,
    UPLOAD_GONE,
    Problem,
    documented,
)
from server.http.receiving import Receiving, bytes_max, finish, lifetime
from server.http.services import Services
from server.http.turns import Turn
from server.records import attachments, uploads
from server.records.uploads import Ended, Upload
from server.storage.port import Transaction
from sync import receipts

AnyRequest = Request[Any, Any, Any]
UPLOAD_ID_BYTES = 18
PATH = "/api/attachments"
OVERRIDE = "x-http-method-override"
REVOKED_BYTES_MAX = 5_000_000_000
"""Of one revoked phone, of what it began within the days for which an upload is remembered: fifty of the largest
files, so that whoever has it cannot fill the disk with notes and what they name."""

ALWAYS = (TOKEN_REFUSED, DEVICE_REVOKED, TUS_VERSION, BAD_REQUEST, UNAVAILABLE)
RECEIVING = (
    TOO_LARGE, UNSUPPORTED_TYPE, MEDIA_REFUSED, CHECKSUM_MISMATCH, UPLOAD_BUSY, DISK_FULL
)  # fmt: skip


class AttachmentReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The server has these bytes, whole and on its disk. `receipt` as in a push, with the digest in place of an op."""

    sha256: str
    receipt: str


@route(PATH, http_method=[HttpMethod.OPTIONS], opt=OPEN, include_in_schema=False, status_code=204)
async def options(services: NamedDependency[Services]) -> Response[None]:
    """What this server can do, as tus asks for it."""
    return Response(None, status_code=204, headers=tus.answer(
        tus_version=tus.VERSION,
        tus_extension=tus.EXTENSIONS,
        tus_max_size=str(bytes_max(services)),
        tus_checksum_algorithm=",".join(tus.ALGORITHMS),
    ))  # fmt: skip


@post(
    PATH,
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["attachments"],
    status_code=201,
    request_max_body_size=None,
    responses=documented(*ALWAYS, *RECEIVING, TOO_MANY_UPLOADS),
)
async def create(
    request: AnyRequest, device: NamedDependency[DeviceIdentity], services: NamedDependency[Services]
) -> Response[None]:
    """Begin an upload (tus creation); its address is in `Location`. A body of bytes is received at once.

    `Upload-Metadata` may declare the file's `sha256` in hex: then it is kept only if it has that digest. A phone that
    was revoked must declare one that a note names which it has handed in.
    """
    tus.check_version(request.headers)
    length = tus.length(request.headers, bytes_max(services))
    metadata, declared = tus.metadata(request.headers)
    checksum = tus.checksum(request.headers)
    await services.notes_first.give_way()
    await services.blobs.run(lambda: services.blobs.room_for(length))
    now, upload_id = now_ms(), secrets.token_urlsafe(UPLOAD_ID_BYTES)
    expires_at = lifetime(services)

    def start(tx: Transaction) -> bool:
        _require_awaited(tx, device, declared)
        if device.revoked and uploads.lately(tx, device.device_id) + length > REVOKED_BYTES_MAX:
            raise DeviceRevoked("This phone was revoked, and has sent more than is taken of such a one.")
        return uploads.start(
            tx, device.device_id, upload_id, length=length, declared=declared, metadata=metadata, now=now,
            expires_at=expires_at,
        )  # fmt: skip

    if not await services.store.write(start):
        raise Problem(
            TOO_MANY_UPLOADS, f"{uploads.OPEN_MAX} uploads of this phone are unfinished.",
            headers={"retry-after": "60"} | tus.RESUMABLE,
        )  # fmt: skip
    services.metrics.uploads.labels("begun").inc()
    headers = tus.answer(0, expires_at, location=f"{PATH}/{upload_id}")
    if tus.carries_bytes(request.headers):
        async with services.turns.at(upload_id) as turn:
            upload = await _find(services, device, upload_id)
            headers |= await _receive(request, services, device, upload, 0, turn, checksum)
    return Response(None, status_code=201, headers=headers)


@head(
    PATH + "/{upload_id:str}",
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["attachments"],
    responses=documented(*ALWAYS, NOT_FOUND, UPLOAD_GONE),
)
async def how_far(
    request: AnyRequest,
    upload_id: FromPath[str],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> Response[None]:
    """How many bytes of an upload are on the server's disk, in `Upload-Offset`."""
    return await _how_far(request, upload_id, device, services)


async def _how_far(
    request: AnyRequest, upload_id: str, device: DeviceIdentity, services: Services
) -> Response[None]:
    tus.check_version(request.headers)
    async with services.turns.at(upload_id):
        upload = await _find(services, device, upload_id)
        offset = await _offset(services, device, upload)
    headers = tus.answer(offset, None if offset == upload.length else upload.expires_at)
    headers |= {"upload-length": str(upload.length), "cache-control": "no-store"}
    if upload.metadata:
        headers["upload-metadata"] = upload.metadata
    return Response(None, status_code=200, headers=headers)


@patch(
    PATH + "/{upload_id:str}",
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["attachments"],
    status_code=204,
    request_max_body_size=None,
    responses=documented(*ALWAYS, *RECEIVING, NOT_FOUND, UPLOAD_GONE, OFFSET_MISMATCH),
)
async def receive(
    request: AnyRequest,
    upload_id: FromPath[str],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> Response[None]:
    """More bytes of an upload, from `Upload-Offset` on. What came before a cut in the middle counts."""
    return await _more(request, upload_id, device, services)


async def _more(
    request: AnyRequest, upload_id: str, device: DeviceIdentity, services: Services
) -> Response[None]:
    tus.check_version(request.headers)
    tus.require_bytes(request.headers)
    said = tus.number(request.headers, "Upload-Offset")
    checksum = tus.checksum(request.headers)
    await services.notes_first.give_way()
    async with services.turns.at(upload_id) as turn:
        upload = await _find(services, device, upload_id)
        offset = await _offset(services, device, upload)
        if said != offset:
            raise Problem(OFFSET_MISMATCH, "The upload is not at that offset.", headers=tus.answer(offset))
        headers = await _receive(request, services, device, upload, offset, turn, checksum)
    return Response(None, status_code=204, headers=headers)


@delete(
    PATH + "/{upload_id:str}",
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["attachments"],
    status_code=204,
    responses=documented(*ALWAYS, NOT_FOUND, UPLOAD_GONE, UPLOAD_BUSY),
)
async def terminate(
    request: AnyRequest,
    upload_id: FromPath[str],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> Response[None]:
    """Give an upload up (tus termination). A photograph that has arrived whole is on record and stays there."""
    return await _terminate(request, upload_id, device, services)


async def _terminate(
    request: AnyRequest, upload_id: str, device: DeviceIdentity, services: Services
) -> Response[None]:
    tus.check_version(request.headers)
    async with services.turns.at(upload_id):
        upload = await _find(services, device, upload_id)
        await services.store.write(lambda tx: uploads.end(tx, upload_id, Ended.TERMINATED))
        await services.blobs.run(lambda: services.blobs.drop(upload_id))
    if upload.digest is None:
        services.metrics.uploads.labels("terminated").inc()
    return Response(None, status_code=204, headers=tus.answer())


@post(
    PATH + "/{upload_id:str}",
    opt=DEVICE_HANDS_IN,
    include_in_schema=False,
    status_code=204,
    request_max_body_size=None,
)
async def overridden(
    request: AnyRequest,
    upload_id: FromPath[str],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> Response[None]:
    """For clients behind a proxy that lets no PATCH through: tus's `X-HTTP-Method-Override`."""
    meant = {"PATCH": _more, "DELETE": _terminate, "HEAD": _how_far}.get(
        request.headers.get(OVERRIDE, "").upper()
    )
    if meant is None:
        raise Problem(
            METHOD_NOT_ALLOWED,
            "An upload takes HEAD, PATCH and DELETE.",
            headers={"allow": "DELETE, HEAD, PATCH"},
        )
    return await meant(request, upload_id, device, services)


@get(
    PATH + "/receipts/{sha256:str}",
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["attachments"],
    responses=documented(TOKEN_REFUSED, DEVICE_REVOKED, BAD_REQUEST, NOT_FOUND, UNAVAILABLE),
)
async def receipt(
    sha256: Annotated[str, PathParameter(pattern=r"^[0-9a-f]{64}$")],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> AttachmentReceipt:
    """The server's signature for a file that this phone has handed in whole; until then there is nothing here."""

    def look(tx: Transaction) -> int | None:
        return attachments.handed_in_at(tx, device.device_id, sha256)

    received_at = await services.store.read(look)
    if received_at is None:
        raise Problem(NOT_FOUND, "This phone has not handed in such a file.", hint="Upload it.")
    signed = receipts.seal(
        receipts.Receipt(
            key_id=services.receipt_key.public.kid,
            incarnation=services.incarnation,
            device=device.device_id,
            received_at=received_at,
            ops=(("", 0, sha256),),
        ),
        services.receipt_key.sign,
    )
    return AttachmentReceipt(sha256=sha256, receipt=signed)


async def _find(services: Services, device: DeviceIdentity, upload_id: str) -> Upload:
    """An upload of this phone that may go on or is complete. Raises a problem: 404, 410."""
    now = now_ms()

    def find(tx: Transaction) -> Upload | None:
        found = uploads.find(tx, device.device_id, upload_id, now=now)
        if found is not None:
            _require_awaited(tx, device, found.declared)
        return found

    upload = await services.store.read(find)
    if upload is None:
        raise Problem(NOT_FOUND, "This phone has no such upload.", headers=tus.RESUMABLE)
    if upload.ended is not None:
        raise Problem(UPLOAD_GONE, f"The upload has {_ENDED[upload.ended]}.", headers=tus.RESUMABLE)
    return upload


def _require_awaited(tx: Transaction, device: DeviceIdentity, declared: str | None) -> None:
    """Let no phone that was revoked hand in anything but what its notes name. Raises DeviceRevoked.

    Of a note that was taken before, the digest was said by the officer's own phone: whoever has the phone now can
    send just those bytes and no others.
    """
    if not device.revoked:
        return
    if declared is None or not attachments.is_awaited(tx, device.device_id, declared):
        raise DeviceRevoked("A phone that was revoked hands in what its notes name, and nothing else.")


_ENDED = {
    Ended.EXPIRED: "expired",
    Ended.TERMINATED: "been given up",
    Ended.REFUSED: "been refused",
}


async def _offset(services: Services, device: DeviceIdentity, upload: Upload) -> int:
    """How far an upload is: as recorded, unless the disk has lost some of it. Ends what a crash left unended."""
    if upload.digest is not None:
        return upload.length
    offset = await services.blobs.run(lambda: services.blobs.durable(upload.upload_id, upload.received))
    if offset == upload.length:
        await finish(services, device, upload)
    return offset


async def _receive(
    request: AnyRequest,
    services: Services,
    device: DeviceIdentity,
    upload: Upload,
    offset: int,
    turn: Turn,
    checksum: tus.Checksum | None,
) -> dict[str, str]:
    """Take the body in, and the whole file when this was its end; the headers of the answer."""
    if offset == upload.length:
        return tus.answer(offset)
    await services.blobs.run(lambda: services.blobs.room_for(upload.length - offset))
    receiving = Receiving(services, upload, offset, turn, checksum)
    whole = await receiving.run(request)
    if receiving.came is not None:
        await finish(services, device, upload, receiving.came)
        return tus.answer(upload.length)
    if not whole:
        services.metrics.uploads.labels("cut").inc()
    return tus.answer(receiving.offset, receiving.expires_at)


HANDLERS = [options, create, how_far, receive, terminate, overridden, receipt]
