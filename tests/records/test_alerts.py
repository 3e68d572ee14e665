"""Alerts: one open duty a child and borough, that grows and never gets milder, answered once."""

from __future__ import annotations

import msgspec
import pytest

from server.access.errors import NotAllowed
from server.access.policy import Permission
from server.audit import Actor
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.records import alerts, duties, escalations, handing
from server.records import steps as alert_steps
from server.records.alerts import Alert, AlertConflict, State
from server.records.duties import Duty
from sync.vocabulary import Grade
from tests.road import AMARA, CAMDEN, LAMBETH, REGISTRY, SOUTHWARK, START_MS, Road, somebody

RIVERA = somebody("rivera")
FORCE = somebody("gaffer", "force_duty_officer", None)
NOW = START_MS


@pytest.fixture
def child(road: Road) -> int:
    return road.child(AMARA)


def duty(child: int, grade: Grade = Grade.GREEN, **changes: object) -> Duty:
    usual: dict[str, object] = {
        "child_id": child,
        "borough": LAMBETH,
        "owner_reason": "home",
        "grade": grade,
        "why": f"A {grade.value} worry",
        "flag_ids": (),
        "started_at": NOW,
        "deadline_at": NOW + 6 * HOUR_MS,
        "late_by_ms": 0,
        "hears_at": NOW + 15 * MINUTE_MS,
    }
    return msgspec.convert(usual | changes, Duty)


def put(road: Road, asked: Duty, *, now: int = NOW, urgent: bool = False) -> Alert:
    alert_id = road.store.write_now(lambda tx: duties.put(tx, asked, now=now, urgent=urgent))
    return get(road, alert_id)


def get(road: Road, alert_id: int) -> Alert:
    return road.store.read_now(lambda tx: alerts.require(tx, FORCE, alert_id, Permission.SEE_ALERTS))


def acknowledge(road: Road, alert_id: int, from_rev: int | None = None) -> Alert:
    return road.store.write_now(
        lambda tx: alerts.acknowledge(tx, RIVERA, alert_id, now=NOW, from_rev=from_rev)
    )


def kinds(road: Road) -> list[str]:
    return [kind for (kind,) in road.rows("SELECT kind FROM alert_event ORDER BY event_id")]


def test_what_comes_while_an_alert_is_open_makes_it_grow(road: Road, child: int) -> None:
    first = put(road, duty(child))
    second = put(road, duty(child, copies=(SOUTHWARK,)))
    assert second.alert_id == first.alert_id and second.rev == first.rev + 1
    assert kinds(road) == ["raised", "grew"]
    assert road.rows("SELECT borough FROM alert_copy") == [(SOUTHWARK,)]
    put(road, duty(child, copies=(SOUTHWARK,)))
    assert road.count("alert_copy") == 1


def test_another_borough_or_child_has_an_alert_of_its_own(road: Road, child: int) -> None:
    put(road, duty(child))
    put(road, duty(child, borough=CAMDEN))
    put(road, duty(road.child(AMARA)))
    assert road.count("alert") == 3


def test_growing_never_makes_an_alert_milder_or_its_clock_longer(road: Road, child: int) -> None:
    red = put(road, duty(child, Grade.RED, deadline_at=NOW + 2 * HOUR_MS))
    grown = put(road, duty(child, Grade.GREEN, deadline_at=NOW + 24 * HOUR_MS, late_by_ms=5), urgent=True)
    assert (grown.grade, grown.why) == (Grade.RED, red.why)
    assert grown.deadline_at == red.deadline_at
    assert grown.late_by_ms == 5
    clockless = put(road, duty(child, Grade.BLUE, deadline_at=None, hears_at=NOW + HOUR_MS))
    assert clockless.deadline_at == red.deadline_at
    assert clockless.escalates_at == red.escalates_at


