"""Migrations on PostgreSQL, by yoyo: each with its mark in one transaction, under an advisory lock."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

# yoyo ships no types, so mypy sees Any here and in the class below.
from yoyo import read_migrations as read_for_yoyo  # type: ignore[import-untyped]
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend  # type: ignore[import-untyped]
from yoyo.connections import parse_uri  # type: ignore[import-untyped]

from server.storage.migrate import POSTGRES_TOKENS, Migration, render
from server.storage.port import StorageError, StorageUnavailable
from server.storage.postgres_transaction import lock_key

MIGRATION_TABLE = "_yoyo_migration"

WAIT_SECONDS_MAX = 300
"""How long a second server waits for the first to finish migrating before it gives up."""


def apply_to_postgres(url: str, options: Mapping[str, Any], found: list[Migration]) -> list[str]:
    """Apply what is missing; the names applied. Of two servers that start at once, one waits."""
    current = "bookkeeping"
    try:
        with (
            psycopg.connect(url, autocommit=True, **options) as connection,
            tempfile.TemporaryDirectory(prefix="earlysign-migrations-") as folder,
        ):
            for migration in found:
                text = render(migration.text, POSTGRES_TOKENS)
                Path(folder, f"{migration.name}.sql").write_text(text, encoding="utf-8")
            backend = _Backend(connection)
            with backend.lock():
                pending = list(backend.to_apply(read_for_yoyo(folder)))
                for step in pending:
                    current = str(step.id)
                    backend.apply_one(step)
            return [str(step.id) for step in pending]
    except psycopg.errors.LockNotAvailable:
        raise StorageUnavailable("Another server is migrating this database. Try again soon.") from None
    except psycopg.OperationalError as error:
        raise StorageUnavailable(f"PostgreSQL could not migrate ({type(error).__name__}).") from None
    except psycopg.Error as error:
        told = error.diag.message_primary or type(error).__name__
        raise StorageError(f"Migration {current} failed and was undone: {told}.") from None


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo over a connection of ours.

    Differs from yoyo in three things: a migration and its mark are one transaction (a crash between
    the two would leave a schema that can be migrated neither forth nor back), the lock is released
    by the server when its holder dies, and neither the user's name nor the host's is looked up.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._ours = connection
        self._is_locked = False
        # Only the kind of database is read from this address; the connection is there already.
        super().__init__(parse_uri("postgresql+psycopg:///"), MIGRATION_TABLE)
        self.has_transactional_ddl = True

    def connect(self, _uri: object) -> psycopg.Connection[Any]:
        return self._ours

    @contextmanager
    def lock(self, timeout: float = WAIT_SECONDS_MAX) -> Iterator[None]:
        if self._is_locked:
            yield
            return
        key = lock_key("earlysign migrations")
        self._ours.execute("SELECT set_config('lock_timeout', %s, false)", (f"{round(timeout)}s",))
        self._ours.execute("SELECT pg_advisory_lock(%s)", (key,))
        self._is_locked = True
        try:
            yield
        finally:
            self._is_locked = False
            self._ours.execute("SELECT pg_advisory_unlock(%s)", (key,))

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            if mark:
                self.mark_one(migration, log=False)
