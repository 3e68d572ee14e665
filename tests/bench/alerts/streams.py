"""(a) How soon a committed step is in a browser's stream; (b) what ten thousand open streams cost."""

from __future__ import annotations

import asyncio
import bisect
import json
import queue
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import httpx
import msgspec

from server.access.crypto import new_token, token_digest
from server.clock import now_ms
from server.storage import Transaction, open_store
from tests.bench.push import Outcome as Pushed
from tests.bench.push import percentile, push
from tests.bench.setting import Phone, database_with, enrol_phones, free_port, pushes, running_server

DOOR = "/api/alerts/stream"
HOUR_MS = 3_600_000
LATENCY_MS_MAX = 250.0
STREAM_KB_MAX = 13.0
TIMES_BARE_MAX = 1.3
NOTES_PER_PUSH = 10
PHONES = 16
SILENCE_SECONDS_MAX = 30.0
FRAME = (
    b'id: 5-17\r\nevent: alert\r\ndata: {"alert_id":17,"borough":"E09000022","grade":"red","kind":"raised",'
)
FRAME += b'"at":"2026-11-26T21:00:00.000Z"}\r\n\r\n'


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from commit to stream."""

    notes_per_second: float
    seconds: float
    red: list[float]
    others: list[float]
    lost: int

    @property
    def holds(self) -> bool:
        return bool(self.red) and not self.lost and percentile(self.red, 0.99) < LATENCY_MS_MAX


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Kilobytes (of 1,000 bytes) for each stream, once all are open and after the alerts; milliseconds from the
    commit (or the start) to the last."""

    streams: int
    stream_kb: float
    after_kb: float
    bare_kb: float
    last_ms: float
    bare_last_ms: float

    @property
    def times_bare(self) -> float:
        return self.last_ms / self.bare_last_ms

    @property
    def holds(self) -> bool:
        return self.stream_kb <= STREAM_KB_MAX and self.times_bare <= TIMES_BARE_MAX


def sign_in(folder: Path, people: Sequence[tuple[str, str]]) -> list[str]:
    """The cookies of so many people, each with a session, by role and borough; written to the database directly."""
    store, now = open_store(folder / "earlysign.db"), now_ms()
    tokens = [new_token() for _ in people]

    def write(tx: Transaction) -> None:
        for index, ((role, borough), token) in enumerate(zip(people, tokens, strict=True)):
            person_id = tx.insert(
                "INSERT INTO person (username, name, role, borough, password_hash, must_change, active, created_at)"
                " VALUES (:name, :name, :role, :borough, '!', 0, 1, :now)",
                {"name": f"listener{index}", "role": role, "borough": borough, "now": now},
                "id",
            )
            tx.execute(
                "INSERT INTO person_session (token_sha256, person, started_at, seen_at, expires_at)"
                " VALUES (:token, :person, :now, :now, :expires)",
                {"token": token_digest(token), "person": person_id, "now": now, "expires": now + HOUR_MS},
            )

    store.write_now(write)
    store.close_now()
    return [f"earlysign={token}" for token in tokens]


@contextmanager
def listening(how: str, port: int, path: str, cookies: list[str]) -> Iterator[IO[str]]:
    """Open streams in another process; the lines that it writes."""
    client = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.alerts.listeners", how, str(port), path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    stdin, stdout = cast("IO[str]", client.stdin), cast("IO[str]", client.stdout)
    try:
        stdin.write(json.dumps(cookies) + "\n")
        stdin.flush()
        if stdout.readline() != "open\n":
            raise SystemExit("The streams could not be opened.")
        yield stdout
    finally:
        stdin.close()
        client.wait(timeout=60)


