"""The doors for transfers, calls to other forces and open cases."""

from __future__ import annotations

from server.clock import now_ms
from tests.http.kit import Client, Desk, add_person, services_of
from tests.road import AMARA, SOUTHWARK, Road

WHY = "The child moved to an aunt in Peckham"


def test_offer_list_and_answer(client: Client) -> None:
    rivera = Desk(client, add_person(client, "rivera"))
    osei = Desk(client, add_person(client, "osei", borough=SOUTHWARK))
    road = Road(services_of(client).store)
    road.now = now_ms()
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    alert = road.alerts_of(child)[-1].alert_id
    made = rivera.post(f"/api/alerts/{alert}/transfer", json={"to": SOUTHWARK, "reason": WHY})
    assert made.status_code == 201
    again = rivera.post(f"/api/alerts/{alert}/transfer", json={"to": SOUTHWARK, "reason": WHY})
    assert again.status_code == 409 and "waits for an answer" in again.json()["detail"]
    (seen,) = osei.get("/api/transfers").json()["transfers"]
    assert (seen["alert_id"], seen["reason"]) == (alert, WHY)
    door = f"/api/transfers/{seen['transfer_id']}/answer"
    assert rivera.post(door, json={"answer": "accepted"}).status_code == 403
    assert osei.post(door, json={"answer": "accepted"}).status_code == 200
    assert osei.get(f"/api/alerts/{alert}").json()["alert"]["borough"] == SOUTHWARK
    assert osei.get("/api/transfers").json() == {"transfers": []}


def test_cases_and_calls(client: Client) -> None:
    rivera = Desk(client, add_person(client, "rivera"))
    road = Road(services_of(client).store)
    road.now = now_ms()
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    door = f"/api/children/{child}/case"
    assert rivera.post(door, json={"what": "open"}).status_code == 400
    opened = rivera.post(door, json={"what": "open", "lead": "rivera", "reason": "Section 47 enquiry"})
    assert [one["lead"] for one in opened.json()["cases"]] == ["rivera"]
    assert rivera.post(door, json={"what": "open", "lead": "rivera", "reason": "Twice"}).status_code == 409
    call = {"force": "Kent Police", "spoke_to": "Sgt 412", "said": "They go"}
    alert = road.alerts_of(child)[-1].alert_id
    assert rivera.post(f"/api/alerts/{alert}/other-force", json=call).status_code == 403


def test_the_case_of_a_restricted_child_is_shown_with_a_reason_alone(client: Client) -> None:
    rivera = Desk(client, add_person(client, "rivera"))
    osei = Desk(client, add_person(client, "osei", borough=SOUTHWARK))
    child = Road(services_of(client).store).child(AMARA, restricted=True)
    door, why = f"/api/children/{child}/case", "On call tonight, asked by the duty inspector"
    opening = {"what": "open", "lead": "rivera", "reason": "Section 47 enquiry", "sight": why}
    assert rivera.post(door, json=opening).status_code == 200
    assert "Section 47" not in rivera.get(door).text and rivera.get(door).status_code == 403
    (case,) = rivera.get(door, headers={"x-access-reason": why}).json()["cases"]
    assert case["opened_by"] == "rivera" and [one["lead"] for one in case["leads"]] == ["rivera"]
    assert osei.get(door, headers={"x-access-reason": why}).status_code == 403


def test_a_case_is_found_by_any_record_of_its_child(client: Client) -> None:
    rivera = Desk(client, add_person(client, "rivera", role="supervisor"))
    road = Road(services_of(client).store)
    one, other = road.child(AMARA), road.child(AMARA)
    merged = rivera.post(
        f"/api/children/{one}/merge", json={"other_id": other, "reason": "The same guardian"}
    )
    assert merged.status_code == 200, merged.text
    opening = {"what": "open", "lead": "rivera", "reason": "Section 47 enquiry"}
    assert rivera.post(f"/api/children/{other}/case", json=opening).status_code == 200
    for record in (one, other):
        (case,) = rivera.get(f"/api/children/{record}/case").json()["cases"]
        assert case["lead"] == "rivera"
    closing = {"what": "close", "reason": "Enquiry ended, early help"}
    (closed,) = rivera.post(f"/api/children/{other}/case", json=closing).json()["cases"]
    assert closed["closed_by"] == "rivera"
