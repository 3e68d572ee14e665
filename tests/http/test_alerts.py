"""The doors for alerts: who sees which, who may answer, and what they are told when somebody was quicker."""

from __future__ import annotations

from typing import Any

import pytest

from server.clock import now_ms
from sync.note import Place, Subject
from tests.http.kit import Client, Desk, add_person, assert_problem, services_of
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, SOUTHWARK, Road

JONAS_OF_SOUTHWARK = Subject(given_names="Mirembe", family_name="Nakato", postcode="SE5 7AA")


@pytest.fixture
def road(client: Client) -> Road:
    road = Road(services_of(client).store)
    road.now = now_ms()
    return road


@pytest.fixture
def alert_id(road: Road) -> int:
    """An open alert of Lambeth about a known child."""
    road.child(AMARA)
    road.officer().writes(AMARA)
    found: int = road.value("SELECT alert_id FROM alert")
    return found


def person(client: Client, username: str, role: str = "investigator", borough: str | None = LAMBETH) -> Desk:
    return Desk(client, add_person(client, username, role=role, borough=borough))


def listed(desk: Desk, query: str = "") -> list[dict[str, Any]]:
    answer = desk.get(f"/api/alerts{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["alerts"]
    return found


def test_the_list_is_red_first_then_least_time_left_and_names_nobody(desk: Desk, road: Road) -> None:
    officer = road.officer()
    officer.writes(JONAS)
    road.passes(minutes=5)
    officer.writes(AMARA, danger_now=True)
    answer = desk.get("/api/alerts")
    found = answer.json()["alerts"]
    assert [alert["grade"] for alert in found] == ["red", "green"]
    assert answer.json()["last_event_id"].endswith("-2")
    assert found[0]["deadline_at"].endswith("Z")
    assert "Amara" not in answer.text and "Petrauskas" not in answer.text


def test_the_list_can_be_narrowed(client: Client, desk: Desk, road: Road) -> None:
    officer = road.officer()
    officer.writes(JONAS)
    officer.writes(AMARA, danger_now=True)
    road.officer("lam", SOUTHWARK).writes(JONAS_OF_SOUTHWARK)
    assert len(listed(desk)) == 2
    assert len(listed(desk, "?grade=red")) == 1
    assert len(listed(desk, "?grade=red&grade=green")) == 2
    assert len(listed(desk, "?limit=1")) == 1
    assert len(listed(desk, "?owner=nobody")) == 2
    [red] = listed(desk, "?grade=red")
    desk.post(f"/api/alerts/{red['alert_id']}/acknowledge", json={})
    assert [alert["grade"] for alert in listed(desk, "?owner=me")] == ["red"]
    assert [alert["grade"] for alert in listed(desk, "?state=open")] == ["green"]
    assert listed(desk, "?state=closed") == []
    assert listed(desk, f"?borough={CAMDEN}") == []
    everywhere = person(client, "gaffer", "force_duty_officer", None)
    assert len(listed(everywhere)) == 3
    assert len(listed(everywhere, f"?borough={SOUTHWARK}")) == 1


@pytest.mark.parametrize(
    "query",
    [
        "?state=asleep",
        "?grade=purple",
        "?owner=everybody",
        "?limit=0",
        "?limit=9999",
        "?borough=%00",
        "?borough='",
    ],
)
def test_a_filter_that_means_nothing_is_a_problem(desk: Desk, query: str) -> None:
    assert_problem(desk.get(f"/api/alerts{query}"), 400, "invalid")


@pytest.mark.parametrize("role", ["schools_officer", "auditor", "administrator"])
def test_who_sees_no_alerts_is_told_so(client: Client, alert_id: int, role: str) -> None:
    desk = person(client, "other", role)
    for path in ("/api/alerts", f"/api/alerts/{alert_id}", "/api/alerts/stream"):
        assert_problem(desk.get(path), 403, "not-allowed")
    assert_problem(desk.post(f"/api/alerts/{alert_id}/acknowledge", json={}), 403, "not-allowed")


def test_nobody_is_let_in_without_signing_in(client: Client, alert_id: int) -> None:
    for path in ("/api/alerts", f"/api/alerts/{alert_id}", "/api/alerts/stream"):
        assert_problem(client.get(path), 401, "not-signed-in")


def test_another_boroughs_alert_is_as_if_it_were_not_there(client: Client, alert_id: int) -> None:
    other = person(client, "other", borough=CAMDEN)
    assert listed(other) == []
    there = assert_problem(other.get(f"/api/alerts/{alert_id}"), 403, "not-allowed")
    nowhere = assert_problem(other.get(f"/api/alerts/{alert_id + 99}"), 403, "not-allowed")
    assert there["detail"] == nowhere["detail"]
    for verb, body in (
        ("acknowledge", {}),
        ("hand-over", {"to": "rivera", "reason": "not mine"}),
        ("close", {"decision": "all is well"}),
    ):
        answer = other.post(f"/api/alerts/{alert_id}/{verb}", json=body)
        assert_problem(answer, 403, "not-allowed")


def test_one_alert_with_its_steps_and_notes(desk: Desk, alert_id: int, road: Road) -> None:
    whole = desk.get(f"/api/alerts/{alert_id}").json()
    assert whole["alert"]["borough"] == LAMBETH
    assert [step["kind"] for step in whole["steps"]] == ["raised"]
    assert len(whole["note_ids"]) == 1
    assert road.count("audit_entry", "verb = 'consultation' AND kind = 'alert' AND actor_id = 'rivera'") == 1


def test_acknowledging_makes_it_mine_and_tells_the_author(desk: Desk, alert_id: int, road: Road) -> None:
    answer = desk.post(f"/api/alerts/{alert_id}/acknowledge", json={"from_rev": 1})
    assert answer.status_code == 200
    assert answer.json()["state"] == "acknowledged"
    assert answer.json()["owner"] == answer.json()["acknowledged_by"] == "rivera"
    assert answer.json()["escalates_at"] is None
    assert set(road.pulled("okafor").values()) == {"seen"}
    again = desk.post(f"/api/alerts/{alert_id}/acknowledge", json={"from_rev": 1})
    assert again.status_code == 200 and again.json()["rev"] == answer.json()["rev"]


def test_who_comes_second_is_told_what_holds_now(client: Client, desk: Desk, alert_id: int) -> None:
    second = person(client, "second")
    desk.post(f"/api/alerts/{alert_id}/acknowledge", json={"from_rev": 1})
    for verb, body in (
        ("acknowledge", {"from_rev": 1}),
        ("hand-over", {"to": "second", "reason": "I take it", "from_rev": 1}),
        ("close", {"decision": "all is well", "from_rev": 1}),
    ):
        problem = assert_problem(second.post(f"/api/alerts/{alert_id}/{verb}", json=body), 409, "conflict")
        assert problem["current"] == {"state": "acknowledged", "rev": 2}


def test_handing_over_within_the_borough(client: Client, desk: Desk, alert_id: int) -> None:
    person(client, "second")
    person(client, "elsewhere", borough=CAMDEN)
    person(client, "officer", "ward_officer")
    path = f"/api/alerts/{alert_id}/hand-over"
    for nobody in ("elsewhere", "officer", "no-such-person"):
        problem = assert_problem(
            desk.post(path, json={"to": nobody, "reason": "please take it"}), 403, "not-allowed"
        )
        assert nobody not in problem["detail"]
    answer = desk.post(path, json={"to": "Second", "reason": "knows the family"})
    assert answer.json()["owner"] == "second"
    steps = desk.get(f"/api/alerts/{alert_id}").json()["steps"]
    assert (steps[-1]["kind"], steps[-1]["told"], steps[-1]["detail"]) == (
        "handed_over",
        "second",
        "knows the family",
    )


def test_somebody_elses_alert_is_handed_over_by_a_supervisor_only(
    client: Client, desk: Desk, alert_id: int
) -> None:
    second = person(client, "second")
    desk.post(f"/api/alerts/{alert_id}/acknowledge", json={})
    path, body = f"/api/alerts/{alert_id}/hand-over", {"to": "second", "reason": "I know the family"}
    assert_problem(second.post(path, json=body), 403, "not-allowed")
    assert person(client, "chief", "supervisor").post(path, json=body).status_code == 200


def test_closing_keeps_the_decision_and_the_next_note_raises_a_new_alert(
    desk: Desk, alert_id: int, road: Road
) -> None:
    answer = desk.post(f"/api/alerts/{alert_id}/close", json={"decision": "Visited, the child is safe"})
    assert answer.json()["state"] == "closed"
    assert answer.json()["closed_reason"] == "Visited, the child is safe"
    # Closing what nobody had answered answers it too.
    assert answer.json()["acknowledged_by"] == "rivera"
    assert set(road.pulled("okafor").values()) == {"decided"}
    problem = assert_problem(desk.post(f"/api/alerts/{alert_id}/acknowledge", json={}), 409, "conflict")
    assert problem["current"]["state"] == "closed"
    road.passes(hours=40)
    road.officer("lam").writes(AMARA)
    assert [alert["state"] for alert in listed(desk)] == ["open"]


def test_somebody_whose_role_closes_nothing_cannot_close(client: Client, alert_id: int) -> None:
    desk = person(client, "team", "scrutiny", None)
    assert len(listed(desk)) == 1
    answer = desk.post(f"/api/alerts/{alert_id}/close", json={"decision": "all is well"})
    assert_problem(answer, 403, "not-allowed")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("acknowledge", {"from_rev": 0}),
        ("acknowledge", {"unknown": 1}),
        ("hand-over", {"to": "rivera"}),
        ("hand-over", {"to": "", "reason": "because"}),
        ("hand-over", {"to": "a\x00b", "reason": "because"}),
        ("close", {}),
        ("close", {"decision": ""}),
        ("close", {"decision": "x" * 3_000}),
        ("close", {"decision": "a\x00b"}),
    ],
)
def test_a_body_that_is_wrong_changes_nothing(
    desk: Desk, alert_id: int, road: Road, verb: str, body: dict[str, Any]
) -> None:
    assert_problem(desk.post(f"/api/alerts/{alert_id}/{verb}", json=body), 400, "invalid")
    assert road.value("SELECT rev FROM alert") == 1


