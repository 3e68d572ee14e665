"""The rule on restricted records: who may open one, and that they say why first.

A restricted record (a child of an officer, a protected address) is never linked automatically, its details
are left out of lists, and opening it asks for a permission and a reason. The reason is kept in words beside
the audit log, whose entries hold only ids.
"""

from __future__ import annotations

from enum import StrEnum

from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.access.policy import Permission

REASON_LENGTH_MIN = 8  # "checking" is a reason of sorts; "x" is not
REASON_LENGTH_MAX = 500


class Showing(StrEnum):
    """What a person may be shown of a record."""

    WHOLE = "whole"
    ASK_REASON = "ask_reason"
    WITHHELD = "withheld"


def showing(person: Person, *, restricted: bool, reason: str | None) -> Showing:
    """Decide from the record's mark, the person's permission and the reason they gave."""
    if not restricted:
        return Showing.WHOLE
    if not person.may(Permission.SEE_RESTRICTED):
        return Showing.WITHHELD
    return Showing.WHOLE if plain_reason(reason) is not None else Showing.ASK_REASON


def plain_reason(reason: str | None) -> str | None:
    """The reason trimmed and cut to its limit, or `None` when too little was said."""
    text = " ".join((reason or "").replace("\0", " ").split())[:REASON_LENGTH_MAX]
    return text if len(text) >= REASON_LENGTH_MIN else None


def require(person: Person, *, restricted: bool, reason: str | None) -> None:
    """Raise `NotAllowed` or `ReasonNeeded` unless the record may be shown whole."""
    answer = showing(person, restricted=restricted, reason=reason)
    if answer is Showing.WITHHELD:
        raise NotAllowed("This record is restricted.")
    if answer is Showing.ASK_REASON:
        raise ReasonNeeded("This record is restricted: a reason is needed to open it.")
