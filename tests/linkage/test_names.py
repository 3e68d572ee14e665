from __future__ import annotations

from collections import Counter

import pytest

from server.linkage import names


def test_no_word_stands_in_two_lines_of_the_spellings() -> None:
    seen = Counter(word for line in names._lines("variants.txt") for word in set(line.split()))
    assert [word for word, times in seen.items() if times > 1] == []


def test_tables_hold_plain_lower_case_words_only() -> None:
    for table in ("variants.txt", "short_forms.txt", "given_names.txt"):
        for line in names._lines(table):
            for word in line.replace(":", "").split():
                assert word.isascii() and word.isalpha() and word.islower(), (table, word)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jay", "jaden"),
        ("mo", "mohammed"),
        ("lizzie", "elizabeth"),
        ("bob", "robert"),
        ("sasha", "alexander"),
    ],
)
def test_short_forms_are_known_both_ways(one: str, other: str) -> None:
    assert names.is_short_form(one, other) and names.is_short_form(other, one)


def test_two_full_names_are_not_short_forms_of_each_other() -> None:
    assert not names.is_short_form("alexander", "alexandra")
    assert not names.is_short_form("jack", "harry")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("shaun", "shawn"),
        ("philip", "filip"),
        ("xasan", "hasan"),
        ("catrin", "katrin"),
        ("rhoda", "roda"),
        ("rosheen", "roshin"),
    ],
)
def test_words_that_sound_alike_share_a_sound(one: str, other: str) -> None:
    assert names.sound(one) == names.sound(other)


@pytest.mark.parametrize(
    ("one", "other"), [("hasan", "husain"), ("amir", "omar"), ("amir", "amira"), ("dan", "don")]
)
def test_names_apart_have_sounds_apart(one: str, other: str) -> None:
    assert names.sound(one) != names.sound(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mohammed", "muhamad"),
        ("okonkwo", "okonkwoh"),
        ("jessica", "jess"),
        ("thompson", "tomson"),
        ("emma", "enna"),
    ],
)
def test_slips_of_the_ear_stay_in_one_block(one: str, other: str) -> None:
    assert names.block_code(one) == names.block_code(other)


def test_words_in_other_scripts_have_codes_of_their_own() -> None:
    assert names.block_code("अनन्या") != names.block_code("अनिका")
    assert names.sound("अनन्या") == "अनन्या"
