"""The command as a person and as a script use it: words, exit codes, JSON."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import typer.testing
from cryptography.hazmat.primitives.asymmetric import ed25519

from client_stub.cli import app
from client_stub.cli.common import PASSPHRASE_VARIABLE, STORE_VARIABLE
from sync.envelope import Change, Wipe
from sync.operations import parse_envelope
from tests.client_stub.fake_server import FakeServer, serve
from tests.client_stub.kit import CODE, a_note

ROOT = Path(__file__).parents[2]


class Terminal:
    """Runs the command in this process against one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {STORE_VARIABLE: str(folder), PASSPHRASE_VARIABLE: "three random words"}
        self._runner = typer.testing.CliRunner()

    def __call__(self, *arguments: str, expect: int = 0, stdin: str | None = None) -> str:
        result = self._runner.invoke(app, list(arguments), env=self.environment, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == expect, result.output
        return result.output


@pytest.fixture
def server() -> FakeServer:
    fake = FakeServer()
    fake.now = time.time_ns() // 1_000_000
    return fake


@pytest.fixture
def address(server: FakeServer) -> Iterator[str]:
    with serve(server) as url:
        yield url


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "phone")


def test_a_day_with_the_phone(terminal: Terminal, server: FakeServer, address: str) -> None:
    said = terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    assert "Enrolled for PC Jones" in said and "NOT encrypted" in said
    assert "Nothing has been written" in terminal("status")
    said = terminal(
        "note", "--given-names", "Jay", "--age", "13", "--saw", "He seemed streetwise", "--category", "county",
        "--place", "Peckham bus station", "--danger-now", "--observed", "14:05", "--also", "missing",
    )  # fmt: skip
    assert "Consider" in said and "Kept on this device" in said
    assert "1 only on this device" in terminal("status", expect=1)
    assert "All sent" in terminal("sync")
    assert "All sent" in terminal("status")
    shown = json.loads(terminal("status", "--json").splitlines()[-1])
    note_id = shown["notes"][0]["id"]
    assert shown["all_sent"] and shown["notes"][0]["where"] == "Received"
    terminal("amend", note_id[:8], "--text", "His mother called.", "--reason", "news")
    terminal("withdraw", note_id[:8], "--reason", "wrong child")
    assert json.loads(terminal("sync", "--json").splitlines()[-1])["receipted"] == 2
    assert len(server.ledger) == 3
    assert "Nothing was wiped" in terminal("wipe", expect=2)
    assert "Wiped" in terminal("wipe", "--yes")
    assert "was wiped" in terminal("status", expect=2)


def test_a_category_of_a_newer_server_is_written_under_its_code_and_shown_in_its_words(
    terminal: Terminal, server: FakeServer, address: str
) -> None:
    labels = {"neglect": "Neglect", "other": "Other", "cuckooing": "Home taken over"}
    server.changes.append(
        Change(bucket="vocabulary", kind="word_list", id="categories", rev=2, data={"labels": labels})
    )
    terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    wanted = (
        "note",
        "--saw",
        "Two men I do not know in the flat",
        "--category",
        "cuckoo",
        "--given-names",
        "Jay",
    )
    assert "one of neglect" in terminal(*wanted, expect=2)
    terminal("sync")
    terminal(*wanted, "--also", "neglect")
    assert "Home taken over: Jay" in terminal("status", expect=1)
    terminal("sync")
    [(_, line)] = server.ledger.values()
    body = msgspec.json.decode(parse_envelope(line).body)
    assert (body["category"], body["other_categories"]) == ("cuckooing", ["neglect"])


def test_what_the_qr_code_holds_is_enough_to_enrol(
    terminal: Terminal, server: FakeServer, address: str
) -> None:
    assert "Enrolled" in terminal("enrol", "--server", f"{address}/enrol#code={CODE}", "--not-encrypted")
    assert server.devices


def test_with_a_passphrase_the_store_is_encrypted_and_says_so(
    terminal: Terminal, server: FakeServer, address: str
) -> None:
    assert "encrypted with your passphrase" in terminal("enrol", "--server", address, "--code", CODE)
    terminal("note", "--saw", "something")
    terminal.environment[PASSPHRASE_VARIABLE] = "not the right words"
    assert "passphrase is wrong" in terminal("note", "--saw", "x", expect=2)


