"""`python -m tests.bench.attachments`: what photographs cost, beside what this disk can do, in one run.

Eight phones upload photographs of 4 MB over HTTP to a server process. Prints MB/s against the floor (the same bytes
into the same number of files by as many threads, each file and its directory synced) and the ceiling (the same
uploads to uvicorn and an application that only counts the bytes, `tests/bench/counting.py`), the memory that an
upload takes, and how long a push takes with and without eight uploads running (between pushes is a pause of another
length each time, so that uploads run at their full speed when the next one comes). Rounds of floor, ceiling and
server alternate; the median of each is told. Ends with 1 where a must is not reached: 0.5 of the floor, 1.2 MB, half
as long again.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import itertools
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from tests.bench.push import percentile
from tests.bench.setting import (
    Phone,
    database_with,
    enrol_phones,
    free_port,
    pushes,
    running_server,
    wait_until_ready,
)

UPLOADS = 8
MEGABYTE = 1_000_000
FLOOR_MIN, MEMORY_MB_MAX, PUSH_MAX = 0.5, 1.2, 1.5
PATH = "/api/attachments"
TUS = {"tus-resumable": "1.0.0"}
PIECE_BYTES = 256 * 1024
PAUSE_SECONDS = (0.03, 0.09)


class Figures(msgspec.Struct, kw_only=True):
    """What was measured."""

    floor_mb_s: float
    ceiling_mb_s: float
    server_mb_s: float
    memory_mb: float
    push_p50_ms: tuple[float, float]
    push_p99_ms: tuple[float, float]

    @property
    def share(self) -> float:
        return self.server_mb_s / self.floor_mb_s

    @property
    def of_ceiling(self) -> float:
        return self.server_mb_s / self.ceiling_mb_s

    @property
    def slower(self) -> float:
        return self.push_p50_ms[1] / self.push_p50_ms[0]

    @property
    def holds(self) -> bool:
        return self.share >= FLOOR_MIN and self.memory_mb <= MEMORY_MB_MAX and self.slower <= PUSH_MAX


BODY = random.Random(1).randbytes(17 * MEGABYTE)


def photograph(count: int, seed: int) -> bytes:
    """Bytes that begin as a JPEG, another file for each seed; cheap, for making them is not what is measured."""
    return b"\xff\xd8\xff\xe0" + seed.to_bytes(16, "big") + BODY[: count - 20]


def floor(folder: Path, files: int, data: bytes) -> float:
    """MB/s of writing and syncing that many files, with as many threads as there are uploads."""
    folder.mkdir(parents=True)

    def write(index: int) -> None:
        path = folder / str(index)
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(data), PIECE_BYTES):
                file.write(data[start : start + PIECE_BYTES])
            os.fsync(file.fileno())
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    started = time.perf_counter()
    with ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(write, range(files)))
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return files * len(data) / MEGABYTE / seconds


def upload(line: HTTPConnection, phone: Phone, data: bytes, sha256: str) -> None:
    """One photograph, in one creation and one PATCH. The plainest client there is, for it shares the cores."""
    own = TUS | {"authorization": f"Bearer {phone.token}"}
    declared = base64.b64encode(sha256.encode()).decode()
    line.request("POST", PATH, headers=own | {
        "upload-length": str(len(data)), "upload-metadata": f"sha256 {declared}", "content-length": "0",
    })  # fmt: skip
    begun = line.getresponse()
    begun.read()
    assert begun.status == 201, begun.status
    headers = own | {"upload-offset": "0", "content-type": "application/offset+octet-stream"}
    line.request("PATCH", begun.headers["location"], body=data, headers=headers)
    answer = line.getresponse()
    answer.read()
    assert answer.status == 204, answer.status


def connection(address: str) -> HTTPConnection:
    return HTTPConnection(urlsplit(address).netloc, timeout=120)


def upload_all(address: str, phones: list[Phone], each: int, size: int, round_number: int) -> float:
    """MB/s of all phones uploading at once; what they send is made before the clock starts."""
    files = [
        [photograph(size, round_number << 32 | lane << 16 | index) for index in range(each)]
        for lane in range(len(phones))
    ]
    digests = [[hashlib.sha256(data).hexdigest() for data in lane] for lane in files]

    def lane(index: int) -> None:
        with closing(connection(address)) as line:
            for data, sha256 in zip(files[index], digests[index], strict=True):
                upload(line, phones[index], data, sha256)

    started = time.perf_counter()
    with ThreadPoolExecutor(len(phones)) as pool:
        list(pool.map(lane, range(len(phones))))
    return len(phones) * each * size / MEGABYTE / (time.perf_counter() - started)


def memory_of(pid: int, field: str) -> float:
    """MB of a process: `VmRSS` now, `VmHWM` at most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise SystemExit(f"{field} is not told here")


