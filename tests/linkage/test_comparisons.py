from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage import comparisons as cmp
from server.linkage import homes
from server.linkage import levels as lv
from server.linkage.model import NO_TERM_FREQUENCIES, TermFrequencies
from server.linkage.standardise import name_words, standardise
from tests.linkage.builders import record
from tests.linkage.test_standardise import DESCRIPTIONS

COMPARER = cmp.Comparer(NO_TERM_FREQUENCIES)
NAMES = st.one_of(
    st.sampled_from(
        ["mohammed ali", "ali", "jayden", "jay", "siobhan", "leila", "okonjo bright", "j", "de la cruz"]
    ),
    st.text(min_size=1, max_size=20).map(name_words).filter(bool),
)


def given_level(one: str, other: str) -> str:
    return lv.COMPARISONS[lv.GIVEN].levels[COMPARER.given(name_words(one), name_words(other))[0]].name


def family_level(one: str, other: str) -> str:
    return lv.COMPARISONS[lv.FAMILY].levels[COMPARER.family(name_words(one), name_words(other))[0]].name


@given(NAMES, NAMES)
def test_names_compare_the_same_both_ways(one: str, other: str) -> None:
    assert COMPARER.given(one, other)[0] == COMPARER.given(other, one)[0]
    assert COMPARER.family(one, other)[0] == COMPARER.family(other, one)[0]
    assert COMPARER.guardian(one, other) == COMPARER.guardian(other, one)
    assert COMPARER.school(one, other) == COMPARER.school(other, one)
    assert COMPARER.words(one, other) == COMPARER.words(other, one)


@given(DESCRIPTIONS, DESCRIPTIONS)
def test_dates_homes_and_codes_compare_the_same_both_ways(a: Any, b: Any) -> None:
    one, other = standardise(a), standardise(b)
    assert cmp.born(one, other) == cmp.born(other, one)
    assert homes.address(one, other) == homes.address(other, one)
    assert COMPARER.alias(one, other) == COMPARER.alias(other, one)


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Leila", "LEILA", "exact"),
        ("Mary Kate", "Marykate", "exact"),
        ("Mohammed", "Muhamad", "variant"),
        ("Md Yusuf", "Yousef", "variant"),
        ("Dmitri", "Дмитрий", "variant"),
        ("William James", "James William", "variant"),
        ("Jay", "Jayden", "short_form"),
        ("Tasneem", "Tasnim", "variant"),
        ("Mikaylla", "Mikailla", "variant"),
        ("Michafla", "Michaela", "typo"),
        ("Elk I", "Elki", "exact"),
        ("William James", "James", "other_given"),
        ("Mohammed Ali", "Mohammed Bilal", "part"),
        ("Mohammed", "Mohammed Ali", "part"),
        ("J", "Jayden", "initial"),
        ("Leila", "Grace", "differ"),
    ],
)
def test_given_names_reach_the_level_a_person_would_give(one: str, other: str, level: str) -> None:
    assert given_level(one, other) == level


TWINS = (
    "Aiden/Jaiden Amir/Samir Hassan/Hussain Zara/Sara Ella/Bella Jayden/Kayden Mia/Maya Emma/Gemma Daniel/Danielle "
    "Michael/Michaela Samir/Samira Malik/Malika Paul/Paula Kyle/Kylie Evie/Ivy Amina/Amira Nisha/Misha Tara/Dara "
    "Maria/Mario Harvey/Harley Mason/Jason Ronnie/Bonnie Freddie/Teddie Salim/Salman Francis/Frances Dean/Deen"
)


def test_a_slip_leaves_the_first_letter_alone() -> None:
    assert given_level("Zaviyahra", "Taviyahra") == "close"
    assert given_level("Zaviyahra", "Zavinahra") == "typo"


@pytest.mark.parametrize("pair", TWINS.split())
def test_two_names_of_twins_are_never_one_name_misspelt(pair: str) -> None:
    assert given_level(*pair.split("/")) in ("close", "differ")


def test_a_spelling_that_many_bear_is_a_name_and_not_a_slip() -> None:
    assert given_level("Brantley", "Brantlee") != "exact"
    counts = TermFrequencies(children=9, given={}, family={}, words={"oluwatamilo": 5, "oluwatomilo": 4})
    one, other = "oluwatamilo", "oluwatomilo"
    assert COMPARER.given(one, other)[0] == lv.G_TYPO
    assert cmp.Comparer(counts).given(one, other)[0] == lv.G_CLOSE


