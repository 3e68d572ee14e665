"""One sync against a server that behaves, fails, answers late and asks for time."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client_stub import telling
from client_stub.database import StoreError
from client_stub.device import Device
from client_stub.store import Store
from client_stub.syncing import KEEP_SENT_MS
from client_stub.telling import sentence_of
from sync.envelope import Change, ChangeOp, RemoveReason
from sync.limits import Limits
from sync.operations import digest
from tests.client_stub.fake_server import NOW, FakeServer, problem
from tests.client_stub.kit import Sleeps, a_note, new_phone, states, surroundings, sync_once


def sleeps_of(device: Device) -> list[float]:
    sleep = device.surroundings.sleep
    assert isinstance(sleep, Sleeps)
    return sleep.taken


def test_notes_written_offline_arrive_once_and_are_receipted(phone: Device, server: FakeServer) -> None:
    ids = [phone.write(a_note(f"note {n}")) for n in range(5)]
    assert not phone.status().state.all_sent
    report = sync_once(phone, server)
    assert report.all_sent and report.receipted == 5 and report.problems == []
    assert list(server.notes) == ids
    assert phone.status().state.all_sent
    again = sync_once(phone, server)
    assert again.sent == 0 and len(server.ledger) == 5


def test_bytes_and_numbers_are_the_same_on_every_send(phone: Device, server: FakeServer) -> None:
    phone.write(a_note("one"))
    phone.write(a_note("two"))
    server.push_script = ["drop", "drop"]  # both arrive, and their answers are lost
    assert sync_once(phone, server).all_sent
    assert len(server.bodies) == 3 and len(set(server.bodies)) == 1
    assert [key[2] for key in server.ledger] == [1, 2] and len(server.notes) == 2


def test_a_lost_answer_then_a_duplicate_says_what_it_was_the_first_time(
    phone: Device, server: FakeServer
) -> None:
    phone.write(a_note())
    server.push_script = ["drop"]
    assert sync_once(phone, server).all_sent
    (entry,) = phone.store.all_entries()
    assert (entry.outcome, entry.code) == ("applied", None)


def test_pushes_keep_to_the_limits_that_hello_announced(phone: Device, server: FakeServer) -> None:
    server.limits = Limits(ops_per_push=3)
    for n in range(8):
        phone.write(a_note(f"note {n}"))
    assert sync_once(phone, server).all_sent
    assert [body.count(b"\n") for body in server.bodies] == [3, 3, 2]


def test_pushes_keep_to_the_bytes_that_hello_announced(phone: Device, server: FakeServer) -> None:
    for n in range(4):
        phone.write(a_note(f"{n}" * 500))
    size = phone.store.all_entries()[0].size
    server.limits = Limits(push_wire_bytes=2 * (size + 1))
    assert sync_once(phone, server).all_sent
    assert [body.count(b"\n") for body in server.bodies] == [2, 2]


def test_large_pushes_travel_compressed(phone: Device, server: FakeServer) -> None:
    for n in range(20):
        phone.write(a_note(f"{n} " + "the same words again " * 30))
    sync_once(phone, server)
    (on_wire,) = [size for path, size in server.requests if path == "/api/sync/push"]
    assert on_wire < len(server.bodies[0]) / 5


def test_no_signal_leaves_everything_on_the_phone_and_says_so(phone: Device, server: FakeServer) -> None:
    phone.write(a_note())
    server.scripted = ["cut"] * 100
    report = sync_once(phone, server, tries_max=4)
    assert not report.all_sent and report.problems and report.retries == 4
    assert states(phone) == ["queued"]
    assert phone.store.get("last_sync_at") is None
    server.scripted = []
    assert sync_once(phone, server).all_sent


def test_an_answer_lost_for_good_never_shows_as_sent(phone: Device, server: FakeServer) -> None:
    phone.write(a_note())
    server.push_script = ["drop"] * 50
    assert not sync_once(phone, server, tries_max=3).all_sent
    assert len(server.notes) == 1  # it did arrive, but the phone cannot know
    assert phone.status().state.waiting == 1
    server.push_script = []
    assert sync_once(phone, server).all_sent
    assert len(server.ledger) == 1


def test_retry_after_is_waited_for_in_full(phone: Device, server: FakeServer) -> None:
    phone.write(a_note())
    server.scripted = [problem(503, "busy", {"Retry-After": "7"}), problem(429, "busy", {"Retry-After": "9"})]
    assert sync_once(phone, server).all_sent
    first, second = sleeps_of(phone)[:2]
    assert 7 <= first <= 8.0 + 1 and 9 <= second <= 9 + 2


def test_a_server_that_asks_for_an_hour_ends_this_sync(phone: Device, server: FakeServer) -> None:
    phone.write(a_note())
    server.scripted = [problem(503, "busy", {"Retry-After": "3600"})]
    report = sync_once(phone, server)
    assert sleeps_of(phone) == [] and not report.all_sent
    assert "3600 seconds" in report.problems[0]


def test_waits_grow_with_full_jitter_and_start_anew_after_success(tmp_path: Path, server: FakeServer) -> None:
    phone = new_phone(tmp_path / "p", server)
    phone.write(a_note())
    server.scripted = ["cut", "cut", "cut"]
    assert sync_once(phone, server, base_ms=1000, cap_ms=5000).all_sent
    assert sleeps_of(phone) == [1.0, 2.0, 2.5]  # half of 2, 4 and of the cap: the dice say 0.5


def test_backoff_on_success_is_honoured(phone: Device, server: FakeServer) -> None:
    phone.write(a_note())
    server.backoff_ms = 4000
    assert sync_once(phone, server).all_sent
    assert sleeps_of(phone) == [4.0]


def test_a_token_that_is_over_is_replaced_without_waiting(phone: Device, server: FakeServer) -> None:
    phone.write(a_note())
    server.scripted = [problem(401, "over")]
    assert sync_once(phone, server).all_sent
    assert sleeps_of(phone) == []
    assert [path for path, _ in server.requests].count("/api/devices/token") == 2


def test_a_clock_that_is_a_day_off_is_corrected_by_the_servers_time(
    tmp_path: Path, server: FakeServer
) -> None:
    ticks = itertools.count(NOW + 86_400_000)
    phone = new_phone(tmp_path / "p", server, now_ms=lambda: next(ticks))
    phone.write(a_note())
    assert sync_once(phone, server).all_sent
    assert -86_400_100 < int(phone.store.get("clock_offset_ms") or 0) <= -86_400_000


def test_without_a_receipt_it_is_not_all_sent_and_the_sync_still_ends(
    phone: Device, server: FakeServer
) -> None:
    server.receipts_on = False
    phone.write(a_note())
    report = sync_once(phone, server)
    assert not report.all_sent and states(phone) == ["settled"]
    assert report.pushes <= 3
    server.receipts_on = True
    assert sync_once(phone, server).all_sent


def test_a_receipt_signed_by_somebody_else_counts_for_nothing(phone: Device, server: FakeServer) -> None:
    server.key = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
    phone.write(a_note())
    report = sync_once(phone, server)
    assert not report.all_sent and states(phone) == ["settled"]
    assert any("signature" in sentence for sentence in report.problems)


def test_quarantined_entries_are_shown_with_their_reason_and_kept(phone: Device, server: FakeServer) -> None:
    phone.write(a_note("good"))
    phone.write(a_note("bad"))
    bad = phone.store.all_entries()[1]
    line = phone.store.lines([bad])[0]
    spoiled = line.replace(b'"county_lines"', b'"county_linez"')  # as a phone of another version might write
    with phone.store.transaction():
        phone.store.run("UPDATE outbox SET line = ?, digest = ? WHERE seq = 2", spoiled, digest(spoiled))
    report = sync_once(phone, server)
    assert report.all_sent and len(server.notes) == 1
    item = phone.status().items[1]
    assert (item.outcome, item.code) == ("quarantined", "body_digest_mismatch")
    assert phone.status().state.quarantined == 1
    row = {"status": "linked", "received_at": NOW}
    server.changes = [Change(bucket="notes:u1", kind="note", id=item.entity_id, rev=1, data=row)]
    sync_once(phone, server)
    shown = phone.status()
    assert shown.state.quarantined == 0, "a person released it"
    released = sentence_of(shown.items[1], shown.became[item.entity_id])
    assert released == "Received, linked to a child the police know"
    taken = msgspec.structs.replace(shown.items[1], code="entity_taken")
    assert "another note has the same id" in sentence_of(taken, shown.became[item.entity_id])


def test_one_refused_entry_does_not_hold_up_the_others(phone: Device, server: FakeServer) -> None:
    for n in range(8):
        phone.write(a_note("x" * 100 if n != 5 else "y" * 2000))
    sizes = [entry.size for entry in phone.store.all_entries()]
    server.unpacked_bytes_max = (
        sizes[0] + 60
    )  # every pair is too much, and number 6 alone; hello does not say so
    report = sync_once(phone, server)
    assert not report.all_sent and len(server.notes) == 7
    assert [s for s in states(phone) if s != "receipted"] == ["queued"]
    assert any("does not take" in sentence for sentence in report.problems)


def test_bytes_are_forgotten_only_when_receipted_durable_and_a_day_old(
    tmp_path: Path, server: FakeServer
) -> None:
    now = [NOW]
    phone = new_phone(tmp_path / "p", server, now_ms=lambda: now[0])
    server.durable = False
    phone.write(a_note())
    sync_once(phone, server)
    now[0] += KEEP_SENT_MS + 1
    with phone.store.transaction():
        phone.store.run("DELETE FROM durable")
    sync_now = sync_once(phone, server)
    assert sync_now.forgotten == 1  # hello said that it is durable
    assert phone.status().items[0].line is None
    assert phone.status().state.all_sent


def test_pages_are_pulled_to_the_end_and_the_checkpoint_agrees(phone: Device, server: FakeServer) -> None:
    server.changes = [
        Change(bucket="own", kind="note", id=str(n), rev=1, data={"status": "linked"}) for n in range(12)
    ] + [Change(bucket="own", kind="note", id="3", rev=2, op=ChangeOp.REMOVE, reason=RemoveReason.LEFT_SCOPE)]
    server.page_size = 5
    report = sync_once(phone, server)
    assert report.pulled == 13 and report.problems == []
    assert set(phone.store.holdings()["own"]) == {("note", str(n)) for n in range(12) if n != 3}
    assert sync_once(phone, server).pulled == 0  # the cursor was kept


def test_a_copy_that_went_wrong_is_fetched_anew_and_the_outbox_stays(
    phone: Device, server: FakeServer
) -> None:
    server.changes = [Change(bucket="own", kind="note", id=str(n), rev=1, data={}) for n in range(3)]
    sync_once(phone, server)
    phone.write(a_note())
    with phone.store.transaction():
        phone.store.run("DELETE FROM held WHERE id = '1'")
    server.push_script = [problem(400, "no")]
    report = sync_once(phone, server)
    assert len(phone.store.holdings()["own"]) == 3
    assert states(phone) == ["queued"] and not report.all_sent


def test_a_checkpoint_that_never_agrees_ends_the_sync(phone: Device, server: FakeServer) -> None:
    server.changes = [Change(bucket="own", kind="note", id="1", rev=1, data={})]
    server.spoil_checkpoints = 1000
    report = sync_once(phone, server)
    assert any("not complete" in sentence for sentence in report.problems)
    pulls = [path for path, _ in server.requests if path == "/api/sync/pull"]
    assert len(pulls) <= 5


def test_the_officer_hears_that_an_entry_that_was_set_aside_was_not_taken_and_why(
    phone: Device, server: FakeServer
) -> None:
    phone.write(a_note("the same id"), note_id="n")
    phone.write(a_note("the same id again"), note_id="n")
    sync_once(phone, server)
    with phone.store.transaction():  # as the real server answers
        phone.store.run("UPDATE outbox SET outcome = 'quarantined', code = 'entity_taken' WHERE seq = 2")
    entry, other = phone.status().items[1], digest(b"written on the phone that was lost")
    assert entry.outcome == "quarantined" and phone.status().state.quarantined == 1

    def decision(number: int, sha256: str, **data: object) -> Change:
        told = {"sha256": sha256, "received_at": 1_800_000_000_000, "phone": "phone 3", **data}
        return Change(bucket="notes:okafor", kind="decision", id=f"aside:{number}", rev=1, data=told)

    server.changes = [
        decision(1, entry.digest, decision="refused", reason="The first of them says it all"),
        decision(2, other, decision="refused", reason="Written again on the new phone"),
        decision(3, digest(b"released"), decision="released"),
    ]
    sync_once(phone, server)
    shown = phone.status()
    assert telling.where_of(entry, shown) == "Received, not taken: The first of them says it all"
    assert shown.state.quarantined == 0 and "set aside" not in telling.headline(shown.state)
    (elsewhere,) = shown.refused_elsewhere
    said = telling.refused_elsewhere_words(elsewhere, "1 Nov 10:00")
    assert (
        said == "An entry that the device named phone 3 handed in on 1 Nov 10:00 was not taken:"
        " Written again on the new phone"
    )
    assert telling.json_of(shown)["refused_elsewhere"][0]["digest"] == other


def test_only_one_sync_of_a_phone_runs_at_a_time(phone: Device, server: FakeServer) -> None:
    other = Device(Store.open(phone.store.folder, passphrase=None), surroundings())
    with phone.store.only_one_sync(), pytest.raises(StoreError, match="Another sync"):
        sync_once(other, server)
    other.store.close()


def test_a_note_may_be_written_while_a_sync_is_under_way(phone: Device, server: FakeServer) -> None:
    other = Device(Store.open(phone.store.folder, passphrase=None), surroundings())
    phone.write(a_note("first"))

    def interrupt(point: str) -> None:
        if point == "push.answered" and len(other.store.all_entries()) == 1:
            other.write(a_note("meanwhile"))

    busy = Device(phone.store, msgspec.structs.replace(phone.surroundings, reached=interrupt))
    assert sync_once(busy, server).all_sent
    assert len(server.notes) == 2
    other.store.close()


def test_that_it_goes_out_is_on_disk_before_it_goes(phone: Device, server: FakeServer) -> None:
    phone.write(a_note())
    seen: list[list[str]] = []

    def look(point: str) -> None:
        if point == "push.marked":
            other = Store.open(phone.store.folder, passphrase=None)
            seen.append([entry.state.value for entry in other.all_entries()])
            assert server.bodies == []
            other.close()

    sync_once(Device(phone.store, msgspec.structs.replace(phone.surroundings, reached=look)), server)
    assert seen == [["sent"]]
