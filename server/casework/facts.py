"""What casework is told: one `NoteFact` for a note about a child, one `ChildFacts` for the child.

Facts carry what rules need and nothing more: no name, no address, and of the officer's text only the set
of significant words, by which two notes of the same event are recognised.
"""

import datetime
import re
import unicodedata
from collections.abc import Iterable

import msgspec

from sync.limits import OBSERVED_BEFORE_MS_MAX
from sync.note import Note
from sync.vocabulary import Category, SubjectRole

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60 * 1000

WORDS_PER_NOTE_MAX = 64
"""The first words say what happened; more of them cost time on every later note about the child."""

TEXT_READ_CHARACTERS_MAX = 2_000
"""Enough text for `WORDS_PER_NOTE_MAX` words, so that the longest note costs no more than a long one."""

_WORD = re.compile(r"[^\W_]{3,}")
_APART = "".join(letter if letter.isalnum() else " " for letter in map(chr, range(128)))
_STOP_WORDS = frozenset(
    {
        "about", "above", "after", "again", "against", "also", "and", "any", "are", "around", "because",
        "been", "before", "being", "below", "between", "both", "but", "came", "child", "could", "did",
        "does", "doing", "down", "during", "each", "few", "for", "from", "further", "gave", "get",
        "girl", "boy", "going", "got", "had", "has", "have", "having", "her", "here", "hers", "herself",
        "him", "himself", "his", "how", "into", "its", "itself", "just", "like", "made", "more", "most",
        "near", "not", "now", "off", "once", "only", "other", "our", "out", "over", "own", "people",
        "person", "police", "officer", "said", "saw", "same", "say", "says", "seen", "she", "should",
        "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they",
        "this", "those", "through", "told", "too", "under", "until", "upon", "very", "was", "way",
        "well", "went", "were", "what", "when", "where", "which", "while", "who", "whom", "why", "will",
        "with", "would", "you", "young", "your",
    }
)  # fmt: skip
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)


class NoteFact(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """One note as far as it concerns one child. Times are milliseconds since the epoch, UTC.

    `source` is where the concern comes from: the author's role and ward or school (`source_of`); rules
    that count sources count distinct values of it. `observed_at` places the note in every window;
    `received_at` is used only to tell which flag was there first and which note founded an incident.
    `sole_subject` says that no other subject of the note has a role that counts, so this child's does.
    `protected_from` is when police protection began; `school_named` that the note says the child's school.
    `apart`: a person said that it tells of an event of its own. `event`: a person said that it tells of the same event
    as the others of that number.
    """

    note_id: str
    observed_at: int
    received_at: int
    author: str
    source: str
    categories: tuple[Category, ...]
    ward: str | None = None
    borough: str | None = None
    danger_now: bool = False
    exploitation_indicator: bool = False
    missing_hours: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    place: str | None = None
    words: frozenset[str] = frozenset()
    withdrawn: bool = False
    role: SubjectRole = SubjectRole.CHILD_OF_CONCERN
    sole_subject: bool = False
    protected_from: int | None = None
    school_named: bool = False
    apart: bool = False
    event: int | None = None


class ChildFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the child besides the notes. Boroughs are ONS GSS codes.

    Markers are those in force now: the caller leaves out what has expired. `approximate_age` is in years
    on the day `age_as_of`, and is used only where `date_of_birth` is unknown. `kept_id`: the record that the child
    continues as, where several records were merged.
    """

    child_id: int
    date_of_birth: datetime.date | None = None
    approximate_age: float | None = None
    age_as_of: datetime.date | None = None
    looked_after: bool = False
    exploitation_marker: bool = False
    missing_marker: bool = False
    home_borough: str | None = None
    school_borough: str | None = None
    responsible_authority: str | None = None
    open_case_borough: str | None = None
    open_case_lead: str | None = None
    school_known: bool = False
    restricted: bool = False
    kept_id: int | None = None


def significant_words(text: str) -> frozenset[str]:
    """The words that tell one event from another: lower case, no accents, no common words, at most 64."""
    plain = text[:TEXT_READ_CHARACTERS_MAX].casefold()
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", plain)
        plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    # The same words either way; the short cut costs a third of the expression.
    words = plain.translate(_APART).split() if plain.isascii() else _WORD.findall(plain)
    telling = [word for word in dict.fromkeys(words) if len(word) > 2 and word not in _STOP_WORDS]
    return frozenset(telling[:WORDS_PER_NOTE_MAX])


def source_of(author_role: str, ward: str | None, school: str | None = None) -> str:
    """Where a concern comes from. Two officers of one ward team are one source; two wards are two."""
    place = school or ward
    return f"{author_role}:{' '.join(place.casefold().split())}" if place else f"{author_role}:"


def in_danger(facts: Iterable[NoteFact]) -> bool:
    """Whether a note that stands says that the child is in danger now."""
    return any(fact.danger_now and not fact.withdrawn for fact in facts)


def milliseconds(instant: datetime.datetime) -> int:
    """An aware datetime as milliseconds since the epoch, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


def _within_reach(began_at: int, received_at: int) -> int:
    """A phone's clock may run ahead: what has begun had begun by the receipt. Nor was it longer ago than any
    note may tell of."""
    return max(received_at - OBSERVED_BEFORE_MS_MAX, min(began_at, received_at))


def note_fact(
    note: Note,
    subject: int,
    *,
    note_id: str,
    received_at: int,
    author: str,
    author_role: str,
    counted_roles: frozenset[SubjectRole],
    ward: str | None = None,
    school: str | None = None,
    borough: str | None = None,
    withdrawn: bool = False,
) -> NoteFact:
    """The fact that `note` is about its subject number `subject` (from 0).

    `ward`, `school` and `author_role` describe the author; `borough` is where the note was observed.
    Pass `Pack.counted_roles`; `IndexError` if there is no such subject.
    """
    found = note.found_at
    described = note.subjects[subject]
    missing_hours = note.missing.hours if note.missing is not None else None
    began = note.police_protection_from
    categories = note.categories
    if note.missing is not None and Category.MISSING not in categories:
        categories = (*categories, Category.MISSING)
    return NoteFact(
        note_id=note_id,
        observed_at=milliseconds(note.observed_at),
        received_at=received_at,
        author=author,
        source=source_of(author_role, ward, school),
        categories=categories,
        ward=ward,
        borough=borough,
        danger_now=note.danger_now,
        exploitation_indicator=note.exploitation_indicator,
        missing_hours=missing_hours,
        latitude=found.latitude if found is not None else None,
        longitude=found.longitude if found is not None else None,
        place=found.place if found is not None else None,
        words=significant_words(note.saw_or_heard),
        withdrawn=withdrawn,
        role=described.role,
        sole_subject=not any(other.role in counted_roles for other in note.subjects),
        protected_from=None if began is None else _within_reach(milliseconds(began), received_at),
        school_named=bool(described.school),
    )
