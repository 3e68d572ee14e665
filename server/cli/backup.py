"""`earlysign backup` and `earlysign restore`."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from server.cli.common import (
    CommandError,
    DataOption,
    err,
    examples,
    open_database,
    operator,
    say,
    settings_from,
)
from server.clock import now_ms
from server.console.words import count
from server.jobs.backup import BackupError
from server.jobs.backup import check as check_backup
from server.jobs.backup import make as make_backup
from server.jobs.backup import restore as restore_backup
from server.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup", epilog=examples("earlysign backup", "earlysign backup --to /mnt/backup"))(backup)
    app.command(
        "restore",
        epilog=examples(
            "earlysign restore /mnt/backup/earlysign-20260302T020000Z --check",
            "earlysign restore /mnt/backup/earlysign-20260302T020000Z --replace",
        ),
    )(restore)


def backup(
    to: Annotated[
        Path | None,
        typer.Option(help="Folder for backups. Default: backups in the data folder.", show_default=False),
    ] = None,
    data: DataOption = None,
) -> None:
    """Back up the database, the attachments and the secret key while the server runs.

    The copy is read back and checked before it counts. Once there is a backup, phones keep every note until
    the newest one holds it: have this run by a timer, and take the folder to another machine, encrypted.
    """
    settings = settings_from(data)
    folder = to or settings.data / "backups"
    with open_database(settings) as store, err.status("Copying and checking"):
        try:
            made = make_backup(
                store,
                database_of(settings),
                settings.data,
                settings.secret,
                folder,
                actor=operator(),
                now=now_ms(),
            )
        except BackupError as error:
            raise CommandError(str(error), error.hint) from None
    size = sum(path.stat().st_size for path in made.folder.iterdir())
    say(
        f"Backup: {escape(str(made.folder))} ({size / 2**20:,.1f} MiB), and "
        f"{count(made.attachments, 'attachment')} beside it."
    )
    say(
        "It holds personal data and the secret key: encrypt it, and take the whole folder to another machine."
    )
    if made.damaged:
        raise CommandError(
            f"{len(made.damaged)} attachments are missing or damaged on this server, so no backup has them.",
            "earlysign attachments verify names them. Everything else is backed up.",
        )


def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that earlysign backup made.", show_default=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Move a database that is there aside.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check the backup; change nothing.")] = False,
    data: DataOption = None,
) -> None:
    """Put a backup in the database's place. Stop the server first.

    A database that is there is moved aside, never deleted. Phones notice at their next sync and send again
    what was received after the backup; people sign in anew.
    """
    settings = settings_from(data)
    try:
        if check:
            manifest = check_backup(folder)
            say(f"The backup of {_when(manifest.begun_at)} is whole: {len(manifest.files)} files.")
            return
        done = restore_backup(folder, database_of(settings), settings.data, replace=replace, now=now_ms())
    except BackupError as error:
        raise CommandError(str(error), error.hint) from None
    for moved in done.moved:
        say(f"Moved aside: {escape(str(moved))}")
    if done.attachments:
        say(f"{count(done.attachments, 'attachment')} put back.")
    say(f"Restored: everything until {_when(done.begun_at)}. Phones send the rest at their next sync.")
    say("What was revoked, withdrawn or erased by hand since then has to be so again.")


def database_of(settings: Settings) -> str:
    """The database as storage names it: a path of SQLite, or an address of PostgreSQL."""
    return str(settings.sqlite_path) if settings.uses_sqlite else settings.database


def _when(at: int) -> str:
    return (
        datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    )
