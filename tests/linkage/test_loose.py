"""Dates, ages and text as people and programs write them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage.loose import in_their_columns, loose_age, loose_date, mended, plain

THE_DAY = datetime.date(2012, 5, 23)


@pytest.mark.parametrize(
    "written",
    [
        "2012-05-23", "23/05/2012", "23.05.2012", "23-5-2012", "23/5/12", "23 05 2012", "05/23/2012", "2012/05/23",
        "20120523", "23052012", "23 May 2012", "23rd May 2012", "23-May-12", "May 23, 2012", "Wed 23 May 2012",
        "23MAY2012", "2012-05-23T00:00:00", "2012-05-23 00:00", "23/05/2012 14:30", "DOB 23/05/2012",
        " 23 / 05 / 2012 ",
        "23rd of May 2012",
        "the 23rd of May 2012",
        "23/O5/2Ol2",
        "23.o5.2o12",
    ],
)  # fmt: skip
def test_a_date_is_read_in_many_ways(written: str) -> None:
    assert loose_date(written) == THE_DAY


@pytest.mark.parametrize(
    "written",
    ["", "unknown", "May 2012", "32/01/2012", "29/02/2013", "00/00/0000", "9999-99-99", "12", "1/2", "23/05/2012/7",
     "23 Mai 2012", "2012-05", "a" * 10_000, "41052", "23/05/0012"],
)  # fmt: skip
def test_what_is_no_date_is_none(written: str) -> None:
    assert loose_date(written) is None


def test_the_day_comes_before_the_month() -> None:
    assert loose_date("20052012") == datetime.date(2012, 5, 20)
    assert loose_date("19122012") == datetime.date(2012, 12, 19)
    assert loose_date("04/05/2012") == datetime.date(2012, 5, 4)


def test_a_year_alone_is_its_first_day_and_two_digits_are_of_this_century_or_the_last() -> None:
    assert loose_date("2012") == datetime.date(2012, 1, 1)
    assert loose_date("1/2/85") == datetime.date(1985, 2, 1)


@pytest.mark.parametrize(
    ("written", "years"),
    [
        ("13", 13.0), ("13 yrs", 13.0), ("13yo", 13.0), ("13 years old", 13.0), ("about 13", 13.0), ("c. 13", 13.0),
        ("approx 13", 13.0), ("13-14", 13.0), ("13/14", 13.0), ("13 to 14", 13.0), ("13?", 13.0), ("~13", 13.0),
        ("13ish", 13.0), ("13.5", 13.5), ("13½", 13.5), ("18 months", 1.5), ("6m", 0.5), ("Age 13", 13.0),
    ],
)  # fmt: skip
def test_an_age_is_read_in_many_ways(written: str, years: float) -> None:
    assert loose_age(written) == years


@pytest.mark.parametrize(
    "written", ["", "teen", "thirteen", "13 weeks", "nan", "-3", "1e3", "13 or so many", "x" * 99]
)
def test_what_is_no_age_is_none(written: str) -> None:
    assert loose_age(written) is None


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = loose_date(text)
    assert found is None or 1900 <= found.year <= 2100
    age = loose_age(text)
    assert age is None or age >= 0
    plain(text)


@pytest.mark.parametrize(
    "name", ["José", "Núñez", "Zoë", "Łukasz", "Şahin", "Đức", "Siân O\u2019Brien", "Ağca"]
)
def test_text_that_was_read_in_the_wrong_encoding_is_mended(name: str) -> None:
    assert mended(name) == name
    try:
        wrong = name.encode().decode("cp1252")
    except UnicodeDecodeError:
        wrong = name.encode().decode("latin-1")
    assert mended(wrong) == name


def test_text_that_only_looks_so_is_left_alone() -> None:
    assert mended("Ângela Ã") == "Ângela Ã"
    assert plain("Нина") == "Нина"


def test_what_a_web_page_adds_is_taken_away() -> None:
    assert plain("O&#39;Brien&nbsp;").split() == ["O'Brien"]
    assert plain("<b>Ruby</b>").split() == ["Ruby"]


def test_letters_that_only_look_latin_are_read_as_they_look() -> None:
    assert plain("Rub\u0443 \u041darcourt") == "Ruby Harcourt"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (("9434765919", "H801200001001", ""), ("H801200001001", "9434765919", "")),
        (("9434765919", "", ""), ("", "9434765919", "")),
        (("", "H801200001001", ""), ("H801200001001", "", "")),
        (("", "07700900123", ""), ("", "", "07700900123")),
        (("H801200001001", "9434765919", "1"), ("H801200001001", "9434765919", "1")),
        (("U123456", "N123456", ""), ("U123456", "N123456", "")),
    ],
)
def test_numbers_that_stand_in_each_others_columns_are_put_right(
    written: tuple[str, str, str], read: tuple[str, str, str]
) -> None:
    assert in_their_columns(*written) == read
