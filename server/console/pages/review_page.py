"""One doubtful link side by side: the subject as it was described, and the children that it might be."""

from __future__ import annotations

from server import answering, showing
from server.access.identity import Person
from server.console import words
from server.console.pages.alert_rows import RESTRICTED, Telling, age_of, full_name, shown_name
from server.console.pages.alerts import telling_for
from server.console.pages.columns import gravest
from server.console.pages.comparing import explanation, written
from server.console.pages.note_words import note_entry
from server.console.pages.review_list import GRADES, TAKEN_BACK, stake_words
from server.console.views_review import CANDIDATES_MAX, CandidateColumn, ReviewPage, SubjectColumn
from server.explaining import Compared, Explained, readings_of, values
from server.http.services import Services
from server.linkage.levels import COMPARISONS
from server.records import links, overview
from server.records.links import Action, Event, Review
from server.showing import ReviewShown, described, newest
from server.storage.port import Transaction

NEVER_WEIGHED = "No record was compared with this note yet."
_UNUSED = (("description", "Description"), ("merlin", "Merlin"), ("connect", "CONNECT"))
"""What an officer may write of a child that linkage does not compare."""


def review_page(tx: Transaction, services: Services, person: Person, review_id: int, now: int) -> ReviewPage:
    """The subject beside its candidates. Raises NotAllowed."""
    world = services.worlds.current(tx)
    shown = showing.review(tx, world.decider.model, person, review_id, now=now)
    telling = telling_for(tx, services, person, now)
    weighed = shown.explained.candidates[:CANDIDATES_MAX] if shown.explained else ()
    queue = [one.review_id for one in links.waiting(tx, person)]
    before, after = around(queue, review_id)
    return ReviewPage(
        review_id=review_id,
        rev=rev_of(shown),
        asked_at=shown.review.opened_at,
        why=why_of(shown),
        reason=reason_of(shown),
        stake=stake_words(shown.review),
        danger=shown.review.danger,
        grade=GRADES.get(shown.review.urgency),
        weighed=weighed_words(shown.explained, now) if shown.explained else None,
        subject=subject_column(shown, telling),
        candidates=tuple(
            candidate_column(tx, shown, telling, candidate, position)
            for position, candidate in enumerate(weighed, start=1)
        ),
        new_probability=shown.explained.new_probability if shown.explained else 1.0,
        waiting=len([one for one in queue if one != review_id]),
        decided=decided_words(shown.review, shown, telling),
        can_undo=shown.review.closed_at is not None,
        next_href=f"/reviews/{after}" if after else None,
        previous_href=f"/reviews/{before}" if before else None,
    )


def around(queue: list[int], review_id: int) -> tuple[int | None, int | None]:
    """The reviews before and after this one; after one that no longer waits comes the first of the queue."""
    if review_id not in queue:
        return None, queue[0] if queue else None
    at = queue.index(review_id)
    return (queue[at - 1] if at else None), (queue[at + 1] if at + 1 < len(queue) else None)


def rev_of(shown: ReviewShown) -> int:
    """What the review stood at: the number of its newest decision."""
    return shown.events[-1].event_id if shown.events else 0


def why_of(shown: ReviewShown) -> str:
    """Why a person is asked, in a sentence."""
    last = shown.events[-1] if shown.events else None
    if shown.explained is None:
        return NEVER_WEIGHED
    if last is not None and last.reason == answering.FOR_REVIEW_AGAIN:
        return TAKEN_BACK
    return shown.explained.why


def reason_of(shown: ReviewShown) -> str | None:
    """What agrees and differs with the best candidate; the rule after it is the first sentence already."""
    if shown.explained is None:
        return None
    said, colon, _ = shown.explained.reason.partition(": ")
    return f"{said}." if colon else None


def weighed_words(explained: Explained, now: int) -> str:
    """Which model weighed it, when, and against how many."""
    when = words.inside(words.absolute(int(explained.decided_at.timestamp() * 1000), now))
    compared = words.count(explained.compared, "known child", "known children")
    return f"Weighed {when} by model {explained.model_version}, against {compared}."


def subject_column(shown: ReviewShown, telling: Telling) -> SubjectColumn:
    """The child as the officer described it, every field that linkage compares, and what it does not."""
    said = described(shown.note)
    aged = age_of(said, shown.note.observed_at)
    ours, read = values(said), readings_of(said)
    subject = newest(shown.note).subjects[shown.note.ordinal]
    return SubjectColumn(
        name=f"{full_name(said)}, {aged}" if aged else full_name(said),
        fields=tuple(
            (one.label, written(one.name, ours[one.name]), read.get(one.name)) for one in COMPARISONS
        ),
        unused=tuple(
            (label, value) for field, label in _UNUSED if (value := getattr(subject, field)) is not None
        ),
        note=note_entry(shown.note, telling),
    )


def candidate_column(
    tx: Transaction, shown: ReviewShown, telling: Telling, candidate: Compared, position: int
) -> CandidateColumn:
    """One candidate. Of a restricted record only how well it fits is shown: opening it asks for a reason. Of one
    restricted to others, nothing."""
    child = shown.known.get(candidate.child_id)
    restricted = child is None or child.circumstances.restricted
    assert shown.explained is not None
    rulings = [
        event
        for event in shown.events
        if event.child_id == candidate.child_id and event.action is Action.NOT_SAME
    ]
    notes = 0 if candidate.closed else overview.notes_on(tx, [candidate.child_id]).get(candidate.child_id, 0)
    return CandidateColumn(
        child_id=candidate.child_id,
        position=position,
        name=RESTRICTED if candidate.closed else shown_name(child),
        age=None if restricted or child is None else age_of(child.details, telling.now),
        explanation=explanation(candidate, version=shown.explained.model_version),
        notes=notes,
        flags=() if restricted else gravest(tx, candidate.child_id),
        ruled_out=ruled_out_words(rulings[-1], telling) if candidate.child_id in shown.ruled_out else None,
        closed=candidate.closed,
    )


def ruled_out_words(event: Event, telling: Telling) -> str:
    """Who said "not the same child", and when."""
    when = words.inside(words.absolute(event.at, telling.now))
    return f"{telling.names.name(event.author)} said: not the same, {when}."


def decided_words(review: Review, shown: ReviewShown, telling: Telling) -> str | None:
    """What was decided and by whom, None while it waits."""
    if review.closed_at is None:
        return None
    who = telling.names.name(review.closed_by or "")
    when = words.inside(words.absolute(review.closed_at, telling.now))
    kind, _, number = (review.answer or "").partition(":")
    if kind == "same":
        child = shown.known.get(int(number)) if number.isdigit() else None
        return f"{who} decided {when}: the same child as {shown_name(child)}."
    if kind == "new":
        return f"{who} decided {when}: a new child."
    return f"{who} could not tell, {when}. The note keeps a record of its own."
