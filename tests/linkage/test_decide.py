from __future__ import annotations

import datetime
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.linkage.calibration import Calibration
from server.linkage.candidates import MemoryIndex
from server.linkage.decide import Decider, Decision, decide
from server.linkage.model import default_model
from server.linkage.standardise import Description, Record, standardise
from tests.linkage.builders import CHILD, OBSERVED_ON, decided, decider, index_of, record
from tests.linkage.test_standardise import DESCRIPTIONS

CITY_SEED = 20260302
UPN = "H801200001001"
CIRCLE = ("phone", "school", "guardian")


def test_the_same_description_is_linked() -> None:
    decision = decided(record(), record())
    assert (decision.outcome, decision.child_id) == ("link", 1)
    assert decision.probability > 0.999
    assert decision.second_child_id is None


def test_nobody_known_is_new() -> None:
    decision = decided(record())
    assert (decision.outcome, decision.child_id, decision.compared) == ("new", None, 0)


# Minimal pairs: one field changed, and the decision with it. (changes of the note, outcome)
FIELDS: list[tuple[dict[str, Any], str]] = [
    ({}, "link"),
    ({"given_names": "Laylah"}, "link"),
    ({"given_names": "Leiola"}, "link"),
    ({"given_names": None}, "review"),
    ({"given_names": "Lena"}, "review"),
    ({"given_names": "Grace"}, "review"),
    ({"given_names": "L"}, "review"),
    ({"given_names": "Okonjo", "family_name": "Leila"}, "link"),
    ({"family_name": "Okonjoh"}, "link"),
    ({"family_name": "Okonjo-Bright"}, "link"),
    ({"date_of_birth": datetime.date(2013, 5, 26)}, "link"),
    ({"date_of_birth": datetime.date(2014, 5, 27)}, "link"),
    ({"date_of_birth": None}, "link"),
    ({"date_of_birth": None, "age": 12.0}, "link"),
    ({"date_of_birth": None, "age": 4.0}, "review"),
    ({"address": "3 Rye Lane", "postcode": "N1 9GU"}, "link"),
    ({"upn": "A123456789012"}, "link"),
]


@pytest.mark.parametrize("side", ["note", "child"])
@pytest.mark.parametrize(
    "names",
    [
        {"given_names": "Okonjo", "family_name": "Leila"},
        {"given_names": "Leila Okonjo", "family_name": None},
        {"given_names": None, "family_name": "Okonjo Leila"},
    ],
)
def test_a_child_who_goes_by_another_name_too_is_told_by_names_in_the_wrong_fields(
    names: dict[str, Any], side: str
) -> None:
    also: dict[str, dict[str, Any]] = {"note": {}, "child": {}}
    also[side] = {"aliases": ("Bubbles",)}
    assert decided(record(**names, **also["note"]), record(**also["child"])).outcome == "link"


@pytest.mark.parametrize(("changes", "outcome"), FIELDS)
def test_one_field_changed_changes_the_decision_as_a_person_would(
    changes: dict[str, Any], outcome: str
) -> None:
    assert decided(record(**changes), record()).outcome == outcome


def test_a_different_official_number_stops_a_link_and_an_equal_one_carries_it() -> None:
    known = record(upn="A123456789012")
    assert decided(record(upn="A987651234999"), known).outcome == "review"
    bare = {name: None for name in CHILD if name not in ("given_names", "observed_on")}
    assert decided(record(**bare, upn="A123456789012"), known).outcome == "link"


@pytest.mark.parametrize("name", ["Grace", "Lila", "Lena", "Ella", "Lei", None])
def test_a_twin_who_is_not_known_is_never_linked(name: str | None) -> None:
    assert decided(record(given_names=name), record()).outcome == "review"


def test_a_given_name_that_is_the_family_name_too_does_not_tell_twins_apart() -> None:
    note = record(given_names="Yusuf", family_name="Hamza")  # Hamza Yusuf, written the wrong way round
    assert decided(note, record(given_names="Yusuf", family_name="Yusuf")).outcome == "review"


def test_an_equal_number_does_not_outweigh_another_given_name() -> None:
    # Clerks mix up the numbers of twins.
    known = record(upn="A123456789012")
    assert decided(record(given_names="Grace", upn="A123456789012"), known).outcome == "review"
    assert decided(record(given_names=None, upn="A123456789012"), known).outcome == "link"


