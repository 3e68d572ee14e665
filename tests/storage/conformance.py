"""What every engine must do with one transaction. Engines inherit this and override nothing."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import TypeVar

import pytest

from server.storage import (
    StorageConflict,
    StorageError,
    StorageUnavailable,
    Store,
    Transaction,
    TransactionEnded,
)
from tests.storage.engines import Engine, add, names, put

T = TypeVar("T")


class Boom(Exception):
    """Raised by the tests' own work."""


class TransactionConformance:
    """Commit, undo, savepoints, last work, and errors."""

    @pytest.fixture
    def things(self, engine: Engine) -> Store:
        return engine.open()

    # Commit, undo, savepoints

    def test_an_exception_undoes_the_work_and_reaches_the_caller(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            add("a")(tx)
            raise Boom

        with pytest.raises(Boom):
            things.write_now(work)
        assert things.read_now(names) == []

    def test_an_insert_gives_the_identity_of_its_row(self, things: Store) -> None:
        def work(tx: Transaction) -> tuple[int, int, object]:
            sql = "INSERT INTO thing (name) VALUES (:name)"
            first = tx.insert(sql, {"name": "identity one"}, "thing_id")
            second = tx.insert(sql, {"name": "identity two"}, "thing_id")
            return first, second, tx.value("SELECT name FROM thing WHERE thing_id = :id", {"id": second})

        first, second, name = things.write_now(work)
        assert first != second
        assert name == "identity two"

    def test_a_savepoint_undoes_what_is_inside_it_and_only_that(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            add("before")(tx)
            with pytest.raises(Boom), tx.savepoint():
                add("inside")(tx)
                with tx.savepoint():
                    add("deeper")(tx)
                raise Boom
            with tx.savepoint():
                add("kept")(tx)
                with pytest.raises(Boom), tx.savepoint():
                    add("lost")(tx)
                    raise Boom
            add("after")(tx)

        things.write_now(work)
        assert things.read_now(names) == ["before", "kept", "after"]

    @pytest.mark.invariant(5)
    def test_invariant_5_one_bad_op_never_changes_another(self, things: Store) -> None:
        def one(tx: Transaction, i: int) -> str:
            try:
                with tx.savepoint():
                    add("taken" if i % 3 == 0 else f"op {i}", -1 if i % 5 == 0 else i)(tx)
                return "applied"
            except StorageConflict:
                return "quarantined"

        things.write_now(add("taken"))
        verdicts = things.write_now(lambda tx: [one(tx, i) for i in range(1, 60)])
        expected = [i % 3 != 0 and i % 5 != 0 for i in range(1, 60)]
        assert [verdict == "applied" for verdict in verdicts] == expected
        assert things.read_now(names) == ["taken", *(f"op {i}" for i in range(1, 60) if expected[i - 1])]

    def test_an_undone_savepoint_takes_its_notes_and_its_last_work_along(self, things: Store) -> None:
        ran: list[str] = []

        def work(tx: Transaction) -> None:
            tx.notes["list"] = buffer = [1]
            tx.notes["word"] = "outside"
            tx.at_commit(lambda _tx: ran.append("outside"))
            with pytest.raises(Boom), tx.savepoint():
                buffer.append(2)
                tx.notes["word"] = "inside"
                tx.notes["new"] = [3]
                tx.at_commit(lambda _tx: ran.append("inside"))
                raise Boom
            assert tx.notes == {"list": [1], "word": "outside"}
            assert tx.notes["list"] is buffer
            with tx.savepoint():
                buffer.append(4)
            assert buffer == [1, 4]

        things.write_now(work)
        assert ran == ["outside"]

    def test_a_failure_caught_without_a_savepoint_cannot_commit(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            add("a")(tx)
            with pytest.raises(StorageConflict):
                add("a")(tx)
            with pytest.raises(StorageError):
                add("b")(tx)

        with pytest.raises(StorageError, match="savepoint"):
            things.write_now(work)
        assert things.read_now(names) == []

    def test_a_failure_caught_inside_its_savepoint_undoes_that_savepoint(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            add("a")(tx)
            with pytest.raises(StorageError, match="savepoint"), tx.savepoint():
                add("b")(tx)
                with pytest.raises(StorageConflict):
                    add("a")(tx)
            add("c")(tx)

        things.write_now(work)
        assert things.read_now(names) == ["a", "c"]

    def test_a_transaction_is_of_no_use_after_its_work(self, things: Store) -> None:
        uses: list[Callable[[Transaction], object]] = [
            names,
            lambda tx: tx.execute("DELETE FROM thing"),
            lambda tx: tx.executemany("DELETE FROM thing WHERE name = :n", [{"n": "a"}]),
            lambda tx: tx.savepoint(),
            lambda tx: tx.lock("x"),
            lambda tx: tx.at_commit(print),
            lambda tx: tx.notify("t", "p"),
        ]
        for kept in (things.write_now(lambda tx: tx), things.read_now(lambda tx: tx)):
            for use in uses:
                with pytest.raises(TransactionEnded):
                    use(kept)

    # Last work

    def test_last_work_runs_last_and_its_failure_undoes_everything(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.at_commit(lambda tx: tx.at_commit(put("third")))
            tx.at_commit(put("second"))
            add("first")(tx)

        things.write_now(work)
        assert things.read_now(names) == ["first", "second", "third"]

        def fail(_tx: Transaction) -> None:
            raise Boom

        def doomed(tx: Transaction) -> None:
            add("never")(tx)
            tx.at_commit(fail)

        with pytest.raises(Boom):
            things.write_now(doomed)
        assert len(things.read_now(names)) == 3

    def test_last_work_of_a_read_writes_before_the_answer_is_seen(self, things: Store) -> None:
        def look(tx: Transaction) -> int:
            tx.notes["seen"] = ["child 5"]

            def last(tx: Transaction) -> None:
                add(tx.notes["seen"][0])(tx)
                tx.at_commit(put("and more"))

            tx.at_commit(last)
            return len(names(tx))

        assert things.read_now(look) == 0
        assert things.read_now(names) == ["child 5", "and more"]

    def test_nothing_is_shown_when_the_last_work_of_a_read_fails(self, things: Store) -> None:
        things.write_now(add("child 5"))
        with pytest.raises(StorageConflict):
            things.read_now(lambda tx: tx.at_commit(put("child 5")))

    def test_a_read_that_is_recorded_is_a_read_like_any_other(self, things: Store) -> None:
        def look(tx: Transaction) -> list[str]:
            tx.at_commit(put("shown"))
            return names(tx)

        assert asyncio.run(_recorded(things, look)) == []
        assert things.read_now(names) == ["shown"]
        with pytest.raises(StorageConflict):  # nothing is shown whose showing could not be recorded
            asyncio.run(_recorded(things, look))
        with pytest.raises(StorageError, match="read"):
            asyncio.run(_recorded(things, add("sneaked in")))
        assert asyncio.run(_recorded(things, names)) == ["shown"]

    @pytest.mark.parametrize(
        "use",
        [add("a"), lambda tx: tx.lock("x"), lambda tx: tx.notify("t", "p")],
        ids=["write", "lock", "notify"],
    )
    def test_a_read_changes_nothing(self, things: Store, use: Callable[[Transaction], object]) -> None:
        with pytest.raises(StorageError, match="read") as caught:
            things.read_now(use)
        assert not isinstance(caught.value, StorageUnavailable)
        assert things.read_now(names) == []

    # Errors

    def test_a_conflict_names_its_constraint(self, things: Store) -> None:
        things.write_now(add("a"))
        with pytest.raises(StorageConflict) as caught:
            things.write_now(add("a"))
        assert "thing" in caught.value.constraint and "name" in caught.value.constraint

    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO thing (name) VALUES (:n)",  # a key that exists
            "INSERT INTO thing (name, size) VALUES ('b', :n)",  # not a number
            "INSERT INTO thing (name, size) VALUES (:n, -1)",  # a check
            "INSERT INTO thing (name, size) VALUES (:n, NULL)",
            "INSERT INTO nowhere VALUES (:n)",
            "INSERT INTO thing (name) VALUES (:n) (",
            "SELECT :n, :not_given",
        ],
    )
    def test_no_error_repeats_what_people_wrote(self, things: Store, sql: str) -> None:
        secret = "Wilhelmina"
        things.write_now(add(secret))
        with pytest.raises(StorageError) as caught:
            things.write_now(lambda tx: tx.execute(sql, {"n": secret}))
        told = "".join(traceback.format_exception(caught.value))
        assert secret not in told.replace(f'secret = "{secret}"', "")
        assert not isinstance(caught.value, StorageUnavailable)

    def test_a_mistake_in_sql_says_where(self, things: Store) -> None:
        with pytest.raises(StorageError, match="nowhere"):
            things.read_now(lambda tx: tx.rows("SELECT * FROM nowhere"))

    def test_a_database_that_may_be_written_says_so(self, things: Store) -> None:
        assert things.read_now(lambda tx: tx.may_be_written()) is True

    def test_the_engine_looks_at_its_tables_when_it_is_asked_to(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.executemany(
                "INSERT INTO change (writer, round) VALUES (:writer, 1)", [{"writer": n} for n in range(40)]
            )
            tx.analyse()

        things.write_now(work)
        assert things.read_now(lambda tx: tx.sole_writer or rows_planned_for(tx, "change") == 40)

    def test_settled_is_a_condition_on_a_change(self, things: Store) -> None:
        things.write_now(lambda tx: tx.execute("INSERT INTO change (writer, round) VALUES (1, 1)"))
        found = things.read_now(lambda tx: tx.rows(f"SELECT writer FROM change WHERE {tx.settled}"))
        assert found == [(1,)]


def rows_planned_for(tx: Transaction, table: str) -> int:
    """How many rows PostgreSQL takes a table to have."""
    return int(tx.value("SELECT reltuples FROM pg_class WHERE relname = :table", {"table": table}))


async def _recorded(things: Store, work: Callable[[Transaction], T]) -> T:
    return await things.read_recorded(work)
