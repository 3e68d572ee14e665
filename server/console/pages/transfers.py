"""Offering a duty to another borough, answering offers, and writing down who rang another force."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import transferring
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.casework.routing import OTHER_FORCE
from server.clock import now_ms
from server.console import words
from server.console.pages.alerts import row_of, telling_for
from server.console.pages.web import (
    AnyRequest,
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
from server.console.views import Choice, Shell
from server.console.views_transfer import ContactRow, OfferRow, OtherForcePage, TransferPage, TransfersPage
from server.http.auth import requires
from server.http.services import Services
from server.records import alerts, children_shown, force_contacts, transfers
from server.records.alerts import AlertConflict
from server.records.transfers import Answer, Transfer
from server.storage.port import Transaction
from server.transferring import TransferRefused

REASON_CHARACTERS_MIN = 10  # "he lives there" is the shortest reason that says anything
CALLED_MINUTES_MAX = 7 * 24 * 60
WORKS = requires(Permission.ACKNOWLEDGE_ALERTS, Permission.WORK_CASES)


@shows("/alerts/{alert_id:int}/transfer", guards=[WORKS])
async def transfer_form(
    request: AnyRequest, alert_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """The form that offers an alert to another borough."""
    now, alert_id = now_ms(), known_number(alert_id)

    def look(tx: Transaction) -> tuple[Shell, TransferPage]:
        view = _transfer_page(tx, services, person, alert_id, now)
        return shell(tx, request, person, "transfers", now=now), view

    return page("transfer.html", *await services.store.read(look))


def _transfer_page(
    tx: Transaction, services: Services, person: Person, alert_id: int, now: int, *, to: str = "",
    whole: bool = False, reason: str = "", error: str | None = None,
) -> TransferPage:  # fmt: skip
    try:
        alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
        alert = alerts.show(tx, person, alert.alert_id, now=now)
    except NotAllowed as refused:
        raise missing(refused) from None
    named = sorted((one.name, one.code) for one in services.policy.force.boroughs.values())
    choices = [(code, name) for name, code in named] + [
        (OTHER_FORCE, "Another force (the other-force queue)")
    ]
    return TransferPage(
        row=row_of(tx, services, person, alert, now),
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
async def transfer(
    request: AnyRequest, alert_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """Offer it. It stays the sender's until the other borough accepts."""
    form, alert_id, now = await form_of(request), known_number(alert_id), now_ms()
    to, whole = form.text("to"), form.text("what") == "child"
    reason, rev = " ".join(form.text("reason").split()), form.number("rev")

    def give(tx: Transaction) -> tuple[Shell, TransferPage] | str:
        error = None if to else "Choose a borough."
        if error is None and len(reason) < REASON_CHARACTERS_MIN:
            error = "Say why, in a sentence."
        try:
            if error is None:
                policy = services.policy
                transferring.offer(
                    tx, policy, person, alert_id, to, reason, whole=whole, now=now, from_rev=rev
                )
                return "offered"
        except AlertConflict:
            return "alert-changed"
        except NotAllowed as refused:
            raise missing(refused) from None
        except TransferRefused as refused_:
            error = str(refused_)
        view = _transfer_page(
            tx, services, person, alert_id, now, to=to, whole=whole, reason=reason, error=error
        )
        return shell(tx, request, person, "transfers", now=now), view

    done = await services.store.write(give)
    if isinstance(done, str):
        return go("/transfers" if done == "offered" else "/alerts", said_cookie(services, done))
    return page("transfer.html", *done, status=422)


