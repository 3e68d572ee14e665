"""Notes: what is valid, however vague, and what is refused, and in which field."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given

from sync import limits
from sync.note import Note
from sync.vocabulary import Category
from tests.sync.strategies import notes
from tests.vectors.make import FULL, VAGUE

SIXTY_SCRIPTS = "".join(
    unicodedata.lookup(name)
    for name in """
    LATIN SMALL LETTER A
    |GREEK SMALL LETTER ALPHA|CYRILLIC SMALL LETTER A|ARMENIAN SMALL LETTER AYB|HEBREW LETTER ALEF
    |ARABIC LETTER ALEF|SYRIAC LETTER ALAPH|THAANA LETTER HAA|NKO LETTER A|DEVANAGARI LETTER A|BENGALI LETTER A
    |GURMUKHI LETTER A|GUJARATI LETTER A|ORIYA LETTER A|TAMIL LETTER A|TELUGU LETTER A|KANNADA LETTER A
    |MALAYALAM LETTER A|SINHALA LETTER AYANNA|THAI CHARACTER KO KAI|LAO LETTER KO|TIBETAN LETTER KA|MYANMAR LETTER KA
    |GEORGIAN LETTER AN|HANGUL SYLLABLE GA|ETHIOPIC SYLLABLE HA|CHEROKEE LETTER A
    |CANADIAN SYLLABICS E|OGHAM LETTER BEITH
    |RUNIC LETTER FEHU FEOH FE F|TAGALOG LETTER A|KHMER LETTER KA|MONGOLIAN LETTER A
    |LIMBU LETTER KA|TAI LE LETTER KA
    |BUGINESE LETTER KA|BALINESE LETTER AKARA|SUNDANESE LETTER A|LEPCHA LETTER KA|OL CHIKI LETTER LA
    |GLAGOLITIC SMALL LETTER AZU|COPTIC SMALL LETTER ALFA|TIFINAGH LETTER YA|HIRAGANA LETTER A|KATAKANA LETTER A
    |BOPOMOFO LETTER B|CJK UNIFIED IDEOGRAPH-4E00|YI SYLLABLE IT|LISU LETTER BA|VAI SYLLABLE EE|BAMUM LETTER A
    |SYLOTI NAGRI LETTER A|PHAGS-PA LETTER KA|SAURASHTRA LETTER A|KAYAH LI LETTER KA|REJANG LETTER KA|JAVANESE LETTER A
    |CHAM LETTER A|TAI VIET LETTER LOW KO|MEETEI MAYEK LETTER KOK|GOTHIC LETTER AHSA|ADLAM SMALL LETTER ALIF
    """.replace("\n", "").split("|")
    for name in [name.strip()]
)


def plain(note: Note = VAGUE) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(note))
    return built


@given(notes)
def test_every_note_survives_the_wire(note: Note) -> None:
    assert msgspec.json.decode(msgspec.json.encode(note), type=Note) == note


def test_a_name_in_sixty_scripts_stays_as_it_was_written() -> None:
    assert len(SIXTY_SCRIPTS) >= 60
    told = plain() | {"subjects": [{"given_names": SIXTY_SCRIPTS}]}
    note = msgspec.json.decode(msgspec.json.encode(told), type=Note)
    assert note.subjects[0].given_names == SIXTY_SCRIPTS


def test_the_vaguest_note_is_valid() -> None:
    told = {key: plain()[key] for key in ("observed_at", "recorded_at", "category")} | {"subjects": [{}]}
    assert msgspec.convert(told, Note).subjects[0].role == "child_of_concern"


def test_a_grown_up_suspect_and_a_child_missing_for_years_are_valid() -> None:
    told = plain() | {
        "subjects": [{"role": "suspect", "approximate_age": 61}],
        "missing": {"hours": 3 * 366 * 24},
    }
    assert msgspec.convert(told, Note, strict=False).subjects[0].approximate_age == 61


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"observed_at": "2026-06-12T15:40:00"}, "$.observed_at"),
        ({"observed_at": "Friday"}, "$.observed_at"),
        ({"category": "cse_level_3"}, "$.category"),
        ({"other_categories": ["other"] * 11}, "$.other_categories"),
        ({"saw_or_heard": "a\0b"}, "$.saw_or_heard"),
        ({"saw_or_heard": "x" * 20_001}, "$.saw_or_heard"),
        ({"saw_or_heard": None}, "$.saw_or_heard"),
        ({"found_at": {"latitude": 900}}, "$.found_at.latitude"),
        ({"found_at": {"latitude": "51"}}, "$.found_at.latitude"),
        ({"found_at": {"accuracy_m": -1}}, "$.found_at.accuracy_m"),
        ({"missing": {"hours": -1}}, "$.missing.hours"),
        ({"subjects": []}, "$.subjects"),
        ({"subjects": [{}] * (limits.SUBJECTS_PER_NOTE_MAX + 1)}, "$.subjects"),
        ({"subjects": [{"given_names": "x" * 501}]}, "$.subjects[0].given_names"),
        ({"subjects": [{}, {"date_of_birth": "31/05/2012"}]}, "$.subjects[1].date_of_birth"),
        ({"subjects": [{"date_of_birth": "2013-02-29"}]}, "$.subjects[0].date_of_birth"),
        ({"subjects": [{"aliases": ["a"] * 21}]}, "$.subjects[0].aliases"),
        ({"subjects": [{"approximate_age": 131}]}, "$.subjects[0].approximate_age"),
        ({"danger_now": "no"}, "$.danger_now"),
    ],
)
def test_what_is_not_valid_is_named_by_its_place(change: dict[str, Any], path: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(plain() | change), type=Note)
    assert str(caught.value).endswith(f"at `{path}`"), caught.value


@pytest.mark.parametrize("where", ["", "subjects", "found_at", "missing"])
def test_an_unknown_field_is_refused_at_every_depth(where: str) -> None:
    told = plain(FULL)
    target = told if not where else told[where]
    (target[0] if isinstance(target, list) else target)["colour"] = "red"
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(msgspec.json.encode(told), type=Note)


def test_categories_come_primary_first_and_none_twice() -> None:
    note = msgspec.structs.replace(
        VAGUE, category=Category.KNIFE, other_categories=(Category.GANGS, Category.KNIFE, Category.GANGS)
    )
    assert note.categories == (Category.KNIFE, Category.GANGS)