def test_a_short_form_that_is_given_at_birth_here_may_be_a_twin() -> None:
    counts = TermFrequencies(children=1_000, given={"harry": 40, "jay": 1}, family={}, words={})
    here = cmp.Comparer(counts)
    assert here.given("harry", "harrison")[0] == lv.G_SHORT_OWN
    assert here.given("jayden", "jay")[0] == lv.G_SHORT
    assert given_level("Harry", "Harrison") == "short_form"
    assert given_level("Liz", "Betty") == "short_form"
    assert given_level("Amy", "Mia") in ("close", "differ")


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Okonjo-Bright", "Bright Okonjo", "exact"),
        ("Okonjo-Bright", "Okonjo", "half"),
        ("al-Hassan", "Hassan", "exact"),
        ("Kaur Gill", "Gill", "exact"),
        ("Kowalski", "Kowalska", "variant"),
        ("Ivanov", "Ivanova", "variant"),
        ("Chowdhury", "Choudhry", "variant"),
        ("Thompson", "Thomson", "variant"),
        ("O'Neill", "Oneil", "variant"),
        ("Satterley", "Satte Rley", "exact"),
        ("Menzies", "Menzoes", "typo"),
        ("Okonjo", "Bright", "differ"),
    ],
)
def test_family_names_reach_the_level_a_person_would_give(one: str, other: str, level: str) -> None:
    assert family_level(one, other) == level


@pytest.mark.parametrize(
    ("born", "level"),
    [
        ((2013, 5, 27), "exact"),
        ((2013, 5, 22), "one_digit"),
        ((2031, 5, 27), "one_digit"),
        ((2014, 5, 27), "year_near"),
        ((2013, 5, 11), "same_month"),
        ((2013, 11, 12), "same_year"),
        ((2009, 1, 15), "differ"),
    ],
)
def test_dates_of_birth_are_graded(born: tuple[int, int, int], level: str) -> None:
    reached = cmp.born(record(), record(date_of_birth=datetime.date(*born)))
    assert lv.COMPARISONS[lv.BORN].levels[reached].name == level


def test_day_and_month_swapped_and_the_first_of_january() -> None:
    one = record(date_of_birth=datetime.date(2013, 5, 7))
    assert cmp.born(one, record(date_of_birth=datetime.date(2013, 7, 5))) == lv.B_SWAPPED
    january = record(date_of_birth=datetime.date(2013, 1, 1))
    assert cmp.born(january, january) == lv.B_JANUARY


@pytest.mark.parametrize(
    ("age", "level"),
    [(12, "age_fits"), (13, "age_1"), (11, "age_1"), (14, "age_2"), (16, "age_far"), (7, "age_far")],
)
def test_approximate_ages_are_graded(age: int, level: str) -> None:
    reached = cmp.born(record(), record(date_of_birth=None, age=float(age)))
    assert lv.COMPARISONS[lv.BORN].levels[reached].name == level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "home"),
        ({"address": None}, "postcode"),
        ({"address": "14 Consort Rd.", "postcode": None}, "near"),
        ({"address": "16 Consort Road"}, "postcode"),
        ({"postcode": "N1 9GU"}, "number_street"),
        ({"address": "2 Rye Lane", "postcode": "SE15 4ST"}, "area"),
        ({"address": "2 Rye Lane", "postcode": "N1 9GU"}, "differ"),
        ({"address": None, "postcode": None}, "missing"),
    ],
)
def test_homes_are_graded(changes: dict[str, Any], level: str) -> None:
    reached = homes.address(record(), record(**changes))
    assert lv.COMPARISONS[lv.ADDRESS].levels[reached].name == level


def test_an_alias_counts_whole_and_not_by_its_first_word() -> None:
    def shared(alias: str, **other: Any) -> str:
        return COMPARER.alias(record(aliases=(alias,)), record(**other))

    assert shared("Lulu", given_names="Lulu") == "lulu"
    assert shared("Lulu Okonjo", given_names="Lulu") == "lulu"
    assert shared("Lil Jay", given_names="Grace", aliases=("Lil T",)) == ""
    assert shared("Lil Jay", given_names="Grace", aliases=("lil jay",)) == "lil jay"


def test_a_guardian_is_the_same_by_given_and_family_name_only() -> None:
    assert COMPARER.guardian("miriam okonjo", "mariam okonjo") == lv.U_SAME
    assert COMPARER.guardian("miriam okonjo", "grace okonjo") == lv.U_DIFFER
    assert COMPARER.guardian("miriam okonjo", "miriam") == lv.U_NEAR
