"""The administrator's pages: phones (what each owes and holds, revoke, wipe) and what was set aside."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import phones, releasing
from server.access import devices
from server.access.policy import Permission
from server.console.pages.desk import Desk, Done
from server.console.pages.web import Page, known_number, missing, sends, shows
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
DECIDED = Done("/quarantine", "held-decided")


@shows("/phones", guards=MANAGES_PHONES)
async def list_phones(desk: NamedDependency[Desk]) -> Page:
    """Every phone; those that owe notes first."""

    def look(tx: Transaction) -> PhonesPage:
        rows = tuple(_row(desk.services, phone) for phone in phones.everything(tx))
        return PhonesPage(rows=rows, owing=sum(row.owes is not None for row in rows))

    return await desk.shows("phones.html", "phones", look)


def _row(services: Services, phone: phones.Phone) -> PhoneRow:
    row = phone.row
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
        clock=phone.clock,
        clock_wrong=phone.clock_wrong,
        may_revoke=row.status == devices.ACTIVE and row.wiped_at is None,
        may_wipe=row.status == devices.ACTIVE and row.wipe_ordered_at is None and row.wiped_at is None,
        wipe_ordered_at=row.wipe_ordered_at or row.revoked_at,
        wipe_begun_at=row.wipe_begun_at,
        wiped_at=row.wiped_at,
    )


@sends("/phones/{device_id:str}/{order:str}", guards=MANAGES_PHONES)
async def order(device_id: FromPath[str], order: FromPath[str], desk: NamedDependency[Desk]) -> Page:
    """Revoke a phone, or have it wipe itself once it has sent what it has."""
    orders = {"revoke": (devices.revoke, "revoked"), "wipe": (devices.order_wipe, "wipe-ordered")}
    if order not in orders:
        raise missing()
    (gives, said), actor = orders[order], phones.require(desk.person)
    await desk.services.store.write(lambda tx: gives(tx, device_id, actor=actor, now=desk.now))
    return desk.goes(Done("/phones", said))


@shows("/quarantine", guards=MANAGES_QUARANTINE)
async def list_quarantine(desk: NamedDependency[Desk]) -> Page:
    """What waits for a person, and what was decided."""
    return await desk.shows("quarantine.html", "quarantine", _quarantine)


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
async def release(number: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Send one line down the road. Where it is not taken, the page says why."""
    actor, number, services = releasing.require(desk.person), known_number(number), desk.services
    try:
        await services.store.write(
            lambda tx: releasing.release(tx, actor, number, now=desk.now, world=services.worlds.current(tx))
        )
    except Decided:
        return desk.goes(DECIDED)
    except NotReleased as refused:
        said = f"{refused} {refused.hint}"
        return await desk.shows(
            "quarantine.html", "quarantine", lambda tx: _quarantine(tx, number, said), status=409
        )
    return desk.goes(Done("/quarantine", "released"))


@sends("/quarantine/{number:int}/refuse", guards=MANAGES_QUARANTINE)
async def refuse(number: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Keep why one line is not released."""
    form, number, actor = await desk.form(), known_number(number), releasing.require(desk.person)
    reason = form.line("reason")

    def keep(tx: Transaction) -> QuarantinePage | Done:
        if len(reason) < releasing.REASON_CHARACTERS_MIN:
            return _quarantine(tx, number, "Say in a sentence why it is not released.")
        releasing.refuse(tx, actor, number, reason, now=desk.now)
        return Done("/quarantine", "held-refused")

    try:
        return await desk.takes("quarantine.html", "quarantine", keep)
    except Decided:
        return desk.goes(DECIDED)


HANDLERS = [list_phones, order, list_quarantine, release, refuse]
