"""The one thread that writes to SQLite: a bounded queue, and one commit for many pieces of work.

An fsync costs as much as dozens of statements. While one is under way, work gathers in the queue;
the next transaction runs all of it, each piece in a savepoint of its own, and commits once. Only
then are the answers handed out. A piece that fails undoes itself and nothing else.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic, sleep
from typing import Any

from server.storage.bookkeeping import Notice
from server.storage.port import (
    StorageBusy,
    StorageClosed,
    StorageError,
    StorageUnavailable,
    Transaction,
)
from server.storage.settings import StorageSettings
from server.storage.sqlite_transaction import SqliteTransaction, reason
from server.storage.topics import Topics

LOOK_AGAIN_SECONDS = 0.003
"""Between two attempts to begin while another process writes: less than the gap an import leaves."""

Promise = asyncio.Future[Any] | Future[Any]


class Job:
    """A piece of work on its way through the writer, and where its answer goes.

    `loop` is None where a thread is blocked on a `concurrent.futures.Future`. `reads` marks a read
    (see `Store.read_recorded`; of a database in memory all come here). `followed`: see `Store.write`.
    """

    __slots__ = ("answer", "error", "followed", "loop", "notes", "notices", "promise", "reads", "work")

    def __init__(
        self,
        work: Callable[[Transaction], Any],
        promise: Promise,
        loop: asyncio.AbstractEventLoop | None,
        *,
        reads: bool = False,
        followed: bool = False,
        notes: dict[str, Any] | None = None,
    ) -> None:
        self.work = work
        self.promise = promise
        self.loop = loop
        self.reads = reads
        self.followed = followed
        self.notes = notes
        self.answer: Any = None
        self.error: BaseException | None = None
        self.notices: list[Notice] = []

    def settle(self) -> None:
        """Give the answer or the error to whoever waits; in their loop, if they have one."""
        promise = self.promise
        if promise.done():
            return  # the caller was cancelled and waits no more
        if self.error is None:
            promise.set_result(self.answer)
        elif isinstance(self.error, StopIteration):
            promise.set_exception(StorageError("The work raised StopIteration, which cannot be passed on."))
        else:
            promise.set_exception(self.error)


class Errand(Job):
    """Work that needs the bare connection and no transaction around it, such as migrating."""

    __slots__ = ("errand",)

    def __init__(self, errand: Callable[[sqlite3.Connection], Any], promise: Promise) -> None:
        super().__init__(_no_work, promise, None)
        self.errand = errand


class Writer(threading.Thread):
    """Owns the write connection from opening to closing. `connect` runs in this thread."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], settings: StorageSettings, topics: Topics
    ) -> None:
        super().__init__(name="earlysign-writer", daemon=True)
        self._connect = connect
        self._settings = settings
        self._topics = topics
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._opened: Future[None] = Future()

    def open(self) -> None:
        """Start the thread; raises what stopped it from opening the database."""
        self.start()
        self._opened.result()

    def submit(self, job: Job) -> None:
        """Queue a job; raises StorageBusy when the queue is full and StorageClosed after close."""
        with self._changed:
            if self._closing:
                raise StorageClosed("The store has been closed.")
            if len(self._queue) >= self._settings.queue_jobs_max:
                raise StorageBusy(
                    f"{len(self._queue)} pieces of work are waiting for the database already. Try again soon."
                )
            self._queue.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Finish what is queued, then let go of the database. Waits for it."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if threading.current_thread() is not self:
            self.join()

    def run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._connection = connection
        self._cursor = connection.cursor()
        self._cursor.execute("PRAGMA busy_timeout=0")
        self._opened.set_result(None)
        while (job := self._next()) is not None:
            if isinstance(job, Errand):
                self._run_errand(job)
            else:
                self._run_group(job)
        self._cursor.close()
        connection.close()

    def _next(self) -> Job | None:
        """The next job, waiting for one; None when the store is closing and all is done."""
        with self._changed:
            while not self._queue:
                if self._closing:
                    return None
                self._changed.wait()
            return self._queue.popleft()

    def _next_of_group(self, wait_seconds: float = 0.0) -> Job | None:
        """The next job if one is waiting, or comes in that time, that may share the transaction under way."""
        with self._changed:
            if wait_seconds > 0 and not self._queue and not self._closing:
                self._changed.wait(wait_seconds)
            if not self._queue or isinstance(self._queue[0], Errand):
                return None
            return self._queue.popleft()

    def _run_errand(self, job: Errand) -> None:
        # Here SQLite waits for other processes; transactions do it themselves (`_begin`).
        self._connection.execute(f"PRAGMA busy_timeout={round(self._settings.busy_seconds_max * 1000)}")
        try:
            job.answer = job.errand(self._connection)
        except BaseException as error:
            job.error = error
        self._connection.execute("PRAGMA busy_timeout=0")
        job.settle()

    def _run_group(self, job: Job | None) -> None:
        group: list[Job] = []
        try:
            self._begin()
        except sqlite3.Error as error:
            self._refuse_group(job, error)
            return
        deadline = monotonic() + self._settings.group_seconds_max
        while job is not None:
            group.append(job)
            if not self._run_job(job):
                self._fail(group, f"The transaction was lost ({_cause(job.error)}). Try again.")
                break
            left = deadline - monotonic()
            full = len(group) >= self._settings.group_jobs_max or left <= 0
            wait = min(left, self._settings.follow_seconds_max) if job.followed else 0.0
            job = None if full else self._next_of_group(wait)
        if self._connection.in_transaction:
            self._commit(group)
        self._release(group)

    def _begin(self) -> None:
        """Begin, waiting for a writer of another process (an import, a command) as long as the settings say.

        SQLite's own waiting looks every 100 ms in the end, and so could miss each of the short gaps between the
        transactions of an import, time after time.
        """
        deadline = monotonic() + self._settings.busy_seconds_max
        while True:
            try:
                self._cursor.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or monotonic() >= deadline:
                    raise
            sleep(LOOK_AGAIN_SECONDS)

    def _run_job(self, job: Job) -> bool:
        """Run one job in its savepoint. False when SQLite has undone the whole transaction."""
        execute = self._cursor.execute
        execute("SAVEPOINT job")
        tx = SqliteTransaction(self._cursor, writable=not job.reads, notes=job.notes)
        try:
            if job.reads:
                self._run_read(job, tx)
            else:
                job.answer = job.work(tx)
            tx.check_unbroken()
            if tx.last_work:
                tx.run_last_work(tx)
                tx.check_unbroken()
            execute("RELEASE SAVEPOINT job")
            job.notices = tx.notices
        except sqlite3.Error as error:
            # The engine's own commands failed: the work has ended the transaction by itself.
            job.error = StorageError(f"The transaction could not be ended ({reason(error)}).")
            return self._undo_job()
        except BaseException as error:
            job.error = error
            return self._undo_job()
        finally:
            tx.end()
        return True

    def _run_read(self, job: Job, tx: SqliteTransaction) -> None:
        """Run the work of a read, which writes nothing; what it leaves for its end may write."""
        self._cursor.execute("PRAGMA query_only=ON")
        try:
            job.answer = job.work(tx)
        finally:
            self._cursor.execute("PRAGMA query_only=OFF")
        tx.writable = True

    def _undo_job(self) -> bool:
        try:
            self._cursor.execute("ROLLBACK TO SAVEPOINT job")
            self._cursor.execute("RELEASE SAVEPOINT job")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
            return False
        return True

    def _commit(self, group: list[Job]) -> None:
        try:
            self._cursor.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(group, f"The commit failed ({reason(error)}). Nothing of it was kept; try again.")
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")

    def _refuse_group(self, job: Job | None, error: sqlite3.Error) -> None:
        """Nothing could begin. Those next in line would only wait as long again for the same no."""
        group: list[Job] = []
        while job is not None and len(group) < self._settings.group_jobs_max:
            job.error = StorageBusy(f"No transaction could begin ({reason(error)}). Try again.")
            group.append(job)
            job = self._next_of_group()
        self._release(group)

    def _fail(self, group: list[Job], message: str) -> None:
        """Take back every answer of a group; a job that failed by itself keeps its own error."""
        for job in group:
            job.answer = None
            if job.error is None:
                job.error = StorageUnavailable(message)

    def _release(self, group: list[Job]) -> None:
        """Hand out the answers, waking each event loop once, and then the news."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in group:
            if job.loop is None:
                job.settle()
            else:
                by_loop.setdefault(job.loop, []).append(job)
        for loop, jobs in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle_all, jobs)
            except RuntimeError:
                continue  # the loop was closed: nobody is left to answer
        for job in group:
            if job.notices and job.error is None:
                self._topics.publish(job.notices)


def _settle_all(jobs: list[Job]) -> None:
    for job in jobs:
        job.settle()


def _cause(error: BaseException | None) -> str:
    return str(error) if isinstance(error, StorageError) else "it was undone by the database"


def _no_work(_tx: Transaction) -> None:
    return None
