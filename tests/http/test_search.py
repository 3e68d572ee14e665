"""The door for search: the answer as data, and what it must not say."""

from __future__ import annotations

import pytest

from server.clock import now_ms
from server.records import search
from tests.http.kit import Client, Desk, add_person, assert_problem, enrolled_phone, services_of
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, Road


@pytest.fixture
def road(client: Client) -> Road:
    road = Road(services_of(client).store)
    road.now = now_ms()
    return road


def test_a_child_is_found_by_text_and_by_fields(desk: Desk, road: Road) -> None:
    child = road.child(AMARA)
    road.child(JONAS)
    road.officer().writes(AMARA)
    answer = desk.post("/api/search", json={"text": "amarah okonkwo 4/3/2012"}).json()
    assert answer["searched_for"] == [
        {"label": "name, school or street", "value": "amarah okonkwo"},
        {"label": "born", "value": "4 March 2012"},
    ]
    (hit,) = answer["hits"]
    assert (hit["child_id"], hit["standing"], hit["owner_borough"]) == (child, "known", LAMBETH)
    assert hit["probability"] > 0.5 and hit["weight"] > 10 and hit["open_alerts"] == ["green"]
    assert {"field": "Date of birth", "outcome": "agree", "words": "the same day"} in hit["evidence"]
    assert (answer["fitting"], answer["more"], answer["ask_boroughs"]) == (0, 0, [])
    assert answer["restricted_left_out"] is True
    for fields in ({"postcode": "sw9 8pr"}, {"date_of_birth": "2012-03-04"}, {"reference": str(child)}):
        assert [hit["child_id"] for hit in desk.post("/api/search", json=fields).json()["hits"]] == [child]


def test_another_borough_is_named_and_nothing_else_of_the_child(client: Client, road: Road) -> None:
    child = road.child(AMARA)
    other = Desk(client, add_person(client, "other", borough=CAMDEN))
    answer = other.post("/api/search", json={"text": "amara okonkwo 4/3/2012"})
    assert answer.json()["ask_boroughs"] == [LAMBETH] and answer.json()["hits"] == []
    for said in ("Okonkwo", "Coldharbour", "SW9", f'"child_id":{child}'):
        assert said not in answer.text


def test_a_restricted_record_needs_its_reason(desk: Desk, road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    asked = {"text": "amara okonkwo 4/3/2012"}
    assert desk.post("/api/search", json=asked).json()["hits"] == []
    given = desk.post("/api/search", json=asked | {"access_reason": "asked by the court today"}).json()
    assert [hit["child_id"] for hit in given["hits"]] == [child] and given["hits"][0]["restricted"]
    assert given["restricted_left_out"] is False


def test_who_may_not_search_is_refused(client: Client, road: Road) -> None:
    clerk = Desk(client, add_person(client, "clerk", role="administrator", borough=None))
    assert_problem(clerk.post("/api/search", json={"text": "amara"}), 403, "not-allowed")
    phone = enrolled_phone(client, "okafor")
    refused = phone.post("/api/search", json={"text": "amara"})
    assert refused.status_code in (401, 403)


def test_what_makes_no_sense_is_a_problem_and_repeats_nothing(desk: Desk) -> None:
    for body in ({"age": 300}, {"date_of_birth": "4/3/2012"}, {"surname": "Okonkwo"}, {"text": "x" * 301}):
        problem = assert_problem(desk.post("/api/search", json=body), 400, "invalid")
        assert "Okonkwo" not in str(problem)
    assert desk.post("/api/search", json={}).json()["hits"] == []
    assert desk.get("/api/search").status_code == 405


def test_too_many_searches_wait(desk: Desk, road: Road) -> None:
    now = now_ms()
    road.store.write_now(
        lambda tx: tx.executemany(
            "INSERT INTO search_use (person, at) VALUES ('rivera', :at)",
            [{"at": now}] * search.SEARCHES_PER_MINUTE_MAX,
        )
    )
    refused = desk.post("/api/search", json={"text": "amara"})
    problem = assert_problem(refused, 429, "too-many-attempts")
    assert 1 <= int(refused.headers["retry-after"]) <= 60 and "amara" not in str(problem)


def test_the_log_of_requests_holds_nothing_typed(
    desk: Desk, road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    road.child(AMARA)
    desk.post("/api/search", json={"text": "amara okonkwo", "access_reason": "asked by the court today"})
    said = "".join(capsys.readouterr()).lower()
    assert "okonkwo" not in said and "court" not in said
    rows = road.rows("SELECT * FROM audit_entry WHERE actor_id = 'rivera'")
    assert rows and "okonkwo" not in str(rows).lower() and "court" not in str(rows)
