"""Repeated concerns with no referral yet, and what authors hear of the outcome."""

from __future__ import annotations

import pytest

from server import duty
from server.records import noticing
from server.records.noticing import Noticed
from server.storage import Store
from sync.vocabulary import Category, NoteOutcome
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, Road, at, somebody

RIVERA = somebody("rivera")
LEE = somebody("lee", borough=CAMDEN)
DAY = 86_400_000


@pytest.fixture
def road(store: Store) -> Road:
    made = Road(store)
    made.now += 200 * DAY
    return made


def seen(road: Road, person=RIVERA) -> list[Noticed]:  # type: ignore[no-untyped-def]
    return road.store.read_now(lambda tx: noticing.coming_to_notice(tx, person, road.pack, now=road.now))


def twice(road: Road, subject=AMARA, home: str = LAMBETH, **body: object) -> int:  # type: ignore[no-untyped-def]
    child = road.child(subject, home)
    road.officer("okafor", home).writes(subject, observed_at=at(road.now - 20 * DAY), **body)
    road.officer("lindqvist", home).writes(subject, category=Category.CCE)
    return child


def close(road: Road, child: int, outcome: NoteOutcome) -> None:
    for alert in road.alerts_of(child, "open", "acknowledged"):
        road.store.write_now(
            lambda tx, a=alert.alert_id: duty.close(  # type: ignore[misc]
                tx, RIVERA, a, "Decided with the hub", now=road.now, outcome=outcome, to_author="Thank you"
            )
        )


def test_a_child_with_two_incidents_and_no_referral_is_there_with_the_reason_in_a_sentence(
    road: Road,
) -> None:
    child = twice(road)
    (found,) = seen(road)
    assert (found.child_id, found.incidents, found.borough) == (child, 2, LAMBETH)
    assert (
        "2 incidents in 90 days told by 2 officers in 2 wards" in found.why and "No referral yet" in found.why
    )
    assert seen(road, LEE) == []


def test_one_incident_two_notes_of_one_event_and_old_notes_are_no_pattern(road: Road) -> None:
    road.child(AMARA)
    road.officer().writes(AMARA)
    road.officer("lindqvist").writes(AMARA)
    road.officer().writes(AMARA, observed_at=at(road.now - 100 * DAY))
    assert seen(road) == []


def test_a_referral_ends_it_and_no_further_action_does_not(road: Road) -> None:
    child = twice(road)
    close(road, child, NoteOutcome.NO_FURTHER_ACTION)
    assert [one.child_id for one in seen(road)] == [child]
    road.officer().writes(AMARA, category=Category.GANGS)
    close(road, child, NoteOutcome.REFERRED)
    assert seen(road) == []


def test_what_is_most_at_stake_comes_first(road: Road) -> None:
    mild, grave = twice(road), twice(road, JONAS, danger_now=True)
    assert [one.child_id for one in seen(road)] == [grave, mild]


def test_the_author_hears_the_outcome_and_nobody_hears_of_one_that_was_not_given(road: Road) -> None:
    child = road.child(AMARA)
    note = road.officer().writes(AMARA)

    def heard() -> dict[str, object]:
        [sent] = road.heard("okafor")
        assert sent.id == note and sent.data is not None
        return sent.data

    before = road.value("SELECT rev FROM note")
    changed = road.count("change")
    assert "outcome" not in heard()
    close(road, child, NoteOutcome.REFERRED)
    assert heard()["outcome"] == "referred" and heard()["outcome_words"] == "Thank you"
    assert road.value("SELECT rev FROM note") > before and road.count("change") > changed
