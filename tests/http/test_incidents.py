"""The doors for saying which notes tell of one event."""

from __future__ import annotations

import pytest

from server.clock import now_ms
from sync.vocabulary import Category
from tests.http.kit import Client, Desk, add_person, assert_problem, services_of
from tests.road import AMARA, CAMDEN, Road

WHY = "The same evening, says the mother"


@pytest.fixture
def road(client: Client) -> Road:
    road = Road(services_of(client).store)
    road.now = now_ms()
    return road


def test_joined_parted_and_taken_back(desk: Desk, road: Road) -> None:
    child = road.child(AMARA)
    notes = []
    for name, category in (("lam", Category.KNIFE), ("khan", Category.NEGLECT)):
        notes.append(road.subject_of(road.officer(name).writes(AMARA, category=category)))
        road.passes(hours=30)

    def rules() -> set[str]:
        return {key for key in road.flags_of(child) if key != "concern"}

    assert rules() == {"sources_several"}
    body = {"subject_id": notes[0], "reason": WHY}
    done = desk.post("/api/incidents/join", json=body | {"other_id": notes[1]})
    assert (done.status_code, done.json()) == (200, {"child_id": child})
    assert rules() == set()
    assert desk.post("/api/incidents/undo", json=body).status_code == 200
    assert rules() == {"sources_several"}
    assert desk.post("/api/incidents/part", json=body).status_code == 200
    assert road.value("SELECT apart FROM subject WHERE subject_id = :s", s=notes[0]) == 1
    assert_problem(desk.post("/api/incidents/join", json=body | {"other_id": 999_999}), 403, "not-allowed")
    assert_problem(desk.post("/api/incidents/part", json={"subject_id": notes[0]}), 400, "invalid")


def test_of_a_restricted_record_a_reason_is_asked_and_elsewhere_there_is_none(
    client: Client, desk: Desk, road: Road
) -> None:
    road.child(AMARA)
    subject = road.subject_of(road.officer().writes(AMARA))
    road.store.write_now(lambda tx: tx.execute("UPDATE child SET restricted = 1"))
    body = {"subject_id": subject, "reason": WHY}
    assert_problem(desk.post("/api/incidents/part", json=body), 403, "reason-needed")
    answer = desk.post("/api/incidents/part", json=body | {"access_reason": "the court asked today"})
    assert answer.status_code == 200
    other = Desk(client, add_person(client, "lee", borough=CAMDEN))
    assert_problem(other.post("/api/incidents/part", json=body), 403, "not-allowed")
