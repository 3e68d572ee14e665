"""Pairs of notes that differ in one field, of every kind in which notes go wrong, and how a careful person decides.

Each pair is decided in a registry as large as a city's, where the child stands with a sister.
"""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

import msgspec
import pytest

from server.linkage.decide import Decider
from server.linkage.model import count_terms, default_model
from server.linkage.standardise import Record, standardise
from tests.linkage.builders import index_of, record
from tests.linkage.strata import make_registry

SEED = 20260304
CITY = 1_000_000
NO_HOME: dict[str, Any] = dict.fromkeys(("address", "postcode", "school", "phone", "guardian"))
NO_DATE: dict[str, Any] = {"date_of_birth": None}
AWAY: dict[str, Any] = {"address": "3 Rye Lane", "postcode": "N1 9GU", "phone": None, "school": None}


class Pair(NamedTuple):
    """The child as registered, what both notes say otherwise, the one change, and the two decisions."""

    kind: str
    known: dict[str, Any]
    told: dict[str, Any]
    change: dict[str, Any]
    before: str
    after: str


AISHA = {"given_names": "Aisha", "family_name": "Chowdhury", "guardian": "Nasima Chowdhury"}
DOUBLE = {"family_name": "Okonjo-Bright"}
JAYDEN = {"given_names": "Jayden", "sex": "male"}
PAIRS = [
    Pair("twin of another name", {}, {}, {"given_names": "Grace"}, "link", "review"),
    Pair("twin of the other sex", {}, {}, {"given_names": "Leon", "sex": "male"}, "link", "new"),
    Pair("twin of a like name", {}, {"given_names": "Leilah"}, {"given_names": "Layna"}, "link", "review"),
    Pair("twins told apart by the number", {"upn": "A123456789012"}, {"upn": "A123456789012"},
         {"upn": "B998877665544"}, "link", "review"),
    Pair("younger sister, not registered", {}, {}, {"given_names": "Ada", "date_of_birth": datetime.date(2017, 1, 9)},
         "link", "new"),
    Pair("older brother by age", {}, {**NO_DATE, "age": 12.0}, {"given_names": "Samuel", "age": 16.0}, "link", "new"),
    Pair("moved, another date, the guardian the same", {}, AWAY, {"date_of_birth": datetime.date(2010, 2, 3)},
         "link", "review"),
    Pair("moved, an age told", {}, {**NO_DATE, "age": 12.0}, {"address": "3 Rye Lane", "postcode": "N1 9GU",
         "phone": None, "guardian": None, "school": None}, "link", "review"),
    Pair("moved, other family name too", {}, AWAY, {"family_name": "Sanderson"}, "link", "review"),
    Pair("transliterated", AISHA, {**AISHA, "given_names": "Ayesha", "family_name": "Choudhury"},
         {"given_names": "Amina"}, "link", "review"),
    Pair("transliterated family name", AISHA, {**AISHA, "family_name": "Chaudhry"}, {"given_names": "Asha"},
         "link", "review"),
    Pair("swapped names", {}, {"given_names": "Okonjo", "family_name": "Leila"}, {"family_name": "Grace"},
         "link", "review"),
    Pair("half of a double name", DOUBLE, {"family_name": "Bright"}, {"given_names": "Grace"}, "link", "review"),
    Pair("half of a double name, another date", DOUBLE, {"family_name": "Bright", **NO_HOME, "guardian": None},
         {"date_of_birth": datetime.date(2011, 9, 2)}, "link", "new"),
    Pair("age only, with the home", {}, {**NO_DATE, "age": 12.0}, NO_HOME, "link", "review"),
    Pair("age only, far out", {}, {**NO_DATE, "age": 12.0}, {"age": 5.0}, "link", "review"),
    Pair("vague", JAYDEN, {**JAYDEN, **NO_HOME}, {"given_names": "Jay", "family_name": None, "date_of_birth": None,
         "age": 12.0}, "link", "new"),
    Pair("short form", JAYDEN, {**JAYDEN, "given_names": "Jay"}, {"given_names": "Jake"}, "link", "review"),
    Pair("a slip of the key", {}, {"given_names": "Leilla"}, {"given_names": "Lyla"}, "link", "review"),
    Pair("day and month changed", {}, {"date_of_birth": datetime.date(2013, 5, 29)},
         {"date_of_birth": datetime.date(2013, 11, 2)}, "link", "review"),
    Pair("a slip in the date, away from home", {}, {**NO_HOME, "postcode": "SE15 3SX"}, {"postcode": None,
         "date_of_birth": datetime.date(2013, 5, 21)}, "link", "review"),
    Pair("a digit of the number", {"upn": "A123456789012"}, {"upn": "A123456789021", **NO_HOME},
         {"upn": "B998877665544"}, "link", "review"),
    Pair("nobody known", {}, {}, {"given_names": "Zofia", "family_name": "Nowak", "postcode": "E1 7AA",
         "address": "9 Elm Grove", "phone": None, "guardian": None, "school": None}, "link", "new"),
    Pair("namesake of another date and place", {}, AWAY | {"guardian": None},
         {"date_of_birth": datetime.date(2015, 12, 30)}, "link", "new"),
    Pair("no given name", {}, {}, {"given_names": None}, "link", "review"),
    Pair("an initial", {}, {}, {"given_names": "L"}, "link", "review"),
]  # fmt: skip


RELATIVES = (
    "brother of Leila", "Leila\u2019s brother", "Leila's twin", "twin of Leila", "Leila (sibling)", "sister of Leila",
    "not Leila",
    "Leila and Grace", "Leila & Grace", "half-sister of Leila", "baby of Leila", "Leila (cousin)", "Leilas brother",
    "mother of Leila", "Leila's little one", "Leila sis",
)  # fmt: skip


@pytest.fixture(scope="module")
def city() -> Decider:
    print("seed", SEED)
    known = make_registry(3_000, SEED).known.values()
    model = default_model().with_term_frequencies(count_terms(map(standardise, known)))
    return Decider(msgspec.structs.replace(model, registry_size=CITY))


def sister_of(known: dict[str, Any]) -> Record:
    return record(**known | {"given_names": "Miriam", "date_of_birth": datetime.date(2010, 3, 14), "sex": "female",
                             "upn": None, "school": None})  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.kind for pair in PAIRS])
def test_one_field_changed_changes_the_decision(city: Decider, pair: Pair) -> None:
    index = index_of([record(**pair.known), sister_of(pair.known)])
    before = city.decide(record(**{**pair.known, **pair.told}), index)
    assert (before.outcome, before.child_id) == (pair.before, 1), before.reason
    after = city.decide(record(**{**pair.known, **pair.told, **pair.change}), index)
    assert after.outcome == pair.after, after.reason
    assert after.probability < before.probability


@pytest.mark.parametrize("told", RELATIVES)
def test_a_relative_of_a_child_is_never_linked_to_the_child(city: Decider, told: str) -> None:
    index = index_of([record(), sister_of({})])
    assert city.decide(record(given_names="Leila"), index).outcome == "link"
    for named in (
        {"given_names": told},
        {"given_names": None, "family_name": f"{told} Okonjo"},
        {"given_names": "Amara", "aliases": (told,)},
    ):
        assert city.decide(record(**named), index).outcome != "link", named
