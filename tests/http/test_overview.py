"""The doors for a supervisor's figures and for children coming to notice."""

from __future__ import annotations

from typing import Any

import pytest

from server.access import people
from server.access.identity import person_from_row
from server.alerts.push import Subscription
from server.casework.facts import DAY_MS
from server.clock import now_ms
from server.records import telling
from server.storage import Transaction
from sync.vocabulary import Category
from tests.alerts.ways import Way
from tests.http.kit import Client, Desk, add_person, assert_problem, services_of
from tests.road import AMARA, CAMDEN, LAMBETH, Road, at, spread_all


@pytest.fixture
def road(client: Client) -> Road:
    made = Road(services_of(client).store)
    made.now = now_ms()
    return made


def test_the_overview_has_what_waits_and_each_week_of_the_own_boroughs(client: Client, road: Road) -> None:
    whitfield = Desk(client, add_person(client, "whitfield", role="supervisor"))
    assert whitfield.get("/api/overview").json() == {"waiting": [], "owing": [], "set_aside": [], "weeks": []}
    road.child(AMARA)
    road.officer().writes(AMARA, danger_now=True)
    road.officer("lee", CAMDEN).writes(AMARA, danger_now=True)
    found = whitfield.get("/api/overview").json()
    (waits,) = found["waiting"]
    assert (waits["borough"], waits["unacknowledged"], waits["red"]) == (LAMBETH, 1, 1)
    weeks: list[dict[str, Any]] = found["weeks"]
    assert len(weeks) == 8 and {week["borough"] for week in weeks} == {"Lambeth"}
    assert [week["duties"] for week in weeks] == [0] * 7 + [1]
    assert weeks[-1]["week_from"] > weeks[0]["week_from"]
    for name in ("Amara", "okafor", "whitfield"):
        assert name not in whitfield.get("/api/overview").text


def test_children_coming_to_notice_are_told_with_the_reason_and_logged(client: Client, road: Road) -> None:
    rivera = Desk(client, add_person(client, "rivera"))
    child = road.child(AMARA)
    road.officer("okafor").writes(AMARA, observed_at=at(road.now - 20 * DAY_MS))
    road.officer("lindqvist").writes(AMARA, category=Category.CCE)
    (found,) = rivera.get(f"/api/coming-to-notice?borough={LAMBETH}").json()["children"]
    assert (found["child_id"], found["incidents"], found["borough"]) == (child, 2, LAMBETH)
    assert "No referral yet" in found["why"]
    assert road.rows(
        "SELECT verb FROM audit_entry WHERE actor_id = 'rivera' AND kind = 'child' AND reason = 'list'"
    ) == [("consultation",)]
    assert_problem(rivera.get(f"/api/coming-to-notice?borough={CAMDEN}"), 403, "not-allowed")
    lee = Desk(client, add_person(client, "lee-desk", borough=CAMDEN))
    assert lee.get("/api/coming-to-notice").json() == {"children": []}


def test_how_often_people_were_interrupted_is_told_to_their_supervisor(client: Client, road: Road) -> None:
    whitfield = Desk(client, add_person(client, "whitfield", role="supervisor"))
    rivera = add_person(client, "rivera")
    road.officer().writes(AMARA, danger_now=True)
    services = services_of(client)
    browser = Subscription("https://push.example/abc", "key", "auth")

    def tell(tx: Transaction) -> None:
        row = people.by_id(tx, rivera)
        assert row is not None
        telling.subscribe(tx, person_from_row(services.policy, row), browser, now=road.now)
        spread_all(tx, services.policy, services.presets, [Way("push")], now=road.now)

    services.store.write_now(tell)
    (found,) = whitfield.get("/api/interruptions").json()
    assert (found["at_once"], found["in_digests"], found["borough"]) == ({"red": 1}, 0, LAMBETH)
    assert "Amara" not in str(found)
    sheet = whitfield.get("/api/interruptions.csv")
    assert sheet.headers["content-type"].startswith("text/csv")
    head, line = sheet.text.strip().splitlines()
    assert head == "name,role,borough,red,amber,green,blue,total,at_night,in_digests"
    assert line.endswith(f",1,0,0,0,1,{found['at_night']},0"), "the same figures"


@pytest.mark.parametrize(
    "path", ["/api/overview", "/api/interruptions", "/api/interruptions.csv", "/api/coming-to-notice"]
)
def test_who_has_no_such_page_has_no_such_door(client: Client, path: str) -> None:
    officer = Desk(client, add_person(client, "banks", role="schools_officer"))
    assert_problem(officer.get(path), 403, "not-allowed")
