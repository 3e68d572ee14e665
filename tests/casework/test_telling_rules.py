"""A rule pack in words."""

from __future__ import annotations

import pytest

from server.casework.pack import default_pack, load_pack
from server.casework.telling_rules import chain_in_words, rule_in_words, terms_in_words
from sync.vocabulary import Grade
from tests.casework.builders import pack_text_with_terms
from tests.casework.test_pack import TEXT

RULES = {rule.name: rule for rule in default_pack().rules}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("danger_now", "In danger now"),
        ("missing_under_10", "Missing and under 10"),
        ("missing_long", "Missing for more than 24 hours"),
        ("missing_repeat", "Third or later missing episode in 90 days"),
        ("notes_repeat", "Three or more separate concerns in 90 days"),
        ("sources_several", "Concerns from two or more sources in 30 days"),
        ("police_protection", "In police protection, which ends by 72 hours after it began"),
        ("encompass", "Domestic abuse in the household: the school must know before the next school day"),
    ],
)
def test_a_rule_is_said_with_its_own_numbers(name: str, says: str) -> None:
    assert rule_in_words(RULES[name]) == says


def test_no_rule_that_ships_leaves_a_hole() -> None:
    assert not [said for said in map(rule_in_words, default_pack().rules) if "{" in said or "  " in said]


def test_a_chain_is_said_in_order_with_who_hears_again() -> None:
    pack = load_pack(TEXT)
    assert chain_in_words(pack, Grade.RED, str.upper) == (
        "SUPERVISOR after 15 min, DUTY_INSPECTOR after 30 min, FORCE_DUTY_OFFICER after 60 min, then again every 30 min"
    )
    assert chain_in_words(pack, Grade.BLUE, str) == "supervisor after 3 days, then again every 7 days"
    assert "at 50 % of the clock" in chain_in_words(pack, Grade.AMBER, str)


def test_school_terms_are_said_as_far_as_they_are_known() -> None:
    assert terms_in_words(load_pack(TEXT)) == (
        "london: no terms are given: every weekday that is no bank holiday counts as a school day",
    )
    assert terms_in_words(load_pack(pack_text_with_terms()))[0].startswith("london: terms from ")
