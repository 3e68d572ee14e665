"""Which boroughs a record belongs to: a function of its circumstances and of the notes that stand on it."""

from collections.abc import Mapping, Sequence

import msgspec

from server.audit import impersonal
from server.casework.facts import ChildFacts, NoteFact
from server.casework.pack import Pack
from server.casework.routing import Ownership, route
from server.records import children, transfers
from server.records.whole import WHOLE
from server.storage.port import Transaction


class _Place(msgspec.Struct, frozen=True):
    """Where a note was made and by whom, as borough codes."""

    found: str | None
    author: str | None


@impersonal("borough codes beside a child's number; showing the child is what is logged")
def settle(tx: Transaction, child: ChildFacts, facts: Sequence[NoteFact], pack: Pack) -> Ownership:
    """Make a record's owner and the boroughs that may see it what its circumstances and notes say. Who owns it.

    Each note brings what it brought when it came: its owner then, the copies, where it was made, its author. The
    owner stays while a duty of its own is live: a transfer needs acceptance, and the sender owns until then.
    """
    wanted = {
        code
        for code in (
            child.home_borough,
            child.school_borough,
            child.responsible_authority,
            child.open_case_borough,
        )
        if code
    } | transfers.concerned(tx, child.child_id)
    places = _places(tx, child.child_id)
    for fact in facts:
        place, ownership = places[fact.note_id], _route(child, fact, places, pack)
        wanted |= {ownership.owner, *ownership.copies}
        wanted |= {code for code in (place.found, fact.borough, place.author) if code}
    children.set_boroughs(tx, child.child_id, wanted)
    owned = _owned(child, facts, places, pack)
    live = tx.row(
        "SELECT 1 FROM alert a JOIN child c ON c.child_id = a.child_id AND c.owner_borough = a.borough"
        " WHERE a.child_id = :child AND a.joint = 0 AND a.state <> 'closed' LIMIT 1",
        {"child": child.child_id},
    )
    if live is None:
        children.set_owner(tx, child.child_id, owned.owner)
    return owned


@impersonal("a borough code")
def owner(tx: Transaction, child: ChildFacts, facts: Sequence[NoteFact], pack: Pack) -> Ownership:
    """Who owns a child with these notes, which stand on any of its records: the newest that counts decides."""
    return _owned(child, facts, _places(tx, child.child_id), pack)


def _owned(
    child: ChildFacts, facts: Sequence[NoteFact], places: Mapping[str, _Place], pack: Pack
) -> Ownership:
    newest = _newest(facts)
    return _route(child, newest, places, pack) if newest else route(child, None, False, None, pack)


def _newest(facts: Sequence[NoteFact]) -> NoteFact | None:
    """The last of the notes, which come in the order received, that was not withdrawn; else the last."""
    return next((fact for fact in reversed(facts) if not fact.withdrawn), facts[-1] if facts else None)


def _route(child: ChildFacts, fact: NoteFact, places: Mapping[str, _Place], pack: Pack) -> Ownership:
    place = places[fact.note_id]
    # An amendment may say another place, which the fact has; without any, the fact has the author's borough.
    found = fact.borough if place.found or fact.borough != place.author else None
    return route(child, found, fact.danger_now, place.author, pack)


def _places(tx: Transaction, child_id: int) -> dict[str, _Place]:
    rows = tx.rows(
        "SELECT DISTINCT n.note_id, n.found_borough, n.author_borough FROM subject s"
        f" JOIN note n ON n.note_key = s.note_key WHERE s.child_id IN {WHOLE}",
        {"child": child_id},
    )
    return {note_id: _Place(found, author) for note_id, found, author in rows}
