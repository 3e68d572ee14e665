"""Children: who is found by linkage, who may see the record, and what a change leaves behind."""

from __future__ import annotations

import datetime

import pytest

from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.casework.facts import HOUR_MS, ChildFacts
from server.placing import details_of
from server.records import child_facts, children, children_shown, index
from server.records.child import Circumstances, Standing
from server.storage import Transaction
from sync.note import Subject
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, REGISTRY, SOUTHWARK, Road, somebody

RIVERA = somebody("rivera")


def in_sight(road: Road, person: Person, child_id: int) -> bool:
    try:
        road.store.read_now(lambda tx: children_shown.require_sight(tx, person, child_id))
    except NotAllowed:
        return False
    return True


def keys_of(road: Road, child_id: int) -> int:
    return road.count("child_key", f"child_id = {child_id}")


def test_what_was_put_in_comes_out(road: Road) -> None:
    child_id = road.child(AMARA, looked_after=True, school_borough=SOUTHWARK)
    shown = road.store.read_now(lambda tx: children_shown.show(tx, RIVERA, child_id, now=road.now))
    assert shown.details.given_names == "Amara"
    assert shown.details.date_of_birth == datetime.date(2012, 3, 4)
    assert shown.circumstances == Circumstances(
        home_borough=LAMBETH, school_borough=SOUTHWARK, looked_after=True
    )
    assert shown.standing is Standing.KNOWN and shown.markers == ()


def test_every_borough_that_has_to_do_with_a_child_sees_it_and_no_other(road: Road) -> None:
    child_id = road.child(AMARA, home=LAMBETH, school_borough=SOUTHWARK)
    assert road.store.read_now(lambda tx: children.boroughs(tx, child_id)) == {LAMBETH, SOUTHWARK}
    for borough, sees in ((LAMBETH, True), (SOUTHWARK, True), (CAMDEN, False)):
        person = somebody("x", borough=borough)
        assert in_sight(road, person, child_id) is sees
    road.store.write_now(lambda tx: children.add_boroughs(tx, child_id, [CAMDEN, CAMDEN, LAMBETH]))
    assert in_sight(road, somebody("x", borough=CAMDEN), child_id)
    assert in_sight(road, somebody("gaffer", "force_duty_officer", None), child_id)
    assert not in_sight(road, somebody("officer", "ward_officer"), child_id)


def test_no_child_and_a_child_out_of_sight_are_told_apart_by_nobody(road: Road) -> None:
    child_id = road.child(AMARA)
    other = somebody("x", borough=CAMDEN)

    def refusal(wanted: int) -> str:
        with pytest.raises(NotAllowed) as caught:
            road.store.read_now(lambda tx: children_shown.show(tx, other, wanted, now=road.now))
        return str(caught.value)

    assert refusal(child_id) == refusal(child_id + 99)


def test_a_restricted_record_asks_why_and_lists_leave_it_out(road: Road) -> None:
    plain, secret = road.child(AMARA), road.child(JONAS, restricted=True)
    with pytest.raises(ReasonNeeded):
        road.store.read_now(lambda tx: children_shown.show(tx, RIVERA, secret, now=road.now))
    assert road.count("restricted_reason") == 0
    road.store.read_now(
        lambda tx: children_shown.show(tx, RIVERA, secret, now=road.now, reason="asked by the court today")
    )
    assert road.rows("SELECT person, reason FROM restricted_reason") == [
        ("rivera", "asked by the court today")
    ]
    scrutiny = somebody("team", "scrutiny", None)
    ids = [plain, secret, 999]
    listed = road.store.read_now(lambda tx: children_shown.names(tx, scrutiny, ids, now=road.now))
    offered = road.store.read_now(lambda tx: children_shown.candidates(tx, scrutiny, ids, now=road.now))
    assert list(listed) == [child.child_id for child in offered] == [plain]
    with pytest.raises(NotAllowed):
        road.store.read_now(
            lambda tx: children_shown.show(tx, scrutiny, secret, now=road.now, reason="a good reason it is")
        )


