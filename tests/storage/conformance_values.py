"""What every engine must do with values and statements. Engines inherit this and override nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.storage import StorageConflict, StorageError, Store, Transaction
from tests.storage.engines import Engine, add, names

# Names as London has them; that a Cyrillic letter resembles a Latin one is the point.
NAMES = [
    "Zoë",
    "Nguyễn",
    "О'Брайен",  # noqa: RUF001 - as above
    "עדי",
    "محمد",
    "王小明",
    "ਜਸਪ੍ਰੀਤ",
    "👩‍👧",
    "a:b %s %(x)s ::text ' \"",
    "é",
]


class ValueConformance:
    """What goes in comes out, and one SQL means the same on every engine."""

    @pytest.fixture
    def things(self, engine: Engine) -> Store:
        return engine.open()

    # Values

    def test_what_is_written_is_read_back_as_it_was(self, things: Store) -> None:
        row = {"name": "".join(NAMES), "size": 2**63 - 1, "weight": 51.4775, "picture": bytes(range(256))}
        things.write_now(
            lambda tx: tx.execute(
                "INSERT INTO thing (name, size, weight, picture) VALUES (:name, :size, :weight, :picture)",
                row,
            )
        )
        found = things.read_now(lambda tx: tx.row("SELECT name, size, weight, picture FROM thing"))
        assert found == tuple(row.values())

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_in_any_script_is_found_again(self, things: Store, name: str) -> None:
        things.write_now(add(name))
        found = things.read_now(lambda tx: tx.rows("SELECT name FROM thing WHERE name = :n", {"n": name}))
        assert found == [(name,)]

    def test_nothing_is_null(self, things: Store) -> None:
        things.write_now(add("bare"))
        found = things.read_now(lambda tx: tx.row("SELECT weight, picture FROM thing"))
        assert found == (None, None)

    def test_truth_is_one_and_a_sum_is_an_integer(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            tx.execute("INSERT INTO thing (name, size) VALUES (:n, :yes)", {"n": "a", "yes": True})
            add("b", 5)(tx)

        things.write_now(work)
        total = things.read_now(lambda tx: tx.value("SELECT sum(size) FROM thing"))
        assert total == 6 and type(total) is int

    def test_text_with_nul_is_refused_or_kept_whole(self, things: Store) -> None:
        try:
            things.write_now(add("before\0after"))
        except StorageError as error:
            assert "NUL" in str(error)
            assert things.read_now(names) == []
        else:
            assert things.read_now(names) == ["before\0after"]

    @pytest.mark.parametrize(
        ("column", "value"), [("name", "half \ud83d"), ("size", 2**63), ("size", -(2**70))]
    )
    def test_what_cannot_be_kept_is_a_storage_error(self, things: Store, column: str, value: object) -> None:
        row = {"name": "x", "size": 1, column: value}
        with pytest.raises(StorageError):
            things.write_now(
                lambda tx: tx.execute("INSERT INTO thing (name, size) VALUES (:name, :size)", row)
            )
        assert things.read_now(names) == []

    # Statements

    def test_execute_counts_rows_and_queries_give_them(self, things: Store) -> None:
        def work(tx: Transaction) -> None:
            for name in ("a", "b", "c"):
                add(name)(tx)
            assert tx.execute("UPDATE thing SET size = 7 WHERE name <> :n", {"n": "a"}) == 2
            assert tx.execute("DELETE FROM thing WHERE name = :n", {"n": "nobody"}) == 0
            assert tx.rows("SELECT name, size FROM thing ORDER BY name") == [("a", 0), ("b", 7), ("c", 7)]
            assert tx.row("SELECT name FROM thing WHERE size = :s ORDER BY name", {"s": 7}) == ("b",)
            assert tx.row("SELECT name FROM thing WHERE size = :s", {"s": 8}) is None
            assert tx.value("SELECT name FROM thing WHERE size = :s", {"s": 8}) is None
            assert tx.rows("DELETE FROM thing WHERE size = 7 RETURNING name") in (
                [("b",), ("c",)],
                [("c",), ("b",)],
            )
            assert tx.rows("UPDATE thing SET size = 1") == []

        things.write_now(work)

    def test_upserts_answer_with_the_row_there_is(self, things: Store) -> None:
        upsert = (
            "INSERT INTO thing (name, size) VALUES (:n, :s) "
            "ON CONFLICT (name) DO UPDATE SET size = thing.size + excluded.size RETURNING size"
        )
        found = things.write_now(lambda tx: [tx.value(upsert, {"n": "a", "s": s}) for s in (1, 2, 3)])
        assert found == [1, 3, 6]

    def test_each_of_a_list_of_any_length_is_found_by_one_statement(self, things: Store) -> None:
        for name in ("a", 'b"c', "Ægir", "d%"):
            things.write_now(add(name))

        def find(*wanted: str) -> list[str]:
            marks = {"names": json.dumps(wanted)}
            return things.read_now(
                lambda tx: [
                    name
                    for (name,) in tx.rows(
                        f"SELECT name FROM thing WHERE name IN {tx.each('names')} ORDER BY thing_id", marks
                    )
                ]
            )

        assert find() == []
        assert find("Ægir", "a", "a", "A", "d") == ["a", "Ægir"]
        assert find('b"c', "d%", *map(str, range(2_000))) == ['b"c', "d%"]

    def test_text_of_a_statement_is_not_taken_for_parameters(self, things: Store) -> None:
        def work(tx: Transaction) -> list[Any]:
            add("100% :n -- 'x'")(tx)
            return tx.rows(
                "SELECT ':n', '100%' /* :m % */, \"name\" FROM thing -- :o %\n WHERE name LIKE '100%' AND name <> :n",
                {"n": "it's"},
            )

        assert things.write_now(work) == [(":n", "100%", "100% :n -- 'x'")]

    def test_a_percent_needs_no_care_without_parameters(self, things: Store) -> None:
        things.write_now(add("50% off"))
        assert things.read_now(
            lambda tx: tx.value("SELECT count(*) FROM thing WHERE name LIKE '50\\%%' ESCAPE '\\'")
        )

    def test_a_parameter_may_be_absent_twice_over(self, things: Store) -> None:
        things.write_now(add("a", 3))
        ask = (
            "SELECT name FROM thing WHERE (:size IS NULL OR size = :size) "
            "AND (:name IS NULL OR name = :name) LIMIT :n"
        )
        for size, name, expected in ((None, None, 1), (3, "a", 1), (4, None, 0), (None, "b", 0)):
            params = {"size": size, "name": name, "n": 10}
            found = things.read_now(lambda tx, params=params: tx.rows(ask, params))  # type: ignore[misc]
            assert len(found) == expected, params

    def test_executemany_takes_any_number_of_rows(self, things: Store) -> None:
        insert = "INSERT INTO thing (name, size) VALUES (:name, :size)"

        def work(tx: Transaction) -> None:
            tx.executemany(insert, [])
            tx.executemany(insert, ({"name": f"n{i}", "size": i} for i in range(500)))

        things.write_now(work)
        assert things.read_now(lambda tx: tx.row("SELECT count(*), max(size) FROM thing")) == (500, 499)

    def test_insert_many_keeps_every_value_and_fails_as_a_whole(self, things: Store) -> None:
        odd = ["a\tb", "\\N", "line\nbreak", "", "Zoë 李", "'quoted'", "\\x41"]

        def work(tx: Transaction) -> None:
            tx.insert_many("thing", ("name", "size"), [])
            tx.insert_many("thing", ("size", "name"), ((size, name) for size, name in enumerate(odd)))
            with pytest.raises(StorageConflict), tx.savepoint():
                tx.insert_many("thing", ("name",), [("b",), (odd[0],)])
            tx.insert_many("thing", ("name", "size"), [("after", 99)])

        things.write_now(work)
        found = things.read_now(lambda tx: tx.rows("SELECT name, size FROM thing"))
        assert set(found) == {*((name, size) for size, name in enumerate(odd)), ("after", 99)}

    def test_a_failing_row_undoes_its_whole_executemany(self, things: Store) -> None:
        insert = "INSERT INTO thing (name) VALUES (:n)"

        def work(tx: Transaction) -> None:
            add("before")(tx)
            with pytest.raises(StorageConflict), tx.savepoint():
                tx.executemany(insert, [{"n": name} for name in ("a", "b", "a", "c")])
            with pytest.raises(StorageError), tx.savepoint():
                tx.executemany(insert, [{"n": "d"}, {}])
            tx.executemany(insert, [{"n": "after"}])

        things.write_now(work)
        assert things.read_now(names) == ["before", "after"]