def test_another_date_of_birth_needs_the_same_home() -> None:
    away = {"address": "9 Elm Grove", "postcode": "N1 9GU", "phone": None}
    note = record(date_of_birth=datetime.date(2013, 9, 14), guardian="Miriam Vanderbilt", **away)
    known = record(guardian="Miriam Vanderbilt", upn="A123456789012")
    decision = decider([known, *(record(given_names="Q", family_name=f"Z{n}") for n in range(500))]).decide(
        note, index_of([known])
    )
    assert decision.outcome == "review"
    assert "date of birth is another one" in decision.reason


def test_a_younger_brother_who_is_not_known_is_new_and_not_for_review() -> None:
    brother = record(given_names="Samuel", sex="male", date_of_birth=datetime.date(2016, 9, 2), school=None)
    assert decided(brother, record()).outcome == "new"


def test_of_two_known_twins_the_right_one_is_linked() -> None:
    decision = decided(record(given_names="Grace"), record(), record(given_names="Grace"))
    assert (decision.outcome, decision.child_id) == ("link", 2)
    assert decision.second_probability < 0.01


def test_two_known_children_who_fit_alike_are_for_review_with_both_shown() -> None:
    decision = decided(record(), record(), record(school=None))
    assert decision.outcome == "review"
    assert {c.child_id for c in decision.candidates} == {1, 2}
    assert "more than one" in decision.reason


def test_nothing_is_linked_to_a_restricted_child() -> None:
    decision = decider().decide(record(), index_of([record()], restricted=[1]))
    assert decision.outcome == "review"
    assert "restricted" in decision.reason
    assert decision.candidates[0].restricted


def test_a_child_a_person_ruled_out_is_not_offered_again() -> None:
    decision = decider().decide(record(), index_of([record(), record(given_names="Lena")]), excluded=[1])
    assert 1 not in {c.child_id for c in decision.candidates}


def test_a_name_and_an_age_alone_are_never_linked() -> None:
    bare = {name: None for name in CHILD if name not in ("given_names", "family_name", "observed_on", "sex")}
    note = record(**bare, age=12.0)
    decision = decider([record(given_names=f"Q{n}") for n in range(50)]).decide(note, index_of([record()]))
    assert decision.outcome == "review"
    assert "only the name" in decision.reason


def test_a_vague_note_is_never_linked() -> None:
    note = standardise(
        Description(given_names="Jay", age=13.0, observed_on=OBSERVED_ON, address="Peckham bus station")
    )
    known = record(given_names="Jayden", date_of_birth=datetime.date(2012, 8, 1))
    assert decided(note, known).outcome != "link"


def test_a_namesake_of_another_age_and_place_is_somebody_else() -> None:
    note = record(date_of_birth=datetime.date(2008, 11, 3), address="9 Elm Grove", postcode="N1 9GU", school=None,
                  phone=None, guardian=None)  # fmt: skip
    assert decided(note, record()).outcome == "new"


def test_probabilities_are_shared_among_the_candidates_and_a_new_child() -> None:
    known = [record(), record(given_names="Laila", school=None), record(given_names="Lena")]
    decision = decided(record(), *known)
    total = sum(c.probability for c in decision.candidates)
    assert 0 < total <= 1 + 1e-9
    assert [c.probability for c in decision.candidates] == sorted(
        (c.probability for c in decision.candidates), reverse=True
    )


def test_the_order_of_the_registry_changes_nothing() -> None:
    known = [record(), record(given_names="Laila"), record(given_names="Grace"), record(postcode=None)]
    index, backwards = MemoryIndex(), MemoryIndex()
    for child_id, one in enumerate(known, 1):
        index.add(child_id, one)
    for child_id, one in reversed(list(enumerate(known, 1))):
        backwards.add(child_id, one)
    model = decider()
    for one in known:
        assert model.decide(one, index) == model.decide(one, backwards)


def test_a_decision_survives_its_bytes_and_holds_no_personal_data() -> None:
    decision = decided(record(), record(), record(given_names="Grace"))
    packed = msgspec.msgpack.encode(decision)
    assert msgspec.msgpack.decode(packed, type=Decision) == decision
    for personal in ("Leila", "leila", "okonjo", "SE15", "consort", "2013", "7700900123"):
        assert personal.encode() not in packed
    assert len(packed) < 2_000


def test_a_decider_kept_and_a_decider_made_anew_decide_alike() -> None:
    known = [record(), record(given_names="Grace"), record(given_names="Laila", postcode=None)]
    index, kept = index_of(known), decider()
    for one in (*known, *known):
        assert kept.decide(one, index) == decide(one, index, default_model())


