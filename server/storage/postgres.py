"""PostgreSQL: a pool of threads, each piece of work in a transaction of its own.

Writes are READ COMMITTED with explicit locks (`tx.lock`); reads are REPEATABLE READ, so that they
see one view. A commit is synchronous whatever the server's default. When the connection breaks
during a commit nobody knows its outcome, and the caller hears StorageUnavailable: never success.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeVar

from server.storage.migrate import read_migrations, shipped_migrations
from server.storage.port import (
    Row,
    StorageBusy,
    StorageClosed,
    StorageError,
    StorageUnavailable,
    Transaction,
    WouldWait,
)
from server.storage.settings import DEFAULTS, StorageSettings
from server.storage.topics import Topics

try:
    import psycopg
    from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

    from server.storage.postgres_listener import Listener
    from server.storage.postgres_migrate import apply_to_postgres
    from server.storage.postgres_transaction import (
        BoolDumper,
        Collision,
        NumberLoader,
        PostgresTransaction,
        translated,
    )
except ImportError as error:
    raise StorageError(
        f"PostgreSQL needs packages that are not installed ({error.name}). "
        "Install them with: pip install 'earlysign[postgres]'"
    ) from error

T = TypeVar("T")

POSTGRES_SINCE = 130_000
"""PostgreSQL 13, the first with pg_current_xact_id and pg_snapshot_xmin."""

BEGIN_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
BEGIN_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

CONNECTION_OPTIONS: Final[dict[str, Any]] = {
    "application_name": "earlysign",
    "client_encoding": "UTF8",
    # A server that vanished without a word is noticed after a minute, not after two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

_SESSION = """
SELECT set_config('synchronous_commit',
         CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
         false),
       set_config('statement_timeout', %(statement_ms)s, false),
       set_config('lock_timeout', %(lock_ms)s, false),
       set_config('idle_in_transaction_session_timeout', %(statement_ms)s, false),
       set_config('timezone', 'UTC', false)
