"""SQLite: a file in a folder, one writer thread, and a few readers that each see a fixed view.

The journal is a write-ahead log, so readers and the writer do not wait for each other, and
`synchronous=FULL` puts every commit on disk before its answer leaves. `:memory:` gives a database
without a file for tests and simulation; its reads go through the writer, which alone can see it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from importlib.resources.abc import Traversable
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from server.storage.migrate import apply_to_sqlite, read_migrations, shipped_migrations
from server.storage.port import (
    StorageBusy,
    StorageClosed,
    StorageError,
    StorageUnavailable,
    Transaction,
    WouldWait,
)
from server.storage.settings import DEFAULTS, MEMORY, StorageSettings
from server.storage.sqlite_transaction import SqliteTransaction, reason, translated
from server.storage.topics import Topics
from server.storage.writer import Errand, Job, Writer

T = TypeVar("T")

SQLITE_SINCE = (3, 35, 0)
"""The first SQLite with RETURNING, which repositories use. Debian 12 has 3.40; Debian 11 has 3.34,
so a Python there must bring its own."""

PROGRESS_STEPS = 200_000
"""Steps of SQLite's machine between looks at the clock: a few milliseconds."""

GLANCE_LOOKS_MAX = 3
"""How often a glance may have taken `glance_steps_max` steps of SQLite's machine before it is given up."""

_THREAD = threading.local()


