"""The whole assessment: stable, the same in any order, and nobody's note left without a duty."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.casework.assess import NOTHING, RaisedFlag, assess
from server.casework.facts import DAY_MS, HOUR_MS, ChildFacts, NoteFact
from server.casework.pack import default_pack
from sync.vocabulary import CATEGORY_LABELS, Category, Grade, SubjectRole
from tests.casework import oracle
from tests.casework.builders import CHILD, NOW_MS, START_MS, assessed, concerns, flags, missing, note

WORDS = ["lantern", "harbour", "copper", "meadow", "violet", "anchor"]

positions = st.sampled_from([(None, None), (51.5, -0.1), (51.5001, -0.1001), (51.53, -0.1)])


@st.composite
def facts(draw: Any) -> list[NoteFact]:
    """Up to ten notes about one child, crowded enough that incidents join and windows fill."""
    days = draw(st.sampled_from([0.2, 5, 60, 200]))
    notes = []
    for index in range(draw(st.integers(0, 10))):
        minutes = draw(st.integers(0, int(days * 24 * 6))) * 10
        observed_at = START_MS + minutes * 60_000
        latitude, longitude = draw(positions)
        notes.append(
            NoteFact(
                note_id=f"note-{draw(st.integers(0, 9))}-{index}",
                observed_at=observed_at,
                received_at=observed_at + draw(st.sampled_from([0, 1, HOUR_MS, 100 * DAY_MS])),
                author=draw(st.sampled_from(["p1", "p2", "p3"])),
                source=draw(st.sampled_from(["ward:1", "school:1"])),
                ward=draw(st.sampled_from([None, "E05000001", "E05000002"])),
                categories=tuple(
                    draw(
                        st.lists(
                            st.sampled_from(
                                [Category.MISSING, Category.CSE, Category.KNIFE, Category.NEGLECT]
                            ),
                            min_size=1,
                            max_size=2,
                            unique=True,
                        )
                    )
                ),
                danger_now=draw(st.integers(0, 9)) == 0,
                exploitation_indicator=draw(st.integers(0, 9)) == 0,
                missing_hours=draw(st.sampled_from([None, None, None, 0.5, 5.0, 24.0, 30.0])),
                latitude=latitude,
                longitude=longitude,
                place=draw(st.sampled_from([None, "Peckham bus station", "peckham BUS station", "Library"])),
                words=draw(st.frozensets(st.sampled_from(WORDS), max_size=5)),
                withdrawn=draw(st.integers(0, 9)) == 0,
            )
        )
    return notes


@settings(deadline=None, max_examples=100)
@given(facts(), st.randoms(use_true_random=False))
def test_the_order_of_notes_makes_no_difference(notes: list[NoteFact], random: Any) -> None:
    shuffled = list(notes)
    random.shuffle(shuffled)
    assert assess(CHILD, shuffled, default_pack(), NOW_MS) == assess(CHILD, notes, default_pack(), NOW_MS)


@settings(deadline=None, max_examples=200)
@given(facts())
def test_incidents_and_counts_are_those_of_an_oracle_that_shares_no_code(notes: list[NoteFact]) -> None:
    found = assessed(*notes)
    assert {frozenset(incident.note_ids) for incident in found.incidents} == oracle.incidents(notes)
    by_key = {flag.flag_key: set(flag.note_ids) for flag in found.flags}
    assert by_key.get("missing_repeat", set()) == oracle.counted(notes, 90, 3, only_missing=True)
    assert by_key.get("notes_repeat", set()) == oracle.counted(notes, 90, 3)
    assert by_key.get("sources_several", set()) == oracle.counted(notes, 30, 2, sources=True)


@settings(deadline=None, max_examples=100)
@given(facts(), st.booleans())
def test_every_live_note_is_in_a_flag_at_its_own_grade_or_above(notes: list[NoteFact], marked: bool) -> None:
    child = ChildFacts(child_id=1, looked_after=marked, exploitation_marker=marked)
    pack = default_pack()
    found = assess(child, notes, pack, NOW_MS)
    for fact in notes:
        mine = [flag for flag in found.flags if fact.note_id in flag.note_ids]
        if fact.withdrawn:
            assert mine == []
            continue
        own = max(pack.concerns[category.value][0] for category in fact.categories)
        assert any(flag.grade.urgency >= own and flag.raised_at <= fact.received_at for flag in mine)


@settings(deadline=None, max_examples=100)
@given(facts())
def test_flags_are_well_formed_unique_and_gravest_first(notes: list[NoteFact]) -> None:
    found = assessed(*notes)
    live = {fact.note_id: fact for fact in notes if not fact.withdrawn}
    assert len({flag.flag_key for flag in found.flags}) == len(found.flags)
    urgencies = [flag.grade.urgency for flag in found.flags]
    assert urgencies == sorted(urgencies, reverse=True)
    assert found.grade == (found.flags[0].grade if found.flags else None)
    for flag in found.flags:
        members = [live[note_id] for note_id in flag.note_ids]
        assert members == sorted(members, key=lambda fact: (fact.observed_at, fact.note_id))
        assert flag.observed_from == members[0].observed_at
        assert flag.observed_to == members[-1].observed_at
        assert flag.raised_at in {fact.received_at for fact in members}


@settings(deadline=None, max_examples=100)
@given(facts())
def test_raised_at_is_when_the_rule_first_held_on_what_had_been_received(notes: list[NoteFact]) -> None:
    # Only where no two notes are one incident: an incident may join notes that arrive later.
    if any(len(incident.note_ids) > 1 for incident in assessed(*notes).incidents):
        return
    whole = flags(*notes)
    first_held: dict[str, int] = {}
    for instant in sorted({fact.received_at for fact in notes}):
        so_far = [fact for fact in notes if fact.received_at <= instant]
        for key in flags(*so_far):
            first_held.setdefault(key, instant)
    assert {key: flag.raised_at for key, flag in whole.items()} == first_held


ALLOWED = re.compile(
    r"(?:In danger now|Missing and under 10|Looked after, with an exploitation marker"
    r"|Missing, with a sign of exploitation|Missing for more than 24 hours"
    r"|[A-Z0-9][a-z0-9]* missing episode in 90 days; [a-z0-9 ,]+"
    r"|[A-Z0-9][a-z0-9]* separate concerns in 90 days; [a-z0-9 ,]+"
    r"|Concerns from [a-z0-9]+ sources in 30 days; [a-z0-9 ,]+"
    r"|New concern: [a-z0-9 -]+|Named in a note that is about somebody else)"
)


@settings(deadline=None, max_examples=100)
@given(facts())
def test_no_sentence_or_reason_says_anything_from_the_note(notes: list[NoteFact]) -> None:
    found = assessed(*notes)
    texts = [flag.sentence for flag in found.flags] + [incident.reason for incident in found.incidents]
    for flag in found.flags:
        assert ALLOWED.fullmatch(flag.sentence), flag.sentence
    private = {*WORDS, "peckham", "library", "note-", "p1", "p2", "p3", "ward:", "school:", "e05"}
    for text in texts:
        assert not [word for word in private if word in text.lower()], text


def test_no_notes_mean_nothing_and_so_do_withdrawn_ones() -> None:
    assert assessed() == NOTHING
    assert assessed(note("a", withdrawn=True, danger_now=True)) == NOTHING


def test_a_single_note_is_seen_at_the_grade_of_its_category() -> None:
    (green,) = concerns(note("a"))
    assert (green.grade, green.sentence, green.flag_key) == (Grade.GREEN, "New concern: neglect", "concern:a")
    (amber,) = concerns(note("a", categories=(Category.NEGLECT, Category.FGM)))
    assert (amber.grade, amber.sentence) == (Grade.AMBER, "New concern: female genital mutilation")


def test_every_category_has_a_concern_in_words() -> None:
    for category, label in CATEGORY_LABELS.items():
        (flag,) = concerns(note("a", category=category))
        assert flag.sentence == f"New concern: {label.lower()}"


def test_a_note_that_a_rule_takes_up_at_its_grade_raises_no_concern_besides() -> None:
    assert concerns(note("a", danger_now=True)) == []
    assert concerns(missing("a", missing_hours=30.0)) == []


def test_the_third_note_raises_one_review_and_leaves_the_earlier_concerns_with_their_clocks() -> None:
    notes = [note("a", 0), note("b", 40), note("c", 80)]
    assert [flag.flag_key for flag in concerns(*notes)] == ["concern:a", "concern:b"]
    assert "notes_repeat" in flags(*notes)


def test_a_flag_of_a_lower_grade_does_not_take_a_note_up() -> None:
    notes = [note("a", 0, source="ward:1"), note("b", 5, Category.CSE, source="school:1")]
    assert flags(*notes)["sources_several"].grade is Grade.GREEN
    assert [flag.flag_key for flag in concerns(*notes)] == ["concern:b", "concern:a"]


def test_a_note_that_is_about_somebody_else_is_blue_and_still_seen() -> None:
    (flag,) = concerns(note("a", category=Category.CSE, role=SubjectRole.WITNESS))
    assert (flag.grade, flag.sentence) == (Grade.BLUE, "Named in a note that is about somebody else")


def test_a_flag_keeps_its_key_while_it_grows_and_goes_when_its_notes_go() -> None:
    notes = [missing(f"n{i}", i * 20.0) for i in range(4)]
    before, after = flags(*notes[:3])["missing_repeat"], flags(*notes)["missing_repeat"]
    assert isinstance(before, RaisedFlag)
    assert set(before.note_ids) < set(after.note_ids)
    assert before.raised_at == after.raised_at
    assert "missing_repeat" not in flags(*notes[:2])


def test_a_concern_keeps_its_key_when_a_second_officer_reports_the_same_event() -> None:
    first = note("z", 0.02, place="Library", received_at=START_MS + DAY_MS)
    second = note("a", 0.0, place="library", received_at=START_MS + 2 * DAY_MS)
    assert [flag.flag_key for flag in concerns(first)] == ["concern:z"]
    (grown,) = concerns(first, second)
    assert grown.flag_key == "concern:z"
    assert grown.note_ids == ("a", "z")


def test_two_people_of_one_note_who_turn_out_to_be_one_child_are_one_note() -> None:
    victim = note("a", danger_now=True, role=SubjectRole.VICTIM)
    witness = note("a", danger_now=True, role=SubjectRole.WITNESS)
    for pair in ((victim, witness), (witness, victim)):
        found = assessed(*pair)
        assert [flag.note_ids for flag in found.flags] == [("a",)]
        assert found.flags[0].rule == "danger_now"


def test_hundreds_of_notes_at_one_place_are_still_one_incident() -> None:
    notes = [note(f"n{i:03}", i / 24 / 60, place="Library") for i in range(200)]
    assert len(assessed(*notes).incidents) == 1
