"""Handing an alert over to somebody else, and closing it with what was decided."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duty
from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person, person_from_row
from server.access.policy import Permission
from server.console.pages.alert_forms import REASON_CHARACTERS_MIN, own_alert, show_form, take_form
from server.console.pages.web import (
    REASON_CHARACTERS_MAX,
    AnyRequest,
    Page,
    form_of,
    known_number,
    sends,
    shows,
)
from server.console.views import Choice, ClosePage, HandOverPage
from server.http.auth import requires
from server.http.services import Services
from server.storage.port import Transaction
from sync.vocabulary import NOTE_OUTCOME_LABELS, NoteOutcome

DECISION_CHARACTERS_MIN = 10  # "nothing to do" is the shortest decision that says anything


@shows("/alerts/{alert_id:int}/hand-over", guards=[requires(Permission.ACKNOWLEDGE_ALERTS)])
async def hand_over_form(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The form that gives an alert to somebody else."""
    alert_id = known_number(alert_id)
    return await show_form(
        request, services, person, "hand_over.html",
        lambda tx, now: hand_over_page(tx, services, person, alert_id, now),
    )  # fmt: skip


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
    alert, row = own_alert(tx, services, person, alert_id, now)
    able = []
    for found in people.everybody(tx):
        if not found.active or found.username in (person.username, alert.owner):
            continue
        other = person_from_row(services.policy, found) if found.role in services.policy.roles else None
        if other and other.may(Permission.ACKNOWLEDGE_ALERTS) and other.sees_borough(alert.borough):
            able.append(other)
    able.sort(key=lambda other: (len(other.boroughs), other.name.casefold()))
    return HandOverPage(
        row=row,
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


@sends("/alerts/{alert_id:int}/hand-over", guards=[requires(Permission.ACKNOWLEDGE_ALERTS)])
async def hand_over(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Give an alert away, with the reason."""
    form, alert_id = await form_of(request), known_number(alert_id)
    rev, to = form.number("rev"), form.text("to")
    reason = " ".join(form.text("reason", REASON_CHARACTERS_MAX).split())
    error = None
    if not to:
        error = "Choose who takes the alert."
    elif len(reason) < REASON_CHARACTERS_MIN:
        error = "Say why, in a few words."

    def give(tx: Transaction, now: int) -> HandOverPage | str:
        said = error
        if said is None:
            try:
                duty.hand_over(
                    tx, services.policy, person, alert_id, to, reason, now=now, from_rev=rev,
                )  # fmt: skip
                return "handed-over"
            except NotAllowed as refused:
                said = f"{refused} {refused.hint}"
        return hand_over_page(tx, services, person, alert_id, now, said, reason, to)

    return await take_form(request, services, person, "hand_over.html", give)


@shows("/alerts/{alert_id:int}/close", guards=[requires(Permission.WORK_CASES)])
async def close_form(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The form that ends an alert with what was decided."""
    alert_id = known_number(alert_id)
    return await show_form(
        request, services, person, "close.html",
        lambda tx, now: close_page(tx, services, person, alert_id, now),
    )  # fmt: skip


def close_page(
    tx: Transaction,
    services: Services,
    person: Person,
    alert_id: int,
    now: int,
    error: str | None = None,
    decision: str = "",
    outcome: str = "",
    to_author: str = "",
) -> ClosePage:
    """The form around one of the person's own boroughs' alerts. Raises `Problem` 404."""
    _, row = own_alert(tx, services, person, alert_id, now)
    return ClosePage(
        row=row,
        least=DECISION_CHARACTERS_MIN,
        error=error,
        decision=decision,
        to_author=to_author,
        outcomes=tuple(
            Choice(value=one.value, label=NOTE_OUTCOME_LABELS[one], selected=one.value == outcome)
            for one in NoteOutcome
        ),
    )


@sends("/alerts/{alert_id:int}/close", guards=[requires(Permission.WORK_CASES)])
async def close(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """End an alert. What was decided stands in the child's story."""
    form, alert_id = await form_of(request), known_number(alert_id)
    rev, decision = form.number("rev"), " ".join(form.text("decision", REASON_CHARACTERS_MAX).split())

    outcome, to_author = form.text("outcome"), " ".join(form.text("to_author").split())

    def end(tx: Transaction, now: int) -> ClosePage | str:
        error = None if outcome in set(NoteOutcome) else "Choose what came of it."
        if len(decision) < DECISION_CHARACTERS_MIN:
            error = "Say what was decided, in a sentence."
        if error is not None:
            return close_page(tx, services, person, alert_id, now, error, decision, outcome, to_author)
        try:
            duty.close(
                tx,
                person,
                alert_id,
                decision,
                now=now,
                from_rev=rev,
                outcome=NoteOutcome(outcome),
                to_author=to_author or None,
            )
        except duty.ContactNeeded as needed:
            return close_page(
                tx, services, person, alert_id, now, f"{needed} {needed.hint}", decision, outcome, to_author
            )
        return "closed"

    return await take_form(request, services, person, "close.html", end)


HANDLERS = [hand_over_form, hand_over, close_form, close]
