"""The phone's doors: hello, push, pull and condition (`sync/envelope.py` has the messages)."""

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from server import intake, pulling
from server.access.identity import DeviceIdentity
from server.casework.facts import HOUR_MS
from server.clock import now_ms
from server.foreseen import Foreseen
from server.http.answered import BODY_KEY
from server.http.auth import DEVICE, DEVICE_HANDS_IN, DEVICE_SECURITY
from server.http.body import read_body
from server.http.problems import (
    BAD_ENCODING,
    DEVICE_REVOKED,
    INVALID,
    TOKEN_REFUSED,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED_ENCODING,
    Problem,
    documented,
)
from server.http.receiving import bytes_max
from server.http.services import Services, show
from server.prepared import NOBODY, prepare
from server.records import conditions, leases, ledger
from server.storage.port import Transaction
from sync import cursor, receipts
from sync.cursor import Cursor, CursorError
from sync.envelope import (
    Condition,
    Encoding,
    Hello,
    PullAnswer,
    PullRequest,
    PushAnswer,
    Resync,
    split_lines,
)
from sync.limits import OPS_PER_PUSH_MAX, PUSH_UNPACKED_BYTES_MAX, PUSH_WIRE_BYTES_MAX, Limits


@get(
    "/api/sync/hello",
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["sync"],
    responses=documented(TOKEN_REFUSED, UNAVAILABLE),
)
async def hello(device: NamedDependency[DeviceIdentity], services: NamedDependency[Services]) -> Hello:
    """What a phone asks first: the server's time, its limits, and how far it has everything."""
    durable, attachments_through = await services.store.read(
        lambda tx: (ledger.durable_through(tx, device.device_id), ledger.attachments_through(tx))
    )
    return Hello(
        server_time=now_ms(),
        incarnation=services.incarnation,
        limits=Limits(attachment_bytes=bytes_max(services)),
        durable_through=durable,
        attachments_through=attachments_through,
        wipe=device.must_wipe,
        encodings=(Encoding.ZSTD, Encoding.GZIP),
    )


