"""The engines that simulations run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.engines import Postgres, Sqlite
from tests.storage.postgres_server import server_url


@pytest.fixture
def sqlite() -> Sqlite:
    return Sqlite()


@pytest.fixture
def postgres(postgres_folder: str) -> Iterator[Postgres]:
    engine = Postgres(lambda name: server_url(postgres_folder, name))
    yield engine
    engine.drop_all()