def forget_peak(pid: int) -> None:
    """Let the peak be counted from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def held(address: str, phones: list[Phone], pid: int, uploads: int, size: int) -> float:
    """MB that each of so many uploads at once adds to the server at most."""
    before = memory_of(pid, "VmRSS")
    forget_peak(pid)
    upload_all(address, [phones[index % len(phones)] for index in range(uploads)], 1, size, 77)
    return max(0.0, memory_of(pid, "VmHWM") - before) / uploads


async def push_times(address: str, work: list[tuple[Phone, bytes]]) -> list[float]:
    """How long each push took, in ms, one after the other."""
    taken = []
    pause = random.Random(len(work))
    async with httpx.AsyncClient(base_url=address, timeout=120) as http:
        for phone, body in work:
            headers = {"authorization": f"Bearer {phone.token}", "content-type": "application/x-ndjson"}
            began = time.perf_counter()
            answer = await http.post("/api/sync/push", content=body, headers=headers)
            taken.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
            await asyncio.sleep(pause.uniform(*PAUSE_SECONDS))
    return taken


def uploading(address: str, tokens: list[str], size: int) -> None:
    """Phones that upload one photograph after another until the process is told to end."""

    def lane(index: int) -> None:
        phone = Phone("", "", tokens[index])
        with closing(connection(address)) as line:
            for number in itertools.count(1):
                data = photograph(size, (index + 1) << 64 | number)
                upload(line, phone, data, hashlib.sha256(data).hexdigest())

    with ThreadPoolExecutor(len(tokens)) as pool:
        list(pool.map(lane, range(len(tokens))))


@contextmanager
def counting_server() -> Iterator[str]:
    """The address of a server that only counts."""
    port = free_port()
    started = subprocess.Popen([
        sys.executable, "-m", "uvicorn", "tests.bench.counting:app", "--port", str(port), "--log-level", "warning",
    ])  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(address, started)
        yield address
    finally:
        started.terminate()
        started.wait(timeout=60)


@contextmanager
def uploads_running(address: str, phones: list[Phone], size: int) -> Iterator[None]:
    """Eight uploads at all times, from a process of their own."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.attachments", "--uploader", address, "--size", str(size)],
        stdin=subprocess.PIPE,
    )
    assert started.stdin is not None
    started.stdin.write(msgspec.json.encode([phone.token for phone in phones]) + b"\n")
    started.stdin.flush()
    try:
        yield
        assert started.poll() is None, "the uploads ended before the pushes did"
    finally:
        started.kill()
        started.wait()
        started.stdin.close()


def measure(arguments: argparse.Namespace) -> Figures:
    folder = database_with(arguments.children)
    size = arguments.size
    try:
        phones = enrol_phones(folder, 2 * UPLOADS)
        work = pushes(phones[UPLOADS:], arguments.pushes * 2 * arguments.rounds * 20, 20, arguments.children)
        floors, ceilings, rates = [], [], []
        quiet: list[float] = []
        busy: list[float] = []
        # What people are shown is made in the background, and these are no real pictures.
        os.environ["EARLYSIGN_JOBS"] = "no"
        with counting_server() as counting, running_server(folder) as (address, process):
            upload_all(address, phones[:UPLOADS], 1, size, 999)  # the first of everything is slow
            asyncio.run(push_times(address, work[:1]))
            work = work[1:]
            memory = held(address, phones[:UPLOADS], process.pid, 2 * UPLOADS, 4 * size)
            for index in range(arguments.rounds):
                floors.append(floor(folder / "floor", UPLOADS * arguments.each, photograph(size, 5)))
                ceilings.append(upload_all(counting, phones[:UPLOADS], arguments.each, size, index))
                rates.append(upload_all(address, phones[:UPLOADS], arguments.each, size, index))
                now, work = work[: arguments.pushes], work[arguments.pushes :]
                quiet += asyncio.run(push_times(address, now))
                now, work = work[: arguments.pushes], work[arguments.pushes :]
                with uploads_running(address, phones[:UPLOADS], size):
                    time.sleep(1.0)  # all eight are under way by then; nothing is decided by it
                    busy += asyncio.run(push_times(address, now))
        return Figures(
            floor_mb_s=statistics.median(floors),
            ceiling_mb_s=statistics.median(ceilings),
            server_mb_s=statistics.median(rates),
            memory_mb=memory,
            push_p50_ms=(percentile(quiet, 0.5), percentile(busy, 0.5)),
            push_p99_ms=(percentile(quiet, 0.99), percentile(busy, 0.99)),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small, for CI: judges only that all ran")
    parser.add_argument("--children", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=4 * MEGABYTE, help="bytes of a photograph")
    parser.add_argument("--each", type=int, default=10, help="photographs of each phone in a round")
    parser.add_argument("--pushes", type=int, default=40, help="pushes of 20 notes in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uploader", metavar="ADDRESS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.uploader:
        uploading(arguments.uploader, msgspec.json.decode(sys.stdin.readline()), arguments.size)
    if arguments.quick:
        arguments.children, arguments.each, arguments.pushes, arguments.rounds = 2_000, 3, 10, 2
    found = measure(arguments)
    size = arguments.size / MEGABYTE
    before, after = found.push_p50_ms
    print(f"{UPLOADS} phones, photographs of {size:g} MB, {os.cpu_count()} cores shared with the clients")
    print(f"  floor: write and fsync          {found.floor_mb_s:8.0f} MB/s")
    print(
        f"  ceiling: only counted           {found.ceiling_mb_s:8.0f} MB/s:"
        f" {found.ceiling_mb_s / found.floor_mb_s:.2f} of the floor; uploads reach {found.of_ceiling:.2f} of it"
    )
    print(
        f"  uploads, kept and on record     {found.server_mb_s:8.0f} MB/s:"
        f" {found.share:.2f} of the floor, must {FLOOR_MIN}"
    )
    print(f"  memory for each upload          {found.memory_mb:8.2f} MB, at most {MEMORY_MB_MAX}")
    slower = f"{found.slower:.2f} times, at most {PUSH_MAX}"
    print(f"  push p50, quiet and with {UPLOADS}      {before:8.1f} and {after:.1f} ms: {slower}")
    before, after = found.push_p99_ms
    print(f"  push p99, quiet and with {UPLOADS}      {before:8.1f} and {after:.1f} ms")
    return 0 if arguments.quick or found.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
