"""What the forms around one alert share: hand over, close and grade. Each is shown, and each is sent back."""

from __future__ import annotations

from collections.abc import Callable

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.alerts import row_of
from server.console.pages.web import AnyRequest, Page, go, missing, page, said_cookie, shell
from server.console.views import QueueRow, Shell, View
from server.http.services import Services
from server.records import alerts
from server.records.alerts import Alert, AlertConflict
from server.storage.port import Transaction

REASON_CHARACTERS_MIN = 3  # "ill" is a reason


def own_alert(
    tx: Transaction, services: Services, person: Person, alert_id: int, now: int
) -> tuple[Alert, QueueRow]:
    """An alert of the person's own boroughs, and its row. Raises `Problem` 404."""
    try:
        alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
        alert = alerts.show(tx, person, alert.alert_id, now=now)
    except NotAllowed as refused:
        raise missing(refused) from None
    return alert, row_of(tx, services, person, alert, now)


async def show_form(
    request: AnyRequest,
    services: Services,
    person: Person,
    template: str,
    form: Callable[[Transaction, int], View],
) -> Page:
    """The form, as `form` makes it in a transaction and at a time."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, View]:
        view = form(tx, now)
        return shell(tx, request, person, "alerts", now=now), view

    return page(template, *await services.store.read(look))


async def take_form(
    request: AnyRequest,
    services: Services,
    person: Person,
    template: str,
    act: Callable[[Transaction, int], View | str],
) -> Page:
    """Do what the form asks. `act` answers what to say on the queue, or the form again with what is wrong."""
    now = now_ms()

    def work(tx: Transaction) -> tuple[Shell, View] | str:
        try:
            done = act(tx, now)
        except AlertConflict:
            return "alert-changed"
        except NotAllowed as refused:
            raise missing(refused) from None
        return done if isinstance(done, str) else (shell(tx, request, person, "alerts", now=now), done)

    done = await services.store.write(work)
    if isinstance(done, str):
        return go("/alerts", said_cookie(services, done))
    return page(template, *done, status=422)