def test_turning_graver_starts_the_chain_anew(road: Road, child: int) -> None:
    green = put(road, duty(child, Grade.GREEN, hears_at=NOW + 24 * HOUR_MS))
    road.store.write_now(
        lambda tx: escalations.escalate(
            tx, REGISTRY, green, level=1, told="supervisor", next_at=NOW + HOUR_MS, now=NOW
        )
    )
    later = NOW + HOUR_MS
    red = put(
        road, duty(child, Grade.RED, deadline_at=later + HOUR_MS, hears_at=later + 15 * MINUTE_MS), now=later
    )
    assert (red.grade, red.level, red.escalates_at) == (Grade.RED, 0, later + 15 * MINUTE_MS)
    assert red.started_at == NOW


def test_an_urgent_duty_of_the_same_grade_brings_the_next_step_forward_and_never_back(
    road: Road, child: int
) -> None:
    put(road, duty(child, hears_at=NOW + 30 * MINUTE_MS))
    sooner = put(road, duty(child, hears_at=NOW + 10 * MINUTE_MS), urgent=True)
    assert sooner.escalates_at == NOW + 10 * MINUTE_MS
    assert (
        put(road, duty(child, hears_at=NOW + 90 * MINUTE_MS), urgent=True).escalates_at == sooner.escalates_at
    )
    assert put(road, duty(child, hears_at=NOW + 1)).escalates_at == sooner.escalates_at


def test_after_an_answer_a_new_duty_is_a_new_alert(road: Road, child: int) -> None:
    first = put(road, duty(child))
    acknowledge(road, first.alert_id)
    second = put(road, duty(child))
    assert second.alert_id != first.alert_id
    assert road.store.read_now(lambda tx: duties.open_ids(tx, child)) == [first.alert_id, second.alert_id]


def test_an_answer_counts_once_and_ends_the_chain(road: Road, child: int) -> None:
    alert = put(road, duty(child))
    answered = acknowledge(road, alert.alert_id, alert.rev)
    assert (answered.state, answered.owner, answered.escalates_at) == (State.ACKNOWLEDGED, "rivera", None)
    assert acknowledge(road, alert.alert_id, alert.rev).rev == answered.rev
    assert kinds(road) == ["raised", "acknowledged"]
    other = somebody("second")
    with pytest.raises(AlertConflict) as caught:
        road.store.write_now(
            lambda tx: alerts.acknowledge(tx, other, alert.alert_id, now=NOW, from_rev=alert.rev)
        )
    assert (caught.value.state, caught.value.rev) == ("acknowledged", answered.rev)


def test_an_alert_that_changed_while_its_level_was_worked_out_stays_as_it_is(road: Road, child: int) -> None:
    alert = put(road, duty(child))
    acknowledge(road, alert.alert_id)

    def escalate() -> bool:
        return road.store.write_now(
            lambda tx: escalations.escalate(
                tx, REGISTRY, alert, level=1, told="supervisor", next_at=NOW + HOUR_MS, now=NOW
            )
        )

    assert not escalate()
    assert kinds(road) == ["raised", "acknowledged"]


def test_closing_closes_what_is_open_and_says_which(road: Road, child: int) -> None:
    first, second = put(road, duty(child)), put(road, duty(child, borough=CAMDEN))
    ids = [first.alert_id, second.alert_id, 999]
    actor = Actor("person", "rivera")

    def close() -> list[int]:
        return road.store.write_now(lambda tx: duties.close(tx, actor, ids, "All is well", now=NOW))

    assert close() == ids[:2]
    assert close() == []
    assert get(road, first.alert_id).closed_reason == "All is well"
    with pytest.raises(AlertConflict):
        acknowledge(road, first.alert_id)
    with pytest.raises(AlertConflict):
        road.store.write_now(
            lambda tx: handing.hand_over(
                tx, RIVERA, get(road, first.alert_id), "x", "why", road.pack, now=NOW
            )
        )
    assert road.store.read_now(alerts.counts) == {"closed": 2, "escalations": 0}


