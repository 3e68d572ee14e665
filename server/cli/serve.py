"""`earlysign serve`: the server, in one process or several (`workers.py`)."""

from __future__ import annotations

import contextlib
import socket
from typing import Annotated

import typer
import uvicorn
from litestar import Litestar
from rich.markup import escape

from server import logs
from server.access.crypto import load_secret
from server.alerts.ways import open_ways
from server.app import create_app, make_pack
from server.cli import workers as processes
from server.cli.common import CommandError, DataOption, examples, open_database, policy_from, say
from server.http.one_piece import protocol_of
from server.memory import search_seldom, use_one_heap
from server.settings import Settings, load_settings

GRACE_S = 20  # a push in flight takes a second or two; a supervisor kills after 30 or more
KEEP_ALIVE_S = 75  # above the usual 60 s of a proxy in front, so that it never meets a closed connection


class Server(uvicorn.Server):
    """Ends the open streams first when it is told to stop: they have no end of their own to wait for."""

    def __init__(self, config: uvicorn.Config, app: Litestar) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        search_seldom()

    def stop_soon(self) -> None:
        """Stop as on SIGTERM. From any thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.services.hub.end_streams()
        await super().shutdown(sockets)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "serve",
        epilog=examples(
            "earlysign serve",
            "earlysign serve --data /var/lib/earlysign --port 8080",
            "EARLYSIGN_DATABASE=postgresql:///earlysign earlysign serve --workers 4",
            "EARLYSIGN_PUBLIC_URL=https://earlysign.example earlysign serve --host 127.0.0.1",
        ),
    )(serve)


def serve(
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default=False)] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Server processes; more than 1 need PostgreSQL.", metavar="N", show_default=False),
    ] = None,
    worker: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM).

    The embedded default needs nothing but a folder: SQLite, one process. Put a proxy with TLS in front before
    a phone outside this machine uses it, and tell the server its address with EARLYSIGN_PUBLIC_URL.
    """
    use_one_heap()
    settings = load_settings(data=data, host=host, port=port, workers=workers)
    processes.check(settings)
    logs.configure(settings.log_level, settings.log_format)
    if worker is not None:
        run_server(settings, worker)
        return
    check_port(settings)
    # Looked at before the server starts, so that what is wrong is one line and not a log of a failed start.
    policy_from(settings)
    make_pack(settings)
    open_ways(settings)
    with open_database(settings):
        load_secret(settings.data, settings.secret)
    say(f"[bold]Earlysign[/bold] at [link={settings.base_url}]{escape(settings.base_url)}[/link]")
    where = str(settings.sqlite_path) if settings.uses_sqlite else "PostgreSQL"
    say(f"Database: {escape(where)}. Doors for programs: {escape(settings.base_url)}/docs. Ctrl-C stops it.")
    if not settings.behind_tls:
        say("[yellow]No TLS in front:[/yellow] for this machine only. See EARLYSIGN_PUBLIC_URL.")
    if settings.workers > 1:
        processes.supervise(settings)
    else:
        run_server(settings)


def run_server(settings: Settings, worker: str | None = None) -> None:
    """Run the server in this process. `worker`: what the parent of several handed on."""
    app = create_app(settings)
    server = Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="auto",  # uvloop where it is installed
            http=protocol_of(app),
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=processes.BACKLOG,
        ),
        app,
    )
    sockets = [processes.inherited(worker, server.stop_soon)] if worker is not None else None
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets)
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
