"""PostgreSQL holds the whole suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.storage.conformance import TransactionConformance
from tests.storage.conformance_durable import DurableConformance
from tests.storage.conformance_together import TogetherConformance
from tests.storage.conformance_values import ValueConformance
from tests.storage.engines import SCHEMA, Engine, engine_at
from tests.storage.fixtures import empty, with_store


@pytest.fixture(scope="module")
def database(make_database: Callable[..., str]) -> str:
    url = make_database()
    with_store(url, lambda store: store.migrate(), SCHEMA)
    return url


class TestPostgres(ValueConformance, TransactionConformance, TogetherConformance, DurableConformance):
    @pytest.fixture
    def engine(self, database: str) -> Iterator[Engine]:
        empty(database)
        with engine_at("postgres", database) as engine:
            yield engine

    @pytest.fixture
    def fresh(self, make_database: Callable[..., str]) -> Iterator[Engine]:
        with engine_at("postgres", make_database()) as engine:
            yield engine
