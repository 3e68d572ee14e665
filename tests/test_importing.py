"""Importing a registry night after night: what changes, what is said, and what must never be lost."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from server.access.errors import NotAllowed, ReasonNeeded
from server.demo.describe import as_subject, describe
from server.demo.population import csv_row, population
from server.demo.strata import Stratum
from server.importing import STAGES, Imported, import_registry, writing
from server.importing.check import Named
from server.linkage.blocking import blocking_keys
from server.linkage.csv_rows import TableError
from server.linkage.inverting import unpack_terms
from server.linkage.postings import offsets_of, unpack
from server.linkage.standardise import decode_record
from server.linkage.terms import terms_of
from server.records import children, children_shown, index, registry, search
from server.records.child import Standing
from server.records.registry_rows import REGISTRY_COLUMNS
from server.storage import Store, Transaction, open_store
from sync.note import Subject
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, LAMBETH, REGISTRY, SOUTHWARK, Road, somebody

ROW = dict.fromkeys(REGISTRY_COLUMNS, "") | {
    "child_id": "R1",
    "given_names": "Amara",
    "family_name": "Okonkwo-Bright",
    "date_of_birth": "2012-03-04",
    "address": "14 Coldharbour Lane",
    "postcode": "SW9 8PR",
    "school": "Stockwell Park High School",
    "home_borough": LAMBETH,
    "looked_after": "no",
    "restricted": "no",
}
NIGHT_MS = 24 * 3_600_000


class Night:
    """A registry's file, and a database that it is imported into night after night."""

    def __init__(self, road: Road, folder: Path) -> None:
        self.road = road
        self.path = folder / "registry.csv"

    def brings(self, *rows: dict[str, str], raw: bytes = b"", **options: Any) -> Imported:
        with self.path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, REGISTRY_COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        with self.path.open("ab") as raw_file:
            raw_file.write(raw)
        self.road.now += NIGHT_MS
        return import_registry(self.road.store, self.path, now=self.road.now, **options)

    def child(self, registry_id: str) -> int:
        found: int = self.road.value("SELECT child_id FROM child WHERE registry_id = :id", id=registry_id)
        return found

    def rejects(self) -> list[list[str]]:
        with self.path.with_name("registry.csv.rejects.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))


def row(registry_id: str, **changes: str) -> dict[str, str]:
    return ROW | {"child_id": registry_id} | changes


def many(count: int, **changes: str) -> list[dict[str, str]]:
    return [
        row(f"N{n}", given_names=f"Ada{n:04}", date_of_birth=f"2012-03-{n % 28 + 1:02}", **changes)
        for n in range(count)
    ]


def counts(done: Imported) -> tuple[int, ...]:
    return done.added, done.changed, done.unchanged, done.gone, done.returned, done.rejected


@pytest.fixture
def night(store: Store, tmp_path: Path) -> Night:
    return Night(Road(store), tmp_path)


def index_is_exact(road: Road) -> None:
    """What stands in the index is what the children are to be found by, and nothing else."""
    wanted = {
        (key, child_id)
        for child_id, encoded in road.rows(
            "SELECT child_id, record FROM child WHERE standing IN ('known', 'provisional')"
        )
        for key in blocking_keys(decode_record(bytes(encoded)))
    }
    stored = road.rows("SELECT key, child_id FROM child_key")
    beside = road.rows("SELECT key, child_id FROM child_key_run")
    assert set(stored) | set(beside) == wanted and len(stored) == len(set(stored))


# Night after night -------------------------------------------------------------------------------------------


def test_only_what_changed_is_written(night: Night) -> None:
    rows = [row("R1"), row("R2", given_names="Chidera"), row("R3", given_names="Emeka")]
    assert counts(night.brings(*rows)) == (3, 0, 0, 0, 0, 0)
    entries, before = night.road.count("audit_entry"), night.road.rows("SELECT child_id, rev FROM child")
    assert counts(night.brings(*rows)) == (0, 0, 3, 0, 0, 0)
    assert night.road.count("audit_entry") == entries
    assert night.road.rows("SELECT child_id, rev FROM child") == before
    rows[1] = row("R2", given_names="Chidera", postcode="SE5 7AA", aliases="Chi;Dera", school_borough=CAMDEN)
    assert counts(night.brings(*rows)) == (0, 1, 2, 0, 0, 0)
    child_id = night.child("R2")
    shown = night.road.store.read_now(
        lambda tx: children_shown.show(tx, somebody("x", borough=CAMDEN), child_id, now=night.road.now)
    )
    assert shown.rev == 2 and shown.details.postcode == "SE5 7AA" and shown.details.aliases == ("Chi", "Dera")
    assert night.road.rows("SELECT rev FROM child WHERE child_id <> :c", c=child_id) == [(1,), (1,)]
    index_is_exact(night.road)


def test_columns_in_another_order_and_those_left_out_change_nothing(night: Night) -> None:
    night.brings(row("R1"), row("R2", given_names="Chidera"))
    columns = [c for c in reversed(REGISTRY_COLUMNS) if c not in ("upn", "phone", "guardian")]
    with night.path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows([row("R1"), row("R2", given_names="Chidera")])
    assert counts(import_registry(night.road.store, night.path, now=1)) == (0, 0, 2, 0, 0, 0)


def test_a_child_that_the_file_leaves_out_is_kept_found_and_says_since_when(night: Night) -> None:
    night.brings(row("R1"), row("R2", given_names="Chidera"))
    assert counts(night.brings(row("R2", given_names="Chidera"))) == (0, 0, 1, 1, 0, 0)
    left = night.child("R1")
    shown = night.road.store.read_now(
        lambda tx: children_shown.show(tx, somebody(), left, now=night.road.now)
    )
    assert shown.left_registry_at == night.road.now and shown.standing is Standing.KNOWN
    assert night.road.child_of(night.road.officer().writes(AMARA)) == left
    since = night.road.now
    assert counts(night.brings(row("R2", given_names="Chidera"))) == (0, 0, 1, 0, 0, 0)
    assert night.road.value("SELECT left_registry_at FROM child WHERE child_id = :c", c=left) == since
    assert counts(night.brings(row("R1"), row("R2", given_names="Chidera"))) == (0, 0, 2, 0, 1, 0)
    assert night.road.value("SELECT left_registry_at FROM child WHERE child_id = :c", c=left) is None
    night.brings(row("R2", given_names="Chidera"))
    assert counts(night.brings(row("R1", upn="X1"), row("R2", given_names="Chidera"))) == (0, 1, 1, 0, 0, 0)
    assert night.road.value("SELECT left_registry_at FROM child WHERE child_id = :c", c=left) is None
    reasons = night.road.rows("SELECT reason FROM audit_entry WHERE verb = 'alteration' AND kind = 'child'")
    assert ("no longer in the registry",) in reasons and ("in the registry again",) in reasons


def test_every_run_is_on_record(night: Night) -> None:
    night.brings(row("R1"), row("R2"), actor=REGISTRY)
    night.brings(row("R1", postcode="SE5 7AA"), raw=b"R3,x\n", actor=REGISTRY)
    found = night.road.rows(
        "SELECT started_by, added, changed, unchanged, gone, returned, rejected FROM import_run ORDER BY run_id"
    )
    # R2 stays: the bad row names R3, who is nobody, and so might be R2.
    assert found == [("tests", 2, 0, 0, 0, 0, 0), ("tests", 0, 1, 0, 0, 0, 1)]
    assert night.road.count("import_run", "ended_at >= started_at AND length(file_digest) = 64") == 2


# Rows and files that cannot be used --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b",Ada" + b"," * 16, "child_id is empty"),
        (b"X1,Ada,,,spring" + b"," * 13, "date_of_birth is not a date"),
        (b"X1,Ada,,,,purple" + b"," * 12, "sex is neither"),
        (b"X1,Ada" + b"," * 15 + b",perhaps", "restricted is neither yes nor no"),
        (b"X1,Ada", "2 cells, the header has 18"),
        (b"R1" + b"," * 17, "the same child_id as an earlier line"),
        (b"X1,Zo\xeb" + b"," * 16, "not UTF-8"),
        (b"X1,Zo\0" + b"," * 16, "NUL"),
        (b"X1," + b"x" * 100_000 + b"," * 16, "longer than"),
        (b'X1,"Ada' + b"," * 16, "not valid CSV"),
        (b'X1,"Ada"a' + b"," * 16, "not valid CSV"),
        (b"X" * 300 + b"," * 17, "child_id is longer than"),
    ],
)
def test_a_bad_row_is_put_aside_and_the_rest_is_imported(night: Night, raw: bytes, why: str) -> None:
    after = b'R2,"Chidera, the second",Okonkwo' + b"," * 15 + b"\n"
    done = night.brings(row("R1"), raw=raw + b"\n" + after)
    assert counts(done) == (2, 0, 0, 0, 0, 1)
    header, bad = night.rejects()
    assert header == ["line", "reason", *REGISTRY_COLUMNS]
    assert bad[0] == "3" and why in bad[1]
    assert night.road.value("SELECT details FROM child WHERE registry_id = 'R2'") is not None
    index_is_exact(night.road)


