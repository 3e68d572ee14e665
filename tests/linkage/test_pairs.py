"""Minimal pairs: a note that is linked, and the same note with one field changed, which must not be.

Each is decided in a small registry of ordinary children, where the child stands alone and with a sibling.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from server.linkage.decide import Decider, Decision
from server.linkage.standardise import Record, standardise
from tests.linkage.builders import decider, index_of, record
from tests.linkage.strata import change, make_registry, told_of

UPN, OTHER_UPN = "A123456789012", "B987651234099"
HOMELESS: dict[str, Any] = dict.fromkeys(("address", "postcode", "school", "phone", "guardian"))


@pytest.fixture(scope="module")
def ordinary() -> Decider:
    seed = 11
    print("seed", seed)
    return decider(standardise(one) for one in make_registry(2_000, seed).known.values())


def decide(model: Decider, note: Record, *known: Record, restricted: bool = False) -> Decision:
    return model.decide(note, index_of(known, restricted=[1] if restricted else []))


# (what is told, the one change, outcomes allowed)
PAIRS: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ("the twin's name", {}, {"given_names": "Grace"}, ("review", "new")),
    ("a brother's name and sex", {}, {"given_names": "Samuel"}, ("review", "new")),
    ("a name much like it, of a twin", {}, {"given_names": "Lena"}, ("review", "new")),
    ("the initial alone", {}, {"given_names": "L."}, ("review", "new")),
    ("no given name", {}, {"given_names": None}, ("review", "new")),
    ("'Baby' for a given name", {}, {"given_names": "Baby Okonjo"}, ("review", "new")),
    ("'Unknown' for a given name", {}, {"given_names": "N/K"}, ("review", "new")),
    ("a date of another year, month and day", {}, {"date_of_birth": datetime.date(2009, 11, 3)}, ("review", "new")),
    ("a date of the same year", {}, {"date_of_birth": datetime.date(2013, 9, 14)}, ("review", "new")),
    ("another UPN", {"upn": UPN}, {"upn": OTHER_UPN}, ("review", "new")),
    ("another NHS number", {"nhs_number": "943 476 5919"}, {"nhs_number": "401 023 2137"}, ("review", "new")),
    ("an age instead of a date, and no home", HOMELESS, {"date_of_birth": None, "age": 12.0}, ("review", "new")),
    ("no date at all, and no home", HOMELESS, {"date_of_birth": None}, ("review", "new")),
    ("an age four years out", {"date_of_birth": None, "age": 12.0}, {"age": 7.0}, ("review", "new")),
    (
        "another family name, away from home",
        {"address": "3 Rye Lane", "postcode": "N1 9GU", "school": None, "phone": None, "guardian": None},
        {"family_name": "Vanderbilt"},
        ("review", "new"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("what", "told", "changed", "allowed"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_one_field_changed_turns_a_link_into_none(
    ordinary: Decider, what: str, told: dict[str, Any], changed: dict[str, Any], allowed: tuple[str, ...]
) -> None:
    numbers = {name: told[name] for name in ("upn", "nhs_number") if name in told}
    known = record(**numbers)
    assert decide(ordinary, record(**told), known).outcome == "link"
    assert decide(ordinary, record(**{**told, **changed}), known).outcome in allowed


def test_a_link_is_none_where_the_record_is_restricted(ordinary: Decider) -> None:
    assert decide(ordinary, record(), record()).outcome == "link"
    assert decide(ordinary, record(), record(), restricted=True).outcome == "review"


def test_the_twin_s_name_is_linked_to_the_twin_where_she_is_known(ordinary: Decider) -> None:
    leila, grace = record(), record(given_names="Grace")
    assert decide(ordinary, record(), leila, grace).child_id == 1
    decision = decide(ordinary, record(given_names="Grace"), leila, grace)
    assert (decision.outcome, decision.child_id) == ("link", 2)


# The same child, written otherwise: a change that must not matter.
SAME: list[dict[str, Any]] = [
    {"given_names": "LEILA"},
    {"given_names": "Leila (known as Lulu)"},
    {"given_names": "Miss Leila"},
    {"given_names": None, "family_name": "Okonjo, Leila"},
    {"given_names": "Lei1a"},
    {"family_name": "O'Konjo"},
    {"family_name": "0konjo"},
    {"family_name": "Okonjo-Bright"},
    {"date_of_birth": datetime.date(2013, 5, 22)},
    {"date_of_birth": datetime.date(2012, 5, 27)},
    {"date_of_birth": datetime.date(2013, 1, 1)},
    {"postcode": "SEl5 3SX"},
    {"postcode": "SE15"},
    {"postcode": "SE15 3SY"},
    {"postcode": "ZZ99 3VZ"},
    {"address": "Flat 2, 14 Consort Rd., London", "postcode": "se153sx"},
    {"address": "3 Rye Lane", "postcode": "N1 9GU"},
    {"phone": "+44 (0)7700 900123"},
    {"guardian": "Mrs M. Okonjo"},
    {"guardian": "Okonjo, Miriam (mother)"},
    {"school": "Harris Acad. Peckham"},
    {"sex": "male"},
]


@pytest.mark.parametrize("changed", SAME, ids=[str(one) for one in SAME])
def test_the_same_child_written_otherwise_is_linked(ordinary: Decider, changed: dict[str, Any]) -> None:
    assert decide(ordinary, record(**changed), record()).outcome == "link"


def test_a_registry_that_left_brothers_and_sisters_out_does_not_link_a_twin() -> None:
    # One child of every home, as if on purpose: the registry shows no household at all.
    registry = make_registry(3_000, 12)
    alone = {people[0].person_id: people[0] for people in registry.homes.values()}
    known = {n: standardise(told_of(person)) for n, person in alone.items()}
    model = decider(known.values())
    assert model.model.term_frequencies.homes >= 1_500 and model.model.has_households
    for person in list(alone.values())[:150]:
        for given in ("Quenby", None):
            twin = standardise(change(told_of(person), given_names=given, upn=None, nhs_number=None))
            assert model.decide(twin, index_of([known[person.person_id]])).outcome != "link"
