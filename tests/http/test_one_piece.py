"""What a door writes in one step leaves in one piece: all of it, in order, and before the connection closes. And what
can be answered at once is answered before the application hears of it, in the same words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import uvicorn
from uvicorn.server import ServerState

from server.access import devices
from server.audit import Actor
from server.clock import now_ms
from server.http import at_once, observe
from server.http.at_once import AtOnce
from server.http.one_piece import HELD_BYTES_MAX, SMALL_BYTES_MAX, First, Gathering, OnePiece
from server.settings import Settings
from server.storage import WouldWait
from tests.http.kit import enrolled_phone, services_of
from tests.http.live import LiveClient, live_server
from tests.http.test_sync import Sender

WAIT_SECONDS_MAX = 30.0


class Recording(asyncio.Transport):
    """A transport that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(extra={"peername": ("192.0.2.1", 4)})
        self.told: list[list[bytes] | str] = []

    def write(self, data: Any) -> None:
        self.told.append([bytes(data)])

    def writelines(self, data: Any) -> None:
        self.told.append(list(data))

    def close(self) -> None:
        self.told.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.told

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    @property
    def sent(self) -> bytes:
        return b"".join(part for piece in self.told if not isinstance(piece, str) for part in piece)


def test_a_step_leaves_in_one_piece_and_the_next_in_another() -> None:
    async def steps() -> list[list[bytes] | str]:
        real = Recording()
        gathering = Gathering(real, asyncio.get_running_loop())
        gathering.write(b"head")
        gathering.write(b"body")
        assert real.told == []
        await asyncio.sleep(0)
        gathering.write(b"next")
        await asyncio.sleep(0)
        assert gathering.get_extra_info("peername") == ("192.0.2.1", 4)
        return real.told

    assert asyncio.run(steps()) == [[b"head", b"body"], [b"next"]]


def test_much_leaves_at_once_and_everything_before_the_end() -> None:
    async def steps() -> list[list[bytes] | str]:
        real = Recording()
        gathering = Gathering(real, asyncio.get_running_loop())
        gathering.write(b"head")
        gathering.write(b"x" * HELD_BYTES_MAX)
        assert [len(piece) for piece in real.told] == [2]
        gathering.write(b"last")
        gathering.close()
        await asyncio.sleep(0)
        return real.told

    assert asyncio.run(steps())[1:] == [[b"last"], "closed"]


def test_what_is_whole_leaves_behind_what_was_written_before_it() -> None:
    async def steps() -> list[list[bytes] | str]:
        real = Recording()
        gathering = Gathering(real, asyncio.get_running_loop())
        gathering.write(b"head")
        gathering.write_at_once(b"whole")
        await asyncio.sleep(0)
        return real.told

    assert asyncio.run(steps()) == [[b"head"], [b"whole"]]


def test_the_server_answers_in_one_piece(settings: Settings, monkeypatch: Any) -> None:
    pieces: list[list[bytes]] = []
    plainly = Gathering._let_go

    def noting(self: Gathering) -> None:
        pieces.append(list(self._held or []))
        plainly(self)

    monkeypatch.setattr(Gathering, "_let_go", noting)
    with live_server(settings) as client:
        pieces.clear()
        with socket.create_connection(("127.0.0.1", int(client.url.rpartition(":")[2]))) as wire:
            wire.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: wire.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and body
    assert [piece for piece in pieces if piece] == [[head + b"\r\n\r\n", body]]


# What is answered before the application is asked -------------------------------------------------------

FIRST, OTHER = b"POST /first HTTP/1.1", b"POST /other HTTP/1.1"


def request(line: bytes, body: bytes = b"x", *more: bytes) -> bytes:
    return b"\r\n".join((line, b"host: x", b"content-length: %d" % len(body), *more, b"", body))


