"""Whoever was alerted hears how it went on, over their own channels; other systems hear of what was agreed."""

from __future__ import annotations

from typing import Any

import pytest

from server import duty, transferring
from server.access.identity import Person
from server.alerts.channels import Message
from server.alerts.wording import WHAT
from server.audit import Actor
from server.casework.facts import HOUR_MS
from server.records import absences, spreading
from server.records.alerts import Alert
from server.records.transfers import Answer
from server.storage import Store
from sync.vocabulary import Category, Grade
from tests.alerts.ways import PRESETS, Way, choose, deliver, person, told
from tests.road import AMARA, CAMDEN, POLICY, Road


class Desk:
    """A borough at work: two investigators and a supervisor there, one investigator elsewhere, and their mail."""

    def __init__(self, store: Store) -> None:
        self.road, self.mail = Road(store), Way("mail")
        self.rivera, self.khan = person(self.road, "rivera"), person(self.road, "khan")
        self.boss = person(self.road, "boss", "supervisor")
        self.camden = person(self.road, "camden", borough=CAMDEN)
        for who in (self.rivera, self.khan, self.boss, self.camden):
            choose(self.road, who)
        self.officer = self.road.officer()
        self.note_id = self.officer.writes(AMARA, danger_now=True)
        self.hears()
        self.alert_id = self.road.value("SELECT alert_id FROM alert")

    def hears(self) -> list[tuple[str, str, str]]:
        """Who was mailed since this was last asked."""
        self.mail.sent.clear()
        deliver(self.road, self.mail)
        return told(self.mail)

    def does(self, act: Any, *args: Any, **kwargs: Any) -> Any:
        return self.road.store.write_now(lambda tx: act(tx, *args, now=self.road.now, **kwargs))

    def gives(self, who: Person, alert_id: int, to: str, why: str) -> Alert:
        given: Alert = self.does(duty.hand_over, POLICY, self.road.pack, who, alert_id, to, why)
        return given


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def test_a_closing_is_told_to_whoever_was_alerted_but_not_to_who_closed_it(desk: Desk) -> None:
    desk.does(duty.close, desk.rivera, desk.alert_id, "Strategy discussion held")
    assert desk.hears() == [("khan", "red", "closed")]


def test_a_retraction_is_told_to_everybody_who_was_alerted(desk: Desk) -> None:
    desk.officer.sends(desk.officer.withdrawal(desk.note_id))
    assert desk.hears() == [("khan", "red", "closed"), ("rivera", "red", "closed")]


def test_that_an_alert_is_less_than_it_was_is_told(desk: Desk) -> None:
    desk.officer.writes(AMARA, category=Category.KNIFE)
    desk.hears()
    desk.officer.sends(desk.officer.withdrawal(desk.note_id))
    assert [kind for _, _, kind in desk.hears()] == ["lessened", "lessened"]


def test_who_is_given_an_alert_is_interrupted_and_the_others_read_it_in_the_digest(desk: Desk) -> None:
    desk.does(duty.acknowledge, desk.rivera, desk.alert_id)
    desk.gives(desk.rivera, desk.alert_id, "khan", "My shift ends")
    assert desk.hears() == [("khan", "red", "handed_over")]
    desk.gives(desk.boss, desk.alert_id, "rivera", "Sick")
    assert desk.hears() == [("rivera", "red", "handed_over")]
    desk.road.now = PRESETS.next_digest(desk.road.now)
    assert desk.hears() == [("khan", "red", "digest")], "it was theirs until then"


def offer(desk: Desk, who: Person) -> int:
    number: int = desk.does(
        lambda tx, **kw: transferring.offer(
            tx, POLICY, who, desk.alert_id, CAMDEN, "Lives there now", whole=False, **kw
        )
    )
    return number


def answer(desk: Desk, who: Person, number: int, how: Answer) -> None:
    desk.does(lambda tx, **kw: transferring.answer(tx, who, number, how, "As agreed by telephone", **kw))


def test_an_offer_is_told_to_the_other_borough_and_its_taking_to_the_first(desk: Desk) -> None:
    number = offer(desk, desk.rivera)
    assert desk.hears() == [("camden", "red", "offered")]
    answer(desk, desk.camden, number, Answer.ACCEPTED)
    assert desk.hears() == [("khan", "red", "transferred"), ("rivera", "red", "transferred")]


