"""Doubtful links: the list, one beside its candidates, the decision, and taking it back."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import answering
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.answering import ReviewClosed
from server.clock import now_ms
from server.console.pages.review_list import list_page
from server.console.pages.review_page import review_page
from server.console.pages.web import (
    AnyRequest,
    Form,
    Page,
    form_of,
    go,
    known_number,
    missing,
    page,
    said_cookie,
    sends,
    shell,
    shows,
)
from server.console.views import Shell
from server.console.views_review import ReviewListPage, ReviewPage
from server.http.auth import requires
from server.http.problems import BAD_REQUEST, Problem
from server.http.services import Services
from server.records import links
from server.storage.port import Transaction
from server.world import World


@shows("/reviews", guards=[requires(Permission.DECIDE_LINKS)])
async def reviews(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """What waits for somebody with this person's boroughs, what is most at stake first."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, ReviewListPage]:
        return shell(tx, request, person, "reviews", now=now), list_page(tx, services, person, now)

    return page("reviews.html", *await services.store.read(look))


@shows("/reviews/{review_id:int}", guards=[requires(Permission.DECIDE_LINKS)])
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


STAYS = ("not_same", "maybe_same")
"""Decisions on one candidate, after which the review is still open."""


@sends(
    "/reviews/{review_id:int}/decision",
    guards=[requires(Permission.DECIDE_LINKS)],
)
async def decide(
    request: AnyRequest,
    review_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Take the decision, then go to the next review; a word on one candidate alone stays with this one."""
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
    if kind in STAYS:
        return go(f"/reviews/{review_id}", said_cookie(services, kind, review_id, child_id))
    onward = f"/reviews/{following}" if following else "/reviews"
    return go(onward, said_cookie(services, kind, review_id))


def decision_of(form: Form) -> tuple[str, int]:
    """The decision and the child it names (0 where it names none). Raises `Problem` for anything else."""
    kind, _, number = form.text("decision").partition(":")
    if kind in ("new", "cannot_tell") and not number:
        return kind, 0
    if kind in ("same", *STAYS) and number.isascii() and number.isdigit() and len(number) <= 18:
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
        answering.answer_same(tx, world, person, review_id, child_id, now=now, reason=reason)
    elif kind == "not_same":
        answering.answer_not_same(tx, world, person, review_id, child_id, now=now, reason=reason)
    elif kind == "maybe_same":
        answering.answer_maybe_same(tx, person, review_id, child_id, now=now, reason=reason)
    elif kind == "new":
        answering.answer_new(tx, world, person, review_id, now=now, reason=reason)
    else:
        answering.answer_cannot_tell(tx, person, review_id, now=now, reason=reason)


@sends(
    "/reviews/{review_id:int}/undo",
    guards=[requires(Permission.DECIDE_LINKS)],
)
async def undo(
    review_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Take a decision back: the note waits again."""
    now, review_id = now_ms(), known_number(review_id)
    try:
        await services.store.write(
            lambda tx: answering.undo(tx, services.worlds.current(tx), person, review_id, now=now)
        )
    except NotAllowed as error:
        raise missing(error) from None
    return go(f"/reviews/{review_id}", said_cookie(services, "review-undone"))


HANDLERS = [reviews, review, decide, undo]
