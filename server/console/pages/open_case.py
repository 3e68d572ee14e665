"""A child's open case: who leads it, since when, and how the cases before ended."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import transferring
from server.access import people
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.policy import Permission
from server.console.pages.alert_rows import Telling
from server.console.pages.desk import Desk, Done
from server.console.pages.web import Page, ask_why, known_number, missing, sends, shows
from server.console.views import Choice
from server.console.views_transfer import CasePage, CaseRow, LeadRow
from server.http.auth import requires
from server.records import children, children_shown, open_cases
from server.records.open_cases import Case
from server.storage.port import Transaction
from server.transferring import TransferRefused

REASON_CHARACTERS_MIN = 10  # as for a decision that closes an alert
WORKS = requires(Permission.SEE_CHILDREN, Permission.WORK_CASES)


@shows("/children/{child_id:int}/case", guards=[WORKS])
async def case_form(child_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """The cases of a child."""
    return await _shown(desk, known_number(child_id), None)


@sends("/children/{child_id:int}/case/open", guards=[WORKS], status_code=200)
async def case_with_reason(child_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """The same where the record is restricted, with the reason in the form and not in the address."""
    return await _shown(desk, known_number(child_id), (await desk.form()).text("reason"))


async def _shown(desk: Desk, child_id: int, access: str | None) -> Page:
    try:
        return await desk.shows("case.html", "", lambda tx: _case_page(tx, desk, child_id, access=access))
    except ReasonNeeded:
        return ask_why(desk.request, desk.person, access, action=f"/children/{child_id}/case/open")


def _case_page(
    tx: Transaction, desk: Desk, child_id: int, *, reason: str = "", error: str | None = None,
    access: str | None = None,
) -> CasePage:  # fmt: skip
    """`access`: why a restricted record is opened. Raises NotAllowed and ReasonNeeded."""
    person = desk.person
    children_shown.require_sight(tx, person, child_id, access)
    telling = desk.telling(tx)
    found = open_cases.of_child(tx, person, children.kept(tx, child_id), now=desk.now)
    live = next((one for one in found if one.closed_at is None), None)
    chosen = live.lead if live else person.username
    return CasePage(
        child_id=child_id,
        open=_case(live, telling) if live else None,
        mine=live is not None and person.sees_borough(live.borough),
        before=tuple(_case(one, telling) for one in found if one.closed_at is not None),
        leads=tuple(
            Choice(value=one.username, label=f"{one.name}, {one.role_title}", selected=one.username == chosen)
            for one in people.who_may(tx, desk.services.policy, Permission.WORK_CASES)
            if one.borough and person.sees_borough(one.borough)
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
async def save_case(child_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Open a case, give it another lead, or close it."""
    form, child_id, now = await desk.form(), known_number(child_id), desk.now
    what, lead, reason = form.text("what"), form.text("lead"), form.line("reason")
    policy, access = desk.services.policy, form.text("access_reason") or None

    def save(tx: Transaction) -> CasePage | Done:
        try:
            if what != "lead" and len(reason) < REASON_CHARACTERS_MIN:
                raise TransferRefused("Say why, in a sentence.")
            if what == "open":
                transferring.begin_case(
                    tx, policy, desk.person, child_id, lead, reason, now=now, sight=access
                )
            elif what == "lead":
                transferring.give_case(tx, policy, desk.person, child_id, lead, now=now, sight=access)
            elif what == "close":
                transferring.end_case(tx, desk.person, child_id, reason, now=now, sight=access)
            else:
                raise missing()
        except (NotAllowed, ReasonNeeded) as refused:
            raise missing() from refused
        except TransferRefused as refused_:
            return _case_page(tx, desk, child_id, reason=reason, error=str(refused_), access=access)
        return Done(f"/children/{child_id}/case", "case-closed" if what == "close" else "case")

    return await desk.takes("case.html", "", save)


HANDLERS = [case_form, case_with_reason, save_case]
