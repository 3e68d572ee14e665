"""The doors for a child: the whole view, the timeline, markers, and undoing a link."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import quote

import pytest

from server.audit import Actor
from server.clock import now_ms
from server.records import registry
from sync.note import Subject
from sync.vocabulary import Category
from tests.http.kit import Client, Desk, add_person, assert_problem, services_of
from tests.road import AMARA, CAMDEN, Road

DOUBTFUL = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)
REASON = {"x-access-reason": quote("Schutzmaßnahme, asked by the teacher school")}


@pytest.fixture
def road(client: Client) -> Road:
    road = Road(services_of(client).store)
    road.now = now_ms()
    return road


def test_a_child_is_shown_whole_and_it_is_logged(desk: Desk, road: Road) -> None:
    child = road.child(AMARA, looked_after=True)
    note_id = road.officer().writes(AMARA)
    whole = desk.get(f"/api/children/{child}").json()
    assert whole["child"]["details"]["given_names"] == "Amara"
    assert whole["child"]["circumstances"]["looked_after"] is True
    assert [flag["note_ids"] for flag in whole["flags"]] == [[note_id]]
    assert [alert["state"] for alert in whole["alerts"]] == ["open"]
    where = "verb = 'consultation' AND kind = 'child' AND actor_id = 'rivera'"
    assert road.count("audit_entry", where) == 1


def test_a_child_that_has_left_the_registry_says_since_when(desk: Desk, road: Road) -> None:
    child = road.child(AMARA)
    assert desk.get(f"/api/children/{child}").json()["child"]["left_registry_at"] is None
    actor = Actor("system", "import")
    road.store.write_now(lambda tx: registry.leave(tx, actor, [child], now=1_772_539_200_000))
    shown = desk.get(f"/api/children/{child}").json()["child"]
    assert shown["left_registry_at"] == "2026-03-03T12:00:00Z"


def test_another_boroughs_child_is_as_if_there_were_none(client: Client, road: Road) -> None:
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    other = Desk(client, add_person(client, "other", borough=CAMDEN))
    there = assert_problem(other.get(f"/api/children/{child}"), 403, "not-allowed")
    nowhere = assert_problem(other.get(f"/api/children/{child + 99}"), 403, "not-allowed")
    assert there["detail"] == nowhere["detail"]
    assert_problem(other.get(f"/api/children/{child}/timeline"), 403, "not-allowed")
    marker = {"kind": "exploitation", "reason": "seen with older boys"}
    assert_problem(other.post(f"/api/children/{child}/markers", json=marker), 403, "not-allowed")


@pytest.mark.parametrize("role", ["ward_officer", "administrator", "auditor"])
def test_a_role_that_sees_no_children_sees_none(client: Client, road: Road, role: str) -> None:
    child = road.child(AMARA)
    desk = Desk(client, add_person(client, "other", role=role))
    for path in (f"/api/children/{child}", f"/api/children/{child}/timeline"):
        assert_problem(desk.get(path), 403, "not-allowed")


def test_a_restricted_record_asks_why_and_keeps_the_answer_out_of_the_trail(desk: Desk, road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    for path in (f"/api/children/{child}", f"/api/children/{child}/timeline"):
        problem = assert_problem(desk.get(path), 403, "reason-needed")
        assert "Amara" not in str(problem)
        assert_problem(desk.get(path, headers={"x-access-reason": "x"}), 403, "reason-needed")
        assert desk.get(path, headers=REASON).status_code == 200
    kept = road.rows("SELECT person, reason FROM restricted_reason")
    assert kept == [("rivera", "Schutzmaßnahme, asked by the teacher school")] * 2
    assert {row[0] for row in road.rows("SELECT reason FROM audit_entry WHERE actor_id = 'rivera'")} == {
        "restricted record"
    }


def test_the_timeline_tells_the_story_with_reasons(desk: Desk, road: Road) -> None:
    child = road.child(AMARA)
    officer = road.officer()
    first = officer.writes(AMARA)
    officer.sends(officer.amendment(first, text="His sister came too"))
    road.passes(hours=30)
    second = road.officer("lam").writes(AMARA, category=Category.MISSING)
    story = desk.get(f"/api/children/{child}/timeline").json()
    assert [note["note_id"] for note in story["notes"]] == [second, first]
    older = story["notes"][1]
    assert older["note"]["saw_or_heard"].startswith("Alone by the bus station")
    assert older["author_name"] == "PC Okafor"
    assert older["amendments"][0]["text"] == "His sister came too"
    assert older["link"]["automatic"] is True
    fields = {field["name"]: field for field in older["link"]["evidence"]["fields"]}
    assert fields["given_names"]["described"] == fields["given_names"]["known"] == "Amara"
    assert fields["given_names"]["outcome"] == "agree"
    assert story["flags"] and story["alerts"]
    assert [step["kind"] for step in story["steps"]][:1] == ["raised"]


def test_a_marker_is_kept_with_who_and_why_and_the_rules_look_again(desk: Desk, road: Road) -> None:
    child = road.child(AMARA, looked_after=True)
    road.officer().writes(AMARA)
    assert road.flags_of(child) == ["concern"]
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=90)
    body = {"kind": "exploitation", "reason": "Seen with older boys", "expires_at": until.isoformat()}
    answer = desk.post(f"/api/children/{child}/markers", json=body)
    assert answer.status_code == 201
    [marker] = desk.get(f"/api/children/{child}").json()["child"]["markers"]
    assert marker["marker_id"] == answer.json()["marker_id"]
    assert (marker["kind"], marker["author"]) == ("exploitation", "rivera")
    assert "looked_after_exploitation" in road.flags_of(child)
    assert road.alerts_of(child, "open")[-1].grade == "red"


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "exploitation"},
        {"kind": "Exploitation!", "reason": "seen with older boys"},
        {"kind": "exploitation", "reason": "x"},
        {"kind": "exploitation", "reason": "a\x00bcd"},
        {"kind": "exploitation", "reason": "seen with older boys", "expires_at": "2020-01-01T00:00:00Z"},
        {"kind": "exploitation", "reason": "seen with older boys", "expires_at": "2090-01-01T00:00:00"},
        {"kind": "exploitation", "reason": "seen with older boys", "colour": "red"},
    ],
)
def test_a_marker_that_is_wrong_is_a_problem(desk: Desk, road: Road, body: dict[str, Any]) -> None:
    child = road.child(AMARA)
    assert_problem(desk.post(f"/api/children/{child}/markers", json=body), 400, "invalid")
    assert road.count("marker") == 0


def test_a_link_is_undone_and_the_note_waits_for_review(desk: Desk, road: Road) -> None:
    child = road.child(AMARA)
    note_id = road.officer().writes(AMARA)
    subject = road.subject_of(note_id)
    answer = desk.post(f"/api/links/{subject}/undo", json={})
    assert answer.status_code == 200, answer.text
    assert road.child_of(note_id) != child
    assert [row["review_id"] for row in desk.get("/api/reviews").json()] == [answer.json()["review_id"]]
    assert desk.get(f"/api/children/{child}/timeline").json()["notes"] == []
    assert_problem(desk.post(f"/api/links/{subject + 99}/undo", json={}), 403, "not-allowed")


def test_undoing_a_link_of_a_restricted_record_asks_why(client: Client, desk: Desk, road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    note_id = road.officer().writes(DOUBTFUL)
    review = road.review_of(note_id)
    desk.post(f"/api/reviews/{review.review_id}/answer", json={"answer": "same", "child_id": child})
    path = f"/api/links/{review.subject_id}/undo"
    assert_problem(desk.post(path, json={}), 403, "reason-needed")
    assert desk.post(path, json={"access_reason": "linked by mistake"}).status_code == 200
    other = Desk(client, add_person(client, "other", borough=CAMDEN))
    assert_problem(other.post(path, json={}), 403, "not-allowed")
