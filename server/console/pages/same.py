"""Same child as another record: side by side, merged or kept apart with a reason, and undone on the timeline."""

from __future__ import annotations

from collections.abc import Callable

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duplicates, merging
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.access.policy import Permission
from server.access.restricted import REASON_LENGTH_MIN
from server.clock import now_ms
from server.console import words
from server.console.pages.alert_rows import Telling, age_of, full_name
from server.console.pages.alerts import telling_for
from server.console.pages.comparing import explanation
from server.console.pages.reviews import decision_of
from server.console.pages.web import (
    FORM_BYTES_MAX,
    AnyRequest,
    Page,
    bare_shell,
    form_of,
    go,
    known_number,
    missing,
    page,
    said_cookie,
    shell,
)
from server.console.views import RestrictedPage, Shell
from server.console.views_child import FieldComparison
from server.console.views_same import OtherColumn, SamePage
from server.duplicates import Duplicates, Pair
from server.explaining import values
from server.http.auth import requires
from server.http.problems import BAD_REQUEST, Problem
from server.http.services import Services
from server.linkage.levels import COMPARISONS
from server.merging import Decided, Impossible
from server.records import overview
from server.records.child import Details, Standing
from server.storage.port import Transaction

GUARDS = [requires(Permission.SEE_CHILDREN, Permission.DECIDE_LINKS)]
REASON_SAID_MIN = 3  # "twin" is a reason; nothing is none
SAY_WHY = "Say why, in a few words."
NOT_A_NUMBER = "Give the number of a record, in digits."
NO_SUCH = "There is no such record among those that you may see."
CONFIRMED = "Known as a child of their own"
UNDO_REASON = "undoing a decision on this record"


@get("/children/{child_id:int}/same", guards=GUARDS, include_in_schema=False)
async def same(
    request: AnyRequest,
    child_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The records that linkage finds with this one, or the one whose number is given as `other`."""
    given = str(request.query_params.get("other", "")).strip()
    return await _shown(request, services, person, known_number(child_id), given, "")


@post(
    "/children/{child_id:int}/same/open",
    guards=GUARDS,
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
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
        more = f"Say a little more: at least {REASON_LENGTH_MIN} characters." if access_reason else None
        asked = RestrictedPage(
            child_id=child_id, least=REASON_LENGTH_MIN, error=more, reason=access_reason,
            action=f"/children/{child_id}/same/open", other=other,
        )  # fmt: skip
        return page("restricted.html", bare_shell(request, person), asked, status=422 if more else 200)
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
    mine = values(child.record(child.child_id).details)
    others = tuple(_column(tx, child.record(child.child_id).details, one, telling) for one in found.pairs)
    labels = [(one.label, one.name) for one in COMPARISONS if one.name in mine]
    fields = (
        tuple((field.label, field.described) for field in others[0].fields)
        if others
        else tuple((label, mine[name]) for label, name in labels)
    )
    return SamePage(
        child_id=child.child_id,
        name=full_name(child.details),
        fields=fields,
        others=others,
        asked=asked if asked and not trouble else None,
        elsewhere=found.elsewhere,
        provisional=child.standing is Standing.PROVISIONAL,
        access_reason=access_reason,
        reason=reason,
        error=error,
        trouble=trouble,
    )


def _column(tx: Transaction, mine: Details, pair: Pair, telling: Telling) -> OtherColumn:
    other, compared = pair.other, pair.compared
    weighed = explanation(compared) if compared else None
    apart = None
    if pair.apart is not None:
        when = words.inside(words.absolute(pair.apart.at, telling.now))
        apart = f"{telling.names.name(pair.apart.author)} said: not the same child, {when}."
    return OtherColumn(
        child_id=other.child_id,
        name=full_name(other.details),
        age=age_of(other.details, telling.now),
        fields=weighed.fields if weighed else _unweighed(mine, other.details),
        probability=weighed.probability if weighed else None,
        household=weighed.household if weighed else None,
        notes=overview.notes_on(tx, [other.child_id]).get(other.child_id, 0),
        apart=apart,
    )


def _unweighed(mine: Details, theirs: Details) -> tuple[FieldComparison, ...]:
    """Two records field by field where linkage did not even weigh them."""
    ours, others = values(mine), values(theirs)
    return tuple(
        FieldComparison(
            label=one.label,
            described=ours[one.name],
            known=others[one.name],
            verdict="missing"
            if not ours[one.name] or not others[one.name]
            else "agree"
            if ours[one.name] == others[one.name]
            else "differ",
        )
        for one in COMPARISONS
        if one.name in ours
    )


@post(
    "/children/{child_id:int}/same",
    guards=GUARDS,
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
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


@post(
    "/children/{child_id:int}/confirm",
    guards=GUARDS,
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
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


@post(
    "/merges/{event_id:int}/undo",
    guards=GUARDS,
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
)
async def undo(
    event_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Take a merge, or another decision on records, back."""
    now, event_id = now_ms(), known_number(event_id)
    # The reason lets it through where a record is restricted: it shows nothing of the record.
    kept_id = await _done(
        services,
        lambda tx: merging.undo(
            tx, services.worlds.current(tx), person, event_id, now=now, access_reason=UNDO_REASON
        ),
    )
    return go(f"/children/{kept_id}", said_cookie(services, "merge-undone"))


async def _done(services: Services, work: Callable[[Transaction], Decided]) -> int:
    try:
        return (await services.store.write(work)).kept_id
    except (NotAllowed, ReasonNeeded):
        raise missing() from None


HANDLERS = [same, same_with_reason, decide, confirm, undo]
