"""What has come to be known since a person said "not the same": the new evidence on which the question reopens.

Pure: takes both standardised descriptions as they were and as they are.
"""

from __future__ import annotations

import msgspec

from server.linkage.standardise import Record

_OFFICIAL = {"UPN": "upn", "NHS number": "nhs_number"}
_FIELDS = {
    "the name": ("given", "family", "aliases"),
    "the date of birth or age": ("born", "born_from", "born_to"),
    "the sex": ("sex",),
    "the address": ("number", "address", "postcode", "outward"),
    "the school": ("school",),
    "the phone": ("phone",),
    "the guardian": ("guardian",),
}


class Basis(msgspec.Struct, frozen=True, array_like=True):
    """The two descriptions that a decision compared."""

    one: Record
    other: Record


def new_evidence(before: Basis, now: Basis) -> str | None:
    """What is new since, in words without values; None where the decision stands on all that is known.

    New evidence is an official number on either side that was not there, or a change on either side of a field
    that was known on both, for on such fields the decision rested. A field that one side lacked says nothing.
    """
    for words, name in _OFFICIAL.items():
        for was, is_ in ((before.one, now.one), (before.other, now.other)):
            if getattr(is_, name) and getattr(is_, name) != getattr(was, name):
                return words
    for words, names in _FIELDS.items():
        if not (_known(before.one, names) and _known(before.other, names)):
            continue
        if _values(before.one, names) != _values(now.one, names):
            return words
        if _values(before.other, names) != _values(now.other, names):
            return words
    return None


def _values(record: Record, names: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in names)


def _known(record: Record, names: tuple[str, ...]) -> bool:
    return any(_values(record, names))
