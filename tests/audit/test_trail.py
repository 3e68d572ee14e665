"""Recording: what is written, when, and what is refused."""

from __future__ import annotations

import hashlib
import json
import threading
import time

import pytest

from server.audit import Actor, Verb, person, record, trail
from server.audit.queries import history_of
from server.audit.trail import IDS_MAX, INDEXED_AT_ONCE_MAX, REASON_MAX
from server.audit.verify import verify
from server.storage import StorageConflict, StorageError, Store, Transaction, open_store
from tests.audit.trails import NOW, run_sql, write_trail

ME = person(3)


def entries(store: Store, columns: str = "verb, kind, ids") -> list[tuple[object, ...]]:
    return store.read_now(lambda tx: tx.rows(f"SELECT {columns} FROM audit_entry ORDER BY position"))


def test_an_entry_holds_who_did_what_to_which_records_and_why(store: Store) -> None:
    store.write_now(
        lambda tx: record(
            tx,
            Actor("device", "d-1"),
            Verb.DISCLOSURE,
            "child",
            [5, "6"],
            now=NOW,
            reason="section 47 enquiry",
            recipients=("person:12",),
        )
    )
    found = entries(store, "position, at, verb, actor_kind, actor_id, kind, ids, reason, recipients")
    expected = (
        1,
        NOW,
        "disclosure",
        "device",
        "d-1",
        "child",
        '["5","6"]',
        "section 47 enquiry",
        '["person:12"]',
    )
    assert found == [expected]
    subjects = store.read_now(lambda tx: tx.rows("SELECT kind, id, position FROM audit_subject ORDER BY id"))
    assert subjects == [("child", "5", 1), ("child", "6", 1)]


def test_anybody_can_compute_a_hash_with_what_the_table_holds(store: Store) -> None:
    write_trail(store, 9)
    previous = "0" * 64
    columns = "previous_hash, hash, at, verb, actor_kind, actor_id, kind, ids, reason, recipients"
    for row in entries(store, columns):
        text = json.dumps(["earlysign-audit-1", row[0], *row[2:]], separators=(",", ":"), ensure_ascii=False)
        assert row[0] == previous
        assert row[1] == hashlib.sha256(text.encode()).hexdigest()
        previous = str(row[1])
    assert store.read_now(lambda tx: tx.row("SELECT entries, hash FROM audit_head")) == (9, previous)


def test_showing_in_a_read_is_on_record_before_the_answer_is_seen(store: Store) -> None:
    def look(tx: Transaction) -> str:
        record(tx, ME, Verb.CONSULTATION, "child", [5], now=NOW)
        return "seen"

    assert store.read_now(look) == "seen"
    assert entries(store) == [("consultation", "child", '["5"]')]


def test_nothing_is_shown_when_it_cannot_be_recorded(store: Store) -> None:
    write_trail(store, 3)
    run_sql(store, "UPDATE audit_head SET entries = 1")  # so that the next entry meets one in its place
    with pytest.raises(StorageError):
        store.read_now(lambda tx: record(tx, ME, Verb.CONSULTATION, "child", [5], now=NOW))
    assert len(entries(store)) == 3


def test_what_is_undone_leaves_no_entry(store: Store) -> None:
    def work(tx: Transaction) -> None:
        record(tx, ME, Verb.COLLECTION, "note", ["a"], now=NOW)
        for name in ("b", "c"):
            try:
                with tx.savepoint():
                    record(tx, ME, Verb.ALTERATION, "note", [name], now=NOW)
                    if name == "b":
                        raise KeyError
            except KeyError:
                continue

    store.write_now(work)

    def fails(tx: Transaction) -> None:
        work(tx)
        raise KeyError

    with pytest.raises(KeyError):
        store.write_now(fails)
    assert entries(store) == [("collection", "note", '["a"]'), ("alteration", "note", '["c"]')]


def test_a_first_entry_in_an_undone_savepoint_does_not_stop_later_ones(store: Store) -> None:
    def work(tx: Transaction) -> None:
        try:
            with tx.savepoint():
                record(tx, ME, Verb.ALTERATION, "note", ["lost"], now=NOW)
                raise KeyError
        except KeyError:
            record(tx, ME, Verb.COLLECTION, "quarantine", ["kept"], now=NOW)

    store.write_now(work)
    assert entries(store) == [("collection", "quarantine", '["kept"]')]


def test_last_work_of_others_may_record_too(store: Store) -> None:
    def work(tx: Transaction) -> None:
        record(tx, ME, Verb.COLLECTION, "note", ["a"], now=NOW)
        tx.at_commit(lambda tx: record(tx, ME, Verb.DISCLOSURE, "alert", [1], now=NOW))

    store.write_now(work)
    assert [row[0] for row in entries(store)] == ["collection", "disclosure"]


def test_no_ids_no_entry(store: Store) -> None:
    store.write_now(lambda tx: record(tx, ME, Verb.CONSULTATION, "child", [], now=NOW))
    assert entries(store) == []


def test_what_was_done_alike_in_one_transaction_is_one_entry(store: Store) -> None:
    def work(tx: Transaction) -> None:
        for i in (5, 6, 5):
            record(tx, ME, Verb.COLLECTION, "note", [i], now=NOW)
            record(tx, ME, Verb.ALTERATION, "child", [i], now=NOW, reason="dip sample")
        record(tx, ME, Verb.COLLECTION, "note", [7], now=NOW + 1)
        record(tx, person(4), Verb.COLLECTION, "note", [7], now=NOW)
        record(tx, ME, Verb.ALTERATION, "child", [7], now=NOW)

    store.write_now(work)
    assert [row[2] for row in entries(store)] == ['["5","6"]', '["5","6"]', '["7"]', '["7"]', '["7"]']


