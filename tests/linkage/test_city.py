"""Decisions in a made-up city, by kind of note: what must never happen, and how much is found."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from server.linkage.candidates import MemoryIndex, find
from server.linkage.decide import Decider
from server.linkage.model import count_terms, default_model
from server.linkage.standardise import standardise
from tests.linkage.population import STRATA, City, describe, make_city, unknown_twin

SEED = 20260302
CHILDREN = 6_000
NOTES_EACH = 120

# Share of notes about known children that must be linked without a person, by kind of note. A name and an age,
# a vague note, and a note without a given name are never linked: that is a rule, not a weakness.
LINKED_MIN = {
    "plain": 0.97,
    "slips": 0.85,
    "spelling": 0.95,
    "short form": 0.94,
    "swapped names": 0.94,
    "half name": 0.95,
    "date error": 0.93,
    "moved": 0.95,
    "age and school": 0.25,
}
NEVER_LINKED = ("age only", "vague", "no given name")


@pytest.fixture(scope="module")
def city() -> City:
    print("seed", SEED)
    return make_city(CHILDREN, SEED)


@pytest.fixture(scope="module")
def registry(city: City) -> tuple[Decider, MemoryIndex]:
    records = {person: standardise(city.people[person].full()) for person in city.known}
    index = MemoryIndex()
    for person, one in records.items():
        index.add(person, one)
    return Decider(default_model().with_term_frequencies(count_terms(records.values()))), index


@pytest.mark.parametrize("stratum", STRATA)
def test_known_children_are_linked_rightly(
    city: City, registry: tuple[Decider, MemoryIndex], stratum: str
) -> None:
    decider, index = registry
    random = Random(f"{SEED} {stratum}")
    known = sorted(city.known)
    tally: Counter[str] = Counter()
    candidates = 0
    for _ in range(NOTES_EACH):
        person = random.choice(known)
        note = standardise(describe(city.people[person], stratum, random))
        decision = decider.decide(note, index)
        tally[decision.outcome] += 1
        assert decision.outcome != "link" or decision.child_id == person
        candidates += person in find(note, index)[0]
    if stratum in NEVER_LINKED:
        assert tally["link"] == 0
    else:
        assert tally["link"] / NOTES_EACH >= LINKED_MIN[stratum]
    assert stratum == "vague" or candidates / NOTES_EACH >= 0.97


def test_a_twin_who_is_not_on_the_registry_is_not_linked(
    city: City, registry: tuple[Decider, MemoryIndex]
) -> None:
    decider, index = registry
    random = Random(SEED)
    known, homes = sorted(city.known), city.homes()
    for _ in range(4 * NOTES_EACH):
        person = city.people[random.choice(known)]
        twin = unknown_twin(person, homes[person.home], random)
        note = standardise(describe(twin, random.choice(("plain", "spelling", "age and school")), random))
        assert decider.decide(note, index).outcome != "link"


def test_a_child_who_is_not_on_the_registry_is_not_linked(
    city: City, registry: tuple[Decider, MemoryIndex]
) -> None:
    decider, index = registry
    random = Random(SEED)
    unknown = [p for p in city.people if p.person_id not in city.known]
    outcomes = Counter(
        decider.decide(
            standardise(describe(random.choice(unknown), random.choice(STRATA), random)), index
        ).outcome
        for _ in range(4 * NOTES_EACH)
    )
    assert outcomes["link"] == 0
    assert outcomes["new"] > outcomes["review"]
