"""What a person types into one box is taken apart as they meant it, told back, and never refused."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage.asking import WORDS_MAX, Asked, from_fields, together, told_back, understand

APRIL_3 = datetime.date(2012, 4, 3)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", {}),
        ("fatima begum 12 peckham", {"words": ("fatima", "begum", "peckham"), "age": 12}),
        ("jay about 13 harris academy", {"words": ("jay",), "age": 13, "school": "harris academy"}),
        ("jay okafor harris academy", {"words": ("jay", "okafor"), "school": "harris academy"}),
        ("tom at st marys school aged 9", {"words": ("tom",), "age": 9, "school": "st marys school"}),
        ("muhamad hussain 2011", {"words": ("muhamad", "hussain"), "year_of_birth": 2011}),
        ("07700 900123", {"phone": "07700900123"}),
        ("+44 7700 900123", {"phone": "+447700900123"}),
        ("0044 7700 900123", {"phone": "00447700900123"}),
        ("44 7700900123", {"phone": "447700900123"}),
        ("07700.900.123", {"phone": "07700900123"}),
        ("7700 900123", {"phone": "7700900123"}),
        ("7700900123", {"phone": "7700900123"}),
        ("ending 900123", {"phone": "900123"}),
        ("phone ending in 900 123", {"phone": "900123"}),
        ("SE15 4QN", {"postcode": "SE15 4QN"}),
        ("begum se154qn", {"words": ("begum",), "postcode": "se154qn"}),
        ("jay se15", {"words": ("jay",), "postcode": "se15"}),
        ("born 3/4/2012", {"date_of_birth": APRIL_3}),
        ("03.04.12", {"date_of_birth": APRIL_3}),
        ("2012-04-03", {"date_of_birth": APRIL_3}),
        ("3 4 2012", {"date_of_birth": APRIL_3}),
        ("3rd April 2012", {"date_of_birth": APRIL_3}),
        ("3 apr 12", {"date_of_birth": APRIL_3}),
        ("3-Apr-12", {"date_of_birth": APRIL_3}),
        ("03apr2012", {"date_of_birth": APRIL_3}),
        ("April 3, 2012", {"date_of_birth": APRIL_3}),
        ("Apr. 3rd 2012", {"date_of_birth": APRIL_3}),
        ("3rd of April, 2012", {"date_of_birth": APRIL_3}),
        ("03042012", {"date_of_birth": APRIL_3}),
        ("20120403", {"date_of_birth": APRIL_3}),
        ("dob 3/Apr/2012 amara", {"words": ("amara",), "date_of_birth": APRIL_3}),
        ("April 13", {"words": ("April",), "age": 13}),
        ("Maya 12 2014", {"words": ("Maya",), "age": 12, "year_of_birth": 2014}),
        ("may okafor 2014", {"words": ("may", "okafor"), "year_of_birth": 2014}),
        ("99999999", {"phone": "99999999"}),
        ("4/13/2012", {"date_of_birth": datetime.date(2012, 4, 13)}),
        ("30/2/2012 amara", {"words": ("amara",), "year_of_birth": 2012}),
        ("UPN A123456789012", {"upn": "A123456789012"}),
        ("a12345678901b", {"upn": "a12345678901b"}),
        ("nhs number 943 476 5919", {"nhs_number": "9434765919"}),
        ("registry id 12345", {"reference": "12345"}),
        ("child 77", {"reference": "77"}),
        ("12 high street, fatima", {"words": ("fatima",), "address": "12 high street"}),
        ("Flat 7, 15 High Street", {"address": "Flat 7 15 High Street"}),
        ("fatima flat 2b 12 mill lane", {"words": ("fatima",), "address": "flat 2b 12 mill lane"}),
        ("7 Salter Tower, Wren Street", {"address": "7 Salter Tower", "words": ("Wren", "Street")}),
        ("coldharbour lane", {"address": "coldharbour lane"}),
        ("boy called Jay 13", {"words": ("Jay",), "sex": "male", "age": 13}),
        ("mum fatima begum, 4 years old", {"guardian": "fatima begum", "age": 4}),
        ("o'brien-smith", {"words": ("o'brien-smith",)}),
        ("Мохаммед Хуссейн", {"words": ("Мохаммед", "Хуссейн")}),
        ("4711/2", {"words": ("4711/2",)}),
        ("“fatima”", {"words": ("fatima",)}),
    ],
)
def test_what_is_typed_is_understood(typed: str, meant: dict[str, Any]) -> None:
    assert understand(typed) == Asked(**meant)


def test_what_was_understood_is_told_back_in_words() -> None:
    told = told_back(understand("fatima begum about 12 SE15 born"))
    assert told == [("name, school or street", "fatima begum"), ("age", "about 12"), ("postcode", "SE15")]
    assert told_back(understand("3/4/2012")) == [("born", "3 April 2012")]


@given(st.text(max_size=400))
def test_nothing_typed_is_an_error(typed: str) -> None:
    asked = understand(typed)
    assert len(asked.words) <= WORDS_MAX
    told_back(asked)
    from_fields(born=typed, home=typed, reference=typed)


def test_a_field_counts_where_the_box_says_otherwise() -> None:
    box, fields = understand("fatima 12"), from_fields(born="3/4/2012", family_name=" Begum ")
    both = together(box, fields)
    assert (both.words, both.family_name, both.date_of_birth, both.age) == (
        ("fatima",),
        "Begum",
        APRIL_3,
        None,
    )
    assert together(box, from_fields()) == box


def test_fields_take_what_people_put_into_them() -> None:
    assert from_fields(born="13").age == 13
    assert from_fields(born="2012").year_of_birth == 2012
    home = from_fields(home="14 Coldharbour Lane SW9 8PR")
    assert (home.address, home.postcode) == ("14 Coldharbour Lane", "SW9 8PR")
    assert from_fields(home="se15").postcode == "se15"
    assert from_fields(home="Coldharbour").address == "Coldharbour"
    assert from_fields(reference="KX-2291/7").reference == "KX-2291/7"
    assert from_fields(reference="943 476 5919").nhs_number == "9434765919"
    assert from_fields(reference="A123456789012") == Asked(upn="A123456789012")
    assert from_fields().is_empty
