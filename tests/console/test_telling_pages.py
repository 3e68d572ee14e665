"""How I am told, and what did not arrive: the pages and the doors of both."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from server.audit import Actor
from server.records import deliveries, telling
from server.records.deliveries import Taken
from server.storage import Transaction
from tests.alerts.ways import Way
from tests.console.kit import Browser, text
from tests.http.kit import Client, add_person, assert_problem, services_of
from tests.road import AMARA, Road, spread_all

TROUBLE = "the mail server refused it with 550"


@pytest.fixture
def admin(client: Client) -> Browser:
    return Browser(client, add_person(client, "root", role="administrator", borough=None))


@pytest.fixture
def dead(client: Client, road: Road, rivera: Browser) -> int:
    """A red alert's message to rivera that was given up; its number."""
    rivera.send("/how-i-am-told", address="rivera@force.example", amber="now", green="digest", blue="digest")
    road.officer().writes(AMARA, danger_now=True)
    services = services_of(client)

    def give_up(tx: Transaction) -> int:
        spread_all(tx, services.policy, services.presets, [Way("mail")], now=road.now)
        taken: list[Taken] = deliveries.take(tx, Actor("system", "tests"), "mail", now=road.now, limit=9)
        deliveries.failed(tx, taken[0], TROUBLE, now=road.now, draw=1.0, is_final=True)
        return taken[0].delivery_ids[0]

    return services.store.write_now(give_up)


def test_what_a_person_chooses_is_kept_and_shown_again(client: Client, rivera: Browser) -> None:
    boss = add_person(client, "boss", role="supervisor")
    tomorrow = (datetime.date.today() + datetime.timedelta(days=1)).isoformat()
    answer = rivera.send(
        "/how-i-am-told", address="rivera@force.example", amber="digest", green="off", blue="off",
        quiet_from="22:00", quiet_until="07:00", away_until=tomorrow, deputy=boss,
    )  # fmt: skip
    assert rivera.said(answer) == "Kept. This is how you are told from now on."
    page = rivera.get("/how-i-am-told").text
    for there in ('value="rivera@force.example"', 'value="22:00"', 'value="07:00"', f'value="{tomorrow}"',
                  f'<option value="{boss}" selected>', 'name="amber" type="radio" value="digest" checked'):  # fmt: skip
        assert there in page, there


def test_nobody_can_switch_off_an_amber_or_choose_for_a_red(client: Client, rivera: Browser) -> None:
    rivera.send("/how-i-am-told", amber="off", green="now", blue="now", red="off")
    kept = services_of(client).store.read_now(lambda tx: telling.choices(tx, rivera.person_id))
    assert (kept.amber, kept.green, kept.blue) == ("now", "digest", "digest")
    page = rivera.get("/how-i-am-told").text
    assert 'name="red"' not in page and 'id="amber-off"' not in page


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("address", "not an address", "Give an e-mail address"),
        ("address", "a@b.example\r\nBcc: c@d.example", "Give an e-mail address"),
        ("quiet_from", "25:00", "Give a time"),
        ("quiet_from", "22:00", "Give both the beginning and the end"),
        ("away_until", "1999-01-01", "Give a day from today"),
        ("away_until", "soon", "Give the last day"),
        ("deputy", "1", "Choose somebody who answers alerts"),
    ],
)
def test_what_cannot_be_kept_is_said_beside_what_was_typed(
    client: Client, rivera: Browser, field: str, typed: str, said: str
) -> None:
    fields: dict[str, Any] = {field: typed}
    answer = rivera.send("/how-i-am-told", **fields)
    assert answer.status_code == 422 and said in answer.text and f'href="#{field}"' in answer.text
    kept = services_of(client).store.read_now(lambda tx: telling.choices(tx, rivera.person_id))
    assert kept == telling.NOTHING_CHOSEN


