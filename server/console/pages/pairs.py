"""Proposals to merge: the list, one pair beside each other, the answer, and taking it back."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import merging
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.pair_page import ANSWERS, list_page, pair_page
from server.console.pages.web import (
    AnyRequest,
    Page,
    ask_why,
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
from server.console.views_same import PairListPage, PairPage
from server.http.auth import requires
from server.http.problems import BAD_REQUEST, Problem
from server.http.services import Services
from server.merging import Impossible
from server.records import merges
from server.storage.port import Transaction

GUARDS = [requires(Permission.SEE_CHILDREN, Permission.DECIDE_LINKS)]
UNDO_REASON = "undoing a decision on this pair"


@shows("/pairs", guards=GUARDS)
async def pairs(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """What waits for somebody with this person's boroughs, what is most at stake first."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, PairListPage]:
        return shell(tx, request, person, "pairs", now=now), list_page(tx, services, person, now)

    return page("pairs.html", *await services.store.read(look))


@shows("/pairs/{proposal_id:int}", guards=GUARDS)
async def pair(
    request: AnyRequest,
    proposal_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """One pair, side by side."""
    return await _shown(request, services, person, known_number(proposal_id), None)


@sends(
    "/pairs/{proposal_id:int}/open",
    guards=GUARDS,
    status_code=200,
)
async def pair_with_reason(
    request: AnyRequest,
    proposal_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The same where a record is restricted, with the reason in the form and not in the address."""
    form = await form_of(request)
    return await _shown(request, services, person, known_number(proposal_id), form.text("reason"))


async def _shown(
    request: AnyRequest, services: Services, person: Person, proposal_id: int, reason: str | None
) -> Page:
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, PairPage]:
        view = pair_page(tx, services, person, proposal_id, now, reason)
        return shell(tx, request, person, "pairs", now=now), view

    try:
        frame, view = await services.store.read(look)
    except NotAllowed as error:
        raise missing(error) from None
    except ReasonNeeded:
        return ask_why(request, person, reason, action=f"/pairs/{proposal_id}/open")
    return page("pair.html", frame, view)


@sends(
    "/pairs/{proposal_id:int}/decision",
    guards=GUARDS,
)
async def decide(
    request: AnyRequest,
    proposal_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Take the decision, then go to the next pair."""
    form, proposal_id, now = await form_of(request), known_number(proposal_id), now_ms()
    said, access = form.text("decision"), form.text("access_reason") or None
    if said not in ANSWERS:
        raise Problem(BAD_REQUEST, "That is not a decision that this page offers.")
    reason = " ".join(form.text("reason").split()) or None

    def answer(tx: Transaction) -> int | None:
        world = services.worlds.current(tx)
        merging.answer(tx, world, person, proposal_id, said, now=now, reason=reason, access_reason=access)
        waiting = merges.waiting(tx, person)
        return waiting[0].proposal_id if waiting else None

    try:
        following = await services.store.write(answer)
    except (NotAllowed, ReasonNeeded):
        raise missing() from None
    except Impossible:
        return go(f"/pairs/{proposal_id}", said_cookie(services, "pair-changed"))
    return go(
        f"/pairs/{following}" if following else "/pairs", said_cookie(services, f"pair-{said}", proposal_id)
    )


@sends(
    "/pairs/{proposal_id:int}/undo",
    guards=GUARDS,
)
async def undo(
    proposal_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Take an answer back: the pair waits again."""
    now, proposal_id = now_ms(), known_number(proposal_id)

    def take_back(tx: Transaction) -> None:
        event_id = merges.require(tx, person, proposal_id).event_id
        if event_id is None:
            raise NotAllowed("This pair waits already.")
        # The reason lets it through where a record is restricted: it shows nothing of the record.
        world = services.worlds.current(tx)
        merging.undo(tx, world, person, event_id, now=now, access_reason=UNDO_REASON)

    try:
        await services.store.write(take_back)
    except (NotAllowed, ReasonNeeded):
        raise missing() from None
    except Impossible:
        return go(f"/pairs/{proposal_id}", said_cookie(services, "pair-changed"))
    return go(f"/pairs/{proposal_id}", said_cookie(services, "pair-undone"))


HANDLERS = [pairs, pair, pair_with_reason, decide, undo]
