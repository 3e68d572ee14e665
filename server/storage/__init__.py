"""Storage: the engines, and nothing of the domain.

`open_store` is the way in; `port.py` says what everybody may rely on.
"""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path

from server.storage.port import (
    MISSED,
    NO_PARAMS,
    NOTIFY_BYTES_MAX,
    Params,
    Row,
    StorageBusy,
    StorageClosed,
    StorageConflict,
    StorageError,
    StorageUnavailable,
    Store,
    Transaction,
    TransactionEnded,
    WouldWait,
)
from server.storage.settings import DEFAULTS, MEMORY, StorageSettings

__all__ = [
    "DEFAULTS",
    "MEMORY",
    "MISSED",
    "NOTIFY_BYTES_MAX",
    "NO_PARAMS",
    "Params",
    "Row",
    "StorageBusy",
    "StorageClosed",
    "StorageConflict",
    "StorageError",
    "StorageSettings",
    "StorageUnavailable",
    "Store",
    "Transaction",
    "TransactionEnded",
    "WouldWait",
    "open_store",
]

POSTGRES_SCHEMES = ("postgresql://", "postgres://")


def open_store(
    database: str | Path,
    settings: StorageSettings = DEFAULTS,
    migrations: Traversable | None = None,
) -> Store:
    """Open a database: `postgresql://...`, a path, `sqlite:///path`, or `:memory:`.

    `migrations` is a folder of `.sql` files in place of the shipped ones. Raises
    StorageUnavailable when the database cannot be reached, StorageError when the address makes no
    sense or the PostgreSQL driver is not installed. Neither repeats the address's password.
    """
    address = str(database)
    if address.startswith(POSTGRES_SCHEMES):
        # Imported here: the driver is an optional extra.
        from server.storage.postgres import PostgresStore

        return PostgresStore(address, settings, migrations)
    from server.storage.sqlite import SqliteStore

    path = address.removeprefix("sqlite:///") if address.startswith("sqlite:///") else address
    if "://" in path:
        scheme = path.partition("://")[0]
        raise StorageError(
            f"A database address that begins with {scheme}:// is not known. Use a path, or postgresql://..."
        )
    return SqliteStore(path, settings, migrations)
