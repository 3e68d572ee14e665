"""Training with the real Splink on generated registries whose errors are known."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from server.batch.engine import DUCKDB, BatchError, opened
from server.batch.training import train
from server.linkage.candidates import MemoryIndex
from server.linkage.decide import Decider
from server.linkage.levels import COMPARISONS, DIFFER
from server.linkage.model import Model, count_terms, default_model
from server.linkage.splink_settings import model_from_json, model_to_json
from server.linkage.standardise import Description, Record, standardise
from server.linkage.train import Learned
from tests.linkage.measure import run
from tests.linkage.population import make_city, slip
from tests.linkage.strata import change, elsewhere, make_cases, make_registry, wrong_date

SEED = 20260302
CHILDREN = 2_500
TWICE = 600
SLIP_SHARE, WRONG_DATE_SHARE, MOVED_SHARE = 0.15, 0.10, 0.30


def quiet(doing: str, done: int, steps: int) -> None:
    """Progress that nobody watches."""


def with_errors(one: Description, random: Random) -> Description:
    """The same child as written a second time, with errors at known rates."""
    fields: dict[str, object] = {}
    if random.random() < SLIP_SHARE:
        fields["given_names"] = slip(one.given_names or "", random)
    if one.date_of_birth and random.random() < WRONG_DATE_SHARE:
        fields["date_of_birth"] = wrong_date(one.date_of_birth, random)
    if random.random() < MOVED_SHARE:
        fields |= {**elsewhere(random), "phone": f"07{random.randrange(10**8, 10**9)}"}
    return change(one, **fields)


def a_registry(twice: int) -> tuple[list[Record], list[tuple[Record, Record]]]:
    """A registry in which so many children stand twice, and the true pairs."""
    city, random = make_city(CHILDREN, SEED), Random(SEED)
    people = [city.people[at].full() for at in sorted(city.known)]
    again = [(one, with_errors(one, random)) for one in random.sample(people, twice)]
    pairs = [(standardise(one), standardise(other)) for one, other in again]
    return [standardise(one) for one in people] + [other for _, other in pairs], pairs


@pytest.fixture(scope="module")
def twice() -> tuple[Learned, list[tuple[Record, Record]]]:
    print("seed", SEED)
    registry, pairs = a_registry(TWICE)
    return train(registry, seed=SEED, progress=quiet, random_pairs=100_000), pairs


def share_of(model: Model, comparison: str, outcome: str) -> float:
    found = next(c for c in model.comparisons if c.output_column_name == comparison)
    levels = [x for x in found.comparison_levels if x.outcome == outcome and not x.name.startswith("age_")]
    return sum(x.m_probability or 0.0 for x in levels)


@pytest.mark.slow
def test_known_error_rates_are_recovered(twice: tuple[Learned, list[tuple[Record, Record]]]) -> None:
    learned, _ = twice
    assert learned.m_learned
    assert 0.6 * TWICE <= learned.matches <= 1.2 * TWICE

    def m(comparison: str, level: str) -> float:
        found = next(c for c in learned.model.comparisons if c.output_column_name == comparison)
        return next(x.m_probability or 0.0 for x in found.comparison_levels if x.name == level)

    assert m("given_names", "exact") == pytest.approx(1 - SLIP_SHARE, abs=0.06)
    assert m("date_of_birth", "exact") == pytest.approx(1 - WRONG_DATE_SHARE, abs=0.06)
    assert m("phone", "same") == pytest.approx(1 - MOVED_SHARE, abs=0.10)
    assert share_of(learned.model, "address", DIFFER) == pytest.approx(MOVED_SHARE, abs=0.10)
    assert m("family_name", "exact") > 0.95


@pytest.mark.slow
def test_the_household_class_is_learned(twice: tuple[Learned, list[tuple[Record, Record]]]) -> None:
    learned, _ = twice
    family = learned.model.comparisons[1]
    exact = family.comparison_levels[1].household_probability
    assert exact == pytest.approx(0.83, abs=0.06)  # 93 of 100 children bear their home's name, each by itself
    assert 0.5 < learned.model.housemates < 3.0


@pytest.mark.slow
def test_a_model_trained_on_old_notes_is_no_worse_on_another_city() -> None:
    """Old notes of one city; new notes of every kind in another. (A model trained on a registry alone learns
    the errors of its clerks, not those of officers: it links somewhat fewer of these.)"""
    old = make_registry(2_000, SEED)
    notes = [standardise(case.note) for case in make_cases(old, 60, SEED)]
    learned = train(
        [standardise(one) for one in old.known.values()],
        notes,
        seed=SEED,
        progress=quiet,
        random_pairs=100_000,
    )
    registry = make_registry(2_000, SEED + 1)
    cases = list(make_cases(registry, 60, SEED + 1))
    records = {child_id: standardise(one) for child_id, one in registry.known.items()}
    counts, index = count_terms(records.values()), MemoryIndex()
    for child_id, one in records.items():
        index.add(child_id, one)
    linked, wrong = [], []
    for model in (default_model(), learned.model):
        outcomes = run(cases, index, Decider(model.with_term_frequencies(counts)))
        wrong.append(sum(o.wrong for o in outcomes))
        linked.append(sum(o.decision.outcome == "link" and not o.wrong for o in outcomes))
    print("linked rightly", linked, "wrongly", wrong)
    assert wrong[1] <= wrong[0]
    assert linked[1] >= linked[0]


@pytest.mark.slow
def test_a_registry_in_which_no_child_stands_twice_teaches_no_m_and_says_so() -> None:
    registry, _ = a_registry(0)
    learned = train(registry[:1_500], seed=SEED, progress=quiet, random_pairs=100_000)
    assert not learned.m_learned
    assert any("too few" in remark for remark in learned.remarks)
    for before, after in zip(learned.before.comparisons, learned.model.comparisons, strict=True):
        for one, other in zip(before.comparison_levels, after.comparison_levels, strict=True):
            assert one.m_probability == other.m_probability


@pytest.mark.slow
def test_notes_teach_m_where_the_registry_cannot() -> None:
    city, random = make_city(1_500, SEED), Random(SEED)
    people = [city.people[at].full() for at in sorted(city.known)]
    notes = [with_errors(one, random) for one in random.sample(people, 500)]
    learned = train(
        [standardise(one) for one in people],
        [standardise(one) for one in notes],
        seed=SEED,
        progress=quiet,
        random_pairs=100_000,
    )
    assert learned.m_learned
    given = learned.model.comparisons[0].comparison_levels[1]
    assert given.m_probability == pytest.approx(1 - SLIP_SHARE, abs=0.08)


@pytest.mark.slow
def test_splink_itself_loads_a_trained_model_predicts_with_it_and_its_file_is_read_again(
    twice: tuple[Learned, list[tuple[Record, Record]]], tmp_path: Path
) -> None:
    from splink import Linker

    learned, pairs = twice
    path, saved = tmp_path / "model.json", tmp_path / "saved.json"
    path.write_bytes(model_to_json(learned.model))
    left, right = [one for one, _ in pairs], [other for _, other in pairs]
    with opened(DUCKDB, counted(left)) as engine:
        tables = [engine.table("known", left), engine.table("notes", right)]
        linker = Linker(tables, path, log_level=None)
        found = linker.inference.predict(threshold_match_probability=0.9).as_record_list()
        linker.misc.save_model_to_json(str(saved))
    right_pairs = {r["unique_id_l"] for r in found if r["unique_id_l"] == r["unique_id_r"]}
    assert len(right_pairs) > 0.9 * len(pairs)
    assert model_from_json(saved.read_bytes()) == model_from_json(path.read_bytes())
    assert model_from_json(path.read_bytes()).version == learned.model.version
    assert json.loads(saved.read_text())["linker_uid"] == json.loads(path.read_text())["linker_uid"]


def counted(records: list[Record]) -> Model:
    """The default model in the light of these records' names."""
    return default_model().with_term_frequencies(count_terms(records))