@pytest.mark.parametrize(
    ("how", "by", "heard"),
    [
        (Answer.REFUSED, "camden", ["khan", "rivera"]),
        (Answer.TAKEN_BACK, "khan", ["camden", "rivera"]),
    ],
)
def test_an_offer_that_came_to_nothing_is_told(desk: Desk, how: Answer, by: str, heard: list[str]) -> None:
    number = offer(desk, desk.rivera)
    desk.hears()
    answer(desk, getattr(desk, by), number, how)
    assert [name for name, _, _ in desk.hears()] == heard


def test_a_graver_grade_asks_whoever_has_it_and_a_milder_one_is_told_to_whoever_was_alerted(
    store: Store,
) -> None:
    desk = Desk(store)
    world = desk.road.world
    desk.does(duty.acknowledge, desk.rivera, desk.alert_id)
    desk.does(
        lambda tx, **kw: duty.grade(tx, world, desk.boss, desk.alert_id, Grade.AMBER, "Seen by a nurse", **kw)
    )
    assert desk.hears() == []
    desk.road.now = PRESETS.next_digest(desk.road.now)
    assert [name for name, _, _ in desk.hears()] == ["khan", "rivera"]
    desk.does(
        lambda tx, **kw: duty.grade(
            tx, world, desk.boss, desk.alert_id, Grade.RED, "Worse than it looked", **kw
        )
    )
    assert desk.hears() == [("rivera", "red", "graded")]


def test_the_deputy_of_an_absent_lead_is_interrupted_once(desk: Desk) -> None:
    desk.does(lambda tx, **kw: duty.close(tx, desk.rivera, desk.alert_id, "Spoken to the family", **kw))
    child = desk.road.child_of(desk.note_id)
    desk.does(transferring.begin_case, POLICY, desk.rivera, child, "rivera", "Strategy discussion held")
    choose(desk.road, desk.rivera, away_until=desk.road.now + HOUR_MS, deputy_id=desk.khan.person_id)
    desk.hears()
    desk.officer.writes(AMARA, danger_now=True)
    desk.does(absences.pass_on, Actor("system", "x"), POLICY, desk.road.pack)
    assert desk.hears() == [("khan", "red", "raised")], "that it is theirs now, they know"
    (alert,) = desk.road.alerts_of(child, "open")
    assert alert.owner == "khan"


def test_who_is_away_is_left_in_peace_and_their_deputy_hears(desk: Desk) -> None:
    choose(desk.road, desk.khan, away_until=desk.road.now + 86_400_000, deputy_id=desk.boss.person_id)
    desk.officer.sends(desk.officer.withdrawal(desk.note_id))
    assert [name for name, _, _ in desk.hears()] == ["boss", "rivera"]


class Limited(Way):
    """Another system that hears of its borough's alone."""

    def __init__(self, borough: str) -> None:
        super().__init__("webhook:one")
        self.borough = borough

    def hears(self, boroughs: Any, grades: Any) -> bool:
        return self.borough in boroughs


def kinds(messages: list[Message]) -> list[str]:
    return [message.kind for message in messages]


def test_another_system_hears_of_its_own_boroughs_and_of_both_ends_of_a_transfer(desk: Desk) -> None:
    theirs = Limited(CAMDEN)
    number = offer(desk, desk.rivera)
    answer(desk, desk.camden, number, Answer.ACCEPTED)
    desk.does(duty.close, desk.camden, desk.alert_id, "Strategy discussion held")
    while deliver(desk.road, theirs):
        pass
    assert kinds(theirs.sent) == ["offered", "transferred", "closed"]
    assert {message.told for message in theirs.sent} <= {CAMDEN, "E09000022", None}, "never a person"


def test_every_step_is_queued_for_everybody_whoever_takes_it(desk: Desk) -> None:
    assert desk.road.count("delivery", "channel = 'everybody'") == desk.road.count("alert_event")


@pytest.mark.parametrize("kind", sorted(spreading.ASKING | spreading.FOLLOWED))
def test_every_kind_that_people_are_told_has_words_of_its_own(kind: str) -> None:
    assert kind in WHAT
