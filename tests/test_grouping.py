"""A person says that a note tells of an event of its own, and takes it back: the rules follow both times."""

from __future__ import annotations

import pytest

from server import grouping
from server.access.errors import NotAllowed
from server.storage import Store
from tests.road import AMARA, CAMDEN, Road, somebody

RIVERA = somebody("rivera")
LEE = somebody("lee", borough=CAMDEN)


@pytest.fixture
def road(store: Store) -> Road:
    return Road(store)


def say(road: Road, note: str, *, apart: bool, person=RIVERA) -> int:  # type: ignore[no-untyped-def]
    world, subject = road.world, road.subject_of(note)
    return road.store.write_now(
        lambda tx: grouping.keep_apart(
            tx, world, person, subject, "Another evening", apart=apart, now=road.now
        )
    )


def test_the_rules_count_a_note_that_was_taken_out_by_itself_until_it_is_put_back(road: Road) -> None:
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    other = road.officer("lindqvist").writes(AMARA)
    road.officer("bello").writes(AMARA)
    joined = road.flags_of(child)
    before = road.rows("SELECT flag_key FROM flag WHERE retracted_at IS NULL ORDER BY flag_key")
    assert say(road, other, apart=True) == child
    assert road.value("SELECT apart FROM subject WHERE subject_id = :s", s=road.subject_of(other)) == 1
    parted = road.rows("SELECT flag_key, sentence FROM flag WHERE retracted_at IS NULL ORDER BY flag_key")
    say(road, other, apart=True)
    assert road.count("incident_decision") == 1, "saying it twice says no more"
    say(road, other, apart=False)
    assert road.flags_of(child) == joined
    assert road.rows("SELECT flag_key FROM flag WHERE retracted_at IS NULL ORDER BY flag_key") == before
    assert parted != road.rows(
        "SELECT flag_key, sentence FROM flag WHERE retracted_at IS NULL ORDER BY flag_key"
    )
    assert (
        road.value("SELECT COUNT(*) FROM audit_entry WHERE reason = 'incident' AND verb = 'alteration'") == 2
    )


def test_only_those_who_may_see_the_child_group_its_notes(road: Road) -> None:
    road.child(AMARA)
    note = road.officer().writes(AMARA)
    with pytest.raises(NotAllowed):
        say(road, note, apart=True, person=LEE)
    with pytest.raises(NotAllowed):
        say(road, note, apart=True, person=somebody("quill", "scrutiny", None))
