"""Same child as another record, as people see it: compared, merged and undone, narrow and wide, with no script."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.sync_api import Page, expect

from server.clock import now_ms
from sync.note import Subject
from sync.vocabulary import Category
from tests.browser.conftest import Opens
from tests.browser.stage import Stage
from tests.road import AMARA, Road

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pair(stage: Stage) -> tuple[int, int]:
    """A child in the registry, and the same child there once more from another school's list; a note about each."""
    store = stage.store()
    try:
        road = Road(store)
        road.now = now_ms() - 3 * 3_600_000
        other = Subject(
            given_names="Amarah", family_name="Okonkwo Bright", date_of_birth=AMARA.date_of_birth,
            address="77 Kingsway Road", postcode="E17 4PP",
        )  # fmt: skip
        one = road.child(AMARA)
        road.officer("okafor").writes(AMARA, category=Category.MISSING)
        second = road.child(other)
        road.officer("lindqvist").writes(other, category=Category.CSE)
        return one, second
    finally:
        store.close_now()


def looked_at(page: Page) -> None:
    """Accessible, and nothing wider than the screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("width", [360, 1440])
def test_compared_merged_and_undone_without_javascript(
    opens: Opens, pair: tuple[int, int], width: int
) -> None:
    one, other = pair
    page = opens(f"/children/{other}", width=width, java_script_enabled=False)
    page.get_by_role("link", name="Same child as another record").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is this the same child as another record?")
    page.get_by_role("button", name=f"merge with record {one}").click()
    expect(page.get_by_role("alert")).to_contain_text("Say why")
    page.fill("#reason", "same guardian on the phone, moved in June")
    page.get_by_role("button", name=f"merge with record {one}").click()
    expect(page).to_have_url(re.compile(rf"/children/{one}$"))
    expect(page.locator("main")).to_contain_text(f"Records {one} and {other}, merged")
    page.get_by_role("button", name="Undo merge").first.click()
    expect(page.locator("main")).to_contain_text(f"Record {other}")


@pytest.mark.parametrize("width", [360, 1440])
def test_the_pages_are_accessible_narrow_and_wide(opens: Opens, pair: tuple[int, int], width: int) -> None:
    one, other = pair
    page = opens(f"/children/{one}/same", width=width)
    looked_at(page)
    page.goto(f"/children/{one}/same?other=999999")
    looked_at(page)
    page.goto(f"/children/{one}/same")
    page.fill("#reason", "same guardian on the phone, moved in June")
    page.get_by_role("button", name=f"merge with record {other}").click()
    expect(page.locator("main")).to_contain_text("merged")
    looked_at(page)
    page.get_by_role("button", name="Undo merge").first.click()
    expect(page.locator(".notice")).to_contain_text("Undone")
    looked_at(page)
