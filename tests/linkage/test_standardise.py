from __future__ import annotations

import datetime
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage.postcodes import postcode_of
from server.linkage.standardise import (
    AGE_YEARS_MAX,
    MALE,
    Description,
    Record,
    decode_record,
    encode_record,
    standardise,
)
from tests.linkage.builders import OBSERVED_ON, described, record

ANY_TEXT = st.one_of(st.none(), st.text(max_size=80), st.sampled_from(["", " ", "\0", "n/k", "Ω", "ß", "١٢"]))
DESCRIPTIONS = st.builds(
    Description,
    given_names=ANY_TEXT,
    family_name=ANY_TEXT,
    aliases=st.lists(st.text(max_size=30), max_size=6).map(tuple),
    date_of_birth=st.one_of(st.none(), st.dates()),
    age=st.one_of(st.none(), st.floats()),
    observed_on=st.one_of(st.none(), st.dates()),
    sex=st.one_of(st.none(), st.sampled_from(["female", "male", "other"])),
    address=ANY_TEXT,
    postcode=ANY_TEXT,
    school=ANY_TEXT,
    phone=ANY_TEXT,
    guardian=ANY_TEXT,
    upn=ANY_TEXT,
    nhs_number=ANY_TEXT,
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("  Zoë-Mae ", "zoe mae"),
        ("O'Brien", "obrien"),
        ("O\u2019Brien", "obrien"),
        ("ŁUKASZ", "lukasz"),
        ("Дмитрий", "dmitrii"),
        ("Γιώργος", "giorgos"),
        ("Mr Sean", "sean"),
        ("N/K", ""),
        ("Not known", ""),
        ("Unknown Male", ""),
        ("Jay\0den", "jay den"),
        ("", ""),
        (None, ""),
        ("अनन्या", "ananya"),
    ],
)
def test_names_are_folded_to_plain_words(written: str | None, read: str) -> None:
    assert record(given_names=written).given == read


@pytest.mark.parametrize(
    ("written", "whole", "outward"),
    [
        ("se15 3sx", "SE153SX", "SE15"),
        ("SE15 3SX", "SE153SX", "SE15"),
        ("EC1A1BB", "EC1A1BB", "EC1A"),
        ("SE15 OSX", "SE150SX", "SE15"),
        ("SE15", "", "SE15"),
        ("3182", "3182", ""),
        ("??", "", ""),
    ],
)
def test_postcodes_are_taken_apart(written: str, whole: str, outward: str) -> None:
    read = record(postcode=written)
    assert (read.postcode, read.outward) == (whole, outward)


def test_a_postcode_inside_the_address_is_found() -> None:
    read = record(address="Flat 3, 12a High St, London SE15 3SX", postcode=None)
    assert (read.number, read.address, read.postcode) == ("12a", "3 high street", "SE153SX")


def test_phone_numbers_are_the_same_with_and_without_the_country() -> None:
    phones = {record(phone=p).phone for p in ("07700 900123", "+44 7700 900123", "0044-7700-900123")}
    assert len(phones) == 1 and phones != {""}
    assert record(phone="0000000000").phone == ""
    assert record(phone="999").phone == ""


def test_an_age_in_years_gives_a_year_of_possible_birthdays() -> None:
    read = record(date_of_birth=None, age=13.0)
    assert (read.born, read.born_from, read.born_to) == (0, 20120302, 20130302)


def test_an_age_says_nothing_without_the_day_it_was_observed() -> None:
    read = record(date_of_birth=None, age=13.0, observed_on=None)
    assert (read.born_from, read.born_to) == (0, 0)


@pytest.mark.parametrize("age", [-1.0, AGE_YEARS_MAX + 1, float("nan"), float("inf")])
def test_an_impossible_age_is_no_age(age: float) -> None:
    assert record(date_of_birth=None, age=age).born_to == 0


def test_a_date_of_birth_wins_over_an_age() -> None:
    read = record(age=3.0)
    assert (read.born, read.born_from) == (20130527, 0)


