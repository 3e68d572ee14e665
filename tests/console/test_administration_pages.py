"""The administrator's pages and doors: phones that owe and hold, revoke, wipe, and what was set aside."""

from __future__ import annotations

import pytest

from server.records import conditions, leases
from sync.envelope import Condition
from tests.console.kit import Browser, text
from tests.http.kit import Client, Desk, add_person, assert_problem
from tests.phones import enrolled
from tests.road import AMARA, LAMBETH, Officer, Road
from tests.test_pulling import WARD, Phone
from tests.test_releasing import revoked


@pytest.fixture
def admin(client: Client) -> Browser:
    return Browser(client, add_person(client, "root", role="administrator", borough=None))


@pytest.fixture
def officer(road: Road) -> Officer:
    """An officer whose phone owes a note, holds a child, and has a clock that is wrong."""
    found = enrolled(road, "okafor", LAMBETH, ward=WARD)
    road.child(AMARA)
    lines = [found.note(AMARA)[1] for _ in range(3)]
    found.push(lines[0], lines[2])
    phone = Phone(found)
    phone.begins()
    phone.pulls()
    said = Condition(wall=road.now - 240_000, monotonic=1, boot_id="b", offset=240_000, waiting=2, holds=1)
    road.store.write_now(lambda tx: conditions.said(tx, found.identity.device_id, said, now=road.now))
    return found


def test_a_phone_is_shown_with_what_it_owes_holds_and_how_its_clock_is_off(
    admin: Browser, officer: Officer
) -> None:
    words = text(admin.get("/phones").text)
    owed = ("1 phone with notes owed", "This phone owes note 2, and in all 2 entries that were only on it")
    for said in (*owed, "1 child", "4 min behind"):
        assert said in words
    assert "Amara" not in words
    (shown,) = admin.get("/api/phones", headers={"accept": "application/json"}).json()["phones"]
    assert (shown["gaps"], shown["holds"], shown["waiting"]) == ([[2, 2]], 1, 2)
    assert shown["clock_offset_ms"] == 240_000


def test_a_phone_is_wiped_and_revoked_from_the_page(admin: Browser, officer: Officer, road: Road) -> None:
    device_id = officer.identity.device_id
    answer = admin.send(f"/phones/{device_id}/wipe")
    assert "wipe itself" in admin.said(answer)
    assert "told to wipe since" in text(admin.get("/phones").text)
    assert admin.send(f"/phones/{device_id}/revoke").status_code == 303
    assert road.rows("SELECT status FROM device") == [("revoked",)]
    assert admin.send("/phones/nobody/revoke").status_code == 404


def test_holdings_at_a_time_by_number_and_logged(admin: Browser, officer: Officer, road: Road) -> None:
    address = f"/api/phones/{officer.identity.device_id}/holdings"
    json = {"headers": {"accept": "application/json"}}
    assert admin.get(f"{address}?at={road.now - 1}", **json).json()["children"] == []
    (child,) = admin.get(f"{address}?at={road.now}", **json).json()["children"]
    assert child["name"] is None and child["ended_at"] is None
    actors = road.rows("SELECT actor_id FROM audit_entry WHERE reason = 'holdings of a phone'")
    assert actors == [("root",), ("root",)]
    lent = road.store.read_now(lambda tx: leases.counts(tx))
    assert lent == {officer.identity.device_id: 1}


def test_what_was_set_aside_is_shown_without_its_words_and_released(
    admin: Browser, officer: Officer, road: Road
) -> None:
    note_id, line = officer.note(AMARA)
    revoked(officer, line)
    words = text(admin.get("/quarantine").text)
    assert "handed in by a phone that had been revoked" in words and "Ask the officer" in words
    assert "Amara" not in words and "bus station" not in words
    assert "gone the whole road" in admin.said(admin.send("/quarantine/1/release"))
    assert road.status_of(note_id)
    assert "Somebody else decided" in admin.said(admin.send("/quarantine/1/release"))
    assert "Released" in text(admin.get("/quarantine").text)


def test_what_cannot_be_released_says_why_and_is_refused_with_a_reason(
    admin: Browser, officer: Officer, road: Road
) -> None:
    officer.push(b"{broken")
    answer = admin.send("/quarantine/1/release")
    assert answer.status_code == 409 and "cannot be released" in text(answer.text)
    assert admin.send("/quarantine/1/refuse", reason="no").status_code == 422
    assert "bytes are kept" in admin.said(
        admin.send("/quarantine/1/refuse", reason="The officer wrote it again")
    )
    assert road.count("quarantine", "line IS NOT NULL") == 1


def test_the_doors_of_quarantine(client: Client, admin: Browser, officer: Officer) -> None:
    revoked(officer, officer.note(AMARA)[1])
    officer.push(b"{broken")
    desk = Desk(client, add_person(client, "root2", role="administrator", borough=None))
    waiting = desk.get("/api/quarantine").json()["waiting"]
    assert [one["held"]["code"] for one in waiting] == ["device_revoked", "not_an_op"]
    assert desk.post("/api/quarantine/1/release").json()["outcome"] == "applied"
    assert_problem(desk.post("/api/quarantine/1/release"), 409, "conflict")
    assert assert_problem(desk.post("/api/quarantine/2/release"), 409, "conflict")["code"] == "not_an_op"
    assert desk.post("/api/quarantine/2/refuse", json={"reason": "Not readable at all"}).status_code == 204


@pytest.mark.parametrize("path", ["/phones", "/quarantine", "/api/phones", "/api/quarantine"])
def test_only_administrators_come_here(rivera: Browser, path: str) -> None:
    assert rivera.get(path).status_code == 403
