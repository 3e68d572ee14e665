"""The administrator's pages in Chromium: phones and quarantine, narrow and wide, with axe, without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.sync_api import Browser, Page, ViewportSize, expect

from server.access import devices
from server.clock import now_ms
from server.http.auth import cookie_name
from server.records import conditions
from server.settings import Settings
from sync.envelope import Condition
from tests.browser.conftest import WAIT_MS
from tests.console.kit import Browser as Desk
from tests.http.kit import add_person, services_of
from tests.http.live import LiveClient, live_server
from tests.phones import enrolled
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, REGISTRY, Road
from tests.test_pulling import WARD, Phone
from tests.test_releasing import revoked

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveClient]:
    settings = Settings(data=tmp_path_factory.mktemp("administration") / "data", jobs=False)
    with live_server(settings) as client:
        road = Road(services_of(client).store)
        road.now = now_ms()
        _past(road)
        yield client


def _past(road: Road) -> None:
    owes = enrolled(road, "okafor", LAMBETH, ward=WARD)
    road.child(AMARA)
    lines = [owes.note(AMARA)[1] for _ in range(6)]
    owes.push(lines[0], lines[1], lines[5])
    phone = Phone(owes)
    phone.begins()
    phone.pulls()
    wrong = Condition(wall=1, monotonic=1, boot_id="b", offset=7_440_000, waiting=3, holds=1, version="0.1.0")
    road.store.write_now(lambda tx: conditions.said(tx, owes.identity.device_id, wrong, now=road.now))
    lost = enrolled(road, "banks", CAMDEN, ward="E05000135")
    revoked(lost, lost.note(JONAS)[1])
    lost.push(b"{broken")
    device_id = lost.identity.device_id
    road.store.write_now(lambda tx: devices.revoke(tx, device_id, actor=REGISTRY, now=road.now))
    back = enrolled(road, "mendes", LAMBETH)
    road.store.write_now(
        lambda tx: devices.order_wipe(tx, back.identity.device_id, actor=REGISTRY, now=road.now)
    )


@pytest.fixture(scope="module")
def admin(server: LiveClient) -> Desk:
    return Desk(server, add_person(server, "root", role="administrator", borough=None))


def opened(chromium: Browser, server: LiveClient, admin: Desk, path: str, width: int, script: bool) -> Page:
    viewport: ViewportSize = {"width": width, "height": 900}
    context = chromium.new_context(viewport=viewport, base_url=server.url, java_script_enabled=script)
    context.set_default_timeout(WAIT_MS)
    name = cookie_name(services_of(server))
    context.add_cookies([{"name": name, "value": admin.token, "url": server.url}])
    page = context.new_page()
    page.goto(path)
    return page


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("path", ["/phones", "/quarantine"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    chromium: Browser, server: LiveClient, admin: Desk, path: str, width: int, tmp_path: Path
) -> None:
    page = opened(chromium, server, admin, path, width, script=True)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    told = [f"{one['id']}: {[node['target'] for node in one['nodes'][:5]]}" for one in found]
    page.context.close()
    assert not told, "\n".join(told)


def test_released_and_refused_without_javascript(chromium: Browser, server: LiveClient, admin: Desk) -> None:
    page = opened(chromium, server, admin, "/quarantine", 360, script=False)
    page.get_by_role("button", name="Release number 2").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be released")
    page.locator("#held-2 summary").click()
    page.fill("#reason-2", "The officer wrote it again")
    page.get_by_role("button", name="Refuse, and keep the bytes").last.click()
    expect(page.locator(".notice")).to_contain_text("Its bytes are kept")
    page.get_by_role("button", name="Release number 1").click()
    expect(page.locator(".notice")).to_contain_text("gone the whole road")
    page.context.close()
