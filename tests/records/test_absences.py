"""A duty whose owner is away, gone or elsewhere comes to somebody who is there, and is never merely theirs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server import duty
from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.audit import Actor
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.jobs import escalation
from server.records import absences, alerts, telling
from server.records.absences import GOES_ON
from server.records.alerts import Alert, State
from server.storage import Store
from sync.vocabulary import Category
from tests.alerts.ways import Way, choose, deliver, person, told
from tests.road import AMARA, CAMDEN, LAMBETH, POLICY, START_MS, Road

SYSTEM = Actor("system", "tests")
DAY_MS = 24 * HOUR_MS


class Desk:
    """Rivera has acknowledged a red alert; khan and a supervisor work beside them."""

    def __init__(self, store: Store) -> None:
        self.road = Road(store)
        self.rivera, self.khan = person(self.road, "rivera"), person(self.road, "khan")
        self.boss = person(self.road, "boss", "supervisor")
        self.camden = person(self.road, "camden", borough=CAMDEN)
        self.road.child(AMARA)
        self.officer = self.road.officer()
        self.officer.writes(AMARA, danger_now=True)
        self.alert_id: int = self.road.value("SELECT alert_id FROM alert")
        self.road.passes(minutes=5)
        self.does(duty.acknowledge, self.rivera, self.alert_id)
        self.road.passes(hours=1)

    def does(self, act: Any, *args: Any, **kwargs: Any) -> Any:
        return self.road.store.write_now(lambda tx: act(tx, *args, now=self.road.now, **kwargs))

    def gives(self, who: Person, alert_id: int, to: str, why: str) -> Alert:
        given: Alert = self.does(duty.hand_over, POLICY, self.road.pack, who, alert_id, to, why)
        return given

    def leaves(self, who: Person, deputy: Person | None = None, hours: float = 48) -> None:
        choose(
            self.road, who, away_until=self.road.now + round(hours * HOUR_MS),
            deputy_id=deputy.person_id if deputy else None,
        )  # fmt: skip

    def settle(self) -> int:
        moved: int = self.does(absences.pass_on, SYSTEM, POLICY, self.road.pack)
        return moved

    def alert(self, alert_id: int | None = None) -> Alert:
        found = self.road.store.read_now(lambda tx: alerts.get(tx, alert_id or self.alert_id))
        assert found is not None
        return found

    def last_step(self) -> tuple[str, str, str]:
        [step] = self.road.rows("SELECT kind, told, detail FROM alert_event ORDER BY event_id DESC LIMIT 1")
        return step


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def test_whoever_is_there_keeps_what_is_theirs(desk: Desk) -> None:
    assert desk.settle() == 0
    assert desk.alert().owner == "rivera"


def test_the_deputy_has_the_alert_next_and_must_answer_it(desk: Desk) -> None:
    desk.leaves(desk.rivera, desk.khan)
    assert desk.settle() == 1
    alert = desk.alert()
    assert (alert.state, alert.owner, alert.waited_for) == (State.OPEN, "khan", "khan")
    assert alert.escalates_at == desk.road.now + 15 * MINUTE_MS, "the chain of a red, from now on"
    assert alert.deadline_at == START_MS + 2 * HOUR_MS, "the deadline stays"
    assert (alert.came_from, alert.acknowledged_at) == ("rivera", START_MS + 5 * MINUTE_MS)
    assert desk.last_step() == ("passed_on", "khan", "away:rivera")
    assert desk.settle() == 0
    answered = desk.does(duty.acknowledge, desk.khan, desk.alert_id)
    assert (answered.owner, answered.acknowledged_by, answered.came_from) == ("khan", "khan", None)


def test_without_a_deputy_it_is_in_the_boroughs_queue_and_climbs(desk: Desk) -> None:
    desk.leaves(desk.rivera)
    desk.settle()
    assert (desk.alert().owner, desk.alert().waited_for) == (None, "investigators")
    desk.road.passes(minutes=15)
    desk.does(lambda tx, now: escalation.run(tx, now, desk.road.worlds.current(tx)))
    assert desk.alert().waited_for == "supervisor"


def test_a_deputy_who_is_away_too_or_of_another_borough_is_none(desk: Desk) -> None:
    desk.leaves(desk.khan)
    desk.leaves(desk.rivera, desk.khan)
    desk.settle()
    assert desk.alert().owner is None
    desk.does(duty.acknowledge, desk.boss, desk.alert_id)
    desk.leaves(desk.boss, desk.camden)
    desk.settle()
    assert desk.alert().owner is None


def test_one_that_is_overdue_is_told_above_at_once(desk: Desk) -> None:
    desk.officer.writes(AMARA, category=Category.KNIFE)
    amber = desk.road.value("SELECT alert_id FROM alert WHERE grade = 'amber'")
    desk.does(duty.acknowledge, desk.khan, amber)
    desk.road.passes(hours=7)
    desk.leaves(desk.khan)
    desk.settle()
    assert desk.alert(amber).escalates_at == desk.road.now


@pytest.mark.parametrize("how", ["closed", "moved", "role"])
def test_an_account_that_is_closed_or_answers_elsewhere_now(desk: Desk, how: str) -> None:
    why = {"closed": "gone", "role": "gone", "moved": "elsewhere"}[how]

    def change(tx: Any, now: int) -> None:
        if how == "closed":
            people.set_active(tx, desk.rivera.person_id, False, actor=SYSTEM, now=now)
        elif how == "moved":
            tx.execute("UPDATE person SET borough = :b WHERE username = 'rivera'", {"b": CAMDEN})
        else:
            tx.execute("UPDATE person SET role = 'ward_officer' WHERE username = 'rivera'")

    desk.does(change)
    assert desk.settle() == 1
    assert desk.last_step() == ("passed_on", "investigators", f"{why}:rivera")
    assert (desk.alert().state, desk.alert().owner) == (State.OPEN, None)


def test_a_role_that_answers_no_alerts_any_more_leaves_none_behind(desk: Desk) -> None:
    silent = msgspec.structs.replace(POLICY.roles["investigator"], permissions=frozenset())
    policy = msgspec.structs.replace(POLICY, roles=POLICY.roles | {"investigator": silent})
    assert desk.does(absences.pass_on, SYSTEM, policy, desk.road.pack) == 1


def test_an_open_alert_keeps_its_next_time_and_is_the_deputys(desk: Desk) -> None:
    desk.gives(desk.rivera, desk.alert_id, "khan", "My shift ends")
    desk.does(duty.acknowledge, desk.khan, desk.alert_id)
    desk.officer.writes(AMARA, category=Category.KNIFE)
    amber = desk.road.value("SELECT alert_id FROM alert WHERE state = 'open'")
    desk.gives(desk.boss, amber, "rivera", "Yours")
    before = desk.alert(amber)
    desk.leaves(desk.rivera, desk.boss)
    assert desk.settle() == 1
    after = desk.alert(amber)
    assert (after.owner, after.escalates_at) == ("boss", before.escalates_at)
    assert desk.alert().owner == "khan"


def test_where_another_alert_of_the_child_is_open_the_two_go_on_as_one(desk: Desk) -> None:
    desk.officer.writes(AMARA, category=Category.KNIFE)
    amber = desk.road.value("SELECT alert_id FROM alert WHERE state = 'open'")
    desk.leaves(desk.rivera, desk.khan)
    assert desk.settle() == 1
    old, grown = desk.alert(), desk.alert(amber)
    assert (old.state, old.closed_reason) == (State.CLOSED, GOES_ON)
    assert (grown.grade.value, grown.owner, grown.deadline_at) == ("red", "khan", old.deadline_at)
    assert grown.escalates_at == desk.road.now + 15 * MINUTE_MS
    carried = desk.road.rows("SELECT flag_id FROM alert_flag WHERE alert_id = :a", a=desk.alert_id)
    assert set(carried) <= set(desk.road.rows("SELECT flag_id FROM alert_flag WHERE alert_id = :a", a=amber))


def test_a_clock_of_its_own_is_still_warned_of(desk: Desk) -> None:
    desk.does(lambda tx, now: duty.close(tx, desk.rivera, desk.alert_id, "Spoken to the family", now=now))
    desk.officer.writes(AMARA, police_protection_from=None, category=Category.NEGLECT, danger_now=True)
    alert_id = desk.road.value("SELECT MAX(alert_id) FROM alert")
    warns = desk.road.now + 10 * MINUTE_MS
    desk.road.store.write_now(
        lambda tx: tx.execute(
            "UPDATE alert SET due_at = :due, due_words = 'x', warns_at = :warns WHERE alert_id = :a",
            {"due": warns + HOUR_MS, "warns": warns, "a": alert_id},
        )
    )
    desk.does(duty.acknowledge, desk.rivera, alert_id)
    desk.leaves(desk.rivera)
    desk.settle()
    assert desk.alert(alert_id).escalates_at == warns


def test_whoever_takes_a_duty_is_there_again(desk: Desk) -> None:
    desk.leaves(desk.khan, desk.boss)
    desk.officer.writes(AMARA, category=Category.KNIFE)
    amber = desk.road.value("SELECT alert_id FROM alert WHERE state = 'open'")
    desk.does(duty.acknowledge, desk.khan, amber)
    kept = desk.road.store.read_now(lambda tx: telling.choices(tx, desk.khan.person_id))
    assert (kept.away_until, kept.deputy_id) == (None, None)
    assert desk.settle() == 0


def test_nothing_is_handed_to_somebody_who_is_away(desk: Desk) -> None:
    desk.leaves(desk.khan)
    with pytest.raises(NotAllowed, match="away"):
        desk.gives(desk.rivera, desk.alert_id, "khan", "Yours")


def test_after_their_return_it_stays_with_whoever_has_it(desk: Desk) -> None:
    desk.leaves(desk.rivera, desk.khan, hours=1)
    desk.settle()
    desk.road.passes(hours=2)
    assert desk.settle() == 0
    assert desk.alert().owner == "khan"


def test_the_deputy_is_interrupted_and_the_others_read_it_in_the_digest(desk: Desk) -> None:
    for who in (desk.khan, desk.boss):
        choose(desk.road, who)
    mail = Way("mail")
    deliver(desk.road, mail)
    mail.sent.clear()
    desk.leaves(desk.rivera, desk.boss)
    desk.settle()
    deliver(desk.road, mail)
    assert told(mail) == [("boss", "red", "passed_on")]
    assert mail.sent[0].borough == LAMBETH
