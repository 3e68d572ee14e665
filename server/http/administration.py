"""Doors for those who manage phones and what was set aside: what each phone owes and holds, release, refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, Parameter
from msgspec import Meta

from server import phones, releasing
from server.access import devices
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import (
    CONFLICT,
    INVALID,
    NOT_ALLOWED,
    NOT_FOUND,
    NOT_SIGNED_IN,
    UNAVAILABLE,
    Problem,
    documented,
)
from server.http.services import Services
from server.records import quarantine
from server.records.quarantine import Held
from server.releasing import Decided, NotReleased
from server.storage.port import Transaction
from sync.limits import SEQ_MAX

LISTED_MAX = 500
READING = documented(NOT_SIGNED_IN, NOT_ALLOWED, NOT_FOUND, INVALID, UNAVAILABLE)
CHANGING = documented(NOT_SIGNED_IN, NOT_ALLOWED, NOT_FOUND, INVALID, CONFLICT, UNAVAILABLE)
DeviceId = FromPath[Annotated[str, Parameter(max_length=64, pattern=r"^[A-Za-z0-9-]+$")]]
Number = FromPath[Annotated[int, Parameter(ge=1, le=SEQ_MAX)]]


class PhoneView(msgspec.Struct, frozen=True, kw_only=True):
    """A phone. `owes` is a sentence, `gaps` the numbers; `holds` children it is not known to be rid of; times in ms."""

    device_id: str
    name: str
    officer: str
    ward: str | None
    borough: str | None
    state: str
    last_seen_at: int | None
    version: str | None
    owes: str | None
    gaps: tuple[tuple[int, int], ...]
    holds: int
    waiting: int | None
    clock_offset_ms: int | None
    wipe_ordered_at: int | None
    wiped_at: int | None


class PhonesView(msgspec.Struct, frozen=True, kw_only=True):
    phones: tuple[PhoneView, ...]


class HoldingsView(msgspec.Struct, frozen=True, kw_only=True):
    """Children that may have been on a phone at a time, by number. `ended_at`: when it was known to be rid of it."""

    device_id: str
    at: int
    children: tuple[phones.OnPhone, ...]


class HeldView(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was set aside: what it is, why, and what to do. Never what is written in it."""

    held: Held
    why: str
    what_to_do: str


class QuarantineView(msgspec.Struct, frozen=True, kw_only=True):
    waiting: tuple[HeldView, ...]
    decided: tuple[HeldView, ...]


class ReleasedView(msgspec.Struct, frozen=True, kw_only=True):
    """How the road ended for a line that was released."""

    outcome: str
    code: str | None


class RefuseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[
        str, Meta(min_length=releasing.REASON_CHARACTERS_MIN, max_length=500, pattern=r"^[^\x00]*$")
    ]


def phone_view(phone: phones.Phone) -> PhoneView:
    """A phone as the door shows it."""
    row = phone.row
    return PhoneView(
        device_id=row.device_id,
        name=row.name,
        officer=row.username,
        ward=row.ward,
        borough=row.borough,
        state=row.state,
        last_seen_at=row.last_seen_at,
        version=row.app_version,
        owes=phone.owes.sentence if phone.owes else None,
        gaps=phone.owes.gaps if phone.owes else (),
        holds=phone.holds,
        waiting=phone.said.waiting if phone.said else None,
        clock_offset_ms=phone.said.offset_ms if phone.said else None,
        wipe_ordered_at=row.wipe_ordered_at,
        wiped_at=row.wiped_at,
    )


def held_view(held: Held) -> HeldView:
    """A line with why it is here and what to do."""
    why, what = releasing.why(held)
    return HeldView(held=held, why=why, what_to_do=what)


@get(
    "/api/phones",
    guards=[requires(Permission.MANAGE_DEVICES)],
    security=PERSON_SECURITY,
    tags=["administration"],
    summary="Every phone: what it owes and holds, and how its clock is off",
    responses=READING,
)
async def list_phones(services: NamedDependency[Services]) -> PhonesView:
    """Those that owe notes come first."""
    found = await services.store.read(phones.everything)
    return PhonesView(phones=tuple(phone_view(phone) for phone in found))


