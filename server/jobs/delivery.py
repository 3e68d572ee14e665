"""Delivery: what waits in the outbox goes to the channels outside, again and again until it arrives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from server.alerts.channels import Channel, ChannelTrouble
from server.audit import Actor
from server.records import deliveries
from server.records.deliveries import Taken
from server.storage.port import Store

ACTOR = Actor("system", "delivery")

AT_ONCE_MAX = 8
"""Messages on their way over one channel at a time: a receiver is somebody's small server."""

log = structlog.get_logger("server.jobs")


async def run(
    store: Store,
    channels: Sequence[Channel],
    clock: Callable[[], int],
    draw: Callable[[], float] = random.random,
) -> int:
    """Send what is due, a round for each channel; how many arrived. Raises StorageUnavailable."""
    if not channels:
        return 0
    now = clock()
    names = [channel.name for channel in channels]
    if not await store.read(lambda tx: deliveries.is_due(tx, names, now=now)):
        return 0
    arrived = await asyncio.gather(*[_round(store, channel, clock, draw) for channel in channels])
    return sum(arrived)


async def _round(store: Store, channel: Channel, clock: Callable[[], int], draw: Callable[[], float]) -> int:
    """Send up to `AT_ONCE_MAX` messages, all at the same time: the slowest decides how long it takes."""
    now = clock()
    taken = await store.write(
        lambda tx: deliveries.take(tx, ACTOR, channel.name, channel.recipient, now=now, limit=AT_ONCE_MAX)
    )
    sent = await asyncio.gather(*[_send(store, channel, one, clock, draw) for one in taken])
    return sum(sent)


async def _send(
    store: Store, channel: Channel, one: Taken, clock: Callable[[], int], draw: Callable[[], float]
) -> bool:
    try:
        await channel.send(one.message, now=clock())
    except ChannelTrouble as error:
        await _failed(store, one, error, clock(), draw())
        return False
    now = clock()
    await store.write(lambda tx: deliveries.delivered(tx, one.delivery_id, now=now))
    return True


async def _failed(store: Store, one: Taken, trouble: ChannelTrouble, now: int, drawn: float) -> None:
    state = await store.write(
        lambda tx: deliveries.failed(
            tx,
            one.delivery_id,
            one.attempt,
            str(trouble),
            now=now,
            draw=drawn,
            is_final=trouble.is_final,
            wait_ms=trouble.wait_ms,
        )
    )
    log.warning(
        "delivery failed",
        channel=one.channel,
        delivery=one.delivery_id,
        attempt=one.attempt,
        trouble=str(trouble),
        state=state.value,
    )
