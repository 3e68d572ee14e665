"""Doubtful links: the list, one beside its candidates, the decision, and taking it back."""

from __future__ import annotations

import datetime

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from server import placing, showing
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.console import words
from server.console.pages.alert_rows import RESTRICTED, Telling, age_of, first_name, full_name, shown_name
from server.console.pages.alerts import place_of, telling_for
from server.console.pages.comparing import explanation, rule_of
from server.console.pages.note_words import note_entry
from server.console.pages.web import (
    FORM_BYTES_MAX,
    AnyRequest,
    Form,
    Page,
    form_of,
    go,
    known_number,
    missing,
    page,
    said_cookie,
    shell,
)
from server.console.views import Grade, Shell
from server.console.views_child import FlagWords
from server.console.views_review import (
    CANDIDATES_MAX,
    CandidateColumn,
    ReviewListPage,
    ReviewPage,
    ReviewRow,
    SubjectColumn,
)
from server.explaining import Compared
from server.http.auth import requires
from server.http.problems import BAD_REQUEST, Problem
from server.http.services import Services
from server.placing import ReviewClosed, World
from server.records import cases, children, links, overview
from server.records.links import Action, Event, Review
from server.showing import ReviewShown, described
from server.storage.port import Transaction
from sync.vocabulary import Grade as StoredGrade

REVIEWS_LISTED_MAX = 50
"""More than a person decides in a shift; the most urgent and oldest come first."""

_GRADES: dict[int, Grade] = {grade.urgency: grade.value for grade in StoredGrade}
TAKEN_BACK = "A person took the note off a record. Whose is it?"
NEVER_WEIGHED = "No record was compared with this note yet."


