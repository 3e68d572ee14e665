from __future__ import annotations

import datetime
from math import log2

import pytest

from server.linkage import levels as lv
from server.linkage.decide import MORE_THAN_ONE, NOT_CERTAIN, Decision
from server.linkage.explain import (
    HOUSEHOLD,
    SCALE,
    START,
    TOTAL,
    Step,
    explain,
    household_words,
    in_words,
    margin_bits,
    outcomes,
    waterfall,
    why,
)
from server.linkage.standardise import Record
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
        total = steps[-1].total
        counted = 1 / (1 + 2**-total)
        bits = model.bits(decision.candidates[0].levels) if counted < model.link_probability else 0.0
        assert min(1 / (1 + 2 ** (-total - bits)), 1.0) == pytest.approx(p, abs=0.01)
        assert bool(steps[-1].remark) == (abs(counted - p) >= 0.005)


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


def registry() -> list[Record]:
    """A registry in which Leila is common and the family name is not."""
    others = [record(family_name=f"Name{chr(97 + n)}", phone=None, date_of_birth=None) for n in range(20)]
    return [record(), *others, *[record(given_names=f"Other{chr(97 + n)}") for n in range(20)]]


def test_what_comes_from_how_common_a_name_is_is_told_apart_and_adds_up() -> None:
    known = registry()
    one = decider(known)
    best = one.decide(record(), index_of(known)).candidates[0]
    steps = {step.comparison: step for step in explain(best, one.model)}
    given, family = steps["given_names"], steps["family_name"]
    assert given.rarity < -1 and given.remark.startswith("a common name: counts less (")
    plain = one._scorer.same[lv.GIVEN][lv.G_EXACT]
    assert given.weight == pytest.approx(plain + given.rarity, abs=0.02)
    # Both names agree, so what the two say together is less than the two by themselves.
    assert "often go together: counts less" in family.remark
    assert f"{one.model.name_kinship_bits:.1f})" in family.remark
    assert steps["phone"].remark == ""


def test_a_decision_is_explained_from_where_it_started_whatever_the_registry_is_now() -> None:
    small, large = decider(), decider([record()])
    decision = small.decide(record(), index_of([record()]))
    steps = explain(decision.candidates[0], large.model, start=decision.start)
    assert steps[0].weight == pytest.approx(small.start, abs=0.01)
    assert steps[0].weight != pytest.approx(large.start, abs=0.5)
    p = decision.candidates[0].probability
    assert steps[-1].total == pytest.approx(log2(p / (1 - p)), abs=0.05)


def test_a_pair_weighed_by_itself_weighs_what_it_weighed_in_the_decision() -> None:
    one = decider()
    decision = one.decide(record(), index_of([record()]))
    again = one.weigh(record(), record(), 1, restricted=False)
    assert again == decision.candidates[0]
    assert one.weigh(record(), record(given_names="Zofia", family_name="Nowak", date_of_birth=None, sex="male",
                                      address=None, postcode=None, phone=None, guardian=None), 1,
                     restricted=False) is None  # fmt: skip


def first(decision: Decision) -> str:
    return why(decision, decider().model)


def test_the_first_sentence_says_what_decided() -> None:
    linked = decided(record(), record())
    assert linked.rule == "" and first(linked).startswith("Linked automatically: ")
    ruled = decided(record(given_names=None), record())
    assert first(ruled) == "Not linked: without a given name it could be a brother or a sister."
    two = decided(record(), record(), record(date_of_birth=datetime.date(2013, 5, 28)))
    if two.rule != MORE_THAN_ONE:
        two = decided(record(), record(), record())
    assert two.rule == MORE_THAN_ONE and (margin := margin_bits(two)) is not None
    assert first(two) == (
        f"Not linked: more than one known child fits. The second is {margin:.1f} bits behind, and a link needs "
        f"a lead of {decider().model.link_margin_bits:g}."
    )
    assert f"{margin:.1f}" not in why(two, decider().model, discreet=True)
    new = decided(record(), record(given_names="Zofia", family_name="Nowak", date_of_birth=None, sex="male",
                                   address=None, postcode=None, phone=None, guardian=None, school=None))  # fmt: skip
    assert first(new) == "Not linked: no known child is like this one."
    doubtful = Decision(
        outcome="review", child_id=1, probability=0.92, weight=20.0, second_child_id=None, second_probability=0.0,
        candidates=(), compared=1, reason="x: y", model_version="m", rule=NOT_CERTAIN,
    )  # fmt: skip
    assert "It is 92\u00a0% likely; a link needs 99.57\u00a0%." in first(doubtful)


def test_of_a_restricted_record_the_reason_tells_no_field() -> None:
    decision = decider().decide(record(), index_of([record()], restricted=[1]))
    assert decision.reason == decision.rule == "this record is restricted: a person with access decides"


def test_the_bars_stay_on_the_scale_and_each_begins_where_the_one_before_ended() -> None:
    for changes in ({}, {"given_names": "Grace"}, {"school": "Another"}, {"date_of_birth": None, "age": 9.0}):
        candidates = decided(record(**changes), record()).candidates
        for candidate in candidates:
            fall = waterfall(explain(candidate, decider().model))
            assert all(bar.left >= 0 and bar.left + bar.width <= SCALE + 0.01 for bar in fall.bars)
            assert all(bar.width > 0 for bar in fall.bars) and 0 <= fall.zero <= SCALE
            for before, bar in zip(fall.bars, fall.bars[1:-1], strict=False):
                ends = (bar.left, bar.left + bar.width)
                assert min(abs(before.at - end) for end in ends) < 1
            assert fall.bars[-1].at == pytest.approx(fall.bars[-2].at, abs=0.1)


def test_for_and_against_are_told_apart_and_small_weights_do_not_fill_the_scale() -> None:
    weights = (("start", 0.0, 0.0), ("a", 3.0, 3.0), ("b", -2.0, 1.0), ("c", 0.0, 1.0), ("total", 1.0, 1.0))
    steps = tuple(
        Step(comparison=name, title=name, label="", outcome="", weight=weight, total=total)
        for name, weight, total in weights
    )
    fall = waterfall(steps)
    assert [bar.kind for bar in fall.bars] == ["start", "for", "against", "nothing", "total"]
    assert fall.bars[4].width < SCALE / 10
