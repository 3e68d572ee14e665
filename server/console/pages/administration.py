"""The administrator's pages: phones (what each owes and holds, revoke, wipe) and what was set aside."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import phones, releasing
from server.access import devices
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.web import (
    REASON_CHARACTERS_MAX,
    AnyRequest,
    Page,
    form_of,
    go,
    known_number,
    page,
    said_cookie,
    sends,
    shell,
    shows,
)
from server.console.views import Shell
from server.console.views_administration import HeldRow, PhoneRow, PhonesPage, QuarantinePage
from server.http.auth import requires
from server.http.services import Services
from server.records import quarantine
from server.records.quarantine import Held
from server.releasing import Decided, NotReleased
from server.storage.port import Transaction

LISTED_MAX = 200
MANAGES_PHONES = [requires(Permission.MANAGE_DEVICES)]
MANAGES_QUARANTINE = [requires(Permission.MANAGE_QUARANTINE)]


@shows("/phones", guards=MANAGES_PHONES)
async def list_phones(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Every phone; those that owe notes first."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, PhonesPage]:
        rows = tuple(_row(services, phone) for phone in phones.everything(tx))
        view = PhonesPage(rows=rows, owing=sum(row.owes is not None for row in rows))
        return shell(tx, request, person, "phones", now=now), view

    return page("phones.html", *await services.store.read(look))


def _row(services: Services, phone: phones.Phone) -> PhoneRow:
    row, said = phone.row, phone.said
    borough = services.policy.force.name_of(row.borough) if row.borough else None
    return PhoneRow(
        device_id=row.device_id,
        name=row.name,
        officer=row.username,
        place=", ".join(part for part in (borough, f"ward {row.ward}" if row.ward else None) if part),
        state=row.state,
        last_seen_at=row.last_seen_at,
        version=row.app_version,
        owes=phone.owes.sentence if phone.owes else None,
        holds=phone.holds,
        waiting=said.waiting if said else None,
        clock=phone.clock,
        clock_wrong=phone.clock_wrong,
        may_revoke=row.status == devices.ACTIVE and row.wiped_at is None,
        may_wipe=row.status == devices.ACTIVE and row.wipe_ordered_at is None and row.wiped_at is None,
        wipe_ordered_at=row.wipe_ordered_at or row.revoked_at,
        wipe_begun_at=row.wipe_begun_at,
        wiped_at=row.wiped_at,
    )


@sends("/phones/{device_id:str}/revoke", guards=MANAGES_PHONES)
async def revoke(
    device_id: FromPath[str], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Revoke a phone."""
    now, actor = now_ms(), phones.require(person)
    await services.store.write(lambda tx: devices.revoke(tx, device_id, actor=actor, now=now))
    return go("/phones", said_cookie(services, "revoked"))


@sends("/phones/{device_id:str}/wipe", guards=MANAGES_PHONES)
async def wipe(
    device_id: FromPath[str], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Have a phone wipe itself once it has sent what it has."""
    now, actor = now_ms(), phones.require(person)
    await services.store.write(lambda tx: devices.order_wipe(tx, device_id, actor=actor, now=now))
    return go("/phones", said_cookie(services, "wipe-ordered"))


@shows("/quarantine", guards=MANAGES_QUARANTINE)
async def list_quarantine(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """What waits for a person, and what was decided."""
    now = now_ms()
    found = await services.store.read(
        lambda tx: (shell(tx, request, person, "quarantine", now=now), _quarantine(tx))
    )
    return page("quarantine.html", *found)


def _quarantine(tx: Transaction, wrong: int | None = None, error: str | None = None) -> QuarantinePage:
    return QuarantinePage(
        waiting=tuple(map(_held, quarantine.waiting(tx, limit=LISTED_MAX))),
        decided=tuple(map(_held, quarantine.decided(tx))),
        least=releasing.REASON_CHARACTERS_MIN,
        wrong=wrong,
        error=error,
    )


_KINDS = {"note.write": "A note", "note.amend": "An addition to a note", "note.withdraw": "A withdrawal"}


def _held(held: Held) -> HeldRow:
    why, to_do = releasing.why(held)
    what = _KINDS.get(held.kind or "", "Something that cannot be read")
    return HeldRow(
        number=held.quarantine_id,
        received_at=held.received_at,
        phone=held.device_name or held.device_id[:8],
        officer=held.officer,
        what=f"{what}, {held.size} bytes" + (f", schema {held.schema}" if held.schema else ""),
        why=why + (f" (in {held.place.removeprefix('$.')})" if held.place and held.place != "$" else ""),
        to_do=to_do,
        decision=held.decision.value if held.decision else None,
        decided_at=held.decided_at,
        decided_by=held.decided_by,
        reason=held.reason,
    )


@sends("/quarantine/{number:int}/release", guards=MANAGES_QUARANTINE)
async def release(
    request: AnyRequest, number: FromPath[int], person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:  # fmt: skip
    """Send one line down the road. Where it is not taken, the page says why."""
    now, actor, number = now_ms(), releasing.require(person), known_number(number)
    try:
        await services.store.write(
            lambda tx: releasing.release(tx, actor, number, now=now, world=services.worlds.current(tx))
        )
    except Decided:
        return go("/quarantine", said_cookie(services, "held-decided"))
    except NotReleased as refused:
        return await _again(request, person, services, number, f"{refused} {refused.hint}", 409)
    return go("/quarantine", said_cookie(services, "released"))


@sends("/quarantine/{number:int}/refuse", guards=MANAGES_QUARANTINE)
async def refuse(
    request: AnyRequest, number: FromPath[int], person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:  # fmt: skip
    """Keep why one line is not released."""
    form, number = await form_of(request), known_number(number)
    now, actor = now_ms(), releasing.require(person)
    reason = " ".join(form.text("reason", REASON_CHARACTERS_MAX).split())
    if len(reason) < releasing.REASON_CHARACTERS_MIN:
        return await _again(
            request, person, services, number, "Say in a sentence why it is not released.", 422
        )
    try:
        await services.store.write(lambda tx: releasing.refuse(tx, actor, number, reason, now=now))
    except Decided:
        return go("/quarantine", said_cookie(services, "held-decided"))
    return go("/quarantine", said_cookie(services, "held-refused"))


async def _again(
    request: AnyRequest, person: Person, services: Services, number: int, error: str, status: int
) -> Page:
    now = now_ms()
    found = await services.store.read(
        lambda tx: (shell(tx, request, person, "quarantine", now=now), _quarantine(tx, number, error))
    )
    return page("quarantine.html", *found, status=status)


HANDLERS = [list_phones, revoke, wipe, list_quarantine, release, refuse]
