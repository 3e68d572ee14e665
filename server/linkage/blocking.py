"""Blocking keys: the few dozen children a note could be about, out of millions, without comparing.

A key is a signed 64-bit integer, the same in every process and version of Python. A known child is stored
under all of its keys; a note looks up its own. Nearly every key joins two facts, so that it is shared by few
children even in London; a key that turns out to be shared by too many names finer keys to use instead.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

import msgspec

from server.linkage.names import (
    LEADING,
    PARTICLES,
    SHARED_FAMILY,
    SHORT_FORMS,
    WORD_CACHE,
    block_code,
    canonical,
)
from server.linkage.standardise import Record

# Which facts a key joins. Stored in databases: numbers are never reused for another meaning.
UPN, NHS_NUMBER, PHONE, BORN_AND_NAME, FULL_NAME, POSTCODE_AND_NAME = 1, 2, 3, 4, 5, 6
FAMILY_YEAR_INITIAL, HOUSE_AND_FAMILY, BORN_AND_AREA, SCHOOL_AND_GIVEN = 7, 8, 9, 10
FULL_NAME_AREA, FULL_NAME_YEAR, GIVEN_AREA_YEAR, GUARDIAN, BORN_AND_INITIALS = 11, 12, 13, 14, 15
HOUSE, GIVEN_YEAR, FAMILY_DAY_INITIAL = 16, 17, 18

GIVEN_CODES_MAX = 2  # the name a child goes by and one more
SYLLABLE_LENGTH_MAX = 4  # what may as well be written as one word with the next
FAMILY_CODES_MAX = 2  # both halves of a double-barrelled name
FULL_FORMS_MAX = 6  # Alex may be short for as many names
NAMES_MAX = 3  # given names, and family names, with those of aliases: a bound on the number of keys
UNKNOWN_YEAR = 0
YEARS_EACH_SIDE = 1  # an officer's guess at an age is rarely more than a year out beyond its own year

_MASK = (1 << 64) - 1
_HALF = 1 << 63
_A, _B, _C, _R = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93


class Lookup(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key a note looks up, and the finer keys to use instead when it holds too many children."""

    key: int
    refined: tuple[int, ...] = ()


# What a key's number adds to it, worked out once for each.
_RULE = tuple(rule * _R + _A + _B + _C for rule in range(FAMILY_DAY_INITIAL + 1))


def _key(rule: int, a: int, b: int = 0, c: int = 0) -> int:
    mixed = (_RULE[rule] + a * _A + b * _B + c * _C) & _MASK
    return ((mixed ^ (mixed >> 31)) * _A & _MASK) - _HALF


