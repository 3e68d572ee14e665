"""The door for people: passwords, sessions, forged requests, rate limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import time_machine
from litestar import get
from litestar.di import NamedDependency
from litestar.testing import TestClient

from server.access import people
from server.access.identity import Person
from server.access.policy import Permission
from server.app import create_app
from server.clock import now_ms
from server.http.auth import requires
from server.settings import Settings
from tests.http.kit import ADMIN, PASSWORD, Client, Desk, add_person, assert_problem, services_of

MINUTE_MS = 60_000


@get("/api/test/own", guards=[requires(Permission.ACKNOWLEDGE_ALERTS)])
async def own(person: NamedDependency[Person]) -> dict[str, Any]:
    return {"username": person.username}


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    few = msgspec.structs.replace(settings, sign_in_attempts=3)
    with TestClient(create_app(few, handlers=[own])) as running:
        yield running


def sign_in(client: Client, username: str, password: str) -> Any:
    """Fetch the token against forged requests, then sign in, as a browser does."""
    token = client.get("/api/sign-in").json()["csrf_token"]
    body = {"username": username, "password": password}
    return client.post("/api/sign-in", json=body, headers={"x-csrftoken": token})


def test_a_person_signs_in_and_out(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    answer = sign_in(client, " Rivera ", PASSWORD)
    assert answer.status_code == 200
    assert answer.json()["role_title"] == "Borough investigator"
    assert answer.json()["boroughs"] == ["E09000022"]
    assert "alerts.acknowledge" in answer.json()["permissions"]
    assert client.get("/api/me").json()["username"] == "rivera"
    assert client.get("/api/sign-in").json()["signed_in"] is True
    token = client.cookies["csrftoken"]
    assert client.post("/api/sign-out", headers={"x-csrftoken": token}).status_code == 204
    assert_problem(client.get("/api/me"), 401, "not-signed-in")


def test_signing_out_ends_the_session_and_not_only_the_cookie(client: Client, desk: Desk) -> None:
    assert desk.post("/api/sign-out").status_code == 204
    assert_problem(desk.get("/api/me"), 401, "not-signed-in")


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    cookie = next(
        c for c in sign_in(client, "rivera", PASSWORD).headers.get_list("set-cookie") if "earlysign" in c
    )
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


def test_behind_tls_cookies_travel_over_tls_only(settings: Settings) -> None:
    over_tls = msgspec.structs.replace(settings, public_url="https://earlysign.example")
    with TestClient(create_app(over_tls), base_url="https://earlysign.example") as running:
        add_person(running, "rivera", password=PASSWORD)
        answer = sign_in(running, "rivera", PASSWORD)
        cookies = answer.headers.get_list("set-cookie")
        assert any(c.startswith("__Host-earlysign=") and "Secure" in c for c in cookies)
        assert "max-age" in answer.headers["strict-transport-security"]
        assert running.get("/api/me").status_code == 200


def test_a_wrong_password_and_an_unknown_person_get_the_same_answer(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    wrong = assert_problem(sign_in(client, "rivera", "not the password"), 401, "wrong-password")
    unknown = assert_problem(sign_in(client, "nobody", "not the password"), 401, "wrong-password")
    assert wrong["detail"] == unknown["detail"]


def test_a_closed_account_cannot_sign_in_and_its_sessions_end(client: Client) -> None:
    person_id = add_person(client, "rivera", password=PASSWORD)
    desk = Desk(client, person_id)
    services_of(client).store.write_now(
        lambda tx: people.set_active(tx, person_id, False, actor=ADMIN, now=now_ms())
    )
    assert_problem(desk.get("/api/me"), 401, "not-signed-in")
    assert_problem(sign_in(client, "rivera", PASSWORD), 401, "wrong-password")


def test_too_many_wrong_passwords_wait_even_after_a_restart(client: Client, settings: Settings) -> None:
    add_person(client, "rivera", password=PASSWORD)
    for _ in range(3):
        assert sign_in(client, "rivera", "wrong").status_code == 401
    refused = sign_in(client, "rivera", PASSWORD)
    assert_problem(refused, 429, "too-many-attempts")
    assert 1 <= int(refused.headers["retry-after"]) <= 15 * 60
    few = msgspec.structs.replace(settings, sign_in_attempts=3)
    with TestClient(create_app(few)) as another_process:
        assert sign_in(another_process, "rivera", PASSWORD).status_code == 429


def test_waiting_as_long_as_told_lets_the_person_in_again(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    with time_machine.travel(now_ms() / 1000, tick=False) as clock:
        for _ in range(3):
            sign_in(client, "rivera", "wrong")
            clock.shift(1)
        wait_s = int(sign_in(client, "rivera", PASSWORD).headers["retry-after"])
        clock.shift(wait_s - 1)
        assert sign_in(client, "rivera", PASSWORD).status_code == 429
        clock.shift(1)
        assert sign_in(client, "rivera", PASSWORD).status_code == 200


def test_signing_in_rightly_clears_the_count(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    for _ in range(2):
        for _ in range(2):
            assert sign_in(client, "rivera", "wrong").status_code == 401
        assert sign_in(client, "rivera", PASSWORD).status_code == 200


def test_one_persons_wrong_passwords_do_not_lock_out_another(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD)
    add_person(client, "bianchi", password=PASSWORD)
    for _ in range(4):
        sign_in(client, "rivera", "wrong")
    assert sign_in(client, "bianchi", PASSWORD).status_code == 200


def test_usernames_of_wrong_attempts_are_not_stored_readable(client: Client, settings: Settings) -> None:
    sign_in(client, "my-secret-password", "wrong")
    services_of(client).store.close_now()
    raw = b"".join(
        path.read_bytes() for path in settings.data.iterdir() if path.name.startswith("earlysign.db")
    )
    assert b"my-secret-password" not in raw


def test_a_session_ends_when_idle_and_at_its_absolute_end(client: Client) -> None:
    with time_machine.travel(now_ms() / 1000, tick=False) as clock:
        desk = Desk(client, add_person(client))
        for _ in range(3):
            clock.shift(29 * 60)
            assert desk.get("/api/me").status_code == 200
        clock.shift(30 * 60)
        assert "ended" in assert_problem(desk.get("/api/me"), 401, "not-signed-in")["detail"]
        steady = Desk(client, desk.person_id)
        for _ in range(12 * 60 // 20 - 1):
            clock.shift(20 * 60)
            assert steady.get("/api/me").status_code == 200
        clock.shift(20 * 60)
        assert_problem(steady.get("/api/me"), 401, "not-signed-in")


@pytest.mark.parametrize("cookie", ["", "nonsense", "é" * 10, "x" * 500])
def test_a_made_up_session_cookie_is_refused(client: Client, cookie: str) -> None:
    answer = client.get("/api/me", headers=[(b"cookie", f"earlysign={cookie}".encode())])
    assert_problem(answer, 401, "not-signed-in")


def test_a_change_without_the_token_against_forged_requests_is_refused(client: Client, desk: Desk) -> None:
    bare = client.post("/api/sign-out", headers=desk.headers({}))
    assert_problem(bare, 403, "csrf-failed")
    assert desk.get("/api/me").status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "é" * 70, "a" * 128, "\x7f" * 70])
def test_a_wrong_token_against_forged_requests_is_refused(client: Client, desk: Desk, token: str) -> None:
    headers = [(b"cookie", desk.headers({})["cookie"].encode()), (b"x-csrftoken", token.encode("latin-1"))]
    assert_problem(client.post("/api/sign-out", headers=headers), 403, "csrf-failed")


def test_a_form_may_carry_the_token_in_its_hidden_field(client: Client, desk: Desk) -> None:
    wrong = client.post("/api/sign-out", data={"_csrf_token": "é"}, headers=desk.headers({}))
    assert_problem(wrong, 403, "csrf-failed")
    answer = client.post("/api/sign-out", data={"_csrf_token": desk.csrf}, headers=desk.headers({}))
    assert answer.status_code == 204


def test_a_role_without_the_permission_is_refused(client: Client) -> None:
    assert Desk(client, add_person(client, "rivera")).get("/api/test/own").json() == {"username": "rivera"}
    auditor = Desk(client, add_person(client, "cole", role="auditor", borough=None))
    assert_problem(auditor.get("/api/test/own"), 403, "not-allowed")


def test_a_phones_token_does_not_open_a_persons_door(phone: Any) -> None:
    assert_problem(phone.get("/api/me"), 401, "not-signed-in")


def test_a_password_made_by_an_administrator_must_be_changed_first(client: Client) -> None:
    add_person(client, "rivera", password=PASSWORD, must_change=True)
    assert sign_in(client, "rivera", PASSWORD).json()["must_change_password"] is True
    assert_problem(client.get("/api/test/own"), 403, "password-must-change")
    assert client.get("/api/me").status_code == 200
    token = client.cookies["csrftoken"]
    body = {"old": PASSWORD, "new": "three quite random words"}
    assert client.post("/api/password", json=body, headers={"x-csrftoken": token}).status_code == 204
    assert_problem(client.get("/api/me"), 401, "not-signed-in")
    assert sign_in(client, "rivera", "three quite random words").status_code == 200
    assert client.get("/api/test/own").status_code == 200


@pytest.mark.parametrize("weak", ["short", "aaaaaaaaaaaaaaaa", "password1234", "x" * 300, "xxriveraxx 99"])
def test_a_weak_new_password_is_refused(client: Client, desk: Desk, weak: str) -> None:
    answer = desk.post("/api/password", json={"old": PASSWORD, "new": weak})
    assert_problem(answer, 422, "password-too-weak")


def test_changing_a_password_asks_for_the_old_one_and_counts_wrong_ones(client: Client) -> None:
    desk = Desk(client, add_person(client, "rivera", password=PASSWORD))
    body = {"old": "not the password", "new": "three quite random words"}
    for _ in range(3):
        assert_problem(desk.post("/api/password", json=body), 401, "wrong-password")
    assert_problem(desk.post("/api/password", json=body), 429, "too-many-attempts")


@pytest.mark.parametrize("username", ["\u0000", "'; DROP TABLE person; --", "😀", "İ" * 100, "a" * 200])
def test_odd_usernames_are_simply_wrong(client: Client, username: str) -> None:
    assert_problem(sign_in(client, username, "whatever it is"), 401, "wrong-password")
