"""What is lent to a phone: erased when any of its clocks says so, with signal or without, and never the outbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_stub.became import Became
from client_stub.device import Device
from client_stub.lending import Lending
from client_stub.syncing import Sync
from client_stub.telling import json_of, sentence_of
from client_stub.transport import Transport
from sync.envelope import Change, Lease, Wipe
from sync.holdings import Clocks, Kept, lease_is_over
from tests.client_stub.fake_server import NOW, FakeServer
from tests.client_stub.kit import ADDRESS, a_note, new_phone, sync_once

SHIFT = 36_000_000
BUCKET = "briefing:E05000001"
TOLD = {
    "first_name": "Jay",
    "age": 13,
    "grade": "red",
    "look_out": "In danger",
    "since": NOW,
    "borough": "E1",
}


class Time:
    """A phone's clocks, each moved by itself."""

    def __init__(self) -> None:
        self.wall, self.monotonic, self.boot = NOW, 5_000, "boot-1"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def server() -> FakeServer:
    found = FakeServer()
    found.changes = [
        Change(bucket=BUCKET, kind="child", id="9", rev=1, data=TOLD),
        Change(bucket="notes:okafor", kind="note", id="n", rev=1, data={"status": "seen"}),
    ]
    found.lease = Lease(bucket=BUCKET, until=NOW + SHIFT, lasts=SHIFT)
    return found


@pytest.fixture
def phone(tmp_path: Path, server: FakeServer, time: Time) -> Device:
    device = new_phone(
        tmp_path / "phone", server,
        now_ms=lambda: time.wall, monotonic_ms=lambda: time.monotonic, boot_id=lambda: time.boot,
    )  # fmt: skip
    device.write(a_note("still to be sent"))
    server.push_script = ["cut"] * 2
    sync_once(device, server, tries_max=2)
    server.push_script = []
    with Transport(ADDRESS, line=server.transport()) as transport:
        Sync(device, transport, begin_lease=True).run()
    return device


def children(phone: Device) -> int:
    Lending(phone).erase_if_over()
    return phone.status().children_held


def test_a_lease_is_asked_for_only_when_the_officer_opens_the_briefing(
    phone: Device, server: FakeServer
) -> None:
    sync_once(phone, server)
    assert [request.lease for request in server.pulls].count("begin") == 1
    assert children(phone) == 1
    assert [one.told["first_name"] for one in Lending(phone).briefing()] == ["Jay"]


def test_a_lease_ends_offline_by_the_monotonic_clock_whatever_the_wall_clock_says(
    phone: Device, time: Time
) -> None:
    time.wall -= 3 * 365 * 86_400_000
    time.monotonic += SHIFT - 1
    assert children(phone) == 1
    time.monotonic += 1
    assert children(phone) == 0


def test_a_lease_ends_by_the_wall_clock_after_another_boot(phone: Device, time: Time) -> None:
    time.boot, time.monotonic = "boot-2", 10
    time.wall += SHIFT - 10_000
    assert children(phone) == 1
    time.wall += 20_000
    assert children(phone) == 0


def test_after_another_boot_a_clock_that_was_set_back_is_not_believed(phone: Device, time: Time) -> None:
    time.boot, time.wall = "boot-2", NOW - 86_400_000
    assert children(phone) == 0


def test_what_was_erased_is_told_and_nothing_else_goes(phone: Device, server: FakeServer, time: Time) -> None:
    """Invariant 10: the end of a lease never touches an unsent op."""
    phone.write(a_note("written at the end of the shift"))
    before = phone.store.all_entries()
    time.monotonic += SHIFT
    assert children(phone) == 0
    assert phone.store.all_entries() == before
    assert phone.status().became == {"n": Became("seen")}
    server.lease = None
    server.changes = server.changes[1:]
    server.pulls.clear()
    sync_once(phone, server)
    assert server.pulls[0].emptied == (BUCKET,)
    sync_once(phone, server)
    assert server.pulls[-1].emptied == ()
    assert server.conditions[-1].holds == 0 and server.conditions[-1].boot_id == "boot-1"


def test_only_the_bucket_that_is_wrong_is_asked_for_again(phone: Device, server: FakeServer) -> None:
    with phone.store.transaction():
        phone.store.run("DELETE FROM held WHERE bucket = ?", BUCKET)
    server.pulls.clear()
    report = sync_once(phone, server)
    assert report.problems == []
    assert [request.emptied for request in server.pulls] == [(), (BUCKET,)]
    assert all(request.cursor is not None for request in server.pulls)
    assert children(phone) == 1


def test_a_wipe_is_announced_before_and_said_after(phone: Device, server: FakeServer) -> None:
    server.wipe = True
    report = sync_once(phone, server)
    assert report.wiped and report.problems == []
    assert [said.wipe for said in server.conditions][-2:] == [Wipe.BEGINS, Wipe.DONE]
    assert server.conditions[-1].holds == 0 and server.conditions[-1].waiting == 0


def test_what_became_of_a_note_is_said_in_words(phone: Device, server: FakeServer) -> None:
    (item,) = phone.store.items()
    words = {
        "received": "Received", "linked": "Received, linked to a child the police know",
        "seen": "Seen by the borough", "decided": "Seen by the borough, which has decided what to do",
        "a word of a newer server": "Received",
    }  # fmt: skip
    for status, sentence in words.items():
        assert sentence_of(item, Became(status)) == sentence
    server.changes += [
        Change(bucket="notes:okafor", kind="note", id=item.entity_id, rev=2, data={"status": "decided"})
    ]
    sync_once(phone, server)
    shown = json_of(phone.status())
    assert shown["notes"][0]["where"] == "Seen by the borough, which has decided what to do"


def test_the_worst_clock_decides() -> None:
    since = Clocks(wall=1_000, monotonic=50, boot_id="a")
    kept = Kept(bucket="b", until=2_000, lasts=1_000, since=since)
    cases = {
        (1_999, 1_049, "a"): False,
        (2_000, 60, "a"): True,
        (1_500, 1_050, "a"): True,
        (500, 60, "a"): False,
        (500, 60, "b"): True,
        (1_500, 60, "b"): False,
        (1_500, 40, "a"): False,  # a monotonic clock that ran backwards is none: the wall clock decides
    }
    for (wall, monotonic, boot), over in cases.items():
        assert lease_is_over(kept, Clocks(wall=wall, monotonic=monotonic, boot_id=boot)) is over


def test_the_author_hears_what_the_borough_decided(phone: Device, server: FakeServer) -> None:
    (item,) = phone.store.items()
    data = {
        "status": "decided",
        "outcome": "referred",
        "outcome_words": "Thank you, you were right",
        "outcome_at": 1,
    }
    server.changes += [Change(bucket="notes:okafor", kind="note", id=item.entity_id, rev=2, data=data)]
    sync_once(phone, server)
    shown = phone.status()
    heard = "Seen by the borough. Referred to children's social care: Thank you, you were right"
    assert sentence_of(item, shown.became[item.entity_id]) == heard
    assert Became("decided", "a code of a newer server").sentence.startswith("Seen by the borough")
