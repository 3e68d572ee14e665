"""The jobs of a process: one of several does the work, another takes over, and a stop cuts nothing short."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.alerts.channels import Channel, Message
from server.alerts.presets import load_presets
from server.audit import Verb, record, trail
from server.jobs import escalation, lease, scheduler
from server.jobs.scheduler import Jobs
from server.records import registry
from server.storage import StorageUnavailable
from server.storage.blobs import Blobs
from tests.alerts.ways import Way
from tests.road import AMARA, JONAS, POLICY, REGISTRY, Road

RULES = SessionRules(1_000, 2_000)
LIMITS = Limits(10, 50, 1_000, b"k" * 32)
WAIT_S = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs look every few milliseconds, so that tests need not wait for seconds."""
    for name in ("ESCALATE_SECONDS", "DELIVER_SECONDS"):
        monkeypatch.setattr(scheduler, name, 0.02)


class Pager(Way):
    """A channel that keeps what it is given. `gate` lets a test hold it up."""

    def __init__(self) -> None:
        super().__init__("test", hears_all=True)
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()

    async def send(self, message: Message, *, now: int) -> None:
        self.started.set()
        await self.gate.wait()
        await super().send(message, now=now)


def make(road: Road, channels: Sequence[Channel] = ()) -> Jobs:
    blobs = Blobs(Path(tempfile.mkdtemp(prefix="earlysign-jobs-")))
    return Jobs(
        road.store, road.worlds, channels, RULES, LIMITS, lambda: road.now, blobs, POLICY, load_presets()
    )


@asynccontextmanager
async def running(road: Road, channels: Sequence[Channel] = ()) -> AsyncIterator[Jobs]:
    jobs = make(road, channels)
    await jobs.start()
    try:
        yield jobs
    finally:
        await jobs.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * WAIT_S):
            await main()

    asyncio.run(bounded())


def leads(jobs: Jobs) -> bool:
    """As it is at this moment: a type checker takes a property for one that never changes."""
    return jobs.leads


def told(road: Road) -> int:
    return road.count("alert_event", "kind = 'escalated'")


def test_an_unanswered_alert_climbs_and_is_delivered_by_itself(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.02)  # the clock leaps past the lease's end
    road.officer().writes(AMARA, danger_now=True)

    async def main() -> None:
        pager = Pager()
        async with running(road, [pager]):
            await until(lambda: road.count("delivery", "channel = 'test' AND state = 'delivered'") == 1)
            road.passes(minutes=15)
            await until(lambda: len(pager.sent) == 2)
        assert [(message.kind, message.told) for message in pager.sent] == [
            ("raised", "investigators"),
            ("escalated", "supervisor"),
        ]
        assert pager.closed

    go(main)


def test_of_two_processes_one_works_and_the_other_takes_over_at_once_after_a_stop(road: Road) -> None:
    async def main() -> None:
        async with running(road) as second_to_be:
            second = second_to_be
            first = make(road)
            await first.start()
            assert leads(second) and not leads(first)
            await second.stop()
            await first.renew()
            assert leads(first) and not leads(second)
            await first.stop()

    go(main)