def spoken(pieces: list[bytes], first: First | None = None) -> tuple[Recording, list[str], OnePiece]:
    """What a connection answers to these pieces, which bodies its application was asked about, and the protocol."""
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        asked.append(body.decode())
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def answers(scope: Any, body: bytes | bytearray) -> bytes | None:
        return b"content-length: 5\r\n\r\nfirst" if scope["path"] == "/first" else None

    async def speak() -> tuple[Recording, list[str], OnePiece]:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        config.load()
        state, real = ServerState(), Recording()
        state.default_headers = [(b"date", b"today")]
        spoken = OnePiece(config, state, {}, first=first or answers)
        spoken.connection_made(real)
        for piece in pieces:
            spoken.data_received(piece)
            for _ in range(20):
                await asyncio.sleep(0)
        return real, asked, spoken

    return asyncio.run(asyncio.wait_for(speak(), WAIT_SECONDS_MAX))


QUICK = b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 5\r\n\r\nfirst"


def test_what_comes_whole_is_answered_without_the_application_and_the_connection_waits_for_more() -> None:
    real, asked, protocol = spoken([request(FIRST), request(FIRST)])
    assert real.told == [[QUICK], [QUICK]] and asked == []
    # As after any answer: it is counted, closes when nothing more comes, and at once when the server stops.
    assert protocol.server_state.total_requests == 2 and protocol.timeout_keep_alive_task is not None
    assert not protocol.tasks
    protocol.shutdown()
    assert real.told[-1] == "closed"


@pytest.mark.parametrize(
    "pieces",
    [
        [request(OTHER, b"other")],
        [request(FIRST, b"x" * SMALL_BYTES_MAX + b"y")[:-3], b"xxy"],
        [request(FIRST, b"goes", b"connection: close")],
        [request(b"POST /first HTTP/1.0", b"old")],
    ],
    ids=["another", "long, in two pieces", "closes", "an old client"],
)
def test_whatever_else_there_is_the_application_answers(pieces: list[bytes]) -> None:
    real, asked, _ = spoken(pieces)
    body = b"".join(pieces).partition(b"\r\n\r\n")[2]
    assert asked == [body.decode()] and real.sent.endswith(b"\r\n\r\n" + body)
    assert b"first" not in real.sent


def test_a_small_body_is_waited_for_unless_its_client_waits_to_be_told_to_send_it() -> None:
    whole = request(FIRST, b"in parts")
    real, asked, _ = spoken([whole[:20], whole[20:-5], whole[-5:-2], whole[-2:], request(OTHER, b"next")])
    assert real.sent.startswith(QUICK) and asked == ["next"]
    waiting = request(FIRST, b"told", b"expect: 100-continue")
    real, asked, _ = spoken([waiting[:-4], waiting[-4:]])
    assert real.sent.startswith(b"HTTP/1.1 100 Continue") and asked == ["told"]


def test_requests_that_come_together_are_answered_in_their_order() -> None:
    pieces = [request(OTHER, b"one") + request(FIRST) + request(OTHER, b"two"), request(FIRST)]
    real, asked, _ = spoken(pieces)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in real.sent.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    # Behind one that the application works on, the application answers all: it has begun to answer in turn.
    assert bodies == [b"one", b"x", b"two", b"first"] and asked == ["one", "x", "two"]
    together, asked, _ = spoken([request(FIRST) + request(OTHER, b"one") + request(FIRST)])
    assert together.sent.startswith(QUICK) and asked == ["one", "x"]


def test_what_is_no_http_is_refused_as_before() -> None:
    real, asked, _ = spoken([request(FIRST) + b"nonsense\r\n\r\n"])
    assert real.sent.startswith(QUICK + b"HTTP/1.1 400") and real.told[-1] == "closed" and asked == []


# Of the whole server -----------------------------------------------------------------------------------


@pytest.fixture
def live(settings: Settings) -> Iterator[LiveClient]:
    with live_server(settings) as client:
        yield client


@pytest.fixture
def sender(live: LiveClient) -> Sender:
    return Sender(live, enrolled_phone(live))


@pytest.fixture
def application() -> Iterator[list[str]]:
    """The paths of the requests that reach the application."""
    reached: list[str] = []
    through = AtOnce.__call__

    async def counting(self: AtOnce, scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope.get("path", ""))
        await through(self, scope, receive, send)

    with mock.patch.object(AtOnce, "__call__", counting):
        yield reached