class SqliteStore:
    """A `Store` over one SQLite file. Opens (and makes) the file at once; call `migrate` next.

    Raises StorageUnavailable when the file cannot be opened or is not a database.
    """

    def __init__(
        self,
        path: str | Path,
        settings: StorageSettings = DEFAULTS,
        migrations: Traversable | None = None,
    ) -> None:
        if sqlite3.sqlite_version_info < SQLITE_SINCE:
            raise StorageError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed. "
                "Use a Python that brings a newer one."
            )
        self._path = str(path)
        self._settings = settings
        self._migrations = migrations
        self._topics = Topics(settings.backlog_max)
        self._in_memory = self._path == MEMORY
        self._closed = False
        if not self._in_memory:
            _make_private_file(Path(self._path))
        self._writer = Writer(self._connect_writer, settings, self._topics)
        self._writer.open()
        self._readers: list[sqlite3.Connection] = []
        self._reading = threading.BoundedSemaphore(settings.queue_jobs_max)
        self._pool = ThreadPoolExecutor(settings.readers, thread_name_prefix="earlysign-reader")
        self._glancing = threading.Lock()
        self._glanced = 0
        self._glancer = None if self._in_memory else self._connect_glancer()

    async def write(self, work: Callable[[Transaction], T], *, followed: bool = False) -> T:
        answer: T = await self._submit(Job(work, *_promise_in_loop(), followed=followed))
        return answer

    async def read(self, work: Callable[[Transaction], T]) -> T:
        if self._in_memory:
            return await self.read_recorded(work)
        promise, loop = _promise_in_loop()

        def record(tx: SqliteTransaction) -> None:
            # From the reader's thread: the loop need not be woken first to hand it on.
            if tx.last_work:
                self._writer.submit(Job(tx.last_work_for_write(), promise, loop, notes=tx.notes))

        answer, tx = await asyncio.wrap_future(self._start_read(work, record))
        if tx.last_work:
            await promise
        return answer

    async def read_recorded(self, work: Callable[[Transaction], T]) -> T:
        answer: T = await self._submit(Job(work, *_promise_in_loop(), reads=True))
        return answer

    async def read_durable(self, work: Callable[[Transaction], T]) -> T:
        # A commit is synced to the log before the log's index lets any reader see it.
        return await self.read(work)

    def glance(self, work: Callable[[Transaction], T]) -> T:
        if self._glancer is None or not self._glancing.acquire(blocking=False):
            raise WouldWait("No glance is to be had now.")
        try:
            if self._closed:
                raise StorageClosed("The store has been closed.")
            self._glanced = 0
            cursor = self._glancer.cursor()
            tx = SqliteTransaction(cursor, writable=False)
            try:
                cursor.execute("BEGIN")
                answer = work(tx)
                tx.check_unbroken()
            finally:
                tx.end()
                self._glanced = 0  # the end is not to be stopped
                if self._glancer.in_transaction:
                    cursor.execute("ROLLBACK")
        except (sqlite3.Error, StorageUnavailable) as error:
            if isinstance(error, StorageClosed):
                raise
            raise WouldWait("The database did not answer at once.") from None
        finally:
            self._glancing.release()
        if tx.last_work:
            raise StorageError("A glance shows nothing that would have to be recorded. Use Store.read.")
        return answer

    def write_now(self, work: Callable[[Transaction], T]) -> T:
        answer: T = self._submit_now(Job(work, Future(), None))
        return answer

    def read_now(self, work: Callable[[Transaction], T]) -> T:
        if self._in_memory:
            answer: T = self._submit_now(Job(work, Future(), None, reads=True))
            return answer
        answer, tx = self._start_read(work).result()
        if tx.last_work:
            self._submit_now(Job(tx.last_work_for_write(), Future(), None, notes=tx.notes))
        return answer

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._topics.subscribed(topic)

    def migrate(self) -> list[str]:
        found = read_migrations(self._migrations or shipped_migrations())
        applied: list[str] = self._submit_now(
            Errand(lambda connection: apply_to_sqlite(connection, found), Future())
        )
        return applied

    async def close(self) -> None:
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=True)
        self._writer.close()
        while self._readers:
            self._readers.pop().close()
        if self._glancer is not None:
            with self._glancing:
                self._glancer.close()
        self._topics.close()

    def _submit(self, job: Job) -> asyncio.Future[Any]:
        self._writer.submit(job)
        assert isinstance(job.promise, asyncio.Future)
        return job.promise

    def _submit_now(self, job: Job) -> Any:
        if threading.current_thread() is self._writer:
            raise StorageError("A transaction's work called the store again and would wait for itself.")
        self._writer.submit(job)
        assert isinstance(job.promise, Future)
        return job.promise.result()

    def _start_read(
        self, work: Callable[[Transaction], T], after: Callable[[SqliteTransaction], None] | None = None
    ) -> Future[tuple[T, SqliteTransaction]]:
        """`after` is called in the same thread once the read has ended."""
        if self._closed:
            raise StorageClosed("The store has been closed.")
        if not self._reading.acquire(blocking=False):
            raise StorageBusy(f"{self._settings.queue_jobs_max} reads are waiting already. Try again soon.")
        try:
            future = self._pool.submit(self._read_in_thread, work, after)
        except RuntimeError:
            self._reading.release()
            raise StorageClosed("The store has been closed.") from None
        # Here and not in the thread: a read that is cancelled before it starts never gets there.
        future.add_done_callback(lambda _done: self._reading.release())
        return future

    def _read_in_thread(
        self, work: Callable[[Transaction], T], after: Callable[[SqliteTransaction], None] | None
    ) -> tuple[T, SqliteTransaction]:
        """Run a read over this thread's own connection."""
        try:
            cursor = self._reader_cursor()
            _THREAD.deadline = monotonic() + self._settings.statement_seconds_max
            tx = SqliteTransaction(cursor, writable=False)
            try:
                cursor.execute("BEGIN")
                answer = work(tx)
                tx.check_unbroken()
            finally:
                tx.end()
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
            if after is not None:
                after(tx)
            return answer, tx
        except sqlite3.Error as error:
            raise translated(error, "BEGIN", writable=False) from None

    def _reader_cursor(self) -> sqlite3.Cursor:
        """This thread's cursor; a thread of the pool serves one store only."""
        known: sqlite3.Cursor | None = getattr(_THREAD, "cursor", None)
        if known is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
            connection.set_progress_handler(_is_past_deadline, PROGRESS_STEPS)
            self._readers.append(connection)
            known = _THREAD.cursor = connection.cursor()
        return known

    def _connect_glancer(self) -> sqlite3.Connection:
        """The connection of glances: it waits for nobody, and gives up what takes more than a moment."""
        connection = self._connect()
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA busy_timeout=0")
        connection.set_progress_handler(self._glances_on, self._settings.glance_steps_max)
        return connection

    def _glances_on(self) -> int:
        """Asked by SQLite each so many steps of a statement; anything but 0 stops it.

        It counts them through all glances, so that any statement of any glance may be the one that is asked at.
        """
        self._glanced += 1
        return int(self._glanced > GLANCE_LOOKS_MAX)

    def _connect_writer(self) -> sqlite3.Connection:
        try:
            connection = self._connect()
            connection.execute(f"PRAGMA cache_size=-{self._settings.cache_kibibytes}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten, not unlinked
            connection.execute(f"PRAGMA wal_autocheckpoint={self._settings.checkpoint_pages}")
            return connection
        except sqlite3.Error as error:
            raise StorageUnavailable(f"The database {self._path} does not open: {reason(error)}.") from None

    def _connect(self) -> sqlite3.Connection:
        settings = self._settings
        connection = sqlite3.connect(
            self._path,
            timeout=settings.busy_seconds_max,
            isolation_level=None,  # transactions are begun and ended here, not by the driver
            cached_statements=settings.statements_cached,
            check_same_thread=False,  # readers are closed by the thread that closes the store
        )
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA cache_size=-{settings.reader_cache_kibibytes}")
        # Not mapped: SQLite keeps no page that it maps, and looks for it in the log anew at each step of a search.
        connection.execute("PRAGMA mmap_size=0")
        return connection


def _promise_in_loop() -> tuple[asyncio.Future[Any], asyncio.AbstractEventLoop]:
    loop = asyncio.get_running_loop()
    return loop.create_future(), loop


def _is_past_deadline() -> int:
    """Asked by SQLite every so often; anything but 0 stops the statement."""
    return 1 if monotonic() > _THREAD.deadline else 0


def _make_private_file(path: Path) -> None:
    """Make the file readable by its owner only, before SQLite would make it for everybody.

    The log and the index that SQLite puts beside it inherit the permissions.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageUnavailable(
            f"The database {path} cannot be opened: {error.strerror}. Check its folder and permissions."
        ) from None
