from __future__ import annotations

import datetime

import msgspec
import pytest

from server.linkage import levels as lv
from server.linkage.calibration import Calibration
from server.linkage.model import (
    ModelError,
    TermFrequencies,
    check_model,
    count_terms,
    default_model,
)
from server.linkage.score import Scorer
from tests.linkage.builders import record


def test_probabilities_of_the_hand_set_weights_are_sound() -> None:
    for comparison in lv.COMPARISONS:
        if comparison.name == "date_of_birth":
            continue  # two comparisons in one: dates, and ages against dates
        for column in ("m", "household", "u"):
            total = sum(getattr(level, column) for level in comparison.levels[1:])
            assert total == pytest.approx(1, abs=0.06), (comparison.name, column)


def test_the_version_follows_the_weights_and_not_the_registry() -> None:
    model = default_model()
    counted = model.with_term_frequencies(count_terms([record()]))
    assert counted.version == model.version
    assert msgspec.structs.replace(model, link_probability=0.9).version != model.version


def test_counts_are_the_same_in_any_order_and_through_their_bytes() -> None:
    records = [
        record(),
        record(given_names="Mohammed Ali", date_of_birth=datetime.date(2010, 5, 6)),
        record(given_names="Muhamad", school=None, date_of_birth=datetime.date(2015, 2, 3)),
    ]
    counts = count_terms(records)
    assert counts == count_terms(reversed(records))
    assert counts.children == 3
    assert counts.given["mohammed"] == 2
    assert counts.homes == 3 and counts.housemates == 6
    assert counts.postcodes == {"SE15": 3}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(counts), type=TermFrequencies) == counts


def test_a_rare_name_counts_for_more_than_a_common_one() -> None:
    records = [record(given_names="Mary" if n else "Zebedee") for n in range(200)]
    scorer = Scorer(default_model().with_term_frequencies(count_terms(records)))
    rare = scorer.score(record(given_names="Zebedee"), record(given_names="Zebedee"))
    common = scorer.score(record(given_names="Mary"), record(given_names="Mary"))
    assert rare and common
    assert rare[2][0] > common[2][0] + 5


def test_a_sibling_weighs_far_less_than_the_child_though_the_home_agrees() -> None:
    scorer = Scorer(default_model())
    child, sibling = scorer.score(record(), record()), scorer.score(record(), record(given_names="Grace"))
    assert child and sibling
    assert child[0] - sibling[0] > 5
    assert sibling[3] < -20


def test_two_records_of_one_child_are_no_brothers() -> None:
    twice = [record(), record(given_names="Leilah", date_of_birth=datetime.date(2013, 5, 27))]
    assert count_terms(twice).housemates == 0


def test_a_postcode_that_very_many_share_says_little() -> None:
    away = [
        record(given_names=f"Q{n}a", postcode="E1 6AN" if n < 500 else f"N{n % 19 + 1} {n % 9}AA")
        for n in range(1_000)
    ]
    scorer = Scorer(default_model().with_term_frequencies(count_terms(away)))
    bare = {"address": None, "school": None, "phone": None, "guardian": None}
    rare = scorer.score(record(postcode="SE15 3SX", **bare), record(postcode="SE15 3SX"))
    common = scorer.score(record(postcode="E1 6AN", **bare), record(postcode="E1 6AN"))
    assert rare and common
    assert rare[0] > common[0] + 4


def test_few_children_say_little_of_how_common_a_name_is() -> None:
    scorer = Scorer(default_model().with_term_frequencies(count_terms([record()])))
    weighed = scorer.score(record(), record())
    assert weighed and abs(weighed[2][0]) < 1.5


def test_a_registry_of_one_school_year_says_that_a_shared_day_is_less() -> None:
    year = [
        record(date_of_birth=datetime.date(2013, 1, 1) + datetime.timedelta(days=n % 365))
        for n in range(3_650)
    ]
    counts = count_terms(year)
    assert counts.years == 0 and abs(counts.born_alike - 1 / 365) < 0.0005
    plain, counted = Scorer(default_model()), Scorer(default_model().with_term_frequencies(counts))
    assert counted.same[lv.BORN][lv.B_EXACT] < plain.same[lv.BORN][lv.B_EXACT] - 3


@pytest.mark.parametrize("bits", [21.0, -21.0, float("nan")])
def test_a_calibration_that_is_out_of_bounds_is_refused(bits: float) -> None:
    with pytest.raises(ModelError, match="calibration"):
        check_model(msgspec.structs.replace(default_model(), calibration=Calibration(differs=bits)))
