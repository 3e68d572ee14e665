"""What is known of a child: the shapes, and several records put together as the one child they are."""

import datetime
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

from server.audit import impersonal
from server.linkage.standardise import Description


class Standing(StrEnum):
    """How sure the server is that this is a child of its own."""

    KNOWN = "known"
    """In the registry, or confirmed by a person."""
    PROVISIONAL = "provisional"
    """Made by linkage for a subject that is no known child; the next note may find it."""
    AWAITING_REVIEW = "awaiting_review"
    """Carries one subject's flags and alerts until a person has said which child it is."""
    RETIRED = "retired"
    """Its subjects turned out to be another child; kept for what points to it."""


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a child, as written by whoever gave it. Everything may be missing."""

    given_names: str | None = None
    family_name: str | None = None
    aliases: tuple[str, ...] = ()
    date_of_birth: datetime.date | None = None
    approximate_age: float | None = None
    age_as_of: datetime.date | None = None
    sex: str | None = None
    address: str | None = None
    postcode: str | None = None
    school: str | None = None
    phone: str | None = None
    guardian: str | None = None
    upn: str | None = None
    nhs_number: str | None = None

    def description(self) -> Description:
        """The same for linkage."""
        return Description(
            given_names=self.given_names,
            family_name=self.family_name,
            aliases=self.aliases,
            date_of_birth=self.date_of_birth,
            age=self.approximate_age,
            observed_on=self.age_as_of,
            sex=self.sex,
            address=self.address,
            postcode=self.postcode,
            school=self.school,
            phone=self.phone,
            guardian=self.guardian,
            upn=self.upn,
            nhs_number=self.nhs_number,
        )


encode_details = msgspec.json.Encoder().encode


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which borough owns a child, beside where they were found. GSS codes."""

    home_borough: str | None = None
    school_borough: str | None = None
    responsible_authority: str | None = None
    looked_after: bool = False
    restricted: bool = False

    def owner(self) -> str | None:
        """The borough that owns the child while no note has said otherwise."""
        authority = self.responsible_authority if self.looked_after else None
        return authority or self.home_borough

    def boroughs(self) -> tuple[str, ...]:
        """Every borough that has to do with the child."""
        named = (self.home_borough, self.school_borough, self.responsible_authority)
        return tuple(code for code in dict.fromkeys(named) if code)


class Marker(msgspec.Struct, frozen=True):
    """An attribute of a child with author, reason and expiry."""

    marker_id: int
    kind: str
    reason: str
    author: str
    set_at: int
    expires_at: int | None


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A child as a person may be shown one."""

    child_id: int
    standing: Standing
    registry_id: str | None
    details: Details
    circumstances: Circumstances
    owner_borough: str | None
    markers: tuple[Marker, ...]
    rev: int
    created_at: int
    left_registry_at: int | None = None
    """Since when the registry has left out a child that it once had, in milliseconds."""
    records: tuple["Child", ...] = ()
    """Of a merged child each record by itself, the kept one first; empty where nothing was merged."""

    def record(self, child_id: int) -> "Child":
        """One record of this child by itself."""
        return next((one for one in self.records if one.child_id == child_id), self)


@impersonal("reads nothing: puts records that were read into one")
def together(records: Sequence[Child]) -> Child:
    """Several records as the one child they are: the first, its gaps filled from the others in their order."""
    kept_record, *others = records
    if not others:
        return kept_record
    details, circumstances = kept_record.details, kept_record.circumstances
    aliases = list(details.aliases)
    for other in others:
        called = " ".join(part for part in (other.details.given_names, other.details.family_name) if part)
        mine = " ".join(part for part in (details.given_names, details.family_name) if part)
        aliases += [name for name in (called, *other.details.aliases) if name and name != mine]
        details, circumstances = _filled(details, other.details), _filled(circumstances, other.circumstances)
    standing = next(
        (one.standing for one in records if one.standing is not Standing.RETIRED), kept_record.standing
    )
    return msgspec.structs.replace(
        kept_record,
        standing=standing,
        details=msgspec.structs.replace(details, aliases=tuple(dict.fromkeys(aliases))),
        circumstances=circumstances,
        markers=tuple(marker for one in records for marker in one.markers),
        records=tuple(records),
    )


_Known = TypeVar("_Known", Details, Circumstances)


def _filled(known: _Known, other: _Known) -> _Known:
    """What is known, and what only the other knows."""
    gaps = {
        name: value
        for name in known.__struct_fields__
        if not getattr(known, name) and (value := getattr(other, name))
    }
    return msgspec.structs.replace(known, **gaps)
