"""The list of doubtful links: what is at stake in words, what waits too long, and how much is left to a person."""

from __future__ import annotations

from server.access.identity import Person
from server.access.policy import Permission
from server.console import words
from server.console.pages.alert_rows import RESTRICTED, age_of, first_name
from server.console.pages.alerts import place_of
from server.console.views import Grade, ShareWords
from server.console.views_review import CANDIDATES_MAX, ReviewListPage, ReviewRow
from server.http.services import Services
from server.linkage.explain import why
from server.linkage.identifiable import REVIEW_SHARE_MAX
from server.linkage.model import Model
from server.records import children_shown, links, overview, reviewing
from server.records.child import Child
from server.records.links import Review
from server.records.reviewing import AlertClock
from server.storage.port import Transaction
from sync.vocabulary import Grade as StoredGrade

REVIEWS_LISTED_MAX = 50
"""More than a person decides in a shift; what is most at stake comes first."""

GRADES: dict[int, Grade] = {grade.urgency: grade.value for grade in StoredGrade}
TAKEN_BACK = "A person took the note off a record. Whose is it?"


def list_page(tx: Transaction, services: Services, person: Person, now: int) -> ReviewListPage:
    """The list; each row names the subject as the note does."""
    waiting = links.waiting(tx, person)[:REVIEWS_LISTED_MAX]
    holders = [review.holding_child_id for review in waiting]
    known = children_shown.names(tx, person, holders, now=now)
    clocks = reviewing.clocks(tx, holders)
    world = services.worlds.current(tx)
    midnight = words.local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    supervises = person.may(Permission.SUPERVISE)
    late = (
        reviewing.overdue(tx, person, world.pack.allowed_ms(person.borough), now=now) if supervises else None
    )
    return ReviewListPage(
        heading=f"Links in doubt, {place_of(services, person)}",
        rows=tuple(
            _row(tx, world.decider.model, review, known.get(review.holding_child_id), clocks, now)
            for review in waiting
        ),
        decided_today=overview.reviews_decided(tx, person, since=int(midnight.timestamp() * 1000)),
        share=share_words(tx, person, now=now) if supervises else None,
        overdue=late.number if late else None,
        overdue_since=late.oldest_at if late else None,
    )


def _row(
    tx: Transaction,
    model: Model,
    review: Review,
    holder: Child | None,
    clocks: dict[int, AlertClock],
    now: int,
) -> ReviewRow:
    decision = next(
        (event.evidence for event in reversed(links.history(tx, review.subject_id)) if event.evidence), None
    )
    hidden = holder is None or holder.circumstances.restricted
    aged = None if hidden or holder is None else age_of(holder.details, now)
    name = RESTRICTED if hidden or holder is None else first_name(holder.details)
    clock = clocks.get(review.holding_child_id)
    return ReviewRow(
        review_id=review.review_id,
        asked_at=review.opened_at,
        subject=f"{name}, {aged}" if aged else name,
        stake=f"seen {words.inside(words.ago(review.noted_at, now))}",
        # A rival's lead is told where the rival may be seen: on the review itself.
        why=why(decision, model, discreet=True) if decision else TAKEN_BACK,
        candidates=min(len(decision.candidates), CANDIDATES_MAX) if decision else 0,
        danger=review.danger,
        grade=GRADES.get(review.urgency),
        raised_at=clock.raised_at if clock else None,
        deadline_at=clock.deadline_at if clock else None,
        acknowledged_at=clock.acknowledged_at if clock else None,
    )


def share_words(tx: Transaction, person: Person, *, now: int) -> ShareWords:
    """How much of what could be known linkage left to a person, in this person's boroughs."""
    found = reviewing.share(tx, person, now=now)
    return ShareWords(
        identifiable=found.identifiable,
        left=found.left,
        share=found.share,
        most=REVIEW_SHARE_MAX,
        too_much=found.too_much,
        days=reviewing.SHARE_DAYS,
    )


def stake_words(review: Review) -> str:
    """Why a review stands where it does, in a sentence; the grade's badge and the danger stand beside it."""
    if review.danger:
        return "Danger now comes before everything else."
    grade = GRADES.get(review.urgency)
    return f"{grade.capitalize()} reviews come oldest first." if grade else ""
