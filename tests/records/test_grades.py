"""A person's grade: it needs a rationale, a lower one a supervisor, and that it was higher stays in sight."""

from __future__ import annotations

import pytest

from server import duty
from server.access.errors import NotAllowed
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.casework.grades import GradeRefused
from server.jobs import escalation
from server.records import grades
from server.records.alerts import Alert, AlertConflict
from server.records.grades import GradeDecision
from sync.vocabulary import Category, Grade
from tests.road import AMARA, CAMDEN, START_MS, Road, somebody

RIVERA, BOSS = somebody("rivera"), somebody("boss", "supervisor")
WHY = "Her aunt says the injuries were seen at school"


@pytest.fixture
def child(road: Road) -> int:
    return road.child(AMARA)


def raised(road: Road, child: int, category: Category = Category.NEGLECT) -> Alert:
    road.officer().writes(AMARA, category=category)
    return road.alerts_of(child, "open")[-1]


def give(road: Road, alert: Alert, to: Grade, who: object = RIVERA, why: str = WHY) -> Alert:
    return road.store.write_now(
        lambda tx: duty.grade(
            tx,
            road.worlds.current(tx),
            who,  # type: ignore[arg-type]  # a Person
            alert.alert_id,
            to,
            why,
            now=road.now,
            from_rev=alert.rev,
        )
    )


def kept(road: Road, alert: Alert) -> list[GradeDecision]:
    return road.store.read_now(lambda tx: grades.of_alerts(tx, [alert.alert_id]))


def test_a_higher_grade_starts_a_shorter_clock_and_its_chain(road: Road, child: int) -> None:
    green = raised(road, child)
    road.passes(hours=3)
    red = give(road, green, Grade.RED)
    assert (red.grade, red.highest_grade, red.level) == (Grade.RED, Grade.RED, 0)
    assert red.deadline_at == road.now + 2 * HOUR_MS
    assert red.escalates_at == road.now + 15 * MINUTE_MS
    [decision] = kept(road, red)
    assert (decision.from_grade, decision.to_grade, decision.person) == (Grade.GREEN, Grade.RED, "rivera")
    assert (decision.rationale, decision.proposed_grade) == (WHY, Grade.GREEN)


def test_a_higher_grade_never_ends_later_than_the_clock_that_ran(road: Road, child: int) -> None:
    green = raised(road, child)
    road.passes(hours=23)
    assert give(road, green, Grade.AMBER).deadline_at == START_MS + 24 * HOUR_MS


def test_a_lower_grade_takes_a_supervisor_and_does_not_hide_that_it_was_higher(
    road: Road, child: int
) -> None:
    amber = raised(road, child, Category.KNIFE)
    with pytest.raises(GradeRefused) as refused:
        give(road, amber, Grade.GREEN)
    assert refused.value.code == "supervisor_needed"
    green = give(road, amber, Grade.GREEN, BOSS)
    assert (green.grade, green.highest_grade) == (Grade.GREEN, Grade.AMBER)
    assert green.deadline_at == START_MS + 24 * HOUR_MS
    # The present grade is green and the rules say amber: to confirm green is to go below the rules.
    with pytest.raises(GradeRefused):
        give(road, green, Grade.GREEN)
    assert give(road, green, Grade.AMBER).grade is Grade.AMBER


def test_what_is_new_raises_it_again_and_says_what_it_was(road: Road, child: int) -> None:
    amber = raised(road, child, Category.KNIFE)
    give(road, amber, Grade.GREEN, BOSS)
    road.passes(hours=5)
    road.officer("second").writes(AMARA, category=Category.KNIFE)
    again = road.alerts_of(child)[-1]
    assert (again.alert_id, again.grade, again.level) == (amber.alert_id, Grade.AMBER, 0)
    assert again.deadline_at == road.now + 6 * HOUR_MS
    steps = road.rows("SELECT kind, grade, detail FROM alert_event ORDER BY event_id")
    assert steps == [("raised", "amber", None), ("graded", "green", "amber"), ("grew", "amber", "green")]


@pytest.mark.parametrize("why", ["", "ok", "          .          "])
def test_no_rationale_no_grade(road: Road, child: int, why: str) -> None:
    alert = raised(road, child)
    with pytest.raises(GradeRefused) as refused:
        give(road, alert, Grade.RED, why=why)
    assert refused.value.code == "rationale_missing"
    assert road.alerts_of(child) == [alert]
    assert road.count("grade_decision") == 0


def test_who_was_slower_is_told_what_holds_now(road: Road, child: int) -> None:
    alert = raised(road, child)
    now = give(road, alert, Grade.AMBER)
    with pytest.raises(AlertConflict) as lost:
        give(road, alert, Grade.RED, BOSS)
    assert lost.value.rev == now.rev
    assert len(kept(road, alert)) == 1


def test_other_boroughs_and_roles_that_set_no_grades_are_refused(road: Road, child: int) -> None:
    alert = raised(road, child)
    for who in (somebody("lee", borough=CAMDEN), somebody("scrutiny", "scrutiny", None)):
        with pytest.raises(NotAllowed):
            give(road, alert, Grade.RED, who)
    assert road.count("grade_decision") == 0


def test_an_answered_alert_stays_answered(road: Road, child: int) -> None:
    alert = raised(road, child)
    seen = road.store.write_now(lambda tx: duty.acknowledge(tx, RIVERA, alert.alert_id, now=road.now))
    red = give(road, seen, Grade.RED)
    assert (red.state.value, red.escalates_at, red.owner) == ("acknowledged", None, "rivera")
    assert red.deadline_at == road.now + 2 * HOUR_MS


def test_a_lowered_alert_that_nobody_answers_still_climbs(road: Road, child: int) -> None:
    amber = raised(road, child, Category.KNIFE)
    give(road, amber, Grade.GREEN, BOSS)
    road.passes(hours=24)
    assert road.store.write_now(lambda tx: escalation.run(tx, road.now, road.world)).told == 1
    assert road.value("SELECT told FROM alert_event WHERE kind = 'escalated'") == "supervisor"


def test_the_rationale_stands_nowhere_but_with_the_decision(road: Road, child: int) -> None:
    give(road, raised(road, child), Grade.RED)
    for table, column in (("alert_event", "detail"), ("alert", "why"), ("audit_entry", "reason")):
        rows = road.rows(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        assert not any("aunt" in str(value) for (value,) in rows), table
