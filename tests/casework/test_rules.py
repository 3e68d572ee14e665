"""Each default rule at its boundary."""

import datetime
from typing import Any

import pytest

from server.casework.facts import DAY_MS, HOUR_MS, ChildFacts
from server.casework.pack import default_pack
from sync.vocabulary import Category, Grade, SubjectRole
from tests.casework.builders import START_MS, assessed, flags, missing, note

MS = 1 / DAY_MS


@pytest.mark.parametrize(
    ("last_day", "raised"),
    [(89.99, True), (90.0, True), (90.0 + MS, False), (91.0, False)],
)
def test_three_missing_episodes_count_up_to_exactly_ninety_days(last_day: float, raised: bool) -> None:
    found = flags(missing("a", 0), missing("b", 40), missing("c", last_day))
    assert ("missing_repeat" in found) is raised
    assert ("notes_repeat" in found) is raised


def test_two_missing_episodes_do_not_propose_a_strategy_discussion() -> None:
    assert flags(missing("a", 0), missing("b", 40)) == {}


def test_the_third_missing_episode_proposes_a_strategy_discussion_in_plain_words() -> None:
    flag = flags(
        missing("a", 0, author="p", ward="E05000001"),
        missing("b", 40, author="q", ward="E05000002"),
        missing("c", 80, author="q", ward="E05000002"),
    )["missing_repeat"]
    assert flag.sentence == "Third missing episode in 90 days; two officers, two wards"
    assert flag.grade is Grade.AMBER
    assert flag.proposes == "strategy_discussion"
    assert flag.note_ids == ("a", "b", "c")
    assert flag.rule_version == default_pack().version
    assert (flag.observed_from, flag.observed_to) == (START_MS, START_MS + 80 * DAY_MS)


def test_the_sentence_counts_on_and_leaves_wards_out_where_none_is_known() -> None:
    notes = [missing(f"n{i}", i * 5.0, author="p") for i in range(11)]
    assert flags(*notes[:4])["missing_repeat"].sentence == "Fourth missing episode in 90 days; one officer"
    assert flags(*notes)["missing_repeat"].sentence == "11th missing episode in 90 days; one officer"


def test_a_note_that_arrives_late_counts_where_it_was_observed() -> None:
    old = [missing("a", 0), missing("b", 40)]
    late = missing("c", 20, received_at=START_MS + 390 * DAY_MS)
    flag = flags(*old, late)["missing_repeat"]
    assert flag.note_ids == ("a", "c", "b")
    assert flag.raised_at == late.received_at


def test_a_flag_is_as_old_as_the_window_that_was_complete_first_not_the_one_observed_first() -> None:
    sources = ("ward:1", "school:2", "ward:1")
    late = START_MS + 390 * DAY_MS
    old = [missing(f"o{i}", i * 1.0, source=s, received_at=late) for i, s in enumerate(sources)]
    prompt = [missing(f"p{i}", 200.0 + i, source=s) for i, s in enumerate(sources)]
    found = flags(*old, *prompt)
    assert found["missing_repeat"].raised_at == START_MS + 202 * DAY_MS + HOUR_MS
    assert found["sources_several"].raised_at == START_MS + 201 * DAY_MS + HOUR_MS
    assert len(found["sources_several"].note_ids) == 6


def test_a_second_report_of_an_old_incident_does_not_make_the_flag_younger() -> None:
    notes = [missing("a", 0), missing("b", 40, place="Library"), missing("c", 50)]
    again = missing("d", 40, place="library", received_at=START_MS + 390 * DAY_MS)
    before, after = flags(*notes)["missing_repeat"], flags(*notes, again)["missing_repeat"]
    assert after.raised_at == before.raised_at == START_MS + 50 * DAY_MS + HOUR_MS
    assert after.note_ids == ("a", "b", "d", "c")


def test_a_late_note_outside_the_window_does_not_count_by_its_receipt() -> None:
    late = missing("c", -200, received_at=START_MS + 41 * DAY_MS)
    assert "missing_repeat" not in flags(missing("a", 0), missing("b", 40), late)


