from __future__ import annotations

import datetime
from math import log2

import pytest

from server.linkage import levels as lv
from server.linkage.explain import HOUSEHOLD, START, TOTAL, explain, household_words, in_words, outcomes
from tests.linkage.builders import decided, decider, index_of, record


def test_the_waterfall_adds_up_to_the_probability() -> None:
    model = decider().model
    for changes in ({}, {"given_names": "Grace"}, {"date_of_birth": None, "age": 13.0}, {"postcode": None}):
        decision = decided(record(**changes), record())
        if not decision.candidates:
            continue
        steps = explain(decision.candidates[0], model)
        assert steps[0].comparison == START and steps[-1].comparison == TOTAL
        assert [s.comparison for s in steps[1 : 1 + len(lv.COMPARISONS)]] == [c.name for c in lv.COMPARISONS]
        total = sum(s.weight for s in steps[:-1])
        assert total == pytest.approx(steps[-1].total, abs=0.2)
        p = decision.candidates[0].probability
        assert steps[-1].total == pytest.approx(log2(p / (1 - p)), abs=0.05)


def test_every_comparison_is_agree_near_differ_or_missing() -> None:
    note = record(given_names="Leiola", school=None, postcode="N1 9GU", address=None)
    shown = outcomes(decided(note, record()).candidates[0])
    assert shown == {
        "given_names": "near",
        "family_name": "agree",
        "date_of_birth": "agree",
        "sex": "agree",
        "address": "differ",
        "phone": "agree",
        "guardian": "agree",
        "school": "missing",
        "upn": "missing",
        "nhs_number": "missing",
    }


def test_a_household_is_named_in_words() -> None:
    candidate = decided(record(given_names="Grace"), record()).candidates[0]
    assert household_words(candidate) == (
        "same family name, address, phone and guardian: could be a brother or a sister"
    )
    steps = explain(candidate, decider().model)
    (household,) = [s for s in steps if s.comparison == HOUSEHOLD]
    assert household.weight < -20


def test_without_a_household_no_step_speaks_of_one() -> None:
    far = record(address="3 Rye Lane", postcode="N1 9GU", phone=None, guardian=None, family_name="Bright")
    candidates = decided(record(), far).candidates
    for candidate in candidates:
        assert household_words(candidate) == ""


def test_the_words_say_what_agrees_and_name_nobody() -> None:
    candidate = decided(record(date_of_birth=datetime.date(2013, 5, 22)), record()).candidates[0]
    lines = in_words(explain(candidate, decider().model))
    text = "\n".join(lines)
    assert "Given names: the same (+" in text
    assert "Date of birth: one digit differs" in text
    assert "UPN" not in text
    assert not any(name in text for name in ("Leila", "Okonjo", "2013"))


def test_the_reason_of_a_decision_is_a_sentence_of_fields() -> None:
    decision = decider().decide(record(given_names=None), index_of([record()]))
    assert decision.reason == (
        "Family name, date of birth, sex, address, phone, guardian and school agree: "
        "without a given name it could be a brother or a sister"
    )
