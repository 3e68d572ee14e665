"""Who is told of what outside the page, when, and over what: red at any hour, the rest as people have chosen."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from server import duty
from server.access.policy import Permission
from server.alerts.channels import ChannelTrouble
from server.alerts.presets import after_quiet, next_at
from server.alerts.push import Subscription
from server.audit.verify import verify
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.jobs import escalation
from server.records import dead_letters, deliveries, noise, telling
from sync.note import Subject
from sync.vocabulary import Category, Grade
from tests.alerts.ways import PRESETS, Way, choose, deliver, person, told
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, POLICY, Road, spread_all

ZOFIA = Subject(given_names="Zofia", family_name="Wisniewska", date_of_birth=datetime.date(2013, 7, 19))
BROWSER = Subscription("https://push.example/abc", "key", "auth")


def test_a_red_reaches_the_boroughs_investigators_and_nobody_else(road: Road) -> None:
    for name, role, borough in (
        ("rivera", "investigator", LAMBETH),
        ("other", "investigator", CAMDEN),
        ("boss", "supervisor", LAMBETH),
        ("admin", "administrator", None),
    ):
        choose(road, person(road, name, role, borough))
    road.officer().writes(AMARA, danger_now=True)
    mail = Way("mail")
    assert deliver(road, mail) == 1
    assert told(mail) == [("rivera", "red", "raised")]
    assert mail.sent[0].place == "Lambeth"
    assert deliver(road, mail) == 0
    recipients = road.rows("SELECT recipients FROM audit_entry WHERE verb = 'disclosure'")
    rivera = road.value("SELECT id FROM person WHERE username = 'rivera'")
    assert recipients == [(f'["person:{rivera}"]',)]
    assert road.store.read_now(verify).ok


def test_an_escalation_reaches_the_level_that_it_names(road: Road) -> None:
    choose(road, person(road, "rivera"))
    choose(road, person(road, "boss", "supervisor"))
    road.officer().writes(AMARA, danger_now=True)
    mail = Way("mail")
    deliver(road, mail)
    mail.sent.clear()
    road.passes(minutes=15)
    road.store.write_now(lambda tx: escalation.run(tx, road.now, road.worlds.current(tx)))
    deliver(road, mail)
    assert told(mail) == [("boss", "red", "escalated")]


def test_who_is_given_an_alert_hears_of_it_and_who_answers_disturbs_nobody(road: Road) -> None:
    rivera, khan = person(road, "rivera"), person(road, "khan")
    choose(road, khan)
    road.officer().writes(AMARA, danger_now=True)
    mail = Way("mail")
    deliver(road, mail)
    mail.sent.clear()
    alert_id = road.value("SELECT alert_id FROM alert")
    road.store.write_now(lambda tx: duty.acknowledge(tx, rivera, alert_id, now=road.now))
    road.store.write_now(
        lambda tx: duty.hand_over(
            tx, POLICY, road.pack, rivera, alert_id, "khan", "My shift ends", now=road.now
        )
    )
    deliver(road, mail)
    assert told(mail) == [("khan", "red", "handed_over")]


@pytest.mark.parametrize(("danger", "waits"), [(True, False), (False, True)])
def test_quiet_hours_hold_back_an_amber_and_never_a_red(road: Road, danger: bool, waits: bool) -> None:
    rivera = person(road, "rivera")
    choose(road, rivera, amber="now", quiet_from=22 * 60, quiet_until=7 * 60)
    road.now += 23 * HOUR_MS  # 23:00 in London, in January
    road.officer().writes(AMARA, danger_now=danger, category=Category.KNIFE)
    mail = Way("mail")
    assert deliver(road, mail) == (0 if waits else 1)
    if waits:
        road.now += 8 * HOUR_MS - 1
        assert deliver(road, mail) == 0
        road.now += 1
        assert deliver(road, mail) == 1
        assert mail.sent[0].grade == "amber"


def test_what_is_low_comes_together_once_a_day(road: Road) -> None:
    rivera = person(road, "rivera")
    choose(road, rivera)
    for child in (AMARA, JONAS):
        road.officer().writes(child, category=Category.SCHOOL_ABSENCE)
    grades = {grade for (grade,) in road.rows("SELECT grade FROM alert")}
    assert grades <= {"green", "blue"}, grades
    mail = Way("mail")
    assert deliver(road, mail) == 0
    road.now = PRESETS.next_digest(road.now)
    assert deliver(road, mail) == 1
    [message] = mail.sent
    assert (message.kind, message.count) == ("digest", 2)
    boss = person(road, "boss", "supervisor")
    [one] = road.store.read_now(lambda tx: noise.interruptions(tx, POLICY, boss, now=road.now))
    assert (one.name, one.total, one.in_digests) == ("Test rivera", 0, 2)


@pytest.mark.parametrize(
    ("quiet", "hour", "at_night"),
    [
        (None, 21, 0),
        (None, 22, 1),
        (None, 6, 1),
        (None, 7, 0),
        ((9 * 60, 17 * 60), 12, 1),
        ((9 * 60, 17 * 60), 23, 0),
    ],
)
def test_interruptions_at_night_are_counted_apart(
    road: Road, quiet: tuple[int, int] | None, hour: int, at_night: int
) -> None:
    chosen = {"quiet_from": quiet[0], "quiet_until": quiet[1]} if quiet else {}
    choose(road, person(road, "rivera"), **chosen)
    boss = person(road, "boss", "supervisor")
    road.passes(hours=hour)  # the road begins at midnight on New Year's Day
    road.officer().writes(AMARA, danger_now=True)
    deliver(road, Way("mail"))
    [one] = road.store.read_now(lambda tx: noise.interruptions(tx, POLICY, boss, now=road.now))
    assert (one.total, one.at_night) == (1, at_night)


def test_a_supervisor_sees_how_often_their_own_people_were_interrupted(road: Road) -> None:
    rivera, camden = person(road, "rivera"), person(road, "camden", borough=CAMDEN)
    boss, idle = person(road, "boss", "supervisor"), person(road, "idle")
    for who in (rivera, camden, boss):
        choose(road, who, amber="digest")
    for child, danger in ((AMARA, True), (JONAS, False)):
        road.officer().writes(child, danger_now=danger, category=Category.KNIFE)
    road.officer("lee", CAMDEN).writes(ZOFIA, danger_now=True)
    deliver(road, Way("mail"), Way("push"))
    road.passes(minutes=15)
    road.store.write_now(lambda tx: escalation.run(tx, road.now, road.worlds.current(tx)))
    deliver(road, Way("mail"), Way("push"))
    found = road.store.read_now(lambda tx: noise.interruptions(tx, POLICY, boss, now=road.now))
    assert [(one.name, one.at_once, one.in_digests) for one in found] == [
        ("Test boss", {Grade.RED: 1}, 0),
        ("Test rivera", {Grade.RED: 1, Grade.AMBER: 0}, 1),
    ]
    later = road.store.read_now(
        lambda tx: noise.interruptions(tx, POLICY, boss, now=road.now + 8 * 24 * HOUR_MS)
    )
    assert later == []
    assert road.store.read_now(lambda tx: noise.interruptions(tx, POLICY, idle, now=road.now)) == []


def test_a_choice_that_the_borough_does_not_permit_does_not_hold(road: Road) -> None:
    """Nobody can switch off an amber, and nothing switches off a red."""
    choose(road, person(road, "rivera"), amber="off", green="now")
    road.officer().writes(AMARA, category=Category.KNIFE)
    mail = Way("mail")
    assert deliver(road, mail) == 1


def test_who_is_away_hands_their_duties_to_the_deputy_and_then_to_the_next_level(road: Road) -> None:
    rivera, khan, boss = person(road, "rivera"), person(road, "khan"), person(road, "boss", "supervisor")
    until = road.now + 100 * HOUR_MS
    choose(road, khan, away_until=until)
    choose(road, rivera, away_until=until, deputy_id=boss.person_id)
    choose(road, boss)
    road.officer().writes(AMARA, danger_now=True)
    mail = Way("mail")
    deliver(road, mail)
    assert told(mail) == [("boss", "red", "raised")]
    # Without any deputy the next level of the chain hears at once.
    choose(road, rivera, away_until=until)
    road.officer("lam").writes(JONAS, danger_now=True)
    mail.sent.clear()
    deliver(road, mail)
    assert told(mail) == [("boss", "red", "raised")]


def test_deputies_in_a_circle_who_are_all_away_end_with_the_next_level(road: Road) -> None:
    one, two, boss = person(road, "one"), person(road, "two"), person(road, "boss", "supervisor")
    until = road.now + HOUR_MS
    choose(road, one, away_until=until, deputy_id=two.person_id)
    choose(road, two, away_until=until, deputy_id=one.person_id)
    choose(road, boss)
    road.officer().writes(AMARA, danger_now=True)
    mail = Way("mail")
    assert deliver(road, mail) == 1
    assert told(mail) == [("boss", "red", "raised")]


def test_each_browser_hears_and_one_that_is_gone_is_forgotten(road: Road) -> None:
    rivera = person(road, "rivera")
    for number in range(2):
        browser = msgspec.structs.replace(BROWSER, endpoint=f"https://push.example/{number}")
        road.store.write_now(lambda tx, browser=browser: telling.subscribe(tx, rivera, browser, now=road.now))  # type: ignore[misc]  # bound early
    road.officer().writes(AMARA, danger_now=True)
    assert deliver(road, Way("push", ChannelTrouble("ended", is_final=True, is_gone=True))) == 0
    assert road.store.read_now(lambda tx: telling.browsers(tx, rivera.person_id)) == 0
    assert road.store.read_now(lambda tx: tx.value("SELECT COUNT(*) FROM delivery WHERE state = 'dead'")) == 2
    [health] = road.store.read_now(lambda tx: dead_letters.health(tx, ["push"], now=road.now))
    assert (health.is_well, health.failed_attempts) == (True, 2), (
        "one browser less is no fault of the channel"
    )


def test_a_dead_letter_is_seen_with_its_reason_and_sent_again(road: Road) -> None:
    choose(road, person(road, "rivera"))
    road.officer().writes(AMARA, danger_now=True)
    deliver(road, Way("mail", ChannelTrouble("the mail server refused it with 550", is_final=True)))
    admin = person(road, "admin", "administrator", None)
    assert admin.may(Permission.MANAGE_QUARANTINE)
    [letter] = road.store.read_now(lambda tx: dead_letters.listed(tx, admin))
    assert (letter.channel, letter.username, letter.grade) == ("mail", "rivera", "red")
    assert letter.trouble == "the mail server refused it with 550" and letter.attempts == 1
    [health] = road.store.read_now(lambda tx: dead_letters.health(tx, ["mail"], now=road.now))
    assert (health.dead, health.failures, health.is_well) == (1, 1, False)
    assert road.store.write_now(lambda tx: dead_letters.resend(tx, admin, now=road.now, channel="push")) == 0
    assert road.store.write_now(lambda tx: dead_letters.resend(tx, admin, now=road.now)) == 1
    mail = Way("mail")
    assert deliver(road, mail) == 1
    assert road.store.read_now(lambda tx: dead_letters.listed(tx, admin)) == []
    [health] = road.store.read_now(lambda tx: dead_letters.health(tx, ["mail"], now=road.now))
    assert (health.dead, health.failures, health.is_well) == (0, 0, True)


def test_who_has_taken_their_address_back_is_a_dead_letter_and_not_a_mail(road: Road) -> None:
    rivera = person(road, "rivera")
    choose(road, rivera)
    road.officer().writes(AMARA, danger_now=True)
    road.store.write_now(lambda tx: spread_all(tx, POLICY, PRESETS, [Way("mail")], now=road.now))
    choose(road, rivera, address=None)
    mail = Way("mail")
    assert deliver(road, mail) == 0 and mail.sent == []
    assert road.rows("SELECT state, trouble FROM delivery WHERE channel = 'mail'") == [
        ("dead", deliveries.NO_ADDRESS)
    ]


@pytest.mark.parametrize(
    ("day", "hour", "after_hours"),
    [("2026-01-10", 23, 8), ("2026-03-28", 23, 7), ("2026-10-24", 23, 9), ("2026-01-10", 12, 0)],
)
def test_quiet_hours_end_by_londons_clocks_also_when_those_change(
    day: str, hour: int, after_hours: int
) -> None:
    local = datetime.datetime.fromisoformat(f"{day}T{hour:02}:00").replace(tzinfo=_london())
    now = round(local.timestamp() * 1000)
    assert after_quiet(now, 22 * 60, 7 * 60) == now + after_hours * HOUR_MS


def test_a_moment_of_the_day_is_always_in_the_future() -> None:
    now = 1_767_225_600_000
    assert next_at(now, 0) == now + 24 * HOUR_MS
    assert next_at(now - MINUTE_MS, 0) == now


def _london() -> datetime.tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo("Europe/London")
