"""Every page as people see it: accessible, narrow and wide, without JavaScript, by key, on paper."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opens
from tests.browser.stage import PASSWORD, Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PAGES = ("sign-in", "queue", "closed", "filtered", "empty", "child", "restricted", "hand-over", "close", "grade",
         "reviews", "review", "overview", "transfer",
         "transfers", "notice", "case", "scrutiny", "audit", "search", "found", "how-i-am-told",
         "phones", "quarantine", "people", "rules", "undelivered",
         "password", "home", "not-there")  # fmt: skip

OTHERS = {"overview": "whitfield", "transfers": "whitfield", "scrutiny": "quill", "audit": "quill",
          "phones": "warden", "quarantine": "warden", "people": "warden", "rules": "warden",
          "undelivered": "warden"}  # fmt: skip
"""Pages of other roles than the investigator's, with who opens them."""


def shows(opens: Opens, name: str, width: int, **more: object) -> Page:
    """One of the pages, found by walking to it as a person would."""
    if name == "sign-in":
        return opens("/sign-in", None, width=width, **more)
    if name == "home":
        return opens("/", "warden", width=width, **more)
    if name in OTHERS:
        return opens(f"/{name}", OTHERS[name], width=width, **more)
    fixed = {
        "queue": "/alerts",
        "notice": "/coming-to-notice",
        "closed": "/alerts?view=closed",
        "filtered": "/alerts?grade=red&grade=amber",
        "empty": "/alerts?grade=blue",
        "reviews": "/reviews",
        "search": "/search",
        "how-i-am-told": "/how-i-am-told",
        "found": "/search",
        "password": "/password",
        "not-there": "/children/999999",
    }
    page = opens(fixed.get(name, "/alerts"), width=width, **more)
    if name == "child":
        page.goto(story_address(page))
    elif name == "restricted":
        page.goto(address_of_row(page, "Restricted record"))
    elif name == "hand-over":
        page.goto(address_of_action(page, "Hand over"))
    elif name == "close":
        page.goto("/alerts?view=acknowledged")
        page.goto(address_of_action(page, "Close"))
    elif name == "case":
        page.goto(story_address(page) + "/case")
    elif name == "transfer":
        page.goto(address_of_action(page, "Transfer"))
    elif name == "grade":
        page.goto(address_of_action(page, "Grade"))
    elif name == "found":
        page.get_by_label("What you know").fill("about 13")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("#found")).to_be_visible()
    elif name == "review":
        page.goto("/reviews")
        page.goto(page.locator(".alert__title a").last.get_attribute("href") or "")
    return page


def address_of_action(page: Page, words: str) -> str:
    # Opened by its address: a click does not wait for the next page, and the one before would be measured.
    return page.locator(".alert__hand", has_text=words).first.get_attribute("href") or ""


def address_of_row(page: Page, words: str) -> str:
    row = page.locator("li.alert", has_text=words).first
    return row.locator(".alert__title a").get_attribute("href") or ""


def story_address(page: Page) -> str:
    """The child with three missing episodes."""
    return address_of_row(page, "a sign of exploitation")


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(opens: Opens, name: str, width: int) -> None:
    page = shows(opens, name, width)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    told = [
        f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes'][:5]]}"
        for one in found.response["violations"]
    ]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("name", PAGES)
def test_at_twice_the_size_nothing_scrolls_sideways(opens: Opens, name: str) -> None:
    page = shows(opens, name, 720)
    assert page.evaluate("document.documentElement.scrollWidth") <= 720


@pytest.mark.parametrize("name", PAGES)
def test_title_and_addresses_name_nobody(opens: Opens, stage: Stage, name: str) -> None:
    page = shows(opens, name, 1440)
    links = page.evaluate(
        "[document.title, location.href, ...[...document.querySelectorAll('[href],[action],[src]')]"
        ".flatMap(one => ['href', 'action', 'src'].map(key => one.getAttribute(key) || ''))]"
    )
    said = set(re.findall(r"[A-Za-zÀ-ž]{3,}", " ".join(links)))
    names = {
        part
        for child in stage.known.values()
        for part in (child.given_names + " " + child.family_name).split()
    }
    assert not said & names, said & names


