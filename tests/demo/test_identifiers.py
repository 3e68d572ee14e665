"""Numbers that pass every check and belong to nobody."""

import re

from server.demo.identifiers import (
    UPN_LETTERS,
    nhs_check_digit,
    nhs_number,
    phone,
    upn,
    upn_check_letter,
)
from server.demo.population import population


def test_a_pupil_number_known_as_valid_has_its_letter() -> None:
    assert upn_check_letter("801200005001") == "B"
    assert upn_check_letter("207000016049") == "P", "4 + 28 + 9 + 60 + 48 + 117 = 266 = 11 * 23 + 13"


def test_one_wrong_digit_of_a_pupil_number_changes_the_letter() -> None:
    digits = upn(208, 77, 2019)[1:]
    for place in range(12):
        for other in "0123456789":
            wrong = digits[:place] + other + digits[place + 1 :]
            assert (upn_check_letter(wrong) == upn_check_letter(digits)) == (other == digits[place])


def test_pupil_numbers_have_thirteen_characters_and_a_school_number_that_no_school_has() -> None:
    for count in range(2000):
        number = upn(316, count, 2021)
        assert re.fullmatch(r"[A-Z]3160[0-9]{3}21[0-9]{3}", number)
        assert number[0] in UPN_LETTERS


def test_an_nhs_number_known_as_valid_has_its_digit() -> None:
    assert nhs_check_digit("943476591") == 9
    assert nhs_check_digit("401023213") == 7


def test_nhs_numbers_are_from_the_test_range_and_valid() -> None:
    count, seen = 0, set[str]()
    for _ in range(3000):
        number, count = nhs_number(count)
        digits = number.replace(" ", "")
        assert re.fullmatch(r"999 [0-9]{3} [0-9]{4}", number)
        assert nhs_check_digit(digits[:9]) == int(digits[9])
        seen.add(number)
    assert len(seen) == 3000
    assert count > 3000, "one number in eleven has no check digit and is passed over"


def test_the_numbers_of_the_registry_pass_their_checks() -> None:
    for child in population(11, 2000):
        if child.upn:
            assert child.upn[0] == upn_check_letter(child.upn[1:])
        if child.nhs_number:
            digits = child.nhs_number.replace(" ", "")
            assert nhs_check_digit(digits[:9]) == int(digits[9])


def test_phones_do_not_repeat_before_a_million_and_stay_in_the_ranges_for_drama() -> None:
    assert len({phone(count) for count in range(1_000_000)}) == 1_000_000
    assert all(re.fullmatch(r"01632 [0-9]{6}", phone(count)) for count in range(1000))
