"""The store on disk: encryption, keys, wrong keys, atomic writes, and files that a wipe leaves."""

from __future__ import annotations

import stat
from pathlib import Path

import keyring
import keyring.errors
import pytest

from client_stub import protection
from client_stub.database import DATABASE_FILE, StoreError
from client_stub.protection import Protection, ProtectionError
from client_stub.store import Store
from sync.envelope import Outcome
from sync.holdings import Held
from sync.outbox import State

PASSPHRASE = "three random words"


class MemoryKeyring:
    """A keyring of a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("not found")


def put_op(store: Store, text: bytes = b"the frozen bytes") -> None:
    with store.transaction():
        store.append(
            epoch="e",
            kind="note.write",
            entity_id="n",
            written_at=1,
            freeze=lambda seq: (text, f"digest-{seq}"),
        )


def test_with_a_passphrase_nothing_readable_is_on_disk(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=PASSPHRASE, accept_unencrypted=False)
    assert store.protection is Protection.PASSPHRASE
    put_op(store, b"Jay at Peckham bus station")
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    store.close()
    assert b"Peckham" not in on_disk and b"SQLite format" not in on_disk
    assert PASSPHRASE.encode() not in on_disk
    again = Store.open(tmp_path, passphrase=PASSPHRASE)
    assert again.lines(again.all_entries()) == [b"Jay at Peckham bus station"]
    again.close()


def test_a_wrong_passphrase_is_said_plainly_and_touches_nothing(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=PASSPHRASE, accept_unencrypted=False)
    put_op(store)
    store.close()
    with pytest.raises(StoreError, match="passphrase is wrong"):
        Store.open(tmp_path, passphrase="some other words")
    with pytest.raises(ProtectionError, match="none was given"):
        Store.open(tmp_path, passphrase=None)
    again = Store.open(tmp_path, passphrase=PASSPHRASE)
    assert len(again.all_entries()) == 1
    again.close()


def test_a_short_passphrase_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ProtectionError, match="shorter"):
        Store.create(tmp_path / "p", passphrase="1234", accept_unencrypted=False)
    assert not (tmp_path / "p").exists()


def test_with_a_keyring_the_key_is_there_and_a_wipe_destroys_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = MemoryKeyring()
    monkeypatch.setattr(keyring, "get_password", ring.get_password)
    monkeypatch.setattr(keyring, "set_password", ring.set_password)
    monkeypatch.setattr(keyring, "delete_password", ring.delete_password)
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=False)
    assert store.protection is Protection.KEYRING and len(ring.kept) == 1
    put_op(store)
    store.close()
    copy = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    Store.open(tmp_path, passphrase=None).erase(1, "test")
    assert ring.kept == {}
    for name, content in copy.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ProtectionError, match="no key for this store"):
        Store.open(tmp_path, passphrase=None)


def test_without_keyring_and_passphrase_it_refuses_rather_than_writing_in_the_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_keyring(*_args: str) -> None:
        raise keyring.errors.NoKeyringError("none here")

    monkeypatch.setattr(keyring, "set_password", no_keyring)
    with pytest.raises(ProtectionError, match="no system keyring") as caught:
        Store.create(tmp_path, passphrase=None, accept_unencrypted=False)
    assert "--not-encrypted" in caught.value.hint
    assert not (tmp_path / DATABASE_FILE).exists()


def test_without_sqlcipher_it_refuses_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "sqlcipher", lambda: None)
    with pytest.raises(ProtectionError, match="SQLCipher"):
        Store.create(tmp_path, passphrase=PASSPHRASE, accept_unencrypted=False)
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=True)
    assert store.protection is Protection.NONE
    assert "NOT encrypted" in protection.SENTENCES[store.protection]
    store.close()


def test_an_encrypted_store_without_sqlcipher_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.create(tmp_path, passphrase=PASSPHRASE, accept_unencrypted=False).close()
    monkeypatch.setattr(protection, "sqlcipher", lambda: None)
    with pytest.raises(StoreError, match="SQLCipher is not installed"):
        Store.open(tmp_path, passphrase=PASSPHRASE)


def test_a_damaged_file_is_said_plainly(tmp_path: Path) -> None:
    Store.create(tmp_path, passphrase=None, accept_unencrypted=True).close()
    (tmp_path / DATABASE_FILE).write_bytes(b"not a database at all" * 400)
    for suffix in ("-wal", "-shm"):
        (tmp_path / (DATABASE_FILE + suffix)).unlink(missing_ok=True)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(tmp_path, passphrase=None)


def test_no_store_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        Store.open(tmp_path / "nowhere", passphrase=None)


def test_the_folder_of_a_new_store_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "phone"
    Store.create(folder, passphrase=None, accept_unencrypted=True).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_synchronous_is_full_and_deleted_rows_are_overwritten(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=True)
    assert store.one("PRAGMA synchronous")[0] == 2
    assert store.one("PRAGMA secure_delete")[0] == 1
    assert store.one("PRAGMA journal_mode")[0] == "wal"
    store.close()


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=True)
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put("a", "1")
        raise ZeroDivisionError
    assert store.get("a") is None
    put_op(store)
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.append(epoch="e", kind="k", entity_id="n", written_at=1, freeze=lambda seq: (b"", str(1 // 0)))
    put_op(store)
    assert [entry.seq for entry in store.all_entries()] == [1, 2]
    store.close()


def test_keeping_states_never_changes_the_bytes(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=True)
    put_op(store)
    (entry,) = store.all_entries()
    for state in State:
        changed = type(entry)(epoch="e", seq=1, digest="other", size=1, state=state, outcome=Outcome.APPLIED)
        with store.transaction():
            store.keep([changed])
    (after,) = store.all_entries()
    assert store.lines([after]) == [b"the frozen bytes"] and after.digest == "digest-1" and after.size == 16
    store.close()


def test_what_was_lent_can_be_replaced_without_touching_the_outbox(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=True)
    put_op(store)
    first = {"own": {("note", "1"): Held(1, {"a": "ü"}), ("note", "2"): Held(1, {})}}
    second = {"own": {("note", "1"): Held(2, {"a": "ö"})}, "ward": {("child", "9"): Held(5, {"b": [1]})}}
    with store.transaction():
        store.replace_holdings({}, first)
    assert store.holdings() == first
    with store.transaction():
        store.replace_holdings(first, second)
    assert store.holdings() == second
    assert len(store.all_entries()) == 1
    store.close()


def test_durable_only_grows_until_the_server_was_restored(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=True)
    with store.transaction():
        store.put_durable({"e": 9})
        store.put_durable({"e": 4, "f": 1})
    assert store.durable() == {"e": 9, "f": 1}
    with store.transaction():
        store.put_durable({"e": 2}, anew=True)
    assert store.durable() == {"e": 2}
    store.close()


def test_a_store_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    store = Store.create(tmp_path, passphrase=None, accept_unencrypted=True)
    store.run("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="newer"):
        Store.open(tmp_path, passphrase=None)
