"""The commands: what they do, what they say when they cannot, and their exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from server.access import people
from server.access.crypto import code_digest
from server.access.passwords import Passwords
from server.app import make_store
from server.audit.trail import entry_hash
from server.cli import GROUPS
from server.cli.devices import qr_text
from server.settings import Settings
from tests.cli.kit import data_option, run

CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def add_okafor(data: Path) -> str:
    """Add a schools officer; gives the password that was printed."""
    ran = run(
        "people", "add", "okafor", "--role", "schools_officer", "--borough", "lambeth", *data_option(data)
    )
    assert ran.code == 0, ran.err
    found = re.search(r"Password: (\S+)", ran.out)
    assert found is not None
    return found[1]


def test_a_person_is_added_with_a_password_that_is_printed_once(data: Path) -> None:
    password = add_okafor(data)
    store = make_store(Settings(data=data))
    stored = store.read_now(lambda tx: people.stored_hash(tx, "okafor"))
    person = store.read_now(lambda tx: people.find(tx, "okafor"))
    store.close_now()
    assert stored is not None and Passwords().verify_now(stored[1], password)
    assert person is not None and person.must_change and person.borough == "E09000022"
    listed = run("people", "list", *data_option(data))
    assert "okafor" in listed.out and "Schools officer" in listed.out and "Lambeth" in listed.out
    assert password not in listed.out


def test_a_password_may_come_from_standard_input_and_a_weak_one_is_refused(data: Path) -> None:
    arguments = ("people", "add", "cole", "--role", "auditor", "--password-stdin", *data_option(data))
    weak = run(*arguments, typed="short\n")
    assert weak.code == 1
    assert "12 characters" in weak.err
    assert run(*arguments, typed="three quite random words\n").code == 0
    listed = run("people", "list", *data_option(data))
    assert "must choose" not in listed.out


def test_a_username_that_is_taken_and_a_role_that_is_unknown_are_one_line_each(data: Path) -> None:
    add_okafor(data)
    taken = run("people", "add", "Okafor", "--role", "auditor", *data_option(data))
    assert (taken.code, taken.err.splitlines()[0]) == (1, "Error: That username is taken.")
    unknown = run("people", "add", "other", "--role", "chief", *data_option(data))
    assert unknown.code == 1
    assert "There is no role 'chief'." in unknown.err and "investigator" in unknown.err
    nowhere = run("people", "add", "other", "--role", "investigator", *data_option(data))
    assert "needs a borough" in nowhere.err
    elsewhere = run("people", "add", "x", "--role", "investigator", "--borough", "Leeds", *data_option(data))
    assert "There is no borough 'Leeds'." in elsewhere.err


def test_resetting_gives_a_new_password_and_closing_closes(data: Path) -> None:
    old = add_okafor(data)
    ran = run("people", "reset", "okafor", *data_option(data))
    assert ran.code == 0 and old not in ran.out and "Password: " in ran.out
    assert run("people", "reset", "okafor", "--close", *data_option(data)).code == 0
    assert "closed" in run("people", "list", *data_option(data)).out
    refused = run("devices", "enrol-code", "--officer", "okafor", *data_option(data))
    assert refused.code == 1 and "There is no such officer." in refused.err
    missing = run("people", "reset", "nobody", *data_option(data))
    assert missing.code == 1 and "There is no such person." in missing.err


def test_an_enrolment_code_is_printed_as_text_and_as_a_picture(data: Path) -> None:
    add_okafor(data)
    ran = run("devices", "enrol-code", "--officer", "okafor", "--ward", "E05014095", *data_option(data))
    assert ran.code == 0, ran.err
    found = CODE.search(ran.out)
    assert found is not None
    assert "\u2580" in ran.out or "\u2588" in ran.out
    assert "http://127.0.0.1:8000" in ran.out and "15 minutes" in ran.out
    store = make_store(Settings(data=data))
    kept = store.read_now(lambda tx: tx.row("SELECT code_sha256, ward FROM enrolment_code"))
    store.close_now()
    assert kept == (code_digest(found[0]), "E05014095")


def test_a_plain_enrolment_code_is_alone_on_its_line_for_scripts(data: Path) -> None:
    add_okafor(data)
    ran = run("devices", "enrol-code", "--officer", "okafor", "--plain", *data_option(data))
    assert CODE.fullmatch(ran.out.strip())


def test_the_code_in_the_picture_never_reaches_a_servers_log() -> None:
    address, _, fragment = qr_text("https://earlysign.example", "AAAA-BBBB-CCCC-DDDD").partition("#")
    assert "AAAA" not in address and "AAAA" in fragment


def test_a_phone_is_revoked_only_after_a_yes(data: Path) -> None:
    add_okafor(data)
    store = make_store(Settings(data=data))
    store.write_now(
        lambda tx: tx.execute(
            "INSERT INTO device (device_id, thumbprint, public_key, person, name, role, status, enrolled_at) "
            "VALUES ('3f2c0000-0000-4000-8000-000000000000', 't', '{}', 1, 'phone 7', 'schools_officer', "
            "'active', 1)"
        )
    )
    store.close_now()
    assert "phone 7" in run("devices", "list", *data_option(data)).out
    no = run("devices", "revoke", "3f2c", *data_option(data), typed="n\n")
    assert no.code == 1 and "Stopped." in no.err
    assert "revoked" not in run("devices", "list", *data_option(data)).out
    assert run("devices", "revoke", "3f2c", *data_option(data), typed="y\n").code == 0
    assert "revoked" in run("devices", "list", *data_option(data)).out
    assert "before" in run("devices", "revoke", "3f2c", "--yes", *data_option(data)).out
    assert "at least four" in run("devices", "revoke", "3f", "--yes", *data_option(data)).err
    assert run("devices", "revoke", "0000", "--yes", *data_option(data)).code == 1


def test_the_trail_is_handed_over_whole_or_of_one_child_and_says_to_whom(data: Path, tmp_path: Path) -> None:
    add_okafor(data)
    registry = tmp_path / "registry.csv"
    registry.write_text("child_id,given_names,family_name\nR1,Amara,Okonkwo\nR2,Jonas,Weber\n")
    assert run("import-children", str(registry), *data_option(data)).code == 0
    whole, one = tmp_path / "trail.jsonl", tmp_path / "child.jsonl"
    ran = run("audit", "export", "--to", "commissioner", "--out", str(whole), *data_option(data))
    assert ran.code == 0 and "went to commissioner" in ran.out
    assert whole.stat().st_mode & 0o777 == 0o600
    entries = [json.loads(line) for line in whole.read_text().splitlines()]
    assert [entry["position"] for entry in entries] == list(range(1, len(entries) + 1))
    assert "Amara" not in whole.read_text() and "Okonkwo" not in whole.read_text()
    ran = run("audit", "export", "--to", "sar-114", "--child", "2", "--out", str(one), *data_option(data))
    about = [json.loads(line) for line in one.read_text().splitlines()]
    assert ran.code == 0 and about, "the import is about it"
    assert all(entry["kind"] == "child" and '"2"' in entry["ids"] for entry in about)
    for entry in about:
        digest = entry.pop("hash")
        assert entry_hash(**{name: value for name, value in entry.items() if name != "position"}) == digest
    last = tmp_path / "last.jsonl"
    run("audit", "export", "--to", "x", "--after", str(len(entries)), "--out", str(last), *data_option(data))
    left = [json.loads(line) for line in last.read_text().splitlines()]
    assert [(entry["verb"], entry["ids"], entry["recipients"]) for entry in left] == [
        ("disclosure", f'["1-{len(entries)}"]', '["export:commissioner"]'),
        ("disclosure", '["child:2"]', '["export:sar-114"]'),
    ]
    again = run("audit", "export", "--to", "x", "--out", str(whole), *data_option(data))
    assert again.code == 1 and "is there already" in again.err
    assert "cannot stand" in run("audit", "export", "--to", "J. Smith", "--out", "x", *data_option(data)).err


def test_the_trail_of_these_commands_verifies_and_a_change_is_named(data: Path, tmp_path: Path) -> None:
    add_okafor(data)
    anchors = tmp_path / "anchors.txt"
    assert run("audit", "verify", "--save-anchor", str(anchors), *data_option(data)).code == 0
    assert run("audit", "verify", "--anchor", str(anchors), *data_option(data)).code == 0
    import sqlite3

    with sqlite3.connect(data / "earlysign.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE audit_entry SET actor_id = 'somebody' WHERE position = 1")
    connection.close()
    ran = run("audit", "verify", *data_option(data))
    assert ran.code == 1
    assert "Entry 1: changed." in ran.err
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert "holds no anchor" in run("audit", "verify", "--anchor", str(empty), *data_option(data)).err


def test_migrating_twice_is_safe(data: Path) -> None:
    assert "Applied 0001_initial" in run("migrate", *data_option(data)).out
    again = run("migrate", *data_option(data))
    assert again.code == 0 and "Applied" not in again.out


def test_linking_two_files_writes_the_decisions(tmp_path: Path) -> None:
    known, notes, links = tmp_path / "known.csv", tmp_path / "notes.csv", tmp_path / "links.csv"
    known.write_text(
        "child_id,given_names,family_name,date_of_birth,postcode\nc1,Amara,Okonkwo,2012-03-04,SE15 4QL\n"
    )
    notes.write_text(
        "note_id,observed_on,given_names,family_name,date_of_birth\nn1,2026-01-05,Zoe,Lindqvist,2015-09-09\n"
    )
    ran = run("link", "--known", str(known), "--notes", str(notes), "--out", str(links))
    assert ran.code == 0, ran.err
    assert "1 note against 1 known child" in ran.out
    assert links.read_text().splitlines()[0].startswith("note_id,decision,child_id")
    broken = run("link", "--known", str(tmp_path / "none.csv"), "--notes", str(notes), "--out", str(links))
    assert broken.code == 1 and broken.err.count("Error:") == 1 and "Traceback" not in broken.err


def test_every_command_teaches_with_examples() -> None:
    assert len(GROUPS) >= 7
    for command in (
        ["serve"],
        ["doctor"],
        ["migrate"],
        ["link"],
        ["people", "add"],
        ["people", "list"],
        ["people", "reset"],
        ["devices", "enrol-code"],
        ["devices", "list"],
        ["devices", "revoke"],
        ["audit", "verify"],
    ):
        ran = run(*command, "--help")
        assert ran.code == 0, ran.err
        assert "Examples" in ran.out and f"earlysign {' '.join(command)}" in ran.out, command


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["people", "add"], ["serve", "--port", "many"], ["people", "list", "--nope"]]
)
def test_a_command_used_wrongly_exits_with_2_and_no_stack_trace(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "Error" in ran.err and "Traceback" not in ran.err


def test_a_setting_that_cannot_be_used_exits_with_2(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("EARLYSIGN_PORT", "70000")
    ran = run("people", "list", *data_option(data))
    assert ran.code == 2 and "EARLYSIGN_PORT" in ran.err


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ran = run("people", "list", *data_option(file / "data"))
    assert ran.code == 1 and ran.err.startswith("Error:") and "Traceback" not in ran.err


def test_a_database_that_is_no_database_is_one_line(data: Path) -> None:
    data.mkdir()
    (data / "earlysign.db").write_bytes(b"this is not a database" * 100)
    ran = run("people", "list", *data_option(data))
    assert ran.code == 1 and ran.err.startswith("Error:") and "Traceback" not in ran.err
