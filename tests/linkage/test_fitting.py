"""Readings that are passed by for a child are those that another reading fits better."""

from __future__ import annotations

import datetime

from server.linkage.asking import Asked, understand
from server.linkage.fitting import Readings
from server.linkage.search import readings_of
from server.linkage.standardise import Description, Record, standardise

ON = datetime.date(2025, 6, 1)


def child(given: str, family: str, **more: object) -> Record:
    return standardise(Description(given_names=given, family_name=family, **more))  # type: ignore[arg-type]


def read(text: str, known: Record) -> list[tuple[str, str, str, str]]:
    readings = Readings(readings_of(understand(text), ON)).fitting(known)
    return [(one.given, one.family, one.school, one.address) for one in readings]


def test_names_are_read_as_the_child_bears_them() -> None:
    assert read("jay harris", child("Jay", "Harris")) == [("jay", "harris", "", "")]
    assert read("harris jay", child("Jay", "Harris")) == [("jay", "harris", "", "")]
    assert read("muhamad hussain", child("Mohammed", "Hussein")) == [("muhamad", "hussain", "", "")]


def test_two_names_are_one_family_name_only_where_the_child_bears_both() -> None:
    both = ("", "okonkwo bright", "", "")
    assert both in read("okonkwo bright", child("Amara", "Okonkwo-Bright"))
    assert both not in read("okonkwo bright", child("Amara", "Bright"))


def test_a_word_is_a_school_or_a_street_where_the_child_has_it() -> None:
    at_school = child("Jay", "Smith", school="Harris Academy")
    whole = ("", "", "jay harris", "")
    assert read("jay harris", at_school) == [("jay", "harris", "", ""), ("jay", "", "harris", ""), whole]
    in_street = child("Jay", "Smith", address="3 Haris Street")  # as it sounds
    whole = ("", "", "", "jay harris")
    assert read("jay harris", in_street) == [("jay", "harris", "", ""), ("jay", "", "", "harris"), whole]


def test_where_nothing_sounds_alike_or_there_is_an_alias_every_name_is_compared() -> None:
    names = read("jay harris", child("Wilhelmina", "Zog"))
    assert names == read("jay harris", child("Jay", "Harris", aliases=("Jayden",))) and len(names) == 3


def test_what_is_told_to_be_a_school_takes_no_reading_away() -> None:
    readings = readings_of(Asked(given_names="Jay", school="Harris"), ON)
    assert Readings(readings).fitting(child("Nobody", "Else")) == tuple(readings)
