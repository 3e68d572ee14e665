"""From a description of a child, as it was written, to a record that can be compared quickly.

`Description` is what a note or a registry says. `Record` is the same, folded and parsed once: lower case
without accents, Cyrillic, Greek and Arabic letters written in Latin ones, dates as integers, postcode taken
apart, empty text where nothing is known. A record is a short msgpack array, made to be stored beside its
child and decoded for every candidate.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from functools import lru_cache

import msgspec

from server.linkage.letters import LATIN
from server.linkage.loose import in_their_columns, plain
from server.linkage.names import ABBREVIATIONS, NOT_NAMES, WORD_CACHE, words_of
from server.linkage.postcodes import postcode_of
from server.linkage.scripts import in_latin, run_together

# Bounds, so that a field of any length costs the same: longer text is cut, which loses nothing of a name.
NAME_LENGTH_MAX = 120
ADDRESS_LENGTH_MAX = 200
WORD_LENGTH_MAX = 24
NAME_WORDS_MAX = 5
ADDRESS_WORDS_MAX = 16
ALIASES_MAX = 4
CODE_LENGTH_MAX = 24

FEMALE, MALE = 1, 2
AGE_YEARS_MAX = 120


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A child as described, each field as written; None is "not known".

    `age` is in years, as of `observed_on`, and may be a guess; without `observed_on` it says nothing.
    """

    given_names: str | None = None
    family_name: str | None = None
    aliases: tuple[str, ...] = ()
    date_of_birth: datetime.date | None = None
    age: float | None = None
    observed_on: datetime.date | None = None
    sex: str | None = None
    address: str | None = None
    postcode: str | None = None
    school: str | None = None
    phone: str | None = None
    guardian: str | None = None
    upn: str | None = None
    nhs_number: str | None = None


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The standardised form. Texts are words joined by one space; "" and 0 are "not known".

    Dates are integers, year * 10000 + month * 100 + day; `born_from` and `born_to` bound the date of birth
    of a child whose age alone is known. `aliases` are parted by "|".
    """

    given: str = ""
    family: str = ""
    aliases: str = ""
    born: int = 0
    born_from: int = 0
    born_to: int = 0
    sex: int = 0
    number: str = ""
    address: str = ""
    postcode: str = ""
    outward: str = ""
    school: str = ""
    phone: str = ""
    guardian: str = ""
    upn: str = ""
    nhs_number: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The record as bytes, to be stored beside its child."""
    return _encoder.encode(record)


def decode_record(blob: bytes) -> Record:
    """The record from its bytes. Raises msgspec.ValidationError or DecodeError if they are not one."""
    return _decoder.decode(blob)


_APOSTROPHES = str.maketrans("", "", "'`\u2018\u2019\u02bc\u02bb")
_ASCII_WORDS = re.compile(r"[a-z0-9]+")


def fold(text: str, length_max: int) -> list[str]:
    """Words of a text: lower case, accents dropped, apostrophes closed up, other scripts in Latin letters
    where the letters have a usual Latin form. At most `length_max` characters are read."""
    text = text[:length_max]
    if not text.isascii() or "&" in text or "<" in text:
        text = plain(text)
    text = text.translate(_APOSTROPHES)
    if text.isascii():
        return _ASCII_WORDS.findall(text.lower())
    latin = unicodedata.normalize("NFKD", in_latin(text)).casefold().translate(LATIN)
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in latin if not _accent(c))
    return "".join(kept)[: 2 * length_max].split()


def _accent(character: str) -> bool:
    return (
        "\u0300" <= character <= "\u036f"
        or "\u0591" <= character <= "\u05c7"
        or ("\u064b" <= character <= "\u065f")
    )


# What a scanner or a hasty finger makes of letters; only inside a word that has letters too.
_DIGITS_AS_LETTERS = str.maketrans("013458", "oleasb")
_HAS_DIGIT = re.compile(r"[0-9]")


def _words_in(text: str) -> str:
    """The same as `name_words`, for what hardly two children share: to remember it would push out what they do."""
    words = [w[:WORD_LENGTH_MAX] for w in fold(text, NAME_LENGTH_MAX) if w not in NOT_NAMES]
    if not words or (len(words) == 2 and words[0] == "n" and words[1] in "ak"):
        return ""
    words = [w for w in words if not w.isdigit()][:NAME_WORDS_MAX]
    if _HAS_DIGIT.search(text):
        words = [w.translate(_DIGITS_AS_LETTERS) for w in words]
    return " ".join(words)


@lru_cache(WORD_CACHE)
def name_words(text: str) -> str:
    """The words of a name, without titles and without words for "not known"."""
    return _words_in(text)


