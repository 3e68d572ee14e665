"""What is measured of each server, and how: the same work, by the same clients, for all."""

from __future__ import annotations

import argparse
import asyncio
import functools
import time
from collections.abc import Coroutine
from random import Random
from statistics import median
from typing import Any, TypeVar

import msgspec
import uvloop

from sync.envelope import join_lines, split_lines
from sync.operations import parse_envelope
from tests.bench.peers.dialects import Batch
from tests.bench.peers.servers import Peer, Running
from tests.bench.peers.wire import Wire, encode
from tests.bench.push import percentile, usage_of
from tests.bench.push_postgres import cpu_of
from tests.bench.setting import Phone, pushes

PARTS = ("push", "again", "pull", "empty", "burst")
"""Of the work. Without a push there is nothing for the others, so that is done in any case."""
EMPTY_PULLS = 500
RETRIES_MAX = 600
_JITTER = Random("retries")

T = TypeVar("T")


class Measured(msgspec.Struct, kw_only=True):
    """One server in one round. Rates in notes a second, times in milliseconds, memory in MiB. CPU time of the server
    and of the database server that works for it: seconds for 1,000 notes pushed, microseconds for a note pushed again,
    for a note pulled, and for an empty pull. None: not measured."""

    push: float
    push_p99: float
    again: float | None = None
    pull: float | None = None
    empty_p50: float | None = None
    cpu: float
    cpu_again: float | None = None
    cpu_pull: float | None = None
    cpu_empty: float | None = None
    memory: float
    acknowledged: int
    pullable: int
    lost: int


class Burst(msgspec.Struct, kw_only=True):
    """The end of a shift on one server."""

    seconds: float
    p99: float
    memory: float
    acknowledged: int
    lost: int


class Pushed(msgspec.Struct):
    seconds: float
    latencies_ms: list[float]
    acknowledged: set[str]


@functools.cache
def _notes(clients: int, notes: int, per_push: int, children: int) -> list[tuple[int, bytes]]:
    """(client, lines of a push), dealt in turn: made once, and the same for every server and round."""
    phones = [Phone(str(index), f"officer{index}", "") for index in range(clients)]
    return [(int(phone.device_id), lines) for phone, lines in pushes(phones, notes, per_push, children)]


def batches_for(running: Running, clients: int, notes: int, per_push: int, children: int) -> list[Batch]:
    """The notes of a run; where the server knows its phones, under their names."""
    made = []
    for client, body in _notes(clients, notes, per_push, children):
        lines = split_lines(body)
        envelopes = [parse_envelope(line) for line in lines]
        if running.phones:
            phone = running.phones[client]
            lines = [
                encode(msgspec.structs.replace(one, device=phone.device_id, user=phone.username))
                for one in envelopes
            ]
        documents = [
            {"id": one.entity_id, "body": msgspec.Raw(line)}
            for one, line in zip(envelopes, lines, strict=True)
        ]
        made.append(Batch(client, documents, join_lines(lines)))
    return made


async def send(wire: Wire, running: Running, batch: Batch, pushed: Pushed) -> None:
    """One push, asked again when the server says that it is busy, as late as it asks for and up to twice that, as
    phones do; the time is that of the try that was taken. What was waited in between is in the seconds of the whole."""
    for _ in range(RETRIES_MAX):
        began = time.perf_counter()
        acknowledged = await running.dialect.push(wire, batch)
        if not isinstance(acknowledged, float):
            pushed.latencies_ms.append((time.perf_counter() - began) * 1000)
            pushed.acknowledged |= acknowledged
            return
        await asyncio.sleep(acknowledged * (1 + _JITTER.random()))
    raise SystemExit("A push was not answered after many tries.")


async def push_all(running: Running, batches: list[Batch], clients: int) -> Pushed:
    """Each client sends its batches one after the other over a connection of its own."""
    pushed = Pushed(0.0, [], set())

    async def client(index: int) -> None:
        wire = Wire(running.address)
        for batch in batches:
            if batch.client == index:
                await send(wire, running, batch, pushed)
        await wire.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(index) for index in range(clients)))
    pushed.seconds = time.perf_counter() - began
    return pushed


