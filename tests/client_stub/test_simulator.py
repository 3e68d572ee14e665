"""Rehearsals over real sockets: cut at random places, sent twice, and still each note once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from client_stub import simulator
from client_stub.badline import BadLine
from client_stub.simulator import Entry, InputProblem, Line, Phone, read_entries, rehearse
from sync.note import Amendment, Withdrawal
from sync.operations import parse_envelope
from tests.client_stub.fake_server import FakeServer, serve
from tests.client_stub.kit import WHEN, a_note

CODES = [f"{n:016d}" for n in range(1, 5)]


@pytest.fixture
def server() -> FakeServer:
    fake = FakeServer({code: f"officer.{n}" for n, code in enumerate(CODES)})
    fake.now = time.time_ns() // 1_000_000
    return fake


@pytest.fixture
def address(server: FakeServer) -> Iterator[str]:
    with serve(server) as url:
        yield url


def phones(folder: Path, address: str) -> list[Phone]:
    return [Phone(folder=folder / code, code=code, server=address) for code in CODES]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_a_line_cut_in_half_of_all_requests_every_note_arrives_once(
    tmp_path: Path, server: FakeServer, address: str, seed: int
) -> None:
    print(f"seed {seed}")
    entries = [Entry(id=f"note-{n}", note=a_note(f"{n} " + "words " * 50)) for n in range(60)]
    summary = rehearse(
        phones(tmp_path, address),
        simulator.deal(entries, len(CODES)),
        Line(cut=0.5, repeat=0.3, seed=seed, ops_per_push=4),
        passphrase=None,
        accept_unencrypted=True,
        deadline_s=60,
    )
    assert summary.all_sent, summary
    assert summary.cuts > 5 and summary.repeats > 0 and summary.retries >= summary.cuts / 2
    assert sorted(server.notes) == sorted(f"note-{n}" for n in range(60))
    assert len(server.ledger) == 60 and server.quarantine == []
    assert summary.written == summary.receipted == 60
    assert len(server.devices) == len(CODES)


def test_the_same_seed_cuts_at_the_same_places(address: str) -> None:
    def cuts(seed: int) -> list[bool]:
        line = BadLine(cut=0.5, repeat=0, seed=seed)
        with httpx.Client(transport=line, base_url=address) as client:
            return [cut_now(client) for _ in range(20)]

    assert cuts(7) == cuts(7) != cuts(8)


def cut_now(client: httpx.Client) -> bool:
    try:
        client.post("/api/sync/push", content=b"x" * 2000)
    except httpx.NetworkError:
        return True
    return False


def test_a_cut_falls_before_during_and_after_the_request(server: FakeServer, address: str) -> None:
    line = BadLine(cut=1.0, repeat=0, seed=3)
    whole = partial = 0
    with httpx.Client(transport=line, base_url=address) as client:
        for _ in range(60):
            before = len(server.requests)
            lost = cut_now(client)
            deadline = time.monotonic() + 2
            while len(server.requests) == before and time.monotonic() < deadline and not lost:
                time.sleep(0.001)
            if lost:
                time.sleep(0.005)  # the server's thread may still be reading what arrived
                whole += len(server.requests) > before
                partial += len(server.requests) == before
    assert whole > 5, "some requests arrived whole and lost their answer"
    assert partial > 5, "some requests never arrived whole"


def test_pushes_that_arrive_twice_are_recognised(tmp_path: Path, server: FakeServer, address: str) -> None:
    summary = rehearse(
        phones(tmp_path, address)[:1],
        [[Entry(note=a_note(str(n))) for n in range(6)]],
        Line(repeat=1.0, ops_per_push=2),
        passphrase=None,
        accept_unencrypted=True,
    )
    assert summary.repeats == 3 and len(server.bodies) == 6
    assert summary.all_sent and len(server.ledger) == 6


def test_when_time_is_up_the_rest_stays_on_the_phones_and_the_summary_says_so(
    tmp_path: Path, server: FakeServer, address: str
) -> None:
    server.receipts_on = False
    summary = rehearse(
        phones(tmp_path, address)[:1],
        [[Entry(note=a_note())]],
        Line(),
        passphrase=None,
        accept_unencrypted=True,
        deadline_s=0.5,
    )
    assert not summary.all_sent and summary.unconfirmed == 1 and summary.problems


def test_notes_amendments_and_withdrawals_are_read_and_go_out_in_order(
    tmp_path: Path, server: FakeServer, address: str
) -> None:
    entries = [
        Entry(id="n1", phone=0, note=a_note()),
        Entry(id="n1", phone=0, amendment=Amendment(recorded_at=WHEN, reason="r", text="t")),
        Entry(id="n1", phone=0, withdrawal=Withdrawal(recorded_at=WHEN, reason="r")),
    ]
    lines = [msgspec.json.encode(entry) for entry in entries] + [b"", msgspec.json.encode(a_note("bare"))]
    read = read_entries(lines)
    assert read[:3] == entries and read[3].note == a_note("bare")
    rehearse(
        phones(tmp_path, address)[:1], [read], Line(), passphrase=None, accept_unencrypted=True, deadline_s=30
    )
    kinds = [parse_envelope(line).kind for _, line in server.ledger.values()]
    assert kinds == ["note.write", "note.amend", "note.withdraw", "note.write"]


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b'{"observed_at": "yesterday about Jay Smith"}',
        b'{"id": "x"}',
        b'{"withdrawal": {"recorded_at": "2027-01-01T00:00:00Z", "reason": "x"}}',
        b'{"id": "x", "note": 1}',
        b"\xff",
    ],
)
def test_a_bad_line_is_named_by_its_number_and_never_repeated(line: bytes) -> None:
    with pytest.raises(InputProblem, match="Line 2") as caught:
        read_entries([msgspec.json.encode(a_note()), line])
    assert "Jay" not in str(caught.value)


def test_notes_are_dealt_in_turn_and_to_the_phone_that_is_named() -> None:
    bare = [Entry(note=a_note(str(n))) for n in range(4)]
    named = Entry(phone=1, note=a_note("mine"))
    assert simulator.deal([*bare[:2], named, *bare[2:]], 3) == [
        [bare[0], bare[3]],
        [bare[1], named],
        [bare[2]],
    ]
    with pytest.raises(InputProblem, match="phone 9"):
        simulator.deal([Entry(phone=9, note=a_note())], 3)