"""

# A write that found everything done already ("duplicate") would commit without waiting for a standby, which may not
# have yet what it found: a commit that left no trace in the log waits for nobody. So it leaves one.
_LEAVE_A_TRACE: Final = (
    "SELECT CASE WHEN pg_current_xact_id_if_assigned() IS NULL"
    " THEN pg_logical_emit_message(true, 'earlysign', '') END"
)


class PostgresStore:
    """A `Store` over a PostgreSQL database. Connects at once; call `migrate` next.

    Raises StorageUnavailable when the server cannot be reached, StorageError when it is too old or
    the database does not hold Unicode.
    """

    def __init__(
        self, url: str, settings: StorageSettings = DEFAULTS, migrations: Traversable | None = None
    ) -> None:
        self._url = url
        self._settings = settings
        self._migrations = migrations
        self._topics = Topics(settings.backlog_max)
        self._listener: Listener | None = None
        self._listener_lock = threading.Lock()
        self._closed = False
        self._probe()
        self._connections: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            url,
            kwargs={**CONNECTION_OPTIONS, **self._connect_options()},
            configure=self._configure,
            min_size=1,
            max_size=settings.pool_connections_max,
            timeout=settings.busy_seconds_max,
            name="earlysign",
            open=False,
        )
        self._connections.open()
        self._waiting = threading.BoundedSemaphore(settings.queue_jobs_max)
        self._threads = ThreadPoolExecutor(
            settings.pool_connections_max, thread_name_prefix="earlysign-postgres"
        )

    async def write(self, work: Callable[[Transaction], T], *, followed: bool = False) -> T:
        return await asyncio.wrap_future(self._start(self.write_now, work))

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await asyncio.wrap_future(self._start(self.read_now, work))

    async def read_recorded(self, work: Callable[[Transaction], T]) -> T:
        # A transaction that writes sees the work of others while it goes on, so its view would not be one.
        return await self.read(work)

    async def read_durable(self, work: Callable[[Transaction], T]) -> T:
        # What is committed here may not be on the standby yet, and a read would not wait for it. A write does, were
        # it only for the trace that it leaves.
        return await self.write(work)

    def glance(self, work: Callable[[Transaction], T]) -> T:
        raise WouldWait("PostgreSQL is across a network.")

    def write_now(self, work: Callable[[Transaction], T]) -> T:
        answer, _ = self._run(work, writable=True, notes=None)
        return answer

    def read_now(self, work: Callable[[Transaction], T]) -> T:
        answer, tx = self._run(work, writable=False, notes=None)
        if tx.last_work:
            self._run(tx.last_work_for_write(), writable=True, notes=tx.notes)
        return answer

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._subscribed(topic)

    def migrate(self) -> list[str]:
        found = read_migrations(self._migrations or shipped_migrations())
        return apply_to_postgres(self._url, CONNECTION_OPTIONS, found)

    async def close(self) -> None:
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        self._closed = True
        self._threads.shutdown(wait=True)
        with self._listener_lock:
            if self._listener is not None:
                self._listener.stop()
        self._connections.close()
        self._topics.close()

    def _start(
        self, run: Callable[[Callable[[Transaction], T]], T], work: Callable[[Transaction], T]
    ) -> Future[T]:
        if self._closed:
            raise StorageClosed("The store has been closed.")
        if not self._waiting.acquire(blocking=False):
            raise StorageBusy(
                f"{self._settings.queue_jobs_max} pieces of work are waiting for the database already. "
                "Try again soon."
            )
        try:
            future = self._threads.submit(run, work)
        except RuntimeError:
            self._waiting.release()
            raise StorageClosed("The store has been closed.") from None
        # Here and not in the thread: work that is cancelled before it starts never gets there.
        future.add_done_callback(lambda _done: self._waiting.release())
        return future

    def _run(
        self, work: Callable[[Transaction], T], *, writable: bool, notes: dict[str, Any] | None
    ) -> tuple[T, PostgresTransaction]:
        """Run work to its commit, and again when another transaction got in its way."""
        for attempt in range(self._settings.retries_max + 1):
            try:
                return self._run_once(work, writable, None if notes is None else dict(notes))
            except Collision:
                if attempt == self._settings.retries_max:
                    raise
                time.sleep(random.uniform(0, 0.005 * 2**attempt))  # so that the two do not meet again
        raise AssertionError("unreachable")

    def _run_once(
        self, work: Callable[[Transaction], T], writable: bool, notes: dict[str, Any] | None
    ) -> tuple[T, PostgresTransaction]:
        connection = self._begin(BEGIN_WRITE if writable else BEGIN_READ)
        try:
            cursor = connection.cursor()
            tx = PostgresTransaction(cursor, writable=writable, notes=notes)
            try:
                answer = work(tx)
                tx.check_unbroken()
                if writable:
                    if tx.last_work:
                        tx.run_last_work(tx)
                    if tx.notices:
                        tx.announce()
                    tx.check_unbroken()
            finally:
                tx.end()
            self._commit(connection, writable)
            return answer, tx
        except BaseException:
            with suppress(psycopg.Error):
                connection.rollback()
            raise
        finally:
            self._connections.putconn(connection)

    def _begin(self, command: str) -> psycopg.Connection[Row]:
        """A connection with a transaction begun.

        After a restart of the server the pool is full of dead connections. Nothing has been asked
        of them yet, so the next one is tried until a new one comes.
        """
        for _ in range(self._settings.pool_connections_max + 1):
            try:
                connection = self._connections.getconn()
            except PoolTimeout:
                raise StorageBusy("No connection to PostgreSQL came free in time. Try again soon.") from None
            except PoolClosed:
                raise StorageClosed("The store has been closed.") from None
            try:
                connection.execute(command, prepare=False)
                return connection
            except psycopg.Error:
                connection.close()
                self._connections.putconn(connection)
        raise StorageUnavailable("PostgreSQL drops every connection. See its log; try again soon.")

    def _commit(self, connection: psycopg.Connection[Row], writable: bool) -> None:
        warnings: list[psycopg.errors.Diagnostic] = []
        connection.add_notice_handler(warnings.append)
        try:
            if writable:
                connection.execute(_LEAVE_A_TRACE)
            done = connection.execute("COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            raise translated(error, "COMMIT") from None
        finally:
            connection.remove_notice_handler(warnings.append)
        if warnings:
            # Such as a wait for the standby that somebody cancelled: "has already committed locally, but might
            # not have been replicated". It is no success until the standby has it: asked again, it is a duplicate.
            raise StorageUnavailable("PostgreSQL committed with a warning (see its log). Ask again.")
        if done != "COMMIT":
            raise StorageError("PostgreSQL undid the transaction instead of committing it.")

    def _connect_options(self) -> dict[str, Any]:
        return {"autocommit": True, "connect_timeout": max(2, round(self._settings.busy_seconds_max))}

    def _connect(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self._url, **{**CONNECTION_OPTIONS, **self._connect_options()})

    def _configure(self, connection: psycopg.Connection[Row]) -> None:
        settings = self._settings
        connection.prepared_max = settings.statements_cached
        connection.adapters.register_dumper(bool, BoolDumper)
        connection.adapters.register_loader("numeric", NumberLoader)
        connection.execute(
            _SESSION,
            {
                "statement_ms": str(round(settings.statement_seconds_max * 1000)),
                "lock_ms": str(round(settings.lock_seconds_max * 1000)),
            },
        )

    def _probe(self) -> None:
        """Connect once, so that a wrong address is told as such and not as a pool that stays empty."""
        try:
            with self._connect() as connection:
                version = connection.info.server_version
                encoding = connection.info.parameter_status("server_encoding")
        except psycopg.Error as error:
            told = str(error).strip().splitlines()
            raise StorageUnavailable(
                f"PostgreSQL cannot be reached: {told[0] if told else type(error).__name__}. "
                "Check that the server runs, and the address, name and password."
            ) from None
        if version < POSTGRES_SINCE:
            raise StorageError("This PostgreSQL is too old: version 13 or newer is needed.")
        if encoding != "UTF8":
            raise StorageError(
                f"The database keeps text as {encoding}, which cannot hold every name. "
                "Make it anew with ENCODING 'UTF8'."
            )

    @asynccontextmanager
    async def _subscribed(self, topic: str) -> AsyncIterator[AsyncIterator[str]]:
        if self._closed:
            raise StorageClosed("The store has been closed; nothing more will be announced.")
        with self._listener_lock:
            if self._listener is None:
                self._listener = Listener(self._connect, self._topics)
                self._listener.start()
            listener = self._listener
        if not await asyncio.to_thread(listener.wait_until_listening, self._settings.busy_seconds_max):
            raise StorageUnavailable("PostgreSQL takes no listener now. Try again soon.")
        async with self._topics.subscribed(topic) as payloads:
            yield payloads
