"""What is believed of what was counted. No Splink here: counts in, probabilities out."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from server.linkage import levels as lv
from server.linkage.model import REGISTERED_SHARE, Comparison, ComparisonLevel, check_model, default_model
from server.linkage.train import Counts, Household, Learned, Pass, groups, household_counts, learn
from tests.linkage.builders import record

GIVEN, BORN, ADDRESS = (lv.COMPARISONS[at].name for at in (lv.GIVEN, lv.BORN, lv.ADDRESS))
NOBODY = Household(pairs=0, counts={}, housemates=0.0)
STRANGERS = 1e12  # possible pairs: so many that no match is drawn at random


def spread(column: str, pairs: float, **changed: float) -> Counts:
    """Counts as the default model would give them, some levels of the given names otherwise."""
    counts: Counts = {}
    for comparison in default_model().comparisons:
        ages = [level.name for group in list(groups(comparison))[1:] for level in group]
        counts[comparison.output_column_name] = {
            level.name: pairs * getattr(level, column)
            for level in comparison.comparison_levels
            if not level.is_null_level and level.name not in ages
        }
    counts[GIVEN] |= {level: pairs * share for level, share in changed.items()}
    return counts


def a_pass(matches: float, counts: Counts | None = None) -> Pass:
    counts = spread("m_probability", matches) if counts is None else counts
    return Pass(name="names", pairs=10_000, matches=matches, counts=counts)


def learned_from(*passes: Pass, random: Counts | None = None, household: Household = NOBODY) -> Learned:
    return learn(
        default_model(), random=random or {}, random_pairs=100_000, possible_pairs=STRANGERS, size=10_000,
        passes=passes, household=household,
    )  # fmt: skip


def comparison(learned: Learned, name: str) -> Comparison:
    return next(c for c in learned.model.comparisons if c.output_column_name == name)


def level(learned: Learned, name: str, level_name: str) -> ComparisonLevel:
    return next(x for x in comparison(learned, name).comparison_levels if x.name == level_name)


def test_many_pairs_outweigh_the_default_and_few_hardly_move_it() -> None:
    changed = {"exact": 0.45, "typo": 0.315}
    many = learned_from(a_pass(100_000, spread("m_probability", 100_000, **changed)))
    few = learned_from(a_pass(60, spread("m_probability", 60, **changed)))
    assert level(many, GIVEN, "exact").m_probability == pytest.approx(0.45, abs=0.01)
    assert level(few, GIVEN, "exact").m_probability == pytest.approx(0.62, abs=0.03)
    assert many.m_learned and few.m_learned


def test_each_group_of_levels_keeps_its_total_and_ages_that_were_not_seen_stay() -> None:
    learned = learned_from(a_pass(5_000), random=spread("u_probability", 100_000))
    for before, after in zip(default_model().comparisons, learned.model.comparisons, strict=True):
        for one, other in zip(groups(before), groups(after), strict=True):
            for column in ("m_probability", "u_probability", "household_probability"):
                totals = [sum(getattr(x, column) for x in group) for group in (one, other)]
                assert totals[1] == pytest.approx(totals[0], rel=0.01), (before.output_column_name, column)
    assert level(learned, BORN, "age_fits") == level(learned_from(), BORN, "age_fits")
    check_model(learned.model)


def test_a_level_that_was_never_seen_does_not_become_impossible() -> None:
    learned = learned_from(
        a_pass(1e6, spread("m_probability", 1e6, typo=0.0)), random=spread("u_probability", 1e6, typo=0.0)
    )
    default = level(learned_from(), GIVEN, "typo")
    assert default.m_probability and default.u_probability
    assert level(learned, GIVEN, "typo").m_probability == pytest.approx(default.m_probability / 10)
    assert level(learned, GIVEN, "typo").u_probability == pytest.approx(default.u_probability / 8)


def test_too_few_matches_leave_m_as_it_was_and_say_so() -> None:
    learned = learned_from(a_pass(20))
    assert not learned.m_learned
    assert any("too few" in remark for remark in learned.remarks)
    assert learned.model.comparisons == default_model().comparisons


def test_a_pass_whose_classes_changed_places_is_not_believed() -> None:
    learned = learned_from(a_pass(5_000, spread("u_probability", 5_000)))
    assert not learned.m_learned
    assert any("disagree more than strangers" in remark for remark in learned.remarks)
    assert learned.model.comparisons == default_model().comparisons


def test_one_comparison_gone_wrong_is_left_out_and_the_others_are_learned() -> None:
    counts = spread("m_probability", 5_000)
    counts[GIVEN] = {"exact": 10.0, "differ": 4_990.0}
    counts[BORN] = {"exact": 4_000.0, "one_digit": 1_000.0}
    learned = learned_from(a_pass(5_000, counts))
    assert comparison(learned, GIVEN) == comparison(learned_from(), GIVEN)
    assert (level(learned, BORN, "one_digit").m_probability or 0) > 0.15
    assert any(GIVEN in remark and "not believed" in remark for remark in learned.remarks)


def test_levels_that_contradict_each_other_stay_as_they_were() -> None:
    """Strangers who agree on the given name as often as the same child does."""
    random = spread("u_probability", 100_000, exact=0.9, differ=0.02)
    learned = learned_from(a_pass(5_000), random=random)
    assert comparison(learned, GIVEN) == comparison(learned_from(), GIVEN)
    assert any("contradicts itself" in remark for remark in learned.remarks)


def test_matches_and_siblings_among_random_pairs_are_taken_out() -> None:
    """In a registry of 1,000, a tenth of them twice, one random pair in 5,000 is one child."""
    passes = (a_pass(100),)
    random = spread("u_probability", 100_000)
    random[GIVEN]["typo"] += 100_000 / 5_000  # what the matches put there
    counted = learn(default_model(), random=random, random_pairs=100_000, possible_pairs=500_000, size=1_000,
                    passes=passes, household=NOBODY)  # fmt: skip
    naive = learn(default_model(), random=random, random_pairs=100_000, possible_pairs=STRANGERS, size=10**9,
                  passes=passes, household=NOBODY)  # fmt: skip
    one, other = (level(x, GIVEN, "typo").u_probability for x in (counted, naive))
    assert one is not None and other is not None and one < other


def test_households_are_learned_from_a_shared_address_and_the_address_itself_is_not() -> None:
    family = [
        record(given_names=name, date_of_birth=born, address=f"{home} Rye Lane", sex=None)
        for home in range(200)
        for name, born in (("Grace", date(2012, 5, 1)), ("Samuel", date(2015, 11, 9)))
    ]
    held = household_counts(family, default_model())
    assert held.pairs == 200
    assert held.counts[GIVEN] == {"differ": 200.0}
    assert held.housemates == pytest.approx(1.0)
    learned = learned_from(household=held)
    assert (level(learned, GIVEN, "differ").household_probability or 0) > 0.9
    assert comparison(learned, ADDRESS) == comparison(learned_from(), ADDRESS)
    assert learned.model.housemates == pytest.approx(1.0 / REGISTERED_SHARE)


def test_one_child_twice_at_one_address_is_not_its_own_sibling() -> None:
    held = household_counts(
        [record(), record(phone="07700900999"), record(given_names="Leyla")], default_model()
    )
    assert held.pairs == 0


def test_a_trained_model_is_another_version() -> None:
    learned = learned_from(a_pass(5_000, spread("m_probability", 5_000, exact=0.5, typo=0.265)))
    assert learned.model.version != default_model().version
    assert learned.model.name == "trained-1"
    assert msgspec.structs.replace(learned.model, name="x").version.startswith("x-")