def test_every_look_is_logged_with_the_child_and_no_words(road: Road) -> None:
    child_id = road.child(AMARA)
    road.store.read_now(lambda tx: children_shown.names(tx, RIVERA, [child_id], now=road.now))
    road.store.read_now(lambda tx: children_shown.candidates(tx, RIVERA, [child_id], now=road.now))
    rows = road.rows("SELECT ids, reason FROM audit_entry WHERE verb = 'consultation'")
    assert rows == [(f'["{child_id}"]', "list"), (f'["{child_id}"]', "review")]
    road.store.read_now(lambda tx: children_shown.names(tx, RIVERA, [], now=road.now))
    assert road.count("audit_entry", "verb = 'consultation'") == 2


def test_linkage_finds_a_child_that_stands_and_no_other(road: Road) -> None:
    child_id = road.child(AMARA)
    before = keys_of(road, child_id)
    assert before > 0

    def stand(standing: Standing) -> int:
        road.store.write_now(lambda tx: children.set_standing(tx, REGISTRY, child_id, standing, now=road.now))
        return keys_of(road, child_id)

    assert stand(Standing.AWAITING_REVIEW) == 0
    assert stand(Standing.PROVISIONAL) == before
    assert stand(Standing.RETIRED) == 0
    assert stand(Standing.KNOWN) == before


def test_a_registry_child_is_never_retired_and_a_made_one_when_it_is_empty(road: Road) -> None:
    known = road.child(AMARA)
    made = road.child_of(road.officer().writes(JONAS))

    def retire(child_id: int) -> bool:
        return road.store.write_now(lambda tx: children.retire_if_empty(tx, REGISTRY, child_id, now=road.now))

    assert not retire(known) and not retire(made)
    road.store.write_now(lambda tx: tx.execute("UPDATE subject SET child_id = :c", {"c": known}))
    assert retire(made) and not retire(made)
    assert road.standing_of(made) == "retired"


def test_a_marker_counts_until_it_ends(road: Road) -> None:
    child_id = road.child(AMARA)
    road.store.write_now(
        lambda tx: children_shown.set_marker(
            tx, RIVERA, child_id, "exploitation", "seen with older boys", now=road.now,
            expires_at=road.now + HOUR_MS,
        )
    )  # fmt: skip

    def marked() -> bool:
        return road.store.read_now(
            lambda tx: child_facts.facts(tx, child_id, now=road.now)
        ).exploitation_marker

    assert marked()
    road.now += HOUR_MS
    assert not marked()
    [marker] = road.store.read_now(lambda tx: children_shown.show(tx, RIVERA, child_id, now=road.now)).markers
    assert (marker.kind, marker.author, marker.reason) == ("exploitation", "rivera", "seen with older boys")
    with pytest.raises(NotAllowed):
        other = somebody("x", borough=CAMDEN)
        road.store.write_now(
            lambda tx: children_shown.set_marker(
                tx, other, child_id, "exploitation", "no business here", now=road.now
            )
        )


def test_facts_of_a_child_made_a_moment_ago_are_those_that_are_stored(road: Road) -> None:
    vague = Subject(given_names="Jay", approximate_age=13.0)
    for subject in (AMARA, vague):
        note_id = road.officer().writes(subject)
        child_id = road.child_of(note_id)
        assert facts_of(road, child_id) == child_facts.facts_of_new(
            child_id, details_of(road.body(subject), 0)
        )


def facts_of(road: Road, child_id: int) -> ChildFacts:
    return road.store.read_now(lambda tx: child_facts.facts(tx, child_id, now=road.now))


def test_names_are_counted_over_the_registry_and_the_world_is_made_anew(road: Road) -> None:
    assert road.store.read_now(index.load_frequencies) is None
    road.child(AMARA)
    road.officer().writes(JONAS)
    before = road.world
    counted = index.count_again(road.store)
    assert road.store.read_now(index.load_frequencies) == counted
    assert road.world is not before
    assert road.world is road.world


def test_looking_up_gives_what_stands_under_a_key_and_one_more_than_the_limit(road: Road) -> None:
    ids = [road.child(AMARA) for _ in range(4)]
    key = road.value("SELECT key FROM child_key LIMIT 1")

    def look(tx: Transaction) -> tuple[list[tuple[int, int]], list[int]]:
        source = index.StoredIndex(tx)
        found = list(source.children([key, 12345], 2))
        return found, [child_id for child_id, _, _ in source.records([*ids, 999])]

    found, records = road.store.read_now(look)
    assert len(found) == 3 and {pair[0] for pair in found} == {key}
    assert sorted(records) == ids
    assert road.store.read_now(lambda tx: list(index.StoredIndex(tx).children([], 2))) == []
