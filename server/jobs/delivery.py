"""Delivery: what waits in the outbox goes to the channels outside, again and again until it arrives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from server.access.policy import Policy
from server.alerts.channels import EVERYBODY, Channel, ChannelTrouble
from server.alerts.presets import Presets
from server.audit import Actor
from server.records import deliveries, spreading, telling
from server.records.deliveries import State, Taken
from server.storage.port import Store, Transaction

ACTOR = Actor("system", "delivery")

AT_ONCE_MAX = 8
"""Messages on their way over one channel at a time: a receiver is somebody's small server."""

ROUND_SECONDS_MAX = 5.0
"""So long one run goes on taking messages; the next run, a second later, takes what is left."""

SPREADS_MAX = 10
"""Times in one round that up to 200 steps are turned into deliveries: more than any minute brings in a second."""

log = structlog.get_logger("server.jobs")


async def run(
    store: Store,
    channels: Sequence[Channel],
    clock: Callable[[], int],
    policy: Policy,
    presets: Presets,
    draw: Callable[[], float] = random.random,
) -> int:
    """Find out whom to tell, and send what is due on every channel; how many messages arrived.

    Raises StorageUnavailable.
    """
    now = clock()
    names = [channel.name for channel in channels]
    if not await store.read(lambda tx: deliveries.is_due(tx, [*names, EVERYBODY], now=now)):
        return 0
    places = {code: borough.name for code, borough in policy.force.boroughs.items()}
    waiting = await store.read(
        lambda tx: spreading.waiting(tx, SPREADS_MAX * spreading.SPREAD_AT_ONCE_MAX, now=now)
    )
    for start in range(0, len(waiting), spreading.SPREAD_AT_ONCE_MAX):
        # Each its own transaction, so that notes get in between.
        some = waiting[start : start + spreading.SPREAD_AT_ONCE_MAX]
        await store.write(
            partial(spreading.spread, policy=policy, presets=presets, channels=channels, chosen=some, now=now)
        )
    until = asyncio.get_running_loop().time() + ROUND_SECONDS_MAX
    sent = await asyncio.gather(*[_send_due(store, one, places, clock, draw, until) for one in channels])
    return sum(sent)


async def _send_due(
    store: Store,
    channel: Channel,
    places: dict[str, str],
    clock: Callable[[], int],
    draw: Callable[[], float],
    until: float,
) -> int:
    """Send what is due on one channel, red first, `AT_ONCE_MAX` at a time: a receiver that does not answer holds up
    its own message and no other. How many arrived; `until` by the loop's clock."""
    loop, turn = asyncio.get_running_loop(), asyncio.Lock()

    async def one_after_another() -> int:
        arrived = 0
        while loop.time() < until:
            async with turn:  # two that looked at the same moment would take the same message
                take = partial(
                    deliveries.take, actor=ACTOR, channel=channel.name, now=clock(), limit=1, places=places
                )
                taken = await store.write(take)
            if not taken:
                break
            for one in taken:
                arrived += await _send(store, channel, one, clock, draw)
        return arrived

    return sum(await asyncio.gather(*[one_after_another() for _ in range(AT_ONCE_MAX)]))


async def _send(
    store: Store, channel: Channel, one: Taken, clock: Callable[[], int], draw: Callable[[], float]
) -> bool:
    try:
        await channel.send(one.message, now=clock())
    except ChannelTrouble as error:
        await _failed(store, one, error, clock(), draw())
        return False
    now = clock()
    await store.write(lambda tx: deliveries.delivered(tx, one, now=now))
    return True


async def _failed(store: Store, one: Taken, trouble: ChannelTrouble, now: int, drawn: float) -> None:
    def write(tx: Transaction) -> State:
        if trouble.is_gone:
            telling.forget(tx, one.subscription_id)
        return deliveries.failed(
            tx, one, str(trouble), now=now, draw=drawn,
            is_final=trouble.is_final, is_gone=trouble.is_gone, wait_ms=trouble.wait_ms,
        )  # fmt: skip

    state = await store.write(write)
    log.warning(
        "delivery failed",
        channel=one.channel,
        delivery=one.delivery_ids[0],
        attempt=one.attempt,
        trouble=str(trouble),
        state=state.value,
    )
