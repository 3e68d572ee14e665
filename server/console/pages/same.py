"""Same child as another record: side by side, merged or kept apart with a reason, and undone on the timeline."""

from __future__ import annotations

from collections.abc import Callable

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duplicates, merging
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.alert_rows import Telling
from server.console.pages.alerts import telling_for
from server.console.pages.columns import other_column, this_column
from server.console.pages.reviews import decision_of
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
from server.console.views_same import SamePage
from server.duplicates import Duplicates
from server.http.auth import requires
from server.http.problems import BAD_REQUEST, CONFLICT, Problem
from server.http.services import Services
from server.merging import Decided, Impossible
from server.records.child import Standing
from server.storage.port import Transaction

GUARDS = [requires(Permission.SEE_CHILDREN, Permission.DECIDE_LINKS)]
REASON_SAID_MIN = 3  # "twin" is a reason; nothing is none
SAY_WHY = "Say why, in a few words."
NOT_A_NUMBER = "Give the number of a record, in digits."
NO_SUCH = "There is no such record among those that you may see."
CONFIRMED = "Known as a child of their own"
UNDO_REASON = "undoing a decision on this record"


@shows("/children/{child_id:int}/same", guards=GUARDS)
async def same(
    request: AnyRequest,
    child_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The records that linkage finds with this one, or the one whose number is given as `other`."""
    given = str(request.query_params.get("other", "")).strip()
    return await _shown(request, services, person, known_number(child_id), given, "")


@sends(
    "/children/{child_id:int}/same/open",
    guards=GUARDS,
    status_code=200,
)
async def same_with_reason(
    request: AnyRequest,
    child_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The same where a record is restricted, with the reason in the form and not in the address."""
    form = await form_of(request)
    given = form.text("other")
    return await _shown(request, services, person, known_number(child_id), given, form.text("reason"))


async def _shown(
    request: AnyRequest,
    services: Services,
    person: Person,
    child_id: int,
    other: str,
    access_reason: str,
    *,
    error: str | None = None,
    reason: str = "",
    trouble: str | None = None,
) -> Page:
    now = now_ms()
    number = int(other) if other.isascii() and other.isdigit() and len(other) <= 18 else None
    if other and number is None:
        trouble = trouble or NOT_A_NUMBER

    def look(tx: Transaction) -> tuple[Shell, SamePage]:
        nonlocal trouble
        decider = services.worlds.current(tx).decider
        why = access_reason or None
        found = None
        if number:
            try:
                found = duplicates.pair(tx, decider, person, child_id, number, now=now, reason=why)
            except NotAllowed:
                trouble = trouble or NO_SUCH
        if found is None:
            found = duplicates.possible(tx, decider, person, child_id, now=now, reason=why)
        view = same_page(
            tx, found, telling_for(tx, services, person, now), asked=number, access_reason=access_reason,
            error=error, reason=reason, trouble=trouble,
        )  # fmt: skip
        return shell(tx, request, person, "", now=now), view

    try:
        frame, view = await services.store.read(look)
    except NotAllowed as refused:
        raise missing(refused) from None
    except ReasonNeeded:
        action = f"/children/{child_id}/same/open"
        return ask_why(request, person, access_reason or None, action=action, other=other)
    return page("same.html", frame, view, status=422 if error or trouble else 200)


def same_page(
    tx: Transaction,
    found: Duplicates,
    telling: Telling,
    *,
    asked: int | None,
    access_reason: str,
    error: str | None,
    reason: str,
    trouble: str | None,
) -> SamePage:
    """This record's column and one for each other."""
    child = found.child
    mine = child.record(child.child_id).details
    return SamePage(
        one=this_column(tx, child, child.child_id, telling),
        others=tuple(
            other_column(tx, mine, pair.other, pair.other.child_id, pair.compared, telling, apart=pair.apart)
            for pair in found.pairs
        ),
        asked=asked if asked and not trouble else None,
        elsewhere=found.elsewhere,
        provisional=child.standing is Standing.PROVISIONAL,
        access_reason=access_reason,
        reason=reason,
        error=error,
        trouble=trouble,
    )


@sends(
    "/children/{child_id:int}/same",
    guards=GUARDS,
)
async def decide(
    request: AnyRequest,
    child_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Merge, or keep apart, with the reason."""
    form, child_id, now = await form_of(request), known_number(child_id), now_ms()
    kind, other_id = decision_of(form)
    if kind not in ("same", "not_same"):
        raise Problem(BAD_REQUEST, "That is not a decision that this page offers.")
    reason, access = " ".join(form.text("reason").split()), form.text("access_reason")
    given = form.text("other")
    if len(reason) < REASON_SAID_MIN:
        return await _shown(request, services, person, child_id, given, access, error=SAY_WHY, reason=reason)

    def work(tx: Transaction) -> Decided:
        if kind == "not_same":
            return merging.not_the_same(
                tx, person, child_id, other_id, now=now, reason=reason, access_reason=access
            )
        world = services.worlds.current(tx)
        return merging.merge(
            tx, world, person, child_id, other_id, now=now, reason=reason, access_reason=access
        )

    try:
        kept_id = await _done(services, work)
    except Impossible as error:
        return await _shown(
            request, services, person, child_id, given, access, reason=reason, trouble=f"{error} {error.hint}"
        )
    return go(f"/children/{kept_id}", said_cookie(services, "merged" if kind == "same" else "kept-apart"))


@sends(
    "/children/{child_id:int}/confirm",
    guards=GUARDS,
)
async def confirm(
    request: AnyRequest,
    child_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """A provisional record is a child of their own."""
    form, child_id, now = await form_of(request), known_number(child_id), now_ms()
    access = form.text("access_reason") or None
    try:
        kept_id = await _done(
            services,
            lambda tx: merging.confirm(tx, person, child_id, now=now, reason=CONFIRMED, access_reason=access),
        )
    except Impossible:
        return go(f"/children/{child_id}")
    return go(f"/children/{kept_id}", said_cookie(services, "confirmed"))


@sends(
    "/merges/{event_id:int}/undo",
    guards=GUARDS,
)
async def undo(
    event_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Take a merge, or another decision on records, back."""
    now, event_id = now_ms(), known_number(event_id)
    # The reason lets it through where a record is restricted: it shows nothing of the record.
    try:
        kept_id = await _done(
            services,
            lambda tx: merging.undo(
                tx, services.worlds.current(tx), person, event_id, now=now, access_reason=UNDO_REASON
            ),
        )
    except Impossible as error:
        raise Problem(CONFLICT, str(error), hint=error.hint) from None
    return go(f"/children/{kept_id}", said_cookie(services, "merge-undone"))


async def _done(services: Services, work: Callable[[Transaction], Decided]) -> int:
    try:
        return (await services.store.write(work)).kept_id
    except (NotAllowed, ReasonNeeded):
        raise missing() from None


HANDLERS = [same, same_with_reason, decide, confirm, undo]