def test_the_most_worrying_thing_is_on_the_first_screen(opens: Opens) -> None:
    for width, height in ((1440, 900), (360, 740)):
        page = opens("/alerts", width=width, height=height)
        first = page.locator("li.alert").first
        expect(first).to_contain_text("Red")
        place = first.bounding_box()
        assert place is not None and place["y"] + 40 < height
        page.goto(story_address(page))
        for words in ("What is live", "in 90 days", "Acknowledge"):
            box = page.get_by_text(words).first.bounding_box()
            assert box is not None and box["y"] + box["height"] <= height, (words, width)


def lines(page: Page, within: str) -> int:
    """How many lines the links there take."""
    tops = page.locator(within).evaluate_all(
        "all => all.map(one => Math.round(one.getBoundingClientRect().y))"
    )
    return len(set(tops))


@pytest.mark.parametrize("username", ["adeyemi", "whitfield", "grant", "quill", "warden"])
def test_the_places_of_every_role_take_two_lines_at_most_on_a_phone(opens: Opens, username: str) -> None:
    page = opens("/", username, width=360)
    assert 1 <= lines(page, ".masthead__nav li") <= 2


@pytest.mark.parametrize("width", [360, 1000, 1440])
def test_what_can_be_done_with_an_alert_stands_on_one_line(opens: Opens, width: int) -> None:
    page = opens("/alerts", width=width)
    rows = page.locator("li.alert:has(.alert__hand)")
    counted = [lines(page, f"#{row.get_attribute('id')} .alert__hand") for row in rows.all()]
    assert counted and set(counted) == {1}


def test_search_is_a_key_away_and_back_leads_to_what_was_found(opens: Opens) -> None:
    page = opens("/alerts")
    page.keyboard.press("/")
    page.wait_for_url("**/search")
    page.locator("h1").click()
    page.keyboard.press("/")
    expect(page.locator("#search-text")).to_be_focused()
    page.keyboard.type("about 13 /")
    expect(page.locator("#search-text")).to_have_value("about 13 /")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_be_visible()
    names = page.locator(".hit__name").all_text_contents()
    assert names
    page.locator(".hit__name a").first.click()
    page.wait_for_url("**/children/*")
    page.go_back()
    expect(page.locator("#found")).to_be_visible()
    assert page.locator(".hit__name").all_text_contents() == names
    page.reload()
    assert page.locator(".hit__name").all_text_contents() == names


def test_why_opens_the_evidence_field_by_field(opens: Opens) -> None:
    page = shows(opens, "child", 1440)
    why = page.locator("details.why").first
    expect(why.locator("table")).to_be_hidden()
    chart = why.get_by_role("img", name="Why this note was linked to this child")
    why.locator("summary").first.focus()
    page.keyboard.press("Enter")
    table = why.locator("table")
    expect(table).to_be_visible()
    for words in ("Before comparing", "Given names", "Date of birth", "Agrees", "Taken together"):
        expect(table).to_contain_text(words)
    expect(chart).to_be_visible()
    assert same_numbers(page, "details.why") > 3


def test_a_flag_leads_to_its_note_and_the_note_takes_the_focus(opens: Opens) -> None:
    page = shows(opens, "child", 1440)
    link = page.locator(".because a").first
    target = (link.get_attribute("href") or "")[1:]
    link.click()
    expect(page.locator(f"[id='{target}']")).to_be_focused()
    assert page.url.endswith(f"#{target}")


def same_numbers(page: Page, within: str) -> int:
    """How many steps the first chart there shows, each with the number and the words of its table."""
    place = page.locator(within).first
    drawn = place.locator(".chart__number").all_text_contents()
    table = place.locator("table.fall tbody tr")
    told = [
        row.locator("td.fall__number").first.text_content() or ""
        for row in table.all()
        if "Missing" not in (row.text_content() or "")
    ]
    assert [number.removeprefix("= ") for number in drawn] == [cell.partition(",")[0] for cell in told]
    said = place.locator("svg.chart desc").text_content() or ""
    assert all(f"({number.removeprefix('= ')} bits)." in said for number in drawn)
    return len(drawn)


def listening(page: Page) -> None:
    """A page takes no key in its first moment: the second press of a double tap was meant for the one before."""
    expect(page.locator("html[data-keys=ready]")).to_be_attached()


