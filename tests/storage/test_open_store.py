"""`open_store` chooses the engine by the address, and the suite is inherited whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.storage import StorageError, Store, open_store
from tests.storage.conformance import TransactionConformance
from tests.storage.conformance_durable import DurableConformance
from tests.storage.conformance_together import TogetherConformance
from tests.storage.conformance_values import ValueConformance
from tests.storage.test_postgres_conformance import TestPostgres as PostgresSuite
from tests.storage.test_sqlite_conformance import TestSqlite as SqliteSuite
from tests.storage.test_sqlite_conformance import TestSqliteInMemory as MemorySuite


def test_a_path_or_an_address_of_sqlite_opens_a_file(tmp_path: Path) -> None:
    for address in (tmp_path / "a.db", str(tmp_path / "b.db"), f"sqlite:///{tmp_path}/c.db"):
        store = open_store(address)
        assert isinstance(store, Store)
        store.close_now()
    assert {file.name for file in tmp_path.iterdir()} == {"a.db", "b.db", "c.db"}


def test_an_unknown_kind_of_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(StorageError, match="mysql://") as caught:
        open_store("mysql://me:s3cret@host/db")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("suite", [SqliteSuite, MemorySuite, PostgresSuite])
def test_no_engine_overrides_a_test_of_the_suite(suite: type) -> None:
    own = {name for name in vars(suite) if not name.startswith("_") and name != "pytestmark"}
    assert own <= {"engine", "fresh"}
    whole = {ValueConformance, TransactionConformance, TogetherConformance}
    assert whole <= set(suite.__mro__)
    assert suite is MemorySuite or DurableConformance in suite.__mro__
