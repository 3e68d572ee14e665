"""Handing an alert over to somebody else, and closing it with what was decided."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duty
from server.access import people
from server.access.errors import NotAllowed
from server.access.policy import Permission
from server.console.pages.alert_forms import REASON_CHARACTERS_MIN, own_alert
from server.console.pages.desk import Desk, Done
from server.console.pages.web import Page, known_number, sends, shows
from server.console.views import Choice, ClosePage, HandOverPage
from server.http.auth import requires
from server.storage.port import Transaction
from sync.vocabulary import NOTE_OUTCOME_LABELS, NoteOutcome

DECISION_CHARACTERS_MIN = 10  # "nothing to do" is the shortest decision that says anything


@shows("/alerts/{alert_id:int}/hand-over", guards=[requires(Permission.ACKNOWLEDGE_ALERTS)])
async def hand_over_form(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """The form that gives an alert to somebody else."""
    alert_id = known_number(alert_id)
    return await desk.shows("hand_over.html", "alerts", lambda tx: hand_over_page(tx, desk, alert_id))


def hand_over_page(
    tx: Transaction, desk: Desk, alert_id: int, error: str | None = None, reason: str = "", to: str = ""
) -> HandOverPage:
    """The form, with everybody who answers alerts of that borough. Raises NotAllowed."""
    alert, row = own_alert(tx, desk, alert_id)
    able = [
        other
        for other in people.who_may(tx, desk.services.policy, Permission.ACKNOWLEDGE_ALERTS)
        if other.sees_borough(alert.borough) and other.username not in (desk.person.username, alert.owner)
    ]
    able.sort(key=lambda other: len(other.boroughs))
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
async def hand_over(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Give an alert away, with the reason."""
    form, alert_id, services = await desk.form(), known_number(alert_id), desk.services
    rev, to, reason = form.number("rev"), form.text("to"), form.line("reason")
    error = None
    if not to:
        error = "Choose who takes the alert."
    elif len(reason) < REASON_CHARACTERS_MIN:
        error = "Say why, in a few words."

    def give(tx: Transaction) -> HandOverPage | Done:
        said = error
        if said is None:
            try:
                pack = services.worlds.current(tx).pack
                duty.hand_over(
                    tx, services.policy, pack, desk.person, alert_id, to, reason, now=desk.now, from_rev=rev,
                )  # fmt: skip
                return Done("/alerts", "handed-over")
            except NotAllowed as refused:
                said = f"{refused} {refused.hint}"
        return hand_over_page(tx, desk, alert_id, said, reason, to)

    return await desk.takes("hand_over.html", "alerts", give)


@shows("/alerts/{alert_id:int}/close", guards=[requires(Permission.WORK_CASES)])
async def close_form(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """The form that ends an alert with what was decided."""
    alert_id = known_number(alert_id)
    return await desk.shows("close.html", "alerts", lambda tx: close_page(tx, desk, alert_id))


def close_page(
    tx: Transaction, desk: Desk, alert_id: int, error: str | None = None, decision: str = "", outcome: str = "",
    to_author: str = "",
) -> ClosePage:  # fmt: skip
    """The form around one of the person's own boroughs' alerts. Raises NotAllowed."""
    _, row = own_alert(tx, desk, alert_id)
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
async def close(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """End an alert. What was decided stands in the child's story."""
    form, alert_id = await desk.form(), known_number(alert_id)
    rev, decision = form.number("rev"), form.line("decision")
    outcome, to_author = form.text("outcome"), form.line("to_author")

    def end(tx: Transaction) -> ClosePage | Done:
        error = None if outcome in set(NoteOutcome) else "Choose what came of it."
        if len(decision) < DECISION_CHARACTERS_MIN:
            error = "Say what was decided, in a sentence."
        if error is None:
            try:
                duty.close(
                    tx, desk.person, alert_id, decision, now=desk.now, from_rev=rev,
                    outcome=NoteOutcome(outcome), to_author=to_author or None,
                )  # fmt: skip
                return Done("/alerts", "closed")
            except duty.ContactNeeded as needed:
                error = f"{needed} {needed.hint}"
        return close_page(tx, desk, alert_id, error, decision, outcome, to_author)

    return await desk.takes("close.html", "alerts", end)


HANDLERS = [hand_over_form, hand_over, close_form, close]
