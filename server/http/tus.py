"""tus 1.0 as headers: what a request says, what an answer says. https://tus.io/protocols/resumable-upload

Core, creation, creation-with-upload, checksum, expiration and termination.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from email.utils import formatdate
from typing import Any

import msgspec
from litestar.datastructures import Headers

from server.http.problems import BAD_REQUEST, TOO_LARGE, TUS_VERSION, UNSUPPORTED_TYPE, Problem
from sync.limits import SEQ_MAX

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = ("sha256", "sha1")
"""SHA-1 because the protocol asks every server for it: it guards against a bad line here, not against a liar."""
BYTES_TYPE = "application/offset+octet-stream"
METADATA_LENGTH_MAX = 2_000
DIGEST_KEY = "sha256"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Checksum(msgspec.Struct, frozen=True):
    """What the body of one request must hash to."""

    algorithm: str
    digest: bytes

    def hasher(self) -> Any:
        return hashlib.new(self.algorithm, usedforsecurity=False)


def check_version(headers: Headers) -> None:
    """Refuse a client of another version (412)."""
    if headers.get("tus-resumable") != VERSION:
        raise Problem(
            TUS_VERSION, "This server speaks tus 1.0.0.", headers={"tus-version": VERSION} | RESUMABLE
        )


def number(headers: Headers, name: str) -> int:
    """A header that is a whole number."""
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > SEQ_MAX:
        raise bad(f"The header {name} is missing or is no whole number.")
    return int(text)


def length(headers: Headers, bytes_max: int) -> int:
    """How long a new upload will be."""
    if "upload-defer-length" in headers:
        raise bad("The length has to be known when an upload begins.")
    count = number(headers, "Upload-Length")
    if count == 0:
        raise bad("An empty file is no photograph and no recording.")
    if count > bytes_max:
        raise too_large(bytes_max)
    return count


def metadata(headers: Headers) -> tuple[str, str | None]:
    """(the header as it was sent, the digest that it declares). Raises a problem where it cannot be read."""
    text = headers.get("upload-metadata", "")
    if len(text) > METADATA_LENGTH_MAX:
        raise bad("The header Upload-Metadata is too long.")
    if not text.isascii() or not text.isprintable():
        raise bad("The header Upload-Metadata cannot be read.")
    declared = None
    for pair in filter(None, text.split(",")):
        key, _, value = pair.strip().partition(" ")
        try:
            said = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise bad("The header Upload-Metadata is not base64.") from None
        if key == DIGEST_KEY:
            declared = said.decode("ascii", "replace")
            if not _DIGEST.fullmatch(declared):
                raise bad("The declared sha256 is not 64 hexadecimal digits.")
    return text, declared


def checksum(headers: Headers) -> Checksum | None:
    """What the request says of its body."""
    text = headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise bad(f"The checksum may be of {' or '.join(ALGORITHMS)}.")
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise bad("The checksum is not base64.") from None
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise bad("The checksum has the wrong length.")
    return Checksum(algorithm, digest)


def carries_bytes(headers: Headers) -> bool:
    """Whether the body holds bytes of the file."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == BYTES_TYPE


def require_bytes(headers: Headers) -> None:
    """Refuse a body of another type (415)."""
    if not carries_bytes(headers):
        raise Problem(
            UNSUPPORTED_TYPE,
            f"Bytes of a file travel as {BYTES_TYPE}.",
            headers={"accept-patch": BYTES_TYPE} | RESUMABLE,
        )


def announced(headers: Headers) -> int | None:
    """The body's length where the request says it."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None


def bad(detail: str) -> Problem:
    """A request that is not tus."""
    return Problem(BAD_REQUEST, detail, hint="https://tus.io/protocols/resumable-upload", headers=RESUMABLE)


def too_large(bytes_max: int) -> Problem:
    """More than is taken, or more than was announced."""
    return Problem(
        TOO_LARGE,
        f"At most {bytes_max} bytes are taken.",
        extra={"max_bytes": bytes_max},
        headers={"tus-max-size": str(bytes_max)} | RESUMABLE,
    )


RESUMABLE: dict[str, str] = {"tus-resumable": VERSION}


def answer(offset: int | None = None, expires_at: int | None = None, **more: str) -> dict[str, str]:
    """The headers of an answer. `expires_at` in ms since the epoch, for an upload that may still go on."""
    headers = dict(RESUMABLE) | {name.replace("_", "-"): value for name, value in more.items()}
    if offset is not None:
        headers["upload-offset"] = str(offset)
    if expires_at is not None:
        headers["upload-expires"] = formatdate(expires_at / 1000, usegmt=True)
    return headers
