"""Offering a duty to another borough, answering offers, and writing down who rang another force."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import transferring
from server.access.policy import Permission
from server.casework.routing import OTHER_FORCE
from server.console import words
from server.console.pages.alert_forms import own_alert
from server.console.pages.desk import Desk, Done
from server.console.pages.web import Page, known_number, missing, sends, shows
from server.console.views import Choice
from server.console.views_transfer import ContactRow, OfferRow, OtherForcePage, TransferPage, TransfersPage
from server.http.auth import requires
from server.records import alerts, children_shown, force_contacts, transfers
from server.records.transfers import Answer, Transfer
from server.storage.port import Transaction
from server.transferring import TransferRefused

REASON_CHARACTERS_MIN = 10  # "he lives there" is the shortest reason that says anything
CALLED_MINUTES_MAX = 7 * 24 * 60
WORKS = requires(Permission.ACKNOWLEDGE_ALERTS, Permission.WORK_CASES)


@shows("/alerts/{alert_id:int}/transfer", guards=[WORKS])
async def transfer_form(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """The form that offers an alert to another borough."""
    alert_id = known_number(alert_id)
    return await desk.shows("transfer.html", "transfers", lambda tx: _transfer_page(tx, desk, alert_id))


def _transfer_page(
    tx: Transaction, desk: Desk, alert_id: int, *, to: str = "", whole: bool = False, reason: str = "",
    error: str | None = None,
) -> TransferPage:  # fmt: skip
    alert, row = own_alert(tx, desk, alert_id)
    named = sorted((one.name, one.code) for one in desk.services.policy.force.boroughs.values())
    choices = [(code, name) for name, code in named] + [
        (OTHER_FORCE, "Another force (the other-force queue)")
    ]
    return TransferPage(
        row=row,
        boroughs=tuple(
            Choice(value=code, label=name, selected=code == to)
            for code, name in choices
            if code != alert.borough
        ),
        whole=whole,
        reason=reason,
        error=error,
    )


@sends("/alerts/{alert_id:int}/transfer", guards=[WORKS])
async def transfer(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Offer it. It stays the sender's until the other borough accepts."""
    form, alert_id = await desk.form(), known_number(alert_id)
    to, whole = form.text("to"), form.text("what") == "child"
    reason, rev = form.line("reason"), form.number("rev")

    def give(tx: Transaction) -> TransferPage | Done:
        error = None if to else "Choose a borough."
        if error is None and len(reason) < REASON_CHARACTERS_MIN:
            error = "Say why, in a sentence."
        try:
            if error is None:
                transferring.offer(
                    tx, desk.services.policy, desk.person, alert_id, to, reason, whole=whole, now=desk.now,
                    from_rev=rev,
                )  # fmt: skip
                return Done("/transfers", "offered")
        except TransferRefused as refused:
            error = str(refused)
        return _transfer_page(tx, desk, alert_id, to=to, whole=whole, reason=reason, error=error)

    return await desk.takes("transfer.html", "transfers", give)


@shows("/transfers", guards=[WORKS])
async def transfers_page(desk: NamedDependency[Desk]) -> Page:
    """What the person's boroughs are asked to take, and what they offered."""
    return await desk.shows("transfers.html", "transfers", lambda tx: _offers(tx, desk))


def _offers(
    tx: Transaction, desk: Desk, *, wrong: int | None = None, error: str | None = None, reason: str = ""
) -> TransfersPage:
    telling, person = desk.telling(tx), desk.person

    def row(one: Transfer) -> OfferRow:
        covered = transfers.covered(tx, one.child_id, one.alert_id, one.from_borough)
        found = [alerts.show(tx, person, alert.alert_id, now=desk.now) for alert in covered]
        shown = children_shown.names(tx, person, [alert.child_id for alert in found], now=desk.now)
        return OfferRow(
            transfer_id=one.transfer_id,
            sender=telling.borough(one.from_borough),
            receiver=telling.borough(one.to_borough),
            whole=one.alert_id is None,
            reason=one.reason,
            asked_by=telling.names.name(one.asked_by),
            asked_at=one.asked_at,
            rows=telling.rows(found, shown),
            can_accept=person.sees_borough(one.to_borough) and one.asked_by != person.username,
            can_take_back=person.sees_borough(one.from_borough),
        )

    found = transfers.visible(tx, person, person.boroughs)
    asked = [one for one in found if person.sees_borough(one.to_borough)]
    return TransfersPage(
        asked=tuple(row(one) for one in asked),
        offered=tuple(row(one) for one in found if one not in asked),
        wrong=wrong,
        error=error,
        reason=reason,
    )


