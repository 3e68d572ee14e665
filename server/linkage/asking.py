"""What a person typed into one box, taken apart into what they may have meant.

Pure and forgiving: whatever is typed gives an answer, and the answer is told back to the person, who can correct
it. Dates are British, the day first. A word that is clearly nothing else is a name, a school or a street: all
three are tried.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import msgspec

TEXT_LENGTH_MAX = 300
WORDS_MAX = 6
"""Words that may be names, schools or streets; more are a story, and its first words are tried."""
ID_DIGITS_MIN = 4
AGE_MAX = 19
"""A lone number up to this is an age. Nobody older is looked for here as a child."""
CENTURY_PIVOT = 40
"""A year written 12 is 2012; one written 87 is 1987."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is searched by. `words` may be names, a school or a street; everything else is meant as it says.

    `reference` is an id of a registry, a note or a record.
    """

    words: tuple[str, ...] = ()
    given_names: str | None = None
    family_name: str | None = None
    date_of_birth: datetime.date | None = None
    year_of_birth: int | None = None
    age: int | None = None
    sex: str | None = None
    school: str | None = None
    phone: str | None = None
    address: str | None = None
    postcode: str | None = None
    guardian: str | None = None
    upn: str | None = None
    nhs_number: str | None = None
    reference: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked."""
        return self == Asked()


_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])"
)
_DAY = r"\b(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_STREET = (
    r"(?:road|rd|street|st|avenue|ave|lane|ln|close|cl|drive|dr|way|court|ct|gardens|gdns|grove|place|pl|square|sq"
    r"|terrace|crescent|cres|estate|house|tower|mansions|buildings|walk|mews|row|rise)"
)
_FLAT = r"(?:flat|apartment|apt|unit|room)\s*(?:\d+[a-z]?|[a-z])\b"
_SCHOOL = r"(?:school|academy|college|primary|secondary|infants?|juniors?|nursery)"

_PHONE = r"(?:phone|tel|mobile|mob|number|ending|ends)"
_GUARDIAN = r"(?:mum|mother|dad|father|guardian|carer|parent|aunt|uncle|nan|gran)"
_APART = r"(?:\n |\b(?:at|to|attends) )"
_WORD = r"(?:\b[^\W\d_][\w'\u2019.-]* )"

Reader = Callable[[re.Match[str]], dict[str, Any] | None]


def _whole(name: str) -> Reader:
    return lambda match: {name: " ".join(match["it"].split())}


def _numbered_date(match: re.Match[str]) -> dict[str, Any] | None:
    day, month, year = int(match["d"]), int(match["m"]), _year(match["y"])
    return _date(year, month, day) or _date(year, day, month)


def _iso_date(match: re.Match[str]) -> dict[str, Any] | None:
    return _date(int(match["y"]), int(match["m"]), int(match["d"]))


def _worded_date(match: re.Match[str]) -> dict[str, Any] | None:
    return _date(_year(match["y"]), _MONTHS[match["month"][:3].lower()], int(match["d"]))


def _date(year: int, month: int, day: int) -> dict[str, Any] | None:
    try:
        return {"date_of_birth": datetime.date(year, month, day)}
    except ValueError:
        return None


def _year(written: str) -> int:
    year = int(written)
    return year if len(written) == 4 else year + (2000 if year < CENTURY_PIVOT else 1900)


def _aged(match: re.Match[str]) -> dict[str, Any] | None:
    age = int(match["it"])
    return {"age": age} if age <= AGE_MAX else None


def _sexed(match: re.Match[str]) -> dict[str, Any]:
    return {"sex": "female" if match["it"].lower() in ("girl", "female", "daughter") else "male"}


def _digits(name: str) -> Reader:
    return lambda match: {name: re.sub(r"[^0-9+]", "", match["it"])}


def _is_nhs_number(digits: str) -> bool:
    """Whether the last of ten digits bears out the others (NHS Data Dictionary, modulus 11)."""
    weighed = sum((10 - place) * int(digit) for place, digit in enumerate(digits[:9]))
    return -weighed % 11 == int(digits[9])


def _ten_digits(match: re.Match[str]) -> dict[str, Any] | None:
    """An NHS number; what is none by its last digit may be a telephone number without its nought."""
    digits = re.sub(r"[^0-9]", "", match["it"])
    return None if digits[0] in "127" and not _is_nhs_number(digits) else {"nhs_number": digits}


