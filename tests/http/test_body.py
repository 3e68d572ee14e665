"""Reading bodies: both sizes bounded, gzip whole or refused."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard
from litestar import Request, post
from litestar.testing import TestClient

from server.app import create_app
from server.http.auth import OPEN
from server.http.body import read_body
from server.settings import Settings
from tests.http.kit import Client, assert_problem

WIRE, UNPACKED = 2_000_000, 5_000_000


@post("/api/test/body", opt=OPEN, request_max_body_size=None, status_code=200)
async def take(request: Request[Any, Any, Any]) -> dict[str, int]:
    body = await read_body(request, max_wire_bytes=WIRE, max_unpacked_bytes=UNPACKED)
    return {"bytes": len(body), "crc": zlib.crc32(body)}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One for all: no test here leaves anything behind."""
    settings = Settings(data=tmp_path_factory.mktemp("body") / "data", jobs=False)
    with TestClient(create_app(settings, handlers=[take])) as running:
        yield running


def send(client: Client, body: bytes | Iterator[bytes], encoding: str | None = "gzip") -> Any:
    headers = {} if encoding is None else {"content-encoding": encoding}
    return client.post("/api/test/body", content=body, headers=headers)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000])
def test_a_body_arrives_whole_plain_and_compressed(client: Client, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    expected = {"bytes": size, "crc": zlib.crc32(body)}
    assert send(client, body, None).json() == expected
    assert send(client, body, "identity").json() == expected
    assert send(client, gzip.compress(body)).json() == expected
    assert send(client, gzip.compress(body), " GZIP ").json() == expected


def zstd(body: bytes, **more: Any) -> bytes:
    return zstandard.ZstdCompressor(level=3, **more).compress(body)


@pytest.mark.parametrize("size", [0, 1, 65_535, 1_000_000])
def test_a_body_arrives_whole_by_zstd(client: Client, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert send(client, zstd(body), "zstd").json() == {"bytes": size, "crc": zlib.crc32(body)}
    two = zstd(b"one") + zstd(b"two", write_checksum=True)
    assert send(client, two, "zstd").json()["crc"] == zlib.crc32(b"onetwo")


def test_zstd_is_held_to_the_same_limits_and_a_bomb_costs_little(client: Client) -> None:
    assert send(client, zstd(b"x" * UNPACKED), "zstd").json()["bytes"] == UNPACKED
    assert_problem(send(client, zstd(b"x" * (UNPACKED + 1)), "zstd"), 413, "too-large")
    bomb = zstd(bytes(1_000_000_000))
    assert len(bomb) < 100_000
    tracemalloc.start()
    assert_problem(send(client, bomb, "zstd"), 413, "too-large")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * UNPACKED
    window = zstandard.ZstdCompressionParameters(window_log=27)
    wide = zstandard.ZstdCompressor(compression_params=window).compressobj()
    assert_problem(send(client, wide.compress(b"y" * 300) + wide.flush(), "zstd"), 400, "bad-encoding")


def test_damaged_or_cut_zstd_is_a_400(client: Client) -> None:
    whole = zstd(b"a note" * 1000, write_checksum=True)
    assert_problem(send(client, whole[:-3], "zstd"), 400, "bad-encoding")
    assert_problem(send(client, whole[:-1] + bytes([whole[-1] ^ 1]), "zstd"), 400, "bad-encoding")
    assert_problem(send(client, b"plain", "zstd"), 400, "bad-encoding")
    assert_problem(send(client, whole + b"rubbish after it", "zstd"), 400, "bad-encoding")
    assert_problem(send(client, b"", "zstd"), 400, "bad-encoding")


def test_gzip_of_several_members_is_one_body(client: Client) -> None:
    assert send(client, gzip.compress(b"one") + gzip.compress(b"two")).json()["crc"] == zlib.crc32(b"onetwo")


def test_a_body_exactly_at_its_limit_is_taken_and_one_byte_more_is_not(client: Client) -> None:
    assert send(client, gzip.compress(b"x" * UNPACKED)).json()["bytes"] == UNPACKED
    problem = assert_problem(send(client, gzip.compress(b"x" * (UNPACKED + 1))), 413, "too-large")
    assert problem["max_bytes"] == UNPACKED
    assert send(client, b"x" * WIRE, None).status_code == 200
    assert assert_problem(send(client, b"x" * (WIRE + 1), None), 413, "too-large")["max_bytes"] == WIRE


def test_the_wire_limit_holds_without_an_announced_length(client: Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000

    assert_problem(send(client, chunks(), None), 413, "too-large")


def bomb_of(mebibytes: int) -> bytes:
    """A whole and right gzip of zeros. One MiB is packed so that it stands by itself, and stands there
    many times: packing a GiB takes seconds."""
    zeros = b"\0" * (1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(mebibytes):
        check = zlib.crc32(zeros, check)
    ends = check.to_bytes(4, "little") + (mebibytes << 20).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed * mebibytes + b"\x03\0" + ends


def test_the_bomb_is_what_it_says() -> None:
    assert gzip.decompress(bomb_of(3)) == b"\0" * (3 << 20)


def test_a_bomb_is_refused_early_and_in_little_memory(client: Client) -> None:
    bomb = bomb_of(1024)
    assert 900_000 < len(bomb) < 1_200_000
    tracemalloc.start()
    try:
        answer = send(client, bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_problem(answer, 413, "too-large")
    assert peak < 40_000_000, peak


@pytest.mark.parametrize("cut", [0, 1, 5, 10, 12, -1, -4, -8])
def test_a_truncated_gzip_is_a_clear_problem(client: Client, cut: int) -> None:
    whole = gzip.compress(b"a note of some length, twice over " * 2)
    assert_problem(send(client, whole[:cut] if cut else b""), 400, "bad-encoding")


def test_damaged_or_pretended_gzip_is_a_clear_problem(client: Client) -> None:
    whole = bytearray(gzip.compress(b"a note of some length"))
    whole[-5] ^= 0xFF
    assert_problem(send(client, bytes(whole)), 400, "bad-encoding")
    assert_problem(send(client, b'{"plain": "json"}'), 400, "bad-encoding")
    assert_problem(send(client, gzip.compress(b"one") + b"rubbish after it"), 400, "bad-encoding")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "\xe9"])
def test_an_encoding_that_is_not_read_here_is_named_a_415(client: Client, encoding: str) -> None:
    headers = [(b"content-encoding", encoding.encode("latin-1"))]
    answer = client.post("/api/test/body", content=b"x", headers=headers)
    assert_problem(answer, 415, "unsupported-encoding")
    assert answer.headers["accept-encoding"] == "zstd, gzip, identity"


@pytest.mark.parametrize("length", ["-1", "1e9", "many", "9" * 400])
def test_a_nonsense_length_does_no_harm(client: Client, length: str) -> None:
    answer = client.post("/api/test/body", content=iter([b"x"]), headers={"content-length": length})
    assert answer.status_code < 500
