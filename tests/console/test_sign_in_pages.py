"""Signing in and out by form, unlocking, one's own password, the first page of each role, pages of errors."""

from __future__ import annotations

import re
from typing import Any

import pytest

from server.console import render
from tests.console.kit import HTML, Browser, stranger, text
from tests.http.kit import PASSWORD, Client, add_person


def token_of(client: Client) -> str:
    """The token of the sign-in form; its cookie stays in the client."""
    page = client.get("/sign-in", headers=HTML)
    found = re.search(r'name="_csrf_token" value="([0-9a-f]+)"', page.text)
    assert found is not None
    return found[1]


def sign_in(client: Client, username: str, password: str, next: str = "") -> Any:
    data = {"_csrf_token": token_of(client), "username": username, "password": password, "next": next}
    return client.post("/sign-in", data=data, headers=HTML, follow_redirects=False)


def test_signing_in_leads_to_the_queue_and_signing_out_back(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    answer = sign_in(client, "Rivera", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    home = client.get("/", headers=HTML)
    assert home.url.path == "/alerts"
    assert "Test rivera, Borough investigator" in text(home.text)
    token = client.cookies["csrftoken"]
    out = client.post("/sign-out", data={"_csrf_token": token}, headers=HTML, follow_redirects=False)
    assert out.headers["location"] == "/sign-in"
    assert (
        client.get("/alerts", headers=HTML, follow_redirects=False).headers["location"].startswith("/sign-in")
    )


@pytest.mark.parametrize(
    ("username", "password", "status"),
    [("rivera", "wrong", 401), ("nobody", PASSWORD, 401), ("", PASSWORD, 400), ("rivera", "", 400)],
)
def test_a_failed_sign_in_never_says_which_was_wrong_and_never_repeats_the_password(
    client: Client, username: str, password: str, status: int
) -> None:
    add_person(client, "rivera", password=PASSWORD)
    answer = sign_in(client, username, password)
    assert answer.status_code == status
    assert "You are not signed in" in answer.text
    assert f'value="{username}"' in answer.text
    assert not password or f'"{password}"' not in answer.text
    if status == 401:
        assert "The user name or the password is wrong." in answer.text


def test_too_many_wrong_passwords_have_to_wait(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    answers = [sign_in(client, "rivera", "wrong").status_code for _ in range(11)]
    assert answers[-1] == 429 and set(answers[:-1]) == {401}


@pytest.mark.parametrize(
    ("next", "leads"),
    [
        ("/alerts?grade=red", "/alerts?grade=red"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example", "/"),
        ("/%5Celsewhere.example", "/%5Celsewhere.example"),
        ("javascript:alert(1)", "/"),
        ("/alerts\r\nSet-Cookie: a=b", "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_after_signing_in_one_is_never_led_elsewhere(client: Client, next: str, leads: str) -> None:
    add_person(client, "rivera", password=PASSWORD)
    assert sign_in(client, "rivera", PASSWORD, next).headers["location"] == leads


def test_somebody_signed_in_is_sent_on_from_the_form(rivera: Browser) -> None:
    assert rivera.get("/sign-in?next=/reviews").headers["location"] == "/reviews"
    assert rivera.get("/sign-in?next=https://elsewhere.example/").headers["location"] == "/"


def test_a_page_asks_a_stranger_to_sign_in_and_leads_back(client: Client) -> None:
    answer = stranger(client, "/alerts?grade=red&view=mine")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Falerts%3Fgrade%3Dred%26view%3Dmine"
    assert stranger(client, "/").headers["location"] == "/sign-in"


def test_a_form_without_its_token_does_nothing(rivera: Browser, client: Client) -> None:
    answer = client.post(
        "/sign-out", data={"_csrf_token": "0" * 128}, headers=rivera.headers({"headers": HTML})
    )
    assert answer.status_code == 403
    assert "That page was too old" in answer.text
    assert "csrftoken=" in answer.headers["set-cookie"]  # so that the next page brings a fresh one
    assert rivera.get("/alerts").status_code == 200


def test_unlocking_asks_for_the_password_of_this_session_and_counts_wrong_ones(client: Client) -> None:
    browser = Browser(client, add_person(client, "rivera", password=PASSWORD))
    add_person(client, "okafor", password="another password entirely")
    assert browser.send("/unlock", password=PASSWORD).status_code == 204
    assert browser.send("/unlock", password="another password entirely").status_code == 401
    answers = [browser.send("/unlock", password="wrong").status_code for _ in range(12)]
    assert answers[-1] == 429 and answers[0] == 401
    # The same limit as at the door: guessing at a hidden page uses up the tries at sign-in.
    assert sign_in(client, "rivera", "wrong").status_code == 429


def test_unlocking_without_a_session_says_so_in_json(client: Client) -> None:
    token = token_of(client)
    answer = client.post(
        "/unlock", data={"_csrf_token": token, "password": "x"}, headers={"accept": "application/json"}
    )
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/not-signed-in"


def test_a_made_password_must_be_changed_before_anything_else(client: Client) -> None:
    browser = Browser(client, add_person(client, "rivera", password=PASSWORD, must_change=True))
    assert browser.get("/alerts").headers["location"] == "/password"
    page = browser.get("/password")
    assert "Choose your own password" in page.text
    again = browser.send("/password", old=PASSWORD, new="a lamp on the quay", again="a lamp on the key")
    assert again.status_code == 422 and "not the same" in again.text
    weak = browser.send("/password", old=PASSWORD, new="short", again="short")
    assert weak.status_code == 422 and "12 characters" in weak.text
    wrong = browser.send("/password", old="wrong", new="a lamp on the quay", again="a lamp on the quay")
    assert wrong.status_code == 401 and "not your present password" in wrong.text
    done = browser.send("/password", old=PASSWORD, new="a lamp on the quay", again="a lamp on the quay")
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert browser.get("/alerts").headers["location"].startswith("/sign-in")  # the old session is over
    browser.cookies["earlysign"] = done.cookies["earlysign"]
    assert browser.get("/alerts").status_code == 200


def test_an_administrator_has_a_plain_first_page_and_no_queue(client: Client) -> None:
    browser = Browser(client, add_person(client, "warden", role="administrator", borough=None))
    home = browser.get("/")
    assert home.status_code == 200 and 'href="/people"' in home.text
    assert 'href="/alerts"' not in home.text
    refused = browser.get("/alerts")
    assert refused.status_code == 403 and "Your role does not include this" in refused.text


def test_an_unknown_address_has_a_page_with_a_way_back(rivera: Browser) -> None:
    answer = rivera.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "This page is not here" in answer.text and 'href="/"' in answer.text


def test_pages_carry_the_strict_policy_and_are_kept_by_no_cache(rivera: Browser) -> None:
    for path in ("/alerts", "/reviews", "/password", "/children/1"):
        headers = rivera.get(path).headers
        assert headers["content-security-policy"] == render.CONTENT_SECURITY_POLICY, path
        assert headers["cache-control"] == "no-store", path