def test_very_many_ids_are_split_over_entries(store: Store) -> None:
    store.write_now(lambda tx: record(tx, ME, Verb.CONSULTATION, "child", range(2 * IDS_MAX + 1), now=NOW))
    found = entries(store, "ids")
    assert [len(json.loads(str(row[0]))) for row in found] == [IDS_MAX, IDS_MAX, 1]


@pytest.mark.parametrize("reason", ["", "x" * (REASON_MAX + 1), "two\nlines", "Zoë was seen", 'a "quote"'])
def test_a_reason_is_a_phrase_and_not_a_text(store: Store, reason: str) -> None:
    with pytest.raises(ValueError, match="reason") as caught:
        store.write_now(lambda tx: record(tx, ME, Verb.CONSULTATION, "child", [1], now=NOW, reason=reason))
    assert not reason or reason not in str(caught.value)


@pytest.mark.parametrize("recipient", ["mum@example.org", "Zoë Smith", ""])
def test_a_recipient_is_an_id_and_not_an_address(store: Store, recipient: str) -> None:
    with pytest.raises(ValueError, match="recipients"):
        store.write_now(
            lambda tx: record(tx, ME, Verb.DISCLOSURE, "child", [1], now=NOW, recipients=[recipient])
        )


def test_writers_at_once_make_one_chain(store: Store) -> None:
    at_once = threading.Barrier(6, timeout=20)
    failures: list[BaseException] = []

    def work(me: int) -> None:
        at_once.wait()
        try:
            for i in range(15):
                store.write_now(lambda tx: record(tx, person(me), Verb.ALTERATION, "child", [i], now=NOW))  # noqa: B023 - runs at once
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    found = entries(store, "position, previous_hash, hash")
    assert [row[0] for row in found] == list(range(1, 91))
    assert [row[1] for row in found[1:]] == [row[2] for row in found[:-1]]


def test_a_conflict_in_the_chain_undoes_the_work(store: Store) -> None:
    write_trail(store, 3)
    run_sql(store, "UPDATE audit_head SET entries = 1")
    with pytest.raises(StorageConflict):
        store.write_now(lambda tx: record(tx, ME, Verb.ALTERATION, "child", [1], now=NOW))


@pytest.mark.slow
def test_an_entry_costs_little() -> None:
    """Twelve microseconds are the aim on a quiet machine; three times that is the alarm."""
    store = open_store(":memory:")
    store.migrate()
    best = float("inf")
    for _ in range(30):
        begun = time.perf_counter()
        store.write_now(
            lambda tx: [record(tx, ME, Verb.CONSULTATION, "child", [i], now=NOW + i) for i in range(500)]  # type: ignore[func-returns-value]
        )
        best = min(best, (time.perf_counter() - begun) / 500)
    store.close_now()
    print(f"{best * 1e6:.1f} microseconds an entry")
    assert best < 36e-6


MANY = [f"n-{number:03}" for number in range(INDEXED_AT_ONCE_MAX + 5)]


def disclose(store: Store, ids: list[str]) -> None:
    store.write_now(
        lambda tx: record(tx, ME, Verb.DISCLOSURE, "note", ids, now=NOW, recipients=["x"], index_later=True)
    )


def found_of(store: Store, record_id: str) -> list[int]:
    entries = store.write_now(lambda tx: history_of(tx, ME, "note", record_id, now=NOW))
    return [entry.position for entry in entries]


def test_an_entry_that_waits_for_the_index_is_whole_and_is_found(store: Store) -> None:
    disclose(store, MANY)
    assert entries(store, "ids") == [(json.dumps(MANY, separators=(",", ":")),)]
    assert verify(store).ok
    assert [found_of(store, one) for one in (MANY[0], MANY[-1], "n-0", "N-000", "n-999")] == [
        [1],
        [1],
        [],
        [],
        [],
    ]
    store.write_now(lambda tx: record(tx, ME, Verb.CONSULTATION, "note", [MANY[0]], now=NOW))
    newest, oldest = found_of(store, MANY[0])
    assert newest > oldest == 1
    assert store.read_now(trail.is_behind)
    assert store.write_now(lambda tx: trail.index_waiting(tx, 10)) == 1
    assert not store.read_now(trail.is_behind)
    assert found_of(store, MANY[0]) == [newest, oldest] and found_of(store, MANY[-1]) == [1]
    subjects = store.read_now(
        lambda tx: tx.rows("SELECT id FROM audit_subject WHERE position = 1 ORDER BY id")
    )
    assert [id for (id,) in subjects] == MANY
    assert verify(store).ok


def test_an_entry_of_few_ids_does_not_wait(store: Store) -> None:
    disclose(store, MANY[:INDEXED_AT_ONCE_MAX])
    assert not store.read_now(trail.is_behind)
    assert found_of(store, MANY[0]) == [1]


def test_entries_are_put_into_the_index_oldest_first_and_so_many_at_once(store: Store) -> None:
    for _ in range(3):
        disclose(store, MANY)
    assert store.write_now(lambda tx: trail.index_waiting(tx, 2)) == 2
    assert store.read_now(lambda tx: tx.rows("SELECT position FROM audit_unindexed")) == [(3,)]
    assert found_of(store, MANY[3]) == [3, 2, 1] and verify(store).ok
    assert store.write_now(lambda tx: trail.index_waiting(tx, 2)) == 1
    assert store.write_now(lambda tx: trail.index_waiting(tx, 2)) == 0


def test_what_is_taken_out_of_the_index_while_others_wait_is_noticed(store: Store) -> None:
    disclose(store, MANY[:3])
    disclose(store, MANY)
    run_sql(store, "DELETE FROM audit_subject WHERE id = 'n-001'")
    problem = verify(store).problem
    assert problem is not None and problem.what == "index"
