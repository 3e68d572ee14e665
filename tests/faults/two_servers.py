"""Phones that hand every push to two servers on one PostgreSQL at the same instant, whatever befalls it.

What any server acknowledged must be there at the end, once; and all that phones hold must have drained.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from server.audit.verify import verify
from server.storage import open_store
from sync.envelope import CUSTODY, PushAnswer
from tests.bench.push import pullable
from tests.bench.setting import Phone, enrol_phones, pushes, running_server

RETRIES_MAX = 600
"""At 0.1 s each and more where a server waits: minutes, on a busy machine."""
WAIT_SECONDS_MAX = 120

Work = list[tuple[Phone, bytes]]


class Progress:
    """What has been acknowledged so far, and a way for another thread to wait for more of it."""

    def __init__(self) -> None:
        self.acknowledged: set[tuple[str, int]] = set()
        self.verdicts: dict[tuple[str, int], set[str]] = {}
        self.failure: BaseException | None = None
        """What went wrong in bringing the fault about: then there is nothing to wait for."""
        self.refused = 0
        """Attempts that were not answered with verdicts."""
        self._grown = threading.Condition()

    def take(self, phone: Phone, answer: PushAnswer) -> None:
        with self._grown:
            for verdict in answer.verdicts:
                assert verdict.v in CUSTODY and verdict.seq is not None, verdict
                key = (phone.device_id, verdict.seq)
                self.acknowledged.add(key)
                self.verdicts.setdefault(key, set()).add(verdict.v.value)
            self._grown.notify_all()

    def wait_for(self, number: int) -> bool:
        with self._grown:
            return self._grown.wait_for(lambda: len(self.acknowledged) >= number, WAIT_SECONDS_MAX)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the database and the phones say at the end."""

    written: int
    acknowledged: int
    pullable: int
    in_ledger: int
    notes: int
    provisional: int
    refused: int
    chain_holds: bool

    @property
    def is_whole(self) -> bool:
        return (
            {self.acknowledged, self.pullable, self.in_ledger, self.notes} == {self.written}
            and self.chain_holds
        )  # fmt: skip


async def hand_in(servers: list[str], work: Work, progress: Progress) -> None:
    """Each phone sends its pushes in order, each to all servers at once, again until one has answered."""
    lanes: dict[str, Work] = {}
    for phone, body in work:
        lanes.setdefault(phone.device_id, []).append((phone, body))
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=30, limits=limits) as http:

        async def once(server: str, phone: Phone, body: bytes) -> bool:
            try:
                response = await http.post(
                    f"{server}/api/sync/push",
                    content=body,
                    headers={"authorization": f"Bearer {phone.token}"},
                )
            except httpx.TransportError:
                return False
            if response.status_code in (429, 503):
                return False
            response.raise_for_status()
            progress.take(phone, msgspec.json.decode(response.content, type=PushAnswer))
            return True

        async def lane(todo: Work) -> None:
            for phone, body in todo:
                for _ in range(RETRIES_MAX):
                    if progress.failure is not None:
                        raise progress.failure
                    if any(await asyncio.gather(*(once(server, phone, body) for server in servers))):
                        break
                    progress.refused += 1
                    await asyncio.sleep(0.1)  # a phone waits before it tries again
                else:
                    raise AssertionError("a push was not answered after many tries")

        await asyncio.gather(*(lane(todo) for todo in lanes.values()))


@contextmanager
def two_servers(database: str) -> Iterator[list[str]]:
    """Two server processes, as on two machines, on one database."""
    with (
        tempfile.TemporaryDirectory(prefix="earlysign-") as folder,
        running_server(Path(folder), database=database) as (one, _),
        running_server(Path(folder), database=database) as (other, _),
    ):
        yield [one, other]


def prepare(database: str, phones: int, notes: int, per_push: int) -> tuple[list[Phone], Work]:
    """A migrated database with phones, and the pushes that they will make."""
    store = open_store(database)
    store.migrate()
    store.close_now()
    enrolled = enrol_phones(database, phones)
    return enrolled, pushes(enrolled, notes, per_push, 400)


def run(
    database: str, work: Work, phones: list[Phone], befall: Callable[[Progress], None]
) -> tuple[Found, Progress]:
    """Hand everything in while `befall` does its worst; then again; then look."""
    progress = Progress()

    with two_servers(database) as servers, ThreadPoolExecutor(1) as phones_thread:
        handing_in = phones_thread.submit(lambda: asyncio.run(hand_in(servers, work, progress)))
        # In this thread: what it starts is told to end when the thread does.
        try:
            befall(progress)
        except BaseException as error:
            progress.failure = error
            raise
        handing_in.result()
        # The same again: everything must be a duplicate by now, whichever server is asked.
        again = Progress()
        asyncio.run(hand_in(servers, work, again))
        assert set().union(*again.verdicts.values()) == {"duplicate"}
        found = pullable(servers[0], phones)
        assert pullable(servers[1], phones) == found
    store = open_store(database)
    try:
        counts = store.read_now(
            lambda tx: [
                tx.value(f"SELECT COUNT(*) FROM {what}")
                for what in ("op", "note", "child WHERE standing = 'provisional'")
            ]
        )
        holds = store.read_now(verify).ok
    finally:
        store.close_now()
    in_ledger, notes, provisional = counts
    return (
        Found(
            written=sum(body.count(b"\n") + (not body.endswith(b"\n")) for _, body in work),
            acknowledged=len(progress.acknowledged),
            pullable=found,
            in_ledger=in_ledger,
            notes=notes,
            provisional=provisional,
            refused=progress.refused,
            chain_holds=holds,
        ),
        progress,
    )
