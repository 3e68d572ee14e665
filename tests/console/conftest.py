"""A running application, somebody at a desk with a browser, and the road that brings notes."""

from __future__ import annotations

import pytest

from server.clock import now_ms
from server.console import assets
from tests.console.kit import Browser
from tests.http.conftest import client, settings
from tests.http.kit import Client, add_person, services_of
from tests.road import Road

__all__ = ["client", "settings"]


@pytest.fixture(autouse=True)
def built() -> None:
    """Pages name their style sheet by its digest, so it must be there."""
    if not assets.up_to_date():
        pytest.skip("the console's assets are not built: python -m server.console.assets")


@pytest.fixture
def road(client: Client) -> Road:
    """The road on the application's own store, at the present time."""
    made = Road(services_of(client).store)
    made.now = now_ms()
    return made


@pytest.fixture
def rivera(client: Client) -> Browser:
    """A borough investigator of Lambeth at a browser."""
    return Browser(client, add_person(client, "rivera", role="investigator"))
