"""The administrator's page of people: accounts made, renewed, closed; a password is shown once and kept nowhere."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.console.kit import Browser, text
from tests.http.kit import Client, add_person
from tests.road import AMARA, LAMBETH, Road


@pytest.fixture
def admin(client: Client) -> Browser:
    return Browser(client, add_person(client, "root", role="administrator", borough=None))


def password_on(page: str) -> str:
    found = re.search(r'<code class="once">(.*?)</code>', page)
    assert found, "no password is shown"
    return found[1]


def may_sign_in(client: Client, username: str, password: str) -> bool:
    client.cookies.clear()
    token = client.get("/api/sign-in").json()["csrf_token"]
    body = {"username": username, "password": password}
    answer = client.post("/api/sign-in", json=body, headers={"x-csrftoken": token})
    client.cookies.clear()
    return bool(answer.status_code < 400)


def test_somebody_is_added_and_signs_in_with_the_password_that_is_shown_once(
    admin: Browser, client: Client, road: Road
) -> None:
    answer = admin.send("/people", username="Khan", name="DC Noor Khan", role="investigator", borough=LAMBETH)
    password = password_on(answer.text)
    assert answer.status_code == 200 and "khan signs in with the password" in text(answer.text)
    again = text(admin.get("/people").text)
    assert "DC Noor Khan" in again and "has to choose a password" in again and password not in again
    assert road.rows(
        "SELECT actor_id, verb FROM audit_entry WHERE kind = 'person' ORDER BY position DESC LIMIT 1"
    ) == [("root", "collection")]
    assert may_sign_in(client, "khan", password) and not may_sign_in(client, "khan", password + "x")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"username": "a b", "name": "X", "role": "auditor"}, "That username cannot be used."),
        ({"username": "khan", "name": "X", "role": "king"}, "There is no role"),
        ({"username": "khan", "name": "X", "role": "investigator"}, "needs a borough"),
        ({"username": "root", "name": "X", "role": "auditor"}, "That username is taken."),
        ({"username": "", "name": "", "role": ""}, "That username cannot be used."),
    ],
)
def test_what_cannot_be_is_said_beside_what_was_typed(
    admin: Browser, typed: dict[str, Any], said: str
) -> None:
    answer = admin.send("/people", **typed)
    assert answer.status_code == 422 and said in text(answer.text)
    assert "--borough" not in answer.text and f'value="{typed["username"]}"' in answer.text
    assert "code class" not in answer.text


def test_a_new_password_ends_the_old_one_and_opens_a_closed_account(
    admin: Browser, client: Client, road: Road
) -> None:
    first = password_on(admin.send("/people", username="khan", name="K", role="auditor").text)
    second = password_on(admin.send("/people/khan/password").text)
    assert not may_sign_in(client, "khan", first) and may_sign_in(client, "khan", second)
    assert "closed" in admin.said(admin.send("/people/khan/close"))
    assert not may_sign_in(client, "khan", second)
    third = password_on(admin.send("/people/khan/password").text)
    assert may_sign_in(client, "khan", third)


def test_the_alerts_of_a_closed_account_go_to_somebody_else(
    admin: Browser, client: Client, road: Road
) -> None:
    rivera = Browser(client, add_person(client, "rivera", role="investigator", borough=LAMBETH))
    road.officer("okafor", LAMBETH).writes(AMARA, danger_now=True)
    rivera.send("/alerts/1/acknowledge", from_rev=1)
    assert road.value("SELECT owner FROM alert") == "rivera"
    admin.send("/people/rivera/close")
    assert road.rows("SELECT state, owner FROM alert") == [("open", None)]


def test_nobody_closes_their_own_account_and_others_have_no_such_page(admin: Browser, client: Client) -> None:
    assert "You cannot close your own account." in text(admin.send("/people/root/close").text)
    assert admin.send("/people/nobody/close").status_code == 422
    assert admin.send("/people/root/crown").status_code == 404
    desk = Browser(client, add_person(client, "rivera", role="investigator", borough=LAMBETH))
    for answer in (
        desk.get("/people"),
        desk.send("/people", username="x"),
        desk.send("/people/root/password"),
    ):
        assert answer.status_code in (403, 404)
