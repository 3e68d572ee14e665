"""Whatever part is known and however it is spelt, what is asked shares its terms with the child that is meant."""

from __future__ import annotations

import datetime

import pytest

from server.linkage.asking import Asked, understand
from server.linkage.search import comparable, readings_of, slots_of
from server.linkage.standardise import Description, standardise
from server.linkage.terms import PHONE_END, term, terms_of

ON = datetime.date(2026, 3, 2)
MOHAMMED = standardise(
    Description(
        given_names="Mohammed Jayden",
        family_name="Al-Hussain O'Brien",
        aliases=("JJ", "Big Mo"),
        date_of_birth=datetime.date(2012, 4, 3),
        address="Flat 3, 12 Coldharbour Lane",
        postcode="SE15 4QN",
        school="Harris Academy Peckham",
        phone="07700 900123",
        guardian="Mum: Fatima Begum",
        upn="A123456789012",
        nhs_number="943 476 5919",
    )
)


@pytest.mark.parametrize(
    "typed",
    [
        "muhamad hussein", "Мохаммед Хуссейн", "محمد", "jay", "mohd", "hussain o'brien 13", "big mo", "3/4/2012",
        "4 March 2012", "2012", "13", "SE15 4QN", "se15", "coldharbour", "12 coldharbour lane", "harris",
        "peckham academy", "07700900123", "ending 900123", "mum fatima begum", "upn a123456789012", "943 476 5919",
    ],
)  # fmt: skip
def test_every_fact_of_what_is_typed_finds_the_child(typed: str) -> None:
    terms = terms_of(MOHAMMED)
    slots = slots_of(understand(typed), ON)
    assert slots
    for slot in slots:
        assert any(not option.isdisjoint(terms) for option in slot.options), slot.name


def test_a_fact_that_is_not_the_childs_does_not() -> None:
    for typed in ("okonkwo", "12/12/2012", "N1 9GU", "07700900124", "mum okonkwo"):
        (slot, *_) = slots_of(understand(typed), ON)
        assert slot.options[0].isdisjoint(terms_of(MOHAMMED)), typed


def test_the_terms_are_the_same_in_every_release() -> None:
    # They are stored: another number for the same fact would lose what is in the index.
    assert term(PHONE_END, "900123") == 4032452
    assert len(terms_of(MOHAMMED)) == 19


def test_words_are_read_as_names_a_school_and_a_street() -> None:
    read = readings_of(understand("fatima begum peckham"), ON)
    assert ("fatima begum", "peckham", "") in {(r.given, r.family, r.school) for r in read}
    assert ("fatima", "begum", "peckham") in {(r.given, r.family, r.school) for r in read}
    assert any(r.address == "peckham" and r.family == "begum" for r in read)
    # Where nobody goes to a school of that name, no word is read as one.
    names = readings_of(understand("fatima begum peckham"), ON, frozenset())
    assert {(r.school, r.address) for r in names} == {("", "")}
    alone = readings_of(understand("begum"), ON)
    assert {(r.given, r.family, r.school, r.address) for r in alone} >= {
        ("begum", "", "", ""), ("", "begum", "", ""), ("", "", "begum", ""), ("", "", "", "begum"),
    }  # fmt: skip
    assert len(readings_of(Asked(family_name="Begum"), ON)) == 1
    named = readings_of(Asked(family_name="Begum", words=("fatima",)), ON)[0]
    assert (named.given, named.family) == ("fatima", "begum")


def test_a_year_is_a_span_and_an_age_counts_from_the_day_it_is_asked() -> None:
    year = readings_of(Asked(year_of_birth=2012), ON)[0]
    assert (year.born_from, year.born_to) == (20120101, 20121231)
    aged = readings_of(Asked(age=13), ON)[0]
    assert (aged.born_from, aged.born_to) == (20120302, 20130302)


def test_the_end_of_a_phone_compares_with_the_end_of_the_childs() -> None:
    asked = readings_of(Asked(phone="900123"), ON)[0]
    assert comparable(MOHAMMED, asked).phone == asked.phone == "900123"
    whole = readings_of(Asked(phone="07700900123"), ON)[0]
    assert comparable(MOHAMMED, whole) is MOHAMMED
