"""`python -m tests.bench.push_postgres`: the same push on PostgreSQL, from one server process and from several.

A private PostgreSQL with fsync, the synthetic registry imported once and copied for each run, and the pushes of
`tests.bench.push`. CPU seconds are told apart: of the server processes, and of PostgreSQL's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

import psycopg

from server.clock import now_ms
from server.demo.population import write_registry_csv
from server.importing import import_registry
from server.storage import open_store
from tests.bench.push import percentile, pullable, push_all
from tests.bench.setting import SEED, enrol_phones, pushes, running_server
from tests.storage.postgres_server import private_server, server_url


def cpu_of(session: int) -> float:
    """CPU seconds so far of a process and all below it, those that have ended included."""
    ticks = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    spent: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        parents[pid], spent[pid] = int(fields[1]), sum(map(int, fields[11:15]))

    def below(pid: int) -> bool:
        while pid in parents and pid != session:
            pid = parents[pid]
        return pid == session

    return sum(ticks_spent for pid, ticks_spent in spent.items() if below(pid)) / ticks


def postmaster(folder: str) -> int:
    return int((Path(folder) / "data" / "postmaster.pid").read_text().split()[0])


def execute(folder: str, command: str) -> None:
    with psycopg.connect(server_url(folder), autocommit=True) as connection:
        connection.execute(command.encode())


def run_once(folder: str, data: Path, workers: int, arguments: argparse.Namespace) -> bool:
    execute(folder, "DROP DATABASE IF EXISTS run")
    execute(folder, "CREATE DATABASE run TEMPLATE registry")
    database = server_url(folder, "run")
    phones = enrol_phones(database, arguments.clients)
    work = pushes(phones, arguments.notes, arguments.batch, arguments.children)
    with running_server(data, database=database, workers=workers) as (address, process):
        before, before_pg = cpu_of(process.pid), cpu_of(postmaster(folder))
        outcome = asyncio.run(push_all(address, work, arguments.clients))
        cpu, cpu_pg = cpu_of(process.pid) - before, cpu_of(postmaster(folder)) - before_pg
        found = pullable(address, phones)
    thousand = arguments.notes / 1000
    print(
        f"{workers} worker(s): {arguments.notes / outcome.seconds:6.0f} notes/s, push p50 / p99"
        f" {percentile(outcome.latencies_ms, 0.5):.0f} / {percentile(outcome.latencies_ms, 0.99):.0f} ms,"
        f" CPU s per 1,000 notes {cpu / thousand:.2f} server + {cpu_pg / thousand:.2f} PostgreSQL,"
        f" {outcome.retries} retries, acknowledged / pullable {len(outcome.acknowledged)} / {found}",
        flush=True,
    )
    return found == arguments.notes and len(outcome.acknowledged) == found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--notes", type=int, default=8_000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--children", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 1, 2])
    arguments = parser.parse_args()
    with private_server(durable=True) as folder, tempfile.TemporaryDirectory() as data:
        execute(folder, "CREATE DATABASE registry")
        write_registry_csv(Path(data) / "known.csv", SEED, arguments.children)
        store = open_store(server_url(folder, "registry"))
        store.migrate()
        import_registry(store, Path(data) / "known.csv", now=now_ms())
        store.close_now()
        execute(folder, "VACUUM ANALYZE")
        whole = [run_once(folder, Path(data), workers, arguments) for workers in arguments.workers]
    return 0 if all(whole) else 1


if __name__ == "__main__":
    raise SystemExit(main())
