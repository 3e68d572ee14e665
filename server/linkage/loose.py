"""Dates, ages and text as people and programs write them where a file should say it in one way.

Pure. What can be read in one way only, or is read so by everybody here (the day before the month), is read; the rest
is None.
"""

from __future__ import annotations

import datetime
import html
import re

LENGTH_MAX = 40
"""Of a date or an age; what is longer is something else."""
# Two digits of a year: children's are of this century, their parents' of the last.
CENTURY_TURNS_AT = 40

_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
         "sep sept september", "oct october", "nov november", "dec december"), 1,
    )
    for name in names.split()
}  # fmt: skip
_TIME = re.compile(r"[T ]+\d{1,2}:\d{2}.*$")
# What a scanner makes of digits where nothing but digits is (O9/O3/2Ol0), never in the name of a month.
_SCANNED = re.compile(r"(?<![a-z])[oil0-9]+(?![a-z])")
_AS_DIGIT = str.maketrans("oil", "011")
_PARTS = re.compile(r"[0-9]+|[a-z]+")
_NOISE = frozenset(("the", "st", "nd", "rd", "th", "of", "mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri",
                    "sat", "sun", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "dob",
                    "born"))  # fmt: skip
_AGE = re.compile(
    r"(?:age|aged|about|approx|approximately|around|circa|c|ca)?[ .~:]*([0-9]{1,3}(?:\.[0-9]+)?|[½¼¾])"
    r"(½|¼|¾)?\s*([a-z]*)(?:\s*(?:-|\u2013|to|or|/)\s*[0-9]{1,3}(?:\.[0-9]+)?)?[ ]*"
    r"(?:old|ish|yrs|years|year|y|yo|months|\?|\+)*[ ]*(?:old|\?|\+)*"
)
_FRACTIONS = {"½": 0.5, "¼": 0.25, "¾": 0.75}
_MONTH_WORDS = frozenset(("m", "mth", "mths", "month", "months", "mo", "mos"))
_YEAR_WORDS = frozenset(("", "y", "yr", "yrs", "year", "years", "yo", "yrsold", "yearsold", "old", "ish"))


def loose_date(text: str) -> datetime.date | None:
    """The date in a text such as 23/05/2012, 23.5.12, 23rd May 2012, May 23 2012, 20120523 or 2012-05-23T00:00; a year
    alone is its 1 January, as registers write it. None for any other."""
    text = _TIME.sub("", text.strip()).lower() if len(text) <= LENGTH_MAX else ""
    text = _SCANNED.sub(lambda digits: digits.group().translate(_AS_DIGIT), text)
    if text.isdigit() and len(text) == 8:
        year_first = _date(int(text[:4]), int(text[4:6]), int(text[6:]))  # 20052012 is no such date: a 20 May
        text = f"{text[:2]}-{text[2:4]}-{text[4:]}" if year_first is None else year_first.isoformat()
    parts = [part for part in _PARTS.findall(text) if part not in _NOISE]
    numbers = [int(part) for part in parts if part.isdigit()]
    words = [part for part in parts if not part.isdigit()]
    if len(words) == 1 and words[0] in _MONTHS and len(numbers) == 2:
        day, year = numbers if numbers[0] <= 31 else numbers[::-1]
        return _date(_year(year, parts), _MONTHS[words[0]], day)
    if words:
        return None
    if len(numbers) == 1 and len(parts[0]) == 4:
        return _date(numbers[0], 1, 1)
    if len(numbers) != 3:
        return None
    if len(parts[0]) == 4:
        return _date(numbers[0], numbers[1], numbers[2])
    day, month, year = numbers
    # A month above twelve is a day: this one was written the American way.
    return _date(_year(year, parts), month, day) or _date(_year(year, parts), day, month)


def _year(number: int, parts: list[str]) -> int:
    if number >= 100 or any(len(part) == 4 and part.isdigit() for part in parts):
        return number
    return number + (2000 if number < CENTURY_TURNS_AT else 1900)


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        found = datetime.date(year, month, day)
    except ValueError:
        return None
    return found if 1900 <= year <= 2100 else None


def loose_age(text: str) -> float | None:
    """The age in years in a text such as "13 yrs", "about 13", "13-14", "13½" or "18 months"; None for any other."""
    match = _AGE.fullmatch(text.strip().lower()) if len(text) <= LENGTH_MAX else None
    if match is None:
        return None
    number, fraction, word = match.groups()
    years = _FRACTIONS[number] if number in _FRACTIONS else float(number)
    years += _FRACTIONS.get(fraction or "", 0.0)
    if word in _MONTH_WORDS:
        return years / 12
    return years if word in _YEAR_WORDS else None


_MOJIBAKE = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)


def mended(text: str) -> str:
    """The text as it was before UTF-8 was read as Windows-1252 ("JosÃ©"), where that is what happened to it."""
    if text.isascii() or not _MOJIBAKE.search(text):
        return text
    try:
        return b"".join(
            letter.encode("latin-1") if letter <= "\u00ff" else letter.encode("cp1252") for letter in text
        ).decode()
    except UnicodeError:
        return text


_TAG = re.compile("<[^<>]{1,40}>")
_LOOKS_LIKE = str.maketrans(
    dict(
        zip(
            bytes.fromhex(
                "0430 0435 043e 0440 0441 0443 0445 043d 0432 043c 0442 043a 0456 0455 0458"
                "0410 0415 041e 0420 0421 0423 0425 041d 0412 041c 0422 041a 0406 0405 0408"
            ).decode("utf-16-be"),
            "aeopcyxhbmtkisjAEOPCYXHBMTKISJ",
            strict=True,
        )
    )
)
_MIXED = re.compile(
    "[A-Za-z]+[\u0400-\u04ff][A-Za-z\u0400-\u04ff]*|[\u0400-\u04ff]+[A-Za-z][A-Za-z\u0400-\u04ff]*"
)


def plain(text: str) -> str:
    """The text without what a web page adds to it (O&#39;Brien, <b>), and with Latin letters for Cyrillic ones that
    look like them inside a Latin word."""
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if text.isascii():
        return text
    return _MIXED.sub(lambda word: word.group().translate(_LOOKS_LIKE), mended(text))


_UPN = re.compile(r"[A-Z][0-9]{11}[0-9A-Z]")
_NHS_NUMBER = re.compile(r"[0-9]{10}")
_MOBILE = re.compile(r"(?:44|0)7[0-9]{9}")


def in_their_columns(upn: str, nhs_number: str, phone: str) -> tuple[str, str, str]:
    """UPN, NHS number and phone, each as letters and digits alone, where one plainly stands in the place of another."""
    if _NHS_NUMBER.fullmatch(upn) and (not nhs_number or _UPN.fullmatch(nhs_number)):
        upn, nhs_number = nhs_number, upn
    elif not upn and _UPN.fullmatch(nhs_number):
        upn, nhs_number = nhs_number, ""
    if not phone and _MOBILE.fullmatch(nhs_number):
        nhs_number, phone = "", nhs_number
    return upn, nhs_number, phone