def rss_kb(pid: int) -> float:
    """Resident memory of a process now, in kilobytes of 1,000 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1000


def latency(notes_per_second: int, seconds: int, children: int) -> Latency:
    """Push so many notes a second for so long; every borough has a listener, and the force has one."""
    folder = database_with(children)
    try:
        phones = enrol_phones(folder, PHONES)
        work = pushes(phones, notes_per_second * seconds, NOTES_PER_PUSH, children)
        cookies = sign_in(folder, [("force_duty_officer", "E09000022")])
        commits = folder / "commits"
        with running_server(folder, "-m", "tests.bench.alerts.stamped", str(commits)) as (address, _process):
            port = int(address.rpartition(":")[2])
            with listening("each", port, DOOR, cookies) as heard:
                # Read all the while: a pipe that fills would hold up the listener, and so what is measured.
                reading = Reading(heard)
                took = asyncio.run(_push_evenly(address, work, notes_per_second))
                pairs = [line.split() for line in commits.read_text().split("\n")[:-1]]
                stamps = [(int(event_id), int(at)) for event_id, at in pairs]
                lines = reading.until(stamps[-1][0])
        return _latencies(stamps, lines, notes_per_second * seconds / took, took)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _push_evenly(address: str, work: list[tuple[Phone, bytes]], notes_per_second: int) -> float:
    """Send each push at its time, whether those before are answered or not, but for those of the same phone."""
    outcome, began = Pushed(), time.perf_counter()
    turns = {phone.device_id: asyncio.Lock() for phone, _ in work}

    async def at_its_time(index: int, phone: Phone, body: bytes) -> None:
        await asyncio.sleep(began + index * NOTES_PER_PUSH / notes_per_second - time.perf_counter())
        async with turns[phone.device_id]:
            await push(http, phone, body, outcome)

    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        await asyncio.gather(*(at_its_time(index, *one) for index, one in enumerate(work)))
    return time.perf_counter() - began


class Reading:
    """Reads what a listener writes, as it comes."""

    def __init__(self, heard: IO[str]) -> None:
        self._heard = heard
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._heard:
            self._lines.put(line)

    def until(self, event_id: int) -> list[tuple[int, str, int]]:
        """(event, grade, moment) of all that was heard, once that event was. Raises queue.Empty after a silence."""
        lines: list[tuple[int, str, int]] = []
        while not lines or lines[-1][0] < event_id:
            found, grade, at = self._lines.get(timeout=SILENCE_SECONDS_MAX).split()
            lines.append((int(found), grade, int(at)))
        return lines


def _latencies(
    stamps: list[tuple[int, int]], lines: list[tuple[int, str, int]], rate: float, seconds: float
) -> Latency:
    ends = [event_id for event_id, _ in stamps]
    red: list[float] = []
    others: list[float] = []
    for event_id, grade, at in lines:
        committed_at = stamps[bisect.bisect_left(ends, event_id)][1]
        (red if grade == "red" else others).append((at - committed_at) / 1e6)
    lost = ends[-1] - len({event_id for event_id, _, _ in lines})
    return Latency(notes_per_second=rate, seconds=seconds, red=red, others=others, lost=lost)


def crowd(streams: int, rounds: int) -> Crowd:
    """One alert to all of so many streams, ours and a bare one's, by turns of the same client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and streams + 500 > hard:
        raise SystemExit(f"{streams} streams need as many open files, and this account may have {hard} only.")
    try:
        stream_kb, after_kb, took = _ours(streams, rounds)
        bare_kb, bare_took = _bare(streams, rounds)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return Crowd(
        streams=streams, stream_kb=stream_kb, after_kb=after_kb, bare_kb=bare_kb, last_ms=statistics.median(took),
        bare_last_ms=statistics.median(bare_took),
    )  # fmt: skip


def _ours(streams: int, rounds: int) -> tuple[float, float, list[float]]:
    """All who listen see the whole force, so that every alert is for all of them."""
    folder = database_with(1_000)
    try:
        phones = enrol_phones(folder, 1)
        first, *work = pushes(phones, rounds + 1, 1, 1_000)
        cookies = sign_in(folder, [("force_duty_officer", "E09000022")] * streams)
        commits = folder / "commits"
        with running_server(folder, "-m", "tests.bench.alerts.stamped", str(commits)) as (address, process):
            asyncio.run(
                _push_evenly(address, [first], 1_000)
            )  # what the road needs is there before streams are
            before = rss_kb(process.pid)
            with listening("together", int(address.rpartition(":")[2]), DOOR, cookies) as heard:
                took = []
                stream_kb = (rss_kb(process.pid) - before) / streams
                for one in work:
                    asyncio.run(_push_evenly(address, [one], 1_000))
                    last = int(heard.readline().split()[1])
                    at = int(commits.read_text().split("\n")[-2].split()[1])
                    took.append((last - at) / 1e6)
                after_kb = (rss_kb(process.pid) - before) / streams
        return stream_kb, after_kb, took
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bare(streams: int, rounds: int) -> tuple[float, list[float]]:
    port = free_port()
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "tests.bench.alerts.bare:app",
            "--port",
            str(port),
            "--log-level",
            "warning",
        ]
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=10)
        ) as http:
            http.post("/say", content=FRAME)
            before = rss_kb(server.pid)
            with listening("together", port, "/stream", ["earlysign=" + "x" * 43] * streams) as heard:
                bare_kb = (rss_kb(server.pid) - before) / streams
                took = []
                for _ in range(rounds):
                    began = int(http.post("/say", content=FRAME).text)
                    took.append((int(heard.readline().split()[1]) - began) / 1e6)
        return bare_kb, took
    finally:
        server.kill()  # it does not notice that its clients have gone, and would wait for them
        server.wait(timeout=60)
