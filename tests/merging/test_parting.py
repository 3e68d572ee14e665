"""What a record has through the open case of another ends when the two part."""

from __future__ import annotations

import pytest

from server import merging, transferring
from server.access import people
from server.records import children
from sync.note import Place
from sync.vocabulary import Category
from tests.road import AMARA, JONAS, LAMBETH, POLICY, REGISTRY, SOUTHWARK, Road, somebody

GAFFER = somebody("gaffer", "force_duty_officer", None)


@pytest.fixture
def two(road: Road) -> tuple[int, int]:
    """A record of Lambeth, and one of Southwark whose open case is led there."""
    one, other = road.child(AMARA), road.child(JONAS, SOUTHWARK)
    osei = somebody("osei", "investigator", SOUTHWARK)
    road.store.write_now(
        lambda tx: people.add(
            tx, username=osei.username, name=osei.name, role=osei.role, borough=osei.borough, unit=None,
            password_hash="!", must_change=False, actor=REGISTRY, now=road.now,
        )
    )  # fmt: skip
    road.store.write_now(
        lambda tx: transferring.begin_case(tx, POLICY, GAFFER, other, "osei", "Exploitation", now=road.now)
    )
    return one, other


def merge(road: Road, two: tuple[int, int]) -> int:
    done = road.store.write_now(
        lambda tx: merging.merge(tx, road.worlds.current(tx), GAFFER, *two, now=road.now, reason="One child")
    )
    return done.event_id


def part(road: Road, event_id: int) -> None:
    road.store.write_now(lambda tx: merging.undo(tx, road.worlds.current(tx), GAFFER, event_id, now=road.now))


def boroughs(road: Road, child_id: int) -> set[str]:
    return set(road.store.read_now(lambda tx: children.boroughs(tx, child_id)))


def test_a_duty_that_went_to_the_lead_is_the_record_s_own_borough_s_again(
    road: Road, two: tuple[int, int]
) -> None:
    one, other = two
    event_id = merge(road, two)
    road.officer().writes(AMARA, category=Category.KNIFE)
    [before] = road.alerts_of(one, "open")
    road.officer("osman", SOUTHWARK).writes(JONAS)
    assert (before.borough, before.owner) == (SOUTHWARK, "osei")
    assert SOUTHWARK in boroughs(road, one)
    road.passes(minutes=5)
    part(road, event_id)
    [after] = road.alerts_of(one, "open")
    assert (after.borough, after.owner, after.owner_reason) == (LAMBETH, None, "Home: Lambeth")
    assert (after.started_at, after.deadline_at) == (before.started_at, before.deadline_at)
    assert boroughs(road, one) == {LAMBETH}
    assert road.value("SELECT owner_borough FROM child WHERE child_id = :c", c=one) == LAMBETH
    assert road.count("alert_copy", f"alert_id = {after.alert_id}") == 0
    [kept] = road.alerts_of(other, "open")
    assert (kept.borough, kept.owner) == (SOUTHWARK, "osei")


def test_a_copy_that_came_by_the_case_goes(road: Road, two: tuple[int, int]) -> None:
    one, _ = two
    event_id = merge(road, two)
    road.officer().writes(AMARA, danger_now=True, found_at=Place(place="Stockwell Road", borough=LAMBETH))
    [alert] = road.alerts_of(one, "open")
    assert alert.borough == LAMBETH
    assert road.count("alert_copy", f"alert_id = {alert.alert_id} AND borough = '{SOUTHWARK}'") == 1
    part(road, event_id)
    assert road.count("alert_copy", f"alert_id = {alert.alert_id} AND borough = '{SOUTHWARK}'") == 0
    assert road.alerts_of(one, "open") == [alert]
