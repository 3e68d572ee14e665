"""What merging costs the children that were never merged, who are nearly all: nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from server import intake, placing
from server.prepared import prepare
from tests.road import AMARA, JONAS, Road


class Counted:
    """A transaction that counts the statements it is given."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self.statements: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tx, name)
        if name not in ("row", "rows", "value", "execute", "executemany", "insert"):
            return found

        def counted(sql: str, *args: Any) -> Any:
            self.statements[" ".join(sql.split()[:40])] += 1
            return found(sql, *args)

        return counted


def statements_of(road: Road, number: int) -> Counter[str]:
    """The statements of one push with a note about a child of the registry and one about a child nobody knew."""
    officer = road.officer(f"okafor{number}")
    lines = [officer.note(AMARA)[1], officer.note(JONAS)[1]]
    prepared = prepare(lines, officer.identity.device_id)

    def push(tx: Any) -> Counter[str]:
        counted = Counted(tx)
        intake.receive(counted, officer.identity, prepared, now=road.now, world=road.worlds.current(tx))
        return counted.statements

    return road.store.write_now(push)


def test_a_note_about_a_child_with_one_record_asks_nothing_of_merging(road: Road) -> None:
    road.child(AMARA)
    for number in range(2):
        found = statements_of(road, number)
        assert sum(found.values()) > 20
        asked = [sql for sql in found if "merge_" in sql or "joint = 1" in sql or "cluster_owner =" in sql]
        assert asked == []
        children = [sql for sql in found if "cluster_id" in sql]
        # The record with its restriction and its cluster comes in the statements that read it anyway.
        assert all(
            sql.startswith(("SELECT c.child_id, c.record", "SELECT c.child_id, c.date_of_birth"))
            for sql in children
        )


def test_two_subjects_of_one_note_ask_nothing_either(road: Road) -> None:
    road.child(AMARA)
    road.child(JONAS)
    described = placing.describe(road.body(AMARA, JONAS))

    def decide(tx: Any) -> Counter[str]:
        counted = Counted(tx)
        placing.decide(counted, road.worlds.current(tx), described)
        return counted.statements

    found = road.store.read_now(decide)
    assert not any(sql.startswith("SELECT m.child_id") for sql in found)
