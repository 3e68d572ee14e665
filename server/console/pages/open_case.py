"""A child's open case: who leads it, since when, and how the cases before ended."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import transferring
from server.access import people
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person, person_from_row
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.alert_rows import Telling
from server.console.pages.alerts import telling_for
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
from server.console.views import Choice, Shell
from server.console.views_transfer import CasePage, CaseRow, LeadRow
from server.http.auth import requires
from server.http.services import Services
from server.records import children, children_shown, open_cases
from server.records.open_cases import Case
from server.storage.port import Transaction
from server.transferring import TransferRefused

REASON_CHARACTERS_MIN = 10  # as for a decision that closes an alert
WORKS = requires(Permission.SEE_CHILDREN, Permission.WORK_CASES)


@shows("/children/{child_id:int}/case", guards=[WORKS])
async def case_form(
    request: AnyRequest, child_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """The cases of a child."""
    return await _shown(request, services, person, known_number(child_id), None)


@sends("/children/{child_id:int}/case/open", guards=[WORKS], status_code=200)
async def case_with_reason(
    request: AnyRequest, child_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """The same where the record is restricted, with the reason in the form and not in the address."""
    form = await form_of(request)
    return await _shown(request, services, person, known_number(child_id), form.text("reason"))


async def _shown(
    request: AnyRequest, services: Services, person: Person, child_id: int, access: str | None
) -> Page:
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, CasePage]:
        view = _case_page(tx, services, person, child_id, now, access=access)
        return shell(tx, request, person, "", now=now), view

    try:
        return page("case.html", *await services.store.read(look))
    except NotAllowed as refused:
        raise missing(refused) from None
    except ReasonNeeded:
        return ask_why(request, person, access, action=f"/children/{child_id}/case/open")


def _case_page(
    tx: Transaction, services: Services, person: Person, child_id: int, now: int, *, reason: str = "",
    error: str | None = None, access: str | None = None,
) -> CasePage:  # fmt: skip
    """`access`: why a restricted record is opened. Raises NotAllowed and ReasonNeeded."""
    children_shown.require_sight(tx, person, child_id, access)
    telling = telling_for(tx, services, person, now)
    found = open_cases.of_child(tx, person, children.kept(tx, child_id), now=now)
    live = next((one for one in found if one.closed_at is None), None)
    able = []
    for row in people.everybody(tx):
        other = person_from_row(services.policy, row) if row.active else None
        if (
            other
            and other.borough
            and other.may(Permission.WORK_CASES)
            and person.sees_borough(other.borough)
        ):
            able.append(other)
    chosen = live.lead if live else person.username
    return CasePage(
        child_id=child_id,
        open=_case(live, telling) if live else None,
        mine=live is not None and person.sees_borough(live.borough),
        before=tuple(_case(one, telling) for one in found if one.closed_at is not None),
        leads=tuple(
            Choice(value=one.username, label=f"{one.name}, {one.role_title}", selected=one.username == chosen)
            for one in sorted(able, key=lambda one: one.name.casefold())
        ),
        reason=reason,
        error=error,
        access_reason=access or "",
    )


def _case(case: Case, telling: Telling) -> CaseRow:
    closed = None
    if case.closed_by:
        closed = f"Closed by {telling.names.name(case.closed_by)}: {case.closed_reason}"
    return CaseRow(
        reason=case.reason,
        opened_by=telling.names.name(case.opened_by),
        opened_at=case.opened_at,
        leads=tuple(
            LeadRow(lead=telling.names.name(one.lead), borough=telling.borough(one.borough), since=one.since)
            for one in reversed(case.leads)
        ),
        closed_at=case.closed_at,
        closed=closed,
    )


@sends("/children/{child_id:int}/case", guards=[WORKS])
async def save_case(
    request: AnyRequest, child_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """Open a case, give it another lead, or close it."""
    form, child_id, now = await form_of(request), known_number(child_id), now_ms()
    what, lead, reason = form.text("what"), form.text("lead"), " ".join(form.text("reason").split())
    policy, access = services.policy, form.text("access_reason") or None

    def save(tx: Transaction) -> tuple[Shell, CasePage] | str:
        try:
            if what != "lead" and len(reason) < REASON_CHARACTERS_MIN:
                raise TransferRefused("Say why, in a sentence.")
            if what == "open":
                transferring.begin_case(tx, policy, person, child_id, lead, reason, now=now, sight=access)
            elif what == "lead":
                transferring.give_case(tx, policy, person, child_id, lead, now=now, sight=access)
            elif what == "close":
                transferring.end_case(tx, person, child_id, reason, now=now, sight=access)
                return "case-closed"
            else:
                raise missing()
        except (NotAllowed, ReasonNeeded) as refused:
            raise missing() from refused
        except TransferRefused as refused_:
            view = _case_page(
                tx, services, person, child_id, now, reason=reason, error=str(refused_), access=access
            )
            return shell(tx, request, person, "", now=now), view
        return "case"

    done = await services.store.write(save)
    if isinstance(done, str):
        return go(f"/children/{child_id}/case", said_cookie(services, done))
    return page("case.html", *done, status=422)


HANDLERS = [case_form, case_with_reason, save_case]
