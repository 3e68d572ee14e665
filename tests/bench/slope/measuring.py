"""What one note, one pull, one page and one search cost on one database.

Everything is called as the doors call it, through a real store on a file, by one caller; what HTTP adds is the same
whatever is stored. CPU is that of the process: the thread that works, and the engine within it.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec

from server import intake, pulling, searching
from server.access import devices
from server.access.identity import DeviceIdentity
from server.app import make_services
from server.casework.pack import default_pack
from server.clock import now_ms
from server.console.pages.alerts import Asked, queue_page
from server.demo.misspell import mistyped
from server.demo.population import population
from server.http import at_once
from server.http.metrics import Metrics
from server.linkage.asking import understand
from server.prepared import prepare
from server.records import search
from server.settings import load_settings
from server.storage import Transaction, open_store
from sync import cursor
from sync.cursor import Cursor
from sync.envelope import CUSTODY, PullRequest, split_lines
from tests.bench.setting import SEED, Phone
from tests.road import somebody

T = TypeVar("T")
READS_EACH_ROUND = 12
NOTES_PER_PUSH = 50

Spent = tuple[float, float]
"""CPU and clock, in microseconds."""


class Costs(msgspec.Struct, kw_only=True):
    """Medians, in microseconds; for a note of a push of fifty."""

    note_cpu: float
    note_clock: float
    pull_cpu: float
    queue_cpu: float
    search_cpu: float


class Measured:
    """One database, measured a round at a time, so that several can take turns."""

    def __init__(self, folder: Path, work: Sequence[tuple[Phone, bytes]]) -> None:
        self._database = folder / "earlysign.db"
        self._store = open_store(self._database)
        self._loop = asyncio.Runner()
        settings = load_settings(data=folder)
        self._services = make_services(settings, self._store, Metrics(), default_pack())
        self._work = iter(work)
        self._known = list(population(SEED, 500))
        self._rng = Random(SEED)
        self._searches = 0
        self._notes: list[Spent] = []
        self._pulls: list[Spent] = []
        self._pages: list[Spent] = []
        self._found: list[Spent] = []
        while self._store.write_now(search.fill):
            pass

    def warm(self) -> None:
        """Touch what a server has touched that has run for a day: the file is mapped, and the first look at each of
        its pages by a process costs more than all later ones."""
        self._store.write_now(_looked_through)
        self._store.read_now(_looked_through)

    def push(self, count: int) -> None:
        """So many pushes, that count."""
        self._notes += [self._push(phone, body) for phone, body in self._next(count)]

    def push_unmeasured(self, count: int) -> None:
        """So many pushes, so that everything has been loaded once."""
        for phone, body in self._next(count):
            self._push(phone, body)

    def _next(self, count: int) -> list[tuple[Phone, bytes]]:
        return [next(self._work) for _ in range(count)]

    def _push(self, phone: Phone, body: bytes) -> Spent:
        device, lines, now = self._device(phone), split_lines(body), now_ms()

        def take(tx: Transaction) -> intake.Received:
            prepared = prepare(lines, device.device_id)
            return intake.receive(tx, device, prepared, now=now, world=self._services.worlds.current(tx))

        received, (cpu, clock) = spent(lambda: self._store.write_now(take))
        kept = sum(verdict.v in CUSTODY for verdict in received.verdicts)
        assert kept == len(lines) == NOTES_PER_PUSH, f"{kept} of {len(lines)} were taken"
        return cpu / kept, clock / kept

    def _device(self, phone: Phone) -> DeviceIdentity:
        return self._store.read_now(lambda tx: devices.identify(tx, phone.token, now_ms()))

    def read(self, phone: Phone) -> None:
        """A round of empty pulls, pages of the queue, and searches. What search has to take in is taken in before,
        as the job does within seconds."""
        while self._store.write_now(search.fill):
            pass
        device = self._device(phone)
        asked = self._pull_all(device)
        for _ in range(READS_EACH_ROUND):
            self._pulls.append(self._pull_nothing(phone, asked))
            self._pages.append(self._queue(device))
            self._found.append(self._search(device.borough))

    def _pull_all(self, device: DeviceIdentity) -> PullRequest:
        """What the phone asks that has pulled everything."""
        start = Cursor(self._services.incarnation, f"notes:{device.username}", 0, 0)

        def look(tx: Transaction) -> pulling.Page:
            totals = self._services.totals
            return pulling.page(tx, device, None, start, (), 100_000, now=now_ms(), totals=totals)

        page = self._store.read_now(look)
        self._services.totals.keep(page.totals)
        return PullRequest(cursor=cursor.seal(page.after, self._services.cursor_key))

    def _pull_nothing(self, phone: Phone, asked: PullRequest) -> Spent:
        """As phones ask every few minutes, answered as the server does (`server/http/at_once.py`)."""
        asking = at_once.nothing_new
        answer, cost = spent(lambda: self._loop.run(asking(self._services, phone.token, asked)))
        assert answer is not None, "the pull is not empty"
        return cost

    def _queue(self, device: DeviceIdentity) -> Spent:
        person = somebody("bench", borough=device.borough)
        asked = Asked(person, "open", [], "", "")

        def look(tx: Transaction) -> int:
            return len(queue_page(tx, self._services, person, asked, now_ms()).rows)

        rows, cost = spent(lambda: self._store.read_now(look))
        assert rows, "the queue is empty"
        return cost

    def _search(self, borough: str | None) -> Spent:
        """The name of a known child, misspelt every other time, with the year of birth."""
        child = self._rng.choice(self._known)
        self._searches += 1
        name = f"{child.called} {child.family_name}"
        text = f"{mistyped(name, self._rng) if self._searches % 2 else name} {child.date_of_birth[:4]}"
        person = somebody(f"bench{self._searches}", borough=borough)

        def look(tx: Transaction) -> searching.Found:
            model = self._services.worlds.current(tx).decider.model
            return searching.search_for(tx, model, person, understand(text), now=now_ms())

        return spent(lambda: self._store.read_now(look))[1]

    def costs(self) -> Costs:
        """The medians so far."""
        return Costs(
            note_cpu=_median(self._notes, 0),
            note_clock=_median(self._notes, 1),
            pull_cpu=_median(self._pulls, 0),
            queue_cpu=_median(self._pages, 0),
            search_cpu=_median(self._found, 0),
        )

    def close(self) -> None:
        """Let go of the database."""
        self._services.passwords.close()
        self._services.blobs.close()
        self._loop.close()
        self._store.close_now()


def _looked_through(tx: Transaction) -> None:
    for table, column in (("child", "record"), ("child_key", "key"), ("search_posting", "children")):
        tx.value(f"SELECT SUM(LENGTH({column})) FROM {table}")


def size_of(folder: Path) -> int:
    """Bytes of a database on the disk, its log included."""
    return sum(path.stat().st_size for path in folder.glob("earlysign.db*"))


def as_the_server_does() -> None:
    """Look through memory for cycles no oftener than the server does (`server/cli/serve.py`): what is loaded stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def spent(work: Callable[[], T]) -> tuple[T, Spent]:
    """What `work` gives, and what it took."""
    cpu, clock = time.process_time(), time.perf_counter()
    answer = work()
    return answer, ((time.process_time() - cpu) * 1e6, (time.perf_counter() - clock) * 1e6)


def _median(costs: Sequence[Spent], which: int) -> float:
    return statistics.median(cost[which] for cost in costs)
