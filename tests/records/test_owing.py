"""Phones that owe notes: gaps in a numbering, in words, for those whose phones they are."""

from __future__ import annotations

from server.access import devices
from server.audit import Actor
from server.records import conditions, owing
from server.storage import Store
from sync.envelope import Condition
from tests.phones import enrolled
from tests.road import CAMDEN, LAMBETH, Road


def test_a_gap_is_said_in_words_until_it_closes(store: Store) -> None:
    road = Road(store)
    officer = enrolled(road, "okafor")
    lines = [officer.note()[1] for _ in range(9)]
    officer.push(lines[0], lines[2], lines[8])
    (found,) = store.read_now(owing.phones)
    assert found.gaps == ((2, 2), (4, 8))
    assert found.notes == 6
    assert found.sentence == "This phone owes notes 2 and 4 to 8."
    assert (found.officer, found.borough) == ("okafor", LAMBETH)
    officer.push(*lines)
    assert store.read_now(owing.phones) == []


def test_a_borough_hears_of_its_own_phones_only(store: Store) -> None:
    road = Road(store)
    for username, borough in (("okafor", LAMBETH), ("banks", CAMDEN)):
        officer = enrolled(road, username, borough)
        lines = [officer.note()[1] for _ in range(2)]
        officer.push(lines[1])
    assert {one.officer for one in store.read_now(owing.phones)} == {"okafor", "banks"}
    (only,) = store.read_now(lambda tx: owing.phones(tx, {CAMDEN}))
    assert (only.officer, only.sentence) == ("banks", "This phone owes note 1.")


def test_a_phone_that_was_wiped_owes_nothing_any_more(store: Store) -> None:
    road = Road(store)
    officer = enrolled(road, "okafor")
    lines = [officer.note()[1] for _ in range(2)]
    officer.push(lines[1])
    actor = Actor("device", officer.identity.device_id)
    store.write_now(lambda tx: devices.wiped(tx, officer.identity.device_id, actor=actor, now=road.now))
    assert store.read_now(owing.phones) == []


def test_what_a_phone_could_not_hand_in_is_owed_though_it_leaves_no_gap(store: Store) -> None:
    road = Road(store)
    officer = enrolled(road, "okafor")
    device_id = officer.identity.device_id

    def says(waiting: int) -> None:
        condition = Condition(wall=1, monotonic=1, boot_id="b", offset=0, waiting=waiting)
        store.write_now(lambda tx: conditions.said(tx, device_id, condition, now=road.now))

    lines = [officer.note()[1] for _ in range(3)]
    officer.push(lines[0])
    assert store.read_now(owing.phones) == []
    says(2)
    (found,) = store.read_now(owing.phones)
    assert found.sentence == "This phone owes 2 entries that were only on it after its last sync."
    assert (found.gaps, found.waiting, found.notes) == ((), 2, 2)
    officer.push(lines[2])
    (found,) = store.read_now(owing.phones)
    assert found.briefly == "note 2, and in all 2 entries that were only on it after its last sync"
    says(1)
    (found,) = store.read_now(owing.phones)
    assert found.briefly == "note 2"
    officer.push(lines[1])
    says(0)
    assert store.read_now(owing.phones) == []


def test_words() -> None:
    assert owing.in_words([(7, 7)]) == "note 7"
    assert owing.in_words([(41, 43)]) == "notes 41 to 43"
    assert owing.in_words([(7, 7), (9, 9), (41, 43)]) == "notes 7, 9 and 41 to 43"
