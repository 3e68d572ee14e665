"""A transaction on PostgreSQL, and the translation of its errors into the port's.

PostgreSQL quotes what people wrote in its messages ("Key (name)=(...) already exists"), so only its
codes and the names of constraints are passed on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg import sql as sql_text
from psycopg.adapt import Buffer, Dumper, Loader

from server.storage.bookkeeping import TransactionState
from server.storage.named_parameters import translated as with_psycopg_names
from server.storage.port import (
    NO_PARAMS,
    Params,
    Row,
    StorageBusy,
    StorageConflict,
    StorageError,
    StorageUnavailable,
)

CHANNEL: Final = "earlysign"
"""The one channel of all topics; a notification's first line is its topic."""

SETTLED: Final = "xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

ENGINE_ERRORS = (psycopg.Error, UnicodeError, OverflowError)

Cursor = psycopg.Cursor[Row]

_COLLISIONS: Final = (errors.SerializationFailure, errors.DeadlockDetected)
_CLASSES_TO_TRY_AGAIN: Final = ("08", "53", "57", "58")
"""Connection, resources, operator intervention and system errors: not the statement's fault."""


class Collision(StorageUnavailable):
    """Two transactions got in each other's way and this one was undone; the store runs it again."""


class PostgresTransaction(TransactionState):
    """One piece of work's view of a PostgreSQL connection."""

    __slots__ = ("_cursor",)

    sole_writer = False
    settled: str = SETTLED

    def __init__(self, cursor: Cursor, *, writable: bool, notes: dict[str, Any] | None = None) -> None:
        super().__init__(writable=writable, notes=notes)
        self._cursor = cursor

    def may_be_written(self) -> bool:
        return not self.value(
            "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'"
        )

    def analyse(self) -> None:
        # All tables in one statement: on a slow disk it may take longer than any other does.
        self._run("SET LOCAL statement_timeout = 0", NO_PARAMS)
        self._run("ANALYZE", NO_PARAMS)

    def each(self, name: str) -> str:
        return f"(SELECT jsonb_array_elements_text((:{name})::jsonb))"

    def execute(self, sql: str, params: Params = NO_PARAMS) -> int:
        return self._run(sql, params).rowcount

    def executemany(self, sql: str, rows: Iterable[Params]) -> None:
        if self.broken or self._ended:
            self._refuse()
        given = list(rows)
        if len(given) == 1:
            # Most lists of a note have one row, and a pipeline of its own costs more than the statement.
            self._run(sql, given[0])
            return
        statement = with_psycopg_names(sql)
        try:
            self._cursor.executemany(statement.text, [statement.bound(row) or {} for row in given])
        except ENGINE_ERRORS as error:
            raise self.note_failure(translated(error, sql)) from None

    def insert_many(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        if self.broken or self._ended:
            self._refuse()
        names = map(sql_text.Identifier, columns)
        command = sql_text.SQL("COPY {} ({}) FROM STDIN").format(
            sql_text.Identifier(table), sql_text.SQL(", ").join(names)
        )
        try:
            with self._cursor.copy(command) as copy:
                for row in rows:
                    copy.write_row(row)
        except ENGINE_ERRORS as error:
            raise self.note_failure(translated(error, f"COPY {table}")) from None

    def rows(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        cursor = self._run(sql, params)
        return [] if cursor.description is None else cursor.fetchall()

    def row(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        cursor = self._run(sql, params)
        return None if cursor.description is None else cursor.fetchone()

    def value(self, sql: str, params: Params = NO_PARAMS) -> Any:
        found = self.row(sql, params)
        return None if found is None else found[0]

    def insert(self, sql: str, params: Params, key: str) -> int:
        found: int = self.value(f"{sql} RETURNING {key}", params)
        return found

    def lock(self, *names: str, shared: bool = False) -> None:
        self.check_open()
        if not self.writable:
            raise StorageError(f"The lock {names[0]!r} was asked for in a read. Use Store.write.")
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        keys = sorted(set(map(lock_key, names)))
        self._run(f"SELECT {function}(key) FROM unnest((:keys)::bigint[]) AS key", {"keys": keys})

    def savepoint_command(self, sql: str) -> None:
        try:
            self._cursor.execute(sql, prepare=False)
        except psycopg.Error as error:
            raise self.note_failure(translated(error, sql)) from None

    def mend(self) -> None:
        if self.fatal is None:
            self.broken = False

    def end(self) -> None:
        self._ended = True

    def announce(self) -> None:
        """Hand the notices to PostgreSQL, which delivers them when and if this commits."""
        texts = [f"{topic}\n{payload}" for topic, payload in dict.fromkeys(self.notices)]
        self._run(
            "SELECT pg_notify(:channel, text) FROM unnest((:texts)::text[]) AS text",
            {"channel": CHANNEL, "texts": texts},
        )

    def _run(self, sql: str, params: Params) -> Cursor:
        if self.broken or self._ended:
            self._refuse()
        statement = with_psycopg_names(sql)
        try:
            return self._cursor.execute(statement.text, statement.bound(params))
        except ENGINE_ERRORS as error:
            raise self.note_failure(translated(error, sql)) from None

    def _refuse(self) -> None:
        self.check_open()
        self.check_unbroken()


class BoolDumper(Dumper):
    """True and False as 1 and 0, as on SQLite: the schema has no booleans."""

    oid = psycopg.adapters.types["int2"].oid

    def dump(self, obj: Any) -> Buffer:
        return b"1" if obj else b"0"


class NumberLoader(Loader):
    """`sum` of integers is a numeric here and an integer on SQLite: read it as the number it is."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode("ascii")
        return int(text) if text.lstrip("-").isdigit() else float(text)


def lock_key(name: str) -> int:
    """A stable 64-bit number for a lock's name; two names meet once in 2**64."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def translated(error: Exception, sql: str) -> StorageError:
    """The port's error for one of the driver's. Bound values appear in none of them."""
    where = " ".join(sql.split())[:200]
    if isinstance(error, UnicodeError):
        return StorageError(f"A text holds half a character (a lone surrogate). At: {where}")
    if isinstance(error, OverflowError):
        return StorageError(f"A number does not fit. At: {where}")
    assert isinstance(error, psycopg.Error)
    code = error.sqlstate or ""
    name = type(error).__name__
    if isinstance(error, _COLLISIONS):
        return Collision(f"Two transactions got in each other's way ({name}). At: {where}")
    if code.startswith("23"):
        constraint = error.diag.constraint_name or error.diag.column_name or ""
        return StorageConflict(f"{name}: {constraint or 'a constraint'} refused it. At: {where}", constraint)
    if isinstance(error, errors.QueryCanceled):
        return StorageUnavailable(f"A statement took too long and was stopped. Ask for less. At: {where}")
    if isinstance(error, errors.LockNotAvailable):
        return StorageBusy(f"Another transaction held a lock for too long. At: {where}")
    if code.startswith(_CLASSES_TO_TRY_AGAIN) or (not code and isinstance(error, psycopg.OperationalError)):
        return StorageUnavailable(f"PostgreSQL could not ({name}). At: {where}")
    if isinstance(error, errors.IdleInTransactionSessionTimeout):
        return StorageUnavailable(f"The work took too long between two statements. At: {where}")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StorageError(f"A read tried to write. Use Store.write for: {where}")
    if not code and "NUL" in str(error):
        return StorageError(f"PostgreSQL keeps no NUL character in a text; replace it first. At: {where}")
    if code.startswith("42"):
        # Syntax and names: the message speaks of the SQL text, which holds no values.
        return StorageError(f"{name}: {error.diag.message_primary}. At: {where}")
    return StorageError(f"{name} ({code or 'from the driver'}). At: {where}")
