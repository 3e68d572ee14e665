"""The phone's store: one SQLite file with the outbox, the receipts and what was pulled. Encrypted where
possible.

Every commit is on disk before it returns (`synchronous=FULL`): an op's id, epoch, seq and frozen bytes are
there before the first byte is sent. The two halves never mix: nothing that touches `held` can touch `outbox`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from client_stub import protection
from client_stub.protection import Description, Protection
from sync.envelope import Outcome
from sync.holdings import Held, Holdings
from sync.outbox import Entry, State

T = TypeVar("T")

DATABASE_FILE = "outbox.db"
LOCK_FILE = "sync.lock"
WIPED_FILE = "wiped.json"
SCHEMA_VERSION = 1
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

ENTRY_COLUMNS = "epoch, seq, digest, size, state, outcome, code, line IS NOT NULL"


class StoreError(Exception):
    """The store cannot be opened or used. `hint` says what to do. Never holds a note's content."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One op as the officer may see it. Times in milliseconds since the epoch, by this device's clock."""

    position: int
    epoch: str
    seq: int
    kind: str
    entity_id: str
    state: State
    outcome: str | None
    code: str | None
    at: str | None
    written_at: int
    settled_at: int | None
    line: bytes | None
    reissued: bool


class Store:
    """An open store. Use it from the thread that opened it, and `close()` it."""

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
                self._connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
            self._prepare()

    @classmethod
    def create(cls, folder: Path, *, passphrase: str | None, accept_unencrypted: bool) -> Store:
        """A store in `folder`, made now, or the one that is there. Raises ProtectionError, StoreError."""
        description = protection.describe(folder)
        if description is None:
            description = protection.choose(
                folder, passphrase=passphrase, accept_unencrypted=accept_unencrypted
            )
        return cls(folder, description, protection.key_for(description, passphrase))

    @classmethod
    def open(cls, folder: Path, *, passphrase: str | None) -> Store:
        """The store in `folder`. Raises StoreError (there is none), ProtectionError (it stays closed)."""
        description = protection.describe(folder)
        if description is None:
            raise StoreError(
                f"There is no store in {folder}.", "Enrol this device first: earlysign-device enrol"
            )
        return cls(folder, description, protection.key_for(description, passphrase))

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

    # What the device knows of itself and of its server

    def get(self, key: str) -> str | None:
        """A fact by name, or None."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Keep a fact. Call it in a transaction."""
        self._run(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key,
            value,
        )

    def file_identity(self) -> str:
        """Which file this is on which disk: another for a copy, so that a cloned store notices."""
        stat = (self.folder / DATABASE_FILE).stat()
        return f"{stat.st_dev}:{stat.st_ino}"

    # The outbox

    def append(
        self,
        *,
        epoch: str,
        kind: str,
        entity_id: str,
        written_at: int,
        freeze: Callable[[int], tuple[bytes, str]],
    ) -> int:
        """Give a new op the next seq of `epoch` and keep its frozen bytes; gives its position.

        `freeze(seq)` makes (line, digest). Call it in a transaction: number and bytes reach the disk
        together.
        """
        seq = int(self._one("SELECT COALESCE(max(seq), 0) + 1 FROM outbox WHERE epoch = ?", epoch)[0])
        line, digest = freeze(seq)
        cursor = self._run(
            "INSERT INTO outbox (epoch, seq, kind, entity_id, digest, size, line, state, written_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(epoch, seq, kind, entity_id, digest, len(line), line, State.QUEUED.value, written_at),
        )
        return int(cursor.lastrowid)

    def unfinished(self) -> list[Entry]:
        """The ops without a receipt, oldest first, those left out that were issued again."""
        return self._entries("WHERE state <> 'receipted' AND reissued_as IS NULL ORDER BY position")

    def all_entries(self) -> list[Entry]:
        """Every op, oldest first. One that was issued again is left out for its successor."""
        return self._entries("WHERE reissued_as IS NULL ORDER BY position")

    def lines(self, entries: Iterable[Entry]) -> list[bytes]:
        """The frozen bytes of `entries`, in the same order."""
        found = []
        for entry in entries:
            row = self._one("SELECT line FROM outbox WHERE epoch = ? AND seq = ?", entry.epoch, entry.seq)
            found.append(bytes(row[0]))
        return found

    def keep(self, entries: Iterable[Entry]) -> None:
        """Store the states of `entries`. Never their bytes: those do not change."""
        for entry in entries:
            outcome = None if entry.outcome is None else entry.outcome.value
            self._run(
                "UPDATE outbox SET state = ?, outcome = ?, code = ? WHERE epoch = ? AND seq = ?",
                *(entry.state.value, outcome, entry.code, entry.epoch, entry.seq),
            )

    def keep_receipt(self, text: str, covered: Iterable[Entry], received_at: int) -> None:
        """Store the server's signed receipt beside the ops that it covers."""
        self._run(
            "INSERT INTO receipts (text, received_at) VALUES (?, ?) ON CONFLICT DO NOTHING", text, received_at
        )
        (number,) = self._one("SELECT id FROM receipts WHERE text = ?", text)
        for entry in covered:
            self._run(
                "UPDATE outbox SET receipt = ?, settled_at = COALESCE(settled_at, ?) "
                "WHERE epoch = ? AND seq = ?",
                *(number, received_at, entry.epoch, entry.seq),
            )

    def say_where(self, entry: Entry, at: str) -> None:
        """Keep which field of the op the server could not use (a JSON path)."""
        self._run("UPDATE outbox SET at = ? WHERE epoch = ? AND seq = ?", at, entry.epoch, entry.seq)

    def items(self, entity_id: str | None = None) -> list[Item]:
        """The ops as the officer may see them, oldest first; those of one note where it is named."""
        rows = self._all(
            "SELECT position, epoch, seq, kind, entity_id, state, outcome, code, at, written_at, "
            "settled_at, line, reissued_as IS NOT NULL "
            "FROM outbox WHERE COALESCE(?, entity_id) = entity_id ORDER BY position",
            entity_id,
        )
        return [
            msgspec.convert(dict(zip(Item.__struct_fields__, row, strict=True)), Item, strict=False)
            for row in rows
        ]

    def reissued(self, position: int, successor: int) -> None:
        """Mark the op at `position` as sent again, under a new epoch, by the op at `successor`."""
        self._run("UPDATE outbox SET reissued_as = ? WHERE position = ?", successor, position)

    def forget_lines(self, entries: Iterable[Entry], before: int) -> int:
        """Drop the bytes of `entries` that were receipted before that time; gives how many."""
        dropped = 0
        for entry in entries:
            dropped += self._run(
                "UPDATE outbox SET line = NULL WHERE epoch = ? AND seq = ? AND state = 'receipted' "
                "AND settled_at < ? AND line IS NOT NULL",
                *(entry.epoch, entry.seq, before),
            ).rowcount
        return dropped

    def durable(self) -> dict[str, int]:
        """By epoch: every seq to this one survives the server's loss of power, as it last said."""
        return {
            str(epoch): int(through) for epoch, through in self._all("SELECT epoch, through FROM durable")
        }

    def put_durable(self, durable: Mapping[str, int], *, anew: bool = False) -> None:
        """Keep what the server said to be durable; `anew` forgets what it said before (it was restored)."""
        if anew:
            self._run("DELETE FROM durable")
        for epoch, through in durable.items():
            self._run(
                "INSERT INTO durable VALUES (?, ?) ON CONFLICT (epoch) DO UPDATE "
                "SET through = max(through, excluded.through)",
                *(epoch, through),
            )

    # What was pulled

    def holdings(self) -> Holdings:
        """The rows that the server lent this device."""
        found: Holdings = {}
        for bucket, kind, row_id, rev, data in self._all("SELECT bucket, kind, id, rev, data FROM held"):
            found.setdefault(bucket, {})[kind, row_id] = Held(rev, msgspec.json.decode(data))
        return found

    def replace_holdings(self, before: Holdings, after: Holdings) -> None:
        """Store `after` where `before` is stored. `secure_delete` overwrites the rows that left."""
        for bucket in before.keys() | after.keys():
            old, new = before.get(bucket, {}), after.get(bucket, {})
            for kind, row_id in old.keys() - new.keys():
                self._run("DELETE FROM held WHERE bucket = ? AND kind = ? AND id = ?", bucket, kind, row_id)
            for (kind, row_id), held in new.items():
                if old.get((kind, row_id)) != held:
                    self._run(
                        "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?)",
                        *(bucket, kind, row_id, held.rev, msgspec.json.encode(held.data).decode()),
                    )

    def erase(self, wiped_at: int, why: str) -> None:
        """Destroy the store and its key. The caller has made sure that nothing unsent is in it."""
        self.close()
        protection.forget_key(self._description)
        (self.folder / WIPED_FILE).write_bytes(msgspec.json.encode({"wiped_at": wiped_at, "why": why}))
        for name in (
            *(DATABASE_FILE + suffix for suffix in ("", "-wal", "-shm")),
            *(LOCK_FILE, protection.DESCRIPTION_FILE),
        ):
            (self.folder / name).unlink(missing_ok=True)

    # Below: the connection

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
        (version,) = self._one("PRAGMA user_version")
        if version == 0:
            for statement in SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._connection.execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise StoreError("The store was made by a newer earlysign-device.", "Update this one.")

    def _entries(self, where: str) -> list[Entry]:
        return [
            Entry(
                epoch=epoch,
                seq=seq,
                digest=digest,
                size=size,
                state=State(state),
                outcome=None if outcome is None else Outcome(outcome),
                code=code,
                held=bool(held),
            )
            for epoch, seq, digest, size, state, outcome, code, held in self._all(
                f"SELECT {ENTRY_COLUMNS} FROM outbox {where}"
            )
        ]

    def _run(self, sql: str, *values: object) -> Any:
        with self._meaningful_errors():
            return self._connection.execute(sql, values)

    def _one(self, sql: str, *values: object) -> Any:
        return self._run(sql, *values).fetchone()

    def _all(self, sql: str, *values: object) -> list[Any]:
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
                    "the passphrase is wrong"
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
                f"The store in {self.folder} failed: {text}", "Is the disk full or read-only?"
            ) from error


def wiped_at(folder: Path) -> int | None:
    """When this device was wiped (ms since the epoch), or None where it was not."""
    try:
        return int(msgspec.json.decode((folder / WIPED_FILE).read_bytes())["wiped_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
