"""Fixtures for every room: see `tests/storage/fixtures.py` for what each gives."""

from __future__ import annotations

import gc

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


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end. A garbage collector that walks all of it again and again takes two
    fifths of the time of making an application, which every test of a door does."""
    gc.collect()
    gc.freeze()
