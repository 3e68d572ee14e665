"""The doors for scrutiny: announce, draw, look, review; and that each look is in the log."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
from typing import Any

import pytest

from server.clock import now_ms
from server.records import sampling
from tests.http.kit import Client, Desk, add_person, assert_problem, services_of
from tests.road import AMARA, Road, somebody

DOOR = "/api/scrutiny/samples"
ASKED = {
    "first_day": "2026-01-01",
    "last_day": "2199-01-01",
    "per_stratum": 2,
    "public_source": "The lottery of 5 December",
}


@pytest.fixture
def quill(client: Client) -> Desk:
    return Desk(client, add_person(client, "quill", role="scrutiny", borough=None))


@pytest.fixture
def closed(client: Client, desk: Desk) -> int:
    """An alert that was closed, and sample 1, which may be drawn."""
    road = Road(services_of(client).store)
    road.now = now_ms()
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    alert: int = road.alerts_of(child)[-1].alert_id
    desk.post(f"/api/alerts/{alert}/close", json={"decision": "Spoken to the school"})
    road.store.write_now(
        lambda tx: tx.execute("UPDATE alert SET closed_at = :at", {"at": road.now - 1})  # before now
    )
    road.store.write_now(
        lambda tx: sampling.announce(
            tx, somebody("quill", "scrutiny", None), secret="ab" * 32, closed_from=0, closed_before=road.now,
            per_stratum=1, public_source="The lottery", now=road.now,
        )
    )  # fmt: skip
    return alert


def looked(client: Client, username: str) -> list[tuple[Any, ...]]:
    """(verb, kind) of what somebody did, oldest first."""
    return services_of(client).store.read_now(
        lambda tx: tx.rows(
            "SELECT verb, kind FROM audit_entry WHERE actor_id = :actor ORDER BY position",
            {"actor": username},
        )
    )


def test_an_announced_sample_keeps_its_secret_and_waits_for_its_last_day(quill: Desk) -> None:
    made = quill.post(DOOR, json=ASKED)
    assert made.status_code == 201 and made.json()["secret"] is None and len(made.json()["commitment"]) == 64
    begins = datetime.datetime.fromisoformat(made.json()["closed_from"])
    assert begins == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert [one["sample_id"] for one in quill.get(DOOR).json()["samples"]] == [1]
    assert_problem(quill.post(f"{DOOR}/1/draw", json={"public_value": "7"}), 409, "conflict")
    assert quill.get(f"{DOOR}/1").json()["items"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"last_day": "2025-12-31"},
        {"first_day": "1999-12-31"},
        {"per_stratum": 0},
        {"per_stratum": sampling.PER_STRATUM_MAX + 1},
        {"public_source": "short"},
        {"more": 1},
    ],
)
def test_what_is_wrong_is_announced_to_nobody(quill: Desk, wrong: dict[str, object]) -> None:
    assert_problem(quill.post(DOOR, json=ASKED | wrong), 400, "invalid")
    assert quill.get(DOOR).json()["samples"] == []


def test_anybody_can_draw_a_sample_again_from_what_is_published(quill: Desk, closed: int) -> None:
    assert quill.get(f"{DOOR}/1/pool.csv").text.split() == ["alert,borough_code,grade"], (
        "nothing before it is drawn"
    )
    drawn = quill.post(f"{DOOR}/1/draw", json={"public_value": "7 11 13"}).json()
    sheet = csv.DictReader(io.StringIO(quill.get(f"{DOOR}/1/pool.csv").text))
    pool = [(int(row["alert"]), row["borough_code"], row["grade"]) for row in sheet]
    again = sampling.drawn_from(pool, drawn["sample"]["secret"], "7 11 13", 1)
    assert [number for number, _, _ in again] == [one["alert_id"] for one in drawn["items"]] == [closed]
    assert_problem(quill.get(f"{DOOR}/2/pool.csv"), 403, "not-allowed")


def test_a_sample_is_drawn_once_and_each_case_reviewed(client: Client, quill: Desk, closed: int) -> None:
    drawn = quill.post(f"{DOOR}/1/draw", json={"public_value": "7 11 13"}).json()
    secret = drawn["sample"]["secret"]
    assert drawn["sample"]["commitment"] == hashlib.sha256(f"earlysign-dip-1:{secret}".encode()).hexdigest()
    assert [one["alert_id"] for one in drawn["items"]] == [closed]
    assert_problem(quill.post(f"{DOOR}/1/draw", json={"public_value": "8"}), 409, "conflict")
    case = quill.get(f"{DOOR}/1/cases/{closed}").json()
    assert case["alert"]["alert_id"] == closed and case["alike"] == []
    door = f"{DOOR}/1/cases/{closed}/review"
    found = {"outcome": "inadequate", "words": "The school was not asked about the sister"}
    assert_problem(quill.post(door, json=found | {"words": "x"}), 400, "invalid")
    assert quill.post(door, json=found).json()["outcome"] == "inadequate"
    assert quill.get(f"{DOOR}/1").json()["items"][0]["reviewed_by"] == "quill"
    missing = f"{DOOR}/1/cases/{closed + 1}"
    assert quill.get(missing).status_code == quill.post(f"{missing}/review", json=found).status_code == 403
    logged = looked(client, "quill")
    assert ("consultation", "alert") in logged and ("alteration", "dip_item") in logged


@pytest.mark.parametrize("path", ["", "/1", "/1/cases/1"])
def test_nobody_else_looks_at_samples(desk: Desk, closed: int, path: str) -> None:
    assert desk.get(DOOR + path).status_code == 403
    assert desk.post(DOOR, json=ASKED).status_code == 403
