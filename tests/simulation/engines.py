"""The real stores under a simulation: fresh, copied as a backup copies them, and with a commit that fails on demand."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg

from server.storage import MEMORY, StorageSettings, StorageUnavailable, Store
from server.storage.postgres import PostgresStore
from server.storage.sqlite import SqliteStore
from server.storage.writer import Errand

SETTINGS = StorageSettings(readers=1, pool_connections_max=4, lock_seconds_max=0.2, cache_kibibytes=4_096)
"""Small, for there are thousands of worlds in a run; who waits for a lock that a stopped commit holds soon hears so."""

DIED = "the machine stopped"


class Engine(Protocol):
    """One database engine: where stores come from, and how they are copied."""

    name: str

    def fresh(self) -> Store:
        """A migrated and empty store."""

    def copy(self, store: Store) -> Any:
        """All that is committed, as a backup holds it."""

    def from_copy(self, copy: Any) -> Store:
        """A store with what a copy holds."""

    def commit_fails(self, store: Store) -> AbstractContextManager[None]:
        """In the block every commit is undone at the last moment, and told as a lost connection is."""


class _FailsAtCommit:
    """Stands in for the writer's cursor."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self.executemany = cursor.executemany
        self.connection = cursor.connection

    def execute(self, sql: str, *params: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self._cursor.execute("ROLLBACK")
            raise sqlite3.OperationalError(DIED)
        return self._cursor.execute(sql, *params)


@cache
def _template() -> bytes:
    """A migrated SQLite database, made once in a process."""
    store = SqliteStore(MEMORY, SETTINGS)
    try:
        store.migrate()
        made: bytes = _errand(store, lambda connection: connection.serialize())
        return made
    finally:
        store.close_now()


def _errand(store: SqliteStore, work: Callable[[sqlite3.Connection], Any]) -> Any:
    return store._submit_now(Errand(work, Future()))


class Sqlite:
    name = "sqlite"

    def fresh(self) -> Store:
        return self.from_copy(_template())

    def copy(self, store: Store) -> bytes:
        assert isinstance(store, SqliteStore)
        copied: bytes = _errand(store, lambda connection: connection.serialize())
        return copied

    def from_copy(self, copy: bytes) -> Store:
        store = SqliteStore(MEMORY, SETTINGS)
        _errand(store, lambda connection: connection.deserialize(copy))
        return store

    @contextmanager
    def commit_fails(self, store: Store) -> Iterator[None]:
        assert isinstance(store, SqliteStore)
        writer: Any = store._writer
        real = writer._cursor
        writer._cursor = _FailsAtCommit(real)
        try:
            yield
        finally:
            writer._cursor = real


class Postgres:
    """Databases of one server of the tests. Copies are databases too: nobody may be connected to what is copied."""

    name = "postgres"
    _numbers = itertools.count(1)

    def __init__(self, url_of: Callable[[str], str]) -> None:
        self._url_of = url_of
        self._template: str | None = None
        self._made: list[str] = []

    def fresh(self) -> Store:
        if self._template is None:
            self._template = self._create("template0")
            store = PostgresStore(self._url_of(self._template), SETTINGS)
            store.migrate()
            store.close_now()
        return self.from_copy(self._template)

    def copy(self, store: Store) -> str:
        assert isinstance(store, PostgresStore)
        store._connections.close()
        try:
            return self._create(urlsplit(store._url).path[1:])
        finally:
            self._connect_again(store)

    def from_copy(self, copy: str) -> Store:
        return PostgresStore(self._url_of(self._create(copy)), SETTINGS)

    @contextmanager
    def commit_fails(self, store: Store) -> Iterator[None]:
        def stop(connection: psycopg.Connection[Any], _writable: bool) -> None:
            connection.rollback()
            raise StorageUnavailable(DIED)

        with _committing(store, stop):
            yield

    def drop_all(self) -> None:
        """Drop every database but the template: a long run makes hundreds."""
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as connection:
            for name in self._made:
                if name != self._template:
                    connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        self._made = [name for name in self._made if name == self._template]

    def _create(self, template: str) -> str:
        name = f"simulated_{next(self._numbers)}"
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        self._made.append(name)
        return name

    def _connect_again(self, store: PostgresStore) -> None:
        other = PostgresStore(store._url, SETTINGS)
        store._connections, other._connections = other._connections, store._connections
        other.close_now()


@contextmanager
def _committing(store: Store, commit: Callable[[psycopg.Connection[Any], bool], None]) -> Iterator[None]:
    assert isinstance(store, PostgresStore)
    bare: Any = store
    bare._commit = commit
    try:
        yield
    finally:
        del bare._commit
