"""Fixtures for every room: see `tests/storage/fixtures.py` for what each gives."""

from __future__ import annotations

from tests.storage.fixtures import (
    make_database,
    postgres_folder,
    postgres_url,
    sqlite_template,
    store,
    store_address,
)

__all__ = [
    "make_database",
    "postgres_folder",
    "postgres_url",
    "sqlite_template",
    "store",
    "store_address",
]
