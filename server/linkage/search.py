"""From what a person asked to what is looked up and compared: slots of terms, and readings of the words.

Finding is `selecting` on the terms of `terms`; ranking is the same Fellegi-Sunter model as for notes
(`ranking`), with each child compared by the reading of the words that fits it best.
"""

from __future__ import annotations

import datetime
from collections.abc import Set

import msgspec

from server.linkage.asking import Asked
from server.linkage.names import PARTICLES
from server.linkage.selecting import Slot
from server.linkage.standardise import Description, Record, name_words, standardise
from server.linkage.terms import (
    BORN,
    GUARDIAN,
    NHS_NUMBER,
    OUTWARD,
    PHONE_END,
    PHONE_END_DIGITS,
    POSTCODE,
    SCHOOL,
    STREET,
    UPN,
    YEAR,
    name_terms,
    phone_end,
    street_words,
    term,
    word_term,
)

READINGS_MAX = 7
"""Ways to read words that may be a name, a school or a street. Each costs a comparison with each child."""
YEARS_OUT = 1
"""How far a guessed age may be out, in years, before a child is no longer looked up by it."""


def slots_of(asked: Asked, on: datetime.date) -> list[Slot]:
    """Each fact as the terms that have it. `on` is the day that an age is counted from."""
    record = _record(asked, on)
    slots = [
        Slot("name", (name_terms(word),)) for word in _telling(f"{record.given} {record.family}".split())
    ]
    slots += [Slot("word", (_any_terms(word),)) for word in _telling(_words(asked))]
    if record.born:
        date = frozenset(term(BORN, str(born)) for born in (record.born, _swapped(record.born)))
        slots.append(Slot("born", (date, _years(record.born // 10000, record.born // 10000))))
    elif record.born_to:
        first, last = record.born_from // 10000, record.born_to // 10000
        finest = (_years(first, last),)
        wider = () if asked.year_of_birth else (_years(first - YEARS_OUT, last + YEARS_OUT),)
        slots.append(Slot("born", finest + wider))
    if record.postcode:
        whole = frozenset([term(POSTCODE, record.postcode)])
        slots.append(Slot("postcode", (whole, *_outward(record))))
    elif record.outward:
        slots.append(Slot("postcode", _outward(record)))
    slots += [
        Slot("street", (frozenset([word_term(STREET, word)]),)) for word in street_words(record.address)
    ]
    slots += [Slot("school", (frozenset([term(SCHOOL, word)]),)) for word in record.school.split()]
    slots += [Slot("guardian", (frozenset([word_term(GUARDIAN, word)]),)) for word in record.guardian.split()]
    if record.phone:
        slots.append(Slot("phone", (frozenset([term(PHONE_END, phone_end(record.phone))]),)))
    if record.upn:
        slots.append(Slot("upn", (frozenset([term(UPN, record.upn)]),)))
    if record.nhs_number:
        slots.append(Slot("nhs_number", (frozenset([term(NHS_NUMBER, record.nhs_number)]),)))
    return slots


def readings_of(asked: Asked, on: datetime.date, borne: Set[int] | None = None) -> list[Record]:
    """What was asked as records to compare: one, or several where words may be a name, a school or a street.

    `borne`: the terms that anybody has, where that is known; no word is read as a school that there is not.
    """
    words = _words(asked)
    if not words:
        return [_record(asked, on)]
    found = [_record(named, on) for named in _named(asked, words)]
    for tail in range(1, min(len(words), 3) + 1):
        head, rest = words[:-tail], " ".join(words[-tail:])
        named = _named(asked, head)[0] if head else asked
        school = " ".join(filter(None, (rest, asked.school)))
        if borne is None or any(term(SCHOOL, word) in borne for word in words[-tail:]):
            found.append(_record(msgspec.structs.replace(named, school=school), on))
        if not asked.address and (
            borne is None or any(word_term(STREET, word) in borne for word in words[-tail:])
        ):
            found.append(_record(msgspec.structs.replace(named, address=rest), on))
    return list(dict.fromkeys(found))[:READINGS_MAX]


def comparable(child: Record, asked: Record) -> Record:
    """The child as it compares with what was asked: where only a number's end was given, with that end alone."""
    if asked.phone and len(asked.phone) < len(child.phone):
        return msgspec.structs.replace(child, phone=child.phone[-len(asked.phone) :])
    return child


def _named(asked: Asked, words: list[str]) -> list[Asked]:
    """The words as names, the likeliest first: with two or more the last is the family name, or the first is, or
    all are (Okonkwo-Bright); one alone may be either."""
    text = " ".join(words)
    if asked.given_names and asked.family_name:
        return [msgspec.structs.replace(asked, given_names=f"{asked.given_names} {text}")]
    if asked.given_names:
        return [msgspec.structs.replace(asked, family_name=text)]
    if asked.family_name:
        return [msgspec.structs.replace(asked, given_names=text)]
    if len(words) == 1:
        return [
            msgspec.structs.replace(asked, given_names=text),
            msgspec.structs.replace(asked, family_name=text),
        ]
    return [
        msgspec.structs.replace(asked, given_names=" ".join(words[:-1]), family_name=words[-1]),
        msgspec.structs.replace(asked, given_names=" ".join(words[1:]), family_name=words[0]),
        msgspec.structs.replace(asked, family_name=text),
    ]


def _record(asked: Asked, on: datetime.date) -> Record:
    record = standardise(
        Description(
            given_names=asked.given_names,
            family_name=asked.family_name,
            date_of_birth=asked.date_of_birth,
            age=asked.age,
            observed_on=on,
            sex=asked.sex,
            address=asked.address,
            postcode=asked.postcode,
            school=asked.school,
            phone=asked.phone,
            guardian=asked.guardian,
            upn=asked.upn,
            nhs_number=asked.nhs_number,
        )
    )
    if asked.phone and not record.phone and len(digits := _digits(asked.phone)) >= PHONE_END_DIGITS:
        record = msgspec.structs.replace(record, phone=digits)
    if asked.year_of_birth and not record.born and not record.born_to:
        year = asked.year_of_birth * 10000
        record = msgspec.structs.replace(record, born_from=year + 101, born_to=year + 1231)
    return record


def _words(asked: Asked) -> list[str]:
    return name_words(" ".join(asked.words)).split()


def _telling(words: list[str]) -> list[str]:
    return list(dict.fromkeys([word for word in words if word not in PARTICLES] or words))


def _any_terms(word: str) -> frozenset[int]:
    return name_terms(word) | {term(SCHOOL, word), word_term(STREET, word)}


def _years(first: int, last: int) -> frozenset[int]:
    return frozenset(term(YEAR, str(year)) for year in range(first, last + 1))


def _swapped(born: int) -> int:
    """The date with day and month changed; one that is no date has no term anybody bears."""
    year, month, day = born // 10000, born // 100 % 100, born % 100
    return year * 10000 + day * 100 + month


def _outward(record: Record) -> tuple[frozenset[int], ...]:
    return (frozenset([term(OUTWARD, record.outward)]),) if record.outward else ()


def _digits(phone: str) -> str:
    return "".join(character for character in phone if character.isascii() and character.isdigit())
