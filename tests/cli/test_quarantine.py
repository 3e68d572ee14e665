"""`earlysign quarantine` and `earlysign devices holdings | wipe`, on a database with a phone in it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from server.access import devices
from server.audit import Actor
from server.casework.days import LONDON
from server.clock import now_ms
from server.storage import open_store
from tests.cli.kit import data_option, run
from tests.phones import enrolled
from tests.road import AMARA, LAMBETH, Officer, Road
from tests.test_pulling import WARD, Phone
from tests.test_releasing import revoked


@pytest.fixture
def officer(tmp_path: Path) -> Officer:
    data = tmp_path / "data"
    assert run("people", "list", *data_option(data)).code == 0
    road = Road(open_store(str(data / "earlysign.db")))
    return enrolled(road, "okafor", LAMBETH, ward=WARD)


def close(officer: Officer) -> None:
    officer.road.store.close_now()


def test_what_was_set_aside_is_listed_shown_released_and_refused(tmp_path: Path, officer: Officer) -> None:
    data = data_option(tmp_path / "data")
    line = officer.note(AMARA)[1]
    revoked(officer, line)
    officer.push(b"{broken")
    close(officer)
    listed = run("quarantine", "list", *data).out
    assert "okafor" in listed and "Amara" not in listed
    assert "handed in by a phone that had been revoked" in run("quarantine", "show", "1", *data).out
    assert run("quarantine", "release", "1", *data).code == 0
    again = run("quarantine", "release", "1", *data)
    assert again.code == 1 and "decided before" in again.err
    unreadable = run("quarantine", "release", "2", *data)
    assert unreadable.code == 1 and "cannot be released" in unreadable.err
    assert run("quarantine", "refuse", "2", "--reason", "no", *data).code == 2
    assert run("quarantine", "refuse", "2", "--reason", "Not readable at all", *data).code == 0
    assert "refused" in run("quarantine", "list", "--decided", *data).out
    assert run("quarantine", "list", *data).out.strip() == "Nothing waits."


def test_who_was_on_a_lost_phone_with_the_names_that_somebody_may_see(
    tmp_path: Path, officer: Officer
) -> None:
    data = data_option(tmp_path / "data")
    for username, role, borough in (("rivera", "investigator", LAMBETH), ("root", "administrator", LAMBETH)):
        assert run("people", "add", username, "--role", role, "--borough", borough, *data).code == 0
    officer.road.child(AMARA)
    officer.writes(AMARA)
    phone = Phone(officer)
    phone.begins()
    phone.pulls()
    close(officer)
    device = officer.identity.device_id[:8]
    bare = run("devices", "holdings", device, *data).out
    assert "not known" in bare and "Amara" not in bare
    assert (
        "No child was on that phone"
        in run("devices", "holdings", device, "--at", "2020-01-01 14:05", *data).out
    )
    assert "Amara" in run("devices", "holdings", device, "--person", "rivera", *data).out
    assert "Amara" not in run("devices", "holdings", device, "--person", "root", *data).out
    assert f"{datetime.datetime.now(LONDON):%Y}" in bare, "the ledger is kept for years"
    for wrong in ("yesterday", "", "25:99", "2026-03-01", "2026-03-01T14:05+99:00"):
        refused = run("devices", "holdings", device, "--at", wrong, *data)
        assert refused.code == 2 and "is not a time" in refused.err, wrong
    to_come = run("devices", "holdings", device, "--at", "2100-01-01 14:05", *data)
    assert to_come.code == 2 and "still to come" in to_come.err
    in_summer = ("2025-07-01T13:05Z", "2025-07-01T15:05+02:00", "2025-07-01T14:05", "2025-07-01 14:05")
    for said in in_summer:
        assert "1 July 2025 14:05" in run("devices", "holdings", device, "--at", said, *data).out, said
    assert "holds 1" in " ".join(run("devices", "list", *data).out.split())
    assert run("devices", "wipe", device, "--yes", *data).code == 0
    assert "told before" in run("devices", "wipe", device, "--yes", *data).out
    store = open_store(str(tmp_path / "data" / "earlysign.db"))
    whole, actor = officer.identity.device_id, Actor("device", officer.identity.device_id)
    store.write_now(lambda tx: devices.wiped(tx, whole, actor=actor, now=now_ms()))
    store.close_now()
    again = run("devices", "wipe", device, "--yes", *data)
    assert again.code == 1 and "was wiped" in again.err
    assert "reads nothing either" in run("devices", "revoke", device, "--yes", *data).out


def test_doctor_says_who_owes_and_what_waits(tmp_path: Path, officer: Officer) -> None:
    data = data_option(tmp_path / "data")
    lines = [officer.note(AMARA)[1] for _ in range(4)]
    officer.push(lines[0], lines[3], b"{broken")
    close(officer)
    told = " ".join(run("doctor", *data).out.split())
    assert "1 phone owes 2 entries" in told and "1 wait for a person" in told
