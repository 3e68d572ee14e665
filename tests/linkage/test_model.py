from __future__ import annotations

import msgspec
import pytest

from server.linkage import levels as lv
from server.linkage.model import (
    TermFrequencies,
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
    records = [record(), record(given_names="Mohammed Ali"), record(given_names="Muhamad", school=None)]
    counts = count_terms(records)
    assert counts == count_terms(reversed(records))
    assert counts.children == 3
    assert counts.given["mohammed"] == 2
    assert counts.homes == 3 and counts.housemates == 6
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