def test_an_administrator_sees_what_did_not_arrive_and_sends_it_again(
    dead: int, admin: Browser, road: Road
) -> None:
    page = admin.get("/undelivered").text
    said = text(page)
    for there in ("1 message did not arrive", "A new alert, Lambeth", "Test rivera, E-mail", "Tried 1 time",
                  "The mail server refused it with 550.", "Check the person"):  # fmt: skip
        assert there in said, there
    assert "Amara" not in page
    assert (
        admin.said(admin.send("/undelivered", delivery=dead)) == "They are tried again, from the beginning."
    )
    assert road.value("SELECT state FROM delivery WHERE channel = 'mail'") == "waiting"
    assert "nothing left to do" in admin.said(admin.send("/undelivered", delivery=dead))


def test_an_administrator_lets_go_of_what_nobody_needs_any_more(
    dead: int, admin: Browser, road: Road
) -> None:
    said = admin.said(admin.send("/undelivered", delivery=dead, let_go=1))
    assert said == "Let go: it is kept, and nobody tries it again."
    assert road.value("SELECT state FROM delivery WHERE channel = 'mail'") == "let_go"
    assert "1 message did not arrive" not in text(admin.get("/undelivered").text)
    entry = "SELECT COUNT(*) FROM audit_entry WHERE verb = 'alteration' AND kind = 'delivery'"
    assert road.value(entry) == 1
    assert "nothing left to do" in admin.said(admin.send("/undelivered", delivery=dead, let_go=1))


def test_programs_see_the_same_through_their_doors(dead: int, admin: Browser) -> None:
    body = admin.get("/api/undelivered").json()
    assert [(one["delivery_id"], one["trouble"], one["username"]) for one in body["dead"]] == [
        (dead, TROUBLE, "rivera")
    ]
    assert {one["channel"]: one["is_well"] for one in body["channels"]} == {"mail": False, "push": True}
    assert admin.post("/api/undelivered/resend", json={"channel": "mail"}).json() == {"messages": 1}
    assert admin.post("/api/undelivered/resend", json={}).json() == {"messages": 0}
    assert admin.post("/api/undelivered/let-go", json={"delivery_id": dead}).json() == {"messages": 0}


def test_others_see_nothing_of_it(dead: int, rivera: Browser) -> None:
    assert rivera.get("/undelivered").status_code == 403
    assert_problem(rivera.client.get("/api/undelivered", headers=rivera.headers({})), 403, "not-allowed")
    assert_problem(rivera.post("/api/undelivered/resend", json={}), 403, "not-allowed")


def test_a_browser_is_kept_and_forgotten(client: Client, rivera: Browser) -> None:
    keys = {"p256dh": "B" * 87, "auth": "a" * 22}
    endpoint = "https://push.example/abc"
    answer = rivera.post("/api/telling/browsers", json={"endpoint": endpoint, **keys})
    assert answer.json() == {"browsers": 1}
    assert "1 browser of yours shows notifications" in text(rivera.get("/how-i-am-told").text)
    inside = rivera.post("/api/telling/browsers", json={"endpoint": "https://127.0.0.1/x", **keys})
    assert_problem(inside, 400, "invalid")
    assert rivera.said(rivera.send("/how-i-am-told/forget-browsers")).startswith("No browser of yours")


def test_the_metrics_say_how_each_channel_fares_and_nothing_of_anybody(client: Client, dead: int) -> None:
    shown = client.get("/metrics", headers={"authorization": "Bearer metrics-for-tests"}).text
    found = {
        (name, channel): float(value)
        for name, channel, value in re.findall(
            r'^earlysign_channel_([a-z_]+)\{channel="([a-z:]+)"\} (\S+)$', shown, re.MULTILINE
        )
    }
    assert found["attempts_total", "mail"] == 1
    assert found["failures_total", "mail"] == 1
    assert found["failures_in_a_row", "mail"] == 1
    assert found["dead_letters", "mail"] == 1
    assert found["waiting", "mail"] == 0
    assert found["oldest_undelivered_seconds", "mail"] == 0
    assert found["dead_letters", "push"] == 0
    assert ("waiting", "everybody") in found, "also how many wait for whom to tell to be found out"
    for word in ("rivera", "Amara", "E09000022", "no connection"):
        assert word not in "".join(line for line in shown.splitlines() if "earlysign_channel" in line)
