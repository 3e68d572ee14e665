"""`python -m tests.bench.peers`: the server beside stores that others use for the same, in turn, in one run.

Each is started anew for each round and does the same work: 20,000 notes pushed in batches of 50 by 16 clients, the
same again, everything pulled in pages of 500, an empty pull, and the end of a shift: 2,000 fresh connections with
20 notes each, all at once. Ours does the whole road besides (custody, linkage against 100,000 children, rules,
alerts, audit). Figures are medians of the rounds; what was acknowledged is counted against what can be pulled.

`--burst --children 2000000` measures the end of a shift alone, of ours, with London's number of known children.
Everything runs on this machine, clients too. PostgreSQL's programs and the network (for the peers' packages, the
first time) are needed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
import msgspec

from server.clock import now_ms
from server.demo.population import write_registry_csv
from server.importing import import_registry
from server.storage import open_store
from tests.bench.peers import servers
from tests.bench.peers.servers import Batch, Peer, Running, documents_of
from tests.bench.push import percentile, usage_of
from tests.bench.push_postgres import cpu_of, execute, postmaster
from tests.bench.setting import SEED, Phone, pushes
from tests.storage.postgres_server import private_server, server_url

EMPTY_PULLS = 200
RETRY_SECONDS = 0.2
RETRIES_MAX = 600
TIMEOUT = httpx.Timeout(300)


class Measured(msgspec.Struct, kw_only=True):
    """One server in one round. Rates in notes a second, times in milliseconds, memory in MiB."""

    push: float
    push_p99: float
    again: float
    pull: float
    empty_p50: float
    cpu: float
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


def batches_for(running: Running, clients: int, notes: int, per_push: int, children: int) -> list[Batch]:
    """The notes of a run, dealt to the clients in turn. The same for every server, but for its phones."""
    phones = running.phones or [Phone(f"phone{index}", f"officer{index}", "") for index in range(clients)]
    places = {phone.device_id: index for index, phone in enumerate(phones)}
    return [
        Batch(places[phone.device_id], lines, documents_of(lines))
        for phone, lines in pushes(phones, notes, per_push, children)
    ]


async def send(http: httpx.AsyncClient, running: Running, batch: Batch, pushed: Pushed) -> None:
    """One push, asked again while the server says that it is busy; the time is from the first try."""
    began = time.perf_counter()
    for _ in range(RETRIES_MAX):
        acknowledged = await running.dialect.push(http, batch)
        if acknowledged is not None:
            pushed.latencies_ms.append((time.perf_counter() - began) * 1000)
            pushed.acknowledged |= acknowledged
            return
        await asyncio.sleep(RETRY_SECONDS)
    raise SystemExit("A push was not answered after many tries.")


async def push_all(running: Running, batches: list[Batch], clients: int) -> Pushed:
    """Each client sends its batches one after the other."""
    pushed = Pushed(0.0, [], set())

    async def client(index: int) -> None:
        async with httpx.AsyncClient(base_url=running.address, timeout=TIMEOUT) as http:
            for batch in batches:
                if batch.client == index:
                    await send(http, running, batch, pushed)

    began = time.perf_counter()
    await asyncio.gather(*(client(index) for index in range(clients)))
    pushed.seconds = time.perf_counter() - began
    return pushed


async def burst(running: Running, batches: list[Batch]) -> Pushed:
    """The end of a shift: every batch on a connection of its own, all at once."""
    pushed = Pushed(0.0, [], set())
    limits = httpx.Limits(max_connections=len(batches), max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=running.address, timeout=TIMEOUT, limits=limits) as http:
        began = time.perf_counter()
        await asyncio.gather(*(send(http, running, batch, pushed) for batch in batches))
        pushed.seconds = time.perf_counter() - began
    return pushed


async def pull_all(running: Running) -> tuple[set[str], float, list[float]]:
    """(ids of everything that can be pulled, seconds, milliseconds of each empty pull)."""
    ids: set[str] = set()
    empty: list[float] = []
    async with httpx.AsyncClient(base_url=running.address, timeout=TIMEOUT) as http:
        began = time.perf_counter()
        for client in range(max(1, len(running.phones))):
            cursor, more = None, True
            while more:
                page = await running.dialect.page(http, client, cursor)
                ids.update(page.ids)
                cursor, more = page.cursor, page.more
        seconds = time.perf_counter() - began
        for _ in range(EMPTY_PULLS):
            began = time.perf_counter()
            await running.dialect.page(http, client, cursor)
            empty.append((time.perf_counter() - began) * 1000)
    return ids, seconds, empty


def measure(peer: Peer, arguments: argparse.Namespace) -> Measured:
    """Start a server, give it the work of a day, and end it."""
    with peer.start(arguments.clients) as running:
        batches = batches_for(
            running, arguments.clients, arguments.notes, arguments.batch, arguments.children
        )
        before = cpu_with(running)
        pushed = asyncio.run(push_all(running, batches, arguments.clients))
        cpu = cpu_with(running) - before
        again = asyncio.run(push_all(running, batches, arguments.clients))
        ids, seconds, empty = asyncio.run(pull_all(running))
        return Measured(
            push=arguments.notes / pushed.seconds,
            push_p99=percentile(pushed.latencies_ms, 0.99),
            again=arguments.notes / again.seconds,
            pull=len(ids) / seconds,
            empty_p50=median(empty),
            cpu=cpu / arguments.notes * 1000,
            memory=usage_of(running.pid)[1],
            acknowledged=len(pushed.acknowledged),
            pullable=len(ids),
            lost=len(pushed.acknowledged - ids),
        )


def measure_burst(peer: Peer, arguments: argparse.Namespace) -> Burst:
    """Start a server and let a whole shift end at once."""
    notes = arguments.phones * arguments.phone_notes
    with peer.start(arguments.phones) as running:
        batches = batches_for(running, arguments.phones, notes, arguments.phone_notes, arguments.children)
        pushed = asyncio.run(burst(running, batches))
        memory = usage_of(running.pid)[1]
        ids, _, _ = asyncio.run(pull_all(running))
        return Burst(
            seconds=pushed.seconds,
            p99=percentile(pushed.latencies_ms, 0.99),
            memory=memory,
            acknowledged=len(pushed.acknowledged),
            lost=len(pushed.acknowledged - ids),
        )


def cpu_with(running: Running) -> float:
    return cpu_of(running.pid) + sum(map(cpu_of, running.helpers))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--notes", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--children", type=int, default=100_000)
    parser.add_argument("--phones", type=int, default=2_000, help="of the end of a shift")
    parser.add_argument("--phone-notes", type=int, default=20, help="of each of those phones")
    parser.add_argument("--burst", action="store_true", help="only the end of a shift, and only ours")
    parser.add_argument("--only", nargs="+", default=[], help="names of peers, or a part of them")
    parser.add_argument("--quick", action="store_true", help="one small round, to see that everything runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.notes, arguments.children, arguments.phones = 1, 1_600, 2_000, 60
    if arguments.burst:
        peer = Peer("earlysign on SQLite", True, servers.ours_on_sqlite(arguments.children))
        return report_bursts({peer.name: [measure_burst(peer, arguments)]}, arguments)
    with private_server(durable=True) as postgres, tempfile.TemporaryDirectory() as folder:
        import_into(postgres, Path(folder), arguments.children)
        peers = [peer for peer in peers_on(postgres, arguments.children) if wanted(peer, arguments.only)]
        rounds: dict[str, list[Measured]] = {peer.name: [] for peer in peers}
        bursts: dict[str, list[Burst]] = {peer.name: [] for peer in peers}
        for number in range(arguments.rounds):
            for peer in peers:
                print(f"round {number + 1}: {peer.name}", file=sys.stderr, flush=True)
                rounds[peer.name].append(measure(peer, arguments))
                bursts[peer.name].append(measure_burst(peer, arguments))
        failed = report(peers, rounds, arguments) + report_bursts(bursts, arguments)
        return 1 if failed else 0


def wanted(peer: Peer, parts: list[str]) -> bool:
    return not parts or any(part in peer.name for part in parts)


def peers_on(postgres: str, children: int) -> list[Peer]:
    """Ours and the others, in the order of a round."""
    master = postmaster(postgres)
    return [
        Peer(OURS, True, servers.ours_on_sqlite(children)),
        Peer("FastAPI and SQLModel, SQLite", True, servers.fastapi_sqlmodel),
        Peer("rxdb-server, memory", False, servers.rxdb_server),
        Peer("pouchdb-server, memory", False, servers.pouchdb_server),
        Peer("earlysign on PostgreSQL", True, servers.ours_on_postgres(postgres, master)),
        Peer("Kinto, PostgreSQL", True, servers.kinto(postgres, master)),
    ]


def import_into(postgres: str, folder: Path, children: int) -> None:
    """Fill PostgreSQL's database `registry`, which every run copies."""
    execute(postgres, "CREATE DATABASE registry")
    write_registry_csv(folder / "known.csv", SEED, children)
    store = open_store(server_url(postgres, "registry"))
    store.migrate()
    import_registry(store, folder / "known.csv", now=now_ms())
    store.close_now()
    execute(postgres, "VACUUM ANALYZE")


