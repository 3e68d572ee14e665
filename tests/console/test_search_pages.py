"""The search page: one box, results to come back to, and nothing personal in any address."""

from __future__ import annotations

import re
from typing import Any

import pytest

from server.console.pages import search as search_page
from server.records import search
from tests.console.kit import Browser, text, titles
from tests.http.kit import Client, add_person
from tests.road import AMARA, CAMDEN, JONAS, VAGUE, Road


def searched(browser: Browser, **fields: str) -> tuple[Any, str, dict[str, str]]:
    """(the results' page, its address, the cookie that goes with it)."""
    sent = browser.send("/search", headers=None, **fields)
    assert sent.status_code == 303
    address = sent.headers["location"]
    assert re.fullmatch(r"/search/[\w-]{12}", address)
    cookie = sent.headers["set-cookie"]
    assert f"Path={address}" in cookie and "HttpOnly" in cookie and "SameSite=strict" in cookie
    kept = {search_page.COOKIE: cookie.split("=", 1)[1].split(";")[0]}
    return again(browser, address, kept), address, kept


def again(browser: Browser, address: str, kept: dict[str, str]) -> Any:
    cookies = "; ".join(f"{name}={value}" for name, value in (browser.cookies | kept).items())
    return browser.get(address, headers={"cookie": cookies})


def test_search_is_in_the_navigation_of_those_who_may(client: Client, rivera: Browser) -> None:
    assert '<a href="/search"' in rivera.get("/alerts").text
    warden = Browser(client, add_person(client, "warden", role="administrator", borough=None))
    assert "/search" not in warden.get("/").text
    assert warden.get("/search").status_code == 403
    empty = text(rivera.get("/search").text)
    assert "What can I type?" in empty and "its last six digits" in empty


def test_a_child_is_found_and_the_row_says_why(rivera: Browser, road: Road) -> None:
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    page, _, _ = searched(rivera, text="amarah okonkwo 4/3/2012")
    said = text(page.text)
    assert f'href="/children/{child}"' in page.text
    for words in ("Amara Okonkwo-Bright", "4 March 2012", "Stockwell Park High School", "Lambeth", "1 open alert",
                  "Green", "Agrees Date of birth: the same day", "% likely", "born 4 March 2012"):  # fmt: skip
        assert words in said, words
    assert titles(page.text) == ["Search \u2013 Earlysign"]


def test_going_back_and_loading_again_work_and_each_look_is_logged(rivera: Browser, road: Road) -> None:
    road.child(AMARA)
    _, address, kept = searched(rivera, text="amara")
    second = again(rivera, address, kept)
    assert "Amara Okonkwo-Bright" in second.text and 'value="amara"' in second.text
    assert road.count("audit_entry", "verb = 'consultation' AND reason = 'search'") == 2
    gone = again(rivera, "/search/aaaaaaaaaaaa", {})
    assert "has been put away" in gone.text and "Amara" not in gone.text
    assert again(rivera, address, {search_page.COOKIE: "nonsense"}).status_code == 200


def test_one_persons_search_is_not_anothers(client: Client, rivera: Browser, road: Road) -> None:
    road.child(AMARA)
    _, address, kept = searched(rivera, text="amara")
    other = Browser(client, add_person(client, "other"))
    page = again(other, address, kept)
    assert "has been put away" in page.text and "amara" not in page.text.lower()


def test_what_was_typed_cannot_be_read_in_address_or_cookie(rivera: Browser, road: Road) -> None:
    _, address, kept = searched(rivera, text="okonkwo", reason="asked by the court")
    assert "okonkwo" not in address + kept[search_page.COOKIE]


def test_fields_stay_filled_in_and_open(rivera: Browser, road: Road) -> None:
    road.child(AMARA)
    page, _, _ = searched(rivera, family_name="Bright", born="14", home="SW9")
    assert '<details class="search__more" open>' in page.text
    assert 'value="Bright"' in page.text and "family name Bright" in text(page.text)
    wrong = searched(rivera, born="soon")[0]
    assert wrong.status_code == 422 and "was not understood" in text(wrong.text)
    assert "Error: Search" in wrong.text


def test_another_borough_is_to_be_asked(client: Client, road: Road) -> None:
    road.child(AMARA)
    other = Browser(client, add_person(client, "other", borough=CAMDEN))
    page = searched(other, text="amara okonkwo 4/3/2012")[0]
    said = text(page.text)
    assert "Lambeth has a record like this" in said and "Coldharbour" not in page.text
    assert "/children/" not in page.text


def test_a_record_that_waits_says_so_and_a_restricted_one_asks_why(rivera: Browser, road: Road) -> None:
    road.officer().writes(VAGUE)
    assert "Known from a note only" in text(searched(rivera, text="jay 13")[0].text)
    road.child(JONAS, restricted=True)
    page = searched(rivera, text="jonas petrauskas")[0]
    assert "Nobody like this" in text(page.text) and "give a reason" in text(page.text)
    page = searched(rivera, text="jonas petrauskas", reason="asked by the court today")[0]
    assert "Jonas Petrauskas" in text(page.text) and "Restricted record" in text(page.text)


def test_too_many_searches_are_told_when_to_go_on(rivera: Browser, road: Road) -> None:
    road.store.write_now(
        lambda tx: tx.executemany(
            "INSERT INTO search_use (person, at) VALUES ('rivera', :at)",
            [{"at": road.now + 5_000}] * search.SEARCHES_PER_MINUTE_MAX,
        )
    )
    page = searched(rivera, text="amara")[0]
    assert page.status_code == 429 and "search again" in text(page.text)


def test_a_form_from_elsewhere_is_refused(client: Client, rivera: Browser) -> None:
    sent = client.post("/search", data={"text": "amara"}, headers=rivera.headers({}), follow_redirects=False)
    assert sent.status_code == 403


@pytest.mark.parametrize("typed", ["<script>alert(1)</script>", "' OR 1=1 --", "\x00\x00", "é" * 400, "%00"])
def test_whatever_is_typed_is_a_page(rivera: Browser, typed: str) -> None:
    page = searched(rivera, text=typed)[0]
    assert page.status_code == 200 and "<script>alert" not in page.text