@sends("/transfers/{transfer_id:int}", guards=[WORKS])
async def answer_transfer(transfer_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Accept, refuse, or take back."""
    form, transfer_id = await desk.form(), known_number(transfer_id)
    reason = form.line("reason")
    if form.text("answer") not in {one.value for one in Answer}:
        raise missing()
    how = Answer(form.text("answer"))

    def decide(tx: Transaction) -> TransfersPage | Done:
        try:
            transferring.answer(tx, desk.person, transfer_id, how, reason or None, now=desk.now)
        except TransferRefused as refused:
            return _offers(tx, desk, wrong=transfer_id, error=str(refused), reason=reason)
        return Done("/transfers", how.value.replace("_", "-"))

    return await desk.takes("transfers.html", "transfers", decide)


@shows("/alerts/{alert_id:int}/other-force", guards=[WORKS])
async def other_force_form(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Who rang whom about this alert, and the form for one call more."""
    alert_id = known_number(alert_id)
    return await desk.shows(
        "other_force.html", "alerts", lambda tx: _other_force(tx, desk, alert_id, {}, None)
    )


def _other_force(
    tx: Transaction, desk: Desk, alert_id: int, given: dict[str, str], wrong: tuple[str, str] | None
) -> OtherForcePage:
    alert = transferring.other_force_alert(tx, desk.person, alert_id)
    alert = alerts.show(tx, desk.person, alert.alert_id, now=desk.now)
    telling = desk.telling(tx)
    return OtherForcePage(
        row=desk.row(tx, alert),
        contacts=tuple(
            ContactRow(
                force=one.force, spoke_to=one.spoke_to, said=one.said, called_at=one.called_at,
                person=telling.names.name(one.person),
            )
            for one in force_contacts.of_alert(tx, desk.person, alert_id, now=desk.now)
        ),
        wrong_field=wrong[0] if wrong else None,
        error=wrong[1] if wrong else None,
        **given,
    )  # fmt: skip


@sends("/alerts/{alert_id:int}/other-force", guards=[WORKS])
async def other_force(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Write a call down."""
    form, alert_id = await desk.form(), known_number(alert_id)
    given = {name: form.line(name) for name in ("force", "spoke_to", "said", "minutes")}
    minutes = form.number("minutes")
    wrong = next(
        (
            (name, error)
            for name, error in (
                ("force", "Say which force."),
                ("spoke_to", "Say whom you spoke to."),
                ("said", "Say what was agreed."),
            )
            if len(given[name]) < 2
        ),
        None,
    )
    if wrong is None and (minutes is None or minutes > CALLED_MINUTES_MAX):
        wrong = ("minutes", "Give a number of minutes, at most a week.")

    def write(tx: Transaction) -> OtherForcePage | Done:
        if wrong is not None or minutes is None:
            return _other_force(tx, desk, alert_id, given, wrong)
        transferring.told_force(
            tx, desk.person, alert_id, force=given["force"], spoke_to=given["spoke_to"], said=given["said"],
            called_at=desk.now - minutes * words.MINUTE_MS, now=desk.now,
        )  # fmt: skip
        return Done(f"/alerts/{alert_id}/other-force", "told-force")

    return await desk.takes("other_force.html", "alerts", write)


HANDLERS = [transfer_form, transfer, transfers_page, answer_transfer, other_force_form, other_force]