@get("/reviews", guards=[requires(Permission.DECIDE_LINKS)], include_in_schema=False)
async def reviews(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """What waits for somebody with this person's boroughs, the most urgent first."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, ReviewListPage]:
        return shell(tx, request, person, "reviews", now=now), list_page(tx, services, person, now)

    return page("reviews.html", *await services.store.read(look))


def list_page(tx: Transaction, services: Services, person: Person, now: int) -> ReviewListPage:
    """The list; each row names the subject as the note does."""
    waiting = links.waiting(tx, person)[:REVIEWS_LISTED_MAX]
    holders = children.names(tx, person, [review.holding_child_id for review in waiting], now=now)
    midnight = words.local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = []
    for review in waiting:
        decision = next(
            (event.evidence for event in reversed(links.history(tx, review.subject_id)) if event.evidence),
            None,
        )
        holder = holders.get(review.holding_child_id)
        hidden = holder is None or holder.circumstances.restricted
        aged = None if hidden or holder is None else age_of(holder.details, now)
        name = RESTRICTED if hidden or holder is None else first_name(holder.details)
        rows.append(
            ReviewRow(
                review_id=review.review_id,
                asked_at=review.opened_at,
                subject=f"{name}, {aged}" if aged else name,
                why=f"{decision.reason}." if decision else TAKEN_BACK,
                candidates=min(len(decision.candidates), CANDIDATES_MAX) if decision else 0,
                best=decision.probability if decision else 0.0,
                grade=_GRADES.get(review.urgency),
            )
        )
    return ReviewListPage(
        heading=f"Links in doubt, {place_of(services, person)}",
        rows=tuple(rows),
        decided_today=overview.reviews_decided(tx, person, since=int(_timestamp(midnight))),
    )


def _timestamp(moment: datetime.datetime) -> float:
    return moment.timestamp() * 1000


@get("/reviews/{review_id:int}", guards=[requires(Permission.DECIDE_LINKS)], include_in_schema=False)
async def review(
    request: AnyRequest,
    review_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """One doubtful link, side by side."""
    now, review_id = now_ms(), known_number(review_id)

    def look(tx: Transaction) -> tuple[Shell, ReviewPage]:
        return shell(tx, request, person, "reviews", now=now), review_page(
            tx, services, person, review_id, now
        )

    try:
        frame, view = await services.store.read(look)
    except NotAllowed as error:
        raise missing(error) from None
    return page("review.html", frame, view)


def review_page(tx: Transaction, services: Services, person: Person, review_id: int, now: int) -> ReviewPage:
    """The subject beside its candidates. Raises NotAllowed."""
    world = services.worlds.current(tx)
    shown = showing.review(tx, world.decider.model, person, review_id, now=now)
    telling = telling_for(tx, services, person, now)
    weighed = shown.explained.candidates[:CANDIDATES_MAX] if shown.explained else ()
    said = described(shown.note)
    aged = age_of(said, shown.note.observed_at)
    candidates = tuple(
        candidate_column(tx, shown, telling, candidate, position)
        for position, candidate in enumerate(weighed, start=1)
    )
    fields = candidates[0].explanation.fields if candidates else ()
    others = [one for one in links.waiting(tx, person) if one.review_id != review_id]
    return ReviewPage(
        review_id=review_id,
        rev=rev_of(shown),
        asked_at=shown.review.opened_at,
        why=why_of(shown),
        subject=SubjectColumn(
            name=f"{full_name(said)}, {aged}" if aged else full_name(said),
            fields=tuple((field.label, field.described) for field in fields),
            note=note_entry(shown.note, telling),
        ),
        candidates=candidates,
        new_probability=shown.explained.new_probability if shown.explained else 1.0,
        waiting=len(others),
        decided=decided_words(shown.review, shown, telling),
        can_undo=shown.review.closed_at is not None,
        next_href=f"/reviews/{others[0].review_id}" if others else None,
    )


def rev_of(shown: ReviewShown) -> int:
    """What the review stood at: the number of its newest decision."""
    return shown.events[-1].event_id if shown.events else 0


def why_of(shown: ReviewShown) -> str:
    """Why a person is asked, in a sentence."""
    last = shown.events[-1] if shown.events else None
    if shown.explained is None:
        return NEVER_WEIGHED
    if last is not None and last.reason == placing.FOR_REVIEW_AGAIN:
        return TAKEN_BACK
    return f"{shown.explained.reason}."


def candidate_column(
    tx: Transaction, shown: ReviewShown, telling: Telling, candidate: Compared, position: int
) -> CandidateColumn:
    """One candidate. Of a restricted record only how well it fits is shown: opening it asks for a reason."""
    child = shown.known.get(candidate.child_id)
    restricted = child is None or child.circumstances.restricted
    assert shown.explained is not None
    out = next(
        (e for e in shown.events if e.action is Action.NOT_SAME and e.child_id == candidate.child_id), None
    )
    flags = () if restricted else cases.flags_of(tx, candidate.child_id)
    return CandidateColumn(
        child_id=candidate.child_id,
        position=position,
        name=shown_name(child),
        age=None if restricted or child is None else age_of(child.details, telling.now),
        explanation=explanation(
            candidate,
            restricted=restricted,
            version=shown.explained.model_version,
            rule=rule_of(shown.explained) if position == 1 else None,
        ),
        notes=overview.notes_on(tx, [candidate.child_id]).get(candidate.child_id, 0),
        flags=tuple(
            FlagWords(flag_id=flag.flag_id, label=flag.sentence, grade=flag.grade.value)
            for flag in sorted(flags, key=lambda flag: -flag.grade.urgency)[:1]
        ),
        ruled_out=None if out is None else ruled_out_words(out, telling),
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


@post(
    "/reviews/{review_id:int}/decision",
    guards=[requires(Permission.DECIDE_LINKS)],
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
)
async def decide(
    request: AnyRequest,
    review_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Take the decision, then go to the next review; ruling one candidate out stays with this one."""
    form, review_id, now = await form_of(request), known_number(review_id), now_ms()
    kind, child_id = decision_of(form)
    reason = " ".join(form.text("reason").split()) or None

    def answer(tx: Transaction) -> int | None:
        asked = links.require_review(tx, person, review_id)
        events = links.history(tx, asked.subject_id)
        rev = form.number("rev")
        if rev is not None and events and rev != events[-1].event_id:
            raise ReviewClosed
        _answer(tx, services.worlds.current(tx), person, review_id, kind, child_id, now, reason)
        waiting = links.waiting(tx, person)
        return waiting[0].review_id if waiting else None

    try:
        following = await services.store.write(answer)
    except NotAllowed as error:
        raise missing(error) from None
    except ReviewClosed:
        return go(f"/reviews/{review_id}", said_cookie(services, "review-changed"))
    if kind == "not_same":
        return go(f"/reviews/{review_id}", said_cookie(services, kind))
    onward = f"/reviews/{following}" if following else "/reviews"
    return go(onward, said_cookie(services, kind, review_id))


def decision_of(form: Form) -> tuple[str, int]:
    """The decision and the child it names (0 where it names none). Raises `Problem` for anything else."""
    kind, _, number = form.text("decision").partition(":")
    if kind in ("new", "cannot_tell") and not number:
        return kind, 0
    if kind in ("same", "not_same") and number.isascii() and number.isdigit() and len(number) <= 18:
        return kind, int(number)
    raise Problem(
        BAD_REQUEST,
        "That is not a decision that this page offers.",
        hint="Go back, load the page again, and use its buttons or keys.",
    )


def _answer(
    tx: Transaction,
    world: World,
    person: Person,
    review_id: int,
    kind: str,
    child_id: int,
    now: int,
    reason: str | None,
) -> None:
    if kind == "same":
        placing.answer_same(tx, world, person, review_id, child_id, now=now, reason=reason)
    elif kind == "not_same":
        placing.answer_not_same(tx, world, person, review_id, child_id, now=now, reason=reason)
    elif kind == "new":
        placing.answer_new(tx, world, person, review_id, now=now, reason=reason)
    else:
        placing.answer_cannot_tell(tx, person, review_id, now=now, reason=reason)


@post(
    "/reviews/{review_id:int}/undo",
    guards=[requires(Permission.DECIDE_LINKS)],
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
)
async def undo(
    review_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Take a decision back: the note waits again."""
    now, review_id = now_ms(), known_number(review_id)
    try:
        await services.store.write(
            lambda tx: placing.undo(tx, services.worlds.current(tx), person, review_id, now=now)
        )
    except NotAllowed as error:
        raise missing(error) from None
    return go(f"/reviews/{review_id}", said_cookie(services, "review-undone"))


HANDLERS = [reviews, review, decide, undo]
