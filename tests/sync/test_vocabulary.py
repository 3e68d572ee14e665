"""The words: every code has a label, codes are safe to store, phrases are found where they stand."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import vocabulary
from sync.vocabulary import (
    CATEGORY_LABELS,
    EXPLOITATION,
    NOTE_OUTCOME_LABELS,
    PHRASES_TO_RECONSIDER,
    Category,
    Grade,
    NoteOutcome,
    phrases_to_reconsider,
)


def test_every_category_has_a_label_of_its_own() -> None:
    assert list(CATEGORY_LABELS) == list(Category)
    assert len(set(CATEGORY_LABELS.values())) == len(Category)
    assert set(Category) >= EXPLOITATION


def test_codes_are_plain_so_that_they_can_be_kept_for_ever() -> None:
    enums = [
        value for value in vars(vocabulary).values() if isinstance(value, type) and issubclass(value, StrEnum)
    ]
    for enum in enums:
        for member in enum:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", member.value), member


def test_grades_are_ordered_by_urgency() -> None:
    assert sorted(Grade, key=lambda grade: grade.urgency) == [Grade.BLUE, Grade.GREEN, Grade.AMBER, Grade.RED]


@pytest.mark.parametrize("phrase", PHRASES_TO_RECONSIDER)
def test_every_phrase_is_found_in_any_case_and_across_a_line_break(phrase: str) -> None:
    for written in (phrase, phrase.upper(), phrase.title(), "\n ".join(phrase.split())):
        ((start, found, advice),) = phrases_to_reconsider(f"She is {written}.")
        assert (start, found) == (7, phrase) and advice
        assert phrases_to_reconsider(advice) == [], "the advice must not fall into its own trap"


def test_the_offset_holds_where_lower_case_is_longer() -> None:
    assert [start for start, _, _ in phrases_to_reconsider("\u0130\u0130\u0130 streetwise")] == [4]


@given(st.text(max_size=30), st.sampled_from(sorted(PHRASES_TO_RECONSIDER)), st.text(max_size=30))
def test_the_offset_is_where_the_phrase_stands_in_any_script(before: str, phrase: str, after: str) -> None:
    text = f"{before} {phrase} {after}"
    found = [(start, name) for start, name, _ in phrases_to_reconsider(text)]
    assert (len(before) + 1, phrase) in found
    assert found == sorted(found)


@given(st.text())
def test_any_text_can_be_looked_through(text: str) -> None:
    for start, phrase, _ in phrases_to_reconsider(text):
        assert text[start].casefold().startswith(phrase[0]) or text[start] in "\u017f\u212a"


def test_every_outcome_has_a_label_of_its_own() -> None:
    assert list(NOTE_OUTCOME_LABELS) == list(NoteOutcome)
    assert len(set(NOTE_OUTCOME_LABELS.values())) == len(NoteOutcome)
