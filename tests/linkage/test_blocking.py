from __future__ import annotations

import datetime
import subprocess
import sys
from typing import Any

from hypothesis import given

from server.linkage.blocking import blocking_keys, given_codes, lookup_keys, main_words
from server.linkage.standardise import Description, Record, standardise
from tests.linkage.builders import record
from tests.linkage.test_standardise import DESCRIPTIONS

KEYS_MAX = 64


def found_by(note: Record, known: Record) -> bool:
    stored = set(blocking_keys(known))
    return any(lookup.key in stored or stored.intersection(lookup.refined) for lookup in lookup_keys(note))


def test_keys_are_the_same_in_every_process() -> None:
    code = "from tests.linkage import builders as b, test_blocking as t; print(*t.blocking_keys(b.record()))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert tuple(map(int, printed.split())) == blocking_keys(record())


def test_a_full_record_has_about_twenty_keys() -> None:
    assert 10 <= len(blocking_keys(record())) <= 20


@given(DESCRIPTIONS)
def test_keys_are_signed_64_bit_distinct_and_few(description: Description) -> None:
    keys = blocking_keys(standardise(description))
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert len(set(keys)) == len(keys) <= KEYS_MAX
    lookups = lookup_keys(standardise(description))
    assert len({lookup.key for lookup in lookups}) == len(lookups) <= KEYS_MAX


def test_a_child_is_found_by_any_two_facts_that_are_right() -> None:
    known = record()
    fields_told = [name for name in Description.__struct_fields__ if name not in ("aliases", "observed_on")]
    empty: dict[str, Any] = dict.fromkeys(fields_told)
    facts: dict[str, dict[str, Any]] = {
        "name and date": {"given_names": "Leila", "date_of_birth": datetime.date(2013, 5, 27)},
        "family name and date": {"family_name": "Okonjo", "date_of_birth": datetime.date(2013, 5, 27)},
        "both names": {"given_names": "Leila", "family_name": "Okonjo"},
        "names and age": {"given_names": "Leila", "family_name": "Okonjo", "age": 13.0},
        "given name and postcode": {"given_names": "Laylah", "postcode": "SE15 3SX"},
        "family name and postcode": {"family_name": "Okonjo", "postcode": "SE15 3SX"},
        "given name and school": {"given_names": "Leila", "school": "Harris Academy, Peckham"},
        "given name, age and district": {"given_names": "Leila", "age": 12.0, "postcode": "SE15"},
        "phone": {"phone": "+447700900123"},
        "given name and guardian": {"given_names": "Leila", "guardian": "Mrs Miriam Okonjo"},
        "home and family name": {"family_name": "Okonjo", "address": "14 Consort Rd"},
        "given name and age": {"given_names": "Leila", "age": 12.0},
        "house and street": {"address": "14 Consort Rd"},
    }
    for fact, fields in facts.items():
        note = record(**{**empty, **fields})
        assert found_by(note, known), fact


def test_swapped_names_and_swapped_day_and_month_are_found() -> None:
    known = record(date_of_birth=datetime.date(2013, 5, 7))
    bare = {"address": None, "postcode": None, "school": None, "phone": None, "guardian": None}
    assert found_by(record(given_names="Okonjo", family_name="Leila", date_of_birth=None, **bare), known)
    assert found_by(record(family_name="Xyz", date_of_birth=datetime.date(2013, 7, 5), **bare), known)


def test_each_half_of_a_double_name_is_a_key() -> None:
    known = record(family_name="Okonjo-Bright")
    bare = {
        "address": None,
        "postcode": None,
        "school": None,
        "phone": None,
        "guardian": None,
        "given_names": "Zz",
    }
    assert found_by(record(family_name="Bright", **bare), known)
    assert found_by(record(family_name="Okonjo", **bare), known)


def test_the_name_a_child_goes_by_comes_before_the_one_that_opens_it() -> None:
    assert main_words("mohammed ali") == ["ali", "mohammed"]
    assert main_words("mohammed") == ["mohammed"]
    assert given_codes("mohammed ali")[0] == given_codes("ali")[0]


def test_a_description_that_says_nothing_looks_nothing_up() -> None:
    assert lookup_keys(standardise(Description())) == ()
    assert blocking_keys(standardise(Description())) == ()
