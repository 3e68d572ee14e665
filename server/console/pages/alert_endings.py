"""Handing an alert over to somebody else, and closing it with what was decided."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duty
from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person, person_from_row
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.alerts import row_of
from server.console.pages.web import (
    FORM_BYTES_MAX,
    REASON_CHARACTERS_MAX,
    AnyRequest,
    Page,
    form_of,
    go,
    known_number,
    missing,
    page,
    said_cookie,
    shell,
)
from server.console.views import (
    Choice,
    ClosePage,
    HandOverPage,
    Shell,
)
from server.http.auth import requires
from server.http.services import Services
from server.records import alerts
from server.records.alerts import AlertConflict
from server.storage.port import Transaction

REASON_CHARACTERS_MIN = 3  # "ill" is a reason
DECISION_CHARACTERS_MIN = 10  # "nothing to do" is the shortest decision that says anything


@get(
    "/alerts/{alert_id:int}/hand-over",
    guards=[requires(Permission.ACKNOWLEDGE_ALERTS)],
    include_in_schema=False,
)
async def hand_over_form(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The form that gives an alert to somebody else."""
    now, alert_id = now_ms(), known_number(alert_id)

    def look(tx: Transaction) -> tuple[Shell, HandOverPage]:
        frame = shell(tx, request, person, "alerts", now=now)
        return frame, hand_over_page(tx, services, person, alert_id, now)

    frame, view = await services.store.read(look)
    return page("hand_over.html", frame, view)


def hand_over_page(
    tx: Transaction,
    services: Services,
    person: Person,
    alert_id: int,
    now: int,
    error: str | None = None,
    reason: str = "",
    to: str = "",
) -> HandOverPage:
    """The form, with everybody who answers alerts of that borough. Raises `Problem` 404."""
    try:
        alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
        alert = alerts.show(tx, person, alert.alert_id, now=now)
    except NotAllowed as refused:
        raise missing(refused) from None
    able = []
    for found in people.everybody(tx):
        if not found.active or found.username in (person.username, alert.owner):
            continue
        other = person_from_row(services.policy, found) if found.role in services.policy.roles else None
        if other and other.may(Permission.ACKNOWLEDGE_ALERTS) and other.sees_borough(alert.borough):
            able.append(other)
    able.sort(key=lambda other: (len(other.boroughs), other.name.casefold()))
    return HandOverPage(
        row=row_of(tx, services, person, alert, now),
        recipients=tuple(
            Choice(
                value=other.username,
                label=f"{other.name}, {other.role_title}",
                selected=other.username == to,
            )
            for other in able
        ),
        error=error,
        reason=reason,
    )


@post(
    "/alerts/{alert_id:int}/hand-over",
    guards=[requires(Permission.ACKNOWLEDGE_ALERTS)],
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
)
async def hand_over(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Give an alert away, with the reason."""
    form, alert_id = await form_of(request), known_number(alert_id)
    now, rev = now_ms(), form.number("rev")
    to, reason = form.text("to"), " ".join(form.text("reason", REASON_CHARACTERS_MAX).split())
    error = None
    if not to:
        error = "Choose who takes the alert."
    elif len(reason) < REASON_CHARACTERS_MIN:
        error = "Say why, in a few words."

    def give(tx: Transaction) -> tuple[Shell, HandOverPage] | str:
        said = error
        if said is None:
            try:
                duty.hand_over(tx, services.policy, person, alert_id, to, reason, now=now, from_rev=rev)
                return "handed-over"
            except AlertConflict:
                return "alert-changed"
            except NotAllowed as refused:
                said = f"{refused} {refused.hint}"
        view = hand_over_page(tx, services, person, alert_id, now, said, reason, to)
        return shell(tx, request, person, "alerts", now=now), view

    done = await services.store.write(give)
    if isinstance(done, str):
        return go("/alerts", said_cookie(services, done))
    return page("hand_over.html", *done, status=422)


@get("/alerts/{alert_id:int}/close", guards=[requires(Permission.WORK_CASES)], include_in_schema=False)
async def close_form(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The form that ends an alert with what was decided."""
    now, alert_id = now_ms(), known_number(alert_id)

    def look(tx: Transaction) -> tuple[Shell, ClosePage]:
        view = close_page(tx, services, person, alert_id, now)
        return shell(tx, request, person, "alerts", now=now), view

    return page("close.html", *await services.store.read(look))


def close_page(
    tx: Transaction,
    services: Services,
    person: Person,
    alert_id: int,
    now: int,
    error: str | None = None,
    decision: str = "",
) -> ClosePage:
    """The form around one of the person's own boroughs' alerts. Raises `Problem` 404."""
    try:
        alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
        alert = alerts.show(tx, person, alert.alert_id, now=now)
    except NotAllowed as refused:
        raise missing(refused) from None
    shown = row_of(tx, services, person, alert, now)
    return ClosePage(row=shown, least=DECISION_CHARACTERS_MIN, error=error, decision=decision)


@post(
    "/alerts/{alert_id:int}/close",
    guards=[requires(Permission.WORK_CASES)],
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
)
async def close(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """End an alert. What was decided stands in the child's story."""
    form, alert_id = await form_of(request), known_number(alert_id)
    now, rev = now_ms(), form.number("rev")
    decision = " ".join(form.text("decision", REASON_CHARACTERS_MAX).split())

    def end(tx: Transaction) -> tuple[Shell, ClosePage] | str:
        if len(decision) < DECISION_CHARACTERS_MIN:
            error = "Say what was decided, in a sentence."
            view = close_page(tx, services, person, alert_id, now, error, decision)
            return shell(tx, request, person, "alerts", now=now), view
        try:
            duty.close(tx, person, alert_id, decision, now=now, from_rev=rev)
        except AlertConflict:
            return "alert-changed"
        except duty.ContactNeeded:
            return "ring-first"
        except NotAllowed as refused:
            raise missing(refused) from None
        return "closed"

    done = await services.store.write(end)
    if isinstance(done, str):
        where = f"/alerts/{alert_id}/other-force" if done == "ring-first" else "/alerts"
        return go(where, said_cookie(services, done))
    return page("close.html", *done, status=422)


HANDLERS = [hand_over_form, hand_over, close_form, close]
