"""Which photographs and recordings travel, told by their content and never by a name or a header.

A short list on purpose: what phones make. Everything else (video, PDF, SVG, office files) is refused, because
whatever opens it in a browser is a program. `recognise` reads a few hundred bytes through the `read` it is given.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum

import msgspec

Read = Callable[[int, int], bytes]
"""`read(offset, count)`: that many bytes from there, fewer at the end."""

HEAD_BYTES = 64
"""Enough to tell every type but one: an MP4 file may hold video, and says so anywhere in the file."""
BOXES_MAX = 512
"""A recording has a few boxes, an hour of fragments a few hundred; a file made to keep us busy has more."""
MOVIE_BYTES_MAX = 16 * 1024 * 1024
"""The index of a recording; hours of audio need less than one megabyte."""


class MediaKind(StrEnum):
    """What an attachment is to the person who looks at it."""

    PHOTOGRAPH = "photograph"
    AUDIO = "audio"


class Media(msgspec.Struct, frozen=True):
    """A type that is taken: its name on the wire, its kind, and how such a file's name ends."""

    type: str
    kind: MediaKind
    suffix: str


JPEG = Media("image/jpeg", MediaKind.PHOTOGRAPH, "jpg")
PNG = Media("image/png", MediaKind.PHOTOGRAPH, "png")
WEBP = Media("image/webp", MediaKind.PHOTOGRAPH, "webp")
HEIC = Media("image/heic", MediaKind.PHOTOGRAPH, "heic")
MP4_AUDIO = Media("audio/mp4", MediaKind.AUDIO, "m4a")
THREE_GPP = Media("audio/3gpp", MediaKind.AUDIO, "3gp")
OGG = Media("audio/ogg", MediaKind.AUDIO, "ogg")
MP3 = Media("audio/mpeg", MediaKind.AUDIO, "mp3")
WAV = Media("audio/wav", MediaKind.AUDIO, "wav")
AMR = Media("audio/amr", MediaKind.AUDIO, "amr")

ACCEPTED: dict[str, Media] = {
    media.type: media for media in (JPEG, PNG, WEBP, HEIC, MP4_AUDIO, THREE_GPP, OGG, MP3, WAV, AMR)
}
IN_WORDS = "JPEG, PNG, WebP and HEIC pictures; M4A, 3GP, Ogg, MP3, WAV and AMR sound"

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis"})
_MP4_BRANDS = frozenset(
    {b"M4A ", b"M4B ", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"dash"}
)


def by_head(head: bytes) -> Media | None:
    """What the first `HEAD_BYTES` bytes say, or None for what is not taken. MP4 may still turn out to be video."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"WAVE": WAV}.get(head[8:12])
    if head[:4] == b"OggS" and (b"OpusHead" in head or b"\x01vorbis" in head):
        return OGG
    if head.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
        return AMR
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return MP3
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    return None


def _by_brand(head: bytes) -> Media | None:
    """By the brand of an ISO base media file (ISO/IEC 14496-12, 4.3): a family of pictures, sound and video."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    compatible = {head[at : at + 4] for at in range(16, size - 3, 4)}
    if major in _HEIC_BRANDS or (major == b"mif1" and compatible & _HEIC_BRANDS):
        return HEIC
    if major[:3] in (b"3gp", b"3g2"):
        return THREE_GPP
    return MP4_AUDIO if major in _MP4_BRANDS else None


def recognise(read: Read, size: int) -> Media | None:
    """What a whole file is, or None for what is not taken."""
    media = by_head(read(0, HEAD_BYTES))
    if media in (MP4_AUDIO, THREE_GPP):
        return media if _tracks(read, size) == {b"soun"} else None
    return media


def boxes(read: Read, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, where its content begins, where it ends) of the boxes between two places. Damage ends it early."""
    for _ in range(BOXES_MAX):
        header = read(start, 16)
        if start + 8 > end or len(header) < 8:
            return
        size, name, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if size == 1:
            size, content = int.from_bytes(header[8:16], "big"), start + 16
        elif size == 0:
            size = end - start
        if size < content - start or start + size > end:
            return
        yield name, content, start + size
        start += size


def _tracks(read: Read, size: int) -> set[bytes]:
    """The kinds of tracks (`soun`, `vide`, ...) that a recording's index names."""
    found = set()
    for name, start, end in boxes(read, 0, size):
        if name != b"moov" or end - start > MOVIE_BYTES_MAX:
            continue
        for _, track_start, track_end in _named(read, start, end, b"trak"):
            for _, media_start, media_end in _named(read, track_start, track_end, b"mdia"):
                for _, content, _ in _named(read, media_start, media_end, b"hdlr"):
                    found.add(read(content + 8, 4))
    return found


def _named(read: Read, start: int, end: int, wanted: bytes) -> Iterator[tuple[bytes, int, int]]:
    return (box for box in boxes(read, start, end) if box[0] == wanted)
