"""The supervisor's page and its figures as CSV: by borough, and of nobody by name."""

from __future__ import annotations

import csv
import io
import uuid

import pytest

from server.casework.facts import MINUTE_MS
from server.console.pages.overview import measures
from server.http.overview import CSV_COLUMNS, as_csv
from server.records import quarantine
from server.records.figures import WEEKS_SHOWN, Week
from server.storage import Store
from tests.console.kit import Browser, text, titles
from tests.http.kit import Client, add_person, services_of
from tests.phones import enrolled
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, Road
from tests.test_releasing import revoked


@pytest.fixture
def whitfield(client: Client) -> Browser:
    return Browser(client, add_person(client, "whitfield", role="supervisor"))


def test_what_waits_and_what_was_lost_is_on_the_page_with_a_table_for_each_chart(
    whitfield: Browser, road: Road
) -> None:
    road.child(AMARA)
    road.officer().writes(AMARA, danger_now=True)
    page = whitfield.get("/overview").text
    said = text(page)
    assert "1 unacknowledged" in said and "Lambeth" in said and "In danger now" in said
    assert page.count('<svg class="multiple__chart') == page.count('class="figures"') - 1 == 5
    assert titles(page) == ["Overview \N{EN DASH} Earlysign"]
    assert "PC Okafor" not in said, "figures are of boroughs, not of officers"


def test_a_phone_that_owes_a_note_is_named_with_what_it_owes(
    whitfield: Browser, road: Road, client: Client
) -> None:
    officer = road.officer()
    officer.seq = 2
    officer.writes(AMARA)
    services_of(client).store.write_now(
        lambda tx: tx.execute(
            "INSERT INTO device (device_id, thumbprint, public_key, person, name, borough, role, status, enrolled_at)"
            " VALUES (:id, :print, '{}', (SELECT MIN(id) FROM person), 'Ward phone 4', 'E09000022', 'ward_officer',"
            " 'active', 1)",
            {"id": officer.identity.device_id, "print": uuid.uuid4().hex},
        )
    )
    said = text(whitfield.get("/overview").text)
    assert "This phone owes notes 1 to 2." in said and "Ward phone 4" in said


def test_what_was_set_aside_is_told_to_those_who_answer_for_the_officer(
    whitfield: Browser, road: Road, client: Client
) -> None:
    officer, elsewhere = enrolled(road, "okafor", LAMBETH), enrolled(road, "banks", CAMDEN)
    line, other = officer.note(AMARA)[1], officer.note(AMARA)
    revoked(officer, line)
    officer.push(b"{broken", other[1])
    officer.push(other[1].replace(b"bus", b"bas"))  # damaged on its way: it comes again by itself
    revoked(elsewhere, elsewhere.note(JONAS)[1])
    page = text(whitfield.get("/overview").text)
    assert "2 entries of PC Okafor" in page or "2 entries of okafor" in page.lower()
    assert "banks" not in page.lower() and "Amara" not in page.split("Set aside")[1].split("How often")[0]
    (found,) = whitfield.get("/api/overview").json()["set_aside"]
    assert (found["device_id"], found["entries"], found["borough"]) == (
        officer.identity.device_id,
        2,
        LAMBETH,
    )
    assert "Hours set aside" in page
    metrics, store = services_of(client).metrics, services_of(client).store
    now = found_at(store) + 90_000
    shown = metrics.render(set_aside=store.read_now(quarantine.standing), now=now).decode()
    assert "earlysign_set_aside_waiting 4.0" in shown and "earlysign_set_aside_oldest_seconds 90.0" in shown
    assert "earlysign_set_aside_released_seconds_total 0.0" in shown


def found_at(store: Store) -> int:
    """When the first of what was set aside came."""
    return int(store.read_now(lambda tx: tx.value("SELECT MIN(received_at) FROM quarantine")))


def test_an_investigator_has_no_such_page_and_no_such_figures(rivera: Browser) -> None:
    assert rivera.get("/overview").status_code == 403
    assert rivera.get("/api/overview.csv").status_code == 403
    assert "/overview" not in rivera.get("/alerts").text


def test_the_csv_has_the_own_boroughs_and_names_nobody(whitfield: Browser, road: Road) -> None:
    road.child(AMARA)
    road.child(JONAS, CAMDEN)
    road.officer().writes(AMARA)
    road.officer("lee", CAMDEN).writes(JONAS)
    answer = whitfield.get("/api/overview.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["borough"] for row in rows} == {"Lambeth"} and tuple(rows[0]) == CSV_COLUMNS
    assert sum(int(row["duties"]) for row in rows) == 1
    for name in ("Amara", "Okafor", "okafor", "whitfield"):
        assert name not in answer.text


@pytest.mark.parametrize("field", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_field_is_taken_for_a_formula(field: str) -> None:
    (row,) = list(csv.reader(io.StringIO(as_csv(["a"], [[field]]), newline="")))[1:]
    assert row[0] == f"'{field}"


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, "None in 8 weeks"), (1, "under 0.1 hours"), (6, "0.1 hours")]
)
def test_a_bar_that_is_there_is_not_said_to_be_nothing(minutes: int, said: str) -> None:
    weeks = [Week(borough=LAMBETH, week=number) for number in range(WEEKS_SHOWN)]
    weeks[3].idle_ms = minutes * MINUTE_MS
    (idle,) = [one for one in measures({LAMBETH: weeks}, str, 0) if one.key == "idle"]
    assert idle.charts[0].said.startswith(said)