@get(
    "/api/phones/{device_id:str}/holdings",
    guards=[requires(Permission.MANAGE_DEVICES)],
    security=PERSON_SECURITY,
    tags=["administration"],
    summary="Which children were on a phone at a time",
    responses=READING,
)
async def holdings(
    device_id: DeviceId,
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    at: FromQuery[Annotated[int, Parameter(ge=0, le=SEQ_MAX)] | None] = None,
) -> HoldingsView:
    """By number; names are for those who may see each child. `at` in ms since the epoch, now where it is left out."""
    now = now_ms()
    when, actor = now if at is None else at, phones.require(person)

    def look(tx: Transaction) -> list[phones.OnPhone]:
        phones.one(tx, device_id)
        return phones.holdings(tx, device_id, when, actor=actor, now=now)

    found = await services.store.read(look)
    return HoldingsView(device_id=device_id, at=when, children=tuple(found))


def ordering(order: str, gives: Callable[..., bool], summary: str, told: str) -> HTTPRouteHandler:
    """The door for an order to a phone; `gives` is the function of `devices` that keeps it, `told` what follows."""

    @post(
        f"/api/phones/{{device_id:str}}/{order}",
        guards=[requires(Permission.MANAGE_DEVICES)],
        security=PERSON_SECURITY,
        status_code=200,
        tags=["administration"],
        summary=summary,
        description=told,
        responses=CHANGING,
    )
    async def give(
        device_id: DeviceId, person: NamedDependency[Person], services: NamedDependency[Services]
    ) -> PhoneView:
        now, actor = now_ms(), phones.require(person)

        def work(tx: Transaction) -> phones.Phone:
            gives(tx, device_id, actor=actor, now=now)
            return phones.one(tx, device_id)

        return phone_view(await services.store.write(work))

    return give


revoke = ordering(
    "revoke",
    devices.revoke,
    "Revoke a phone",
    "It reads nothing more, is told to wipe, and what it hands in goes to quarantine.",
)
wipe = ordering(
    "wipe",
    devices.order_wipe,
    "Have a phone wipe itself once it has sent what it has",
    "It sends what it still has, reads nothing more, wipes itself, and says so: `wiped_at`.",
)


@get(
    "/api/quarantine",
    guards=[requires(Permission.MANAGE_QUARANTINE)],
    security=PERSON_SECURITY,
    tags=["administration"],
    summary="What was set aside, and what was decided about it",
    responses=READING,
)
async def list_quarantine(services: NamedDependency[Services]) -> QuarantineView:
    """Oldest first; what was decided, newest first."""
    waiting, decided = await services.store.read(
        lambda tx: (quarantine.waiting(tx, limit=LISTED_MAX), quarantine.decided(tx))
    )
    return QuarantineView(waiting=tuple(map(held_view, waiting)), decided=tuple(map(held_view, decided)))


@post(
    "/api/quarantine/{number:int}/release",
    guards=[requires(Permission.MANAGE_QUARANTINE)],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["administration"],
    summary="Send what was set aside down the road",
    responses=CHANGING,
)
async def release(
    number: Number, person: NamedDependency[Person], services: NamedDependency[Services]
) -> ReleasedView:
    """Once, as this server reads it now. Where the road does not take it, nothing changes and the problem says why."""
    now, actor = now_ms(), releasing.require(person)
    try:
        verdict = await services.store.write(
            lambda tx: releasing.release(tx, actor, number, now=now, world=services.worlds.current(tx))
        )
    except (Decided, NotReleased) as error:
        raise refused(error) from None
    return ReleasedView(outcome=verdict.v.value, code=verdict.code)


@post(
    "/api/quarantine/{number:int}/refuse",
    guards=[requires(Permission.MANAGE_QUARANTINE)],
    security=PERSON_SECURITY,
    status_code=204,
    tags=["administration"],
    summary="Say why what was set aside is not released",
    responses=CHANGING,
)
async def refuse(
    number: Number,
    data: JSONBody[RefuseRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> None:
    """The bytes are kept."""
    now, actor = now_ms(), releasing.require(person)
    try:
        await services.store.write(lambda tx: releasing.refuse(tx, actor, number, data.reason, now=now))
    except Decided as error:
        raise refused(error) from None


def refused(error: Decided | NotReleased) -> Problem:
    """The problem of a decision that could not be taken."""
    if isinstance(error, NotReleased):
        return Problem(CONFLICT, str(error), hint=error.hint, extra={"code": error.code})
    return Problem(CONFLICT, "It was decided before, or there is nothing of that number.")


HANDLERS = [list_phones, holdings, revoke, wipe, list_quarantine, release, refuse]
