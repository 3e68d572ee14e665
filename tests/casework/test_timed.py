"""Rules whose flags have a clock of their own: police protection, and what the school must know."""

import pytest

from server.casework.facts import DAY_MS, HOUR_MS, ChildFacts, note_fact
from server.casework.pack import default_pack
from sync.note import Note, Subject
from sync.vocabulary import Category, Grade
from tests.casework.builders import CHILD, START_MS, flags, note
from tests.road import at

PUPIL = ChildFacts(child_id=1, school_known=True, home_borough="E09000022")
HOUSEHOLD = Category.DOMESTIC_ABUSE_HOUSEHOLD


def test_police_protection_counts_down_72_hours_from_when_it_began() -> None:
    began = START_MS - 5 * HOUR_MS
    found = flags(note("a", protected_from=began))["police_protection"]
    assert found.grade is Grade.RED
    assert found.due_at == began + 72 * HOUR_MS
    assert found.warns_at == found.due_at - 12 * HOUR_MS
    assert found.due_words == "Police protection ends"
    # 31 December, 19:00: three days on.
    assert found.sentence == "In police protection, which ends by Fri 3 January 19:00"


@pytest.mark.parametrize(
    ("began_hours", "ends_hours"),
    [
        ((0.0, 1.0), 72.0),
        ((1.0, 0.0), 72.0),
        ((0.0, 71.99), 72.0),
        ((0.0, 30.0, 71.0), 72.0),
        ((0.0, 72.0), 144.0),
        ((0.0, 71.0, 100.0, 143.0), 172.0),
    ],
)
def test_nothing_extends_it_and_a_new_one_is_a_new_one(
    began_hours: tuple[float, ...], ends_hours: float
) -> None:
    notes = [
        note(f"n{index}", index / 100, protected_from=START_MS + round(hours * HOUR_MS))
        for index, hours in enumerate(began_hours)
    ]
    found = flags(*notes)["police_protection"]
    assert found.due_at == START_MS + round(ends_hours * HOUR_MS)
    assert set(found.note_ids) == {one.note_id for one in notes}


def test_seventy_two_hours_are_as_many_when_the_clocks_change() -> None:
    began = 1_774_720_800_000  # Saturday 28 March 2026, 18:00
    found = flags(note("a", protected_from=began))["police_protection"]
    assert found.sentence.endswith("Tue 31 March 19:00")


def fact(began: int | None, received_at: int, school: str | None = None) -> int | None:
    body = Note(
        observed_at=at(received_at),
        recorded_at=at(received_at),
        category=HOUSEHOLD,
        police_protection_from=at(began) if began is not None else None,
        subjects=(Subject(given_names="Amara", school=school),),
    )
    found = note_fact(
        body,
        0,
        note_id="n",
        received_at=received_at,
        author="okafor",
        author_role="ward_officer",
        counted_roles=default_pack().counted_roles,
    )
    assert found.school_named is (school is not None)
    return found.protected_from


def test_a_phone_whose_clock_is_wrong_makes_it_neither_longer_nor_endless() -> None:
    assert fact(None, START_MS) is None
    assert fact(START_MS - HOUR_MS, START_MS, "Stockwell Park High School") == START_MS - HOUR_MS
    assert fact(START_MS + HOUR_MS, START_MS) == START_MS
    long_ago = fact(-60_000_000_000_000, START_MS)
    assert long_ago is not None and long_ago > 0


def test_the_school_must_know_before_its_next_day_begins() -> None:
    evening = START_MS + 6 * DAY_MS + 20 * HOUR_MS  # Tuesday 7 January 2025, before the terms that are known
    found = flags(note("a", 6.8, HOUSEHOLD, received_at=evening), child=PUPIL)["encompass"]
    assert found.due_at == START_MS + 7 * DAY_MS + 8 * HOUR_MS + 45 * 60_000
    assert found.warns_at == found.due_at - HOUR_MS
    assert found.sentence.endswith("the school must know before Wed 8 January 08:45")


def test_only_where_a_school_is_known_and_the_household_is_violent() -> None:
    assert "encompass" not in flags(note("a", 0, HOUSEHOLD), child=CHILD)
    assert "encompass" in flags(note("a", 0, HOUSEHOLD, school_named=True), child=CHILD)
    assert "encompass" not in flags(note("a", 0, Category.KNIFE), child=PUPIL)


def test_the_newest_note_sets_the_next_day() -> None:
    notes = [note("a", 0, HOUSEHOLD), note("b", 6, HOUSEHOLD)]
    found = flags(*notes, child=PUPIL)["encompass"]
    assert found.due_at == flags(notes[1], child=PUPIL)["encompass"].due_at
    assert found.note_ids == ("a", "b")