def test_a_quotation_mark_that_is_never_closed_costs_one_row(night: Night) -> None:
    rows = [row(f"R{n}", address='4 "The Mews", Peckham') for n in range(50)]
    done = night.brings(
        *rows[:1],
        raw=b'R99,"Ada' + b"," * 16 + b"\n" + b"".join(f"S{n},Ada{',' * 16}\n".encode() for n in range(500)),
    )
    assert counts(done) == (501, 0, 0, 0, 0, 1)


def test_a_cell_may_span_lines(night: Night) -> None:
    night.brings(row("R1", address="Flat 2\n14 Coldharbour Lane"), row("R2", given_names="Chidera"))
    child_id = night.child("R1")
    shown = night.road.store.read_now(lambda tx: children_shown.show(tx, somebody(), child_id, now=1))
    assert shown.details.address == "Flat 2\n14 Coldharbour Lane"
    assert night.child("R2")


def test_a_child_whose_row_is_bad_has_not_gone(night: Night) -> None:
    night.brings(row("R1"), row("R2"), row("R3"))
    done = night.brings(row("R1"), row("R2", date_of_birth="spring"), raw=b"R3,too short\n")
    assert counts(done) == (0, 0, 1, 0, 0, 2) and done.unnamed == 0
    assert night.road.count("child", "left_registry_at IS NOT NULL") == 0
    # The first of two rows cannot be read: the second can.
    done = night.brings(row("R2"), row("R3"), raw=b"R1,too short\n" + b"R1,Ada" + b"," * 16 + b"\n")
    assert counts(done) == (0, 1, 2, 0, 0, 1)
    # A row that names nobody may be anybody's.
    done = night.brings(row("R1"), row("R2"), raw=b",too short\n")
    assert (done.gone, done.unnamed) == (0, 1)
    assert night.brings(row("R1"), row("R2")).gone == 1