_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), reader)
    for pattern, reader in (
        (r"(?P<it>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b)", _whole("reference")),
        (r"\bupn[\s:#]*(?P<it>[a-z0-9]{6,13})\b", _whole("upn")),
        (r"\b(?P<it>[a-z]\d{11}[a-z0-9])\b", _whole("upn")),
        (r"\bnhs(?:\s+(?:number|no))?[\s:.#]*(?P<it>\d{3}[ -]?\d{3}[ -]?\d{4})\b", _digits("nhs_number")),
        (
            r"(?:\b(?:registry|reference|ref|record|child|note|id)\b[\s:.#]*)+(?P<it>[a-z]*[-/]?\d[\w/-]{0,39})",
            _whole("reference"),
        ),
        (r"(?P<it>(?:\+44|\b0044|\b44(?= ?\d{4})|\b0)(?:[ ().-]*\d){9,11})\b", _digits("phone")),
        (rf"\b{_PHONE}[\s:.]*(?:ending|ends)?(?:\s+in)?\s*(?P<it>\d[\d -]{{4,14}}\d)\b", _digits("phone")),
        (r"\b(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})\b", _iso_date),
        (r"\b(?P<d>\d{1,2})[/.-](?P<m>\d{1,2})[/.-](?P<y>\d{4}|\d{2})\b", _numbered_date),
        (r"\b(?P<d>\d{1,2}) (?P<m>\d{1,2}) (?P<y>(?:19|20)\d\d)\b", _numbered_date),
        (rf"{_DAY}[\s/.-]*(?:of\s+)?{_MONTH}[\s/.,'\u2019-]*(?P<y>\d{{4}}|\d{{2}})\b", _worded_date),
        (rf"\b{_MONTH}\.?\s+{_DAY}\s+(?P<y>(?:19|20)\d\d)\b", _worded_date),
        (r"\b(?P<d>\d{2})(?P<m>\d{2})(?P<y>(?:19|20)\d\d)\b", _numbered_date),
        (r"\b(?P<y>(?:19|20)\d\d)(?P<m>\d{2})(?P<d>\d{2})\b", _iso_date),
        (r"\b(?P<it>[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2})\b", _whole("postcode")),
        (rf"\b(?P<it>(?:{_FLAT}[\s,]*)?\d+[a-z]?,? (?:[a-z'-]+ ){{1,3}}?{_STREET})\b", _whole("address")),
        (r"\b(?P<it>(?:[ensw]|[a-z]{2})\d(?:\d|[a-z])?)\b", _whole("postcode")),
        (r"(?:\b(?:aged?|about|approx\.?|around|circa)\s*|~\s*)+(?P<it>\d{1,2})\b(?:\s*(?:years?|yrs?))?", _aged),
        (r"\b(?P<it>\d{1,2})\s*(?:years?|yrs?|y/?o)\b(?:\s*old)?", _aged),
        (r"\b(?P<it>(?:19|20)\d\d)\b", lambda match: {"year_of_birth": int(match["it"])}),
        (r"\b(?P<it>\d{3}[ -]?\d{3}[ -]?\d{4})\b", _ten_digits),
        (r"\b(?P<it>[127]\d{3} ?\d{6})\b", _digits("phone")),
        (r"\b(?P<it>\d{6,9})\b", _digits("phone")),
        (r"(?<![\w/.-])(?P<it>\d{1,2})\b(?![/.-]\d)", _aged),
        (r"\b(?P<it>girl|boy|female|male|daughter|son)\b", _sexed),
        (rf"\b{_GUARDIAN}\b[\s:]+(?P<it>[^\W\d_]+(?:[ '-][^\W\d_]+)?)", _whole("guardian")),
        # Where a school's or a street's name begins can be told after a comma or another fact; else one word is
        # taken for it, and the words before are tried as part of it later.
        (rf"{_APART}(?P<it>{_WORD}{{1,3}}{_SCHOOL}(?: {_SCHOOL})*)\b", _whole("school")),
        (rf"(?P<it>{_WORD}{_SCHOOL}(?: {_SCHOOL})*)\b", _whole("school")),
        (rf"(?P<it>{_WORD}{_STREET})\b", _whole("address")),
    )
)  # fmt: skip
"""Tried in this order, each once; what one has read no other reads again."""
_FILLER = re.compile(
    r"\b(?:born|dob|d\.o\.b|date of birth|called|named|name|known as|aka|lives?|living|goes to|attends|at|on|in|from"
    r"|near|the|a|an|and|of|year|old|postcode|phone|mobile|school|is|who|child|young)\b",
    re.IGNORECASE,
)
_QUOTES = ".:()\"'\u201c\u201d\u2018\u2019"
_PARTED = "\n"
"""Stands where something was read, so that words on either side of it are not read as one phrase."""


