"""A phone and the server that it speaks to, which a test may replace with its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_stub.device import Device
from tests.client_stub.fake_server import FakeServer
from tests.client_stub.kit import new_phone


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def phone(tmp_path: Path, server: FakeServer) -> Device:
    return new_phone(tmp_path / "phone", server)