def test_no_signal_is_exit_code_1_and_says_that_nothing_is_lost(
    terminal: Terminal, server: FakeServer
) -> None:
    with serve(server) as address:
        terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    terminal("note", "--saw", "something")
    said = terminal("sync", "--tries", "1", expect=1)
    assert "did not answer" in said and "1 only on this device" in said
    other = Terminal(terminal.folder.parent / "other")
    assert "did not answer" in other(
        "enrol", "--server", address, "--code", CODE, "--not-encrypted", expect=1
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status"], "no store"),
        (["note", "--saw", "x"], "Enrol this device first"),
        (["sync"], "Enrol this device first"),
        (["enrol", "--server", "http://far.away", "--code", "x"], "Only https"),
        (["enrol", "--server", "https://e.test"], "no code"),
        (["nonsense"], "No such command"),
        (["simulate", "/does/not/exist"], "cannot be read"),
    ],
)
def test_wrong_use_is_exit_code_2_with_a_hint(terminal: Terminal, arguments: list[str], words: str) -> None:
    said = " ".join(terminal(*arguments, expect=2).split())
    assert words in said


def test_a_folder_that_cannot_be_used_is_a_sentence(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for command in (["status"], ["enrol", "--server", "https://e.test", "--code", "x"]):
        said = " ".join(terminal(*command, "--store", str(tmp_path / "file"), expect=2).split())
        assert "file" in said and "Check the path" in said


def test_wrong_notes_are_exit_code_2_and_keep_nothing(
    terminal: Terminal, server: FakeServer, address: str, tmp_path: Path
) -> None:
    terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    assert "note is empty" in terminal("note", expect=2)
    assert "sex" in terminal("note", "--saw", "x", "--sex", "unknown", expect=2)
    assert "latitude" in terminal("note", "--saw", "x", "--latitude", "900", expect=2)
    assert "Category" in terminal("note", "--saw", "x", "--category", "nonsense", expect=2)
    assert "14:05" in terminal("note", "--saw", "x", "--observed", "soon", expect=2)
    assert "No note" in terminal("amend", "abc", "--text", "x", expect=2)
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    terminal("note", "--file", str(bad), expect=2)
    assert json.loads(terminal("status", "--json").splitlines()[-1])["notes"] == []


def test_a_whole_note_from_a_file_and_from_standard_input(
    terminal: Terminal, server: FakeServer, address: str, tmp_path: Path
) -> None:
    terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    body = msgspec.json.encode(a_note("from a file")).decode()
    (tmp_path / "note.json").write_text(body)
    terminal("note", "--file", str(tmp_path / "note.json"))
    terminal("note", "--file", "-", stdin=body)
    terminal("sync")
    assert [b"from a file" in line for line in server.notes.values()] == [True, True]


def test_simulate_enrols_writes_and_prints_a_summary(
    terminal: Terminal, server: FakeServer, address: str, tmp_path: Path
) -> None:
    server.codes |= {f"{n:016d}": f"officer.{n}" for n in range(3)}
    notes, codes = tmp_path / "notes.ndjson", tmp_path / "codes"
    notes.write_bytes(b"\n".join(msgspec.json.encode(a_note(str(n))) for n in range(9)))
    codes.write_text("".join(f"{n:016d}\n" for n in range(3)))
    said = terminal(
        "simulate", str(notes), "--codes", str(codes), "--server", address, "--cut", "0.3", "--seed", "4",
        "--not-encrypted", "--batch", "2",
    )  # fmt: skip
    summary = json.loads(said.splitlines()[-1])
    assert summary["phones"] == 3 and summary["written"] == summary["receipted"] == 9 and summary["all_sent"]
    assert len(server.notes) == 9


def test_a_script_gets_clean_json_on_standard_output(
    tmp_path: Path, server: FakeServer, address: str
) -> None:
    environment = os.environ | {
        STORE_VARIABLE: str(tmp_path / "p"),
        PASSPHRASE_VARIABLE: "three random words",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "client_stub", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert run("enrol", "--server", address, "--code", CODE).returncode == 0
    written = run("note", "--saw", "something", "--json")
    assert json.loads(written.stdout)["waiting"] == 1
    synced = run("sync", "--json")
    assert json.loads(synced.stdout)["all_sent"] and synced.returncode == 0


def test_receipts_are_checked_without_the_server(
    terminal: Terminal, server: FakeServer, address: str, tmp_path: Path
) -> None:
    terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    terminal("note", "--given-names", "Jay", "--saw", "Alone", "--category", "neglect", "--place", "Station")
    assert "0 signed for" in terminal("verify-receipts")
    terminal("sync")
    assert "1 signed for by the server, in 1 receipt; 0 wait" in terminal("verify-receipts")
    key = tmp_path / "key.json"
    key.write_bytes(msgspec.json.encode(server.public_key()))
    assert "1 signed for" in terminal("verify-receipts", "--key", str(key))
    other = FakeServer()
    other.key = ed25519.Ed25519PrivateKey.generate()
    key.write_bytes(msgspec.json.encode(other.public_key()))
    assert "1 without proof" in terminal("verify-receipts", "--key", str(key), expect=1)
    for content in (b"{}", b"", b'{"kid": "x', b"\xff\xfe\x00", b'{"kty": "RSA", "n": "AQAB", "e": "AQAB"}'):
        key.write_bytes(content)
        assert "no public key" in terminal("verify-receipts", "--key", str(key), expect=2)
    for unreadable in (tmp_path / "away.json", tmp_path):
        assert "cannot be read" in terminal("verify-receipts", "--key", str(unreadable), expect=2)


def test_a_wipe_by_hand_is_said_to_the_server_where_it_can_be_heard(
    terminal: Terminal, server: FakeServer, address: str
) -> None:
    terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    terminal("note", "--saw", "Alone", "--category", "neglect")
    assert "not wiped" in terminal("wipe", "--yes", expect=1)
    assert "Kept on this device" in terminal("note", "--saw", "Again", "--category", "neglect")
    terminal("sync")
    said = terminal("wipe", "--yes")
    assert "Wiped" in said and "no signal" not in said
    last = server.conditions[-1]
    assert (last.wipe, last.holds) == (Wipe.DONE, 0)


def test_a_wipe_by_hand_without_signal_says_that_nobody_has_heard_of_it(
    terminal: Terminal, server: FakeServer, tmp_path: Path
) -> None:
    with serve(server) as url:
        terminal("enrol", "--server", url, "--code", CODE, "--not-encrypted")
    assert "tell the administrator" in terminal("wipe", "--yes")
    assert "was wiped" in terminal("status", expect=2)


@pytest.mark.parametrize("years", [-3, 3])
def test_a_note_of_a_phone_whose_clock_is_years_off_is_dated_by_the_servers_time(
    terminal: Terminal, server: FakeServer, address: str, years: int
) -> None:
    server.now += years * 365 * 86_400_000
    terminal("enrol", "--server", address, "--code", CODE, "--not-encrypted")
    terminal("note", "--given-names", "Jay", "--age", "12", "--saw", "Alone", "--category", "neglect")
    terminal("sync")
    note_id = json.loads(terminal("status", "--json").splitlines()[-1])["notes"][0]["id"]
    terminal("note", "--given-names", "Jay", "--age", "12", "--saw", "Again", "--category", "neglect")
    terminal("amend", note_id, "--text", "more", "--reason", "news")
    terminal("withdraw", note_id, "--reason", "wrong child")
    terminal("sync")
    written = [json.loads(bytes(parse_envelope(line).body)) for _, line in server.ledger.values()]
    assert len(written) == 4
    for body in written:
        for at in filter(None, (body["recorded_at"], body.get("observed_at"))):
            said = datetime.datetime.fromisoformat(at).timestamp() * 1000
            assert abs(said - server.now) < 120_000, body


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["enrol"],
        ["note"],
        ["amend"],
        ["withdraw"],
        ["sync"],
        ["status"],
        ["verify-receipts"],
        ["wipe"],
        ["simulate"],
    ],
)
def test_every_command_explains_itself(terminal: Terminal, command: list[str]) -> None:
    assert len(terminal(*command, "--help")) > 300