async def burst(running: Running, batches: list[Batch]) -> Pushed:
    """The end of a shift: every batch on a connection of its own, all at once."""
    pushed = Pushed(0.0, [], set())

    async def phone(batch: Batch) -> None:
        wire = Wire(running.address)
        await send(wire, running, batch, pushed)
        await wire.close()

    began = time.perf_counter()
    await asyncio.gather(*map(phone, batches))
    pushed.seconds = time.perf_counter() - began
    return pushed


async def pull_all(running: Running) -> tuple[set[str], float, Any]:
    """(ids of everything that can be pulled, seconds, the last cursor)."""
    ids: set[str] = set()
    wire = Wire(running.address)
    began = time.perf_counter()
    cursor: Any = None
    for client in range(max(1, len(running.phones))):
        cursor, more = None, True
        while more:
            page = await running.dialect.page(wire, client, cursor)
            ids.update(page.ids)
            cursor, more = page.cursor, page.more
    seconds = time.perf_counter() - began
    await wire.close()
    return ids, seconds, cursor


async def pull_nothing(running: Running, cursor: Any) -> list[float]:
    """Milliseconds of each empty pull of the last client, who has everything."""
    times = []
    wire = Wire(running.address)
    for _ in range(EMPTY_PULLS):
        began = time.perf_counter()
        await running.dialect.page(wire, max(0, len(running.phones) - 1), cursor)
        times.append((time.perf_counter() - began) * 1000)
    await wire.close()
    return times


def with_cpu(running: Running, work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """What the work gives, and the CPU seconds that the server took meanwhile."""
    before = _cpu(running)
    found = uvloop.run(work)
    return found, _cpu(running) - before


def _cpu(running: Running) -> float:
    return cpu_of(running.pid) + sum(map(cpu_of, running.helpers))


def measure(peer: Peer, asked: argparse.Namespace) -> Measured:
    """Start a server, give it the work of a day, and end it."""
    with peer.start(asked.clients) as running:
        notes = round(asked.notes * peer.share)
        batches = batches_for(running, asked.clients, notes, asked.batch, asked.children)
        pushed, cpu = with_cpu(running, push_all(running, batches, asked.clients))
        some: dict[str, float] = {}
        if "again" in asked.only:
            again, cpu_again = with_cpu(running, push_all(running, batches, asked.clients))
            some |= {"again": notes / again.seconds, "cpu_again": cpu_again / notes * 1e6}
        (ids, seconds, cursor), cpu_pull = with_cpu(running, pull_all(running))
        if "pull" in asked.only:
            some |= {"pull": len(ids) / seconds, "cpu_pull": cpu_pull / max(1, len(ids)) * 1e6}
        if "empty" in asked.only:
            empty, cpu_empty = with_cpu(running, pull_nothing(running, cursor))
            some |= {"empty_p50": median(empty), "cpu_empty": cpu_empty / EMPTY_PULLS * 1e6}
        return Measured(
            push=notes / pushed.seconds,
            push_p99=percentile(pushed.latencies_ms, 0.99),
            cpu=cpu / notes * 1000,
            memory=usage_of(running.pid)[1],
            acknowledged=len(pushed.acknowledged),
            pullable=len(ids),
            lost=len(pushed.acknowledged - ids),
            **some,
        )


def measure_burst(peer: Peer, asked: argparse.Namespace) -> Burst:
    """Start a server and let a whole shift end at once."""
    phones = round(asked.phones * peer.share)
    with peer.start(phones) as running:
        batches = batches_for(running, phones, phones * asked.phone_notes, asked.phone_notes, asked.children)
        pushed = uvloop.run(burst(running, batches))
        memory = usage_of(running.pid)[1]
        ids, _, _ = uvloop.run(pull_all(running))
        return Burst(
            seconds=pushed.seconds,
            p99=percentile(pushed.latencies_ms, 0.99) / 1000,
            memory=memory,
            acknowledged=len(pushed.acknowledged),
            lost=len(pushed.acknowledged - ids),
        )