@pytest.mark.parametrize("wrong", ["0", "-1", str(2**63), "9" * 40])
def test_a_number_that_no_alert_can_have_is_a_problem(desk: Desk, wrong: str) -> None:
    answer = desk.get(f"/api/alerts/{wrong}")
    assert answer.status_code in (400, 404), answer.text


def test_a_copy_is_seen_and_cannot_be_answered(client: Client, road: Road) -> None:
    road.child(AMARA, home=SOUTHWARK)
    found = Place(place="Camden Lock", borough=CAMDEN)
    road.officer("lam", CAMDEN).writes(AMARA, danger_now=True, found_at=found)
    home = person(client, "home", borough=SOUTHWARK)
    [alert] = listed(home)
    assert alert["is_copy"] and alert["borough"] == CAMDEN
    answer = home.post(f"/api/alerts/{alert['alert_id']}/acknowledge", json={})
    assert_problem(answer, 403, "not-allowed")


def graded(desk: Desk, alert_id: int, **body: object) -> Any:
    usual = {"grade": "red", "rationale": "The injuries were seen at school"}
    return desk.post(f"/api/alerts/{alert_id}/grade", json=usual | body)


def test_a_grade_needs_a_rationale_and_a_lower_one_a_supervisor(client: Client, alert_id: int) -> None:
    rivera, boss = person(client, "rivera"), person(client, "boss", "supervisor")
    red = graded(rivera, alert_id, from_rev=1)
    assert (red.status_code, red.json()["grade"], red.json()["rev"]) == (200, "red", 2)
    stale = graded(boss, alert_id, grade="green", from_rev=1)
    problem = assert_problem(stale, 409, "conflict")
    assert problem["current"] == {"state": "open", "rev": 2}
    assert_problem(graded(rivera, alert_id, rationale="because"), 400, "invalid")
    assert_problem(graded(rivera, alert_id, rationale="          .          "), 400, "invalid")
    assert_problem(graded(rivera, alert_id, grade="purple"), 400, "invalid")
    refused = graded(rivera, alert_id, grade="amber")
    assert "supervisor" in assert_problem(refused, 403, "not-allowed")["detail"]
    lower = graded(boss, alert_id, grade="amber", rationale="Seen by a paediatrician today").json()
    assert (lower["grade"], lower["highest_grade"]) == ("amber", "red")
    steps = rivera.get(f"/api/alerts/{alert_id}").json()["steps"]
    assert [(step["kind"], step["grade"], step["detail"]) for step in steps][-2:] == [
        ("graded", "red", "green"),
        ("graded", "amber", "red"),
    ]
    child = rivera.get(f"/api/alerts/{alert_id}").json()["alert"]["child_id"]
    gradings = rivera.get(f"/api/children/{child}/timeline").json()["gradings"]
    assert [(one["by"], one["to_grade"], one["rationale"]) for one in gradings] == [
        ("rivera", "red", "The injuries were seen at school"),
        ("boss", "amber", "Seen by a paediatrician today"),
    ]


def test_nobody_grades_another_boroughs_alert(client: Client, alert_id: int) -> None:
    for desk in (person(client, "lee", borough=CAMDEN), person(client, "sam", "scrutiny", None)):
        assert_problem(graded(desk, alert_id), 403, "not-allowed")
