"""Descriptions as officers give them, each true to its stratum and to its label."""

import datetime
from collections import Counter
from functools import cache
from random import Random

import msgspec
import pytest

from server.demo.describe import as_subject, describe, possible
from server.demo.misspell import plain, swapped_date
from server.demo.names import same_name, short_forms
from server.demo.population import TODAY, SyntheticChild, population
from server.demo.strata import NOBODY_KNOWN, Quality, Stratum

SEED = 31


@cache
def registry() -> list[SyntheticChild]:
    print(f"seed {SEED}")
    return list(population(SEED, 12_000))


def those(stratum: Stratum, most: int = 300) -> list[SyntheticChild]:
    found = [child for child in registry() if possible(child, stratum)]
    assert found
    return found[:most]


@pytest.mark.parametrize("quality", Quality)
def test_every_description_is_a_valid_subject_of_a_note(quality: Quality) -> None:
    rng = Random(SEED)
    for child in registry()[:3000]:
        description = describe(child, rng, quality)
        subject = as_subject(description)
        assert msgspec.to_builtins(subject).keys() <= description.subject.keys() | {"role"}


def test_the_truth_is_the_child_except_for_those_whom_nobody_knows() -> None:
    rng = Random(SEED)
    for stratum in Stratum:
        for child in those(stratum, 50):
            description = describe(child, rng, stratum=stratum)
            assert description.stratum is stratum
            assert description.truth == (None if stratum in NOBODY_KNOWN else child.child_id)


def test_every_stratum_occurs_in_mixed_notes_and_clean_ones_only_in_better_sets() -> None:
    rng = Random(SEED)
    mixed = Counter(describe(child, rng).stratum for child in registry())
    assert set(mixed) == set(Stratum)
    assert 0.08 < mixed[Stratum.UNKNOWN] / len(registry()) < 0.18
    good = Counter(describe(child, rng, Quality.GOOD).stratum for child in registry()[:2000])
    assert good[Stratum.CLEAN] > 800
    poor = Counter(describe(child, rng, Quality.POOR).stratum for child in registry()[:2000])
    assert Stratum.CLEAN not in poor


def test_a_stratum_that_a_child_cannot_have_is_refused_without_naming_the_child() -> None:
    child = next(child for child in registry() if not child.has_twin)
    with pytest.raises(ValueError, match="possible") as refusal:
        describe(child, Random(1), stratum=Stratum.TWIN)
    assert child.called not in str(refusal.value)


def test_a_clean_description_says_only_what_the_registry_says() -> None:
    for child in those(Stratum.CLEAN):
        subject, _, _ = describe(child, Random(child.child_id), Quality.GOOD, stratum=Stratum.CLEAN)
        assert subject["given_names"] in (child.given_names, child.called)
        for field in ("family_name", "date_of_birth", "sex", "address", "postcode", "school", "phone", "upn"):
            assert subject.get(field, getattr(child, field)) == getattr(child, field)


def test_an_unregistered_brother_or_sister_is_none_of_those_registered() -> None:
    rng = Random(SEED)
    with_home = 0
    for child in those(Stratum.UNREGISTERED_SIBLING, 1000):
        subject, truth, _ = describe(child, rng, Quality.GOOD, stratum=Stratum.UNREGISTERED_SIBLING)
        assert truth is None
        assert not any(same_name(subject["given_names"], plain(called)) for called, _ in child.siblings)
        assert subject.get("date_of_birth") not in [born for _, born in child.siblings]
        assert "upn" not in subject and "nhs_number" not in subject
        with_home += "address" in subject
    assert with_home > 700


def test_an_unregistered_twin_has_the_birthday_and_another_name() -> None:
    rng = Random(SEED)
    for child in those(Stratum.UNREGISTERED_TWIN):
        subject, truth, _ = describe(child, rng, Quality.GOOD, stratum=Stratum.UNREGISTERED_TWIN)
        assert truth is None
        assert subject.get("date_of_birth", child.date_of_birth) == child.date_of_birth
        assert not same_name(subject["given_names"], plain(child.called))


def test_a_stranger_brings_no_number_that_is_somebody_elses() -> None:
    rng = Random(SEED)
    for child in those(Stratum.UNKNOWN):
        subject, _, _ = describe(child, rng, stratum=Stratum.UNKNOWN)
        assert not subject.keys() & {"phone", "upn", "nhs_number"}


def test_names_dates_and_addresses_go_wrong_as_the_stratum_says() -> None:
    rng = Random(SEED)
    for child in those(Stratum.SWAPPED_NAMES):
        subject = describe(child, rng, Quality.GOOD, stratum=Stratum.SWAPPED_NAMES).subject
        assert plain(subject["given_names"]) == plain(child.family_name)
    for child in those(Stratum.SWAPPED_DATE):
        subject = describe(child, rng, stratum=Stratum.SWAPPED_DATE).subject
        assert subject["date_of_birth"] == swapped_date(child.date_of_birth) != child.date_of_birth
    for child in those(Stratum.MOVED):
        subject = describe(child, rng, stratum=Stratum.MOVED).subject
        assert subject["postcode"] != child.postcode
    for stratum in (Stratum.TYPING, Stratum.HEARING):
        for child in those(stratum):
            subject = describe(child, rng, Quality.GOOD, stratum=stratum).subject
            told = (plain(subject["given_names"]), plain(subject["family_name"]))
            family = plain(child.family_name)
            assert told not in ((plain(child.given_names), family), (plain(child.called), family))
    for child in those(Stratum.TRANSLITERATION):
        subject = describe(child, rng, Quality.GOOD, stratum=Stratum.TRANSLITERATION).subject
        told = (subject["given_names"], subject["family_name"])
        assert told not in (
            (child.given_names, child.family_name),
            (child.called, child.family_name),
        )


def test_short_forms_and_halves_are_the_childs_own() -> None:
    rng = Random(SEED)
    for child in those(Stratum.SHORT_FORM):
        subject = describe(child, rng, Quality.GOOD, stratum=Stratum.SHORT_FORM).subject
        shorts = {plain(short) for short in (*child.aliases, *short_forms().get(child.called, ()))}
        assert plain(subject["given_names"]) in shorts
    for child in those(Stratum.DOUBLE_BARRELLED):
        subject = describe(child, rng, Quality.GOOD, stratum=Stratum.DOUBLE_BARRELLED).subject
        halves = plain(child.family_name).lower().replace("-", " ").split(" ")
        assert any(half in plain(subject["family_name"]).lower() for half in halves)


def test_a_vague_note_has_neither_family_name_nor_birthday_nor_home() -> None:
    rng = Random(SEED)
    for child in those(Stratum.VAGUE):
        subject = describe(child, rng, stratum=Stratum.VAGUE).subject
        assert not subject.keys() & {"family_name", "date_of_birth", "address", "postcode", "phone", "upn"}
        assert subject["description"] and subject["sex"]


def test_an_approximate_age_is_near_the_real_one_on_the_day_of_the_note() -> None:
    rng = Random(SEED)
    later = TODAY + datetime.timedelta(days=400)
    for child in those(Stratum.AGE_ONLY):
        subject = describe(child, rng, stratum=Stratum.AGE_ONLY, on=later).subject
        assert "date_of_birth" not in subject
        real = (later - datetime.date.fromisoformat(child.date_of_birth)).days / 365.25
        assert abs(subject["approximate_age"] - real) <= 2
