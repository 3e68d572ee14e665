"""The doctor: every finding says what to do, and nothing is changed by looking."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from server.app import make_store
from server.cli import doctor
from server.cli.doctor import Finding, Verdict, examine
from server.clock import now_ms
from server.records.ledger import NEWEST_BACKUP, Backup
from server.settings import Settings
from tests.cli.kit import data_option, run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


def made(settings: Settings) -> Settings:
    """The settings of a database that is up to date."""
    store = make_store(settings)
    store.migrate()
    store.close_now()
    return settings


def found(settings: Settings, subject: str) -> Finding:
    """The finding about that subject; the worst, where there are several."""
    about = [finding for finding in examine(settings) if finding.subject == subject]
    return max(about, key=lambda finding: list(Verdict).index(finding.verdict))


def test_a_fresh_machine_has_warnings_only_and_nothing_is_made(settings: Settings) -> None:
    assert not any(
        finding.verdict is Verdict.FAIL for finding in examine(settings) if finding.subject != "Pages"
    )
    assert not settings.data.exists()
    assert "earlysign migrate" in found(settings, "Database").todo


def test_whatever_is_not_well_comes_with_what_to_do(settings: Settings) -> None:
    for each in (settings, made(settings), msgspec.structs.replace(settings, host="0.0.0.0")):
        for finding in examine(each):
            assert finding.verdict is Verdict.OK or finding.todo, finding


def test_a_database_that_is_up_to_date_is_well(settings: Settings) -> None:
    assert found(made(settings), "Database").verdict is Verdict.OK
    assert found(settings, "People").verdict is Verdict.WARN
    run(
        "people",
        "add",
        "rivera",
        "--role",
        "investigator",
        "--borough",
        "Lambeth",
        *data_option(settings.data),
    )
    assert found(settings, "People").verdict is Verdict.OK


def test_a_data_folder_or_key_open_to_others_fails(settings: Settings) -> None:
    made(settings)
    settings.data.chmod(0o750)
    assert (found(settings, "Data folder").verdict, found(settings, "Data folder").todo) == (
        Verdict.FAIL,
        f"chmod 700 {settings.data}",
    )
    settings.data.chmod(0o700)
    key = settings.data / "secret.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o644)
    assert found(settings, "Secret key").verdict is Verdict.FAIL
    key.chmod(0o600)
    assert found(settings, "Secret key").verdict is Verdict.OK
    key.write_bytes(b"short")
    assert "Restore" in found(settings, "Secret key").todo


def test_a_file_in_place_of_the_data_folder_fails(settings: Settings) -> None:
    settings.data.parent.mkdir(exist_ok=True)
    settings.data.touch()
    assert found(settings, "Data folder").verdict is Verdict.FAIL


def test_listening_to_everybody_without_tls_fails_and_with_tls_is_well(settings: Settings) -> None:
    everybody = msgspec.structs.replace(settings, host="0.0.0.0")
    assert found(everybody, "Address").verdict is Verdict.FAIL
    behind = msgspec.structs.replace(everybody, public_url="https://es.example")
    assert found(behind, "Address").verdict is Verdict.OK


def test_a_database_that_is_damaged_or_newer_fails(settings: Settings) -> None:
    made(settings)
    with sqlite3.connect(settings.sqlite_path) as connection:
        connection.execute("UPDATE _sqlite_migrations SET name = '9999_future' WHERE name = '0001_initial'")
    connection.close()
    assert "newer" in found(settings, "Database").found
    for path in settings.data.glob("earlysign.db*"):
        path.unlink()
    settings.sqlite_path.write_bytes(b"not a database" * 1000)
    assert found(settings, "Database").verdict is Verdict.FAIL


def test_a_migration_that_is_missing_is_named_with_the_command(settings: Settings) -> None:
    made(settings)
    with sqlite3.connect(settings.sqlite_path) as connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = '0003_access'")
    connection.close()
    finding = found(settings, "Database")
    assert (finding.verdict, finding.todo) == (Verdict.WARN, "earlysign migrate")
    never = msgspec.structs.replace(settings, migrate_on_start="no")
    assert found(never, "Database").verdict is Verdict.FAIL


def test_a_clock_behind_the_newest_entry_fails(settings: Settings) -> None:
    made(settings)
    run(
        "people",
        "add",
        "rivera",
        "--role",
        "investigator",
        "--borough",
        "Lambeth",
        *data_option(settings.data),
    )
    store = make_store(settings)
    store.write_now(
        lambda tx: tx.execute(
            "INSERT INTO person_session (token_sha256, person, started_at, seen_at, expires_at) "
            "VALUES (:t, 1, :future, :future, :future)",
            {"t": b"t", "future": now_ms() + 3_600_000},
        )
    )
    store.close_now()
    assert found(settings, "Clock").verdict is Verdict.FAIL


def test_a_clock_before_the_program_was_written_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "now_ms", lambda: 0)
    assert found(settings, "Clock").verdict is Verdict.FAIL


def test_a_role_that_is_gone_from_the_policy_fails(settings: Settings) -> None:
    made(settings)
    run(
        "people",
        "add",
        "rivera",
        "--role",
        "investigator",
        "--borough",
        "Lambeth",
        *data_option(settings.data),
    )
    with sqlite3.connect(settings.sqlite_path) as connection:
        connection.execute("UPDATE person SET role = 'sheriff'")
    connection.close()
    assert "sheriff" in found(settings, "People").found


def test_little_disk_warns_and_hardly_any_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_WARN_BYTES", 1 << 60)
    assert found(settings, "Free disk").verdict is Verdict.WARN
    monkeypatch.setattr(doctor, "DISK_FAIL_BYTES", 1 << 59)
    assert found(settings, "Free disk").verdict is Verdict.FAIL


def test_the_command_prints_every_line_and_exits_by_what_it_found(settings: Settings) -> None:
    made(settings)
    ran = run("doctor", *data_option(settings.data))
    for subject in ("Program", "Roles", "Address", "Data folder", "Free disk", "Database", "Clock", "Pages"):
        assert subject in ran.out
    settings.data.chmod(0o755)
    assert run("doctor", *data_option(settings.data)).code == 1
    table = run("doctor", "--settings")
    assert table.code == 0 and "| `EARLYSIGN_DATA` |" in table.out


def test_a_backup_of_today_is_well_and_an_old_one_is_not(settings: Settings) -> None:
    assert "earlysign backup" in found(made(settings), "Backup").todo
    assert run("backup", *data_option(settings.data)).code == 0
    assert found(settings, "Backup").verdict is Verdict.OK
    old = msgspec.json.encode(Backup(name="old", begun_at=now_ms() - 27 * 3_600_000))
    store = make_store(settings)
    store.write_now(lambda tx: tx.execute("UPDATE server_state SET value = :v WHERE name = :n",
                                          {"v": old, "n": NEWEST_BACKUP}))  # fmt: skip
    store.close_now()
    assert found(settings, "Backup").verdict is Verdict.WARN


def test_after_a_restore_the_backup_that_it_came_from_is_not_denied(settings: Settings) -> None:
    assert found(made(settings), "Backup").found == "there is none yet"
    assert run("backup", *data_option(settings.data)).code == 0
    [backup] = (settings.data / "backups").glob("earlysign-*")
    assert run("restore", str(backup), "--replace", *data_option(settings.data)).code == 0
    said = found(settings, "Backup")
    assert said.verdict is Verdict.WARN and "restored" in said.found and "earlysign backup" in said.todo


def test_alerts_that_do_not_arrive_are_said(settings: Settings) -> None:
    assert found(made(settings), "Alerts").verdict is Verdict.OK
    store = make_store(settings)
    store.write_now(
        lambda tx: tx.execute(
            "INSERT INTO channel_health (channel, failed_at, failures, trouble) VALUES ('push', 1, 4, 'no connection')"
        )
    )
    store.close_now()
    said = found(settings, "Alerts")
    assert (said.verdict, "push: 0 given up, 0 wait, 4 attempts failed" in said.found) == (Verdict.WARN, True)


def test_a_file_of_webhooks_that_is_wrong_fails(settings: Settings) -> None:
    wrong = msgspec.structs.replace(made(settings), webhooks=settings.data / "none.toml")
    assert found(wrong, "Alerts").verdict is Verdict.FAIL