OURS = "earlysign on SQLite"
BARS = (
    ("push", "FastAPI", 2.0),
    ("push", "pouchdb", 0.5),
    ("pull", "rxdb", 2.1),
    ("again", "rxdb", 2.0),
    ("empty_p50", "rxdb", 0.6),
)
"""What ours on SQLite must reach: a figure, the peer it is held against, and the ratio to it (a time: at most)."""


def middle(measured: list[Measured], name: str) -> float:
    values: list[float] = [getattr(one, name) for one in measured]
    return median(values)


def report(peers: list[Peer], rounds: dict[str, list[Measured]], arguments: argparse.Namespace) -> int:
    """Print the table and the bars. How many bars were missed, and what was lost of ours."""
    print(
        f"\n{arguments.notes} notes in batches of {arguments.batch} from {arguments.clients} clients; ours with"
        f" {arguments.children} known children; median of {arguments.rounds}, interleaved; {os.cpu_count()} cores,"
        " clients on the same machine\n"
    )
    print(f"{'':30}{'push/s':>8}{'p99 ms':>8}{'again/s':>9}{'pull/s':>8}{'empty ms':>9}{'CPU s/1k':>9}{'MiB':>6}"
          f"{'acked':>7}{'there':>7}{'lost':>6}  on disk")  # fmt: skip
    for peer in peers:
        of = rounds[peer.name]
        print(
            f"{peer.name:30}{middle(of, 'push'):8.0f}{middle(of, 'push_p99'):8.0f}{middle(of, 'again'):9.0f}"
            f"{middle(of, 'pull'):8.0f}{middle(of, 'empty_p50'):9.2f}{middle(of, 'cpu'):9.2f}"
            f"{middle(of, 'memory'):6.0f}{middle(of, 'acknowledged'):7.0f}{middle(of, 'pullable'):7.0f}"
            f"{max(one.lost for one in of):6}  {'yes' if peer.durable else 'no'}"
        )
    missed = 0
    for figure, against, bar in BARS:
        other = next((name for name in rounds if against in name), None)
        if other is None or OURS not in rounds:
            continue
        ratio = middle(rounds[OURS], figure) / middle(rounds[other], figure)
        holds = ratio <= bar if figure.startswith("empty") else ratio >= bar
        missed += not holds
        print(f"  {figure} against {other}: {ratio:.2f} (bar {bar}): {'holds' if holds else 'MISSED'}")
    lost = sum(one.lost for name, of in rounds.items() if name.startswith("earlysign") for one in of)
    return (0 if arguments.quick else missed) + lost


def report_bursts(bursts: dict[str, list[Burst]], arguments: argparse.Namespace) -> int:
    """Print how each server took the end of a shift. What was lost of ours."""
    print(f"\n{arguments.phones} fresh connections at once, {arguments.phone_notes} notes each; ours with"
          f" {arguments.children} known children")  # fmt: skip
    for name, of in bursts.items():
        seconds, p99 = median(one.seconds for one in of), median(one.p99 for one in of) / 1000
        memory, acknowledged = median(one.memory for one in of), median(one.acknowledged for one in of)
        print(f"{name:30}{seconds:8.1f} s, p99 of a push {p99:.1f} s, {memory:.0f} MiB, acknowledged"
              f" {acknowledged:.0f}, lost {max(one.lost for one in of)}")  # fmt: skip
    return sum(one.lost for name, of in bursts.items() if name.startswith("earlysign") for one in of)


if __name__ == "__main__":
    raise SystemExit(main())
