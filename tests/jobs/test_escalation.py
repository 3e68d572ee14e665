"""Escalation: who is told when nobody answers, also after the server was away."""

from __future__ import annotations

import pathlib

import msgspec
import pytest

from server import duty
from server.access.policy import load_policy
from server.casework import pack as packs
from server.casework.facts import MINUTE_MS
from server.casework.pack import PackError, default_pack, load_pack
from server.casework.shapes import EscalationSettings
from server.jobs import escalation
from server.records import steps as alert_steps
from server.storage import Store
from server.world import World
from sync.vocabulary import Category
from tests.road import AMARA, START_MS, Road, somebody

RIVERA = somebody("rivera")
RULES = (pathlib.Path(packs.__file__).parent / "rules.toml").read_text(encoding="utf-8")


@pytest.fixture
def road(store: Store) -> Road:
    return Road(store)


def run(road: Road, channels: tuple[str, ...] = ()) -> int:
    return road.store.write_now(lambda tx: escalation.run(tx, road.now, told_on(road, channels)))


def told_on(road: Road, channels: tuple[str, ...]) -> World:
    return msgspec.structs.replace(road.world, channels=channels)


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
    assert road.value("SELECT escalates_at FROM alert") is None
    assert road.value("SELECT level FROM alert") == 3


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


def test_when_everybody_has_heard_and_it_grows_the_last_hears_again_and_no_more(road: Road) -> None:
    road.child(AMARA)
    road.officer("lam").writes(AMARA, danger_now=True)
    road.passes(hours=2)
    assert run(road) == 3
    road.officer("okafor").writes(
        AMARA, danger_now=True, category=Category.MISSING, exploitation_indicator=True
    )
    road.passes(minutes=15)
    run(road)
    road.passes(hours=10)
    assert run(road) == 0
    assert [role for role, _ in told(road)][3:] in ([], ["force_duty_officer"])
    assert road.value("SELECT MAX(level) FROM alert") == 3


def test_what_is_told_goes_to_the_channels_and_the_stream(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    road.passes(minutes=15)
    run(road, ("webhook",))
    assert road.rows("SELECT channel, state, next_at FROM delivery") == [("webhook", "waiting", road.now)]
    steps = road.store.read_now(lambda tx: alert_steps.steps_after(tx, 0, 0, 10))
    assert [step.kind for step in steps] == ["raised", "escalated"]


def test_a_pack_without_a_chain_lets_the_time_lapse(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    silent = msgspec.structs.replace(road.pack, escalations=EscalationSettings())
    world = msgspec.structs.replace(road.world, pack=silent)
    road.passes(minutes=20)
    assert road.store.write_now(lambda tx: escalation.run(tx, road.now, world)) == 0
    assert road.value("SELECT escalates_at FROM alert") is None


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


def test_a_chain_may_only_name_roles_that_answer_alerts() -> None:
    policy = load_policy()
    escalation.check_roles(default_pack(), policy)
    for wrong in ("mayor", "auditor"):
        with pytest.raises(PackError, match=f"`{wrong}` is not a role.*supervisor"):
            escalation.check_roles(load_pack(RULES.replace('"force_duty_officer"', f'"{wrong}"')), policy)
