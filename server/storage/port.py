"""The storage port: what every room above storage may know about a database.

Ordinary synchronous code runs over a `Transaction`; a `Store` decides when and in which thread:

    answer = await store.write(lambda tx: intake.receive(tx, batch, now))

SQL is written once, in the part of the language that SQLite (3.35 and newer) and PostgreSQL (13
and newer) share, always with named parameters (`:name`). Rows come back as tuples.

Errors:

    StorageError                  something is wrong with the statement or the way it was used
    ├── StorageConflict           a constraint of the schema refused the change
    ├── TransactionEnded          a transaction was used after its work had returned
    └── StorageUnavailable        not now: try again (the doors answer 503 with Retry-After)
        ├── StorageBusy           too much is waiting already
        └── StorageClosed         the store has been closed

No message holds a value that was bound to a parameter, because values are what people wrote.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")

Row = tuple[Any, ...]
Params = Mapping[str, object]

NO_PARAMS: dict[str, object] = {}
"""The empty set of parameters; shared, so nobody may write to it."""

MISSED = ""
"""The payload a subscriber receives in place of those it may have missed.

A backlog overflowed or the listening connection was lost: look in the database. `notify` refuses
an empty payload, so that this can mean nothing else.
"""

NOTIFY_BYTES_MAX = 7_900
"""Bytes of topic and payload together: PostgreSQL refuses 8,000. Send ids, never records."""

RETRY_AFTER_SECONDS = 2
"""What a caller is told to wait: some tens of commits later the queue has moved."""


class StorageError(Exception):
    """Something is wrong with a statement, a migration, or the way storage was used."""


class StorageConflict(StorageError):
    """A constraint refused the change: a key that exists, a reference that does not, a check.

    `constraint` names what the engine named (SQLite: `table.column`; PostgreSQL: the constraint).
    """

    def __init__(self, message: str, constraint: str = "") -> None:
        super().__init__(message)
        self.constraint = constraint


class TransactionEnded(StorageError):
    """A transaction was kept and used after the work it was given to had returned."""


class StorageUnavailable(StorageError):
    """The database cannot do it now. What was asked is not known to have happened: ask again."""

    def __init__(self, message: str, retry_after_seconds: int = RETRY_AFTER_SECONDS) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StorageBusy(StorageUnavailable):
    """Too much is waiting already; nothing of this request was done."""


class WouldWait(StorageError):
    """A glance at the database could not be had at once. Use `Store.read`."""


class StorageClosed(StorageUnavailable):
    """The store has been closed; nothing of this request was done."""


class Transaction(Protocol):
    """What a piece of work is given; usable until that work returns, in that thread only.

    After a statement has failed, the transaction takes no further statement until the savepoint
    around the failure has been left by the exception, and it cannot commit. PostgreSQL is made
    that way, and SQLite is held to it, so that code tested on one runs on the other.
    """

    notes: dict[str, Any]
    """Scratch space of this transaction. When a savepoint is undone, keys set inside it go, and
    lists are cut back to the length they had."""

    @property
    def settled(self) -> str:
        """SQL condition on a row of a change log: "this row's place in commit order is final"."""

    def each(self, name: str) -> str:
        """SQL that stands for every text in a JSON array, the parameter `name`: `id IN {tx.each("ids")}`.

        One statement for lists of any length, which is prepared once; a list of parameters is another for each.
        """

    def execute(self, sql: str, params: Params = NO_PARAMS) -> int:
        """Run one statement; the number of rows it changed."""

    def executemany(self, sql: str, rows: Iterable[Params]) -> None:
        """Run one statement for each row of parameters."""

    def insert_many(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Insert thousands of rows the fastest way there is: COPY on PostgreSQL.

        `table` and `columns` are names of the schema; a row has a value for each column, in their order.
        """

    def rows(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """All rows of a query (or of `... RETURNING`)."""

    def row(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        """The first row, or None."""

    def value(self, sql: str, params: Params = NO_PARAMS) -> Any:
        """The first column of the first row, or None."""

    def insert(self, sql: str, params: Params, key: str) -> int:
        """Run one INSERT of one row; the identity that it was given in the column `key`.

        The same as `value` with `RETURNING key`, which costs SQLite half as much again.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """An exception that leaves the block undoes what was written inside, and only that."""

    @property
    def sole_writer(self) -> bool:
        """Whether nobody else writes until this transaction ends, as on SQLite: then no lock is needed."""

    def may_be_written(self) -> bool:
        """Whether a write has a place to go: no standby, no disk or file that may only be read. A full disk, or one
        that breaks, is found by writing alone."""

    def lock(self, *names: str, shared: bool = False) -> None:
        """Hold these names alone until the transaction ends; waits for whoever holds them.

        `shared`: together with others who share them, and with nobody who holds them alone. The names of one
        call are taken in an order that everybody keeps, so that two calls never wait for each other. What was
        taken inside a savepoint that is undone is let go.
        """

    def analyse(self) -> None:
        """Look again how large the tables are and what is in them, where the engine plans by that: after much was
        written at once it would go on as if they were empty, until it looks by itself."""

    def at_commit(self, work: Callable[[Transaction], None]) -> None:
        """Run `work` last, in this transaction; what it raises undoes the transaction.

        In a read it runs in a write transaction of its own (with the same `notes`) that commits
        before `read` returns: so nothing is shown whose showing could not be recorded.
        """

    def notify(self, topic: str, payload: str) -> None:
        """Tell subscribers of `topic` after the commit, and never if there is none.

        The payload holds ids, never names or text, in at most `NOTIFY_BYTES_MAX` bytes.
        """


@runtime_checkable
class Store(Protocol):
    """A database that runs pieces of work, each in a transaction.

    Work may be run more than once (PostgreSQL resolves deadlocks by undoing one side), so it
    touches nothing but its transaction. An exception from the work undoes it and reaches the
    caller. A write whose caller was cancelled while it waited may still happen.
    """

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` over one unchanging view of the database; it may write nothing."""

    async def read_recorded(self, work: Callable[[Transaction], T]) -> T:
        """`read` of what has something to write down at its end, as who is shown what. Where one thread writes, it
        runs there, in the transaction that its record is written in: one way there and back in place of two. So it
        waits for whatever is written before it, and sees it; its answer comes when that is on disk.
        """

    def glance(self, work: Callable[[Transaction], T]) -> T:
        """`read` of a few rows, here in the calling thread, on no condition that another is waited for.

        Raises WouldWait where that cannot be: the engine is across a network, somebody else glances, a lock is
        held, or the work takes more than a moment. For an event loop, which stands still meanwhile.
        """

    async def read_durable(self, work: Callable[[Transaction], T]) -> T:
        """`read`, whose answer may be taken as a promise: all that it saw is on disk, and on the standby too where
        commits wait for one. So it is of whatever a glance sees."""

    async def write(self, work: Callable[[Transaction], T], *, followed: bool = False) -> T:
        """Run `work`; returns its answer only after the commit is on disk.

        `followed`: more work like it comes within moments, so that one commit for both is worth a short wait. SQLite
        writes each page that a commit changed, and many pushes change the same.
        """

    def read_now(self, work: Callable[[Transaction], T]) -> T:
        """`read` for commands and tests: blocks the thread."""

    def write_now(self, work: Callable[[Transaction], T]) -> T:
        """`write` for commands and tests: blocks the thread."""

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The payloads of `topic` that are committed from now on; ends when the store closes."""

    def migrate(self) -> list[str]:
        """Bring the schema up to date; the names of the migrations that were applied now."""

    async def close(self) -> None:
        """Finish what is under way, refuse the rest, and let go of the database."""

    def close_now(self) -> None:
        """`close` for commands and tests: blocks the thread."""