def test_letters_of_every_script_come_out_as_they_went_in(night: Night) -> None:
    names = [
        "".join(chr(first + step) for step in range(4))
        for first in range(0x0370, 0x30FF, 0x58)
        if all(chr(first + step).isalpha() for step in range(4))
    ] + ["李小龙", "김민준", "𐌰𐌱𐌲", "Zoë", "Nguyễn", "עֲבָדִים", "محمد"]
    assert len(names) > 60
    rows = [row(f"R-{name}", given_names=name, family_name=name) for name in names]
    assert night.brings(*rows).added == len(names)
    assert counts(night.brings(*rows)) == (0, 0, len(names), 0, 0, 0)
    for name in names[:: len(names) // 8]:
        child_id = night.child(f"R-{name}")
        shown = night.road.store.read_now(
            lambda tx, child_id=child_id: children_shown.show(tx, somebody(), child_id, now=1)  # type: ignore[misc]
        )
        assert shown.details.given_names == name


def test_a_file_of_bad_rows_is_refused_before_anything_is_written(night: Night) -> None:
    bad = b"".join(b"X%d,too short\n" % n for n in range(101))
    with pytest.raises(TableError, match="101 of 1,101 rows cannot be used"):
        night.brings(*many(1000), raw=bad)
    assert night.road.count("child") == 0 and night.road.count("import_run") == 0
    assert len(night.rejects()) == 102
    assert night.brings(*many(1000), raw=bad.split(b"\n", 1)[1]).added == 1000


def test_a_file_in_another_encoding_is_refused_whole(night: Night) -> None:
    with pytest.raises(TableError, match="Windows-1252"):
        night.brings(*many(40), raw=b"".join(b"X%d,Zo\xeb" % n + b"," * 16 + b"\n" for n in range(3)))
    assert night.road.count("child") == 0


def test_a_file_cut_off_makes_nobody_vanish(night: Night) -> None:
    night.brings(*many(210))
    with pytest.raises(TableError, match="leaves out 22 of 210"):
        night.brings(*many(210)[22:])
    assert night.road.count("child", "left_registry_at IS NOT NULL") == 0
    assert night.brings(*many(210)[21:]).gone == 21
    with pytest.raises(TableError, match="leaves out 189 of 189"):
        night.brings()
    assert night.brings(*many(210)[40:], allow_vanish=True).gone == 19


def test_another_import_that_began_meanwhile_stops_this_one(night: Night) -> None:
    def overtake(stage: str, rows: int, of: int | None) -> None:
        if stage == "written":
            night.road.store.write_now(lambda tx: registry.begin_run(tx, REGISTRY, "", now=1))

    with pytest.raises(registry.Superseded):
        night.brings(row("R1"), row("R2"), progress=overtake)
    assert night.road.count("import_run", "ended_at IS NULL") == 2
    assert counts(night.brings(row("R1"), row("R2"))) == (0, 0, 2, 0, 0, 0)
    assert night.road.store.read_now(index.load_frequencies) is not None


def test_a_file_that_changes_while_it_is_read_is_refused(night: Night) -> None:
    def meddle(stage: str, rows: int, of: int | None) -> None:
        with night.path.open("a") as file:
            file.write("X1" + "," * 17 + "\n")

    with pytest.raises(TableError, match="changed while it was read"):
        night.brings(row("R1"), progress=meddle)
    assert night.road.count("child") == 0


@pytest.mark.parametrize("text", ["R1,Ada\n", "X2" + "," * 17 + "\n", "X1,,,,spring" + "," * 13 + "\n"])
def test_a_file_that_changes_between_its_two_readings_is_refused_in_words(
    night: Night, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    begin = registry.begin_run

    def meddle(*args: Any, **kwargs: Any) -> tuple[int, bool]:
        lines = night.path.read_text().splitlines(keepends=True)
        night.path.write_text("".join(lines[:1]) + text * (1 if "spring" in text else 3))
        return begin(*args, **kwargs)

    monkeypatch.setattr(registry, "begin_run", meddle)
    with pytest.raises(TableError, match="changed while it was read"):
        night.brings(row("R1"))
    monkeypatch.undo()
    assert night.brings(row("R1"), row("R2")).rejected == 0


# The index ---------------------------------------------------------------------------------------------------


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways of two million rows, with some hundred."""
    monkeypatch.setattr(writing, "ROWS_PER_TRANSACTION", 40)
    monkeypatch.setattr("server.importing.check.ROWS_CHECKED_AT_ONCE", 30)
    monkeypatch.setattr(registry, "RUN_CHILDREN_MIN", 20)
    monkeypatch.setattr(index, "RUNS_MAX", 4)
    monkeypatch.setattr(index, "FOLD_ROWS", 400)


@pytest.mark.usefixtures("in_small_parts")
def test_a_child_is_found_from_the_moment_it_is_there(night: Night) -> None:
    """Notes come while the import goes on, when its keys stand in a run, in both places, and in the table."""
    road, linked = night.road, dict[str, list[bool]]()
    known = {str(child.child_id): child for child in population(5, 400)}

    def write_a_note(stage: str, rows: int, of: int | None) -> None:
        if stage == "checked":
            return
        newest, registry_id = road.rows(
            "SELECT child_id, registry_id FROM child WHERE registry_id IS NOT NULL ORDER BY child_id DESC LIMIT 1"
        )[0]
        note_id = road.officer().writes(
            as_subject(describe(known[registry_id], Random(1), stratum=Stratum.CLEAN))
        )
        linked.setdefault(stage, []).append(road.child_of(note_id) == newest)

    rows = [dict(zip(REGISTRY_COLUMNS, csv_row(child), strict=True)) for child in known.values()]
    night.brings(*rows, progress=write_a_note)
    assert len(linked["written"]) == 10 and len(linked["indexed"]) > 10
    assert all(linked["written"]) and all(linked["indexed"])
    index_is_exact(road)
    assert road.count("key_run") == 0 and road.count("child_key_run") == 0


@pytest.mark.usefixtures("in_small_parts")
def test_a_change_while_keys_stand_in_runs_takes_them_out_everywhere(night: Night) -> None:
    road = night.road

    def retire(stage: str, rows: int, of: int | None) -> None:
        if stage == "written" and rows == 120:
            child_id = night.child("N5")
            road.store.write_now(
                lambda tx: children.set_standing(tx, REGISTRY, child_id, Standing.RETIRED, now=road.now)
            )

    night.brings(*many(200), progress=retire)
    index_is_exact(road)
    assert road.count("child_key", f"child_id = {night.child('N5')}") == 0
    # The registry goes on about a record that was retired; it does not come back into the index by that.
    rows = many(200)
    rows[5] = row("N5", given_names="Ada0005", postcode="SE5 7AA")
    assert night.brings(*rows).changed == 1
    assert road.count("child_key", f"child_id = {night.child('N5')}") == 0
    index_is_exact(road)


@pytest.mark.usefixtures("in_small_parts")
def test_a_look_up_gives_each_child_once_and_no_more_than_the_limit(night: Night) -> None:
    def look(stage: str, rows: int, of: int | None) -> None:
        if stage == "indexed":
            key = night.road.value(
                "SELECT key FROM (SELECT key FROM child_key_run UNION ALL SELECT key FROM child_key) AS k"
                " GROUP BY key ORDER BY COUNT(*) DESC LIMIT 1"
            )

            def found(tx: Transaction) -> None:
                pairs = list(index.StoredIndex(tx).children([key], 3))
                assert len(pairs) == len(set(pairs)) == 4
                seen.append(len(pairs))

            night.road.store.read_now(found)

    seen: list[int] = []
    night.brings(*many(200), progress=look)
    assert seen


@pytest.fixture
def with_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred rows are given to helpers, as two million are; threads in place of processes."""
    monkeypatch.setattr(writing, "ROWS_FOR_PROCESSES_MIN", 1)
    monkeypatch.setattr("server.records.search_bulk.PART_CHILDREN", 64)
    monkeypatch.setattr(
        writing.Import, "_helpers", lambda _, stack: stack.enter_context(ThreadPoolExecutor(2))
    )


def search_is_exact(road: Road) -> None:
    """Search's index holds what the records say, and nobody waits for it."""
    boroughs: dict[int, set[str]] = {}
    for child_id, code in road.rows("SELECT child_id, borough FROM child_borough"):
        boroughs.setdefault(child_id, set()).add(code)
    wanted = {
        (term, child_id)
        for child_id, encoded in road.rows("SELECT child_id, record FROM child WHERE standing <> 'retired'")
        for term in terms_of(decode_record(bytes(encoded)), boroughs.get(child_id, ()))
    }
    held = {
        (term, (block << 16) + offset)
        for block, term, packed in road.rows("SELECT block, term, children FROM search_posting")
        for offset in offsets_of(unpack(bytes(packed)))
    }
    assert held == wanted and road.count("search_queue") == 0
    assert {
        (term, child_id)
        for child_id, terms in road.rows("SELECT child_id, terms FROM search_child")
        for term in unpack_terms(bytes(terms))
    } == wanted


@pytest.mark.usefixtures("in_small_parts", "with_helpers")
def test_search_follows_the_rows_and_misses_nobody_who_changes_meanwhile(night: Night) -> None:
    road, seen = night.road, list[int]()

    def meddle(stage: str, rows: int, of: int | None) -> None:
        if stage == "searchable":
            seen.append(road.count("child"))
            if len(seen) == 1:
                # Of a part that is on its way, one is retired and one is merely touched.
                child_id = night.child("N199")
                road.store.write_now(
                    lambda tx: children.set_standing(tx, REGISTRY, child_id, Standing.RETIRED, now=road.now)
                )
                road.store.write_now(lambda tx: search.changed(tx, [child_id - 1]))

    night.brings(*many(500), progress=meddle)
    assert seen[0] < 500, "the index did not follow while rows were written"
    search_is_exact(road)
    index_is_exact(road)
    # The next night changes some, and adds some.
    night.brings(*many(520, school_borough=SOUTHWARK)[20:])
    search_is_exact(road)


@pytest.mark.usefixtures("in_small_parts")
def test_the_engine_looks_at_the_tables_as_they_grow(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL would go on with the plans of tables that were empty, and read them from end to end for each part."""
    monkeypatch.setattr(writing, "ROWS_BEFORE_ANALYSIS", 10)
    kind: Any = night.road.store.read_now(type)
    told, looked = list[tuple[str, int]](), list[tuple[str, int]]()
    look = kind.analyse

    def looking(tx: Transaction) -> None:
        looked.append(told[-1])
        look(tx)

    monkeypatch.setattr(kind, "analyse", looking)
    night.brings(*many(450), progress=lambda stage, rows, of: told.append((stage, rows)))
    assert looked == [("written", 40), ("written", 400), ("searchable", 450)]


@pytest.mark.parametrize("helped", [False, True], ids=["alone", "helped"])
@pytest.mark.usefixtures("in_small_parts")
def test_stopped_anywhere_and_run_again_it_ends_as_if_never_stopped(
    night: Night, tmp_path: Path, request: pytest.FixtureRequest, helped: bool
) -> None:
    if helped:
        request.getfixturevalue("with_helpers")
    seed = 11
    print(f"seed {seed}")
    rng = Random(seed)
    first, second = many(300), many(300, school_borough=SOUTHWARK)[20:]
    rng.shuffle(second)
    other = open_store(tmp_path / "whole.db")
    other.migrate()
    whole = Night(Road(other), tmp_path / "whole")
    whole.path.parent.mkdir()
    for rows in (first, second):
        whole.brings(*rows)

    class Stop(Exception):
        pass

    stops = 1
    for rows in (first, second):
        finished = False
        while not finished:
            # Soon at first; but a fold of the index begins again each time, and must come to its end some day.
            left = rng.randrange(1, 16 if stops % 10 else 200)

            def stop(stage: str, done: int, of: int | None) -> None:
                nonlocal left
                left -= stage != "checked"
                if left == 0:
                    raise Stop

            try:
                night.brings(*rows, progress=stop)
                finished = True
            except Stop:
                stops += 1
            assert stops < 500
    assert stops > 5
    index_is_exact(night.road)
    search_is_exact(night.road)
    assert contents(night.road) == contents(whole.road)
    other.close_now()


def contents(road: Road) -> dict[str, Any]:
    """What the database says of the registry, without times and numbers given by order."""
    return {
        "children": sorted(
            road.rows(
                "SELECT registry_id, standing, restricted, looked_after, home_borough, school_borough, owner_borough,"
                " date_of_birth, registry_digest, details, record, left_registry_at IS NULL FROM child"
            )
        ),
        "boroughs": sorted(
            road.rows(
                "SELECT c.registry_id, b.borough FROM child_borough b JOIN child c ON c.child_id = b.child_id"
            )
        ),
        "keys": sorted(
            road.rows("SELECT c.registry_id, k.key FROM child_key k JOIN child c ON c.child_id = k.child_id")
        ),
        "beside": road.count("child_key_run"),
        "names": road.store.read_now(index.load_frequencies),
    }


# Children with notes -----------------------------------------------------------------------------------------


def opened(night: Night, **changes: str) -> tuple[int, str]:
    """A child of Lambeth with a live alert; (child, note)."""
    night.brings(row("R1", **changes), row("R2", given_names="Chidera"))
    note_id = night.road.officer().writes(AMARA, category=Category.CSE)
    child_id = night.child("R1")
    assert night.road.child_of(note_id) == child_id
    return child_id, note_id


def test_a_borough_that_a_child_moves_to_sees_it_and_gets_a_copy_and_the_duty_stays(night: Night) -> None:
    child_id, _ = opened(night)
    [alert] = night.road.alerts_of(child_id, "open")
    night.brings(row("R1", home_borough=CAMDEN), row("R2", given_names="Chidera"))
    assert night.road.rows("SELECT borough FROM alert WHERE child_id = :c", c=child_id) == [(LAMBETH,)]
    copies = night.road.rows("SELECT borough FROM alert_copy WHERE alert_id = :a", a=alert.alert_id)
    assert (CAMDEN,) in copies
    told = night.road.rows("SELECT detail FROM alert_event WHERE kind = 'copied'")
    assert told == [(CAMDEN,)]
    camden = somebody("x", borough=CAMDEN)
    night.road.store.read_now(lambda tx: children_shown.require_sight(tx, camden, child_id))
    # Again the same file: nobody is told twice.
    night.brings(row("R1", home_borough=CAMDEN), row("R2", given_names="Chidera"))
    assert night.road.count("alert_event", "kind = 'copied'") == 1


def test_a_child_without_notes_belongs_to_where_the_registry_says(night: Night) -> None:
    night.brings(row("R1"))
    night.brings(row("R1", home_borough=CAMDEN))
    assert night.road.value("SELECT owner_borough FROM child") == CAMDEN
    night.brings(row("R1", home_borough=CAMDEN, looked_after="yes", responsible_authority=SOUTHWARK))
    assert night.road.value("SELECT owner_borough FROM child") == SOUTHWARK


def test_rules_see_what_the_registry_says_now(night: Night) -> None:
    child_id, _ = opened(night)
    night.road.officer("second").writes(AMARA, category=Category.MISSING)
    before = night.road.flags_of(child_id)
    night.brings(row("R1", date_of_birth="2018-03-04"), row("R2", given_names="Chidera"))
    assert night.road.flags_of(child_id) != before, "under ten and missing is a rule of its own"


def test_a_child_that_became_restricted_is_treated_so_at_once(night: Night) -> None:
    child_id, _ = opened(night)
    rivera = somebody("rivera")

    def names() -> Iterable[int]:
        return night.road.store.read_now(
            lambda tx: children_shown.names(tx, rivera, [child_id], now=night.road.now)
        )

    night.road.store.read_now(lambda tx: children_shown.require_sight(tx, rivera, child_id))
    shown_before = list(names())
    night.brings(row("R1", restricted="yes"), row("R2", given_names="Chidera"))
    with pytest.raises((ReasonNeeded, NotAllowed)):
        night.road.store.read_now(lambda tx: children_shown.require_sight(tx, rivera, child_id))
    assert shown_before == [child_id]
    [(_, _, is_restricted)] = night.road.store.read_now(
        lambda tx: list(index.StoredIndex(tx).records([child_id]))
    )
    assert is_restricted


def test_a_note_links_to_a_child_as_the_registry_describes_it_now(night: Night) -> None:
    night.brings(row("R1"))
    night.brings(row("R1", family_name="Bright", address="3 Peckham Road", postcode="SE5 8UB"))
    moved = Subject(
        given_names="Amara", family_name="Bright", date_of_birth=AMARA.date_of_birth,
        address="3 Peckham Road", postcode="SE5 8UB",
    )  # fmt: skip
    assert night.road.child_of(night.road.officer().writes(moved)) == night.child("R1")


def test_whoever_watches_hears_of_the_named_stages_and_no_other(night: Night) -> None:
    heard: list[str] = []
    night.brings(*many(30), progress=lambda stage, rows, of: heard.append(stage))
    assert set(heard) <= set(STAGES) and {"checked", "written", "searchable"} <= set(heard)


def test_a_helper_holds_nothing_of_the_server_but_what_standardises() -> None:
    work = "import server.helping, server.linkage.inverting, server.records.registry_rows, sys\n"
    heavy = ("numpy", "shapely", "litestar", "sqlite3", "server.storage.sqlite", "server.records.cases")
    ran = subprocess.run(
        [sys.executable, "-c", work + f"print([one for one in {heavy} if one in sys.modules])"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == "[]"


def test_an_id_of_a_new_child_is_told_from_every_other_one() -> None:
    named = Named()
    ids = [f"R{number}" for number in range(5_000)]
    assert not any(named.saw(one) for one in ids)
    assert all(named.saw(one) for one in ids)
    assert not named.saw("R5000")
