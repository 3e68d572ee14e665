"""(c) A year of deadlines, missed while no server ran, is made up for in order and in time."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from server.access.policy import load_policy
from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.alerts.presets import load_presets
from server.casework.clocks import deadline, escalations
from server.casework.pack import Pack, default_pack
from server.clock import now_ms
from server.jobs.scheduler import Jobs
from server.storage import Store, Transaction, open_store
from server.storage.blobs import Blobs
from server.world import Worlds
from sync.vocabulary import Grade
from tests.bench.setting import SEED

YEAR_MS = 365 * 24 * 3_600_000
SECONDS_MAX = 60.0
INSERTED_AT_ONCE = 10_000
BOROUGH = "E09000022"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    deadlines: int
    told: int
    seconds: float
    in_order: bool

    @property
    def holds(self) -> bool:
        return self.told == self.deadlines and self.in_order and self.seconds <= SECONDS_MAX


def run(deadlines: int) -> Outcome:
    """Alerts that nobody answered over a year, red (three levels) and amber (two) by turns; then the job starts."""
    folder = Path(tempfile.mkdtemp(prefix="earlysign-bench-"))
    try:
        store = open_store(folder / "earlysign.db")
        store.migrate()
        try:
            return asyncio.run(_measure(store, folder, deadlines))
        finally:
            store.close_now()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(store: Store, folder: Path, deadlines: int) -> Outcome:
    pack, now = default_pack(), now_ms()
    expected: list[tuple[int, int]] = []
    rows = []
    for alert_id, started, grade, ends_at, ladder in _alerts(pack, now, deadlines):
        expected += [(at, alert_id) for at in ladder]
        rows.append((alert_id, 1, BOROUGH, "bench", grade.value, grade.value, "bench", "open", started, ends_at,
                     ladder[0], 1))  # fmt: skip
    await store.write(_one_child)
    columns = ("alert_id", "child_id", "borough", "owner_reason", "grade", "highest_grade", "why", "state",
               "started_at", "deadline_at", "escalates_at", "joint")  # fmt: skip
    for start in range(0, len(rows), INSERTED_AT_ONCE):
        some = rows[start : start + INSERTED_AT_ONCE]
        await store.write(lambda tx, some=some: tx.insert_many("alert", columns, some))  # type: ignore[misc]  # bound early
    blobs = Blobs(folder / "attachments", 0)
    jobs = Jobs(
        store,
        Worlds(pack),
        (),
        SessionRules(1, 1),
        Limits(1, 1, 1, bytes(32)),
        lambda: now,
        blobs,
        load_policy(),
        load_presets(),
    )
    began = time.perf_counter()
    told = await jobs.escalate()
    seconds = time.perf_counter() - began
    blobs.close()
    heard = await store.read(
        lambda tx: tx.rows("SELECT alert_id FROM alert_event WHERE kind = 'escalated' ORDER BY event_id")
    )
    in_order = [alert_id for (alert_id,) in heard] == [alert_id for _, alert_id in sorted(expected)]
    return Outcome(deadlines=len(expected), told=told, seconds=seconds, in_order=in_order)


def _alerts(pack: Pack, now: int, deadlines: int) -> Iterator[tuple[int, int, Grade, int | None, list[int]]]:
    """(alert, when it was raised, grade, when its clock ends, when each level is due), for so many deadlines."""
    rng, made, alert_id = random.Random(SEED), 0, 0
    preset = pack.preset_of(BOROUGH)
    while made < deadlines:
        alert_id += 1
        grade = (Grade.RED, Grade.AMBER)[alert_id % 2]
        started = now - YEAR_MS + rng.randrange(YEAR_MS - 24 * 3_600_000)
        ends_at = deadline(grade, preset, started, started, pack).deadline_at
        ladder = [step.at for step in escalations(grade, preset, started, ends_at, pack)]
        made += len(ladder)
        yield alert_id, started, grade, ends_at, ladder


def _one_child(tx: Transaction) -> None:
    """All alerts stand on one record, as joint ones may: whose they are plays no part here."""
    tx.execute(
        "INSERT INTO child (child_id, standing, details, record, created_at, updated_at)"
        " VALUES (1, 'provisional', :empty, :empty, 0, 0)",
        {"empty": b""},
    )
