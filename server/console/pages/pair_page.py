"""Proposals as pages: the list by what is at stake, and one pair side by side."""

from __future__ import annotations

from server import duplicates, merging
from server.access.identity import Person
from server.console import words
from server.console.pages.alert_rows import RESTRICTED, Telling, age_of, first_name
from server.console.pages.alerts import place_of, telling_for
from server.console.pages.columns import other_column, this_column
from server.console.pages.review_list import GRADES
from server.console.pages.review_page import around
from server.console.views_same import PairListPage, PairPage, PairRow
from server.http.services import Services
from server.records import children_shown, merges
from server.records.child import Child
from server.records.merges import PROPOSALS_SHOWN_MAX, Proposal
from server.storage.port import Transaction

PAIRS_LISTED_MAX = 50
"""More than a person decides in a shift; what is most at stake comes first."""

PROGRAMS = ("system", "device")
ANSWERS = {
    merging.SAME: "the same child",
    merging.NOT_SAME: "not the same child",
    merging.CANNOT_TELL: "cannot tell",
}


def list_page(tx: Transaction, services: Services, person: Person, now: int) -> PairListPage:
    """What waits for this person. Each record whose first name is shown is logged."""
    found = merges.waiting(tx, person)
    shown = found[:PAIRS_LISTED_MAX]
    known = children_shown.names(tx, person, sorted({i for one in shown for i in _ids(one)}), now=now)
    return PairListPage(
        heading=f"May be one child, {place_of(services, person)}",
        rows=tuple(_row(one, known, now) for one in shown),
        capped=len(found) > PAIRS_LISTED_MAX,
    )


def _ids(proposal: Proposal) -> tuple[int, int]:
    return proposal.child_a, proposal.child_b


def _row(proposal: Proposal, known: dict[int, Child], now: int) -> PairRow:
    one, other = (known.get(child_id) for child_id in _ids(proposal))
    hidden = any(child is None or child.circumstances.restricted for child in (one, other))
    return PairRow(
        proposal_id=proposal.proposal_id,
        child_ids=_ids(proposal),
        one=_named(one, proposal.child_a, now),
        other=_named(other, proposal.child_b, now),
        # Which fields agree would tell what a restricted record says.
        why="Opening it asks for a reason." if hidden else sentence(proposal.reason),
        asked_at=proposal.proposed_at,
        probability=None if hidden else proposal.probability,
        danger=proposal.danger,
        grade=GRADES.get(proposal.urgency),
    )


def _named(child: Child | None, child_id: int, now: int) -> str:
    if child is None or child.circumstances.restricted:
        return RESTRICTED
    details = child.record(child_id).details if child.records else child.details
    aged = age_of(details, now)
    return f"{first_name(details)}, {aged}" if aged else first_name(details)


def pair_page(
    tx: Transaction, services: Services, person: Person, proposal_id: int, now: int, reason: str | None
) -> PairPage:
    """One proposal. Raises NotAllowed and ReasonNeeded."""
    decider = services.worlds.current(tx).decider
    shown = duplicates.proposed(tx, decider, person, proposal_id, now=now, reason=reason)
    telling, asked = telling_for(tx, services, person, now), shown.proposal
    queue = [one.proposal_id for one in merges.waiting(tx, person)]
    before, after = around(queue, proposal_id)
    others = len([one for one in queue if one != proposal_id])
    return PairPage(
        proposal_id=proposal_id,
        asked_at=asked.proposed_at,
        author=f"Proposed by {'linkage' if asked.author in PROGRAMS else telling.names.name(asked.author)}",
        why=sentence(asked.reason),
        danger=asked.danger,
        grade=GRADES.get(asked.urgency),
        one=this_column(tx, shown.one, asked.child_a, telling),
        other=other_column(
            tx, shown.one.record(asked.child_a).details, shown.other, asked.child_b, shown.compared, telling,
            version=shown.model_version,
        ),
        access_reason=reason or "",
        waiting=min(others, PROPOSALS_SHOWN_MAX),
        decided=decided_words(asked, telling),
        can_undo=asked.closed_at is not None,
        next_href=f"/pairs/{after}" if after else None,
        previous_href=f"/pairs/{before}" if before else None,
    )  # fmt: skip


def decided_words(asked: Proposal, telling: Telling) -> str | None:
    """What was decided and by whom, None while it waits."""
    if asked.closed_at is None:
        return None
    when = words.inside(words.absolute(asked.closed_at, telling.now))
    return f"{telling.names.name(asked.closed_by or '')} decided {when}: {ANSWERS[asked.answer or '']}."


def sentence(reason: str) -> str:
    """A reason as it was given, made a sentence."""
    return (reason[:1].upper() + reason[1:]).rstrip(".") + "."
