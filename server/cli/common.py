"""What every command shares: one-line errors, settings with `--data`, the store, a console."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from server.access.errors import AccessError
from server.access.policy import Policy, PolicyError, load_policy
from server.alerts.webhooks import WebhooksError
from server.app import make_store
from server.audit import Actor, system
from server.casework.days import instant
from server.casework.pack import PackError
from server.logs import describe_exception
from server.settings import Settings, SettingsError, load_settings
from server.storage import (
    DEFAULTS,
    StorageError,
    StorageSettings,
    StorageUnavailable,
    Store,
    Transaction,
)
from server.storage.migrate import read_migrations, shipped_migrations

T = TypeVar("T")

OK, FAILED, USAGE = 0, 1, 2

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder of the database; the same as EARLYSIGN_DATA.",
        show_default=False,
    ),
]


class CommandError(Exception):
    """A command cannot do what was asked: one line, a hint, and the exit code."""

    def __init__(self, message: str, hint: str = "", code: int = FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def make_typer(help_text: str) -> typer.Typer:
    """A group of commands with the manners of all: help when nothing is given, no stack traces."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def examples(*lines: str) -> str:
    """The epilog of a command's help: examples to copy, each on a line of its own."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"[cyan]{escape(line)}[/cyan]" for line in lines)


def settings_from(data: Path | None) -> Settings:
    """The settings of the environment, with `--data` above them."""
    return load_settings(data=data)


def policy_from(settings: Settings) -> Policy:
    """The policy that the settings name."""
    return load_policy(settings.policy, settings.boroughs)


SQL_APPLIED = {True: "SELECT name FROM _sqlite_migrations", False: "SELECT migration_id FROM _yoyo_migration"}


def migrations_of(store: Store, settings: Settings) -> tuple[list[str], list[str]]:
    """Those that the database lacks, and those of it that this version does not know."""
    shipped = {migration.name for migration in read_migrations(shipped_migrations())}
    try:
        rows = store.read_now(lambda tx: tx.rows(SQL_APPLIED[settings.uses_sqlite]))
    except StorageUnavailable:
        raise
    except StorageError:  # no table yet
        rows = []
    applied = {str(row[0]) for row in rows}
    return sorted(shipped - applied), sorted(applied - shipped)


@contextmanager
def open_database(settings: Settings, storage: StorageSettings = DEFAULTS) -> Iterator[Store]:
    """The database, brought up to date where the settings allow, closed at the end. Raises CommandError where its
    tables are not of this version."""
    store = make_store(settings, storage)
    try:
        if settings.migrates_on_start:
            store.migrate()
        missing, unknown = migrations_of(store, settings)
        if unknown:
            raise CommandError(
                "The database is from a newer version of Earlysign.", "Install that one again."
            )
        if missing:
            raise CommandError(
                f"The database's tables are not of this version: {len(missing)} migrations are missing.",
                "Back it up, then bring it up to date: earlysign migrate",
            )
        yield store
    finally:
        store.close_now()


def in_database(settings: Settings, work: Callable[[Transaction], T]) -> T:
    """Run one piece of work in one write transaction."""
    with open_database(settings) as store:
        return store.write_now(work)


def operator() -> Actor:
    """Who runs the command, for the audit log: the account of this machine."""
    return system(f"command:{os.environ.get('SUDO_USER') or _account()}")


def _account() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return "unknown"


def day_of(text: str) -> int:
    """When a day such as 2026-01-31 begins in London, in milliseconds. Raises `CommandError`."""
    try:
        return instant(datetime.date.fromisoformat(text), datetime.time())
    except (ValueError, OverflowError):
        raise CommandError(f"{text[:20]} is not a day.", "Write it as 2026-01-31.") from None


def say(text: str) -> None:
    """A line on standard output. `text` may hold markup; escape what people typed."""
    out.print(text, soft_wrap=True)


def run(app: typer.Typer) -> int:
    """Run the commands; every failure is one line and an exit code (1 failed, 2 used wrongly)."""
    try:
        result = app(standalone_mode=False)
    except typer.Abort:
        return _fail("Stopped.", "Nothing more was done.")
    except typer.Exit as stop:
        return int(stop.exit_code)
    except CommandError as error:
        return _fail(str(error), error.hint, error.code)
    except AccessError as error:
        return _fail(str(error), error.hint)
    except (SettingsError, PolicyError, PackError, WebhooksError) as error:
        return _fail(str(error), "earlysign doctor --settings lists every setting.", USAGE)
    except StorageUnavailable as error:
        return _fail(
            str(error), "Is another program using the database? earlysign doctor looks for the cause."
        )
    except StorageError as error:
        return _fail(str(error), "earlysign doctor looks for the cause.")
    except KeyboardInterrupt:
        return _fail("Stopped.", "Nothing more was done.", 130)
    except BrokenPipeError:
        return FAILED
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(f"{name}{error.strerror or type(error).__name__}", "Check the path and who may use it.")
    except Exception as error:
        return _fail_otherwise(error)
    return result if isinstance(result, int) else OK


def _fail(message: str, hint: str = "", code: int = FAILED) -> int:
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", soft_wrap=True)
    if hint:
        err.print(escape(hint), soft_wrap=True)
    return code


def _fail_otherwise(error: Exception) -> int:
    """A wrong option (click), or something unexpected: its type and place, as a report needs."""
    show = getattr(error, "show", None)
    code = getattr(error, "exit_code", None)
    if callable(show) and isinstance(code, int):
        show()
        return code
    place = " < ".join(reversed(describe_exception(error)[-4:]))
    return _fail("Something unexpected happened.", f"Please report this: {type(error).__name__} at {place}")
