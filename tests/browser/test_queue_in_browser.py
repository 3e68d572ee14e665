"""The queue as an investigator uses it: signing in, live updates, acknowledging, hiding the page."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from server.console import words
from server.demo.describe import as_subject, describe
from server.demo.strata import Stratum
from sync.note import Subject
from tests.browser.conftest import Opens
from tests.browser.stage import LAMBETH, PASSWORD, Stage
from tests.console.words_cases import CLOCK_SPANS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def known_subject(stage: Stage, seed: int) -> Subject:
    """Some known child of Lambeth, well described."""
    rng = random.Random(seed)
    here = [child for child in stage.known.values() if child.home_borough == LAMBETH and not child.restricted]
    return as_subject(describe(rng.choice(here[20:]), rng, stratum=Stratum.CLEAN))


def tops(page: Page) -> dict[str, Any]:
    """Where each row of the queue stands, by its id."""
    found: dict[str, Any] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('li.alert')]"
        ".map(row => [row.id, row.getBoundingClientRect().top]))"
    )
    return found


def test_signing_in_by_keyboard_alone_leads_to_the_queue_and_on_to_a_child(opens: Opens) -> None:
    page = opens("/", None)
    expect(page).to_have_url(re.compile(r"/sign-in$"))
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to main content")
    page.keyboard.press("Enter")
    for typed in ("adeyemi", PASSWORD):
        page.keyboard.press("Tab")
        page.keyboard.type(typed)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Alerts in Lambeth")
    first = page.locator(".alert__title a").first
    for _ in range(40):
        page.keyboard.press("Tab")
        if first.evaluate("link => link === document.activeElement"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    background = page.evaluate("getComputedStyle(document.activeElement).backgroundColor")
    assert outline != "none" or background != "rgba(0, 0, 0, 0)", "focus cannot be seen"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/children/\d+$"))


def test_a_wrong_password_is_said_beside_the_field(opens: Opens) -> None:
    page = opens("/sign-in", None)
    page.fill("#username", "adeyemi")
    page.fill("#password", "not the password")
    page.click("main button[type=submit]")
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page.locator("#username-error")).to_contain_text("The user name or the password is wrong.")


def test_a_new_alert_arrives_by_itself_and_moves_no_row(opens: Opens, stage: Stage) -> None:
    page = opens("/alerts")
    expect(page.locator("[data-stream-words]")).to_have_text("Live")
    before = tops(page)
    stage.sends(known_subject(stage, 1), danger_now=True)
    fresh = page.locator("#fresh")
    expect(fresh).to_be_visible()
    expect(fresh).to_have_text(re.compile(r"\d+ new alerts?: show (it|them)"))
    after = tops(page)
    assert list(after) == list(before), "a row came or went by itself"
    moved = {row: (before[row], after[row]) for row in before if before[row] != after[row]}
    assert not moved, moved
    fresh.click()
    expect(page.locator(".alert--fresh").first).to_contain_text("In danger now")
    assert len(tops(page)) > len(before)
    assert page.evaluate("document.activeElement.closest('.alert--fresh') !== null"), (
        "the new row has no focus"
    )
    expect(fresh).to_be_hidden()


def test_what_somebody_else_does_changes_the_row_where_it_stands(opens: Opens, stage: Stage) -> None:
    stage.sends(known_subject(stage, 2), danger_now=True)
    page, other = opens("/alerts"), opens("/alerts", "hale")
    expect(page.locator("[data-stream-words]")).to_have_text("Live")
    row = page.locator("li.alert:has(button:text('Acknowledge'))").last
    row_id = row.get_attribute("id")
    order = list(tops(page))
    other.locator(f"#{row_id} button").click()
    expect(page.locator(f"#{row_id} .alert__owner")).to_contain_text("DC Marcus Hale")
    assert list(tops(page)) == order


def test_acknowledging_changes_the_row_without_leaving_the_page(opens: Opens, stage: Stage) -> None:
    stage.sends(known_subject(stage, 3), danger_now=True)
    page = opens("/alerts")
    page.evaluate("window.stayed = true")
    row_id = page.locator("li.alert:has(button:text('Acknowledge'))").first.get_attribute("id")
    page.locator(f"#{row_id} button").click()
    expect(page.locator(f"#{row_id} .alert__owner")).to_contain_text("Acknowledged")
    expect(page.locator(f"#{row_id} .alert__owner")).to_contain_text("You")
    assert page.evaluate("window.stayed") is True
    expect(page.locator(f"#{row_id} button")).to_have_count(0)


def test_the_stream_says_when_it_is_lost_and_comes_back(opens: Opens) -> None:
    page = opens("/alerts")
    expect(page.locator("[data-stream-words]")).to_have_text("Live")
    page.context.set_offline(True)
    page.evaluate("0")
    page.context.set_offline(False)
    expect(page.locator("[data-stream-words]")).to_have_text("Live")


def test_escape_twice_hides_the_page_until_the_password_is_given(opens: Opens) -> None:
    page = opens("/alerts")
    page.keyboard.press("Escape")
    expect(page.locator("#cover")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#cover")).to_be_visible()
    expect(page.locator("#cover-password")).to_be_focused()
    expect(page.locator("h1")).not_to_be_visible()
    assert page.evaluate("document.querySelector('main').closest('[inert]') !== null")
    page.reload()
    expect(page.locator("#cover")).to_be_visible()
    expect(page.locator("h1")).not_to_be_visible()
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.locator("#cover-error")).to_have_text("That is not your password.")
    expect(page.locator("h1")).not_to_be_visible()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#cover")).to_be_hidden()
    expect(page.locator("h1")).to_be_visible()


def test_hiding_one_tab_hides_the_others_and_an_error_page_shows_none(opens: Opens) -> None:
    page = opens("/alerts")
    other = page.context.new_page()
    other.goto("/reviews")
    page.locator("[data-hide]").click()
    expect(other.locator("#cover")).to_be_visible()
    third = page.context.new_page()
    third.goto("/nowhere-at-all")
    expect(other.locator("#cover")).to_be_visible()
    other.fill("#cover-password", PASSWORD)
    other.locator("#cover-form button").click()
    expect(page.locator("#cover")).to_be_hidden()


def test_the_clock_in_the_browser_says_the_words_of_the_server(opens: Opens) -> None:
    page = opens("/alerts")
    source = page.locator("script[src*='console.js']").get_attribute("src")
    cases = [(raised, raised + span, raised + passed) for raised, span, passed in CLOCK_SPANS]
    said = page.evaluate(
        "async ([source, cases]) => { const script = await import(source);"
        " return cases.map(([raised, due, now]) => script.reading(raised, due, now)); }",
        [source, cases],
    )
    for (raised, due, now), reading in zip(cases, said, strict=True):
        clock = words.clock(raised, due, now)
        expected = {"text": clock.text, "tone": clock.tone, "share": pytest.approx(clock.share)}
        assert reading == expected, json.dumps([raised, due, now])


def test_clocks_go_on_while_the_page_is_open(opens: Opens) -> None:
    page = opens("/alerts")
    clock = page.locator("[data-clock]").first
    before = clock.text_content()
    # The page believes the server's time; an hour later its words must be others.
    page.clock.install()
    page.reload()
    page.clock.fast_forward("01:00:00")
    expect(page.locator("[data-clock]").first).not_to_have_text(before or "")
