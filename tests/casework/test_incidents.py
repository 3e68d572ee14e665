"""When two notes are one incident."""

from itertools import permutations
from typing import Any

import pytest

from server.casework.facts import DAY_MS, MINUTE_MS, NoteFact
from server.casework.incidents import Incident, find_incidents, may_be_one, metres_apart
from server.casework.pack import default_pack
from sync.vocabulary import Category
from tests.casework.builders import missing, note

MINUTE = MINUTE_MS / DAY_MS
MS = 1 / DAY_MS
STATION: dict[str, Any] = {"latitude": 51.4739, "longitude": -0.0691}


def found(*notes: NoteFact) -> tuple[Incident, ...]:
    return find_incidents(notes, default_pack())


def one(*notes: NoteFact) -> bool:
    answers = {len(found(*order)) for order in permutations(notes)}
    assert len(answers) == 1, "the answer depends on the order"
    return answers == {1}


@pytest.mark.parametrize(("minutes", "same"), [(0.0, True), (119.0, True), (120.0, True), (121.0, False)])
def test_two_officers_at_one_place_within_two_hours_saw_one_incident(minutes: float, same: bool) -> None:
    assert one(note("a", 0, place="Library"), note("b", minutes * MINUTE, place="library.")) is same


def test_a_millisecond_over_two_hours_is_another_incident() -> None:
    assert not one(note("a", 0, place="Library"), note("b", 120 * MINUTE + MS, place="Library"))


@pytest.mark.parametrize(("north", "same"), [(0.0, True), (0.00449, True), (0.00451, False), (0.1, False)])
def test_positions_are_near_up_to_five_hundred_metres(north: float, same: bool) -> None:
    there: dict[str, Any] = {"latitude": 51.4739 + north, "longitude": -0.0691}
    assert one(note("a", 0, **STATION), note("b", MINUTE, **there)) is same


def test_five_hundred_metres_are_measured_east_and_west_too() -> None:
    # One degree of longitude at this latitude is 69.3 km.
    assert one(note("a", 0, **STATION), note("b", 0, latitude=51.4739, longitude=-0.0691 + 0.0072))
    assert not one(note("a", 0, **STATION), note("b", 0, latitude=51.4739, longitude=-0.0691 + 0.0073))


def test_metres_are_those_of_the_sphere() -> None:
    greenwich = note("a", 0, latitude=51.4779, longitude=-0.0015)
    assert metres_apart(greenwich, note("b", 0, latitude=51.4779, longitude=0.0)) == pytest.approx(
        103.9, abs=0.5
    )
    assert metres_apart(greenwich, note("b")) == float("inf")


def test_where_places_are_unknown_alike_words_make_one_incident() -> None:
    words = frozenset({"lantern", "harbour", "copper", "meadow"})
    others = frozenset({"lantern", "harbour", "copper", "violet", "anchor", "window"})
    assert one(note("a", 0, words=words), note("b", MINUTE, words=others))
    assert not one(note("a", 0, words=words), note("b", MINUTE, words=frozenset({"lantern", "harbour"})))
    assert not one(note("a", 0, words=frozenset()), note("b", MINUTE, words=frozenset()))


def test_alike_words_need_half_of_the_shorter_note() -> None:
    short = frozenset("abcdefg")
    assert not one(note("a", 0, words=short), note("b", 0, words=frozenset("abcxyzuvw")))
    assert one(note("a", 0, words=frozenset("abcdef")), note("b", 0, words=frozenset("abcxyzuvw")))


def test_alike_words_do_not_join_places_that_differ() -> None:
    words = frozenset({"lantern", "harbour", "copper"})
    assert not one(note("a", 0, words=words, place="Library"), note("b", 0, words=words, place="Market"))
    far: dict[str, Any] = {"latitude": 51.6, "longitude": -0.2}
    assert not one(note("a", 0, words=words, **STATION), note("b", 0, words=words, **far))
    assert one(note("a", 0, words=words, **STATION), note("b", 0, words=words, place="Market"))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Category.NEGLECT, True),
        (Category.EMOTIONAL, True),  # of the same family
        (Category.KNIFE, False),
    ],
)
def test_one_incident_is_alike_in_category(other: Category, same: bool) -> None:
    assert one(note("a", 0, place="Library"), note("b", 0, other, place="Library")) is same


