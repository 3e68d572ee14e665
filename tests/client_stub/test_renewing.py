"""Clones, copies, restores and wipes: what a phone sends again or under another number, and what it takes for lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from client_stub import store as stores
from client_stub.device import Device
from client_stub.telling import wiped_words
from sync.envelope import Change, Code, Outcome
from sync.operations import digest, parse_envelope
from tests.client_stub.fake_server import FakeServer, problem
from tests.client_stub.kit import a_note, new_phone, states, sync_once


@pytest.mark.invariant(12)
def test_a_clone_rotates_its_epoch_and_loses_nothing(tmp_path: Path, server: FakeServer) -> None:
    original = new_phone(tmp_path / "a", server)
    original.write(a_note("before the copy"))
    sync_once(original, server)
    epoch = original.store.get("epoch")
    # Another installation used the next number: what a restored backup does that kept its file identity.
    twin = new_phone(tmp_path / "b", server, new_epoch=lambda: "another")
    with twin.store.transaction():
        for key in ("identity", "private_key"):
            twin.store.put(key, original.store.get(key) or "")
        twin.store.put("epoch", epoch or "")
        twin.store.run(
            "INSERT INTO outbox SELECT 1, ?, 1, 'note.write', 'gone', 'd', 1, NULL, 'receipted', 'applied', NULL, "
            "NULL, 1, 1, NULL, NULL",
            epoch,
        )
    mine = original.write(a_note("of the original"))
    yours = twin.write(a_note("of the twin"))
    sync_once(original, server)
    report = sync_once(twin, server)
    assert report.all_sent, report.problems
    assert {mine, yours} <= set(server.notes)
    assert b"of the twin" in server.notes[yours] and b"of the original" in server.notes[mine]
    assert len(server.quarantine) == 1  # the bytes under the number that was taken are kept as well
    assert twin.store.get("epoch") == "another"
    assert [item.epoch for item in twin.status().items] == [epoch, "another"]
    assert twin.status().state.quarantined == 0


def test_a_copied_store_starts_its_own_epoch_before_it_writes(tmp_path: Path, server: FakeServer) -> None:
    original = new_phone(tmp_path / "a", server)
    original.write(a_note("shared"))
    original.store.close()
    copy = tmp_path / "b"
    copy.mkdir()
    for name in ("outbox.db", "store.json"):
        (copy / name).write_bytes((tmp_path / "a" / name).read_bytes())
    first = new_phone(tmp_path / "a")
    second = new_phone(copy, new_epoch=lambda: "copied")
    first.write(a_note("first"))
    second.write(a_note("second"))
    assert sync_once(first, server).all_sent and sync_once(second, server).all_sent
    assert len(server.notes) == 3 and server.quarantine == []
    assert [entry.epoch for entry in second.store.all_entries()] == ["epoch-1", "copied"]


def test_after_a_restore_of_the_server_what_it_lost_is_sent_again(phone: Device, server: FakeServer) -> None:
    for n in range(4):
        phone.write(a_note(f"note {n}"))
    sync_once(phone, server)
    lost = [key for key in server.ledger if key[2] > 2]
    for key in lost:
        del server.notes[parse_envelope(server.ledger.pop(key)[1]).entity_id]
    server.incarnation = "restored"
    report = sync_once(phone, server)
    assert report.all_sent and report.sent == 4 and len(server.notes) == 4
    assert phone.store.durable() == {"epoch-1": 4}


def test_a_cursor_of_before_the_restore_is_replaced_and_rows_are_not_doubled(
    phone: Device, server: FakeServer
) -> None:
    server.changes = [Change(bucket="own", kind="note", id=str(n), rev=1, data={}) for n in range(3)]
    sync_once(phone, server)
    server.incarnation = "restored"
    server.changes = server.changes[:2]
    assert sync_once(phone, server).problems == []
    assert set(phone.store.holdings()["own"]) == {("note", "0"), ("note", "1")}


def test_a_wipe_waits_until_the_notes_have_arrived_but_what_was_lent_goes_at_once(
    phone: Device, server: FakeServer
) -> None:
    server.changes = [Change(bucket="own", kind="note", id="1", rev=1, data={"a": 1})]
    sync_once(phone, server)
    phone.write(a_note("the last one"))
    server.wipe = True
    server.push_script = ["cut"] * 20
    report = sync_once(phone, server, tries_max=2)
    assert not report.wiped and phone.store.holdings() == {}
    assert phone.status().state.waiting == 1
    server.push_script = []
    report = sync_once(phone, server)
    assert report.wiped and any(b"the last one" in line for line in server.quarantine)
    assert report.set_aside == 1 and "1 of them were set aside" in wiped_words(report.set_aside)
    folder = phone.store.folder
    assert [path.name for path in folder.iterdir()] == [stores.WIPED_FILE]
    assert stores.wiped_at(folder) is not None


def test_an_entry_that_the_server_refuses_is_never_wiped(phone: Device, server: FakeServer) -> None:
    phone.write(a_note("the only copy"))
    server.wipe = True
    server.push_script = [problem(400, "no")] * 3
    report = sync_once(phone, server)
    assert not report.wiped and phone.status().state.waiting == 1
    assert any("waits until your notes have arrived" in sentence for sentence in report.problems)


def test_after_a_restore_what_was_durable_before_counts_no_more(phone: Device, server: FakeServer) -> None:
    for n in range(3):
        phone.write(a_note(f"note {n}"))
    sync_once(phone, server)
    assert phone.store.durable() == {"epoch-1": 3}
    server.ledger = {key: value for key, value in server.ledger.items() if key[2] == 1}
    server.incarnation = "restored"
    server.push_script = ["cut"] * 20
    assert not sync_once(phone, server, tries_max=2).all_sent
    assert phone.store.durable() == {"epoch-1": 1}
    assert phone.status().state.waiting == 3


@pytest.mark.invariant(11, 12)
def test_after_a_restore_an_op_is_sent_again_also_where_its_number_is_called_durable(
    tmp_path: Path, server: FakeServer
) -> None:
    """A copy of the phone put another note under that number, and a backup holds it: numbers prove nothing then."""
    phone = new_phone(tmp_path / "a", server)
    twin = _twin_of(phone, tmp_path / "b", server, taken=1)
    server.ledger.clear()
    server.notes.clear()
    server.incarnation = "restored"
    twin.write(a_note("of the twin"))
    assert sync_once(twin, server).all_sent
    assert sync_once(phone, server).all_sent
    assert len(server.notes) == 2


@pytest.mark.invariant(11)
def test_a_receipt_of_another_life_of_the_server_counts_for_nothing(
    phone: Device, server: FakeServer
) -> None:
    """The server is restored between hello and push: what it calls durable then is of numbers that are not these."""
    phone.write(a_note("before"))
    sync_once(phone, server)
    phone.write(a_note("after"))
    hello = server._hello

    def restored_after(device: str) -> Any:
        said = hello(device)
        server.incarnation = "restored"
        return said

    server._hello = restored_after  # type: ignore[method-assign]
    report = sync_once(phone, server)
    assert not report.all_sent and any("restored" in sentence for sentence in report.problems)
    assert states(phone) == ["receipted", "queued"]
    server._hello = hello  # type: ignore[method-assign]
    assert sync_once(phone, server).all_sent


def _twin_of(original: Device, folder: Path, server: FakeServer, taken: int) -> Device:
    """A phone that believes itself to be `original` restored in place, `taken` numbers of which went meanwhile."""
    twin = new_phone(folder, server, new_epoch=lambda: "another")
    with twin.store.transaction():
        for key in ("identity", "private_key", "epoch"):
            twin.store.put(key, original.store.get(key) or "")
    for number in range(taken):
        original.write(a_note(f"of the original {number}"))
    sync_once(original, server)
    return twin


@pytest.mark.invariant(12)
def test_every_op_whose_number_is_taken_is_issued_again_however_many_pushes_meet_them(
    tmp_path: Path, server: FakeServer
) -> None:
    original = new_phone(tmp_path / "a", server)
    twin = _twin_of(original, tmp_path / "b", server, taken=3)
    mine = {twin.write(a_note(f"of the twin {number}")) for number in range(3)}
    report = sync_once(twin, server, ops_per_push=1)
    assert report.all_sent, report.problems
    assert mine <= set(server.notes)
    assert twin.status().state.quarantined == 0


@pytest.mark.invariant(12)
def test_an_op_that_this_release_cannot_read_is_issued_again_as_it_is(
    tmp_path: Path, server: FakeServer
) -> None:
    original = new_phone(tmp_path / "a", server)
    twin = _twin_of(original, tmp_path / "b", server, taken=1)
    epoch = twin.store.get("epoch") or ""
    body = b'{"of":"a newer release"}'
    line = (
        f'{{"device":"{twin.enrolled().device_id}","epoch":"{epoch}","seq":1,"user":"u","schema":2,'
        f'"kind":"note.sing","entity_id":"n","body":{body.decode()},"body_sha256":"{digest(body)}"}}'
    ).encode()
    with twin.store.transaction():
        twin.store.append(
            epoch=epoch, kind="note.sing", entity_id="n", written_at=1, freeze=lambda _: (line, digest(line))
        )
    assert sync_once(twin, server).problems == []
    [(held,)] = twin.store.every("SELECT line FROM outbox WHERE epoch = 'another'")
    again = parse_envelope(bytes(held))
    assert (again.schema, again.kind, bytes(again.body)) == (2, "note.sing", body)


def test_a_server_that_takes_every_number_is_told_to_the_officer_and_nothing_is_dropped(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = new_phone(tmp_path / "a", server)
    phone.write(a_note())
    monkeypatch.setattr(
        FakeServer,
        "_receive",
        lambda _self, _device, arrival: arrival.verdict(Outcome.QUARANTINED, Code.KEY_REUSED),
    )
    report = sync_once(phone, server)
    assert any("taken again and again" in problem for problem in report.problems)
    assert not report.all_sent
    assert states(phone)[-1] == "queued"
