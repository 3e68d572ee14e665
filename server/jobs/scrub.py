"""Recordings without what a phone wrote beside the sound: where it was made, by whom, on what device.

The sound is not touched. `scrub` works on a copy, in place, byte for byte of the same length where it can, so that
nothing that points into the file has to be moved. A file that is not built as its type says raises `NotScrubbed`:
then nobody is shown a copy of it.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from sync import media

ID3_HEADER_BYTES = 10
ID3V1_BYTES = 128
COMMENT_BYTES_MAX = 4 * 1024 * 1024
"""The comments of an Ogg file may hold a picture; more than this is not one."""
BLANKED_BYTES = 64 * 1024
ISO_SAYS = frozenset({b"udta", b"meta", b"uuid"})
ISO_HOLDS = frozenset({b"moov", b"trak", b"moof", b"traf", b"mdia", b"minf"})
WAV_KEPT = frozenset({b"fmt ", b"data", b"fact"})


class NotScrubbed(ValueError):
    """The file is not built as its type says."""


def scrub(file: BinaryIO, media_type: str) -> None:
    """Take out of a recording everything but its sound. `file` is a copy, open for reading and writing."""
    size = file.seek(0, 2)
    if media_type in (media.MP4_AUDIO.type, media.THREE_GPP.type):
        _iso(file, 0, size)
    elif media_type == media.MP3.type:
        _mp3(file, size)
    elif media_type == media.WAV.type:
        _wav(file, size)
    elif media_type == media.OGG.type:
        _ogg(file)
    elif media_type != media.AMR.type:  # AMR has nothing but sound
        raise NotScrubbed(media_type)


def _read(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _write(file: BinaryIO, offset: int, data: bytes) -> None:
    file.seek(offset)
    file.write(data)


def _blank(file: BinaryIO, start: int, end: int) -> None:
    file.seek(start)
    while start < end:
        start += file.write(bytes(min(BLANKED_BYTES, end - start)))


def _iso(file: BinaryIO, start: int, end: int) -> None:
    """Make free space of every box that says something (ISO/IEC 14496-12, 8.1.2)."""
    reached = start
    for name, content, box_end in list(media.boxes(lambda at, count: _read(file, at, count), start, end)):
        if name in ISO_SAYS:
            _write(file, reached + 4, b"free")
            _blank(file, content, box_end)
        elif name in ISO_HOLDS:
            _iso(file, content, box_end)
        reached = box_end
    if reached != end:
        raise NotScrubbed("boxes")


def _mp3(file: BinaryIO, size: int) -> None:
    """Leave out ID3 tags at both ends (id3.org, 2.4.0, section 3.1)."""
    start = 0
    while (head := _read(file, start, ID3_HEADER_BYTES))[:3] == b"ID3" and len(head) == ID3_HEADER_BYTES:
        length = 0
        for seven_bits in head[6:10]:
            length = length << 7 | seven_bits & 0x7F
        start += ID3_HEADER_BYTES + length + (ID3_HEADER_BYTES if head[5] & 0x10 else 0)
    end = size - ID3V1_BYTES if _read(file, max(0, size - ID3V1_BYTES), 3) == b"TAG" else size
    if media.by_head(_read(file, start, media.HEAD_BYTES).lstrip(b"\0") or b"") is not media.MP3:
        raise NotScrubbed("frames")
    at = 0
    while start < end:
        piece = _read(file, start, min(BLANKED_BYTES, end - start))
        _write(file, at, piece)
        start, at = start + len(piece), at + len(piece)
    file.truncate(at)


def _wav(file: BinaryIO, size: int) -> None:
    """Make junk of every chunk but format and sound."""
    start = 12
    while start + 8 <= size:
        name, length = struct.unpack("<4sI", _read(file, start, 8))
        end = min(size, start + 8 + length)
        if name not in WAV_KEPT:
            _write(file, start, b"JUNK")
            _blank(file, start + 8, end)
        start = end + (length & 1)


def _ogg(file: BinaryIO) -> None:
    """Blank what the comment header says, keep its shape, and seal its pages anew (RFC 3533, RFC 7845)."""
    packet = bytearray()
    places: list[tuple[int, int]] = []
    pages: list[tuple[int, int]] = []
    start, done = 0, False
    while not done:
        head = _read(file, start, 27)
        if head[:4] != b"OggS" or len(head) < 27:
            raise NotScrubbed("pages")
        lacing = _read(file, start + 27, head[26])
        body = start + 27 + head[26]
        if start:  # the first page holds the first header, and nothing else
            pages.append((start, body + sum(lacing)))
            at = body
            for length in lacing:
                packet += _read(file, at, length)
                places.append((at, length))
                at += length
                if length < 255:
                    done = True
                    break
        start = body + sum(lacing)
        if len(packet) > COMMENT_BYTES_MAX:
            raise NotScrubbed("comments")
    _blank_comments(packet)
    at = 0
    for place, length in places:
        _write(file, place, bytes(packet[at : at + length]))
        at += length
    for page, end in pages:
        _write(file, page + 22, bytes(4))
        _write(file, page + 22, struct.pack("<I", _crc(_read(file, page, end - page))))


def _blank_comments(packet: bytearray) -> None:
    """Spaces in place of every comment's words; lengths and names of fields stay."""
    begins = {b"OpusTags": 8, b"\x03vorbis": 7}
    at = next((length for name, length in begins.items() if packet.startswith(name)), 0)
    try:
        if not at:
            raise NotScrubbed("comments")
        (vendor,) = struct.unpack_from("<I", packet, at)
        at += 4 + vendor
        (count,) = struct.unpack_from("<I", packet, at)
        at += 4
        for _ in range(count):
            (length,) = struct.unpack_from("<I", packet, at)
            at += 4
            equals = packet.find(b"=", at, at + length)
            if equals < 0 or at + length > len(packet):
                raise NotScrubbed("comments")
            packet[equals + 1 : at + length] = b" " * (at + length - equals - 1)
            at += length
    except struct.error:
        raise NotScrubbed("comments") from None
    if packet.startswith(b"OpusTags"):
        packet[at:] = bytes(len(packet) - at)  # RFC 7845 lets anything follow; Vorbis has one bit there


def _crc_table() -> list[int]:
    table = []
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def _crc(data: bytes) -> int:
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value
