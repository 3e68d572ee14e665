"""The doors for merging: one child, two children, and back again."""

from __future__ import annotations

from typing import Any

import pytest

from server.clock import now_ms
from server.records import merges
from tests.http.kit import Client, Desk, add_person, assert_problem, services_of
from tests.road import AMARA, CAMDEN, JONAS, REGISTRY, Road

WHY = "same guardian on the phone"


@pytest.fixture
def road(client: Client) -> Road:
    road = Road(services_of(client).store)
    road.now = now_ms()
    return road


@pytest.fixture
def two(road: Road) -> tuple[int, int]:
    return road.child(AMARA), road.child(AMARA)


def test_merged_and_back(desk: Desk, road: Road, two: tuple[int, int]) -> None:
    one, other = two
    note_id = road.officer().writes(JONAS)
    third = road.child_of(note_id)
    done = desk.post(f"/api/children/{third}/merge", json={"other_id": one, "reason": WHY})
    assert done.status_code == 200, done.text
    assert done.json()["child_id"] == one
    for child_id in (one, third):
        whole = desk.get(f"/api/children/{child_id}").json()
        assert whole["child"]["child_id"] == one and whole["child"]["record_ids"] == [one, third]
        assert len(whole["flags"]) == 1
    timeline = desk.get(f"/api/children/{third}/timeline").json()
    assert [note["link"]["child_id"] for note in timeline["notes"]] == [third]
    assert [event["action"] for event in timeline["merges"]] == ["merge"]
    again = desk.post(f"/api/children/{one}/merge", json={"other_id": third, "reason": WHY})
    assert "open" in assert_problem(again, 409, "conflict")["hint"].lower()
    event = {"event_id": done.json()["event_id"]}
    assert_problem(desk.post(f"/api/children/{other}/unmerge", json=event), 403, "not-allowed")
    back = desk.post(f"/api/children/{one}/unmerge", json=event)
    assert back.status_code == 200, back.text
    assert desk.get(f"/api/children/{third}").json()["child"]["record_ids"] == [third]
    assert_problem(desk.post(f"/api/children/{one}/unmerge", json=event), 409, "conflict")


def test_two_children_and_back(desk: Desk, two: tuple[int, int]) -> None:
    one, other = two
    body = {"other_id": other, "reason": "two cousins"}
    done = desk.post(f"/api/children/{one}/not-the-same", json=body)
    assert done.status_code == 200
    refused = desk.post(f"/api/children/{one}/merge", json=body)
    assert "Undo" in assert_problem(refused, 409, "conflict")["hint"]
    [found] = desk.get(f"/api/children/{one}/duplicates").json()["duplicates"]
    assert found["apart"] is True and found["child"]["child_id"] == other
    undone = desk.post(f"/api/merges/{done.json()['event_id']}/undo", json={})
    assert undone.status_code == 200
    assert desk.post(f"/api/children/{one}/merge", json=body).status_code == 200


def test_records_that_may_be_the_same_are_shown_field_by_field(desk: Desk, two: tuple[int, int]) -> None:
    one, other = two
    found = desk.get(f"/api/children/{one}/duplicates").json()
    assert found["elsewhere"] == 0
    [duplicate] = found["duplicates"]
    assert duplicate["child"]["child_id"] == other and duplicate["apart"] is False
    fields = {field["name"]: field["outcome"] for field in duplicate["compared"]["fields"]}
    assert fields["given_names"] == fields["date_of_birth"] == "agree"


def test_what_another_borough_has_is_counted_and_not_shown(desk: Desk, road: Road) -> None:
    one = road.child(AMARA)
    road.child(AMARA, CAMDEN)
    found = desk.get(f"/api/children/{one}/duplicates").json()
    assert found["duplicates"] == [] and found["elsewhere"] == 1


def test_a_provisional_record_is_confirmed(desk: Desk, road: Road) -> None:
    child_id = road.child_of(road.officer().writes(AMARA))
    done = desk.post(f"/api/children/{child_id}/confirm", json={"reason": "I met her"})
    assert done.status_code == 200
    assert desk.get(f"/api/children/{child_id}").json()["child"]["standing"] == "known"
    twice = desk.post(f"/api/children/{child_id}/confirm", json={"reason": "I met her"})
    assert_problem(twice, 409, "conflict")


def test_a_proposal_is_listed_answered_and_waits_again(desk: Desk, road: Road, two: tuple[int, int]) -> None:
    proposal = road.store.write_now(
        lambda tx: merges.propose(
            tx,
            REGISTRY,
            *two,
            probability=0.98,
            weight=12.5,
            evidence=None,
            reason="all agrees",
            now=road.now,
        )
    )
    [row] = desk.get("/api/merges/proposals").json()
    assert row["proposal_id"] == proposal and row["child_ids"] == list(two)
    path = f"/api/merges/proposals/{proposal}/answer"
    done = desk.post(path, json={"answer": "same"})
    assert done.status_code == 200 and done.json()["child_id"] == two[0]
    assert desk.get("/api/merges/proposals").json() == []
    assert_problem(desk.post(path, json={"answer": "same"}), 409, "conflict")
    desk.post(f"/api/merges/{done.json()['event_id']}/undo", json={})
    assert len(desk.get("/api/merges/proposals").json()) == 1


def test_a_restricted_record_asks_why(desk: Desk, road: Road) -> None:
    one, other = road.child(AMARA), road.child(JONAS, restricted=True)
    body: dict[str, Any] = {"other_id": other, "reason": WHY}
    assert_problem(desk.post(f"/api/children/{one}/merge", json=body), 403, "reason-needed")
    body["access_reason"] = "the court asked today"
    assert desk.post(f"/api/children/{one}/merge", json=body).status_code == 200
    assert_problem(desk.get(f"/api/children/{one}"), 403, "reason-needed")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"other_id": 1},
        {"reason": WHY},
        {"other_id": 0, "reason": WHY},
        {"other_id": "somebody", "reason": WHY},
        {"other_id": 10**30, "reason": WHY},
        {"other_id": 2, "reason": "x"},
        {"other_id": 2, "reason": "a\0b"},
        {"other_id": 2, "reason": WHY, "sure": True},
    ],
)
@pytest.mark.parametrize("door", ["merge", "not-the-same"])
def test_a_request_that_means_nothing_is_a_problem(
    desk: Desk, road: Road, two: tuple[int, int], door: str, body: dict[str, Any]
) -> None:
    assert_problem(desk.post(f"/api/children/{two[0]}/{door}", json=body), 400, "invalid")
    assert road.count("merge_event") == 0


def test_another_borough_and_another_role_decide_nothing(client: Client, two: tuple[int, int]) -> None:
    body = {"other_id": two[1], "reason": WHY}
    other = Desk(client, add_person(client, "other", borough=CAMDEN))
    team = Desk(client, add_person(client, "team", role="scrutiny", borough=None))
    for desk in (other, team):
        for door in ("merge", "not-the-same"):
            assert_problem(desk.post(f"/api/children/{two[0]}/{door}", json=body), 403, "not-allowed")
        assert_problem(desk.get(f"/api/children/{two[0]}/duplicates"), 403, "not-allowed")
    assert other.get("/api/merges/proposals").json() == []
    assert_problem(team.get("/api/merges/proposals"), 403, "not-allowed")