def test_a_time_away_counts_as_missing_whatever_the_category_says() -> None:
    notes = [note(f"n{i}", i * 10.0, missing_hours=2.0) for i in range(3)]
    assert "missing_repeat" in flags(*notes)


def test_one_event_noted_by_three_officers_is_one_missing_episode() -> None:
    notes = [missing(f"n{i}", i / 48, place="Peckham bus station") for i in range(3)]
    assert len(assessed(*notes).incidents) == 1
    assert flags(*notes) == {}


@pytest.mark.parametrize(
    ("hours", "raised"), [(None, False), (0.0, False), (23.99, False), (24.0, False), (24.001, True)]
)
def test_one_episode_counts_when_it_is_over_twenty_four_hours(hours: float | None, raised: bool) -> None:
    found = flags(missing("a", missing_hours=hours))
    assert ("missing_long" in found) is raised
    if raised:
        flag = found["missing_long"]
        assert (flag.grade, flag.proposes) == (Grade.AMBER, "strategy_discussion")
        assert flag.sentence == "Missing for more than 24 hours"


def test_three_notes_of_different_categories_call_for_a_supervisor() -> None:
    notes = [note("a", 0), note("b", 30, Category.KNIFE), note("c", 60, Category.BULLYING)]
    flag = flags(*notes)["notes_repeat"]
    assert flag.sentence == "Three separate concerns in 90 days; three officers"
    assert flag.proposes == "supervisor_review"
    assert "notes_repeat" not in flags(*notes[:2])


@pytest.mark.parametrize(("last_day", "raised"), [(29.99, True), (30.0, True), (30.0 + MS, False)])
def test_two_sources_count_up_to_exactly_thirty_days(last_day: float, raised: bool) -> None:
    found = flags(note("a", 0, source="ward:1"), note("b", last_day, source="school:2"))
    assert ("sources_several" in found) is raised
    if raised:
        flag = found["sources_several"]
        assert flag.sentence == "Concerns from two sources in 30 days; two officers"
        assert flag.proposes == "supervisor_review"


def test_one_source_twice_is_not_two_sources() -> None:
    assert flags(note("a", 0), note("b", 5)) == {}


def test_two_sources_of_one_incident_are_one_incident() -> None:
    notes = [
        note("a", 0, source="ward:1", place="The Library"),
        note("b", 0.01, source="school:2", place="the library"),
    ]
    assert flags(*notes) == {}


@pytest.mark.parametrize(
    "sign",
    [{"exploitation_indicator": True}, {"categories": (Category.MISSING, Category.COUNTY_LINES)}],
)
def test_missing_with_a_sign_of_exploitation_is_at_least_amber(sign: dict[str, Any]) -> None:
    flag = flags(missing("a", **sign))["missing_exploitation"]
    assert flag.grade is Grade.AMBER
    assert flag.sentence == "Missing, with a sign of exploitation"


@pytest.mark.parametrize(
    ("day", "raised"), [(-365.0, True), (365.0, True), (365.0 + MS, False), (-365.0 - MS, False)]
)
def test_the_sign_of_exploitation_may_be_in_another_note_of_the_year(day: float, raised: bool) -> None:
    sign, gone = note("sign", day, Category.CSE), missing("gone", 0)
    found = flags(sign, gone)
    assert ("missing_exploitation" in found) is raised
    if raised:
        assert set(found["missing_exploitation"].note_ids) == {"sign", "gone"}
        assert found["missing_exploitation"].raised_at == max(sign.received_at, gone.received_at)


def test_an_exploitation_marker_is_a_sign_too() -> None:
    child = ChildFacts(child_id=1, exploitation_marker=True)
    assert "missing_exploitation" in flags(missing("a"), child=child)
    assert flags(note("a"), child=child) == {}


@pytest.mark.parametrize(
    ("born", "raised"),
    [
        (datetime.date(2015, 1, 2), True),  # ten tomorrow
        (datetime.date(2015, 1, 1), False),  # ten today
        (datetime.date(2014, 12, 31), False),
    ],
)
def test_under_ten_is_measured_on_the_day_the_child_was_missing(born: datetime.date, raised: bool) -> None:
    found = flags(missing("a", 0.5), child=ChildFacts(child_id=1, date_of_birth=born))
    assert ("missing_under_10" in found) is raised
    if raised:
        assert found["missing_under_10"].grade is Grade.RED
        assert found["missing_under_10"].sentence == "Missing and under 10"


