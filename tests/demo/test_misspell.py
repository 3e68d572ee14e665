"""Slips of finger and ear."""

import datetime
from random import Random

from server.demo.misspell import (
    loose_postcode,
    misheard,
    mistyped,
    mistyped_date,
    plain,
    respelt,
    swapped_date,
)
from server.demo.population import population


def test_a_slip_always_changes_the_word_and_never_by_much() -> None:
    rng = Random(1)
    for child in population(1, 2000):
        for slip in (mistyped, misheard):
            wrong = slip(child.called, rng)
            assert wrong != child.called
            assert wrong and abs(len(wrong) - len(child.called)) <= 2


def test_accents_go_and_letters_stay() -> None:
    assert plain("Şahin Öztürk-Łukaszewicz") == "Sahin Ozturk-Lukaszewicz"
    assert plain("Y\u0131ld\u0131r\u0131m Nguyễn") == "Yildirim Nguyen"


def test_day_and_month_swap_only_where_that_is_another_date() -> None:
    assert swapped_date("2012-03-07") == "2012-07-03"
    assert swapped_date("2012-07-07") is None
    assert swapped_date("2012-03-13") is None


def test_a_mistyped_date_is_another_real_date() -> None:
    rng = Random(2)
    for child in population(2, 2000):
        wrong = mistyped_date(child.date_of_birth, rng)
        assert datetime.date.fromisoformat(wrong).isoformat() == wrong != child.date_of_birth


def test_another_spelling_replaces_one_word_of_a_name() -> None:
    rng = Random(3)
    assert respelt("Mohammed Ali", rng).endswith(" Ali")
    assert respelt("Mohammed", rng) != "Mohammed"
    assert respelt("Zzyzx", rng) == "Zzyzx"


def test_a_loose_postcode_keeps_its_district() -> None:
    rng = Random(4)
    assert all(loose_postcode("SE15 4QX", rng).upper().startswith("SE15") for _ in range(50))
