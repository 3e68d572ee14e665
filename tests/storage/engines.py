"""What the conformance suite needs to know of an engine: how to open it, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec

from server.storage import StorageSettings, Store, Transaction, open_store
from tests.storage.fixtures import TEST_SETTINGS

SCHEMA = Path(__file__).parent / "schema"

WAIT_SECONDS_MAX = 20.0
"""How long a test waits for another thread before it calls that a failure."""


class Engine:
    """An engine under test. Stores that a test opens are closed after it."""

    def __init__(self, name: str, address: str, closing: ExitStack) -> None:
        self.name = name
        self.address = address
        self._closing = closing

    def open(self, *, migrated: bool = True, schema: Path = SCHEMA, **sizes: Any) -> Store:
        """Open the engine's database with some sizes of its own."""
        settings = msgspec.structs.replace(TEST_SETTINGS, **sizes)
        store = open_store(self.address, settings, schema)
        self._closing.callback(store.close_now)
        if migrated:
            store.migrate()
        return store


@contextmanager
def engine_at(name: str, address: str) -> Iterator[Engine]:
    with ExitStack() as closing:
        yield Engine(name, address, closing)


def add(name: str, size: int = 0) -> Callable[[Transaction], int]:
    """Work that inserts a thing and answers with its id."""

    def work(tx: Transaction) -> int:
        found: int = tx.value(
            "INSERT INTO thing (name, size) VALUES (:name, :size) RETURNING thing_id",
            {"name": name, "size": size},
        )
        return found

    return work


def put(name: str) -> Callable[[Transaction], None]:
    """Work that inserts a thing and answers nothing, as last work must."""

    def work(tx: Transaction) -> None:
        add(name)(tx)

    return work


def names(tx: Transaction) -> list[str]:
    """The names of all things, in the order they were added."""
    return [row[0] for row in tx.rows("SELECT name FROM thing ORDER BY thing_id")]


class Crew:
    """Threads that run pieces of a test; `join` raises what any of them raised."""

    def __init__(self) -> None:
        self._threads: list[Thread] = []
        self._errors: list[BaseException] = []

    def start(self, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._errors.append(error)

        thread = Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(WAIT_SECONDS_MAX)
            assert not thread.is_alive(), "a thread of the test is stuck"
        if self._errors:
            raise self._errors[0]


__all__ = [
    "SCHEMA",
    "WAIT_SECONDS_MAX",
    "Crew",
    "Engine",
    "StorageSettings",
    "add",
    "engine_at",
    "names",
    "put",
]
