"""A running application on a new SQLite database, for every test that asks for `client`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from server.app import create_app
from server.settings import Settings
from tests.http.kit import Client, Desk, Phone, add_person, enrolled_phone


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings on a new folder, without background jobs. Tests change them with `msgspec.structs.replace`."""
    return Settings(data=tmp_path / "data", jobs=False, linkage_ahead="no", metrics_token="metrics-for-tests")


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """The running application. Its cookies are kept per request, not in the client."""
    with TestClient(create_app(settings)) as running:
        yield running


@pytest.fixture
def desk(client: Client) -> Desk:
    """A signed-in borough investigator of Lambeth."""
    return Desk(client, add_person(client, "rivera", role="investigator"))


@pytest.fixture
def phone(client: Client) -> Phone:
    """An enrolled phone of a schools officer, holding a token."""
    return enrolled_phone(client)