def understand(text: str) -> Asked:
    """What the text asks for. Never raises."""
    rest = " ".join(text.replace("\0", " ").replace("\n", " ").split())[:TEXT_LENGTH_MAX]
    rest = rest.replace(",", f" {_PARTED} ").replace(";", f" {_PARTED} ")
    read: dict[str, Any] = {}
    for pattern, reader in _READERS:
        match = pattern.search(rest)
        said = reader(match) if match else None
        if match is None or not said or said.keys() & read.keys():
            continue
        read |= said
        rest = f"{rest[: match.start()]} {_PARTED} {rest[match.end() :]}"
    if "date_of_birth" in read:
        read.pop("year_of_birth", None)
    words = [word.strip(_QUOTES) for word in _FILLER.sub(" ", rest).split()]
    return Asked(words=tuple(list(filter(_says_something, words))[:WORDS_MAX]), **read)


def _says_something(word: str) -> bool:
    """A name, or a number long enough to be an id: not what is left of a date that is none."""
    return any(map(str.isalpha, word)) or sum(map(str.isdigit, word)) >= ID_DIGITS_MIN


def from_fields(
    *,
    given_names: str = "",
    family_name: str = "",
    born: str = "",
    school: str = "",
    phone: str = "",
    home: str = "",
    guardian: str = "",
    reference: str = "",
) -> Asked:
    """What separate fields ask for. `born` is a date, a year or an age, `home` an address or a postcode or both,
    `reference` any number that stands for a child."""
    born_read, home_read, number = understand(born), understand(home), understand(reference)
    address = home_read.address or " ".join(home_read.words)
    number_known = number.upn or number.nhs_number
    return Asked(
        given_names=given_names.strip() or None,
        family_name=family_name.strip() or None,
        date_of_birth=born_read.date_of_birth,
        year_of_birth=born_read.year_of_birth,
        age=born_read.age,
        school=school.strip() or None,
        phone=phone.strip() or None,
        address=address or None,
        postcode=home_read.postcode,
        guardian=guardian.strip() or None,
        upn=number.upn,
        nhs_number=number.nhs_number,
        reference=None if number_known else number.reference or reference.strip() or None,
    )


def together(box: Asked, fields: Asked) -> Asked:
    """Both; where both say something, the separate field does."""
    given = {name: value for name in Asked.__struct_fields__ if (value := getattr(fields, name))}
    born = {"date_of_birth", "year_of_birth", "age"}
    if given.keys() & born:
        box = msgspec.structs.replace(box, **dict.fromkeys(born))
    return msgspec.structs.replace(box, **given)


def told_back(asked: Asked) -> list[tuple[str, str]]:
    """What was understood, as (label, value), for the person to check."""
    born = asked.date_of_birth
    said = [
        ("given names", asked.given_names),
        ("family name", asked.family_name),
        ("name, school or street", " ".join(asked.words) or None),
        ("born", f"{born.day} {born:%B %Y}" if born else None),
        ("born in", str(asked.year_of_birth) if asked.year_of_birth else None),
        ("age", f"about {asked.age}" if asked.age is not None else None),
        ("sex", asked.sex),
        ("school", asked.school),
        ("phone", asked.phone),
        ("address", asked.address),
        ("postcode", asked.postcode.upper() if asked.postcode else None),
        ("guardian", asked.guardian),
        ("UPN", asked.upn.upper() if asked.upn else None),
        ("NHS number", asked.nhs_number),
        ("reference", asked.reference),
    ]
    return [(label, value) for label, value in said if value]