def _text_code(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"))


def main_words(given: str) -> list[str]:
    """Words of the given names, the name the child goes by first: names that merely open a full name
    (Mohammed, Abdul, Syed), and initials, come last when another follows."""
    words = given.split()
    if len(words) > 1 and (canonical(words[0]) in LEADING or (len(words[0]) == 1 and len(words[1]) > 1)):
        return [*words[1:], words[0]]
    return words


@lru_cache(WORD_CACHE)
def given_codes(given: str) -> tuple[int, ...]:
    """Block codes of the given names that count; two short ones as one word too (Yu Chen is Yuchen as well)."""
    words = main_words(given)[:GIVEN_CODES_MAX]
    if len(words) > 1 and max(map(len, words)) <= SYLLABLE_LENGTH_MAX:
        words.append("".join(given.split()[:GIVEN_CODES_MAX]))
    return tuple(dict.fromkeys(map(block_code, words)))


@lru_cache(WORD_CACHE)
def family_codes(family: str) -> tuple[int, ...]:
    """Block codes of each half of a family name; particles and names borne by whole peoples left out."""
    words = family.split()
    telling = [w for w in words if w not in PARTICLES and canonical(w) not in SHARED_FAMILY]
    return tuple(dict.fromkeys(map(block_code, (telling or words)[:FAMILY_CODES_MAX])))


def _with_aliases(record: Record) -> tuple[tuple[int, ...], tuple[int, ...]]:
    given, family = given_codes(record.given), family_codes(record.family)
    if not record.aliases:
        return given, family
    for alias in record.aliases.split("|"):
        words = alias.split()
        given += given_codes(words[0]) if len(words) < 3 else given_codes(" ".join(words[:-1]))
        if len(words) > 1:
            family += family_codes(words[-1])
    return tuple(dict.fromkeys(given))[:NAMES_MAX], tuple(dict.fromkeys(family))[:NAMES_MAX]


def _born_code(born: int) -> int:
    """A date, day and month in either order: both orders share a code."""
    year, month, day = born // 10000, born // 100 % 100, born % 100
    return year * 10000 + (month * 100 + day if month <= day else day * 100 + month)


def _street_code(record: Record) -> int:
    """House number and street; 0 unless both are known."""
    if not record.number or not record.address:
        return 0
    return _text_code(record.number) ^ block_code(record.address.split(" ", 1)[0])


def home_code(record: Record) -> int:
    """An integer for the home: postcode, house number and street; 0 unless all are known."""
    street = _street_code(record)
    return _key(0, street, _text_code(record.postcode)) if street and record.postcode else 0


def _guardian_code(guardian: str) -> int:
    words = guardian.split()
    if len(words) < 2:
        return 0
    return block_code(words[0]) ^ (block_code(words[-1]) * 3)


def _pairs(given: tuple[int, ...], family: tuple[int, ...]) -> list[tuple[int, int]]:
    """Given and family codes together, in an order that does not know which is which (names get swapped)."""
    pairs = [(a, b) if a <= b else (b, a) for a in given for b in family[:1]]
    pairs += [(a, b) if a <= b else (b, a) for a in given[:1] for b in family[1:]]
    for one, other in ((given, family), (family, given)):
        if len(one) > 1 and not other:  # both names may stand in one field
            pairs.append((min(one[0], one[1]), max(one[0], one[1])))
    return pairs


def _identity_keys(record: Record) -> list[int]:
    keys = []
    if record.upn:
        keys.append(_key(UPN, _text_code(record.upn)))
    if record.nhs_number:
        keys.append(_key(NHS_NUMBER, _text_code(record.nhs_number)))
    if record.phone:
        keys.append(_key(PHONE, _text_code(record.phone)))
    return keys


def _postcode_keys(record: Record, given: tuple[int, ...], family: tuple[int, ...]) -> list[int]:
    if not record.postcode:
        return []
    postcode = _text_code(record.postcode)
    return [_key(POSTCODE_AND_NAME, postcode, name) for name in (*given[:1], *family)]


def _circle_keys(record: Record, given: tuple[int, ...]) -> list[int]:
    """The given name with the school, and with the guardian."""
    keys = []
    if given and record.school:
        keys.append(_key(SCHOOL_AND_GIVEN, _text_code(record.school), given[0]))
    if given and record.guardian and (guardian := _guardian_code(record.guardian)):
        keys.append(_key(GUARDIAN, guardian, given[0]))
    return keys


def _area_code(record: Record) -> int:
    return _text_code(record.outward or record.postcode) if record.outward or record.postcode else 0


def _initial(given: str) -> int:
    words = main_words(given)
    return ord(words[0][0]) if words else 0


def _initials(record: Record) -> int:
    """Both initials, in either order: the first letter is the one least often mistaken."""
    one, other = sorted((_initial(record.given), ord(record.family[0]) if record.family else 0))
    return (one << 21) + other


def blocking_keys(record: Record) -> tuple[int, ...]:
    """Keys under which a known child is stored: signed 64-bit, no two alike, some fourteen in all."""
    given, family = _with_aliases(record)
    keys = _identity_keys(record)
    keys += _postcode_keys(record, given, family) + _circle_keys(record, given)
    area = _area_code(record)
    if record.born:
        born = _born_code(record.born)
        keys += [_key(BORN_AND_NAME, born, name) for name in (*given, *family)]
        if area:
            keys.append(_key(BORN_AND_AREA, born, area))
        if given and family:
            keys.append(_key(BORN_AND_INITIALS, born, _initials(record)))
    years = _own_years(record)
    if street := _street_code(record):
        keys.append(_key(HOUSE, street))
        if family:
            keys.append(_key(HOUSE_AND_FAMILY, street, family[0]))
    for low, high in _pairs(given, family):
        keys.append(_key(FULL_NAME, low, high))
        if area:
            keys.append(_key(FULL_NAME_AREA, low, high, area))
        keys += [_key(FULL_NAME_YEAR, low, high, year) for year in years or (UNKNOWN_YEAR,)]
    if family and given:
        initial = _initial(record.given)
        keys += [_key(FAMILY_YEAR_INITIAL, family[0], year, initial) for year in years]
        if record.born:
            keys.append(_key(FAMILY_DAY_INITIAL, family[0], born % 10000, initial))
    if given:
        keys += [_key(GIVEN_YEAR, given[0], year) for year in years]
        if area:
            keys += [_key(GIVEN_AREA_YEAR, given[0], area, year) for year in years]
    return tuple(dict.fromkeys(keys))


def _own_years(record: Record) -> tuple[int, ...]:
    if record.born:
        return (record.born // 10000,)
    if record.born_to:
        return tuple(range(record.born_from // 10000, record.born_to // 10000 + 1))
    return ()


def _possible_years(record: Record) -> tuple[int, ...]:
    years = _own_years(record)
    return tuple(range(years[0] - YEARS_EACH_SIDE, years[-1] + YEARS_EACH_SIDE + 1)) if years else ()


def lookup_keys(record: Record) -> tuple[Lookup, ...]:
    """All that a note may look up. Each stands alone; none is needed twice."""
    return _each_once([*first_lookups(record), *near_lookups(record), *wide_lookups(record)])


def first_lookups(record: Record) -> tuple[Lookup, ...]:
    """What is looked up before anything else, most selective first: numbers, the home, and where the date is
    told the date with either name, else the name in its district. Nine notes in ten find their child here, among
    a third of the children that all the keys would give."""
    given, family = _with_aliases(record)
    keys = _identity_keys(record)
    if record.born:
        born = _born_code(record.born)
        keys += [_key(BORN_AND_NAME, born, name) for name in (*given, *family)]
    keys += _postcode_keys(record, given, family)
    if family and (street := _street_code(record)):
        keys.append(_key(HOUSE_AND_FAMILY, street, family[0]))
    if not record.born:
        keys += _circle_keys(record, given)
    if record.born_to and (area := _area_code(record)):
        keys += [_key(FULL_NAME_AREA, low, high, area) for low, high in _pairs(given, family)]
    return _each_once([Lookup(key) for key in keys])


def near_lookups(record: Record) -> tuple[Lookup, ...]:
    """What is looked up besides unless the first look-ups settle it."""
    given, family = _with_aliases(record)
    keys, area = [], _area_code(record)
    if record.born:
        born = _born_code(record.born)
        keys += _circle_keys(record, given)
        if area:
            keys.append(_key(BORN_AND_AREA, born, area))
        if given and family:
            keys.append(_key(BORN_AND_INITIALS, born, _initials(record)))
    lookups = [Lookup(key) for key in keys]
    years = _possible_years(record)
    for low, high in _pairs(given, family):
        if record.born:
            # Those of the year wait for doubt: a namesake of another date is never linked for the name alone.
            if area:
                lookups.append(Lookup(_key(FULL_NAME_AREA, low, high, area)))
        elif years:
            lookups += [Lookup(_key(FULL_NAME_YEAR, low, high, year)) for year in (*years, UNKNOWN_YEAR)]
        else:
            finer = (_key(FULL_NAME_AREA, low, high, area),) if area else ()
            lookups.append(Lookup(_key(FULL_NAME, low, high), finer))
    if given and years and not record.born:
        lookups += _by_given_and_age(record, given, family, area, years)
    elif given and not family:
        lookups += [Lookup(key) for key in _places_of_full_forms(record)]
    return _each_once(lookups)


def wide_lookups(record: Record) -> tuple[Lookup, ...]:
    """What is looked up besides where nothing near fits: another family name in a home that is known. Where the date
    is told, namesakes of its year and those beside it, children without a date, and slips in name and date at once;
    where an age is, a given name of which only the initial is right."""
    given, family = _with_aliases(record)
    lookups = []
    if street := _street_code(record):
        finer = (_key(HOUSE_AND_FAMILY, street, family[0]),) if family else ()
        lookups.append(Lookup(_key(HOUSE, street), finer))
    if record.born:
        own = record.born // 10000
        years = (*_possible_years(record), UNKNOWN_YEAR)
        for low, high in _pairs(given, family):
            lookups += [Lookup(_key(FULL_NAME_YEAR, low, high, year)) for year in years]
        if given and family:
            initial, day = _initial(record.given), _born_code(record.born) % 10000
            lookups.append(Lookup(_key(FAMILY_YEAR_INITIAL, family[0], own, initial)))
            lookups.append(Lookup(_key(FAMILY_DAY_INITIAL, family[0], day, initial)))
    elif given and family:
        initial, years = _initial(record.given), _possible_years(record)
        lookups += [Lookup(_key(FAMILY_YEAR_INITIAL, family[0], year, initial)) for year in years]
    return _each_once(lookups)


def _each_once(lookups: list[Lookup]) -> tuple[Lookup, ...]:
    return tuple({lookup.key: lookup for lookup in lookups}.values())


def _by_given_and_age(
    record: Record, given: tuple[int, ...], family: tuple[int, ...], area: int, years: tuple[int, ...]
) -> list[Lookup]:
    """Look-ups for a child of whom a given name and an age are told, perhaps a district or a school."""
    if family:
        return [Lookup(_key(GIVEN_AREA_YEAR, given[0], area, year)) for year in years] if area else []
    lookups = [Lookup(key) for key in _places_of_full_forms(record)]
    for name in (given[0], *_full_form_codes(record.given)):
        for year in years:
            finer = (_key(GIVEN_AREA_YEAR, name, area, year),) if area else ()
            lookups.append(Lookup(_key(GIVEN_YEAR, name, year), finer))
    return lookups


def _places_of_full_forms(record: Record) -> list[int]:
    """Keys of school and postcode for the names that a short form may stand for: Jay for Jayden, Jason, Jacob."""
    keys = []
    for name in _full_form_codes(record.given):
        if record.school:
            keys.append(_key(SCHOOL_AND_GIVEN, _text_code(record.school), name))
        if record.postcode:
            keys.append(_key(POSTCODE_AND_NAME, _text_code(record.postcode), name))
    return keys


@lru_cache(WORD_CACHE)
def _full_form_codes(given: str) -> tuple[int, ...]:
    fulls = SHORT_FORMS.get(canonical(main_words(given)[0]), frozenset()) if given else ()
    return tuple(dict.fromkeys(map(block_code, sorted(fulls))))[:FULL_FORMS_MAX]