def test_a_child_born_on_a_leap_day_is_ten_on_the_first_of_march() -> None:
    child = ChildFacts(child_id=1, date_of_birth=datetime.date(2016, 2, 29))
    on_28_february, on_1_march = 423.5, 424.0  # days after 1 January 2025
    assert "missing_under_10" in flags(missing("a", on_28_february), child=child)
    assert flags(missing("a", on_1_march), child=child) == {}


@pytest.mark.parametrize(("age", "raised"), [(9.0, True), (9.9, True), (10.0, False), (13.0, False)])
def test_an_approximate_age_serves_where_no_date_of_birth_is_known(age: float, raised: bool) -> None:
    child = ChildFacts(child_id=1, approximate_age=age, age_as_of=datetime.date(2025, 1, 1))
    assert ("missing_under_10" in flags(missing("a", 0.5), child=child)) is raised


def test_the_birthday_itself_is_no_longer_under_ten() -> None:
    child = ChildFacts(child_id=1, date_of_birth=datetime.date(2015, 1, 2))
    assert "missing_under_10" in flags(missing("a", 1 - MS), child=child)
    assert flags(missing("a", 1.0), child=child) == {}


def test_an_approximate_age_grows_with_time_and_a_date_of_birth_overrides_it() -> None:
    child = ChildFacts(child_id=1, approximate_age=9.0, age_as_of=datetime.date(2025, 1, 1))
    assert flags(missing("a", 370), child=child) == {}
    born = ChildFacts(
        child_id=1,
        approximate_age=9.0,
        age_as_of=datetime.date(2025, 1, 1),
        date_of_birth=datetime.date(2010, 1, 1),
    )
    assert flags(missing("a", 1), child=born) == {}


def test_under_ten_needs_a_missing_note_and_a_known_age() -> None:
    young = ChildFacts(child_id=1, date_of_birth=datetime.date(2020, 1, 1))
    assert flags(note("a"), child=young) == {}
    assert flags(missing("a")) == {}


@pytest.mark.parametrize("looked_after", [True, False])
@pytest.mark.parametrize("marker", [True, False])
def test_looked_after_with_an_exploitation_marker_is_red(looked_after: bool, marker: bool) -> None:
    child = ChildFacts(child_id=1, looked_after=looked_after, exploitation_marker=marker)
    found = flags(note("a"), child=child)
    assert ("looked_after_exploitation" in found) is (looked_after and marker)
    if found:
        assert found["looked_after_exploitation"].grade is Grade.RED


def test_danger_now_is_red_and_names_only_the_notes_in_danger() -> None:
    found = assessed(note("a"), note("b", 1, danger_now=True))
    assert found.flags[0].rule == "danger_now"
    assert found.flags[0].sentence == "In danger now"
    assert found.flags[0].note_ids == ("b",)
    assert found.grade is Grade.RED


def test_a_witness_does_not_count_unless_the_note_is_about_nobody_else() -> None:
    witness = note("a", danger_now=True, role=SubjectRole.WITNESS)
    assert flags(witness) == {}
    alone = note("a", danger_now=True, role=SubjectRole.WITNESS, sole_subject=True)
    assert "danger_now" in flags(alone)


def test_a_withdrawn_note_counts_in_nothing() -> None:
    notes = [missing("a", 0), missing("b", 10), missing("c", 20, withdrawn=True, danger_now=True)]
    assert flags(*notes) == {}
    assert {incident.incident_key for incident in assessed(*notes).incidents} == {"a", "b"}


def test_a_flag_does_not_lapse_and_its_sentence_speaks_of_the_newest_window() -> None:
    notes = [missing(f"n{i}", day) for i, day in enumerate([0, 10, 20, 30, 200, 210, 220])]
    flag = flags(*notes)["missing_repeat"]
    assert flag.sentence.startswith("Third missing")
    assert len(flag.note_ids) == 7
    assert flag.raised_at == START_MS + 20 * DAY_MS + HOUR_MS
