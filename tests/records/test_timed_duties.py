"""Police protection and what the school must know: a clock of their own, beside the grade's, answered or not."""

from __future__ import annotations

import msgspec
import pytest

from server import duty
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.jobs import escalation
from server.records.alerts import Alert
from sync.vocabulary import Category
from tests.road import AMARA, START_MS, Officer, Road, at, somebody

RIVERA = somebody("rivera")
HOUSEHOLD = Category.DOMESTIC_ABUSE_HOUSEHOLD


@pytest.fixture
def officer(road: Road) -> Officer:
    return road.officer()


def only(road: Road, child: int) -> Alert:
    [alert] = road.alerts_of(child)
    return alert


def climbs(road: Road) -> int:
    return road.store.write_now(lambda tx: escalation.run(tx, road.now, road.world)).told


def answered(road: Road, child: int) -> Alert:
    alert_id = only(road, child).alert_id
    return road.store.write_now(lambda tx: duty.acknowledge(tx, RIVERA, alert_id, now=road.now))


def protect(road: Road, officer: Officer, hours_ago: float) -> str:
    began = road.now - round(hours_ago * HOUR_MS)
    return officer.writes(AMARA, police_protection_from=at(began), category=Category.NEGLECT)


def test_police_protection_is_red_and_counts_down_beside_the_grades_clock(
    road: Road, officer: Officer
) -> None:
    child = road.child(AMARA)
    protect(road, officer, 5)
    alert = only(road, child)
    assert (alert.grade.value, alert.deadline_at) == ("red", START_MS + 2 * HOUR_MS)
    assert (alert.due_at, alert.due_words) == (START_MS + 67 * HOUR_MS, "Police protection ends")
    assert alert.escalates_at == START_MS + 15 * MINUTE_MS


def test_a_supervisor_hears_twelve_hours_before_its_end_though_it_was_answered(
    road: Road, officer: Officer
) -> None:
    child = road.child(AMARA)
    protect(road, officer, 0)
    assert answered(road, child).escalates_at == START_MS + 60 * HOUR_MS
    road.passes(hours=59.9)
    assert climbs(road) == 0
    road.passes(hours=0.1)
    assert climbs(road) == 1
    assert road.rows("SELECT told, detail FROM alert_event WHERE kind = 'escalated'") == [
        ("supervisor", "Police protection ends")
    ]
    alert = only(road, child)
    assert (alert.state.value, alert.owner, alert.escalates_at) == ("acknowledged", "rivera", None)
    road.passes(hours=100)
    assert climbs(road) == 0


def test_whoever_was_last_hears_by_then_where_nobody_answered(road: Road, officer: Officer) -> None:
    child = road.child(AMARA)
    protect(road, officer, 0)
    for _ in range(5):
        road.passes(minutes=20)
        climbs(road)
    assert only(road, child).escalates_at == START_MS + 2 * HOUR_MS, "every half hour, as any red"
    road.now = START_MS + 60 * HOUR_MS - 10 * MINUTE_MS
    assert climbs(road) == 1
    assert only(road, child).escalates_at == START_MS + 60 * HOUR_MS, "sooner than in half an hour"
    road.passes(minutes=10)
    assert climbs(road) == 1
    assert only(road, child).waited_for == "force_duty_officer"


def test_one_that_ended_before_it_was_heard_of_hurries_nobody_more_than_red(
    road: Road, officer: Officer
) -> None:
    child = road.child(AMARA)
    protect(road, officer, 100)
    alert = only(road, child)
    assert (alert.due_at, alert.deadline_at) == (None, START_MS + 2 * HOUR_MS)


def test_a_later_note_does_not_extend_it_and_a_truer_beginning_shortens_it(
    road: Road, officer: Officer
) -> None:
    child = road.child(AMARA)
    first = protect(road, officer, 2)
    road.passes(hours=10)
    protect(road, officer, 0)
    assert only(road, child).due_at == START_MS + 70 * HOUR_MS
    truer = msgspec.structs.replace(
        road.body(AMARA), police_protection_from=at(START_MS - 20 * HOUR_MS), observed_at=at(START_MS)
    )
    officer.sends(officer.amendment(first, truer))
    assert only(road, child).due_at == START_MS + 52 * HOUR_MS


