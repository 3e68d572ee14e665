"""Terms: under what a child is found by search, one fact at a time.

Linkage's blocking keys join two facts each and serve whole descriptions. A person who searches may know one thing
only, so each fact has a term of its own, a signed 32-bit integer, and search works out which children have many
of them. A term only proposes: what is shown is decided by comparing the child's record.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

from server.linkage.names import PARTICLES, SHORT_FORMS, WORD_CACHE, block_code, canonical, words_of
from server.linkage.standardise import Record

# What a term is of. Stored in databases: letters are never reused for another meaning.
NAME, GUARDIAN, YEAR, BORN, OUTWARD, POSTCODE, STREET, SCHOOL = "n", "g", "y", "b", "o", "p", "a", "s"
PHONE_END, UPN, NHS_NUMBER, BOROUGH = "t", "u", "h", "z"

PHONE_END_DIGITS = 6
"""People read a number's end to each other; six digits are borne by about two of a million numbers."""
NAME_WORDS_MAX = 8
YEARS_MAX = 3  # of a child whose age alone is known
SHORT_FORMS_MAX = 8

_STREET_NOISE = words_of(
    "street road avenue lane close drive way court gardens grove place square terrace crescent house flat the of"
    " walk hill park green row mews rise view"
)
_HALF = 1 << 31


def _by_short_form() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for short, fulls in SHORT_FORMS.items():
        for full in fulls:
            found.setdefault(full, set()).add(short)
    return {full: frozenset(shorts) for full, shorts in found.items()}


_SHORTS_OF = _by_short_form()


def own_term(kind: str, value: str) -> int:
    """The same as `term`, for what hardly two children share: to remember it would only push out what they do."""
    return crc32(f"{kind}{value}".encode("utf-8", "surrogatepass")) - _HALF


@lru_cache(WORD_CACHE)
def term(kind: str, value: str) -> int:
    """The term of a fact: signed 32-bit, the same in every process."""
    return own_term(kind, value)


@lru_cache(WORD_CACHE)
def word_term(kind: str, word: str) -> int:
    """The term of a word by how it sounds, so that spellings of it share one."""
    return term(kind, str(block_code(word)))


@lru_cache(WORD_CACHE)
def name_terms(word: str) -> frozenset[int]:
    """The terms to look under for a word of a name: its own, and those of its short or full forms."""
    name = canonical(word)
    forms = sorted(SHORT_FORMS.get(name, frozenset()) | _SHORTS_OF.get(name, frozenset()))
    # Russian has no h: its Hussein is read as Khussein, its Mohammed as Mokhammed.
    plain = [word.replace("kh", "h")] if "kh" in word else []
    return frozenset(word_term(NAME, one) for one in (word, *plain, *forms[:SHORT_FORMS_MAX]))


def street_words(address: str) -> list[str]:
    """The words of a standardised address that tell one street from another."""
    return [word for word in address.split() if word not in _STREET_NOISE and len(word) > 1]


def phone_end(phone: str) -> str:
    """The digits by which a phone number is found."""
    return phone[-PHONE_END_DIGITS:]


def years_of(record: Record) -> range:
    """Years in which the child may have been born; none where neither date nor age is known."""
    if record.born:
        return range(record.born // 10000, record.born // 10000 + 1)
    if not record.born_to:
        return range(0)
    first = record.born_from // 10000
    return range(first, min(record.born_to // 10000, first + YEARS_MAX - 1) + 1)


def terms_of(record: Record, boroughs: Iterable[str] = ()) -> set[int]:
    """Every term that a child is kept under, some fifteen in all."""
    names = f"{record.given} {record.family} {record.aliases.replace('|', ' ')}".split()
    found = {word_term(NAME, word) for word in [w for w in names if w not in PARTICLES][:NAME_WORDS_MAX]}
    found.update(word_term(GUARDIAN, word) for word in record.guardian.split())
    found.update(term(YEAR, str(year)) for year in years_of(record))
    if record.born:
        found.add(term(BORN, str(record.born)))
    if record.outward:
        found.add(term(OUTWARD, record.outward))
    if record.postcode:
        found.add(own_term(POSTCODE, record.postcode))
    found.update(word_term(STREET, word) for word in street_words(record.address))
    found.update(term(SCHOOL, word) for word in record.school.split())
    if record.phone:
        found.add(own_term(PHONE_END, phone_end(record.phone)))
    if record.upn:
        found.add(own_term(UPN, record.upn))
    if record.nhs_number:
        found.add(own_term(NHS_NUMBER, record.nhs_number))
    found.update(term(BOROUGH, code) for code in boroughs)
    return found
