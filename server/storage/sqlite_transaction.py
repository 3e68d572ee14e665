"""A transaction on SQLite: thin methods over one cursor, and the translation of its errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from server.storage.bookkeeping import TransactionState
from server.storage.named_parameters import positional
from server.storage.port import (
    NO_PARAMS,
    Params,
    Row,
    StorageBusy,
    StorageConflict,
    StorageError,
    StorageUnavailable,
)

ENGINE_ERRORS = (sqlite3.Error, UnicodeError, OverflowError, KeyError)
"""What the driver raises: its own errors, lone surrogates, and integers beyond 64 bits; and a parameter without a
value."""

_HINTS: Final = {
    sqlite3.SQLITE_NOMEM: "the machine has no memory left",
    sqlite3.SQLITE_READONLY: "the file or its folder cannot be written; check owner and permissions",
    sqlite3.SQLITE_INTERRUPT: "the statement took too long and was stopped; ask for less at once",
    sqlite3.SQLITE_IOERR: "the disk reported an error; look at the system's log",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged; restore the last backup",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check its folder and permissions",
    sqlite3.SQLITE_PROTOCOL: "locks on the file do not work; do not keep it on a network drive",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database; check the path",
}

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class SqliteTransaction(TransactionState):
    """One piece of work's view of an SQLite connection.

    Nothing is checked before a statement: the checks live in cursors that take the place of the
    real one when the transaction is broken or has ended, so that the ordinary way costs nothing.
    """

    __slots__ = ("_cursor", "_real_cursor")

    sole_writer = True
    settled: str = "1=1"  # one writer: the order of keys is the order of commits

    def __init__(
        self, cursor: sqlite3.Cursor, *, writable: bool, notes: dict[str, Any] | None = None
    ) -> None:
        super().__init__(writable=writable, notes=notes)
        self._real_cursor = cursor
        self._cursor: sqlite3.Cursor | _Refusal = cursor

    def may_be_written(self) -> bool:
        file = next(file for _, name, file in self.rows("PRAGMA database_list") if name == "main")
        # The folder as well: beside the database stand its log, the secret key and the attachments.
        return not file or all(os.access(path, os.W_OK) for path in (file, os.path.dirname(file)))

    def analyse(self) -> None:
        pass  # its plans ask only which indexes there are

    def each(self, name: str) -> str:
        return f"(SELECT value FROM json_each(:{name}))"

    def execute(self, sql: str, params: Params = NO_PARAMS) -> int:
        try:
            asked = positional(sql)
            return self._cursor.execute(asked.text, asked.values(params)).rowcount
        except ENGINE_ERRORS as error:
            raise self._failed(error, sql) from None

    def executemany(self, sql: str, rows: Iterable[Params]) -> None:
        try:
            asked = positional(sql)
            self._cursor.executemany(asked.text, map(asked.values, rows))
        except ENGINE_ERRORS as error:
            raise self._failed(error, sql) from None

    def insert_many(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        marks = ", ".join("?" for _ in columns)
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        try:
            self._cursor.executemany(sql, rows)
        except ENGINE_ERRORS as error:
            raise self._failed(error, sql) from None

    def rows(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        try:
            asked = positional(sql)
            return self._cursor.execute(asked.text, asked.values(params)).fetchall()
        except ENGINE_ERRORS as error:
            raise self._failed(error, sql) from None

    def row(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        try:
            asked = positional(sql)
            found: Row | None = self._cursor.execute(asked.text, asked.values(params)).fetchone()
            return found
        except ENGINE_ERRORS as error:
            raise self._failed(error, sql) from None

    def value(self, sql: str, params: Params = NO_PARAMS) -> Any:
        try:
            asked = positional(sql)
            found = self._cursor.execute(asked.text, asked.values(params)).fetchone()
            return None if found is None else found[0]
        except ENGINE_ERRORS as error:
            raise self._failed(error, sql) from None

    def insert(self, sql: str, params: Params, key: str) -> int:
        try:
            asked = positional(sql)
            found = self._cursor.execute(asked.text, asked.values(params)).lastrowid
        except ENGINE_ERRORS as error:
            raise self._failed(error, sql) from None
        if found is None:
            raise StorageError("insert was given a statement that is not an INSERT.")
        return found

    def lock(self, *names: str, shared: bool = False) -> None:
        """One writer at a time is the whole engine, so there is nobody to exclude."""
        self.check_open()
        if not self.writable:
            raise StorageError(f"The lock {names[0]!r} was asked for in a read. Use Store.write.")

    def savepoint_command(self, sql: str) -> None:
        try:
            self._real_cursor.execute(sql)
        except sqlite3.Error as error:
            # A full disk, for one, makes SQLite undo the whole transaction on its own.
            raise self.note_failure(
                StorageUnavailable(f"The transaction was lost ({reason(error)}). Try again.")
            ) from None

    def mend(self) -> None:
        if self.fatal is None:
            self.broken = False
            self._cursor = self._real_cursor

    def end(self) -> None:
        self._ended = True
        self._cursor = _Refusal(self.check_open)

    def _failed(self, error: Exception, sql: str) -> StorageError:
        self._cursor = _Refusal(self.check_unbroken)
        return self.note_failure(translated(error, sql, writable=self.writable))


class _Refusal:
    """Stands in for the cursor of a transaction that takes no further statement."""

    __slots__ = ("_complain",)

    def __init__(self, complain: Callable[[], None]) -> None:
        self._complain = complain

    def execute(self, _sql: str, _values: Sequence[object], /) -> sqlite3.Cursor:
        self._complain()
        raise StorageError("This transaction takes no further statement.")

    def executemany(self, _sql: str, _rows: Iterable[Sequence[object]], /) -> sqlite3.Cursor:
        self._complain()
        raise StorageError("This transaction takes no further statement.")


def reason(error: Exception) -> str:
    """Why the engine could not, with what to do about it where that is known."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _HINTS.get(code, str(error))


def translated(error: Exception, sql: str, *, writable: bool) -> StorageError:
    """The port's error for one of the driver's. Bound values appear in none of them."""
    where = " ".join(sql.split())[:200]
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return StorageBusy(f"Another process holds the database; nothing was done at: {where}")
    if code == sqlite3.SQLITE_READONLY and not writable:
        return StorageError(f"A read tried to write. Use Store.write for: {where}")
    if code in _HINTS:
        return StorageUnavailable(f"SQLite could not: {_HINTS[code]}. At: {where}")
    if isinstance(error, sqlite3.IntegrityError):
        constraint = str(error).partition(": ")[2]
        return StorageConflict(f"{error}. At: {where}", constraint)
    if isinstance(error, UnicodeError):
        return StorageError(f"A text holds half a character (a lone surrogate). At: {where}")
    if isinstance(error, OverflowError):
        return StorageError(f"An integer does not fit in 64 bits. At: {where}")
    if isinstance(error, KeyError):
        # Which one is not said: rows may be made as they are read, and the key that was missed be anything.
        return StorageError(f"A parameter has no value. At: {where}")
    if "fts5" in str(error) or " MATCH " in where.upper():
        # The full-text parser quotes what a person typed.
        return StorageError(f"The search text could not be understood. At: {where}")
    return StorageError(f"{error}. At: {where}")
