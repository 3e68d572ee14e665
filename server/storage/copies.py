"""Whole copies of a database: one made while it is in use, and one put in its place.

SQLite copies itself from one unchanging view (`VACUUM INTO`), so that a busy server neither waits nor makes
the copy begin again. PostgreSQL's own programs (`pg_dump`, `pg_restore`) do the same from a snapshot.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from server.storage import POSTGRES_SCHEMES
from server.storage.port import StorageError, StorageUnavailable
from server.storage.sqlite_transaction import reason

SQLITE_COPY: Final = "earlysign.db"
POSTGRES_COPY: Final = "earlysign.dump"
BESIDE: Final = ("-wal", "-shm")
"""What SQLite keeps beside its file while it is in use."""


def copy_name(database: str) -> str:
    """The name of the copy's file, by which a backup says of which engine it is."""
    return POSTGRES_COPY if database.startswith(POSTGRES_SCHEMES) else SQLITE_COPY


def copy_database(database: str, target: Path) -> None:
    """Write a consistent copy of a database in use to `target`, for its owner only, on disk when this returns.

    `database` is a path of SQLite or an address of PostgreSQL. Raises StorageUnavailable when the copy cannot
    be made, and StorageError when what was made is not whole.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if database.startswith(POSTGRES_SCHEMES):
        _run("pg_dump", ["--format=custom", "--no-owner", f"--file={target}"], database)
        _run("pg_restore", ["--list", str(target)], None)
    else:
        _copy_sqlite(database, target)
    flush(target)


def put_in_place(
    copy: Path, database: str, aside: Callable[[Path], Path] | None, prepare: Callable[[str], None]
) -> None:
    """Make the database the copy, once `prepare(database)` has made it ready; an old one goes to `aside(path)`.

    On SQLite the copy is made ready first and takes the other's place in one step. On PostgreSQL the tables
    are replaced in one transaction, nothing is kept of the old ones, and `prepare` comes after: keep the
    servers stopped until it is done. Raises StorageError when there is a database and `aside` is None, and
    StorageUnavailable when it is in use or the copy cannot be put there.
    """
    if database.startswith(POSTGRES_SCHEMES):
        _require_room(database, replace=aside is not None)
        options = ["--no-owner", "--single-transaction", "--exit-on-error", "--dbname", _name_of(database)]
        _run("pg_restore", [*options, *(["--clean", "--if-exists"] if aside else []), str(copy)], database)
        prepare(database)
        return
    path = Path(database)
    if path.exists():
        if aside is None:
            raise StorageError(f"There is a database already: {path}.")
        _require_alone(path)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    shutil.copyfile(copy, part)
    part.chmod(0o600)
    prepare(str(part))
    flush(part)
    if path.exists() and aside is not None:
        os.replace(path, aside(path))
        for suffix in BESIDE:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    os.replace(part, path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Put a file, or a folder's list of files, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_sqlite(database: str, target: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)) as source:
            source.execute("VACUUM INTO ?", (str(target),))
        with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as made:
            said = made.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StorageUnavailable(f"The database could not be copied: {reason(error)}.") from None
    if said != "ok":
        raise StorageError("The copy of the database is not whole. Look at the disk; earlysign doctor helps.")


def _require_alone(path: Path) -> None:
    """Raise unless nobody else has the database open; brings what its log holds into the file."""
    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            # In this mode SQLite asks for the whole file, which it gets only where nobody else has it.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
            return  # a damaged file is what a restore is for
        raise StorageUnavailable(
            f"The database is in use ({reason(error)}). Stop the server before you restore."
        ) from None


def _require_room(address: str, *, replace: bool) -> None:
    """The same for PostgreSQL, where a server that goes on would write notes into tables that are being replaced; and
    where there are tables already, they must be meant to go."""
    import psycopg

    try:
        with psycopg.connect(address) as connection:
            # Of the sessions of other accounts an ordinary one is not told what kind they are.
            others = connection.execute(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND COALESCE(backend_type, 'client backend') = 'client backend'"
            ).fetchone()
            tables = connection.execute(
                "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema()"
            ).fetchone()
    except psycopg.Error as error:
        raise StorageUnavailable(f"The database could not be asked: {type(error).__name__}.") from None
    if tables is not None and tables[0] and not replace:
        raise StorageError("There are tables in that database already.")
    if others is not None and others[0]:
        raise StorageUnavailable(
            f"The database is in use ({others[0]} connections). Stop every server before you restore."
        )


def _run(program: str, arguments: Sequence[str], database: str | None) -> None:
    """Run one of PostgreSQL's programs. The address goes by the environment: arguments are seen by everybody."""
    environment = os.environ | (_environment_of(database) if database else {})
    try:
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        raise StorageError(f"{program} is not installed (Debian: apt install postgresql-client).") from None
    if done.returncode:
        # Its own words may quote rows; the first line of an error names the step and the object.
        first = done.stderr.decode(errors="replace").strip().splitlines()[:1]
        said = first[0].partition("DETAIL")[0][:200] if first else f"exit code {done.returncode}"
        raise StorageUnavailable(f"{program} failed: {said}")


def _environment_of(database: str) -> dict[str, str]:
    from psycopg.conninfo import conninfo_to_dict

    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
             "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}  # fmt: skip
    parts = conninfo_to_dict(database)
    return {names[key]: str(value) for key, value in parts.items() if key in names and value is not None}


def _name_of(database: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(database).get("dbname") or "")
