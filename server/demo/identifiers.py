"""Numbers that pass every check and belong to nobody.

- UPN: a real education authority's number and a valid check letter, but a school number below 1000, which no
  school has.
- NHS number: from the range 999, which is kept for tests, with a valid check digit.
- Phone: Ofcom keeps 07700 900000 to 900999 and the whole of area code 01632 out of use, for drama. A thousand
  mobile numbers for a million households would make strangers share a phone, which is evidence of a
  household; so the generator counts through the million numbers of 01632.

A number is a scrambled count, so that neighbours in the registry have no neighbouring numbers.
"""

UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
"""23 letters: I, O and S are left out because they look like digits."""

MILLION = 1_000_000
_STRIDE = 618_033
"""Shares no factor with a million, so counting by it visits each number once before it comes round."""


def upn(authority: int, count: int, year: int) -> str:
    """The `count`-th pupil number that `authority` gave in `year`: 13 characters. Unique up to a million."""
    scrambled = count * _STRIDE % MILLION
    digits = f"{authority:03d}0{scrambled // 1000:03d}{year % 100:02d}{scrambled % 1000:03d}"
    return upn_check_letter(digits) + digits


def upn_check_letter(digits: str) -> str:
    """The letter before 12 digits: their sum, weighted 2 to 13, modulo 23."""
    return UPN_LETTERS[sum(weight * int(digit) for weight, digit in enumerate(digits, start=2)) % 23]


def nhs_number(count: int) -> tuple[str, int]:
    """The next test number at or after `count`, as "999 123 4567", and the count to go on with.

    One number in eleven has no check digit and is passed over; numbers repeat after about 909,000.
    """
    while True:
        nine = f"999{count * _STRIDE % MILLION:06d}"
        count += 1
        check = nhs_check_digit(nine)
        if check is not None:
            return f"999 {nine[3:6]} {nine[6:]}{check}", count


def nhs_check_digit(nine: str) -> int | None:
    """The digit after nine digits (weights 10 to 2, modulo 11), or None where there is none."""
    check = 11 - sum((10 - place) * int(digit) for place, digit in enumerate(nine)) % 11
    return None if check == 10 else check % 11


def phone(count: int) -> str:
    """The `count`-th phone number, "01632 123456". Repeats after a million."""
    return f"01632 {(count * _STRIDE + 960_001) % MILLION:06d}"
