"""What tests of attachments share: small real files, a tus client of a few lines, and the store's folder."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import struct
from pathlib import Path
from typing import Any

from PIL import Image

from tests.http.kit import Client, Phone, services_of

RESUMABLE = {"tus-resumable": "1.0.0"}
BYTES = RESUMABLE | {"content-type": "application/offset+octet-stream"}
PATH = "/api/attachments"
TRACKER = (51.4613, -0.1156)
"""Where the test photographs were taken: latitude, longitude."""


def photograph(
    seed: int = 1, size: tuple[int, int] = (64, 48), *, located: bool = True, rotated: bool = False
) -> bytes:
    """A JPEG of random colours, with the EXIF that a phone writes."""
    rng = random.Random(seed)
    image = Image.new("RGB", size)
    image.putdata(
        [(rng.randrange(256), rng.randrange(256), rng.randrange(256)) for _ in range(size[0] * size[1])]
    )
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    if rotated:
        exif[0x0112] = 6
    if located:
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2] = "N", (51.0, 27.0, 40.7)
        gps[3], gps[4] = "W", (0.0, 6.0, 56.2)
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=95)
    return out.getvalue()


def large(count: int, seed: int = 1) -> bytes:
    """A file of exactly `count` bytes that begins as a JPEG does."""
    return b"\xff\xd8\xff\xe0" + random.Random(seed).randbytes(count - 4)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def recording(handler: bytes = b"soun", brand: bytes = b"M4A ", extra: bytes = b"") -> bytes:
    """An MP4 file with one track, and where it was made (`udta`) as phones write it."""
    hdlr = box(b"hdlr", bytes(8) + handler + bytes(12))
    place = box(b"udta", box(b"\xa9xyz", b"\x00\x12\x15\xc7+51.4613-000.1156/"))
    moov = box(b"moov", box(b"trak", box(b"mdia", hdlr)) + place)
    return box(b"ftyp", brand + bytes(4) + brand) + box(b"mdat", b"sound" * 100) + moov + extra


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def declaring(data: bytes) -> dict[str, str]:
    return {"upload-metadata": "sha256 " + base64.b64encode(digest(data).encode()).decode()}


def begin(phone: Phone, length: int, **headers: str) -> str:
    """The address of a new upload."""
    answer = phone.post(PATH, headers=RESUMABLE | {"upload-length": str(length)} | headers)
    assert answer.status_code == 201, answer.text
    location: str = answer.headers["location"]
    return location


def send(phone: Phone, address: str, offset: int, data: bytes, **headers: str) -> Any:
    """PATCH bytes at an offset."""
    return phone.client.patch(
        address, content=data, headers=phone.headers() | BYTES | {"upload-offset": str(offset)} | headers
    )


def head(phone: Phone, address: str) -> Any:
    return phone.client.head(address, headers=phone.headers() | RESUMABLE)


def upload(phone: Phone, data: bytes) -> str:
    """Upload a file whole; its digest."""
    address = begin(phone, len(data), **declaring(data))
    answer = send(phone, address, 0, data)
    assert answer.status_code == 204, answer.text
    return digest(data)


def folder(client: Client) -> Path:
    return services_of(client).settings.attachments


def stored(client: Client, sha256: str) -> bytes | None:
    """The bytes that the store has under a digest, read past the server."""
    path = folder(client) / "objects" / sha256[:2] / sha256
    return path.read_bytes() if path.exists() else None


def parts(client: Client) -> list[str]:
    return services_of(client).blobs.parts()


def assert_every_object_is_whole(client: Client) -> int:
    """Invariant 14, read past the server: how many objects there are, each of them hashing to its name."""
    count = 0
    for path in (folder(client) / "objects").glob("*/*"):
        assert digest(path.read_bytes()) == path.name
        count += 1
    return count