def test_its_grounds_gone_the_clock_goes_and_whoever_was_told_hears(road: Road, officer: Officer) -> None:
    child = road.child(AMARA)
    wrong = protect(road, officer, 0)
    officer.writes(AMARA, category=Category.KNIFE)
    answered(road, child)
    officer.sends(officer.withdrawal(wrong))
    alert = only(road, child)
    assert (alert.due_at, alert.state.value, alert.grade.value) == (None, "acknowledged", "red")
    assert alert.why == "New concern: knife"
    [(kind, told)] = road.rows("SELECT kind, told FROM alert_event ORDER BY event_id DESC LIMIT 1")
    assert (kind, told) == ("lessened", "rivera")
    assert road.count("flag", "rule = 'police_protection' AND retraction IS NOT NULL") == 1


def test_the_school_must_know_before_its_next_day(road: Road, officer: Officer) -> None:
    """Thursday 1 January 2026, midnight, is a bank holiday. No terms are given, so Friday is a school day."""
    child = road.child(AMARA)
    officer.writes(AMARA, category=HOUSEHOLD)
    friday = START_MS + 24 * HOUR_MS + 8 * HOUR_MS + 45 * MINUTE_MS
    alert = only(road, child)
    assert (alert.due_at, alert.due_words) == (friday, "The school must know")
    assert alert.deadline_at == START_MS + 24 * HOUR_MS


def test_a_school_day_that_begins_sooner_than_the_clock_ends_the_clock(road: Road, officer: Officer) -> None:
    child = road.child(AMARA)
    road.passes(hours=5 * 24 + 20)  # Tuesday, 20:00
    officer.writes(AMARA, category=HOUSEHOLD)
    wednesday = START_MS + 6 * 24 * HOUR_MS + 8 * HOUR_MS + 45 * MINUTE_MS
    alert = only(road, child)
    assert (alert.deadline_at, alert.due_at) == (wednesday, wednesday)
    assert alert.escalates_at == wednesday - HOUR_MS
    road.passes(hours=11.75)
    assert climbs(road) == 1
    again = wednesday + 23 * HOUR_MS  # a day after the supervisor heard, who hears again then
    assert (only(road, child).escalates_at, only(road, child).level) == (again, 1)


def test_of_two_clocks_each_is_warned_of_and_the_alert_shows_the_one_that_ends_next(
    road: Road, officer: Officer
) -> None:
    """Thursday, a bank holiday: the school must know by Friday 08:45, and the protection ends on Sunday."""
    child = road.child(AMARA)
    officer.writes(AMARA, police_protection_from=at(road.now), category=HOUSEHOLD)
    friday, sunday = START_MS + 32 * HOUR_MS + 45 * MINUTE_MS, START_MS + 72 * HOUR_MS
    assert (only(road, child).due_at, only(road, child).due_words) == (friday, "The school must know")
    assert answered(road, child).escalates_at == friday - HOUR_MS
    road.now = friday - HOUR_MS
    assert climbs(road) == 1
    assert only(road, child).escalates_at == friday, "it is looked at when the first has ended"
    assert only(road, child).due_at == friday, "which still runs"
    road.now = friday
    assert climbs(road) == 0, "that a clock ended interrupts nobody"
    after = only(road, child)
    assert (after.due_at, after.due_words) == (sunday, "Police protection ends")
    assert after.escalates_at == sunday - 12 * HOUR_MS
    road.now = sunday - 12 * HOUR_MS
    assert climbs(road) == 1
    assert climbs(road) == 0
    heard = road.rows("SELECT told, detail FROM alert_event WHERE kind = 'escalated' ORDER BY event_id")
    assert heard == [("supervisor", "The school must know"), ("supervisor", "Police protection ends")]
    assert only(road, child).escalates_at is None


def test_both_are_made_up_for_after_a_time_when_no_server_ran(road: Road, officer: Officer) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA, police_protection_from=at(road.now), category=HOUSEHOLD)
    answered(road, child)
    road.passes(hours=100)
    assert climbs(road) == 2
    heard = road.rows("SELECT detail FROM alert_event WHERE kind = 'escalated' ORDER BY event_id")
    assert heard == [("The school must know",), ("Police protection ends",)]
    assert climbs(road) == 0


def test_who_answers_after_the_first_has_ended_is_still_warned_of_the_second(
    road: Road, officer: Officer
) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA, police_protection_from=at(road.now), category=HOUSEHOLD)
    road.passes(hours=40)
    assert answered(road, child).escalates_at == START_MS + 60 * HOUR_MS