# "Henry (known as Harry)", "Harry aka H": what stands after is another name of the child.
_ALSO_CALLED = re.compile(
    r"\s*(?:[(\[\"\u201c\u201d]|/(?=\s*\w\w)|\b(?:also )?(?:known as|called|goes by|prefers)\b"
    r"|\ba\.?k\.?a\b\.?|\bk/a\b|\balias\b|\bor\b|\bposs(?:ibly)?\b|\bmaybe\b|\bperhaps\b|\bmight be\b)",
    re.IGNORECASE,
)


# "Leila's brother", "twin of Leila", "not Leila", "Leila and Grace": whoever this is, the name alone does not tell.
_NOT_ONLY_THIS = re.compile(
    r"\b(?:(?:half|step)[- ]?)?(?:brother|sister|sibling|twin|triplet|cousin|niece|nephew|friend|neighbour|girlfriend"
    r"|boyfriend|mother|father|mum|mam|dad|parent|aunt|auntie|uncle|bro|sis)(?:['\u2019]?s)?\b"
    r"|\w['\u2019]s\s+\w|\b(?:baby|child|infant|son|daughter|unborn) of\b|^\s*not\b"
    r"|\w\s*(?:\band\b|\s&(?:amp;)?\s|\+)\s*\w",
    re.IGNORECASE,
)


@lru_cache(WORD_CACHE)
def _tells_of_another(text: str) -> bool:
    return _NOT_ONLY_THIS.search(text[:NAME_LENGTH_MAX]) is not None


def _names(given: str | None, family: str | None) -> tuple[str | None, str | None, str]:
    """(given names, family name, another name the child is called by), each field's text in its place.

    "Okonjo, Leila" or LeilaOkonjo in one field, with the other empty, is both names. Where a given name is told as a
    relative's, none is taken: without one nobody is linked.
    """
    given, family = given and given[:NAME_LENGTH_MAX], family and family[:NAME_LENGTH_MAX]
    also = ""
    if given and _tells_of_another(given):
        return None, family, ""
    if family and not given and _tells_of_another(family):
        return None, family.split()[-1], ""
    alone = (given or family or "") if not (given and family) else ""
    if alone.count(",") == 1:
        family, given = alone.split(",")
    elif both := run_together(alone.strip()):
        given, family = both
    if given and (match := _ALSO_CALLED.search(given)) and match.start():
        given, also = given[: match.start()], given[match.end() :]
        if repeated := _ALSO_CALLED.match(also):
            also = also[repeated.end() :]
    return given, family, also


def _name(text: str | None) -> str:
    return name_words(text[:NAME_LENGTH_MAX]) if text else ""


_APART = re.compile(r"\b(o|d|mc|mac|fitz) (?=[a-z]{3})")


@lru_cache(WORD_CACHE)
def _family_words(text: str) -> str:
    """The words of a family name: what is one with the next word is written as one (O Neill, Mc Donald)."""
    words = " ".join("st" if w == "saint" else w for w in name_words(text).split())
    return _APART.sub(r"\1", words)


_IN_ADDRESS = re.compile(r"\b([A-Za-z]{1,2}[0-9][A-Za-z0-9]?) ?([0-9][A-Za-z]{2})\b")
_NOT_CODE = re.compile(r"[^A-Z0-9]+")
_NOT_DIGIT = re.compile(r"[^0-9]+")


@lru_cache(1 << 14)
def _address(text: str) -> tuple[str, str]:
    """(house number, words of the address without number)."""
    words = [ABBREVIATIONS.get(w, w) for w in fold(text, ADDRESS_LENGTH_MAX)][:ADDRESS_WORDS_MAX]
    words = [w for w in words if w not in NOT_NAMES and w not in ("london", "uk", "england")]
    for at in range(1, len(words)):
        if words[at] == "st" and not words[at - 1][0].isdigit():
            words[at] = "street"  # before a name it is a saint
    number = ""
    for at, word in enumerate(words):
        if word[0].isdigit():
            # "Flat 3, 12 High Street": the last number before the street's name is the house.
            number = word
            if at + 1 < len(words) and not words[at + 1][0].isdigit():
                break
    return number[:8], " ".join(w[:WORD_LENGTH_MAX] for w in words if w != number and w != "flat")


_SCHOOL_NOISE = words_of(
    "school sch schl academy acad primary pri prim secondary sec junior jnr infant infants inf high college coll "
    "the of and for nursery sixth form community comm comprehensive comp trust rc ce cofe catholic"
)
_GUARDIAN_NOISE = words_of(
    "mum mother mom mam ma dad father mummy daddy aunt aunty auntie uncle gran granny nan nana nanny grandmother "
    "grandfather grandad grandma grandparent stepfather stepmother stepdad stepmum step carer foster guardian "
    "parent social worker his her their s"
)


