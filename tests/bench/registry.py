"""`python -m tests.bench.registry`: how long a registry of two million children takes to import, and every night after.

Makes a seeded CSV, then runs `earlysign import-children` three times as a process of its own: the first import, the
same file again, and one in which a hundredth of the rows changed. Prints seconds, rows/s, CPU seconds, the peak
memory of all its processes together (resident; in brackets with pages that they share counted once), and the size of
the database. `--pushes` starts a server on the same database and has phones push notes all the while: their latency,
and whether any was lost. `--keep FOLDER` leaves the database there, for
`python -m tests.bench.search --database FOLDER/earlysign.db`.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

from server.demo.population import CSV_COLUMNS, csv_row, population, write_registry_csv
from server.storage import open_store
from tests.bench.push import Outcome, percentile, pullable, push
from tests.bench.setting import SEED, Phone, enrol_phones, pushes, running_server

CHANGED_EVERY = 100
SAMPLE_SECONDS = 0.2
SAMPLE_CLOSELY_SECONDS = 2.0  # the kernel walks through all pages for it, which the process feels
QUICK_CHILDREN = 20_000
PHONES = 8
NOTES_PER_PUSH = 20


class Measured(NamedTuple):
    """One import: seconds by the clock and of CPU time, the most memory of it and its helpers together, what it said.

    `resident` counts a page that several of them share for each; `proportional` counts it once.
    """

    seconds: float
    cpu_seconds: float
    resident_mib: float
    proportional_mib: float
    said: str


def import_file(data: Path, file: Path, database: str) -> Measured:
    """Run the command and measure it."""
    command = [sys.executable, "-m", "server.cli", "import-children", str(file), "--data", str(data)]
    began, used = time.perf_counter(), _cpu_seconds()
    environment = os.environ | ({"EARLYSIGN_DATABASE": database} if database else {})
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        resident = proportional = look_closely = 0.0
        while process.poll() is None:
            family = list(_family(process.pid))
            resident = max(resident, sum(map(_resident_mib, family)))
            if time.perf_counter() >= look_closely:
                proportional = max(proportional, sum(map(_proportional_mib, family)))
                look_closely = time.perf_counter() + SAMPLE_CLOSELY_SECONDS
            time.sleep(SAMPLE_SECONDS)
        assert process.stdout is not None
        said = process.stdout.read().strip()
    if process.returncode:
        raise SystemExit(f"The import ended with {process.returncode}. {said}")
    seconds = time.perf_counter() - began
    return Measured(seconds, _cpu_seconds() - used, resident, proportional, said.splitlines()[0])


def _cpu_seconds() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _family(pid: int) -> Iterator[int]:
    """A process and all it started."""
    yield pid
    try:
        started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for one in started:
        yield from _family(int(one))


def _resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def _proportional_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def write_next_night(path: Path, children: int) -> None:
    """The same registry with every hundredth child moved to another postcode and school."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(CSV_COLUMNS)
        for child in population(SEED, children):
            cells = list(csv_row(child))
            if child.child_id % CHANGED_EVERY == 0:
                cells[CSV_COLUMNS.index("postcode")] = "SE5 7AA"
                cells[CSV_COLUMNS.index("school")] = "Moved Here School"
            rows.writerow(cells)


class Pushing(threading.Thread):
    """Phones that push notes, one after another, until they are told to stop."""

    def __init__(self, address: str, work: list[tuple[Phone, bytes]]) -> None:
        super().__init__(daemon=True)
        self.address, self.work = address, work
        self.outcome = Outcome()
        self.enough = threading.Event()

    def run(self) -> None:
        asyncio.run(self._push_all())

    async def _push_all(self) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=60) as http:
            for phone, body in self.work:
                if self.enough.is_set():
                    return
                await push(http, phone, body, self.outcome)
                await asyncio.sleep(SAMPLE_SECONDS)


def import_under_load(data: Path, file: Path, children: int, database: str) -> Measured:
    """The first import while notes come in."""
    store = open_store(database or data / "earlysign.db")
    store.migrate()
    store.close_now()
    phones = enrol_phones(data, PHONES)
    work = pushes(phones, 200 * NOTES_PER_PUSH * PHONES, NOTES_PER_PUSH, min(children, QUICK_CHILDREN))
    with running_server(data) as (address, _):
        pushing = Pushing(address, work)
        pushing.start()
        found = import_file(data, file, database)
        pushing.enough.set()
        pushing.join()
        outcome, pulled = pushing.outcome, pullable(address, phones)
    slow = outcome.latencies_ms
    print(f"  pushes of {NOTES_PER_PUSH} meanwhile: {len(slow)}, p50 {percentile(slow, 0.5):.0f} ms, "
          f"p99 {percentile(slow, 0.99):.0f} ms, longest {max(slow):.0f} ms, told to come back {outcome.retries} "
          f"times; {len(outcome.acknowledged) - pulled} notes lost")  # fmt: skip
    return found


def run(arguments: argparse.Namespace) -> int:
    children: int = arguments.children
    folder = Path(tempfile.mkdtemp(prefix="earlysign-bench-registry-"))
    data = Path(arguments.keep) if arguments.keep else folder / "data"
    data.mkdir(mode=0o700)
    try:
        file, changed = folder / "known.csv", folder / "changed.csv"
        write_registry_csv(file, SEED, children)
        write_next_night(changed, children)
        print(f"{children:,} children, {file.stat().st_size / 2**20:,.0f} MiB of CSV, {os.cpu_count()} cores, "
              f"{'PostgreSQL' if arguments.database else 'SQLite'}, seed {SEED}")  # fmt: skip
        for title, path in (("first import", file), ("same again", file), ("1 % changed", changed)):
            if path is file and title == "first import" and arguments.pushes:
                one = import_under_load(data, path, children, arguments.database)
            else:
                one = import_file(data, path, arguments.database)
            print(f"  {title:<14} {one.seconds:8.1f} s  {children / one.seconds:9,.0f} rows/s  "
                  f"{one.cpu_seconds:6,.0f} s CPU  {one.resident_mib:6,.0f} MiB ({one.proportional_mib:,.0f})  "
                  f"{one.said}")  # fmt: skip
        if not arguments.database:
            size = sum(one.stat().st_size for one in data.glob("earlysign.db*"))
            print(f"  database       {size / 2**20:8,.0f} MiB, {size / children:,.0f} bytes a child")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=2_000_000)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CHILDREN:,} children, for CI")
    parser.add_argument("--pushes", action="store_true", help="notes come in during the first import")
    parser.add_argument("--database", default="", help="a PostgreSQL database, empty, in place of SQLite")
    parser.add_argument("--keep", default="", help="a folder to be made, in which the SQLite database stays")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.children = QUICK_CHILDREN
    return run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