@pytest.mark.parametrize(("minutes", "same"), [(10.0, True), (10.1, False), (60.0, False)])
def test_one_officer_twice_within_ten_minutes_wrote_of_one_incident(minutes: float, same: bool) -> None:
    notes = [note("a", 0, author="p"), note("b", minutes * MINUTE, author="p", place="Library")]
    assert one(*notes) is same


def test_times_away_that_overlap_are_one_episode() -> None:
    first = missing("a", 0.0)
    assert one(first, missing("b", 0.5, missing_hours=12.0))
    assert not one(first, missing("b", 0.5, missing_hours=11.9))
    assert not one(first, missing("b", 0.5))


def test_a_mistyped_time_away_does_not_swallow_the_pattern() -> None:
    assert len(found(missing("a", 0), missing("b", 20), missing("c", 40, missing_hours=5000.0))) == 3


def test_incidents_are_closed_over_a_chain_of_notes() -> None:
    chain = [note("a", 0, place="X"), note("b", 100 * MINUTE, place="X"), note("c", 200 * MINUTE, place="X")]
    assert not one(chain[0], chain[2])
    assert one(*chain)


def test_an_incident_is_named_by_the_note_received_first_and_says_why() -> None:
    (incident,) = found(
        note("late", 0.0, place="Library", received_at=2_000_000_000_000),
        note("first", 25 * MINUTE, place="Library", received_at=1_900_000_000_000),
    )
    assert incident.incident_key == "first"
    assert incident.note_ids == ("late", "first")
    assert incident.reason == (
        "Two notes by two officers within 25 min: alike in category; the same place as typed"
    )


def test_every_reason_has_its_words() -> None:
    words = frozenset({"lantern", "harbour", "copper"})
    pairs = [
        ((note("a", 0, **STATION), note("b", 0, **STATION)), "at most 500 metres apart"),
        ((note("a", 0, words=words), note("b", 0, words=words)), "place unknown, alike in words"),
        ((note("a", 0, author="p"), note("b", 0, author="p")), "the same officer within 10 minutes"),
        ((missing("a", 0), missing("b", 0.5, missing_hours=13.0)), "the times missing overlap"),
    ]
    for notes, words_of_reason in pairs:
        (incident,) = found(*notes)
        assert incident.reason.endswith(words_of_reason)


def test_a_single_note_is_an_incident_without_a_reason_and_a_withdrawn_one_is_none() -> None:
    assert [(i.note_ids, i.reason) for i in found(note("a"), note("b", 1, withdrawn=True))] == [(("a",), "")]


def proposed(*notes: NoteFact) -> dict[str, str]:
    pack = default_pack()
    found = may_be_one(notes, find_incidents(notes, pack), pack)
    return {note_id: other for note_id, (other, _) in found.items()}


def test_what_may_be_one_event_is_proposed_where_no_place_can_tell() -> None:
    one, two = note("a", 0, place="Library"), note("b", 30 * MINUTE)
    assert proposed(one, two) == proposed(two, one) == {"a": "b", "b": "a"}
    why = may_be_one((one, two), find_incidents((one, two), default_pack()), default_pack())["a"][1]
    assert why == "two officers within 30 min, alike in category; no place that can be compared"


@pytest.mark.parametrize(
    "other",
    [
        note("b", 121 * MINUTE),
        note("b", 30 * MINUTE, Category.KNIFE),
        note("b", 30 * MINUTE, author="officer-a"),
        note("b", 30 * MINUTE, place="Station"),
        note("b", 30 * MINUTE, place="library"),
        note("b", 30 * MINUTE, apart=True),
        note("b", 30 * MINUTE, withdrawn=True),
    ],
    ids=["too late", "unlike", "one officer", "another place", "one event already", "taken out", "withdrawn"],
)
def test_nothing_else_is_proposed(other: NoteFact) -> None:
    assert proposed(note("a", 0, place="Library"), other) == {}


def test_of_several_the_nearest_in_time_is_proposed() -> None:
    assert proposed(note("a", 0), note("b", 60 * MINUTE), note("c", 70 * MINUTE)) == {
        "a": "b",
        "b": "c",
        "c": "b",
    }
