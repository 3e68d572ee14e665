"""What a door may use, put together by `server/app.py`: one frozen record, reached as a dependency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec
from litestar.connection import ASGIConnection

from server.access.passwords import Passwords
from server.access.policy import Policy
from server.access.sessions import SessionRules
from server.access.signing import SigningKey
from server.access.throttle import Limits
from server.ahead import Ahead
from server.alerts.presets import Presets
from server.alerts.stream import Hub
from server.checkpoints import Totals
from server.http.answered import Answered
from server.http.metrics import Metrics
from server.http.notes_first import NotesFirst, OnePush
from server.http.turns import Turns
from server.settings import Settings
from server.storage.blobs import Blobs
from server.storage.port import Store, Transaction, WouldWait
from server.world import Worlds

T = TypeVar("T")


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is the server's 32 bytes: derive keys from it (`access.crypto.derive`)."""

    settings: Settings
    store: Store
    policy: Policy
    passwords: Passwords
    session_rules: SessionRules
    limits: Limits
    secret: bytes
    receipt_key: SigningKey
    metrics: Metrics
    worlds: Worlds
    presets: Presets
    vapid_public: str
    """What a browser subscribes with."""
    ways: tuple[str, ...]
    """Names of the channels that are open."""
    incarnation: str
    cursor_key: bytes
    pass_key: bytes
    hub: Hub
    blobs: Blobs
    turns: Turns
    notes_first: NotesFirst
    one_push: OnePush
    totals: Totals
    answered: Answered
    ahead: Ahead | None
    """Where a process decides ahead of the writer."""


def glance(services: Services, work: Callable[[Transaction], T]) -> T:
    """Read a few rows here and now. Raises WouldWait where the event loop may not stand still for that."""
    # While a push computes, each statement waits for the interpreter's lock, and so would everybody.
    if services.notes_first.under_way:
        raise WouldWait("A push is under way.")
    return services.store.glance(work)


async def look(services: Services, work: Callable[[Transaction], T], *, durable: bool = False) -> T:
    """Read a few rows: at a glance where the event loop may stand still for that, or by a thread of the store.

    `durable`: what is seen is promised on (`Store.read_durable`); a glance sees no less.
    """
    try:
        return glance(services, work)
    except WouldWait:
        return await (services.store.read_durable(work) if durable else services.store.read(work))


async def show(services: Services, work: Callable[[Transaction], T]) -> T:
    """Read what is shown to somebody, and record that it is: in the turn of whoever writes, unless pushes wait
    for theirs."""
    if services.notes_first.under_way:
        return await services.store.read(work)
    return await services.store.read_recorded(work)


def services_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    """The services of the application that this connection came to."""
    return cast("Services", connection.app.state.services)
