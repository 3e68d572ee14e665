"""Backups are made while notes arrive, are checked, and bring everything back (invariant 11)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from server.audit import Actor
from server.jobs import backup
from server.jobs.backup import MANIFEST, BackupError
from server.records import attachments, ledger, reference
from server.storage import StorageUnavailable, Store, open_store
from server.storage.blobs import Blobs
from server.storage.copies import copy_database, copy_name
from tests.road import START_MS, Officer, Road
from tests.storage.conformance import rows_planned_for

ACTOR = Actor("system", "tests")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def back_up(store: Store, address: str, data: Path, to: Path, now: int = START_MS) -> Path:
    made = backup.make(store, address, data, "", to, actor=ACTOR, now=now)
    assert made.damaged == ()
    return made.folder


def durable(store: Store, officer: Officer) -> dict[str, int]:
    return store.read_now(lambda tx: ledger.durable_through(tx, officer.identity.device_id))


def note_ids(store: Store) -> set[str]:
    return {row[0] for row in store.read_now(lambda tx: tx.rows("SELECT note_id FROM note"))}


def test_until_there_is_a_backup_what_is_on_disk_may_be_forgotten(store: Store) -> None:
    officer = Road(store).officer()
    _, line = officer.note()
    assert officer.push(line).durable_through == 1
    assert durable(store, officer) == {officer.epoch: 1}


def test_with_backups_a_phone_keeps_what_the_newest_does_not_hold(
    store: Store, store_address: str, data: Path, tmp_path: Path
) -> None:
    road = Road(store)
    officer = road.officer()
    officer.writes()
    back_up(store, store_address, data, tmp_path / "to")
    _, line = officer.note()
    received = officer.push(line)
    assert (received.contiguous_through, received.durable_through) == (2, 1)
    assert durable(store, officer) == {officer.epoch: 1}
    other = road.officer("rivera")
    _, line = other.note()
    assert other.push(line).durable_through == 0, "a numbering that began after the backup"
    back_up(store, store_address, data, tmp_path / "to", START_MS + 1_000)
    assert durable(store, officer) == {officer.epoch: 2}


@pytest.mark.invariant(11)
def test_what_a_phone_holds_comes_back_after_a_restore(
    store_address: str, data: Path, tmp_path: Path, make_elsewhere: Callable[[], str]
) -> None:
    store = open_store(store_address)
    road = Road(store)
    officer = road.officer()
    first = officer.writes()
    before = store.write_now(reference.incarnation)
    folder = back_up(store, store_address, data, tmp_path / "to")
    second, line = officer.note()
    officer.push(line)
    store.close_now()

    elsewhere, new_data = make_elsewhere(), tmp_path / "new"
    done = backup.restore(folder, elsewhere, new_data, replace=False, now=START_MS)
    assert done.begun_at == START_MS and done.moved == ()
    assert (new_data / "secret.key").read_bytes() == (data / "secret.key").read_bytes()
    store = open_store(elsewhere)
    try:
        assert note_ids(store) == {first}
        assert store.read_now(lambda tx: tx.sole_writer or rows_planned_for(tx, "note") == 1)
        assert store.write_now(reference.incarnation) != before, "phones must notice"
        assert durable(store, officer) == {officer.epoch: 1}
        officer.road = Road(store)
        assert officer.sends(line).v == "applied"
        assert note_ids(store) == {first, second}
        assert store.read_now(lambda tx: tx.value("SELECT COUNT(*) FROM person_session")) == 0
    finally:
        store.close_now()


@pytest.fixture
def make_elsewhere(request: pytest.FixtureRequest, store_address: str, tmp_path: Path) -> Callable[[], str]:
    """Another place for a database, empty, of the same engine."""
    if "://" in store_address:
        make: Callable[[], str] = request.getfixturevalue("make_database")
        return make
    return lambda: str(tmp_path / "elsewhere.db")


def test_a_database_is_replaced_only_when_asked_for_and_while_no_server_uses_it(
    store_address: str, data: Path, tmp_path: Path, make_elsewhere: Callable[[], str]
) -> None:
    store = open_store(store_address)
    folder = back_up(store, store_address, data, tmp_path / "to")
    store.close_now()
    elsewhere, new_data = make_elsewhere(), tmp_path / "new"
    backup.restore(folder, elsewhere, new_data, replace=False, now=START_MS)
    store = open_store(elsewhere)
    later = Road(store).officer().writes()
    with pytest.raises(StorageUnavailable, match="in use"):
        backup.restore(folder, elsewhere, new_data, replace=True, now=START_MS)
    assert note_ids(store) == {later}, "a server that runs is left alone"
    store.close_now()
    with pytest.raises(BackupError, match="already"):
        backup.restore(folder, elsewhere, new_data, replace=False, now=START_MS)
    backup.restore(folder, elsewhere, new_data, replace=True, now=START_MS)
    store = open_store(elsewhere)
    assert note_ids(store) == set()
    store.close_now()


def test_a_database_that_is_there_is_moved_aside_only_when_asked_for(
    sqlite_file: Path, data: Path, tmp_path: Path
) -> None:
    store = open_store(sqlite_file)
    officer = Road(store).officer()
    folder = back_up(store, str(sqlite_file), data, tmp_path / "to")
    later = officer.writes()
    with pytest.raises(StorageUnavailable, match="in use"):
        backup.restore(folder, str(sqlite_file), data, replace=True, now=START_MS)
    assert note_ids(store) == {later}, "a server that runs is left alone"
    store.close_now()
    with pytest.raises(BackupError, match="already"):
        backup.restore(folder, str(sqlite_file), data, replace=False, now=START_MS)
    done = backup.restore(folder, str(sqlite_file), data, replace=True, now=START_MS)
    (moved,) = done.moved
    old, new = open_store(moved), open_store(sqlite_file)
    assert (note_ids(old), note_ids(new)) == ({later}, set())
    old.close_now()
    new.close_now()


@pytest.fixture
def sqlite_file(sqlite_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(sqlite_template, tmp_path / "store.db"))


def test_notes_that_arrive_while_it_is_made_are_not_called_backed_up(
    store: Store, store_address: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = Road(store).officer()
    officer.writes()
    real = copy_database

    def copy_then_a_note(database: str, target: Path) -> None:
        real(database, target)
        officer.writes()

    monkeypatch.setattr("server.jobs.backup.copy_database", copy_then_a_note)
    back_up(store, store_address, data, tmp_path / "to")
    assert durable(store, officer) == {officer.epoch: 1}


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "manifest"])
def test_a_backup_that_was_harmed_is_refused_and_changes_nothing(
    sqlite_file: Path, data: Path, tmp_path: Path, harm: str
) -> None:
    store = open_store(sqlite_file)
    folder = back_up(store, str(sqlite_file), data, tmp_path / "to")
    store.close_now()
    copy = folder / copy_name(str(sqlite_file))
    whole = copy.read_bytes()
    if harm == "cut":
        copy.write_bytes(whole[:-1])
    elif harm == "changed":
        copy.write_bytes(whole[:5_000] + b"x" + whole[5_001:])
    elif harm == "gone":
        copy.unlink()
    else:
        (folder / MANIFEST).write_text("{")
    before = sqlite_file.read_bytes()
    with pytest.raises(BackupError, match=r"missing|damaged") as caught:
        backup.restore(folder, str(sqlite_file), data, replace=True, now=START_MS)
    assert caught.value.hint
    assert sqlite_file.read_bytes() == before


def test_a_copy_that_is_not_whole_never_counts(
    store: Store, store_address: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = Road(store).officer()
    officer.writes()

    def fails(_database: str, target: Path) -> None:
        target.write_bytes(b"half")
        raise StorageUnavailable("The disk is full.")

    monkeypatch.setattr("server.jobs.backup.copy_database", fails)
    with pytest.raises(StorageUnavailable):
        back_up(store, store_address, data, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []
    assert store.read_now(ledger.newest_backup) is None
    assert durable(store, officer) == {officer.epoch: 0}, "phones keep everything until a backup holds it"


@pytest.mark.invariant(11)
def test_what_comes_while_the_first_backup_is_made_is_kept_by_the_phones(
    store: Store, store_address: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore from that backup would lose it, so nobody may have been told that it is safe."""
    officer = Road(store).officer()
    officer.writes()
    told = []

    def meanwhile(database: str, target: Path) -> None:
        copy_database(database, target)
        told.append(officer.push(officer.note()[1]).durable_through)

    monkeypatch.setattr("server.jobs.backup.copy_database", meanwhile)
    back_up(store, store_address, data, tmp_path / "to")
    assert told == [0]
    assert durable(store, officer) == {officer.epoch: 1}


