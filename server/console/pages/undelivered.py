"""Messages that did not arrive: what, where, why, what to do about it, and sending them again."""

from __future__ import annotations

from litestar.di import NamedDependency

from server.access.identity import Person
from server.access.policy import Permission
from server.alerts.channels import EVERYBODY
from server.alerts.wording import WHAT
from server.clock import now_ms
from server.console import words
from server.console.pages.web import (
    AnyRequest,
    Names,
    Page,
    form_of,
    go,
    page,
    said_cookie,
    sends,
    shell,
    shows,
)
from server.console.views import Shell
from server.console.views_telling import ChannelRow, UndeliveredPage, UndeliveredRow
from server.http.auth import requires
from server.http.services import Services
from server.records import dead_letters
from server.records.dead_letters import ROWS_MAX, DeadLetter, Health
from server.storage.port import Transaction

NAMES = {
    "push": "Browser notifications",
    "mail": "E-mail",
    "webhook": "Webhook",
    EVERYBODY: "Finding whom to tell",
}
ADVICE = {
    "push": "The person turns notifications on again, in the browser they use now (How I am told).",
    "mail": "Check the person's address with them, and that the mail server takes mail from this server.",
    "webhook": "Ask whoever runs the receiving system; check its address and key in the file of EARLYSIGN_WEBHOOKS.",
}
OTHERWISE = "This server does not have the channel any more. Set it up again, or leave the message here."


@shows("/undelivered", guards=[requires(Permission.MANAGE_QUARANTINE)])
async def undelivered(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """How each channel fares, and what was given up, red first."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, UndeliveredPage]:
        letters, names = dead_letters.listed(tx, person), Names(tx)
        view = UndeliveredPage(
            channels=tuple(_channel(health) for health in dead_letters.health(tx, services.ways, now=now)),
            rows=tuple(_row(letter, names, services) for letter in letters),
            more=len(letters) == ROWS_MAX,
        )
        return shell(tx, request, person, "undelivered", now=now), view

    return page("undelivered.html", *await services.store.read(look))


@sends("/undelivered", guards=[requires(Permission.MANAGE_QUARANTINE)])
async def resend(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Try one again, all of a channel, or all; or let one go, which nobody needs any more."""
    now, form = now_ms(), await form_of(request)
    one, channel = form.number("delivery"), form.text("channel", 60) or None
    lets_go = one is not None and form.text("let_go") == "1"
    settle = dead_letters.let_go if lets_go else dead_letters.resend
    count = await services.store.write(
        lambda tx: settle(tx, person, now=now, delivery_id=one, channel=channel)
    )
    said = "let-go" if lets_go else "resent"
    return go("/undelivered", said_cookie(services, said if count else "nothing-resent"))


def _channel(health: Health) -> ChannelRow:
    if not health.is_well:
        times = words.count(health.failures, "attempt")
        state = f"Failing: {health.trouble}. {times} failed since anything last arrived."
    elif health.arrived_at is None:
        state = "Nothing has been sent yet."
    else:
        state = "Working."
    return ChannelRow(
        name=_named(health.channel),
        channel=health.channel,
        is_well=health.is_well,
        state=state,
        waiting=health.waiting,
        dead=health.dead,
        arrived_at=health.arrived_at,
    )


def _named(channel: str) -> str:
    """A channel as people call it; several webhooks each with its own name."""
    kind, _, own = channel.partition(":")
    return f"{NAMES.get(kind, kind)} {own}".strip()


def _row(letter: DeadLetter, names: Names, services: Services) -> UndeliveredRow:
    borough = services.policy.force.boroughs.get(letter.borough)
    return UndeliveredRow(
        delivery_id=letter.delivery_id,
        alert_id=letter.alert_id,
        grade=letter.grade,
        what=f"{WHAT.get(letter.kind, 'An alert has changed')}, {borough.name if borough else letter.borough}",
        where=_named(letter.channel),
        whom=names.name(letter.username) if letter.username else "the other system",
        at=letter.at,
        attempts=letter.attempts,
        why=(letter.trouble or "not known").capitalize() + ".",
        advice=ADVICE.get(letter.channel.partition(":")[0], OTHERWISE),
    )


HANDLERS = [undelivered, resend]
