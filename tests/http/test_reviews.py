"""The doors for reviews: the list, one field by field, each answer, and taking it back."""

from __future__ import annotations

from typing import Any

import pytest

from server.clock import now_ms
from sync.note import Subject
from tests.http.kit import Client, Desk, add_person, assert_problem, services_of
from tests.road import AMARA, CAMDEN, Road

DOUBTFUL = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)


@pytest.fixture
def road(client: Client) -> Road:
    road = Road(services_of(client).store)
    road.now = now_ms()
    return road


@pytest.fixture
def child(road: Road) -> int:
    return road.child(AMARA)


@pytest.fixture
def note_id(road: Road, child: int) -> str:
    return road.officer().writes(DOUBTFUL)


@pytest.fixture
def path(road: Road, note_id: str) -> str:
    return f"/api/reviews/{road.review_of(note_id).review_id}"


def test_the_list_has_those_that_wait_and_says_nothing_of_the_child(desk: Desk, path: str) -> None:
    answer = desk.get("/api/reviews")
    [row] = answer.json()
    assert path.endswith(str(row["review_id"]))
    assert row["closed_at"] is None
    assert "Amara" not in answer.text


def test_one_review_field_by_field(desk: Desk, path: str, child: int) -> None:
    whole = desk.get(path).json()
    assert whole["note"]["note"]["subjects"][0]["given_names"] == "Amara"
    [candidate] = whole["explained"]["candidates"]
    assert candidate["child_id"] == child
    fields = {field["name"]: field for field in candidate["fields"]}
    assert fields["given_names"]["outcome"] == "agree" and fields["given_names"]["weight"] > 0
    assert fields["address"] == {
        "name": "address",
        "label": "Address",
        "described": None,
        "described_read": None,
        "known": "14 Coldharbour Lane, SW9 8PR",
        "known_read": None,
        "outcome": "missing",
        "words": "not known on one side",
        "weight": 0.0,
        "rarity": 0.0,
        "remark": "",
        "now": None,
    }
    steps = candidate["steps"]
    assert steps[0]["comparison"] == "start" and steps[-1]["comparison"] == "total"
    assert steps[-1]["total"] == candidate["total_weight"]
    assert {"title", "label", "outcome", "weight", "total", "rarity", "remark"} < steps[1].keys()
    told = whole["explained"]
    assert told["why"] == "Not linked: only the name and an age or less agree."
    assert told["outcome"] == "review" and told["rule"] == "only the name and an age or less agree"
    assert told["margin"] is None and told["second_child_id"] is None
    assert told["decided_at"] == whole["decisions"][0]["at"]
    assert whole["known"][0]["details"]["school"] == "Stockwell Park High School"
    assert [decision["action"] for decision in whole["decisions"]] == ["review"]


def test_the_same_and_back(desk: Desk, road: Road, path: str, note_id: str, child: int) -> None:
    answer = desk.post(f"{path}/answer", json={"answer": "same", "child_id": child})
    assert answer.status_code == 200
    assert answer.json()["answer"] == f"same:{child}" and answer.json()["closed_by"] == "rivera"
    assert road.child_of(note_id) == child
    assert desk.get("/api/reviews").json() == []
    problem = assert_problem(desk.post(f"{path}/answer", json={"answer": "new"}), 409, "conflict")
    assert "undone" in problem["hint"]
    back = desk.post(f"{path}/undo", json={})
    assert back.json()["closed_at"] is None
    assert road.child_of(note_id) != child


@pytest.mark.parametrize("word", ["new", "cannot_tell"])
def test_answers_without_a_child(desk: Desk, path: str, word: str) -> None:
    answer = desk.post(f"{path}/answer", json={"answer": word})
    assert answer.status_code == 200 and answer.json()["answer"] == word
    assert desk.post(f"{path}/undo", json={}).json()["closed_at"] is None


def test_not_the_same_leaves_it_open(desk: Desk, path: str, child: int) -> None:
    answer = desk.post(f"{path}/answer", json={"answer": "not_same", "child_id": child})
    assert answer.json()["closed_at"] is None
    assert desk.get(path).json()["ruled_out"] == [child]
    same = desk.post(f"{path}/answer", json={"answer": "same", "child_id": child})
    assert_problem(same, 403, "not-allowed")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"answer": "maybe"},
        {"answer": "same"},
        {"answer": "same", "child_id": 0},
        {"answer": "same", "child_id": "somebody"},
        {"answer": "new", "child_id": 1},
        {"answer": "same", "child_id": 1, "sure": True},
        {"answer": "same", "child_id": 10**30},
    ],
)
def test_an_answer_that_means_nothing_is_a_problem(desk: Desk, path: str, body: dict[str, Any]) -> None:
    assert_problem(desk.post(f"{path}/answer", json=body), 400, "invalid")
    assert desk.get(path).json()["review"]["closed_at"] is None


def test_another_borough_sees_and_decides_nothing(client: Client, path: str) -> None:
    other = Desk(client, add_person(client, "other", borough=CAMDEN))
    assert other.get("/api/reviews").json() == []
    assert_problem(other.get(path), 403, "not-allowed")
    assert_problem(other.post(f"{path}/answer", json={"answer": "new"}), 403, "not-allowed")
    assert_problem(other.post(f"{path}/undo", json={}), 403, "not-allowed")


def test_a_role_that_decides_no_links_is_told_so(client: Client, path: str) -> None:
    desk = Desk(client, add_person(client, "team", role="scrutiny", borough=None))
    assert_problem(desk.get("/api/reviews"), 403, "not-allowed")
    assert_problem(desk.get(path), 403, "not-allowed")


def test_ruling_out_can_be_taken_back(desk: Desk, path: str, child: int) -> None:
    desk.post(f"{path}/answer", json={"answer": "not_same", "child_id": child})
    back = desk.post(f"{path}/answer", json={"answer": "maybe_same", "child_id": child})
    assert back.status_code == 200 and back.json()["closed_at"] is None
    assert desk.get(path).json()["ruled_out"] == []
    assert desk.post(f"{path}/answer", json={"answer": "same", "child_id": child}).status_code == 200


def test_a_restricted_record_is_opened_by_itself_and_not_through_a_review(
    desk: Desk, client: Client, road: Road
) -> None:
    child = road.child(AMARA, restricted=True)
    review = road.review_of(road.officer().writes(DOUBTFUL)).review_id
    answer = desk.get(f"/api/reviews/{review}")
    assert answer.json()["known"] == [] and "Coldharbour" not in answer.text
    [candidate] = answer.json()["explained"]["candidates"]
    assert candidate["child_id"] == child and candidate["withheld"] and candidate["steps"]
    assert_problem(desk.get(f"/api/children/{child}"), 403, "reason-needed")


def test_the_list_is_ordered_by_what_is_at_stake(desk: Desk, road: Road, path: str) -> None:
    urgent = road.officer("urgent").writes(DOUBTFUL, danger_now=True)
    rows = desk.get("/api/reviews").json()
    assert rows[0]["review_id"] == road.review_of(urgent).review_id
    assert [row["danger"] for row in rows] == [True, False]
    assert rows[0]["noted_at"] and rows[0]["urgency"] == 3


def test_the_metrics_count_what_linkage_made_of_subjects_and_name_nobody(client: Client, path: str) -> None:
    shown = client.get("/metrics", headers={"authorization": "Bearer metrics-for-tests"})
    assert 'earlysign_subjects_total{identifiable="no",outcome="review"} 1.0' in shown.text
    assert "Amara" not in shown.text and "okafor" not in shown.text