def test_everything_in_a_backup_is_for_its_owner_only(
    store: Store, store_address: str, data: Path, tmp_path: Path
) -> None:
    folder = back_up(store, store_address, data, tmp_path / "to")
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077] == []


def test_a_backup_of_the_other_engine_is_refused(sqlite_file: Path, data: Path, tmp_path: Path) -> None:
    store = open_store(sqlite_file)
    folder = back_up(store, str(sqlite_file), data, tmp_path / "to")
    store.close_now()
    with pytest.raises(BackupError, match="other kind"):
        backup.restore(folder, "postgresql:///nowhere", data, replace=True, now=START_MS)


def hand_in(road: Road, officer: Officer, data: Path, content: bytes) -> str:
    """An attachment that has arrived whole: its bytes in the store of `data`, and its row."""
    digest = hashlib.sha256(content).hexdigest()
    blobs = Blobs(data / "attachments")
    part = blobs.open_part("p", 0)
    part.write([content])
    part.sync()
    part.close()
    blobs.keep("p", digest)
    blobs.drop("p")
    road.store.write_now(
        lambda tx: attachments.add(tx, officer.identity, digest, len(content), "image/jpeg", now=road.now)
    )
    return digest


def test_attachments_are_copied_once_and_come_back(
    store_address: str, data: Path, tmp_path: Path, make_elsewhere: Callable[[], str]
) -> None:
    store = open_store(store_address)
    road, to = Road(store), tmp_path / "to"
    officer = road.officer()
    first = hand_in(road, officer, data, b"one photograph")
    back_up(store, store_address, data, to)
    copied = to / "attachments" / "objects" / first[:2] / first
    before = copied.stat().st_ino
    second = hand_in(road, officer, data, b"another")
    folder = back_up(store, store_address, data, to, START_MS + 1_000)
    assert copied.stat().st_ino == before, "its bytes never change, so they are not copied again"
    store.close_now()
    done = backup.restore(folder, make_elsewhere(), tmp_path / "new", replace=False, now=START_MS)
    assert done.attachments == 2
    here = Blobs(tmp_path / "new" / "attachments")
    for digest in (first, second):
        here.check(digest)


def test_a_damaged_attachment_is_named_and_never_passed_on(
    store: Store, store_address: str, data: Path, tmp_path: Path
) -> None:
    road = Road(store)
    digest = hand_in(road, road.officer(), data, b"a photograph")
    path = data / "attachments" / "objects" / digest[:2] / digest
    path.chmod(0o600)
    path.write_bytes(b"b photograph")
    made = backup.make(store, store_address, data, "", tmp_path / "to", actor=ACTOR, now=START_MS)
    assert (made.attachments, made.damaged) == (0, (digest,))
    assert backup.check(made.folder)


def test_a_backup_whose_attachments_are_gone_is_refused(
    store: Store, store_address: str, data: Path, tmp_path: Path
) -> None:
    road = Road(store)
    digest = hand_in(road, road.officer(), data, b"a photograph")
    folder = back_up(store, store_address, data, tmp_path / "to")
    (tmp_path / "to" / "attachments" / "objects" / digest[:2] / digest).unlink()
    with pytest.raises(BackupError, match="attachment"):
        backup.check(folder)
