"""Whose is it: one owner, and a copy for every other borough that has to do with the child.

In this order:

1. danger now: where the child was found;
2. looked after, or an open case: the responsible authority, or the borough that has the case. An open case
   goes to its lead (`Ownership.lead`) and not to the front door again;
3. home;
4. where the child was found;
5. school, then the author's borough, so that a note with nothing known is still somebody's.

A borough of another force cannot own a note here: the owner is then `OTHER_FORCE`, the queue from which notes
go to other forces, and every borough of this force that has to do with the child gets its copy.
"""

import msgspec

from server.casework.boroughs import Force
from server.casework.facts import ChildFacts
from server.casework.pack import Pack

OTHER_FORCE = "other-force"
"""The owner of what belongs to no borough of this force."""

OPEN_CASE = "Open case"
"""How the reason begins where the borough that has the child's open case owns a note."""


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns a note about a child.

    `owner` is a GSS code of this force or `OTHER_FORCE`; `copies` are others of the same kind, without the
    owner, in a fixed order; `reason` is one sentence of places and rules, never of people. `lead` is the id
    of the person who has the open case, where the duty goes to that person; `destination` is the other
    force's borough (GSS code) when the owner is `OTHER_FORCE`, if known.
    """

    owner: str
    reason: str
    copies: tuple[str, ...] = ()
    lead: str | None = None
    destination: str | None = None


def route(
    child: ChildFacts,
    found_borough: str | None,
    danger_now: bool,
    author_borough: str | None,
    pack: Pack,
) -> Ownership:
    """The owner of a note about `child`, found in `found_borough`. All boroughs are GSS codes or None."""
    force = pack.force
    borough, why, lead = _owner(child, found_borough, danger_now, author_borough)
    if borough is None:
        return Ownership(owner=OTHER_FORCE, reason="No borough is known: the other-force queue decides.")
    owner = borough if force.polices(borough) else OTHER_FORCE
    copies = _copies(child, found_borough, owner, force)
    if owner == OTHER_FORCE:
        reason = f"{why}: {force.name_of(borough)}, outside the force, so the other-force queue"
        if not copies and force.polices(author_borough) and author_borough is not None:
            copies = (author_borough,)
        return Ownership(owner=owner, reason=reason, copies=copies, lead=lead, destination=borough)
    return Ownership(owner=owner, reason=f"{why}: {force.name_of(borough)}", copies=copies, lead=lead)


def _owner(
    child: ChildFacts, found_borough: str | None, danger_now: bool, author_borough: str | None
) -> tuple[str | None, str, str | None]:
    """The borough by the rule, the words for it, and the lead of the open case where it decided."""
    if danger_now and found_borough:
        return found_borough, "In danger now, where the child was found", None
    open_case = bool(child.open_case_borough or child.open_case_lead)
    if child.looked_after or open_case:
        borough = child.responsible_authority or child.open_case_borough
        if borough:
            lead = child.open_case_lead if open_case else None
            if child.responsible_authority:
                reason = "looked after" if child.looked_after else "open case"
                return borough, f"Responsible authority ({reason})", lead
            return borough, OPEN_CASE, lead
    for borough, why in (
        (child.home_borough, "Home"),
        (found_borough, "Where the child was found"),
        (child.school_borough, "School, as nothing nearer is known"),
        (author_borough, "The author's borough, as nothing else is known"),
    ):
        if borough:
            lead = child.open_case_lead if open_case else None
            return borough, why, lead
    return None, "", None


def _copies(child: ChildFacts, found_borough: str | None, owner: str, force: Force) -> tuple[str, ...]:
    """Every other queue that has to do with the child, each once."""
    known = (
        child.responsible_authority,
        child.open_case_borough,
        child.home_borough,
        found_borough,
        child.school_borough,
    )
    queues = dict.fromkeys(borough if force.polices(borough) else OTHER_FORCE for borough in known if borough)
    queues.pop(owner, None)
    return tuple(queues)
