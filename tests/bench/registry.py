"""`python -m tests.bench.registry`: how long a registry of two million children takes to import, and every night after.

Makes a seeded CSV, then runs `earlysign import-children` three times as a process of its own: the first import, the
same file again, and one in which a hundredth of the rows changed. Prints seconds, rows/s, the peak memory of all
its processes together, and the size of the database. `--pushes` starts a server on the same database and has
phones push notes all the while: their latency, and whether any was lost. `--keep FOLDER` leaves the database there,
for `python -m tests.bench.search --database FOLDER/earlysign.db`.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from server.demo.population import CSV_COLUMNS, csv_row, population, write_registry_csv
from server.storage import open_store
from tests.bench.push import Outcome, percentile, pullable, push
from tests.bench.setting import SEED, Phone, enrol_phones, pushes, running_server

CHANGED_EVERY = 100
SAMPLE_SECONDS = 0.2
QUICK_CHILDREN = 20_000
PHONES = 8
NOTES_PER_PUSH = 20


def import_file(data: Path, file: Path, database: str) -> tuple[float, float, str]:
    """Run the command; (seconds, peak MiB of it and its helpers together, what it said)."""
    command = [sys.executable, "-m", "server.cli", "import-children", str(file), "--data", str(data)]
    began = time.perf_counter()
    environment = os.environ | ({"EARLYSIGN_DATABASE": database} if database else {})
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(_resident_mib(pid) for pid in _family(process.pid)))
            time.sleep(SAMPLE_SECONDS)
        assert process.stdout is not None
        said = process.stdout.read().strip()
    if process.returncode:
        raise SystemExit(f"The import ended with {process.returncode}. {said}")
    return time.perf_counter() - began, peak, said.splitlines()[0]


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


def import_under_load(data: Path, file: Path, children: int, database: str) -> tuple[float, float, str]:
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
                seconds, memory, said = import_under_load(data, path, children, arguments.database)
            else:
                seconds, memory, said = import_file(data, path, arguments.database)
            print(
                f"  {title:<14} {seconds:8.1f} s  {children / seconds:9,.0f} rows/s  {memory:6,.0f} MiB  {said}"
            )
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