def test_a_process_that_died_is_replaced_when_its_lease_lapses(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    road.store.write_now(lambda tx: lease.take(tx, scheduler.LEASE, "the dead one", now=road.now))
    road.passes(minutes=0.25)

    async def main() -> None:
        async with running(road) as jobs:
            assert not leads(jobs)
            road.passes(minutes=15)
            await jobs.renew()
            assert leads(jobs)
            await until(lambda: told(road) == 1)

    go(main)


def test_who_could_not_renew_in_time_stops_working(road: Road) -> None:
    async def main() -> None:
        async with running(road) as jobs:
            assert leads(jobs)
            road.now += lease.LEASE_MS
            assert not leads(jobs)

    go(main)


def test_a_stop_waits_for_what_is_under_way_and_starts_nothing_more(road: Road) -> None:
    road.officer().writes(AMARA)

    async def main() -> None:
        pager = Pager()
        pager.gate.clear()
        jobs = make(road, [pager])
        await jobs.start()
        await pager.started.wait()
        stopping = asyncio.create_task(jobs.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        pager.gate.set()
        await stopping
        assert len(pager.sent) == 1
        assert road.rows("SELECT DISTINCT state FROM delivery") == [("delivered",)]
        assert road.count("lease") == 0

    go(main)


def test_a_job_that_fails_is_logged_without_its_words_and_tried_again(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.officer().writes(AMARA, danger_now=True)
    real, failures = (
        escalation.run,
        [RuntimeError("Amara lives at 14 Coldharbour Lane"), StorageUnavailable("no")],
    )

    def run(*args: object) -> escalation.Round:
        if failures:
            raise failures.pop(0)
        return real(*args)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(escalation, "run", run)
    road.passes(minutes=15)

    async def main() -> None:
        with capture_logs() as lines:
            async with running(road):
                await until(lambda: told(road) == 1)
        said = [(line["event"], line["kind"]) for line in lines if line["log_level"] in ("warning", "error")]
        assert said == [
            ("job failed", "RuntimeError"),
            ("job waits for the database", "StorageUnavailable"),
        ]
        assert not any(
            "Amara" in str({key: value for key, value in line.items() if key != "exc_info"}) for line in lines
        )

    go(main)


def test_nothing_is_written_while_nothing_is_due(road: Road) -> None:
    road.officer().writes(AMARA)

    async def main() -> None:
        jobs = make(road)
        before = road.count("audit_entry")
        assert await jobs.escalate() == 0
        assert await jobs.deliver() == 0
        assert road.count("audit_entry") == before

    go(main)


def test_the_index_of_search_follows_by_itself_and_writes_nothing_where_it_is_up_to_date(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "INDEX_SECONDS", 0.02)
    road.child(AMARA)

    async def main() -> None:
        async with running(road) as jobs:
            await until(lambda: road.count("search_queue") == 0)
            assert road.count("search_child") == 1
            road.officer().writes(AMARA, JONAS)
            await until(lambda: road.count("search_child") == 2 and road.count("search_queue") == 0)
            assert await jobs.index() == 0

    go(main)


def test_the_index_of_search_is_left_to_an_import_that_is_at_work_and_not_to_one_that_was_killed(
    road: Road,
) -> None:
    road.child(AMARA)
    begun = road.store.write_now(lambda tx: registry.begin_run(tx, REGISTRY, "0" * 64, now=road.now))
    run = begun.run_id

    async def main() -> None:
        jobs = make(road)
        assert await jobs.index() == 0 and road.count("search_queue") == 1
        road.passes(minutes=0.9)
        await road.store.write(lambda tx: registry.go_on(tx, run, now=road.now))
        road.passes(minutes=0.9)
        assert await jobs.index() == 0 and road.count("search_queue") == 1
        road.passes(minutes=0.2)  # it has not written for more than a minute
        assert await jobs.index() == 1
        road.officer().writes(JONAS)
        await road.store.write(lambda tx: registry.go_on(tx, run, now=road.now))
        assert await jobs.index() == 0
        await road.store.write(lambda tx: registry.count_run(tx, run, ended_at=road.now))
        assert await jobs.index() == 1

    go(main)


def test_a_stop_before_a_start_does_no_harm(road: Road) -> None:
    go(lambda: make(road).stop())


def test_the_index_of_the_audit_log_follows_by_itself(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "TRAIL_INDEX_SECONDS", 0.02)
    monkeypatch.setattr(scheduler, "TRAIL_ENTRIES_AT_ONCE", 1)
    ids = [f"n-{number}" for number in range(trail.INDEXED_AT_ONCE_MAX + 1)]
    for _ in range(3):
        road.store.write_now(
            lambda tx: record(tx, REGISTRY, Verb.DISCLOSURE, "note", ids, now=road.now, index_later=True)
        )

    async def main() -> None:
        async with running(road) as jobs:
            await until(lambda: road.count("audit_unindexed") == 0)
            assert road.count("audit_subject", "id = 'n-0'") == 3
            assert await jobs.index_trail() == 0

    go(main)
