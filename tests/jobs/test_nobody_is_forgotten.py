"""An alert's invariant, after every step of any history: it is acknowledged and somebody's, or closed with a reason,
or waits for somebody who is named until a stated time."""

from __future__ import annotations

import random
from contextlib import suppress

import msgspec
import pytest

from server import duty
from server.casework.facts import MINUTE_MS
from server.jobs import escalation
from server.records.alerts import AlertConflict
from server.storage import Store
from sync.vocabulary import Category
from tests.road import AMARA, JONAS, Road, somebody

RIVERA, BOSS = somebody("rivera"), somebody("boss", "supervisor")
STEPS = 40
CATEGORIES = (Category.KNIFE, Category.MISSING, Category.SCHOOL_ABSENCE, Category.NEGLECT)


def check(road: Road) -> None:
    for alert_id, state, owner, answered_by, reason, grade, level, escalates_at in road.rows(
        "SELECT alert_id, state, owner, acknowledged_by, closed_reason, grade, level, escalates_at FROM alert"
    ):
        said = (alert_id, state, grade, level, escalates_at)
        if state == "closed":
            assert reason and escalates_at is None, said
        elif state == "acknowledged":
            assert owner and answered_by, said
        else:
            # There is always a next time, and nothing that was due is left behind by a round.
            assert escalates_at is not None and escalates_at > road.now, said


@pytest.mark.parametrize("seed", range(8))
def test_at_every_moment_somebody_is_named_or_has_answered(store: Store, seed: int) -> None:
    road, rng = Road(store), random.Random(seed)
    road.child(AMARA)
    officers = [road.officer(name) for name in ("lam", "okafor")]
    for _ in range(STEPS):
        alert_ids = [number for (number,) in road.rows("SELECT alert_id FROM alert WHERE state <> 'closed'")]
        deed = rng.choice(("note", "note", "time", "time", "acknowledge", "close"))
        if deed == "note" or not alert_ids:
            child = rng.choice((AMARA, JONAS, msgspec.structs.replace(JONAS, given_names="Tobe")))
            rng.choice(officers).writes(child, danger_now=rng.random() < 0.3, category=rng.choice(CATEGORIES))
        elif deed == "time":
            road.now += rng.choice((1, 14, 16, 61, 400)) * MINUTE_MS
        else:
            answer(road, deed, rng.choice(alert_ids))
        road.store.write_now(lambda tx: escalation.run(tx, road.now, road.world))
        check(road)


def answer(road: Road, deed: str, alert_id: int) -> None:
    def do(tx: object) -> None:
        if deed == "acknowledge":
            duty.acknowledge(tx, RIVERA, alert_id, now=road.now)  # type: ignore[arg-type]  # a transaction
        else:
            duty.close(tx, BOSS, alert_id, "Spoken to the family", now=road.now)  # type: ignore[arg-type]

    with suppress(AlertConflict):  # somebody was quicker in this history
        road.store.write_now(do)