def test_a_record_survives_its_bytes() -> None:
    read = record(aliases=("Lei", "Lee Lee"), sex="male", upn="A123456789012", nhs_number="943 476 5919")
    assert decode_record(encode_record(read)) == read
    assert read.sex == MALE
    assert read.nhs_number == "9434765919"


@given(DESCRIPTIONS)
def test_any_description_gives_a_record_of_bounded_size(description: Description) -> None:
    read = standardise(description)
    assert decode_record(encode_record(read)) == read
    assert len(encode_record(read)) < 8_000


def test_fields_of_ten_megabytes_cost_no_time() -> None:
    huge = "ж" * 10_000_000
    started = time.perf_counter()
    read = standardise(
        described(given_names=huge, family_name=huge, aliases=(huge,) * 50, address=huge, postcode=huge,
                  school=huge, phone=huge, guardian=huge, upn=huge, nhs_number=huge)
    )  # fmt: skip
    assert time.perf_counter() - started < 0.5
    assert isinstance(read, Record)


def test_sixty_scripts_are_names_too() -> None:
    # One letter from each of many blocks of Unicode: Latin to Egyptian hieroglyphs.
    starts = (*range(0x0041, 0x3000, 0xC5), *range(0x3041, 0xD7A3, 0x3F1), *range(0x10080, 0x13000, 0x1A3))
    names = [chr(code) * 2 + "or" for code in starts if chr(code).isalpha()]
    assert len(names) >= 60
    for name in names:
        assert standardise(Description(given_names=name, observed_on=OBSERVED_ON)).given


def test_dates_at_the_ends_of_the_calendar_are_read() -> None:
    for day in (datetime.date.min, datetime.date.max):
        assert record(date_of_birth=None, age=100.0, observed_on=day) is not None


@pytest.mark.parametrize(
    ("given", "family", "read"),
    [
        ("Henry (known as Harry)", "Smith", ("henry", "smith", "harry")),
        ("Henry aka Harry", "Smith", ("henry", "smith", "harry")),
        ('James "Jimmy"', "Smith", ("james", "smith", "jimmy")),
        (None, "Okonjo, Leila", ("leila", "okonjo", "")),
        ("Okonjo, Leila", None, ("leila", "okonjo", "")),
        ("LeilaOkonjo", None, ("leila", "okonjo", "")),
        (None, "LeilaOkonjo", ("leila", "okonjo", "")),
        ("LeilaOkonjo", "Bright", ("leilaokonjo", "bright", "")),
        ("王小明", None, ("xiaoming", "wang", "")),
        (None, "李伟", ("wei", "li", "")),
        ("小明", "王", ("xiaoming", "wang", "")),
        ("MaryJane", None, ("maryjane", "", "")),
        ("McDonald", None, ("mcdonald", "", "")),
        (None, "MacIntyre", ("", "macintyre", "")),
        ("Leila, Grace", "Okonjo", ("leila grace", "okonjo", "")),
        ("Master Tom", "0konjo", ("tom", "okonjo", "")),
        ("Baby of Grace", "Okonjo", ("", "okonjo", "")),
        ("(Leila)", "Okonjo", ("leila", "okonjo", "")),
    ],
)
def test_names_in_the_wrong_field_and_names_also_gone_by_are_read(
    given: str | None, family: str | None, read: tuple[str, str, str]
) -> None:
    told = record(given_names=given, family_name=family)
    assert (told.given, told.family, told.aliases) == read


def test_a_date_that_stands_for_no_date_is_none() -> None:
    assert record(date_of_birth=datetime.date(1900, 1, 1)).born == 0


@pytest.mark.parametrize(
    ("written", "whole", "outward"),
    [
        ("NWII 7GP", "NW117GP", "NW11"),
        ("EI0 6FX", "E106FX", "E10"),
        ("E1 OAA", "E10AA", "E1"),
        ("W1A 0AX", "W1A0AX", "W1A"),
        ("SEl5 3SX", "SE153SX", "SE15"),
        ("ZZ99 3VZ", "", ""),
        ("00000", "", ""),
        ("90210", "90210", ""),
    ],
)
def test_postcodes_misread_or_standing_for_none(written: str, whole: str, outward: str) -> None:
    assert postcode_of(written) == (whole, outward)
