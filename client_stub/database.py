"""The phone's database file: opening it with its key, transactions that are on disk, errors in plain words."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from client_stub import protection
from client_stub.protection import Description, Protection

DATABASE_FILE = "outbox.db"
LOCK_FILE = "sync.lock"
SCHEMA_VERSION = 3
BUSY_MS = 10_000
"""How long a command waits for another one on the same store; a note is written in milliseconds."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE receipts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, received_at INTEGER NOT NULL);
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    line BLOB,
    state TEXT NOT NULL,
    outcome TEXT,
    code TEXT,
    at TEXT,
    written_at INTEGER NOT NULL,
    settled_at INTEGER,
    receipt INTEGER REFERENCES receipts (id),
    reissued_as INTEGER REFERENCES outbox (position),
    UNIQUE (epoch, seq)
);
CREATE INDEX outbox_unfinished ON outbox (position) WHERE state <> 'receipted';
CREATE TABLE durable (epoch TEXT PRIMARY KEY, through INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE held (
    bucket TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (bucket, kind, id)
) WITHOUT ROWID;
"""

SCHEMA_OF_ATTACHMENTS = """
CREATE TABLE attachment (
    digest TEXT NOT NULL UNIQUE,
    note_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    address TEXT
);
CREATE TABLE attachment_piece (
    digest TEXT NOT NULL, ordinal INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (digest, ordinal)
);
"""
SCHEMA_OF_DURABLE_ATTACHMENTS = "ALTER TABLE attachment ADD COLUMN received_at INTEGER"
UPGRADES = (SCHEMA, SCHEMA_OF_ATTACHMENTS, SCHEMA_OF_DURABLE_ATTACHMENTS)
"""What brings a store from each version to the next."""


class StoreError(Exception):
    """The store cannot be opened or used. `hint` says what to do. Never holds a note's content."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Database:
    """One open file. Use it from the thread that opened it, and `close()` it."""

    def __init__(self, folder: Path, description: Description, key: bytes | None) -> None:
        self.folder = folder
        self.protection = description.protection
        self._description = description
        module: Any = sqlite3 if key is None else protection.sqlcipher()
        if module is None:
            raise StoreError(
                "The store is encrypted, and SQLCipher is not installed here.",
                "Install the Python package sqlcipher3-wheels.",
            )
        self._errors: type[Exception] = module.Error  # sqlcipher3's exceptions are not sqlite3's
        self._connection: Any = module.connect(folder / DATABASE_FILE, isolation_level=None)
        with self._meaningful_errors():
            if key is not None:
                # What it would write to the terminal of a wrong passphrase is said below, in one sentence.
                self._connection.execute("PRAGMA cipher_log_level = NONE")
                self._connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
            self._prepare()

    def close(self) -> None:
        """Close the file. Everything that was committed is on disk already."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is kept, or nothing. On leaving without an error it is on disk."""
        with self._meaningful_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have rolled back already
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def only_one_sync(self) -> Iterator[None]:
        """Held while syncing: one push in flight for each device. Raises StoreError."""
        lock = sqlite3.connect(self.folder / LOCK_FILE, isolation_level=None, timeout=0)
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")  # given back by the system even after kill -9
            except sqlite3.OperationalError as error:
                raise StoreError(
                    "Another sync of this device is running.", "Wait until it has ended."
                ) from error
            yield
        finally:
            lock.close()

    def _prepare(self) -> None:
        for pragma in (
            f"busy_timeout = {BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",  # a note that was written survives a flat battery
            "fullfsync = ON",  # Apple's disks acknowledge before they write unless asked
            "secure_delete = ON",
            "foreign_keys = ON",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("BEGIN IMMEDIATE")
        (version,) = self.one("PRAGMA user_version")
        for upgrade in UPGRADES[version:]:
            for statement in upgrade.split(";"):
                self._connection.execute(statement)
        if version < SCHEMA_VERSION:
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._connection.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise StoreError("The store was made by a newer earlysign-device.", "Update this one.")

    def run(self, sql: str, *values: object) -> Any:
        """Run one statement. Call it in a transaction where it changes something."""
        with self._meaningful_errors():
            return self._connection.execute(sql, values)

    def one(self, sql: str, *values: object) -> Any:
        """The first row, or None."""
        return self.run(sql, *values).fetchone()

    def every(self, sql: str, *values: object) -> list[Any]:
        """All rows."""
        with self._meaningful_errors():
            return list(self._connection.execute(sql, values))

    @contextlib.contextmanager
    def _meaningful_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            text = str(error)
            if "not a database" in text or "file is encrypted" in text:
                wrong = (
                    "the passphrase is wrong, or the file is damaged"
                    if self.protection is Protection.PASSPHRASE
                    else "its key is wrong or the file is damaged"
                )
                raise StoreError(
                    f"The store in {self.folder} cannot be opened: {wrong}.",
                    "Try again. What is in it is not touched.",
                ) from error
            if "locked" in text:
                raise StoreError(
                    "The store is in use by another command.", "Wait until it has ended."
                ) from error
            raise StoreError(
                f"The store in {self.folder} failed: {text}.",
                "Nothing of this was kept. Is the disk full, or read-only?",
            ) from error