@shows("/transfers", guards=[WORKS])
async def transfers_page(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """What the person's boroughs are asked to take, and what they offered."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, TransfersPage]:
        return shell(tx, request, person, "transfers", now=now), _offers(tx, services, person, now)

    return page("transfers.html", *await services.store.read(look))


def _offers(
    tx: Transaction, services: Services, person: Person, now: int, *, wrong: int | None = None,
    error: str | None = None, reason: str = "",
) -> TransfersPage:  # fmt: skip
    telling = telling_for(tx, services, person, now)

    def row(one: Transfer) -> OfferRow:
        covered = transfers.covered(tx, one.child_id, one.alert_id, one.from_borough)
        found = [alerts.show(tx, person, alert.alert_id, now=now) for alert in covered]
        shown = children_shown.names(tx, person, [alert.child_id for alert in found], now=now)
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
async def answer_transfer(
    request: AnyRequest,
    transfer_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:  # fmt: skip
    """Accept, refuse, or take back."""
    form, transfer_id, now = await form_of(request), known_number(transfer_id), now_ms()
    reason = " ".join(form.text("reason").split())
    if form.text("answer") not in {one.value for one in Answer}:
        raise missing()
    how = Answer(form.text("answer"))

    def decide(tx: Transaction) -> tuple[Shell, TransfersPage] | str:
        try:
            transferring.answer(tx, person, transfer_id, how, reason or None, now=now)
        except NotAllowed as refused:
            raise missing(refused) from None
        except TransferRefused as refused_:
            frame = shell(tx, request, person, "transfers", now=now)
            return frame, _offers(
                tx, services, person, now, wrong=transfer_id, error=str(refused_), reason=reason
            )
        return how.value.replace("_", "-")

    done = await services.store.write(decide)
    if isinstance(done, str):
        return go("/transfers", said_cookie(services, done))
    return page("transfers.html", *done, status=422)


@shows("/alerts/{alert_id:int}/other-force", guards=[WORKS])
async def other_force_form(
    request: AnyRequest, alert_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """Who rang whom about this alert, and the form for one call more."""
    now, alert_id = now_ms(), known_number(alert_id)

    def look(tx: Transaction) -> tuple[Shell, OtherForcePage]:
        view = _other_force(tx, services, person, alert_id, now, {}, None)
        return shell(tx, request, person, "alerts", now=now), view

    return page("other_force.html", *await services.store.read(look))


def _other_force(
    tx: Transaction, services: Services, person: Person, alert_id: int, now: int, given: dict[str, str],
    wrong: tuple[str, str] | None,
) -> OtherForcePage:  # fmt: skip
    try:
        alert = transferring.other_force_alert(tx, person, alert_id)
        alert = alerts.show(tx, person, alert.alert_id, now=now)
    except NotAllowed as refused:
        raise missing(refused) from None
    telling = telling_for(tx, services, person, now)
    return OtherForcePage(
        row=row_of(tx, services, person, alert, now),
        contacts=tuple(
            ContactRow(
                force=one.force, spoke_to=one.spoke_to, said=one.said, called_at=one.called_at,
                person=telling.names.name(one.person),
            )
            for one in force_contacts.of_alert(tx, person, alert_id, now=now)
        ),
        wrong_field=wrong[0] if wrong else None,
        error=wrong[1] if wrong else None,
        **given,
    )  # fmt: skip


@sends("/alerts/{alert_id:int}/other-force", guards=[WORKS])
async def other_force(
    request: AnyRequest, alert_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """Write a call down."""
    form, alert_id, now = await form_of(request), known_number(alert_id), now_ms()
    given = {name: " ".join(form.text(name).split()) for name in ("force", "spoke_to", "said", "minutes")}
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

    def write(tx: Transaction) -> tuple[Shell, OtherForcePage] | None:
        if wrong is not None or minutes is None:
            view = _other_force(tx, services, person, alert_id, now, given, wrong)
            return shell(tx, request, person, "alerts", now=now), view
        try:
            transferring.told_force(
                tx, person, alert_id, force=given["force"], spoke_to=given["spoke_to"], said=given["said"],
                called_at=now - minutes * words.MINUTE_MS, now=now,
            )  # fmt: skip
        except NotAllowed as refused:
            raise missing(refused) from None
        return None

    done = await services.store.write(write)
    if done is None:
        return go(f"/alerts/{alert_id}/other-force", said_cookie(services, "told-force"))
    return page("other_force.html", *done, status=422)


HANDLERS = [transfer_form, transfer, transfers_page, answer_transfer, other_force_form, other_force]