def first_review(opens: Opens, **more: object) -> Page:
    page = opens("/reviews", **more)
    page.locator(".alert__title a").first.click()
    expect(page.locator("#review")).to_be_visible()
    return page


def test_one_key_decides_a_review_and_another_takes_it_back(opens: Opens) -> None:
    page = shows(opens, "review", 1440)
    review = page.url
    listening(page)
    expect(page.locator("#candidate-1")).to_have_class(re.compile("column--chosen"))
    page.keyboard.press("1")
    expect(page.locator(".notice")).to_contain_text("Linked: the same child.")
    expect(page.locator(".notice")).to_be_focused()
    assert page.url != review
    listening(page)
    page.keyboard.press("z")
    expect(page.locator(".notice")).to_contain_text("Undone")
    assert page.url == review
    expect(page.locator("[data-key='1']")).to_be_visible()


@pytest.mark.parametrize(("key", "said"), [("n", "Decided: a new child."), ("c", "Left open")])
def test_the_other_decisions_have_a_key_too(opens: Opens, key: str, said: str) -> None:
    page = first_review(opens)
    review = page.url
    listening(page)
    page.keyboard.press(key)
    expect(page.locator(".notice")).to_contain_text(said)
    listening(page)
    page.keyboard.press("z")
    expect(page.locator(".notice")).to_contain_text("Undone")
    assert page.url == review


def test_no_key_decides_while_typing_or_with_a_modifier_or_in_the_pages_first_moment(opens: Opens) -> None:
    page = first_review(opens)
    review = page.url
    listening(page)
    page.fill("#reason", "")
    page.locator("#reason").press_sequentially("1nczxjk")
    assert page.input_value("#reason") == "1nczxjk"
    page.fill("#reason", "")
    page.locator("h1").click()
    for modifier in ("Shift", "Alt"):
        page.keyboard.press(f"{modifier}+n")
    page.keyboard.press("Control+c")
    assert page.url == review
    expect(page.locator(".notice")).to_have_count(0)
    # Before it listens, and held down, a key is nobody's decision.
    page.evaluate("dispatchEvent(new Event('pageshow'))")
    held = (
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'n', bubbles: true, repeat: true}))"
    )
    page.evaluate(held)
    page.clock.install()
    page.reload()
    page.keyboard.press("n")
    expect(page.locator("html[data-keys=ready]")).to_have_count(0)
    assert page.url == review
    page.clock.run_for(1_000)
    listening(page)
    expect(page.locator("[data-key='n']")).to_be_visible()


def test_the_framed_candidate_is_ruled_out_by_one_key_and_taken_back_by_another(opens: Opens) -> None:
    page = opens("/reviews")
    page.locator(".alert", has_text="2 candidates").first.locator(".alert__title a").click()
    listening(page)
    page.locator("#candidate-2").focus()
    expect(page.locator("#candidate-2")).to_have_class(re.compile("column--chosen"))
    expect(page.locator("#keys-said")).to_have_text("Candidate 2 is framed.")
    page.keyboard.press("x")
    expect(page.locator(".notice")).to_contain_text("Ruled out: not the same child.")
    expect(page.locator("#candidate-2")).to_contain_text("DC Ruth Adeyemi said: not the same")
    assert (
        page.locator("#candidate-2 .field__known").first.evaluate(
            "one => getComputedStyle(one).textDecorationLine"
        )
        == "line-through"
    )
    expect(page.locator("#candidate-1")).to_have_class(re.compile("column--chosen"))
    listening(page)
    page.keyboard.press("z")
    expect(page.locator(".notice")).to_contain_text("is a candidate again")
    expect(page.locator("[data-key='2']")).to_be_visible()


def test_next_and_previous_are_a_key_away(opens: Opens) -> None:
    page = first_review(opens)
    review = page.url
    listening(page)
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url != review)
    listening(page)
    page.keyboard.press("k")
    page.wait_for_url(review)


def test_the_keys_can_be_turned_off(opens: Opens) -> None:
    page = shows(opens, "review", 1440)
    review = page.url
    listening(page)
    page.locator("#keys-toggle").click()
    page.locator("h1").click()
    page.keyboard.press("c")
    expect(page.locator("#keys-toggle")).to_have_text("Turn keys on")
    assert page.url == review


