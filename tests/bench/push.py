"""`python -m tests.bench.push`: how many notes a second the whole road carries, durably.

20,000 notes in batches of 50 from 16 clients, over HTTP to a server process on SQLite with 100,000 known
children. Prints notes/s, p50 and p99 of a push, CPU seconds per 1,000 notes, peak memory, where the time
goes (`--shares`), and whether every acknowledged note can be pulled. `--floor` measures a plain Litestar,
msgspec and SQLite store without the road in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import httpx
import msgspec

from server.casework.areas import parse_geojson
from server.clock import now_ms
from server.records import reference
from server.storage import open_store
from sync.envelope import CUSTODY, PullAnswer, PushAnswer
from tests.bench.setting import Phone, database_with, enrol_phones, pushes, running_server

BOUNDARIES = Path(__file__).parents[3] / "shared" / "data" / "london-boroughs.geojson"
RETRIES_MAX = 600
"""At 0.2 s each: two minutes, for a server that is started again on a busy machine."""


class Outcome(msgspec.Struct):
    """What the clients saw."""

    seconds: float = 0.0
    latencies_ms: list[float] = []
    verdicts: Counter[str] = msgspec.field(default_factory=Counter)
    acknowledged: set[tuple[str, int]] = msgspec.field(default_factory=set)
    retries: int = 0


async def push_all(address: str, work: list[tuple[Phone, bytes]], clients: int) -> Outcome:
    """Each client sends the pushes of its phones in order, one at a time, and retries what was not answered."""
    outcome = Outcome()
    queues: dict[str, list[tuple[Phone, bytes]]] = {}
    for phone, body in work:
        queues.setdefault(phone.device_id, []).append((phone, body))
    lanes = [list(queues.values())[index::clients] for index in range(clients)]

    async def client(lane: list[list[tuple[Phone, bytes]]]) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            for queue in lane:
                for phone, body in queue:
                    await push(http, phone, body, outcome)

    started = time.perf_counter()
    await asyncio.gather(*(client(lane) for lane in lanes))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def push(http: httpx.AsyncClient, phone: Phone, body: bytes, outcome: Outcome) -> None:
    headers = {"authorization": f"Bearer {phone.token}", "content-type": "application/x-ndjson"}
    for _ in range(RETRIES_MAX):
        began = time.perf_counter()
        try:
            response = await http.post("/api/sync/push", content=body, headers=headers)
        except httpx.TransportError:
            outcome.retries += 1
            await asyncio.sleep(0.2)
            continue
        if response.status_code in (429, 503):
            outcome.retries += 1
            await asyncio.sleep(float(response.headers.get("retry-after", "1")))
            continue
        response.raise_for_status()
        outcome.latencies_ms.append((time.perf_counter() - began) * 1000)
        answer = msgspec.json.decode(response.content, type=PushAnswer)
        for verdict in answer.verdicts:
            outcome.verdicts[verdict.v.value] += 1
            if verdict.v in CUSTODY and verdict.seq is not None:
                outcome.acknowledged.add((phone.device_id, verdict.seq))
        return
    raise SystemExit("A push was not answered after many tries.")


def pullable(address: str, phones: list[Phone]) -> int:
    """How many notes the phones can pull, each counted once."""
    ids: set[str] = set()
    with httpx.Client(base_url=address, timeout=60) as http:
        for phone in phones:
            cursor, more = None, True
            while more:
                response = http.post(
                    "/api/sync/pull",
                    json={"cursor": cursor, "limit": 500},
                    headers={"authorization": f"Bearer {phone.token}"},
                )
                response.raise_for_status()
                page = msgspec.json.decode(response.content, type=PullAnswer)
                ids |= {change.id for change in page.changes if change.kind == "note"}
                cursor, more = page.cursor, page.more
    return len(ids)


def usage_of(pid: int) -> tuple[float, float]:
    """(CPU seconds, peak memory in MiB) of a process and those that it has begun, so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    used = [_usage_of_one(one) for one in (pid, *map(int, children))]
    return sum(cpu for cpu, _ in used), sum(memory for _, memory in used)


def _usage_of_one(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    cpu = (int(fields[11]) + int(fields[12])) / ticks
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return cpu, int(line.split()[1]) / 1024
    return cpu, 0.0


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def report(name: str, notes: int, outcome: Outcome, cpu: float, memory: float) -> None:
    print(f"\n{name}")
    print(f"  notes/s                    {notes / outcome.seconds:10.0f}")
    print(f"  push p50 / p99             {percentile(outcome.latencies_ms, 0.5):7.0f} / "
          f"{percentile(outcome.latencies_ms, 0.99):.0f} ms")  # fmt: skip
    print(f"  CPU s per 1,000 notes      {cpu / notes * 1000:10.2f}")
    print(f"  peak memory                {memory:10.0f} MiB")
    print(f"  verdicts                   {dict(outcome.verdicts)}")


def load_boundaries(folder: Path) -> bool:
    """Load the boroughs' boundaries where they are at hand, as a real server would have them."""
    if not BOUNDARIES.exists():
        return False
    areas = list(parse_geojson(BOUNDARIES.read_bytes()))
    store = open_store(folder / "earlysign.db")
    store.write_now(lambda tx: reference.replace_areas(tx, areas, now=now_ms()))
    store.close_now()
    return True


def run(arguments: argparse.Namespace) -> int:
    folder = database_with(arguments.children)
    try:
        located = load_boundaries(folder)
        phones = enrol_phones(folder, arguments.clients)
        work = pushes(phones, arguments.notes, arguments.batch, arguments.children)
        shares_file = folder / "shares.json"
        command = ("-m", "tests.bench.measured", str(shares_file)) if arguments.shares else ()
        with running_server(folder, *command) as (address, process):
            before, _ = usage_of(process.pid)
            outcome = asyncio.run(push_all(address, work, arguments.clients))
            after, memory = usage_of(process.pid)
            found = pullable(address, phones)
        print(f"{arguments.notes} notes, batches of {arguments.batch}, {arguments.clients} clients, "
              f"{arguments.children} known children, boundaries {'loaded' if located else 'not at hand'}, "
              f"{os.cpu_count()} cores, SQLite with synchronous=FULL")  # fmt: skip
        report("the whole road", arguments.notes, outcome, after - before, memory)
        if arguments.floor:
            with running_server(folder, "-m", "tests.bench.floor") as (address, process):
                before, _ = usage_of(process.pid)
                plain = asyncio.run(push_all(address, work, arguments.clients))
                after, memory = usage_of(process.pid)
            report("the floor: a plain store of lines", arguments.notes, plain, after - before, memory)
            print(f"  the whole road reaches     {plain.seconds / outcome.seconds:10.1%} of it")
        lost = len(outcome.acknowledged) - found
        print(f"  acknowledged / pullable    {len(outcome.acknowledged)} / {found}: {lost} lost")
        if shares_file.exists():
            print("  share of CPU time          "
                  + ", ".join(f"{k} {v:.0%}" for k, v in json.loads(shares_file.read_text()).items()))  # fmt: skip
        return 1 if lost or len(outcome.acknowledged) != arguments.notes else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--notes", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--children", type=int, default=100_000)
    parser.add_argument("--floor", action="store_true", help="measure a store without the road as well")
    parser.add_argument("--shares", action="store_true", help="meter where the server's CPU time goes")
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
