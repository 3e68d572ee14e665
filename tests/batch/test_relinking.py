"""Children who stand twice in a registry, on DuckDB."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from random import Random
from unittest import mock

import pytest

from server.batch import engine
from server.batch.engine import DUCKDB, BatchError, need
from server.batch.relinking import Pair, relink
from server.linkage.blocking import blocking_keys
from server.linkage.candidates import CHILDREN_PER_KEY_MAX
from server.linkage.decide import Decider
from server.linkage.model import count_terms, default_model
from server.linkage.splink_settings import model_from_json, model_to_json
from server.linkage.splink_table import Near
from server.linkage.standardise import Record, encode_record, standardise
from tests.batch.test_training import quiet, with_errors
from tests.cli.kit import run
from tests.linkage.builders import record
from tests.linkage.population import make_city

SEED = 20260302
TWICE = 150


def a_registry(children: int = 1_500, twice: int = TWICE) -> tuple[list[Record], set[tuple[int, int]]]:
    """A registry, and the numbers of the records that are one child."""
    city, random = make_city(children, SEED), Random(SEED)
    people = [city.people[at].full() for at in sorted(city.known)]
    again = random.sample(range(len(people)), twice)
    records = [standardise(one) for one in people]
    records += [standardise(with_errors(people[at], random)) for at in again]
    return records, {(at, len(people) + number) for number, at in enumerate(again)}


def proposed(records: list[Record], on: str = DUCKDB) -> list[Pair]:
    return relink(records, model=None, threshold=0.9, engine=on, progress=quiet)


def test_children_who_stand_twice_are_proposed_and_brothers_are_not() -> None:
    print("seed", SEED)
    records, truth = a_registry()
    pairs = proposed(records)
    found = {(pair.left, pair.right) for pair in pairs}
    assert len(found & truth) >= 0.93 * TWICE
    assert len(found - truth) <= 0.01 * TWICE
    assert [p.proposal.weight for p in pairs] == sorted((p.proposal.weight for p in pairs), reverse=True)
    for pair in pairs:
        assert pair.proposal.probability >= 0.9
        assert pair.splink_probability > 0.5
        assert pair.proposal.reason


def test_a_pair_that_could_be_twins_is_marked_so() -> None:
    records, _ = a_registry()
    twins = [record(given_names="Leila"), record(given_names="Leilani")]
    numbers = len(records), len(records) + 1
    pairs = [p for p in relink([*records, *twins], model=None, threshold=0.05, engine=DUCKDB, progress=quiet)
             if (p.left, p.right) == numbers]  # fmt: skip
    assert pairs
    for pair in pairs:
        assert pair.proposal.could_be_siblings
        assert "could be a brother or a sister" in pair.proposal.reason
    same = [record(), record(address="9 Choumert Road", postcode="SE15 4AR")]
    [pair] = [p for p in proposed([*records, *same]) if (p.left, p.right) == numbers]
    assert not pair.proposal.could_be_siblings


def test_only_pairs_that_would_be_negligible_are_passed_by() -> None:
    records, truth = a_registry(300, 40)
    counted = default_model().with_term_frequencies(count_terms(records))
    near, decider = pickle.loads(pickle.dumps(Near(counted))), Decider(counted)
    random = Random(SEED)
    some = [tuple(random.sample(range(len(records)), 2)) for _ in range(2_000)]
    passed = 0
    for left, right in [*truth, *some]:
        one, other = records[left], records[right]
        kept = near(encode_record(one), encode_record(other))
        assert kept is (decider.propose(one, other, -10.0) is not None)
        passed += not kept
    assert passed > 1_500
    assert all(near(encode_record(records[a]), encode_record(records[b])) for a, b in truth)


def test_a_key_of_too_many_children_brings_no_pairs_together() -> None:
    few, many = (
        [record(phone=f"0790000{n:04d}") for n in range(count)] for count in (5, CHILDREN_PER_KEY_MAX + 1)
    )
    shared = set.intersection(*(set(blocking_keys(one)) for one in few))
    assert shared and not engine.too_common(few)
    assert engine.too_common(many) >= shared


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_registry_of_hardly_anybody_has_no_pairs(count: int) -> None:
    people = [record(), record(given_names="Tobias", family_name="Nwosu", phone=None, address=None)]
    assert proposed(people[:count]) == []


def write_known(path: Path) -> None:
    """Some hundred children of a city, K0 and up, and K7 once more as K7-again."""
    city = make_city(100, SEED)
    people = [city.people[at] for at in sorted(city.known)][:100]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("child_id", "given_names", "family_name", "date_of_birth", "postcode", "phone"))
        for number, one in [*enumerate(people), ("7-again", people[7])]:
            writer.writerow((f"K{number}", one.given, one.family, one.born, one.postcode, one.phone))


def test_the_command_writes_pairs_and_merges_nothing(tmp_path: Path) -> None:
    known, out = tmp_path / "known.csv", tmp_path / "pairs.csv"
    write_known(known)
    before = known.read_bytes()
    ran = run("relink", "--known", str(known), "--out", str(out))
    assert ran.code == 0, ran.err
    assert "pairs proposed: 1, of which could be siblings: 0" in ran.out
    [pair] = csv.DictReader(out.read_text().splitlines())
    assert (pair["child_id"], pair["other_child_id"], pair["could_be_siblings"]) == ("K7", "K7-again", "no")
    assert float(pair["probability"]) > 0.9 and pair["reason"].startswith("Given names, family name")
    assert known.read_bytes() == before
    assert make_city(100, SEED).people[7].family not in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--known", "K", "--out", "O"), "too few to learn from"),
        (("relink", "--known", "missing.csv", "--out", "O"), "cannot be read"),
        (("relink", "--known", "K", "--out", "O", "--model", "K"), "not a model"),
        (("relink", "--known", "K", "--out", "nowhere/pairs.csv"), "cannot be written"),
        (("relink", "--known", "K", "--out", "K"), "over another file"),
        (("train", "--known", "K", "--out", "nowhere/model.json"), "cannot be written"),
        (("train", "--known", "K", "--out", "K"), "over another file"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    write_known(tmp_path / "known.csv")
    before = (tmp_path / "known.csv").read_bytes()
    places = {"K": str(tmp_path / "known.csv"), "O": str(tmp_path / "out")}
    ran = run(*(places.get(argument, argument) for argument in arguments))
    assert ran.code == 1
    assert said in ran.err and "Traceback" not in ran.err
    assert (tmp_path / "known.csv").read_bytes() == before


def test_an_id_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    known = tmp_path / "known.csv"
    known.write_text("child_id,given_names\nA,Ann\nB,Ben\nA,Anna\n")
    ran = run("relink", "--known", str(known), "--out", str(tmp_path / "pairs.csv"))
    assert ran.code == 1 and "line 4: the same child_id as on line 2" in ran.err


@pytest.mark.parametrize(("named", "extra"), [("duckdb", "train"), ("spark", "spark")])
def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, named: str, extra: str) -> None:
    known = tmp_path / "known.csv"
    write_known(known)
    with mock.patch("importlib.util.find_spec", return_value=None):
        with pytest.raises(BatchError):
            need(named)
        ran = run("relink", "--known", str(known), "--out", str(tmp_path / "out"), "--engine", named)
    assert ran.code == 1
    assert f"pip install 'earlysign[{extra}]'" in ran.err


def test_the_link_command_reads_a_model_file(tmp_path: Path) -> None:
    known, notes, model = tmp_path / "known.csv", tmp_path / "notes.csv", tmp_path / "model.json"
    write_known(known)
    notes.write_text(
        "note_id,given_names,family_name,date_of_birth,postcode\nN1,Name3,Family3,2012-03-04,SE4 1AA\n"
    )
    model.write_bytes(model_to_json(default_model()))
    options = ("--known", str(known), "--notes", str(notes), "--out", str(tmp_path / "links.csv"))
    plain = run("link", *options)
    assert plain.code == 0, plain.err
    without = (tmp_path / "links.csv").read_text()
    assert run("link", *options, "--model", str(model)).code == 0
    assert (tmp_path / "links.csv").read_text() == without
    settings = json.loads(model.read_text())
    settings["comparisons"].pop()
    model.write_text(json.dumps(settings))
    broken = run("link", *options, "--model", str(model))
    assert broken.code == 1 and "the comparisons must be" in broken.err
    assert model_from_json(model_to_json(default_model())) == default_model()


@pytest.mark.parametrize("command", ["train", "relink"])
def test_an_extra_that_is_not_installed_is_said_before_a_registry_is_read(
    tmp_path: Path, command: str
) -> None:
    with mock.patch.dict(engine.ENGINES, {DUCKDB: ("no_such_package",)}):
        ran = run(command, "--known", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out"))
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "Error: The extra train is not installed.",
        "pip install 'earlysign[train]'",
    ]