@settings(max_examples=150)
@given(st.lists(DESCRIPTIONS, min_size=1, max_size=5), DESCRIPTIONS)
def test_deciding_never_fails_whatever_is_described(known: list[Any], note: Any) -> None:
    records: list[Record] = [standardise(one) for one in known]
    decision = decider(records).decide(standardise(note), index_of(records))
    assert decision.outcome in ("link", "review", "new")
    assert 0 <= decision.probability <= 1
    for one in records:
        assert decider(records).decide(one, index_of(records)).outcome in ("link", "review", "new")


def test_a_registry_of_people_of_all_ages_one_to_a_home_needs_no_care_for_siblings() -> None:
    random = Random(CITY_SEED)
    print("seed", CITY_SEED)
    lonely = [
        record(
            given_names=f"{random.choice('bcdfg')}a{random.choice('lmnr')}o",
            family_name=f"w{random.choice('aeio')}{random.choice('lmnrst')}er",
            address=f"{n} Consort Road",
            postcode=f"SE{n % 20 + 1} {n % 9}AA",
            date_of_birth=datetime.date(1940, 1, 1) + datetime.timedelta(days=12 * n),
            phone=None,
        )
        for n in range(2_100)
    ]
    alone, together = (
        decider(lonely),
        decider(
            [
                *lonely,
                *(record(given_names=f"N{n}", date_of_birth=datetime.date(2010, 1, 1 + n)) for n in range(6)),
            ]
        ),
    )
    assert isinstance(alone, Decider) and not alone.model.has_households
    assert together.model.has_households


RAISING, LOWERING = Calibration(fits=1.5), Calibration(fits=-1.5)


@pytest.mark.parametrize("calibration", [RAISING, LOWERING])
def test_a_calibration_keeps_order_and_sum_and_decides_nothing(calibration: Calibration) -> None:
    model = msgspec.structs.replace(default_model(), calibration=Calibration())
    index = index_of([record(), record(given_names="Laila", school=None), record(given_names="Lena")])
    note = record(phone=None, guardian=None, date_of_birth=None, age=12.0, given_names="Leyla", sex="male")
    plain = Decider(model).decide(note, index)
    meant = Decider(msgspec.structs.replace(model, calibration=calibration)).decide(note, index)
    assert 0.2 < plain.probability < model.link_probability
    assert (meant.probability > plain.probability) == (calibration is RAISING)
    assert [c.child_id for c in plain.candidates] == [c.child_id for c in meant.candidates]
    told = [c.probability for c in meant.candidates]
    assert told == sorted(told, reverse=True)
    assert sum(told) <= 1 + 1e-9
    assert plain.candidates[0].weight == meant.candidates[0].weight
    assert (plain.outcome, plain.rule) == (meant.outcome, meant.rule)


def test_a_namesake_who_lives_elsewhere_is_not_linked_where_a_family_of_that_name_lives() -> None:
    note = record(given_names="Henry", family_name="Taylor", sex="male", school=None)
    twin = record(given_names="Oscar", family_name="Taylor", sex="male")
    namesake = record(given_names="Henry", family_name="Taylor", sex="male", address="139 Alexandra Court",
                      postcode="W8 6NT", phone=None)  # fmt: skip
    assert decided(note, namesake).outcome == "link"
    decision = decided(note, namesake, twin)
    assert (decision.outcome, decision.child_id) == ("review", 1)
    assert "lives" in decision.rule


ELSEWHERE: dict[str, Any] = {"address": "3 Choumert Grove", "postcode": "SE15 4PB", **dict.fromkeys(CIRCLE)}
NAMESAKE = record(date_of_birth=datetime.date(2012, 1, 9))
"""Whom only later keys give."""


def test_a_child_who_has_moved_is_linked_by_the_first_keys() -> None:
    decision = decided(record(upn=UPN, **ELSEWHERE), record(upn=UPN), NAMESAKE)
    assert (decision.outcome, decision.child_id, decision.compared) == ("link", 1, 1)


@pytest.mark.parametrize("postcode", ["SE15 4PB", "SE15 4PD", None])
def test_a_child_said_to_live_where_the_name_lives_already_is_left_to_a_person(postcode: str | None) -> None:
    """However the postcode of the other family is written: the street and the name find it too. The person is shown
    whomever else the later keys give."""
    there = ELSEWHERE | {"postcode": postcode}
    other = record(given_names="Ada", date_of_birth=datetime.date(2013, 6, 27), **there)
    decision = decided(record(upn=UPN, **ELSEWHERE), record(upn=UPN), other, NAMESAKE)
    assert (decision.outcome, decision.child_id, decision.compared) == ("review", 1, 3)
    assert "lives where this child is said to live" in decision.rule
