"""A concern note, exactly as it travels and as it is kept. Notes are immutable: see `operations`.

Facts and assessment are separate fields because the Data Protection Act 2018, section 38(2), asks that
personal data based on facts be kept apart from personal data based on personal assessments.
"""

import datetime
from typing import Annotated

import msgspec

from sync import limits
from sync.media import MediaKind
from sync.vocabulary import Category, ChildSeen, RiskLevel, Sex, SubjectRole

NO_NUL = r"^[^\x00]*$"
"""Any script, any symbol, any control character but NUL: no keyboard makes one, and PostgreSQL keeps none."""
Text = Annotated[str, msgspec.Meta(max_length=limits.TEXT_CHARACTERS_MAX, pattern=NO_NUL)]
Line = Annotated[str, msgspec.Meta(max_length=limits.SHORT_TEXT_CHARACTERS_MAX, pattern=NO_NUL)]
Instant = Annotated[datetime.datetime, msgspec.Meta(tz=True)]
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Metres = Annotated[float, msgspec.Meta(ge=0, le=100_000)]
Years = Annotated[float, msgspec.Meta(ge=0, le=130)]
"""Of anybody in a note: a suspect may be grown up."""
Hours = Annotated[float, msgspec.Meta(ge=0, le=25 * 24 * 366)]
"""Some children are missing for years."""
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
"""In hex. Without `(?!\\n)` the `$` would let a last newline pass."""


class Attached(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A photograph or recording that belongs to a note: known by the digest of its bytes, which travel apart."""

    sha256: Sha256
    kind: MediaKind | None = None
    taken_at: Instant | None = None
    """When it was taken, by the device's clock."""


Attachments = Annotated[tuple[Attached, ...], msgspec.Meta(max_length=limits.BLOBS_PER_OP_MAX)]


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where it was seen: a position (degrees, WGS 84; accuracy in metres), a typed place, or both."""

    latitude: Latitude | None = None
    longitude: Longitude | None = None
    accuracy_m: Metres | None = None
    place: Line | None = None
    borough: Line | None = None
    """GSS code, where the officer chose the borough by hand."""


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One person in this note, described as far as the officer knows. Everything may be missing."""

    role: SubjectRole = SubjectRole.CHILD_OF_CONCERN
    given_names: Line | None = None
    family_name: Line | None = None
    aliases: Annotated[tuple[Line, ...], msgspec.Meta(max_length=limits.ALIASES_PER_SUBJECT_MAX)] = ()
    date_of_birth: datetime.date | None = None
    approximate_age: Years | None = None
    """In years, on the day it was observed."""
    sex: Sex | None = None
    address: Line | None = None
    postcode: Line | None = None
    school: Line | None = None
    phone: Line | None = None
    guardian: Line | None = None
    upn: Line | None = None
    nhs_number: Line | None = None
    merlin: Line | None = None
    connect: Line | None = None
    description: Line | None = None
    """Anything that tells this child from another: clothing, a scar, who they were with."""


class MissingEpisode(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One missing episode: how long so far, in hours, and the risk level that was set."""

    hours: Hours | None = None
    risk_level: RiskLevel | None = None
    returned: bool | None = None


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body of a `note.write` op."""

    observed_at: Instant
    """When it was seen, by the officer's account. Device time: an annotation, never an order."""
    recorded_at: Instant
    """When it was written, by the device's clock as the server last put it right (`timing`)."""
    category: Category
    other_categories: Annotated[
        tuple[Category, ...], msgspec.Meta(max_length=limits.CATEGORIES_PER_NOTE_MAX)
    ] = ()
    saw_or_heard: Text = ""
    assessment: Text = ""
    voice_of_child: Text = ""
    demeanour: Text = ""
    child_seen: ChildSeen | None = None
    not_seen_reason: Text = ""
    danger_now: bool = False
    action_taken: Text = ""
    police_protection_from: Instant | None = None
    """When police protection began (Children Act 1989, section 46), where it was taken."""
    found_at: Place | None = None
    missing: MissingEpisode | None = None
    exploitation_indicator: bool = False
    """The officer saw a sign of exploitation, whatever the category."""
    subjects: Annotated[
        tuple[Subject, ...], msgspec.Meta(min_length=1, max_length=limits.SUBJECTS_PER_NOTE_MAX)
    ]
    attachments: Attachments = ()

    @property
    def categories(self) -> tuple[Category, ...]:
        """The primary category first, then the others, none twice."""
        return tuple(dict.fromkeys((self.category, *self.other_categories)))


class Amendment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body of a `note.amend` op: what the author adds to, or corrects in, a note of theirs.

    The note itself never changes; concurrent amendments all stand, in the order the server received them.
    A `note` replaces how the note reads for linkage and rules; `text` is shown beneath it.
    """

    recorded_at: Instant
    reason: Text
    text: Text = ""
    note: Note | None = None
    attachments: Attachments = ()
    """More photographs or recordings for the note. None is ever taken away from it."""


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a `note.withdraw` op: the note was written in error. It stays on record, marked so."""

    recorded_at: Instant
    reason: Text
