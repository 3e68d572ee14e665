"""`earlysign serve`: the server, one process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import socket
from typing import Annotated

import typer
import uvicorn
from litestar import Litestar
from rich.markup import escape

from server import logs
from server.app import create_app, make_pack
from server.cli.common import CommandError, DataOption, examples, open_database, policy_from, say
from server.settings import Settings, load_settings

GRACE_S = 20  # a push in flight takes a second or two; a supervisor kills after 30 or more
BACKLOG = 2048  # 2,000 phones at a shift's end may connect within one second
# A push makes tens of thousands of short-lived objects and hardly ever a cycle: at Python's own threshold the
# search for cycles costs a twelfth of the server's time.
OBJECTS_BETWEEN_SEARCHES = 50_000
KEEP_ALIVE_S = 75  # above the usual 60 s of a proxy in front, so that it never meets a closed connection


M_ARENA_MAX = -8  # from <malloc.h>


class Server(uvicorn.Server):
    """Ends the open streams first when it is told to stop: they have no end of their own to wait for."""

    def __init__(self, config: uvicorn.Config, app: Litestar) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is loaded by now (models, counts of names, boundaries) stays: it need not be looked through.
        gc.collect()
        gc.freeze()
        gc.set_threshold(OBJECTS_BETWEEN_SEARCHES, 20, 20)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.services.hub.end_streams()
        await super().shutdown(sockets)


def use_one_heap() -> None:
    """Let all threads take memory from one heap, where the C library is GNU's.

    It gives each thread a heap of its own, which grows and shrinks page by page: a twentieth of the writer's time.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "serve",
        epilog=examples(
            "earlysign serve",
            "earlysign serve --data /var/lib/earlysign --port 8080",
            "EARLYSIGN_PUBLIC_URL=https://earlysign.example earlysign serve --host 127.0.0.1",
        ),
    )(serve)


def serve(
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default=False)] = None,
) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM).

    The embedded default needs nothing but a folder: SQLite, one process. Put a proxy with TLS in front before
    a phone outside this machine uses it, and tell the server its address with EARLYSIGN_PUBLIC_URL.
    """
    use_one_heap()
    settings = load_settings(data=data, host=host, port=port)
    check_port(settings)
    logs.configure(settings.log_level, settings.log_format)
    # Looked at before the server starts, so that what is wrong is one line and not a log of a failed start.
    policy_from(settings)
    make_pack(settings)
    with open_database(settings):
        app = create_app(settings)
    say(f"[bold]Earlysign[/bold] at [link={settings.base_url}]{escape(settings.base_url)}[/link]")
    where = str(settings.sqlite_path) if settings.uses_sqlite else "PostgreSQL"
    say(f"Database: {escape(where)}. Doors for programs: {escape(settings.base_url)}/docs. Ctrl-C stops it.")
    if not settings.behind_tls:
        say("[yellow]No TLS in front:[/yellow] for this machine only. See EARLYSIGN_PUBLIC_URL.")
    server = Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="auto",  # uvloop where it is installed
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=BACKLOG,
        ),
        app,
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise CommandError(
            "The server did not start.", "The lines above say why; earlysign doctor looks closer."
        )


def check_port(settings: Settings) -> None:
    """Raise when the port is taken, before anything else happens."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except socket.gaierror:
            raise CommandError(
                f"The address {settings.host} is not known.", "Use --host 127.0.0.1."
            ) from None
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}.",
                "Another program may use it: choose another with --port.",
            ) from None