def ask(sender: Sender, cursor: str) -> tuple[str, dict[str, str], bytes]:
    """(status, headers but for those that differ each time, body) of a pull over a connection of its own."""
    body = b'{"cursor":"%s"}' % cursor.encode()
    lines = [b"POST /api/sync/pull HTTP/1.1", b"host: x", b"content-type: application/json"]
    lines += [
        b"content-length: %d" % len(body),
        b"authorization: " + sender.headers["authorization"].encode(),
    ]
    address = ("127.0.0.1", sender.client.base_url.port)
    with socket.create_connection(address) as wire, wire.makefile("rb") as answer:
        wire.sendall(b"\r\n".join((*lines, b"", body)))
        status = answer.readline().decode().strip()
        headers = {}
        while line := answer.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name] = value
        content = answer.read(int(headers["content-length"]))
    assert len(headers.pop("x-request-id")) == 32 and headers.pop("date")
    return status, headers, content


def test_nothing_new_is_said_before_the_application_is_asked_and_in_its_very_words(
    sender: Sender, application: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.push(sender.line(), sender.line())
    cursor = sender.pull().cursor
    application.clear()
    logged = mock.Mock()
    monkeypatch.setattr(observe.LINES, "isEnabledFor", lambda _level: True)
    monkeypatch.setattr(observe.log, "info", logged)
    quick = ask(sender, cursor)
    assert application == [] and quick[0] == "HTTP/1.1 200 OK"
    with mock.patch.object(at_once, "glance", side_effect=WouldWait("not now")):
        assert ask(sender, cursor) == quick
    assert application == ["/api/sync/pull"]
    lines = [{name: value for name, value in call.kwargs.items() if name not in ("request", "ms")}
             for call in logged.call_args_list]  # fmt: skip
    assert lines == [{"method": "POST", "route": "/api/sync/pull", "status": 200}] * 2
    assert all(len(call.kwargs["request"]) == 32 for call in logged.call_args_list)
    counted = sender.client.get("/metrics", headers={"authorization": "Bearer metrics-for-tests"}).text
    assert 'earlysign_requests_total{method="POST",route="/api/sync/pull",status="2xx"} 3.0' in counted
    assert 'earlysign_request_seconds_count{method="POST",route="/api/sync/pull"} 3.0' in counted


@pytest.mark.invariant(8)
def test_invariant_8_who_may_not_pull_and_what_has_changed_is_seen_before_anything_is_said(
    sender: Sender, application: list[str]
) -> None:
    sender.push(sender.line())
    cursor = sender.pull().cursor
    services = services_of(sender.client)
    with services.notes_first.pushing():  # a thread looks, for a glance would wait
        application.clear()
        assert ask(sender, cursor)[0] == "HTTP/1.1 200 OK" and application == ["/api/sync/pull"]
    sender.push(sender.line())
    application.clear()
    assert b'"rev"' in ask(sender, cursor)[2] and application == ["/api/sync/pull"]
    cursor = sender.pull().cursor
    application.clear()
    assert b'"rev"' not in ask(sender, cursor)[2] and application == []
    device_id = sender.phone.device_id
    services.store.write_now(
        lambda tx: devices.revoke(tx, device_id, actor=Actor("system", "t"), now=now_ms())
    )
    status, _, content = ask(sender, cursor)
    assert status.startswith("HTTP/1.1 403") and b"checkpoint" not in content
    services.store.write_now(lambda tx: tx.execute("UPDATE device_token SET expires_at = 1"))
    assert ask(sender, cursor)[0].startswith("HTTP/1.1 401")


def test_a_fault_before_the_application_is_answered_by_it_and_names_nobody(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sender.push(sender.line())
    cursor = sender.pull().cursor
    monkeypatch.setattr(at_once, "glance", mock.Mock(side_effect=ValueError("Marker-name")))
    assert ask(sender, cursor)[0] == "HTTP/1.1 200 OK"
    said = "".join(capsys.readouterr())
    assert "not_answered_at_once" in said and "ValueError" in said and "Marker" not in said
