"""Proposals to merge as people see them: listed, compared, decided by one key and taken back, narrow and wide."""

from __future__ import annotations

import re

import msgspec
import pytest
from playwright.sync_api import expect

from server.clock import now_ms
from server.linkage.decide import Decider
from server.linkage.model import default_model
from server.records import children, merges
from server.storage.port import Transaction
from sync.vocabulary import Category
from tests.browser.conftest import Opens
from tests.browser.stage import Stage
from tests.browser.test_same_in_browser import looked_at
from tests.road import AMARA, JONAS, REGISTRY, Road

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def proposals(stage: Stage) -> tuple[int, int]:
    """Two pairs that wait: the first with a red flag."""
    store = stage.store()
    decider = Decider(default_model())
    try:
        road = Road(store)
        road.now = now_ms() - 3 * 3_600_000

        def propose(one: int, other: int) -> int:
            def work(tx: Transaction) -> int:
                low, high = sorted((one, other))
                found = decider.propose(children.record_of(tx, low), children.record_of(tx, high), -10.0)
                assert found
                return merges.propose(
                    tx, REGISTRY, one, other, probability=found.probability, weight=found.weight,
                    evidence=found.decision(high, decider.version), reason=found.reason, now=road.now,
                )  # fmt: skip

            return road.store.write_now(work)

        first = road.child(AMARA)
        road.officer("okafor").writes(AMARA, category=Category.CSE, danger_now=True)
        grave = first, road.child(msgspec.structs.replace(AMARA, given_names="Amarah"))
        quiet = road.child(JONAS), road.child(msgspec.structs.replace(JONAS, given_names="Jonah"))
        return propose(*grave), propose(*quiet)
    finally:
        store.close_now()


@pytest.mark.parametrize("width", [360, 1440])
def test_the_pages_are_accessible_narrow_and_wide(
    opens: Opens, proposals: tuple[int, int], width: int
) -> None:
    page = opens("/pairs", width=width)
    expect(page.locator("li.alert").first).to_contain_text("In danger now")
    looked_at(page)
    # What other tests answered on this stage may have proposed pairs too.
    page.locator(f"a[href='/pairs/{proposals[0]}']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Are these one child?")
    looked_at(page)


def test_one_key_decides_and_one_takes_it_back(opens: Opens, proposals: tuple[int, int]) -> None:
    for key, said in (("1", "Merged"), ("x", "not the same"), ("c", "Left open")):
        page = opens(f"/pairs/{proposals[0]}")
        page.wait_for_selector('html[data-keys="ready"]')
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(rf"/pairs/{proposals[1]}$"))
        expect(page.locator(".notice")).to_contain_text(said)
        page.wait_for_selector('html[data-keys="ready"]')
        page.keyboard.press("z")
        expect(page).to_have_url(re.compile(rf"/pairs/{proposals[0]}$"))
        expect(page.locator(".notice")).to_contain_text("waits for a decision again")


def test_without_javascript_a_pair_is_decided_and_taken_back(
    opens: Opens, proposals: tuple[int, int]
) -> None:
    page = opens(f"/pairs/{proposals[0]}", width=360, java_script_enabled=False)
    page.get_by_role("button", name="Same child: merge").click()
    expect(page.locator(".notice").first).to_contain_text("Merged")
    page.get_by_role("button", name="Undo").first.click()
    expect(page.locator(".notice")).to_contain_text("waits")
