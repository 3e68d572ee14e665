"""From a note to facts, and numbers to words."""

import datetime
import random

import msgspec
import pytest

from server.casework.facts import (
    WORDS_PER_NOTE_MAX,
    NoteFact,
    milliseconds,
    note_fact,
    significant_words,
    source_of,
)
from server.casework.pack import default_pack
from server.casework.words import counted, duration, ordinal
from sync.note import MissingEpisode, Note, Place, Subject
from sync.vocabulary import Category, SubjectRole

OBSERVED = datetime.datetime(2025, 3, 30, 1, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))


def written(**more: object) -> Note:
    plain: dict[str, object] = {
        "observed_at": OBSERVED,
        "recorded_at": OBSERVED,
        "category": Category.CSE,
        "subjects": (Subject(),),
    }
    return Note(**(plain | more))  # type: ignore[arg-type]  # each test gives its own fields


def fact(note: Note, subject: int = 0) -> NoteFact:
    return note_fact(
        note,
        subject,
        note_id="n",
        received_at=5,
        author="p",
        author_role="ward_officer",
        counted_roles=default_pack().counted_roles,
        ward="E05000001",
        borough="E09000028",
    )


def test_a_note_becomes_a_fact() -> None:
    found = fact(
        written(
            other_categories=(Category.KNIFE,),
            saw_or_heard="The boy ran from the LIBRARY, crying.",
            found_at=Place(latitude=51.5, longitude=-0.1, place="Library"),
            danger_now=True,
            exploitation_indicator=True,
        )
    )
    assert found.observed_at == 1_743_294_600_000
    assert found.categories == (Category.CSE, Category.KNIFE)
    assert (found.latitude, found.longitude, found.place) == (51.5, -0.1, "Library")
    assert found.words == {"ran", "library", "crying"}
    assert (found.danger_now, found.exploitation_indicator, found.sole_subject) == (True, True, False)
    assert (found.ward, found.borough, found.source) == ("E05000001", "E09000028", "ward_officer:e05000001")


def test_a_missing_episode_makes_the_note_a_missing_note() -> None:
    found = fact(written(missing=MissingEpisode(hours=3.5)))
    assert found.missing_hours == 3.5
    assert found.categories == (Category.CSE, Category.MISSING)
    assert fact(written(missing=MissingEpisode())).categories == (Category.CSE, Category.MISSING)


def test_a_witness_is_the_sole_subject_where_nobody_else_counts() -> None:
    witness, victim = Subject(role=SubjectRole.WITNESS), Subject(role=SubjectRole.VICTIM)
    assert fact(written(subjects=(witness, witness))).sole_subject
    assert not fact(written(subjects=(witness, victim))).sole_subject
    assert fact(written(subjects=(witness, victim)), 1).role is SubjectRole.VICTIM
    with pytest.raises(IndexError):
        fact(written(), 1)


def test_a_fact_survives_being_encoded() -> None:
    found = fact(written(saw_or_heard="lantern harbour"))
    assert msgspec.json.decode(msgspec.json.encode(found), type=NoteFact) == found


def test_significant_words_are_folded_and_few() -> None:
    assert significant_words("Zoë's CAFÉ; the café at 12:30, no. 4512") == {"zoe", "cafe", "4512"}
    assert significant_words("") == frozenset()
    generator = random.Random(1)
    print("seed 1")
    long = " ".join("".join(generator.choices("bcdfgh", k=8)) for _ in range(3000))
    assert len(significant_words(long)) == WORDS_PER_NOTE_MAX


def test_sources_differ_by_role_and_by_ward_or_school() -> None:
    assert source_of("ward_officer", "E05000001") == source_of("ward_officer", "e05000001")
    sources = {
        source_of("ward_officer", "E05000001"),
        source_of("ward_officer", "E05000002"),
        source_of("schools_officer", "E05000001"),
        source_of("schools_officer", "E05000001", "Harris  Academy"),
        source_of("ward_officer", None),
    }
    assert len(sources) == 5
    assert source_of("s", None, "Harris  Academy") == source_of("s", "E05000001", "harris academy")


def test_milliseconds_are_exact_to_the_end_of_the_range() -> None:
    assert milliseconds(datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) == 0
    assert (
        milliseconds(datetime.datetime(2025, 1, 1, 0, 0, 0, 1999, tzinfo=datetime.UTC)) == 1_735_689_600_001
    )
    assert milliseconds(datetime.datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=datetime.UTC)) == -1


@pytest.mark.parametrize(
    ("count", "word"),
    [(1, "first"), (3, "third"), (10, "tenth"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"),
     (22, "22nd"), (23, "23rd"), (111, "111th"), (112, "112th")],
)  # fmt: skip
def test_ordinals(count: int, word: str) -> None:
    assert ordinal(count) == word


def test_counts_and_lengths_of_time_in_words() -> None:
    assert [counted(n, "ward") for n in (0, 1, 2, 10, 11)] == [
        "no wards", "one ward", "two wards", "ten wards", "11 wards"
    ]  # fmt: skip
    minute = 60_000
    lengths = [-5, 59_999, minute, 59 * minute, 60 * minute, 61 * minute, 47 * 60 * minute, 48 * 60 * minute]
    assert [duration(ms) for ms in lengths] == [
        "0 s", "59 s", "1 min", "59 min", "1 h", "1 h 1 min", "47 h", "2 days"
    ]  # fmt: skip
