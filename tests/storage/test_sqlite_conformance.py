"""SQLite holds the whole suite; in memory, all of it that does not need a disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.conformance import TransactionConformance
from tests.storage.conformance_durable import DurableConformance
from tests.storage.conformance_together import TogetherConformance
from tests.storage.conformance_values import ValueConformance
from tests.storage.engines import Engine, engine_at


class TestSqlite(ValueConformance, TransactionConformance, TogetherConformance, DurableConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        with engine_at("sqlite", str(tmp_path / "things.db")) as engine:
            yield engine

    @pytest.fixture
    def fresh(self, engine: Engine) -> Engine:
        return engine


class TestSqliteInMemory(ValueConformance, TransactionConformance, TogetherConformance):
    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        with engine_at("memory", ":memory:") as engine:
            yield engine
