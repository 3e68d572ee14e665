"""The ledger: a key is taken once, gaps are known, and what nobody could read is kept as it came."""

from __future__ import annotations

import pytest

from server.records import ledger
from server.storage import StorageConflict, Transaction
from sync import inbox
from sync.envelope import Code, Outcome
from tests.road import REGISTRY, START_MS, Officer, Road


@pytest.fixture
def officer(road: Road) -> Officer:
    return road.officer()


def arrival(officer: Officer, seq: int) -> inbox.Arrival:
    officer.seq = seq - 1
    return inbox.read_line(0, officer.note()[1], device=officer.identity.device_id)


def keep(tx: Transaction, officer: Officer, *seqs: int) -> ledger.Stream:
    """Keep ops with these seqs and move the marks; the stream."""
    stream = ledger.open_stream(tx, officer.identity.device_id, officer.epoch)
    for seq in seqs:
        ledger.keep(tx, stream, arrival(officer, seq), Outcome.APPLIED, now=START_MS, rev=1)
    ledger.advance(tx, stream, seqs)
    return stream


def take(road: Road, officer: Officer, seqs: list[int]) -> ledger.Stream:
    return road.store.write_now(lambda tx: keep(tx, officer, *seqs))


def test_a_numbering_is_made_once_and_found_again(road: Road, officer: Officer) -> None:
    first = road.store.write_now(lambda tx: keep(tx, officer, 1, 2))
    again = road.store.write_now(lambda tx: ledger.open_stream(tx, officer.identity.device_id, officer.epoch))
    assert again == first
    assert (again.contiguous_through, again.highest) == (2, 2)
    other = road.store.write_now(lambda tx: ledger.open_stream(tx, officer.identity.device_id, "another"))
    assert other.stream_id != first.stream_id


def test_a_taken_key_is_refused_by_the_database_itself(road: Road, officer: Officer) -> None:
    road.store.write_now(lambda tx: keep(tx, officer, 1))
    with pytest.raises(StorageConflict):
        road.store.write_now(lambda tx: keep(tx, officer, 1))


def test_what_is_recorded_is_what_was_kept(road: Road, officer: Officer) -> None:
    stream = road.store.write_now(lambda tx: keep(tx, officer, 1, 3))
    found = road.store.read_now(lambda tx: ledger.recorded(tx, stream, [1, 2, 3, 99]))
    assert sorted(found) == [1, 3]
    assert found[1].recorded.outcome is Outcome.APPLIED and found[1].recorded.rev == 1
    assert road.store.read_now(lambda tx: ledger.recorded(tx, stream, [])) == {}
    line = road.store.read_now(lambda tx: ledger.line_of(tx, found[1].op_id))
    assert inbox.read_line(0, line, device=officer.identity.device_id).digest == found[1].recorded.digest


@pytest.mark.parametrize(
    ("pushes", "reached", "gaps"),
    [
        ([[1, 2, 3]], 3, []),
        ([[2, 3]], 0, [(1, 1)]),
        ([[1], [3], [2]], 3, []),
        ([[1, 4], [2], [6]], 2, [(3, 3), (5, 5)]),
        ([[5], [4], [3], [2], [1]], 5, []),
        ([[1, 2], [5, 6], [3, 4, 7]], 7, []),
        ([[]], 0, []),
    ],
)
def test_marks_move_over_what_is_there_and_no_further(
    road: Road, officer: Officer, pushes: list[list[int]], reached: int, gaps: list[tuple[int, int]]
) -> None:
    for seqs in pushes:
        stream = take(road, officer, seqs)
    assert stream.contiguous_through == reached
    device = officer.identity.device_id
    assert road.store.read_now(lambda tx: ledger.durable_through(tx, device)) == {officer.epoch: reached}
    owed = road.store.read_now(ledger.owed)
    assert [(one.device_id, one.gaps) for one in owed] == ([(device, gaps)] if gaps else [])


def test_the_same_bytes_are_set_aside_once(road: Road, officer: Officer) -> None:
    broken = inbox.read_line(0, b"{broken", device=officer.identity.device_id)

    def aside(tx: Transaction) -> bool:
        return ledger.set_aside(
            tx, REGISTRY, officer.identity.device_id, broken, Code.NOT_AN_OP, now=START_MS, op_id=None
        )

    assert [road.store.write_now(aside) for _ in range(3)] == [True, False, False]
    assert road.rows("SELECT code, line FROM quarantine") == [("not_an_op", b"{broken")]
    assert road.count("audit_entry") == 1
    assert road.store.read_now(ledger.counts)["key_reused"] == 1


def test_parked_ops_wait_by_note_and_are_settled_once(road: Road, officer: Officer) -> None:
    def fill(tx: Transaction) -> list[int]:
        stream = ledger.open_stream(tx, officer.identity.device_id, officer.epoch)
        ids = [
            ledger.keep(tx, stream, arrival(officer, seq), Outcome.PARKED, now=START_MS) for seq in (1, 2, 3)
        ]
        for op_id, note_id in zip(ids, ("a", "a", "b"), strict=True):
            ledger.park(tx, op_id, note_id)
        return ids

    ids = road.store.write_now(fill)
    read = road.store.read_now
    assert read(lambda tx: ledger.awaited(tx, ["a", "c"])) == {"a"}
    assert read(lambda tx: ledger.awaited(tx, [])) == frozenset()
    assert read(lambda tx: ledger.parked_for(tx, "a")) == ids[:2]
    road.store.write_now(lambda tx: ledger.settle(tx, ids[0], Outcome.QUARANTINED, Code.FAILED))
    assert read(lambda tx: ledger.parked_for(tx, "a")) == ids[1:2]
    assert road.rows("SELECT outcome, code FROM op WHERE op_id = :op", op=ids[0]) == [
        ("quarantined", "failed")
    ]
    assert read(ledger.counts) == {"parked": 2, "quarantined": 1, "key_reused": 0}
