"""Handing over: an answer is one person's, so whoever is given an acknowledged alert has still to give theirs."""

from __future__ import annotations

from typing import Any

import pytest

from server import duty
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.jobs import escalation
from server.records import alerts, figures, overview
from server.records.alerts import Alert, State
from server.records.handing import GOES_ON
from server.storage import Store
from sync.vocabulary import Category, Grade
from tests.alerts.ways import person
from tests.road import AMARA, POLICY, Road


class Desk:
    """Rivera has acknowledged a red alert and worked on it for five hours."""

    def __init__(self, store: Store) -> None:
        self.road = Road(store)
        self.rivera, self.khan = person(self.road, "rivera"), person(self.road, "khan")
        self.boss = person(self.road, "boss", "supervisor")
        self.road.child(AMARA)
        self.road.officer().writes(AMARA, danger_now=True)
        self.alert_id: int = self.road.value("SELECT alert_id FROM alert")
        self.does(duty.acknowledge, self.rivera, self.alert_id)
        self.road.passes(hours=5)

    def does(self, act: Any, *args: Any) -> Any:
        return self.road.store.write_now(lambda tx: act(tx, *args, now=self.road.now))

    def gives(self, who: Person, to: str, alert_id: int | None = None) -> Alert:
        number = alert_id or self.alert_id
        given: Alert = self.does(duty.hand_over, POLICY, self.road.pack, who, number, to, "My shift ends")
        return given

    def alert(self, alert_id: int | None = None) -> Alert:
        found = self.road.store.read_now(lambda tx: alerts.get(tx, alert_id or self.alert_id))
        assert found is not None
        return found


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def test_what_was_acknowledged_waits_for_the_answer_of_whoever_is_given_it(desk: Desk) -> None:
    before = desk.alert()
    given = desk.gives(desk.rivera, "khan")
    assert (given.state, given.owner, given.waited_for) == (State.OPEN, "khan", "khan")
    assert given.escalates_at == desk.road.now + 15 * MINUTE_MS, "the chain of a red, from now on"
    assert (given.acknowledged_at, given.acknowledged_by) == (before.acknowledged_at, "rivera"), "as it was"
    desk.road.passes(minutes=16)
    world = desk.road.world
    assert desk.does(lambda tx, *, now: escalation.run(tx, now, world)).told == 1, "a supervisor hears of it"
    desk.does(duty.acknowledge, desk.khan, desk.alert_id)
    after = desk.alert()
    assert (after.state, after.acknowledged_by) == (State.ACKNOWLEDGED, "khan")
    assert after.acknowledged_at == before.acknowledged_at, "the first answer is what the clock measured"


def test_a_clock_that_was_met_is_not_late_again_in_other_hands(desk: Desk) -> None:
    desk.gives(desk.rivera, "khan")
    now, boss = desk.road.now, desk.boss
    tally = desk.road.store.read_now(lambda tx: overview.tally(tx, boss, now=now))
    assert (tally.late, tally.open) == (0, 1)
    (waiting,) = desk.road.store.read_now(
        lambda tx: figures.waiting(tx, boss, now=now, allowed_ms=dict.fromkeys(Grade, HOUR_MS))
    )
    assert (waiting.unacknowledged, waiting.overdue) == (1, 0)


def test_whoever_takes_it_to_themselves_has_answered(desk: Desk) -> None:
    taken = desk.gives(desk.boss, "boss")
    assert (taken.state, taken.owner, taken.acknowledged_by) == (State.ACKNOWLEDGED, "boss", "boss")
    again = desk.gives(desk.boss, "rivera")
    assert again.state is State.OPEN
    desk.does(duty.acknowledge, desk.rivera, desk.alert_id)
    assert desk.gives(desk.boss, "rivera").state is State.ACKNOWLEDGED, "theirs already"


def test_beside_an_open_alert_about_the_child_the_two_go_on_as_one(desk: Desk) -> None:
    desk.road.officer().writes(AMARA, category=Category.KNIFE)
    amber = desk.road.value("SELECT alert_id FROM alert WHERE state = 'open'")
    given = desk.gives(desk.rivera, "khan")
    old = desk.alert()
    assert (old.state, old.closed_reason) == (State.CLOSED, GOES_ON)
    assert (given.alert_id, given.grade.value, given.owner) == (amber, "red", "khan")
    carried = desk.road.rows("SELECT flag_id FROM alert_flag WHERE alert_id = :a", a=desk.alert_id)
    assert set(carried) <= set(desk.road.rows("SELECT flag_id FROM alert_flag WHERE alert_id = :a", a=amber))


def test_it_is_not_put_upon_a_third_person_unasked(desk: Desk) -> None:
    desk.road.officer().writes(AMARA, category=Category.KNIFE)
    amber = desk.road.value("SELECT alert_id FROM alert WHERE state = 'open'")
    desk.gives(desk.rivera, "boss", amber)
    with pytest.raises(NotAllowed, match="waits for somebody else"):
        desk.gives(desk.rivera, "khan")
    assert desk.alert().state is State.ACKNOWLEDGED
    assert desk.gives(desk.rivera, "boss").alert_id == amber
