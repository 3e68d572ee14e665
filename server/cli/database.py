"""`earlysign migrate`: bring the database up to date."""

from __future__ import annotations

import typer

from server.app import make_store
from server.cli.common import DataOption, examples, say, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "migrate", epilog=examples("earlysign migrate", "earlysign migrate --data /var/lib/earlysign")
    )(migrate)


def migrate(data: DataOption = None) -> None:
    """Bring the database's tables up to date with this version.

    Safe to run again. With SQLite the server does it by itself when it starts; with PostgreSQL run it once
    after every upgrade, before the servers start.
    """
    store = make_store(settings_from(data))
    try:
        applied = store.migrate()
    finally:
        store.close_now()
    for name in applied:
        say(f"Applied {name}")
    say("The database is up to date.")
