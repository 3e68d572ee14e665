"""What linkage made of each field, in words, where that is not simply what was written. Pure.

"Muhammad" is read as "Mohammed", "14 Consort Rd" as "14 consort road", an age as two dates. A field whose
content says nothing ("not known", a phone number of three digits) is read as "", and is not used.
"""

from __future__ import annotations

import calendar

from server.linkage.names import canonical
from server.linkage.standardise import ADDRESS_LENGTH_MAX, CODE_LENGTH_MAX, Description, Record, fold

NOT_USED = ""
"""The reading of a field that is filled in and says nothing."""


def readings(written: Description, record: Record) -> dict[str, str]:
    """By comparison, how linkage reads a field; those that it reads as they are written are left out."""
    found = {
        "given_names": _names(_joined(written.given_names, *written.aliases), _given(record)),
        "family_name": _names(written.family_name, _canonical(record.family)),
        "date_of_birth": _born(written, record),
        "sex": NOT_USED if written.sex and not record.sex else None,
        "address": _words(_joined(written.address, written.postcode), _home(record)),
        "school": _words(written.school, record.school),
        "guardian": _words(written.guardian, record.guardian),
        "phone": _code(written.phone, record.phone),
        "upn": _code(written.upn, record.upn),
        "nhs_number": _code(written.nhs_number, record.nhs_number),
    }
    return {name: reading for name, reading in found.items() if reading is not None}


def _joined(*parts: str | None) -> str | None:
    return " ".join(part for part in parts if part) or None


def _canonical(words: str) -> str:
    return " ".join(canonical(word) for word in words.split())


def _given(record: Record) -> str:
    aliases = record.aliases.split("|") if record.aliases else ()
    return " ".join(_canonical(name) for name in (record.given, *aliases) if name)


def _names(written: str | None, read: str) -> str | None:
    """A name's reading, with capitals as names have."""
    reading = _words(written, read)
    return reading.title() if reading else reading


def _words(written: str | None, read: str) -> str | None:
    if not written or "".join(fold(written, ADDRESS_LENGTH_MAX)) == read.replace(" ", ""):
        return None
    return read


def _home(record: Record) -> str:
    words = (record.number, record.address, (record.postcode or record.outward).lower())
    return " ".join(word for word in words if word)


def _code(written: str | None, read: str) -> str | None:
    """A number is read as written, whatever stands between its digits; or it is none."""
    return NOT_USED if written and written[: 2 * CODE_LENGTH_MAX].strip() and not read else None


def _born(written: Description, record: Record) -> str | None:
    if written.date_of_birth is not None or written.age is None:
        return None
    if not record.born_to:
        return NOT_USED
    return f"born {_day(record.born_from)} to {_day(record.born_to)}"


def _day(number: int) -> str:
    """A record's date, which need not be one of the calendar: it may be the 31st of a short month."""
    year, month, day = number // 10_000, number // 100 % 100, number % 100
    return f"{day} {calendar.month_name[month]} {year}"
