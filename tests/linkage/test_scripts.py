"""Names in scripts without a plain table of letters are read as a registrar would have written them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage.names import canonical
from server.linkage.scripts import in_latin
from server.linkage.standardise import name_words
from tests.linkage.builders import decided, record


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("মোহাম্মদ হোসেন", "mohammad hosen"),
        ("আয়েশা খাতুন", "ayesha khatun"),
        ("যোসেফ", "josef"),
        ("ব্যানার্জি", "byanarji"),
        ("राहुल शर्मा", "rahul sharma"),
        ("ज़ारा", "zara"),
        ("ਸਿੰਘ", "singh"),
        ("હેતલ શાહ", "hetal shah"),
        ("கார்த்திக்", "karttik"),
        ("王小明", "wangxiaoming"),
        ("민준", "minjun"),
        ("はると", "haruto"),
        ("ሰላም ተስፋዬ", "selam tesfaye"),
        ("გიორგი ბერიძე", "giorgi beridze"),
        ("Սարգիս", "sargis"),
        ("සුනිල්", "sunil"),
        ("Anna 😀", "anna"),
        ("Zoë Łukasz", "zoe lukasz"),
    ],
)
def test_a_name_in_another_script_is_read_in_latin_letters(written: str, read: str) -> None:
    assert name_words(written) == read


@pytest.mark.parametrize(
    ("arabic", "latin"),
    [
        ("أحمد", "ahmed"),
        ("حسن", "hassan"),
        ("حسين", "hussain"),
        ("يوسف", "yusuf"),
        ("مريم", "maryam"),
        ("زينب", "zainab"),
    ],
)
def test_what_is_left_of_a_common_name_in_arabic_letters_is_that_name(arabic: str, latin: str) -> None:
    assert canonical(name_words(arabic)) == canonical(latin)


def test_what_letters_and_accents_do_is_left_to_them() -> None:
    for text in ("Zoë Łukasz Nguyễn", "Петров", "Ελένη", "محمد", "יוסף", "", "O'Neill"):
        assert in_latin(text) is text


@pytest.mark.parametrize(
    ("known", "written"),
    [
        (("Fatema", "Begum"), ("ফাতেমা", "বেগম")),
        (("Xiaoming", "Wang"), ("小明", "王")),
        (("Priya", "Patel"), ("प्रिया", "पटेल")),
        (("Giorgi", "Beridze"), ("გიორგი", "ბერიძე")),
        (("Maryam", "Hassan"), ("مريم", "حسن")),
    ],
)
def test_a_child_is_linked_whose_name_was_written_in_its_own_script(
    known: tuple[str, str], written: tuple[str, str]
) -> None:
    one = record(given_names=known[0], family_name=known[1])
    assert decided(record(given_names=written[0], family_name=written[1]), one).outcome == "link"
    # And another child of that home is not.
    assert (
        decided(record(given_names=written[0], family_name=written[1]), record(family_name=known[1])).outcome
        != "link"
    )


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error_and_never_becomes_long(text: str) -> None:
    assert len(name_words(text)) <= 24 * 5 + 4
