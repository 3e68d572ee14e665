"""Fixtures that every room may use: `store` (both engines, migrated, empty) and `postgres_url`."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from server.storage import StorageSettings, Store, open_store
from tests.storage.postgres_server import (
    MUST_NOT_SKIP,
    NoPostgres,
    find_programs,
    private_server,
    server_url,
    unprivileged,
)

ENGINES = ("sqlite", "postgres")

TEST_SETTINGS = StorageSettings(pool_connections_max=4, readers=2, busy_seconds_max=5.0)

_counter = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[str]:
    """The socket folder of this process's PostgreSQL. Skips where there is none to run."""
    try:
        find_programs()
        unprivileged()
    except NoPostgres as error:
        if os.environ.get(MUST_NOT_SKIP):
            pytest.fail(f"{MUST_NOT_SKIP} is set, and {error}")
        pytest.skip(f"PostgreSQL tests need a server: {error}")
    with private_server() as folder:
        yield folder


@pytest.fixture(scope="session")
def make_database(postgres_folder: str) -> Callable[..., str]:
    """Make an empty database, or a copy of another; gives its URL. They go when the server does."""

    def make(template: str | None = None) -> str:
        name = f"test_{next(_counter)}"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name),
            sql.Identifier(urlsplit(template).path[1:] if template else "template0"),
        )
        with psycopg.connect(server_url(postgres_folder), autocommit=True) as connection:
            connection.execute(command)
        return server_url(postgres_folder, name)

    return make


@pytest.fixture(scope="session")
def postgres_url(make_database: Callable[..., str]) -> str:
    """A migrated database of this process; `store` empties it before each test."""
    url = make_database()
    with_store(url, lambda store: store.migrate())
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: quicker than migrating for each test."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    with_store(path, lambda store: store.migrate())
    return path


@pytest.fixture(params=ENGINES)
def store_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a migrated and empty database is, for tests that open it by themselves."""
    if request.param == "sqlite":
        path = tmp_path / "store.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return str(path)
    url: str = request.getfixturevalue("postgres_url")
    empty(url)
    return url


@pytest.fixture
def store(store_address: str) -> Iterator[Store]:
    """A migrated and empty store, once on each engine; closed after the test."""
    opened = open_store(store_address, TEST_SETTINGS)
    try:
        yield opened
    finally:
        opened.close_now()


def with_store(address: str | Path, work: Callable[[Store], object], migrations: Path | None = None) -> None:
    """Open a store, use it, and close it."""
    opened = open_store(address, TEST_SETTINGS, migrations)
    try:
        work(opened)
    finally:
        opened.close_now()


def empty(url: str) -> None:
    """Empty every table that has rows; what migrations themselves put in stays out of this.

    Only those tables, because TRUNCATE makes new files for each it is given.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        names = [row[0] for row in connection.execute(_TABLES)]
        if not names:
            return
        asks = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(sql.Literal(name), sql.Identifier(name))
            for name in names
        )
        filled = [row[0] for row in connection.execute(asks)]
        if filled:
            connection.execute(
                sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(
                    sql.SQL(", ").join(map(sql.Identifier, filled))
                )
            )


_TABLES = """
SELECT tablename FROM pg_tables
WHERE schemaname = 'public' AND tablename NOT LIKE '\\_yoyo%' AND tablename NOT LIKE 'yoyo%'
"""
