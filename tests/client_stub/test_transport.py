"""The wire: addresses, errors with the right type and hint, waits, bodies."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import httpx
import pytest
import zstandard

from client_stub import transport as wire
from client_stub.transport import (
    AddressProblem,
    Busy,
    ClockWrong,
    NoSignal,
    NotUnderstood,
    Refused,
    Revoked,
    ServerFault,
    TokenOver,
    TooLarge,
    Transport,
    TransportError,
    clean_address,
)
from sync.envelope import PullRequest

HELLO = b'{"server_time": 1, "incarnation": "i", "something_new": [1]}'


def answering(status: int, content: bytes = b"", **headers: str) -> Transport:
    known = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = httpx.Response(status, content=content, headers=known)
    return Transport("https://e.test", line=httpx.MockTransport(lambda _request: reply))


def raising(error: Exception) -> Transport:
    def handle(_request: httpx.Request) -> httpx.Response:
        raise error

    return Transport("https://e.test", line=httpx.MockTransport(handle))


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("https://e.test/", "https://e.test"),
        (" https://e.test:8443/base/ ", "https://e.test:8443/base"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:1", "http://[::1]:1"),
    ],
)
def test_addresses_that_are_let_through(typed: str, clean: str) -> None:
    assert clean_address(typed) == clean


@pytest.mark.parametrize(
    "typed", ["http://e.test", "ftp://e.test", "e.test", "", "https://", "http://127.0.0.1.e.test"]
)
def test_addresses_that_are_refused_because_notes_would_travel_readable(typed: str) -> None:
    with pytest.raises(AddressProblem):
        clean_address(typed)


def test_unknown_fields_of_a_newer_server_are_let_pass() -> None:
    with answering(200, HELLO) as transport:
        assert transport.hello("t").incarnation == "i"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, TokenOver),
        (403, Refused),
        (404, Refused),
        (413, TooLarge),
        (429, Busy),
        (500, ServerFault),
        (502, ServerFault),
        (503, Busy),
        (302, NotUnderstood),
    ],
)
def test_each_status_is_an_error_of_its_own_kind_with_a_hint(status: int, kind: type[TransportError]) -> None:
    with answering(status, b"<html>a portal</html>", Content_Type="text/html") as transport:
        with pytest.raises(TransportError) as caught:
            transport.hello("t")
        assert type(caught.value) is kind
        assert str(caught.value) and caught.value.hint


def test_the_servers_words_and_hint_are_passed_on() -> None:
    body = b'{"title": "Short", "detail": "The code is too old.", "hint": "Ask for a new code."}'
    with answering(403, body, Content_Type="application/problem+json") as transport:
        with pytest.raises(Refused, match="The code is too old") as caught:
            transport.hello("t")
        assert caught.value.hint == "Ask for a new code."


def test_a_revoked_device_is_told_apart_from_other_refusals() -> None:
    with (
        answering(403, b'{"title": "x", "wipe": true}', Content_Type="application/problem+json") as transport,
        pytest.raises(Revoked),
    ):
        transport.hello("t")


@pytest.mark.parametrize("said", [b"1800000000000", b'"2027-01-15T08:00:00Z"'])
def test_a_wrong_clock_carries_the_servers_time_in_both_spellings(said: bytes) -> None:
    body = b'{"title": "clock", "server_time": ' + said + b"}"
    with answering(400, body, Content_Type="application/problem+json") as transport:
        with pytest.raises(ClockWrong) as caught:
            transport.token("a")
        assert caught.value.server_time == 1_800_000_000_000


@pytest.mark.parametrize(
    ("said", "wait_ms"),
    [
        ("7", 7_000),
        ("0", 0),
        ("999999", wire.RETRY_AFTER_MS_MAX),
        ("99999999999999999999", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30_000),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("\u0667", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(said: str, wait_ms: int | None) -> None:
    reply = httpx.Response(
        503, headers=[(b"Date", b"Fri, 15 Jan 2027 08:00:00 GMT"), (b"Retry-After", said.encode())]
    )
    with Transport("https://e.test", line=httpx.MockTransport(lambda _request: reply)) as transport:
        with pytest.raises(Busy) as caught:
            transport.hello("t")
        assert caught.value.retry_after_ms == wait_ms


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        httpx.WriteError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.PoolTimeout("x"),
    ],
)
def test_every_failure_of_the_line_is_no_signal(error: Exception) -> None:
    with raising(error) as transport, pytest.raises(NoSignal):
        transport.hello("t")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"server_time": "x"}', b"\xff\xfe", b"["])
def test_an_answer_that_is_not_the_contract_is_not_understood(content: bytes) -> None:
    with answering(200, content) as transport, pytest.raises(NotUnderstood):
        transport.hello("t")


def test_a_broken_gzip_answer_is_no_signal() -> None:
    reply = httpx.Response(
        200, stream=httpx.ByteStream(b"\x1f\x8bnonsense"), headers={"Content-Encoding": "gzip"}
    )
    with (
        Transport("https://e.test", line=httpx.MockTransport(lambda _request: reply)) as transport,
        pytest.raises(NoSignal),
    ):
        transport.hello("t")


def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_BYTES_MAX", 1000)
    with answering(200, b" " * 2000 + HELLO) as transport, pytest.raises(NotUnderstood, match="too long"):
        transport.hello("t")


def seen_request(send: Callable[[Transport], object]) -> httpx.Request:
    found: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        request.read()
        found.append(request)
        return httpx.Response(503)

    with (
        Transport("https://e.test/base/", line=httpx.MockTransport(handle)) as transport,
        pytest.raises(Busy),
    ):
        send(transport)
    return found[0]


def test_small_pushes_go_plain_and_large_ones_compressed() -> None:
    small = seen_request(lambda transport: transport.push("t", b"{}\n"))
    assert small.content == b"{}\n" and "Content-Encoding" not in small.headers
    assert small.headers["Content-Type"] == "application/x-ndjson"
    large = seen_request(lambda transport: transport.push("t", b"a" * 5000))
    assert large.headers["Content-Encoding"] == "gzip" and gzip.decompress(large.content) == b"a" * 5000
    packed = seen_request(lambda transport: transport.push("t", b"a" * 5000, ("zstd", "gzip")))
    assert packed.headers["Content-Encoding"] == "zstd"
    assert zstandard.ZstdDecompressor().decompress(packed.content) == b"a" * 5000


def test_the_token_travels_in_its_header_and_never_in_the_address() -> None:
    request = seen_request(lambda transport: transport.pull("secret", PullRequest()))
    assert request.headers["Authorization"] == "Bearer secret"
    assert "secret" not in str(request.url) and str(request.url) == "https://e.test/base/api/sync/pull"


def test_the_assertion_is_sent_as_a_form() -> None:
    request = seen_request(lambda transport: transport.token("a.b.c"))
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" in request.content
