"""What linkage makes of each field, told only where that is not what is written."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage.readings import NOT_USED, readings
from server.linkage.standardise import Description, standardise
from tests.linkage.builders import OBSERVED_ON


def read(**fields: Any) -> dict[str, str]:
    written = Description(**fields)
    return readings(written, standardise(written))


def test_what_is_read_as_written_is_left_out() -> None:
    assert read(
        given_names="Leila", family_name="Okonjo-Smith", date_of_birth=datetime.date(2013, 5, 27), sex="female",
        address="14 Consort Road", postcode="SE15 3SX", school="Peckham Park", phone="07700 900123",
        guardian="Miriam O'Neil", upn="H8012 0000 1234",
    ) == {}  # fmt: skip
    assert read() == {}


@pytest.mark.parametrize(
    ("field", "written", "name", "expected"),
    [
        ("given_names", "Muhammad", "given_names", "Mohammed"),
        ("address", "14 Consort Rd", "address", "14 consort road"),
        ("guardian", "Mum Miriam", "guardian", "miriam"),
        ("school", "Peckham Park School", "school", "peckham park"),
        ("given_names", "not known", "given_names", NOT_USED),
        ("phone", "999", "phone", NOT_USED),
        ("upn", "?", "upn", NOT_USED),
        ("sex", "other", "sex", NOT_USED),
    ],
)
def test_what_is_read_otherwise_is_told(field: str, written: str, name: str, expected: str) -> None:
    assert read(**{field: written}) == {name: expected}


def test_an_age_is_read_as_two_dates_or_not_at_all() -> None:
    assert read(age=13.0, observed_on=OBSERVED_ON) == {"date_of_birth": "born 2 March 2012 to 2 March 2013"}
    assert read(age=13.0) == {"date_of_birth": NOT_USED}


@given(st.text(max_size=300), st.floats(0, 120), st.dates())
def test_any_text_can_be_read(text: str, age: float, day: datetime.date) -> None:
    read(
        given_names=text, family_name=text, aliases=(text,), age=age, observed_on=day, sex=text, address=text,
        postcode=text, school=text, phone=text, guardian=text, upn=text, nhs_number=text,
    )  # fmt: skip
