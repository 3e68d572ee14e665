"""How I am told, and what did not arrive, as people see them."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types

from server.records import deliveries
from tests.browser.conftest import Opens
from tests.browser.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def gave_up(stage: Stage) -> None:
    """Messages of three channels that were given up."""
    store = stage.store()
    try:
        rows = store.read_now(
            lambda tx: tx.rows("SELECT event_id FROM alert_event ORDER BY event_id LIMIT 3")
        )
        for (event_id,), channel in zip(rows, ("mail", "push", "webhook:mash"), strict=True):
            store.write_now(
                lambda tx, event_id=event_id, channel=channel: tx.execute(  # type: ignore[misc]  # bound early
                    "INSERT INTO delivery (event_id, channel, state, attempts, next_at, due_at, trouble)"
                    " VALUES (:event, :channel, 'dead', :tried, 0, 0, 'no connection to the mail server')",
                    {"event": event_id, "channel": channel, "tried": deliveries.ATTEMPTS_MAX},
                )
            )
    finally:
        store.close_now()


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("path", ["/how-i-am-told", "/undelivered"])
@pytest.mark.usefixtures("gave_up")
def test_axe_finds_nothing_and_nothing_scrolls_sideways(opens: Opens, path: str, width: int) -> None:
    page = opens(path, "adeyemi" if path == "/how-i-am-told" else "warden", width=width)
    page.wait_for_selector("h1")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    told = [
        f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes'][:5]]}"
        for one in Axe().run(page).response["violations"]
    ]
    assert not told, "\n".join(told)
