"""What is taken out of recordings, and that the sound stays as it is."""

from __future__ import annotations

import io
import struct

import pytest

from server.jobs.scrub import NotScrubbed, _crc, scrub
from sync import media
from tests.attachments.kit import box, recording

SECRET = b"+51.4613-000.1156/"


def scrubbed(data: bytes, found: media.Media) -> bytes:
    file = io.BytesIO(data)
    scrub(file, found.type)
    return file.getvalue()


def recognised(data: bytes) -> media.Media | None:
    return media.recognise(lambda at, count: data[at : at + count], len(data))


def ogg_page(serial: int, number: int, packet: bytes, flags: int = 0) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = b"OggS\0" + bytes([flags]) + bytes(8) + struct.pack("<II", serial, number) + bytes(4)
    page = head + bytes([len(lacing)]) + lacing + packet
    return page[:22] + struct.pack("<I", _crc(page)) + page[26:]


def opus(comment: bytes) -> bytes:
    tags = (
        b"OpusTags"
        + struct.pack("<I", 3)
        + b"lib"
        + struct.pack("<I", 1)
        + struct.pack("<I", len(comment))
        + comment
    )
    return ogg_page(7, 0, b"OpusHead" + bytes(11), 2) + ogg_page(7, 1, tags) + ogg_page(7, 2, b"sound" * 40)


def test_the_checksum_of_a_page_is_the_one_of_the_specification() -> None:
    """The first page of a file that libogg wrote."""
    assert _crc(b"") == 0 and _crc(b"\x01") == 0x04C11DB7


@pytest.mark.parametrize("brand", [b"M4A ", b"mp42", b"3gp4"])
def test_mp4_boxes_that_say_something_become_free_space(brand: bytes) -> None:
    data = recording(brand=brand, extra=box(b"uuid", b"X" * 16 + SECRET) + box(b"meta", SECRET))
    found = recognised(data)
    assert found is not None
    after = scrubbed(data, found)
    assert len(after) == len(data) and SECRET in data and SECRET not in after and b"xyz" not in after
    assert recognised(after) is found
    assert b"sound" * 100 in after


def test_mp3_tags_at_both_ends_go() -> None:
    frames = b"\xff\xfb\x90\x00" + bytes(range(256)) * 4
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 0, len(SECRET)]) + SECRET
    data = tag + tag + frames + b"TAG" + SECRET.ljust(125, b"\0")
    assert recognised(data) is media.MP3
    assert scrubbed(data, media.MP3) == frames


def test_wav_chunks_that_are_not_sound_become_junk() -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + bytes(len(content) & 1)

    body = (
        b"WAVE"
        + chunk(b"fmt ", bytes(16))
        + chunk(b"LIST", b"INFO" + SECRET + b"!")
        + chunk(b"data", b"sound" * 9)
    )
    data = b"RIFF" + struct.pack("<I", len(body)) + body
    assert recognised(data) is media.WAV
    after = scrubbed(data, media.WAV)
    assert len(after) == len(data) and SECRET not in after and b"sound" * 9 in after and b"JUNK" in after


def test_ogg_comments_are_blanked_and_their_pages_sealed_anew() -> None:
    data = opus(b"LOCATION=" + SECRET)
    assert recognised(data) is media.OGG
    after = scrubbed(data, media.OGG)
    assert len(after) == len(data) and SECRET not in after and b"LOCATION=" + b" " * len(SECRET) in after
    assert after == opus(b"LOCATION=" + b" " * len(SECRET)), "every checksum is right"


def test_amr_has_nothing_but_sound() -> None:
    data = b"#!AMR\n" + bytes(64)
    assert recognised(data) is media.AMR and scrubbed(data, media.AMR) == data


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"OggS" + bytes(10), media.OGG),
        (opus(b"no equals sign"), media.OGG),
        (b"ID3\x04\x00\x00\x00\x00\x00\x05hello, no frames here", media.MP3),
        (recording() + b"\x00\x00\x00\x50moov", media.MP4_AUDIO),
    ],
)
def test_what_is_not_built_as_it_says_is_shown_to_nobody(data: bytes, found: media.Media) -> None:
    with pytest.raises(NotScrubbed):
        scrubbed(data, found)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\xff\xd8\xff\xe1", media.JPEG),
        (b"\x89PNG\r\n\x1a\n", media.PNG),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", media.WEBP),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", media.HEIC),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", media.HEIC),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avif", None),
        (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ", None),
        (b"#!AMR-WB\n", media.AMR),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_types_are_told_by_content(head: bytes, found: media.Media | None) -> None:
    assert recognised(head + bytes(60) if head else head) is found
