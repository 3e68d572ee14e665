"""Verifying: each way to tamper is found, and the first entry it touched is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.audit import verify as verify_module
from server.audit.trail import GENESIS, entry_hash
from server.audit.verify import Anchor, take_anchor, verify
from server.storage import Row, Store, Transaction
from tests.audit.trails import NOW, run_sql, write_trail

ENTRIES = 60


@pytest.fixture(params=[7, 2_000], ids=["many pages", "one page"])
def trail(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(verify_module, "PAGE_ENTRIES", request.param)
    write_trail(store, ENTRIES)
    return store


def swap(one: int, other: int) -> list[str]:
    return [
        f"UPDATE audit_entry SET position = 999 WHERE position = {one}",
        f"UPDATE audit_entry SET position = {one} WHERE position = {other}",
        f"UPDATE audit_entry SET position = {other} WHERE position = 999",
    ]


def rewrite(store: Store, first: int, *, keep_head: bool = False) -> None:
    """Rewrite the trail from an entry on with new hashes, as somebody who knows the program would."""

    def work(tx: Transaction) -> None:
        columns = "at, verb, actor_kind, actor_id, kind, ids, reason, recipients"
        previous = GENESIS
        for position, old, *content in tx.rows(
            f"SELECT position, hash, {columns} FROM audit_entry ORDER BY position"
        ):
            if position < first:
                previous = old
                continue
            if position == first:
                content[3] = "999"
            digest = entry_hash(previous, *content)
            tx.execute(
                "UPDATE audit_entry SET actor_id = :a, previous_hash = :p, hash = :h WHERE position = :n",
                {"a": content[3], "p": previous, "h": digest, "n": position},
            )
            previous = digest
        if not keep_head:
            tx.execute("UPDATE audit_head SET hash = :h", {"h": previous})

    store.write_now(work)


def test_an_untouched_trail_is_as_it_was_written(trail: Store) -> None:
    report = verify(trail)
    assert report.ok and report.entries == ENTRIES
    assert "All 60 entries" in report.lines()[0]
    assert trail.read_now(lambda tx: verify(tx)) == report


def test_an_empty_trail_is_as_it_was_written(store: Store) -> None:
    report = verify(store)
    assert report.ok and report.entries == 0 and report.hash == GENESIS


@pytest.mark.parametrize(
    "change",
    [
        "at = at + 1",
        "verb = 'collected'",
        "actor_kind = 'person', actor_id = '77'",
        "actor_id = 'd-8'",
        "kind = 'case'",
        "ids = '[\"5\"]'",
        "reason = 'other'",
        "recipients = '[]', reason = 'x'",
        f"hash = '{'a' * 64}'",
        f"previous_hash = '{'a' * 64}'",
    ],
)
@pytest.mark.parametrize("position", [1, 23, ENTRIES])
def test_a_changed_entry_is_named(store: Store, change: str, position: int) -> None:
    write_trail(store, ENTRIES)
    run_sql(store, f"UPDATE audit_entry SET {change} WHERE position = {position}")
    problem = verify(store).problem
    assert problem is not None
    assert (problem.position, problem.what) == (position, "changed")


@pytest.mark.parametrize(
    ("tampering", "position", "what"),
    [
        (["DELETE FROM audit_entry WHERE position = 1"], 1, "removed"),
        (["DELETE FROM audit_entry WHERE position = 30"], 30, "removed"),
        (["DELETE FROM audit_entry WHERE position BETWEEN 30 AND 41"], 30, "removed"),
        (["DELETE FROM audit_entry WHERE position = 60"], 60, "removed"),
        (["DELETE FROM audit_entry WHERE position > 20"], 21, "removed"),
        (["DELETE FROM audit_entry"], 1, "removed"),
        (swap(30, 31), 30, "reordered"),
        (swap(12, 50), 12, "reordered"),
        (["UPDATE audit_entry SET position = 999 WHERE position = 44"], 44, "reordered"),
        (["UPDATE audit_head SET entries = 59"], 60, "added"),
        ([f"UPDATE audit_head SET hash = '{'b' * 64}'"], 60, "changed"),
        (["DELETE FROM audit_head"], 1, "added"),
        (["DELETE FROM audit_subject WHERE position = 9"], 60, "index"),
        (["UPDATE audit_subject SET id = '4711' WHERE position = 9 AND id = '9'"], 60, "index"),
        (["INSERT INTO audit_subject (kind, id, position) VALUES ('child', '4711', 9)"], 60, "index"),
    ],
)
def test_what_was_taken_out_moved_or_added_is_named(
    trail: Store, tampering: list[str], position: int, what: str
) -> None:
    run_sql(trail, *tampering)
    problem = verify(trail).problem
    assert problem is not None
    assert (problem.position, problem.what) == (position, what)


def test_renumbering_does_not_hide_what_was_taken_out(trail: Store) -> None:
    moves = [f"UPDATE audit_entry SET position = {i - 1} WHERE position = {i}" for i in range(31, 61)]
    run_sql(
        trail, "DELETE FROM audit_entry WHERE position = 30", *moves, "UPDATE audit_head SET entries = 59"
    )
    problem = verify(trail).problem
    assert problem is not None and (problem.position, problem.what) == (30, "removed")


def test_an_entry_replaced_with_its_hash_breaks_the_link_after_it(trail: Store) -> None:
    def work(tx: Transaction) -> None:
        columns = "previous_hash, at, verb, actor_kind, actor_id, kind, ids, reason, recipients"
        row: Row | None = tx.row(f"SELECT {columns} FROM audit_entry WHERE position = 30")
        assert row is not None
        changed = (*row[:4], "999", *row[5:])
        tx.execute(
            "UPDATE audit_entry SET actor_id = '999', hash = :h WHERE position = 30",
            {"h": entry_hash(*changed)},
        )

    trail.write_now(work)
    problem = verify(trail).problem
    assert problem is not None and problem.position == 31
    assert "entry 30 was replaced" in problem.why


def test_a_trail_rewritten_to_its_head_is_found_by_an_anchor(trail: Store) -> None:
    anchor = Anchor.parse(take_anchor(trail, now=NOW).line())
    write_trail(trail, 10)
    assert verify(trail, anchor=anchor).ok
    rewrite(trail, 40)
    assert verify(trail).ok  # the chain alone cannot know
    problem = verify(trail, anchor=anchor).problem
    assert problem is not None and (problem.position, problem.what) == (ENTRIES, "changed")


def test_a_rewritten_trail_with_the_old_head_is_found_without_an_anchor(trail: Store) -> None:
    rewrite(trail, 40, keep_head=True)
    problem = verify(trail).problem
    assert problem is not None and (problem.position, problem.what) == (ENTRIES, "changed")


def test_a_tail_cut_off_together_with_its_head_is_found_by_an_anchor(trail: Store) -> None:
    anchor = take_anchor(trail, now=NOW)
    run_sql(
        trail,
        "DELETE FROM audit_entry WHERE position > 50",
        "DELETE FROM audit_subject WHERE position > 50",
        "UPDATE audit_head SET entries = 50, hash = (SELECT hash FROM audit_entry WHERE position = 50)",
    )
    assert verify(trail).ok
    problem = verify(trail, anchor=anchor).problem
    assert problem is not None and (problem.position, problem.what) == (51, "removed")


def test_the_report_tells_a_person_where_and_what(trail: Store) -> None:
    run_sql(trail, "UPDATE audit_entry SET reason = 'x' WHERE position = 30")
    lines = verify(trail).lines()
    assert lines[0].startswith("Entry 30: changed.") and "29 entries before it" in lines[1]


def test_entries_written_during_a_walk_do_not_disturb_it(store: Store) -> None:
    write_trail(store, ENTRIES)

    class Meanwhile:
        """A view on the store through which somebody writes between two pages."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def read_now(self, work: Callable[[Transaction], object]) -> object:
            answer = store.read_now(work)
            write_trail(store, 3)
            return answer

    report = verify(Meanwhile())  # type: ignore[arg-type] # it passes everything on
    assert report.ok and report.entries == ENTRIES


@pytest.mark.parametrize(
    "line", ["", "entries=5", "earlysign-audit-anchor 1 entries=5 hash=abc at=2026-01-01"]
)
def test_what_is_not_an_anchor_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not an anchor"):
        Anchor.parse(line)


def test_an_anchor_survives_being_written_down() -> None:
    anchor = Anchor(12, "ab" * 32, NOW + 17)
    assert Anchor.parse(anchor.line() + "\n") == anchor
