"""A real server in a thread, for tests that a test client cannot serve: streams, sockets, other programs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec
import uvicorn
from litestar import Litestar

from server.app import create_app
from server.http.one_piece import protocol_of
from server.settings import Settings

START_SECONDS_MAX = 30


class LiveClient(httpx.Client):
    """A client of a real server, with its application at hand as a test client has it."""

    def __init__(self, url: str, app: Litestar) -> None:
        super().__init__(base_url=url, timeout=START_SECONDS_MAX)
        self.url = url
        self.app = app


@contextmanager
def live_server(settings: Settings) -> Iterator[LiveClient]:
    """Serve the application on a free port of this machine until the block ends."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = create_app(msgspec.structs.replace(settings, port=port))
        server = uvicorn.Server(
            uvicorn.Config(app, http=protocol_of(app), log_config=None, access_log=False, lifespan="on")
        )
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            threading.Event().wait(0.01)
        try:
            with LiveClient(f"http://127.0.0.1:{port}", app) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(START_SECONDS_MAX)
