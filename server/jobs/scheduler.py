"""The scheduler: which job runs when, in which of several processes.

Jobs keep no state here: what is due is in the database, so a job that was missed is made up for by its next
run (`coalesce`), and two runs of one job never overlap (`max_instances=1`).
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # has no stubs

from server.access.policy import Policy
from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.alerts.channels import Channel
from server.alerts.presets import Presets
from server.audit import trail
from server.jobs import delivery, escalation, housekeeping, lease, pictures, uploads
from server.records import absences, escalations, registry, search
from server.storage.blobs import Blobs
from server.storage.port import StorageError, StorageUnavailable, Store
from server.world import Worlds

LEASE = "jobs"
ESCALATE_SECONDS = 1.0
"""How late a level may hear. A look costs one read of an index that holds only open alerts with a clock."""

ABSENCE_SECONDS = 20.0
"""How long a duty may be with somebody whose absence no page and no command brought about: their role was changed."""

DELIVER_SECONDS = 1.0
PICTURES_SECONDS = 2.0
"""How long a photograph that arrived may wait before its small picture is begun."""
INDEX_SECONDS = 5.0
"""How far search's index may lag. Rounds that are fewer move more at once, at less for each child."""

TRAIL_INDEX_SECONDS = 20.0
"""How far the audit log's index by record may lag. Until then a search looks through the entries that wait."""
TRAIL_ENTRIES_AT_ONCE = 20
"""Of up to a thousand ids each: some twenty milliseconds in which no note is written."""

INDEX_ROUNDS_MAX = 10
"""Rounds one after another where much waits, each its own transaction so that notes get in between."""

TIDY_SECONDS = 600.0
"""Expired things are refused anyway; deleting them only keeps the tables small."""

STOP_SECONDS_MAX = 15.0
"""How long a stop waits for jobs that run. Delivery takes messages for five seconds, and each has ten to arrive."""

log = structlog.get_logger("server.jobs")


class Jobs:
    """The jobs of one process. `start` and `stop` them with the application."""

    def __init__(
        self,
        store: Store,
        worlds: Worlds,
        channels: Sequence[Channel],
        rules: SessionRules,
        limits: Limits,
        clock: Callable[[], int],
        blobs: Blobs,
        policy: Policy,
        presets: Presets,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._policy = policy
        self._presets = presets
        self._worlds = worlds
        self._channels = tuple(channels)
        self._rules = rules
        self._limits = limits
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._holds_until = 0
        self._busy: set[asyncio.Task[object]] = set()
        self._scheduler = AsyncIOScheduler(
            timezone=datetime.UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    @property
    def leads(self) -> bool:
        """Whether this process has the lease, and so does the work."""
        return self._clock() < self._holds_until

    async def start(self) -> None:
        """Begin. The first process to ask has the lease; the others stand by."""
        await self._run("lease", self.renew)
        self._add("lease", self.renew, lease.RENEW_SECONDS)
        self._add("escalation", self._leading(self.escalate), ESCALATE_SECONDS)
        self._add("absence", self._leading(self.pass_on), ABSENCE_SECONDS)
        if self._channels:
            self._add("delivery", self._leading(self.deliver), DELIVER_SECONDS)
        self._add("pictures", self._leading(self.make_pictures), PICTURES_SECONDS)
        self._add("search index", self._leading(self.index), INDEX_SECONDS)
        self._add("audit index", self._leading(self.index_trail), TRAIL_INDEX_SECONDS)
        self._add("housekeeping", self._leading(self.tidy), TIDY_SECONDS)
        self._scheduler.start()

    async def stop(self) -> None:
        """Let what runs come to its end, start nothing more, and hand the lease on."""
        if self._scheduler.running:
            # Paused first and stopped last: the scheduler's own stop would cut running jobs short.
            self._scheduler.pause()
            if self._busy:
                await asyncio.wait(self._busy, timeout=STOP_SECONDS_MAX)
            self._scheduler.shutdown(wait=False)
        for channel in self._channels:
            await channel.close()
        self._holds_until = 0
        with suppress(StorageError):
            await self._store.write(lambda tx: lease.release(tx, LEASE, self._holder))

    async def renew(self) -> None:
        """Take the lease, or keep it."""
        now = self._clock()
        holds = await self._store.write(lambda tx: lease.take(tx, LEASE, self._holder, now=now))
        if holds and not self._holds_until:
            log.info("this process runs the jobs")
        self._holds_until = now + lease.LEASE_MS if holds else 0

    async def escalate(self) -> int:
        """Rounds of escalation until nothing is due; how many levels were told. Writes nothing where nothing is.

        Each round is a transaction of its own, so that notes get in between.
        """
        now, told, more = self._clock(), 0, True
        if not await self._store.read(lambda tx: escalations.is_any_due(tx, now=now)):
            return 0
        while more:
            done = await self._store.write(lambda tx: escalation.run(tx, now, self._worlds.current(tx)))
            told, more = told + done.told, done.more and done.told > 0
        return told

    async def pass_on(self) -> int:
        """Duties of people who are not there go to people who are; how many. Writes nothing where all are there."""
        now = self._clock()
        if not await self._store.read(lambda tx: absences.stranded(tx, self._policy, now=now)):
            return 0
        return await self._store.write(
            lambda tx: absences.pass_on(
                tx, escalation.ACTOR, self._policy, self._worlds.pack_in_force(tx), now=now
            )
        )

    async def deliver(self) -> int:
        """One round of delivery; how many messages arrived."""
        return await delivery.run(self._store, self._channels, self._clock, self._policy, self._presets)

    async def make_pictures(self) -> int:
        """One round of making what people are shown of attachments; how many were made."""
        return await pictures.run(self._store, self._blobs)

    async def index(self) -> int:
        """Bring search's index up to date; how many children. Writes nothing where nothing has changed, and leaves
        it to an import that is at work, which puts many in at once: both would only get in each other's way."""
        now = self._clock()
        if not await self._store.read(lambda tx: search.is_behind(tx) and not registry.is_importing(tx, now)):
            return 0
        done = 0
        for _ in range(INDEX_ROUNDS_MAX):
            moved = await self._store.write(search.fill)
            done += moved
            if moved < search.INDEXED_PER_ROUND_MAX:
                break  # what came meanwhile waits, so that rounds are few and large
        return done

    async def index_trail(self) -> int:
        """Put entries of the audit log that wait for its index by record into it; how many."""
        done = 0
        for _ in range(INDEX_ROUNDS_MAX):
            if not await self._store.read(trail.is_behind):
                break
            done += await self._store.write(lambda tx: trail.index_waiting(tx, TRAIL_ENTRIES_AT_ONCE))
        return done

    async def tidy(self) -> int:
        """One round of housekeeping; how many rows went."""
        now = self._clock()
        await uploads.tidy(self._store, self._blobs, now)
        return await self._store.write(lambda tx: housekeeping.run(tx, now, self._rules, self._limits))

    def _leading(self, work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            return await work() if self.leads else None

        return run

    def _add(self, name: str, work: Callable[[], Awaitable[object]], seconds: float) -> None:
        async def run() -> None:
            await self._run(name, work)

        self._scheduler.add_job(run, "interval", seconds=seconds, id=name)

    async def _run(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run one job. A failure is logged by its kind, never with its text, and the next run tries again."""
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            await work()
        except StorageUnavailable as error:
            log.warning("job waits for the database", job=name, kind=type(error).__name__)
        except Exception as error:
            log.error("job failed", job=name, kind=type(error).__name__, exc_info=error)
        finally:
            self._busy.discard(task)