def test_notes_whose_numbers_leave_no_doubt_teach_like_any_other() -> None:
    """Where every pair of a pass is as good as certain, its odds are infinite, which Splink writes as no number."""
    city = make_city(700, SEED)
    people = [city.people[at].full() for at in sorted(city.known)]
    described = [change(one, nhs_number=f"943476{at:04}") for at, one in enumerate(people)]
    registry = [standardise(one) for one in described]
    learned = train(registry, registry[:12], seed=SEED, progress=quiet, random_pairs=2_000)
    assert learned.model.version


def test_a_handful_of_children_teaches_nothing() -> None:
    with pytest.raises(BatchError, match="too few to learn from"):
        train(a_registry(0)[0][:20], seed=SEED, progress=quiet, random_pairs=100_000)


def test_our_functions_in_duckdb_give_the_levels_of_the_scorer() -> None:
    registry, pairs = a_registry(20)
    with opened(DUCKDB, counted(registry)) as engine:
        for at, comparison in enumerate(COMPARISONS):
            table = engine.table(f"t{at}", [side for pair in pairs[:5] for side in pair])
            sql = (
                f"SELECT earlysign_{comparison.name}(a.record, b.record) AS one,"
                f" earlysign_{comparison.name}(b.record, a.record) AS other"
                f" FROM {table.physical_name} a, {table.physical_name} b"
            )
            names = {level.name for level in comparison.levels}
            for row in engine.api.query_sql(sql).as_record_list():
                assert row["one"] in names and row["other"] in names
