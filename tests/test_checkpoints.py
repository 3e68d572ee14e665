"""Totals that a process keeps are those that counting gives, whatever happens between."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server import checkpoints
from server.checkpoints import Totals
from server.records import changes, notes, own_notes
from server.records.notes import Status
from server.storage import Transaction
from sync.envelope import ChangeOp
from sync.holdings import Total, checksum, total
from tests.road import AMARA, Road

DAY_MS = 24 * 3_600_000


def asked(tx: Transaction, totals: Totals, author: str, now: int, *, only_grows: bool = True) -> Total:
    logged = changes.after(tx, notes.bucket(author), 0, 0, 1_000)
    place = (logged[-1].xid, logged[-1].seq) if logged else (0, 0)
    return kept(
        totals, tx, notes.bucket(author), place, lambda: own_notes.revisions(tx, author), now, only_grows
    )


def kept(
    totals: Totals, tx: Transaction, bucket: str, place: tuple[int, int],
    revisions: Callable[[], list[tuple[str, str, int]]], now: int, only_grows: bool,
) -> Total:  # fmt: skip
    """What a process says of a bucket, as one that has answered remembers it."""
    found = totals.of(tx, bucket, place, revisions, only_grows=only_grows, now=now)
    totals.keep({bucket: found})
    return found.total


def counted(tx: Transaction, author: str) -> Total:
    return total(own_notes.revisions(tx, author))


@pytest.mark.invariant(9)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["write", "amend", "withdraw", "seen", "ask", "restart"]), max_size=12))
def test_invariant_9_a_total_that_is_brought_on_is_the_total_that_counting_gives(
    road: Road, steps: list[str]
) -> None:
    author = f"okafor{road.count('person')}"
    officer = road.officer(author)
    process, written = [Totals()], list[str]()

    def check(tx: Transaction) -> None:
        assert asked(tx, process[0], author, road.now) == counted(tx, author)

    def seen(note_id: str) -> None:
        road.store.write_now(lambda tx: notes.set_status(tx, [note_id], Status.SEEN))

    for step in [*steps, "ask"]:
        road.passes(hours=1)
        if step == "write":
            written.append(officer.writes(AMARA))
        elif step == "restart":
            process[0] = Totals()
        elif step == "ask":
            road.store.read_now(check)
        elif written:
            note_id = written[len(steps) % len(written)]
            if step == "seen":
                seen(note_id)
            else:
                officer.sends(officer.amendment(note_id) if step == "amend" else officer.withdrawal(note_id))


def test_what_is_known_is_not_counted_again_and_what_came_since_is_followed(road: Road) -> None:
    officer, totals, counts = road.officer("okafor"), Totals(), list[int]()

    def ask() -> Total:
        def work(tx: Transaction) -> Total:
            logged = changes.after(tx, notes.bucket("okafor"), 0, 0, 1_000)
            place = (logged[-1].xid, logged[-1].seq)

            def revisions() -> list[tuple[str, str, int]]:
                counts.append(1)
                return own_notes.revisions(tx, "okafor")

            return kept(totals, tx, "notes:okafor", place, revisions, road.now, only_grows=True)

        return road.store.read_now(work)

    officer.writes(AMARA)
    first = ask()
    assert ask() == first and len(counts) == 1
    officer.writes(AMARA)
    assert ask().rows == 2 and len(counts) == 1
    totals.forget("notes:okafor")
    assert ask().rows == 2 and len(counts) == 2


@pytest.mark.invariant(7)
def test_invariant_7_a_total_of_what_may_still_be_undone_is_not_remembered(road: Road) -> None:
    """A page may be read in the transaction of pushes before it; if their commit fails, nobody was told."""
    officer, totals = road.officer("okafor"), Totals()
    officer.writes(AMARA)
    found = road.store.read_now(
        lambda tx: totals.of(
            tx, "notes:okafor", (0, 7), lambda: own_notes.revisions(tx, "okafor"), only_grows=True, now=0
        )
    )
    assert found.total.rows == 1 and totals.at("notes:okafor", (0, 7), now=0) is None
    totals.keep({"notes:okafor": found})
    assert totals.at("notes:okafor", (0, 7), now=0) == found.total


@pytest.mark.invariant(9)
def test_invariant_9_a_change_that_was_never_logged_is_found_within_a_day(road: Road) -> None:
    officer, totals = road.officer("okafor"), Totals()
    note_id = officer.writes(AMARA)
    before = road.store.read_now(lambda tx: asked(tx, totals, "okafor", road.now))
    sql = "UPDATE note SET rev = rev + 1 WHERE note_id = :note"
    road.store.write_now(lambda tx: tx.execute(sql, {"note": note_id}))
    later = road.store.read_now(lambda tx: asked(tx, totals, "okafor", road.now + DAY_MS - 1))
    a_day = road.store.read_now(lambda tx: asked(tx, totals, "okafor", road.now + DAY_MS))
    assert before == later != a_day


def test_a_bucket_that_rows_leave_is_counted(road: Road) -> None:
    """A log of puts alone tells the total; where rows leave, the rows are counted."""
    totals = Totals()
    rows: dict[str, int] = {}

    def work(tx: Transaction, id: str, rev: int, op: ChangeOp) -> None:
        changes.put(tx, "briefing:w", "child", id, rev, op)

    def ask(tx: Transaction) -> Total:
        logged = changes.after(tx, "briefing:w", 0, 0, 100)
        place = (logged[-1].xid, logged[-1].seq)
        there = [("child", id, rev) for id, rev in rows.items()]
        return kept(totals, tx, "briefing:w", place, lambda: there, road.now, only_grows=False)

    for id, rev, op in (("1", 1, ChangeOp.PUT), ("1", 2, ChangeOp.REMOVE), ("1", 3, ChangeOp.PUT)):
        road.store.write_now(lambda tx, one=(id, rev, op): work(tx, *one))  # type: ignore[misc]
        rows.pop(id, None)
        if op is ChangeOp.PUT:
            rows[id] = rev
        found = road.store.read_now(ask)
        assert found.told == (len(rows), checksum(("child", id, rev) for id, rev in rows.items()))


def test_so_many_buckets_are_remembered_and_no_more(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "BUCKETS_MAX", 3)
    totals = Totals()

    def work(tx: Transaction) -> None:
        for number in range(10):
            kept(totals, tx, f"notes:{number}", (0, 0), list, 0, only_grows=True)

    road.store.read_now(work)
    known = [number for number in range(10) if totals.at(f"notes:{number}", (0, 0), now=0) is not None]
    assert known == [7, 8, 9]
    assert totals.at("notes:9", (0, 1), now=0) is None
    assert totals.at("notes:9", (0, 0), now=DAY_MS) is None