@post(
    "/api/sync/push",
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["sync"],
    status_code=200,
    request_max_body_size=None,
    responses=documented(TOKEN_REFUSED, TOO_LARGE, BAD_ENCODING, UNSUPPORTED_ENCODING, UNAVAILABLE),
)
async def push(
    request: Request[Any, Any, Any],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> PushAnswer:
    """Hand in ops, one JSON line each (NDJSON; zstd or gzip). The answer leaves after the commit is on disk.

    Every line gets a verdict; one that cannot be read costs only itself. A revoked phone may hand in too:
    its ops wait in quarantine for a person.
    """
    with services.notes_first.let_in():
        return await _take_in(request, device, services)


async def _take_in(request: Request[Any, Any, Any], device: DeviceIdentity, services: Services) -> PushAnswer:
    payload = await read_body(
        request, max_wire_bytes=PUSH_WIRE_BYTES_MAX, max_unpacked_bytes=PUSH_UNPACKED_BYTES_MAX
    )
    lines = split_lines(payload)
    if len(lines) > OPS_PER_PUSH_MAX:
        raise Problem(
            TOO_LARGE,
            f"A push may hold {OPS_PER_PUSH_MAX} ops and this one holds {len(lines)}.",
            hint="Send it in smaller parts. Nothing of it was taken.",
            extra={"max_ops": OPS_PER_PUSH_MAX},
        )
    now = now_ms()

    def take(tx: Transaction, foreseen: Foreseen | None = None) -> intake.Received:
        # One push of this process at a time, from its lines to its last word: two that compute would take the
        # interpreter's lock from each other at every statement. While one commits, the next begins.
        with services.one_push:
            prepared = prepare(lines, device.device_id, foreseen.records() if foreseen else NOBODY)
            world = services.worlds.current(tx)
            return intake.receive(tx, device, prepared, now=now, world=world, foreseen=foreseen)

    must_wait = services.notes_first.under_way > 0
    with services.notes_first.pushing():
        if services.ahead is not None and must_wait:
            async with services.ahead.turns:
                foreseen = await services.ahead.foresee(device.device_id, lines)
                received = await services.store.write(
                    lambda tx: take(tx, foreseen), followed=services.ahead.is_asked
                )
        else:
            received = await services.store.write(take)
    key = request.scope.get("state", {}).get(BODY_KEY)
    if key is not None:
        services.answered.note(key, device.device_id, received.custody)
    return answer_to(services, device, received, now)


def answer_to(services: Services, device: DeviceIdentity, received: intake.Received, now: int) -> PushAnswer:
    """What a phone is told of its push, signed."""
    receipt = receipts.seal(
        receipts.Receipt(
            key_id=services.receipt_key.public.kid,
            incarnation=services.incarnation,
            device=device.device_id,
            received_at=now,
            ops=received.custody,
        ),
        services.receipt_key.sign,
    )
    return PushAnswer(
        verdicts=received.verdicts,
        epoch=received.epoch,
        contiguous_through=received.contiguous_through,
        durable_through=received.durable_through,
        receipt=receipt,
        rotate_epoch=received.rotate_epoch,
        backoff_ms=services.notes_first.backoff_ms(),
    )


@post(
    "/api/sync/pull",
    opt=DEVICE,
    security=DEVICE_SECURITY,
    tags=["sync"],
    status_code=200,
    responses=documented(TOKEN_REFUSED, DEVICE_REVOKED, INVALID, UNAVAILABLE),
)
async def pull(
    data: JSONBody[PullRequest],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> PullAnswer:
    """One page of what changed in the phone's scope since its cursor, in commit order.

    A cursor that is not of this server, or of a scope that has changed, is answered from the beginning
    (`resync`); what the phone has not yet sent is never touched by that.
    """
    return await page_for(services, device, data)


async def page_for(services: Services, device: DeviceIdentity, data: PullRequest) -> PullAnswer:
    """What a phone that may pull is answered."""
    scope = f"notes:{device.username}"
    start, asked, reason = Cursor(services.incarnation, scope, 0, 0), None, None
    if data.cursor is not None:
        try:
            asked = cursor.open_sealed(data.cursor, services.cursor_key)
        except CursorError:
            reason = "The cursor is not one of this server."
        else:
            if asked.incarnation != services.incarnation:
                asked, reason = None, "The server was restored from a backup."
            elif asked.scope_version != scope:
                asked, reason = None, "What this phone may hold has changed."
    now = now_ms()
    if data.lease == "begin":
        lasts = services.settings.briefing_hours * HOUR_MS
        await services.store.write(lambda tx: leases.begin(tx, device, now=now, lasts=lasts))
    page = await show(
        services,
        lambda tx: pulling.page(
            tx, device, asked, start, data.emptied, data.limit, now=now, totals=services.totals
        ),
    )
    services.totals.keep(page.totals)
    sealed = cursor.seal(page.after, services.cursor_key)
    return PullAnswer(
        changes=page.changes,
        buckets_removed=page.removed,
        cursor=sealed,
        more=page.more,
        checkpoint=page.checkpoint,
        resync=Resync(reason=reason, cursor=sealed) if reason else None,
        lease=page.lease,
    )


@post(
    "/api/sync/condition",
    opt=DEVICE_HANDS_IN,
    security=DEVICE_SECURITY,
    tags=["sync"],
    status_code=204,
    responses=documented(TOKEN_REFUSED, INVALID, UNAVAILABLE),
)
async def condition(
    data: JSONBody[Condition],
    device: NamedDependency[DeviceIdentity],
    services: NamedDependency[Services],
) -> None:
    """What a phone says of itself: its clocks, what it still owes and holds, and that it wipes or has wiped itself."""
    now = now_ms()
    await services.store.write(lambda tx: conditions.said(tx, device.device_id, data, now=now))


HANDLERS = [hello, push, pull, condition]
