"""Reading a request body that may be compressed, with both its sizes bounded before anything is stored."""

from __future__ import annotations

import zlib
from typing import Any

import zstandard
from litestar import Request
from litestar.exceptions import InternalServerException

from server.http.problems import BAD_ENCODING, BAD_REQUEST, TOO_LARGE, UNSUPPORTED_ENCODING, Problem

ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024
"""What RFC 9659 asks every receiver of `Content-Encoding: zstd` to take, and no more."""
ZSTD_SLICE_BYTES = 64
"""Unpacked at a time: a block of four bytes may stand for 128 KiB, so a slice for some 2 MiB at most."""
GZIP = 16 + zlib.MAX_WBITS  # zlib's way of saying "with a gzip header and checksum"


async def read_body(
    request: Request[Any, Any, Any], *, max_wire_bytes: int, max_unpacked_bytes: int
) -> bytes:
    """The whole body, decompressed.

    Give the handler `request_max_body_size=None`, so that the limits given here are the ones that count. A
    body is refused at the first byte over a limit, so memory stays below the two limits together. Raises
    `Problem`: too large (413), damaged (400), or a compression we do not read (415).
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding not in {"gzip", "x-gzip", "zstd", "identity"}:
        raise Problem(
            UNSUPPORTED_ENCODING,
            "The Content-Encoding is not known here.",
            headers={"accept-encoding": "zstd, gzip, identity"},
        )
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > max_wire_bytes:
        raise _too_large("as it travels", max_wire_bytes)
    sink: _Plain | _Gzip | _Zstd = _Plain()
    if encoding != "identity":
        sink = _Zstd(max_unpacked_bytes) if encoding == "zstd" else _Gzip(max_unpacked_bytes)
    wire_bytes = 0
    try:
        async for chunk in request.stream():
            wire_bytes += len(chunk)
            if wire_bytes > max_wire_bytes:
                raise _too_large("as it travels", max_wire_bytes)
            sink.add(chunk)
    except InternalServerException:
        # Litestar's word for a connection that was cut: everyday life on a phone, and no incident.
        raise Problem(
            BAD_REQUEST, "The connection ended before the body did.", hint="Send it again."
        ) from None
    body = sink.finish()
    if len(body) > max_unpacked_bytes:
        raise _too_large("unpacked", max_unpacked_bytes)
    return body


def _too_large(what: str, limit: int) -> Problem:
    return Problem(
        TOO_LARGE,
        f"The body is larger, {what}, than {limit} bytes.",
        hint="Send it in smaller parts.",
        extra={"max_bytes": limit},
    )


class _Plain:
    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        self._parts.append(chunk)

    def finish(self) -> bytes:
        return b"".join(self._parts)


class _Gzip:
    """Gzip, possibly of several members, unpacked no further than one byte past the limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._unpacker = zlib.decompressobj(GZIP)
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, chunk: bytes) -> None:
        while chunk:
            if self._unpacker.eof:
                self._unpacker = zlib.decompressobj(GZIP)
            try:
                # One byte more than allowed tells "exactly full" from "too much" without unpacking the rest.
                part = self._unpacker.decompress(chunk, self._max_bytes - self._bytes + 1)
            except zlib.error:
                raise Problem(BAD_ENCODING, "The body is not gzip, or is damaged.") from None
            self._bytes += len(part)
            if self._bytes > self._max_bytes:
                raise _too_large("unpacked", self._max_bytes)
            self._parts.append(part)
            chunk = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail

    def finish(self) -> bytes:
        if not self._unpacker.eof:
            raise Problem(BAD_ENCODING, "The gzip body ends before its end.", hint="Send it again, whole.")
        return b"".join(self._parts)


class _Zstd:
    """Zstandard, possibly of several frames, unpacked little further than the limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._unpacker = self._new()
        self._fresh = True
        self._parts: list[bytes] = []
        self._bytes = 0

    def _new(self) -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX).decompressobj()

    def add(self, chunk: bytes) -> None:
        for start in range(0, len(chunk), ZSTD_SLICE_BYTES):
            rest = chunk[start : start + ZSTD_SLICE_BYTES]
            while rest:
                if self._unpacker.eof:
                    self._unpacker = self._new()
                try:
                    part = self._unpacker.decompress(rest)
                except zstandard.ZstdError:
                    raise Problem(BAD_ENCODING, "The body is not zstd, or is damaged.") from None
                self._fresh = False
                self._bytes += len(part)
                if self._bytes > self._max_bytes:
                    raise _too_large("unpacked", self._max_bytes)
                self._parts.append(part)
                rest = self._unpacker.unused_data if self._unpacker.eof else b""

    def finish(self) -> bytes:
        if self._fresh or not self._unpacker.eof:
            raise Problem(BAD_ENCODING, "The zstd body ends before its end.", hint="Send it again, whole.")
        return b"".join(self._parts)
