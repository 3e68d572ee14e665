"""Escalation: who is told when nobody answers, also after the server was away."""

from __future__ import annotations

import pathlib

import msgspec
import pytest

from server import duty
from server.access.policy import load_policy
from server.alerts.channels import EVERYBODY
from server.casework import pack as packs
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.casework.pack import PackError, default_pack, load_pack
from server.casework.shapes import EscalationSettings
from server.jobs import escalation
from server.records import escalations
from server.records import steps as alert_steps
from server.storage import Store
from sync.vocabulary import Category, SubjectRole
from tests.alerts.ways import person
from tests.road import AMARA, JONAS, POLICY, START_MS, Road, somebody

RIVERA = somebody("rivera")
RULES = (pathlib.Path(packs.__file__).parent / "rules.toml").read_text(encoding="utf-8")


def run(road: Road) -> int:
    return road.store.write_now(lambda tx: escalation.run(tx, road.now, road.world)).told


def told(road: Road) -> list[tuple[str, int]]:
    """(role, minutes after the start of the test) of every level that was told, in order."""
    rows = road.rows("SELECT told, at FROM alert_event WHERE kind = 'escalated' ORDER BY event_id")
    return [(role, (at - START_MS) // MINUTE_MS) for role, at in rows]


def test_an_unanswered_red_alert_climbs_level_by_level(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    for _ in range(70):
        road.passes(minutes=1)
        run(road)
    assert told(road) == [("supervisor", 15), ("duty_inspector", 30), ("force_duty_officer", 60)]
    assert road.value("SELECT escalates_at FROM alert") == START_MS + 90 * MINUTE_MS
    assert road.rows("SELECT level, waits_for FROM alert") == [(3, "force_duty_officer")]


def test_whoever_heard_last_hears_again_until_somebody_answers(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    for _ in range(185):
        road.passes(minutes=1)
        run(road)
    again = [("force_duty_officer", minutes) for minutes in (60, 90, 120, 150, 180)]
    assert told(road) == [("supervisor", 15), ("duty_inspector", 30), *again]
    road.store.write_now(lambda tx: duty.acknowledge(tx, RIVERA, 1, now=road.now))
    road.passes(hours=5)
    assert run(road) == 0


def test_what_was_missed_in_a_month_is_told_once_for_each_level_and_once_for_all_that_came_after(
    road: Road,
) -> None:
    road.officer().writes(AMARA, danger_now=True)
    road.passes(hours=24 * 30)
    assert run(road) == 3
    assert run(road) == 0
    assert road.value("SELECT escalates_at FROM alert") == road.now + 30 * MINUTE_MS
    road.passes(hours=24 * 30)
    assert run(road) == 1, "everybody had heard before the server was away"
    assert road.value("SELECT escalates_at FROM alert") == road.now + 30 * MINUTE_MS


def test_a_grade_without_a_chain_asks_the_investigators_again_at_its_interval(road: Road) -> None:
    pack = load_pack(RULES.replace("blue = [{ minutes = 4320", "# blue = [{ minutes = 4320"))
    road = Road(road.store, pack)
    road.officer().writes(JONAS, msgspec.structs.replace(AMARA, role=SubjectRole.WITNESS))
    road.passes(hours=7 * 24)
    run(road)
    assert road.rows("SELECT told FROM alert_event WHERE kind = 'escalated' AND grade = 'blue'") == [
        ("investigators",)
    ]
    assert road.rows("SELECT level, escalates_at FROM alert WHERE grade = 'blue'") == [
        (0, road.now + 7 * 24 * HOUR_MS)
    ]


def test_the_interval_counts_working_hours_where_the_boroughs_clock_does(road: Road) -> None:
    """Amber of Surrey's preset, raised on New Year's Day 2026, a bank holiday: its clock begins on Friday at nine."""
    road = Road(road.store, load_pack(RULES.replace('preset = "merton"', 'preset = "surrey"', 1)))
    road.officer().writes(AMARA, category=Category.KNIFE)
    road.passes(hours=24 * 20)
    run(road)
    assert told(road)[-1] == ("duty_inspector", 20 * 24 * 60)
    # Midnight of Wednesday 21 January: four working hours later it is one o'clock.
    assert road.value("SELECT escalates_at FROM alert") == road.now + 13 * HOUR_MS


def test_nothing_is_told_a_moment_too_early(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    road.now += 15 * MINUTE_MS - 1
    assert run(road) == 0
    road.now += 1
    assert run(road) == 1
    assert run(road) == 0


def test_after_the_server_was_away_every_level_is_told_once_and_in_order(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    road.passes(minutes=45)
    assert run(road) == 2
    assert told(road) == [("supervisor", 45), ("duty_inspector", 45)]
    # The step that was not missed keeps its own time.
    road.passes(minutes=14)
    assert run(road) == 0
    road.passes(minutes=1)
    assert run(road) == 1
    assert told(road)[-1] == ("force_duty_officer", 60)


def test_an_answered_alert_does_not_climb(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    [(alert_id,)] = road.rows("SELECT alert_id FROM alert")
    road.passes(minutes=16)
    run(road)
    road.store.write_now(lambda tx: duty.acknowledge(tx, RIVERA, alert_id, now=road.now))
    road.passes(hours=5)
    assert run(road) == 0
    assert len(told(road)) == 1


def test_who_is_given_an_alert_that_climbed_is_who_it_waits_for(road: Road) -> None:
    person(road, "khan")
    road.officer().writes(AMARA, danger_now=True)
    road.passes(minutes=16)
    run(road)
    assert road.value("SELECT waits_for FROM alert") == "supervisor"
    alert = road.store.write_now(
        lambda tx: duty.hand_over(
            tx, POLICY, road.pack, somebody("boss", "supervisor"), 1, "khan", "Yours", now=road.now
        )
    )
    assert (alert.waited_for, alert.state.value) == ("khan", "open")
    assert alert.escalates_at == START_MS + 30 * MINUTE_MS, "the clock runs on"
    road.passes(minutes=14)
    run(road)
    assert road.value("SELECT waits_for FROM alert") == "duty_inspector"


def test_amber_climbs_at_half_and_at_the_end_of_its_clock(road: Road) -> None:
    road.officer().writes(AMARA, category=Category.KNIFE)
    for _ in range(7):
        road.passes(hours=1)
        run(road)
    assert told(road) == [("supervisor", 180), ("duty_inspector", 360)]


def test_an_alert_that_turns_red_climbs_by_the_red_chain_from_then_on(road: Road) -> None:
    road.child(AMARA)
    road.officer("lam").writes(AMARA, category=Category.KNIFE)
    road.passes(hours=4)
    run(road)
    road.officer("okafor").writes(AMARA, danger_now=True)
    for _ in range(61):
        road.passes(minutes=1)
        run(road)
    assert told(road)[1:] == [
        ("supervisor", 240 + 15),
        ("duty_inspector", 240 + 30),
        ("force_duty_officer", 240 + 60),
    ]


def test_when_everybody_has_heard_and_it_grows_the_last_hears_sooner(road: Road) -> None:
    road.child(AMARA)
    road.officer("lam").writes(AMARA, danger_now=True)
    road.passes(hours=2)
    assert run(road) == 3
    road.officer("okafor").writes(
        AMARA, danger_now=True, category=Category.MISSING, exploitation_indicator=True
    )
    road.passes(minutes=15)
    run(road)
    assert told(road)[3:] == [("force_duty_officer", 135)]
    assert road.value("SELECT MAX(level) FROM alert") == 3


def test_what_is_told_goes_to_the_channels_and_the_stream(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    road.passes(minutes=15)
    run(road)
    assert road.rows("SELECT channel, state, next_at FROM delivery ORDER BY delivery_id") == [
        (EVERYBODY, "waiting", START_MS),
        (EVERYBODY, "waiting", road.now),
    ]
    steps = road.store.read_now(lambda tx: alert_steps.steps_after(tx, 0, 0, 10))
    assert [step.kind for step in steps] == ["raised", "escalated"]


def test_a_pack_that_lost_its_chain_asks_those_who_have_the_duty(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    silent = msgspec.structs.replace(road.pack, escalations=EscalationSettings())
    world = msgspec.structs.replace(road.world, pack=silent)
    road.passes(minutes=20)
    assert road.store.write_now(lambda tx: escalation.run(tx, road.now, world)).told == 1
    assert told(road) == [("investigators", 20)]
    assert road.value("SELECT escalates_at FROM alert") == road.now + 25 * MINUTE_MS


def test_a_drill_counts_in_seconds(store: Store) -> None:
    road = Road(store, load_pack(RULES.replace("minutes = 15,", "minutes = 0.1,")))
    road.officer().writes(AMARA, danger_now=True)
    road.now += 5_999
    assert run(road) == 0
    road.now += 1
    assert run(road) == 1


def test_a_hundred_alerts_in_one_round(road: Road) -> None:
    officer = road.officer()
    names = [f"{a}{b}ro{c}" for a in "BDGKL" for b in "aeiou" for c in "nst"]
    for name in names[:40]:
        officer.writes(msgspec.structs.replace(AMARA, given_names=name, family_name=name + "sen", date_of_birth=None,
                                               address=None, postcode=None, school=None), danger_now=True)  # fmt: skip
    road.passes(hours=2)
    levels = run(road)
    assert levels == 3 * road.count("alert")
    assert run(road) == 0
    logged = road.value(
        "SELECT COUNT(DISTINCT s.id) FROM audit_subject s JOIN audit_entry e ON e.position = s.position"
        " WHERE e.actor_id = 'escalation' AND s.kind = 'alert'"
    )
    assert logged == road.count("alert")


@pytest.mark.parametrize("per_round", [2, 1_000])
def test_after_downtime_levels_are_told_in_the_order_of_all_deadlines(
    road: Road, monkeypatch: pytest.MonkeyPatch, per_round: int
) -> None:
    """Deadlines of several alerts lie between one another, in one round or in many."""
    monkeypatch.setattr(escalations, "ESCALATIONS_PER_ROUND_MAX", per_round)
    wanted = []
    for name in ("Bobo", "Dudi", "Geko", "Kilu", "Mava"):
        child = msgspec.structs.replace(
            AMARA, given_names=name, family_name=name + "sen", date_of_birth=None, address=None, postcode=None,
            school=None,
        )  # fmt: skip
        road.officer().writes(child, danger_now=True)
        alert_id = road.value("SELECT MAX(alert_id) FROM alert")
        wanted += [(road.now + minutes * MINUTE_MS, alert_id) for minutes in (15, 30, 60)]
        road.passes(minutes=7)
    road.passes(hours=9)
    rounds, more = 0, True
    while more:
        done = road.store.write_now(lambda tx: escalation.run(tx, road.now, road.world))
        rounds, more = rounds + 1, done.more
        assert rounds <= len(wanted)
    heard = road.rows("SELECT alert_id FROM alert_event WHERE kind = 'escalated' ORDER BY event_id")
    assert [alert_id for (alert_id,) in heard] == [alert_id for _, alert_id in sorted(wanted)]
    assert (rounds > 1) is (per_round == 2)


def test_a_chain_may_only_name_roles_that_answer_alerts() -> None:
    policy = load_policy()
    escalation.check_roles(default_pack(), policy)
    for wrong in ("mayor", "auditor"):
        with pytest.raises(PackError, match=f"`{wrong}` is not a role.*supervisor"):
            escalation.check_roles(load_pack(RULES.replace('"force_duty_officer"', f'"{wrong}"')), policy)
    text = RULES.replace('"force_duty_officer"', '"mayor"')
    line = 1 + next(n for n, said in enumerate(text.splitlines()) if "mayor" in said)
    with pytest.raises(PackError, match=f"on line {line}: "):
        escalation.check_roles(load_pack(text), policy, text)