def test_the_chart_of_a_review_has_a_name_and_the_numbers_of_its_table(opens: Opens) -> None:
    for width in (360, 1440):
        page = shows(opens, "review", width)
        chart = page.get_by_role("img", name="How the weights add up for candidate 1")
        expect(chart).to_be_visible()
        assert same_numbers(page, "details.why--wide") > 3
        sizes = chart.evaluate(
            "chart => [...chart.querySelectorAll('text')].map(one => getComputedStyle(one).fontSize)"
        )
        assert set(sizes) == {"14px"}
        label = chart.locator(".chart__label").all()
        for one, number in zip(label, chart.locator(".chart__number").all(), strict=True):
            left, right = one.bounding_box(), number.bounding_box()
            assert left is not None and right is not None and left["x"] + left["width"] < right["x"]


def test_a_candidate_is_ruled_out_by_button_and_the_next_reader_sees_by_whom(opens: Opens) -> None:
    page = first_review(opens, java_script_enabled=False)
    page.locator("[data-not='1']").click()
    expect(page.locator("#candidate-1")).to_contain_text("DC Ruth Adeyemi said: not the same")
    page.locator("[data-maybe='1']").click()
    expect(page.locator(".notice")).to_contain_text("is a candidate again")
    page.locator("[data-not='1']").click()
    page.locator("[data-key='c']").click()
    expect(page.locator(".notice")).to_contain_text("Left open")
    page.locator(".notice button").click()
    expect(page.locator(".notice")).to_contain_text("Undone")
    page.locator("[data-maybe='1']").click()


def test_everything_works_without_javascript(opens: Opens) -> None:
    page = opens("/", None, java_script_enabled=False)
    page.fill("#username", "hale")
    page.fill("#password", PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page.locator("h1")).to_have_text("Alerts in Lambeth")
    expect(page.locator("#stream")).to_contain_text("Not live: reload")
    expect(page.locator(".fresh")).to_be_hidden()
    page.locator(".filter__summary").click()
    page.locator("input[value=green]").check()
    page.locator(".filter__form button").click()
    expect(page).to_have_url(re.compile("grade=green"))
    row = page.locator("li.alert:has(button:text('Acknowledge'))").last
    row_id = row.get_attribute("id")
    row.locator("button").click()
    expect(page.locator(".notice")).to_contain_text("You have acknowledged the alert")
    expect(page.locator(f"#{row_id} .alert__owner")).to_contain_text("You")
    page.locator(f"#{row_id} .alert__hand", has_text="Hand over").click()
    page.select_option("#to", label="DC Ruth Adeyemi, Borough investigator")
    page.fill("#reason", "Off duty at two")
    page.locator("main button[type=submit]").click()
    expect(page.locator(".notice")).to_contain_text("Handed over")
    page.goto(address_of_row(page, "Restricted record"))
    page.fill("#reason", "on call, looking after this alert")
    page.locator("main button[type=submit]").click()
    expect(page.locator(".identity__marks")).to_contain_text("Restricted record")
    page.goto("/reviews")
    page.locator(".alert__title a").last.click()
    page.locator("button[value=cannot_tell]").click()
    expect(page.locator(".notice")).to_contain_text("Left open")
    page.locator(".notice button").click()
    expect(page.locator(".notice")).to_contain_text("Undone")
    page.locator("header button", has_text="Sign out").click()
    expect(page).to_have_url(re.compile(r"/sign-in$"))


def test_print_reads_as_a_chronology(opens: Opens) -> None:
    page = shows(opens, "child", 1440)
    page.emulate_media(media="print")
    days = page.locator(".day__label .print-only")
    tops = [(days.nth(index).bounding_box() or {"y": 0.0})["y"] for index in range(days.count())]
    assert len(tops) > 1 and tops == sorted(tops, reverse=True), "the oldest day comes first on paper"
    expect(page.locator(".masthead__inner")).to_be_hidden()
    expect(page.locator(".alert__actions").first).to_be_hidden()
    expect(page.locator(".marking").first).to_be_visible()


def test_nothing_comes_from_another_host(opens: Opens, stage: Stage) -> None:
    page = opens("/alerts")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/alerts", "/reviews", story_address(page)):
        page.goto(path)
    assert asked and all(url.startswith((stage.address, "data:")) for url in asked), asked