_SAINTS = {"saint": "st", "saints": "ss", "sts": "ss"}


@lru_cache(1 << 14)
def _school(text: str) -> str:
    words = fold(text, NAME_LENGTH_MAX)
    words = [_SAINTS.get(w, w) for w in words if w not in NOT_NAMES]
    return " ".join([w for w in words if w not in _SCHOOL_NOISE][:6] or words[:6])


def _guardian(text: str) -> str:
    words = [w for w in _words_in(text[:NAME_LENGTH_MAX]).split() if w not in _GUARDIAN_NOISE]
    return " ".join(words)


def _phone(text: str) -> str:
    """National digits without the leading zero, ten at most; "" for what cannot be a number."""
    digits = _NOT_DIGIT.sub("", text[: 2 * CODE_LENGTH_MAX])[-10:]
    return digits if len(digits) >= 7 and len(set(digits)) > 2 else ""


def _code(text: str, length_min: int) -> str:
    code = _NOT_CODE.sub("", text[: 2 * CODE_LENGTH_MAX].upper())[:CODE_LENGTH_MAX]
    return code if len(code) >= length_min and len(set(code)) > 2 else ""


def _numbers(description: Description) -> tuple[str, str, str]:
    """UPN, NHS number and phone."""
    if not (description.upn or description.nhs_number or description.phone):
        return "", "", ""
    upn = _code(description.upn, 6) if description.upn else ""
    nhs_number = _code(description.nhs_number, 6) if description.nhs_number else ""
    upn, nhs_number, phone = in_their_columns(upn, nhs_number, description.phone or "")
    return upn, _NOT_DIGIT.sub("", nhs_number), _phone(phone) if phone else ""


def _born_between(age: float, observed_on: datetime.date) -> tuple[int, int]:
    """First and last possible date of birth of a child of that age (in years) on that day, as integers.

    A whole number is an age in completed years, anything finer an age in months.
    """
    if not 0 <= age <= AGE_YEARS_MAX:
        return 0, 0
    months = int(age * 12)
    span = 12 if age == int(age) else 1
    latest = observed_on.year * 12 + observed_on.month - 1 - months
    earliest = latest - span
    day = observed_on.day
    return _day(earliest, day), _day(latest, day)


def _day(month_count: int, day: int) -> int:
    return (month_count // 12) * 10000 + (month_count % 12 + 1) * 100 + day


_SEXES = {"female": FEMALE, "f": FEMALE, "girl": FEMALE, "male": MALE, "m": MALE, "boy": MALE}
# Some registers write this day where none is known.
_NO_DAY = 19000101


def standardise(description: Description) -> Record:
    """The record of a description. Never raises on text, however long, empty or strange."""
    born = born_from = born_to = 0
    if (day := description.date_of_birth) is not None:
        born = day.year * 10000 + day.month * 100 + day.day
        born = 0 if born == _NO_DAY else born
    if not born and description.age is not None and description.observed_on is not None:
        born_from, born_to = _born_between(description.age, description.observed_on)
    number = words = postcode = outward = ""
    if description.postcode:
        postcode, outward = postcode_of(description.postcode[:CODE_LENGTH_MAX])
    address = description.address or ("" if postcode or outward else description.postcode)
    if address:
        text = address[:ADDRESS_LENGTH_MAX]
        if not (postcode or outward) and (match := _IN_ADDRESS.search(text)):
            postcode, outward = postcode_of(match.group())
            text = text[: match.start()] + " " + text[match.end() :]
        number, words = _address(text)
    upn, nhs_number, phone = _numbers(description)
    given, family, also = _names(description.given_names, description.family_name)
    aliases = ""
    if also or description.aliases:
        told = (also, *(alias for alias in description.aliases if not _tells_of_another(alias)))
        aliases = "|".join(filter(None, map(_name, told[:ALIASES_MAX])))
    return Record(
        _name(given),
        _family_words(family[:NAME_LENGTH_MAX]) if family else "",
        aliases,
        born,
        born_from,
        born_to,
        _SEXES.get(description.sex.lower(), 0) if description.sex else 0,
        number,
        words,
        postcode,
        outward,
        _school(description.school[:NAME_LENGTH_MAX]) if description.school else "",
        phone,
        _guardian(description.guardian) if description.guardian else "",
        upn,
        nhs_number,
    )
