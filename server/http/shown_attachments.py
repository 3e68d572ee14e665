"""The door through which a person sees a photograph or hears a recording of a child whose record they may open.

What is shown is made of the original (`jobs/render.py`) and says nothing of where it was taken; the original is for
those whose role has the right to it. Whatever it is, a browser is told not to guess and not to run anything.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, BinaryIO

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from server.access import passes
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.children import READING, Id, Reason, plain
from server.http.problems import Problem, documented
from server.http.services import Services
from server.records import attachments, children_shown
from server.records.attachments import FormState, Kept
from server.storage.blobs import BlobDamaged, BlobMissing, Blobs
from server.storage.port import Transaction
from sync.media import ACCEPTED, JPEG, MediaKind

BLOCK_BYTES = 256 * 1024
PASSED = "a picture on a page that was opened with a reason"
HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
    "cache-control": "no-store",
}
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class Form(StrEnum):
    """What is asked for. `shown` and `thumbnail` hold no trace of where it was taken."""

    SHOWN = "shown"
    THUMBNAIL = "thumbnail"
    ORIGINAL = "original"


class Opened(msgspec.Struct, frozen=True):
    """A file that is about to be sent."""

    file: Any
    size: int
    media_type: str
    name: str


@get(
    "/api/children/{child_id:int}/attachments/{sha256:str}",
    guards=[requires(Permission.SEE_CHILDREN)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="A photograph or recording on a child's timeline",
    responses=READING | documented(problems.NOT_FOUND, problems.DAMAGED, problems.UNAVAILABLE),
)
async def show_attachment(
    request: Request[Any, Any, Any],
    child_id: Id,
    sha256: Annotated[str, PathParameter(pattern=r"^[0-9a-f]{64}$")],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    form: Annotated[Form, QueryParameter()] = Form.SHOWN,
    sealed: Annotated[str | None, QueryParameter(name="pass", max_length=passes.LENGTH_MAX)] = None,
    access_reason: Reason = None,
) -> Response[Any]:
    """Each showing is logged before the first byte leaves. `pass` is what the page of a restricted record gives."""
    if form is Form.ORIGINAL and not person.may(Permission.SEE_ORIGINALS):
        raise Problem(problems.NOT_ALLOWED, "Your role does not see attachments as they came.")
    now, reason = now_ms(), plain(access_reason)
    if sealed is not None and passes.holds(services.pass_key, sealed, person.person_id, child_id, now):
        reason = PASSED

    def look(tx: Transaction) -> Kept | None:
        children_shown.require_sight(tx, person, child_id, reason)
        return attachments.show(tx, person, child_id, sha256, now=now)

    kept = await services.store.read(look)
    if kept is None:
        raise Problem(problems.NOT_FOUND, "There is no such attachment here, or it has not arrived yet.")
    opened = await services.blobs.run(lambda: _open(services.blobs, kept, form))
    return _sent(services.blobs, opened, form, request.headers.get("range", ""))


def _open(blobs: Blobs, kept: Kept, form: Form) -> Opened:
    """The file of one form. Raises a problem where it is not there, not made, or damaged."""
    media = ACCEPTED[kept.media_type]
    name = f"attachment-{kept.digest[:12]}"
    if form is Form.ORIGINAL:
        try:
            return Opened(
                blobs.open_verified(kept.digest), kept.size, media.type, f"{name}-original.{media.suffix}"
            )
        except (BlobDamaged, BlobMissing):
            raise Problem(problems.DAMAGED, "The bytes on the server are not those that arrived.") from None
    if form is Form.THUMBNAIL and media.kind is MediaKind.AUDIO:
        raise Problem(problems.NOT_FOUND, "A recording has no small picture.")
    if kept.form_state is FormState.WAITING:
        raise Problem(problems.UNAVAILABLE, "It is being made ready.", headers={"retry-after": "5"})
    if kept.form_state is FormState.FAILED:
        raise Problem(
            problems.NOT_FOUND,
            "It cannot be shown here.",
            hint="The original is there for those with the right.",
        )
    path = blobs.made_path(kept.digest, form.value)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise Problem(problems.DAMAGED, "What was made of it is not there.") from None
    made = JPEG if media.kind is MediaKind.PHOTOGRAPH else media
    return Opened(file, path.stat().st_size, made.type, f"{name}.{made.suffix}")


def _sent(blobs: Blobs, opened: Opened, form: Form, wanted: str) -> Response[Any]:
    """The file, or the one part of it that a player asks for (RFC 9110, section 14)."""
    start, end, status = 0, opened.size, 200
    asked = _RANGE.fullmatch(wanted.strip())
    if asked is not None and (asked[1] or asked[2]):
        if asked[1]:
            start, end = int(asked[1]), min(opened.size, int(asked[2]) + 1 if asked[2] else opened.size)
        else:
            start = max(0, opened.size - int(asked[2]))
        if start >= end:
            opened.file.close()
            return Response(
                b"", status_code=416, headers=HEADERS | {"content-range": f"bytes */{opened.size}"}
            )
        status = 206
    disposition = "attachment" if form is Form.ORIGINAL else "inline"
    headers = HEADERS | {
        "content-disposition": f'{disposition}; filename="{opened.name}"',
        "content-length": str(end - start),
    }
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{opened.size}"
    return Stream(
        _blocks(blobs, opened.file, start, end),
        status_code=status,
        media_type=opened.media_type,
        headers=headers,
    )


async def _blocks(blobs: Blobs, file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        await blobs.run(lambda: file.seek(start))
        while start < end:
            count = min(BLOCK_BYTES, end - start)
            block = await blobs.run(partial(file.read, count))
            if not block:
                return
            start += len(block)
            yield block
    finally:
        file.close()


HANDLERS = [show_attachment]