def test_the_queue_is_red_first_then_least_time_and_clockless_last(road: Road, child: int) -> None:
    for grade, deadline_at in (
        (Grade.GREEN, NOW + 1),
        (Grade.RED, NOW + 9),
        (Grade.BLUE, None),
        (Grade.RED, NOW + 5),
        (Grade.AMBER, None),
    ):
        put(road, duty(road.child(AMARA), grade, deadline_at=deadline_at))
    found = road.store.read_now(lambda tx: alerts.queue(tx, RIVERA, now=NOW))
    assert [(alert.grade.value, alert.deadline_at) for alert in found] == [
        ("red", NOW + 5),
        ("red", NOW + 9),
        ("amber", None),
        ("green", NOW + 1),
        ("blue", None),
    ]
    assert road.count("audit_entry", "verb = 'consultation' AND actor_id = 'rivera'") == 1


def test_who_sees_which_alerts(road: Road, child: int) -> None:
    here = put(road, duty(child, copies=(SOUTHWARK,))).alert_id
    there = put(road, duty(child, borough=CAMDEN)).alert_id

    def seen(person: object) -> list[tuple[int, bool]]:
        found = road.store.read_now(lambda tx: alerts.queue(tx, person, now=NOW))  # type: ignore[arg-type]  # a Person
        return sorted((alert.alert_id, alert.is_copy) for alert in found)

    assert seen(RIVERA) == [(here, False)]
    assert seen(somebody("s", borough=SOUTHWARK)) == [(here, True)]
    assert seen(somebody("c", borough=CAMDEN)) == [(there, False)]
    assert seen(somebody("i", "duty_inspector", LAMBETH)) == [(here, False)]
    assert seen(FORCE) == [(here, False), (there, False)]
    assert seen(somebody("h", borough="E09000002")) == []
    with pytest.raises(NotAllowed):
        seen(somebody("w", "ward_officer"))


def test_a_copy_may_be_looked_at_and_not_answered(road: Road, child: int) -> None:
    alert = put(road, duty(child, copies=(SOUTHWARK,)))
    other = somebody("s", borough=SOUTHWARK)
    shown = road.store.read_now(lambda tx: alerts.show(tx, other, alert.alert_id, now=NOW))
    assert shown.alert_id == alert.alert_id and shown.is_copy
    with pytest.raises(NotAllowed):
        road.store.write_now(lambda tx: alerts.acknowledge(tx, other, alert.alert_id, now=NOW))


def test_steps_are_read_in_order_from_any_place(road: Road, child: int) -> None:
    alert = put(road, duty(child, copies=(SOUTHWARK, CAMDEN)))
    acknowledge(road, alert.alert_id)
    put(road, duty(child))
    read = road.store.read_now
    steps = read(lambda tx: alert_steps.steps_after(tx, 0, 0, 10))
    assert [step.kind for step in steps] == ["raised", "acknowledged", "raised"]
    assert set(steps[0].copies) == {SOUTHWARK, CAMDEN} and steps[2].copies == ()
    assert [step.position for step in steps] == sorted(step.position for step in steps)
    rest = read(lambda tx: alert_steps.steps_after(tx, steps[0].xid, steps[0].event_id, 1))
    assert rest == steps[1:2]
    newest = read(alert_steps.newest_event)
    assert newest == (steps[2].xid, steps[2].event_id)
    assert read(lambda tx: alert_steps.steps_after(tx, *newest, 10)) == []
    assert [step.kind for step in read(lambda tx: alert_steps.history(tx, [alert.alert_id]))] == [
        "raised",
        "acknowledged",
    ]
    assert read(lambda tx: alert_steps.history(tx, [])) == []


def test_nothing_is_due_before_its_time(road: Road, child: int) -> None:
    assert road.store.read_now(alert_steps.newest_event) == (0, 0)
    put(road, duty(child))

    def due(now: int) -> tuple[bool, int]:
        return road.store.read_now(
            lambda tx: (escalations.is_any_due(tx, now=now), len(escalations.due(tx, now=now)))
        )

    assert due(NOW + 15 * MINUTE_MS - 1) == (False, 0)
    assert due(NOW + 15 * MINUTE_MS) == (True, 1)
