"""Fixtures for every room: those of stores are told of in `tests/storage/fixtures.py`."""

from __future__ import annotations

import gc

import pytest

from server.storage import Store
from tests.road import Road
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


@pytest.fixture
def road(store: Store) -> Road:
    """The whole road from a push to an alert, on each engine."""
    return Road(store)


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end. A garbage collector that walks all of it again and again takes two
    fifths of the time of making an application, which every test of a door does."""
    gc.collect()
    gc.freeze()
