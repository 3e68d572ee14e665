"""The doors for how people are told: what did not arrive, how each channel fares, and a person's own browsers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from server.access.identity import Person
from server.access.policy import Permission
from server.alerts.push import Subscription, is_push_address
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import Problem, documented
from server.http.services import Services
from server.http.views import instant
from server.records import dead_letters, telling
from server.records.dead_letters import DeadLetter, Health
from server.storage.port import Transaction
from sync import limits

ENDPOINT_CHARACTERS_MAX = 1_000
ANSWERS = documented(
    problems.INVALID, problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.TOO_LARGE,
    problems.UNSUPPORTED_TYPE, problems.UNAVAILABLE,
)  # fmt: skip
LOOKED_AFTER = requires(Permission.MANAGE_QUARANTINE)


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up: what it told of, over which channel, for whom, how often it was tried, and why
    that failed."""

    delivery_id: int
    alert_id: int
    channel: str
    username: str | None
    borough: str
    grade: str
    kind: str
    at: Any
    attempts: int
    trouble: str | None


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel fares. `failures`: attempts that failed one after the other since something last arrived."""

    channel: str
    is_well: bool
    waiting: int
    dead: int
    failures: int
    arrived_at: Any
    failed_at: Any
    trouble: str | None


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """Red first, then the oldest, up to 200; and all channels."""

    dead: list[DeadLetterView]
    channels: list[ChannelView]


class ResendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One (`delivery_id`), all of a `channel`, or, with neither, all."""

    delivery_id: Annotated[int, Meta(ge=1, le=limits.SEQ_MAX)] | None = None
    channel: Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9:_-]+$")] | None = None


class LetGoRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message that need not arrive any more."""

    delivery_id: Annotated[int, Meta(ge=1, le=limits.SEQ_MAX)]


class Resent(msgspec.Struct, frozen=True):
    """How many are tried again, or let go."""

    messages: int


class BrowserRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `PushManager.subscribe` gave this browser."""

    endpoint: Annotated[str, Meta(min_length=12, max_length=ENDPOINT_CHARACTERS_MAX, pattern=r"^[!-~]+$")]
    p256dh: Annotated[str, Meta(min_length=80, max_length=100, pattern=r"^[A-Za-z0-9_=-]+$")]
    auth: Annotated[str, Meta(min_length=16, max_length=40, pattern=r"^[A-Za-z0-9_=-]+$")]


class Browsers(msgspec.Struct, frozen=True):
    """How many browsers of this person show notifications."""

    browsers: int


def _dead(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(**msgspec.structs.asdict(letter) | {"at": instant(letter.at)})


def _channel(health: Health) -> ChannelView:
    return ChannelView(
        channel=health.channel,
        is_well=health.is_well,
        waiting=health.waiting,
        dead=health.dead,
        failures=health.failures,
        arrived_at=None if health.arrived_at is None else instant(health.arrived_at),
        failed_at=None if health.failed_at is None else instant(health.failed_at),
        trouble=health.trouble,
    )


@get(
    "/api/undelivered",
    guards=[LOOKED_AFTER],
    security=PERSON_SECURITY,
    tags=["administration"],
    summary="Messages that did not arrive, and how each channel fares",
    responses=ANSWERS,
)
async def list_undelivered(
    person: NamedDependency[Person], services: NamedDependency[Services]
) -> Undelivered:
    """What was given up after many attempts, with the reason in plain words."""

    def look(tx: Transaction) -> Undelivered:
        return Undelivered(
            dead=[_dead(letter) for letter in dead_letters.listed(tx, person)],
            channels=[_channel(health) for health in dead_letters.health(tx, services.ways, now=now_ms())],
        )

    return await services.store.read(look)


@post(
    "/api/undelivered/resend",
    guards=[LOOKED_AFTER],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["administration"],
    summary="Try again what did not arrive",
    responses=ANSWERS,
)
async def resend(
    data: JSONBody[ResendRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Resent:
    """Each begins again from its first attempt, and keeps its id, so that a receiver can tell a repeat."""
    now = now_ms()
    return Resent(
        await services.store.write(
            lambda tx: dead_letters.resend(
                tx, person, now=now, delivery_id=data.delivery_id, channel=data.channel
            )
        )
    )


@post(
    "/api/undelivered/let-go",
    guards=[LOOKED_AFTER],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["administration"],
    summary="Let go of a message that nobody needs any more",
    responses=ANSWERS,
)
async def let_go(
    data: JSONBody[LetGoRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Resent:
    """It is kept, and is shown and tried no more. 0: it did not wait for anybody."""
    now = now_ms()
    return Resent(
        await services.store.write(
            lambda tx: dead_letters.let_go(tx, person, now=now, delivery_id=data.delivery_id)
        )
    )


@post(
    "/api/telling/browsers",
    guards=[requires(Permission.ACKNOWLEDGE_ALERTS)],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["work"],
    summary="Show notifications in this browser",
    responses=ANSWERS,
)
async def add_browser(
    data: JSONBody[BrowserRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Browsers:
    """Keeps where the browser is reached. It is told a grade, a borough and a link, and nobody's name."""
    if not is_push_address(data.endpoint):
        errors = [{"field": "endpoint", "reason": "Expected the https address of a browser's push service"}]
        raise Problem(problems.INVALID, "That address cannot be used.", extra={"errors": errors})
    now = now_ms()

    def keep(tx: Transaction) -> Browsers:
        telling.subscribe(tx, person, Subscription(data.endpoint, data.p256dh, data.auth), now=now)
        return Browsers(telling.browsers(tx, person.person_id))

    return await services.store.write(keep)


HANDLERS = [list_undelivered, resend, let_go, add_browser]
