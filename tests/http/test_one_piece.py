"""What a door writes in one step leaves in one piece: all of it, in order, and before the connection closes."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from server.http.one_piece import HELD_BYTES_MAX, Gathering
from server.settings import Settings
from tests.http.live import live_server


class Recording(asyncio.Transport):
    """A transport that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(extra={"peername": ("192.0.2.1", 4)})
        self.told: list[list[bytes] | str] = []

    def writelines(self, data: Any) -> None:
        self.told.append(list(data))

    def close(self) -> None:
        self.told.append("closed")


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
