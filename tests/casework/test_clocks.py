"""Clocks, lateness and escalation."""

import importlib.resources

import pytest

from server.access.policy import load_policy
from server.casework.clocks import (
    SECTION_46_MS,
    Clock,
    Escalation,
    again_at,
    deadline,
    escalations,
    first_hearing_at,
    in_words,
    last_role,
    section_46_ends_at,
    steps_from,
)
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.casework.pack import PackError, default_pack, load_pack
from sync.vocabulary import Grade

RECEIVED_MS = 1_735_689_600_000
PACK = default_pack()
RULES = importlib.resources.files("server.casework").joinpath("rules.toml").read_text("utf-8")
SUPERVISOR = "supervisor"
INSPECTOR = "duty_inspector"
FORCE = "force_duty_officer"


def clock(grade: Grade, hours_before: float = 0.0, preset: str = "merton") -> Clock:
    return deadline(grade, preset, RECEIVED_MS, RECEIVED_MS - round(hours_before * HOUR_MS), PACK)


@pytest.mark.parametrize(
    ("preset", "grade", "hours"),
    [
        ("merton", Grade.RED, 2),
        ("merton", Grade.AMBER, 6),
        ("merton", Grade.GREEN, 24),
        ("merton", Grade.BLUE, None),
        ("surrey", Grade.GREEN, 72),
        ("surrey", Grade.BLUE, None),
    ],
)
def test_the_clock_runs_from_the_servers_receipt(preset: str, grade: Grade, hours: int | None) -> None:
    found = clock(grade, 1.0, preset)
    assert found.starts_at == RECEIVED_MS
    assert found.deadline_at == (None if hours is None else RECEIVED_MS + hours * HOUR_MS)
    assert found.sync_delay_ms == HOUR_MS


@pytest.mark.parametrize(
    ("hours_before", "late_hours"),
    [(0.0, 0.0), (1.99, 0.0), (2.0, 0.0), (2.5, 0.5), (14.0, 12.0), (-3.0, 0.0)],
)
def test_a_note_whose_clock_was_spent_on_the_phone_is_late_on_arrival(
    hours_before: float, late_hours: float
) -> None:
    found = clock(Grade.RED, hours_before)
    assert found.late_by_ms == round(late_hours * HOUR_MS)
    assert found.sync_delay_ms == max(0, round(hours_before * HOUR_MS))
    # Hours lost to late sync are not lost to inaction: the people at the desk have the whole clock.
    assert found.deadline_at == RECEIVED_MS + 2 * HOUR_MS


def test_a_grade_without_a_clock_is_never_late() -> None:
    found = clock(Grade.BLUE, 500.0)
    assert (found.late_by_ms, found.left_ms(0)) == (0, None)


def test_time_left() -> None:
    found = clock(Grade.RED)
    assert found.left_ms(RECEIVED_MS + HOUR_MS) == HOUR_MS
    assert found.left_ms(RECEIVED_MS + 5 * HOUR_MS) == -3 * HOUR_MS


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(PackError, match=r"`kent`.*merton, surrey"):
        clock(Grade.RED, preset="kent")


def test_each_borough_has_a_preset() -> None:
    assert PACK.preset_of("E09000024") == "merton"
    assert PACK.preset_of("E09000001") == "merton"
    assert PACK.preset_of(None) == "merton"


def test_an_unacknowledged_red_climbs_at_15_30_and_60_minutes() -> None:
    assert escalations(Grade.RED, "merton", RECEIVED_MS, RECEIVED_MS + 2 * HOUR_MS, PACK) == (
        Escalation(1, SUPERVISOR, RECEIVED_MS + 15 * MINUTE_MS),
        Escalation(2, INSPECTOR, RECEIVED_MS + 30 * MINUTE_MS),
        Escalation(3, FORCE, RECEIVED_MS + 60 * MINUTE_MS),
    )


def test_amber_climbs_at_half_and_at_the_end_of_its_clock() -> None:
    assert escalations(Grade.AMBER, "merton", RECEIVED_MS, RECEIVED_MS + 6 * HOUR_MS, PACK) == (
        Escalation(1, SUPERVISOR, RECEIVED_MS + 3 * HOUR_MS),
        Escalation(2, INSPECTOR, RECEIVED_MS + 6 * HOUR_MS),
    )


def test_green_climbs_at_the_end_of_its_clock_and_blue_after_three_days() -> None:
    assert escalations(Grade.GREEN, "merton", RECEIVED_MS, RECEIVED_MS + 24 * HOUR_MS, PACK) == (
        Escalation(1, SUPERVISOR, RECEIVED_MS + 24 * HOUR_MS),
    )
    assert escalations(Grade.BLUE, "merton", RECEIVED_MS, None, PACK) == (
        Escalation(1, SUPERVISOR, RECEIVED_MS + 72 * HOUR_MS),
    )
    assert escalations(Grade.AMBER, "merton", RECEIVED_MS, None, PACK) == ()


def test_a_share_of_an_odd_clock_is_never_early() -> None:
    odd = load_pack(RULES.replace("amber = 6\n", "amber = 0.0000008\n", 1))  # three milliseconds
    assert escalations(Grade.AMBER, "merton", 0, 3, odd)[0].at == 2


def test_a_step_within_the_clock_is_never_later_than_something_else_that_ends() -> None:
    """The school day begins before half of the clock: the supervisor hears by then."""
    ends_at = RECEIVED_MS + 2 * HOUR_MS
    assert [step.at for step in escalations(Grade.AMBER, "merton", RECEIVED_MS, ends_at, PACK)] == [
        ends_at,
        ends_at,
    ]


SURREY_MS = 1_774_629_000_000
"""Friday 27 March 2026, 16:30: the clocks go forward on the Sunday."""
MONDAY_MS = SURREY_MS + 64 * HOUR_MS
"""Monday 30 March 2026, 08:30 UTC: half an hour of work is done."""


def test_surrey_counts_working_hours_for_red_and_amber() -> None:
    red = deadline(Grade.RED, "surrey", SURREY_MS, SURREY_MS - 10 * MINUTE_MS, PACK)
    # Half an hour on Friday and three and a half on Monday, from nine by London's clocks.
    assert red.deadline_at == MONDAY_MS + 3 * HOUR_MS
    amber = deadline(Grade.AMBER, "surrey", SURREY_MS, SURREY_MS, PACK)
    # Half an hour on Friday, 16 on Monday and Tuesday, seven and a half on Wednesday.
    assert amber.deadline_at == MONDAY_MS + 55 * HOUR_MS
    assert [step.at for step in escalations(Grade.AMBER, "surrey", SURREY_MS, amber.deadline_at, PACK)] == [
        MONDAY_MS + 27 * HOUR_MS,
        amber.deadline_at,
    ]
    green = deadline(Grade.GREEN, "surrey", SURREY_MS, SURREY_MS, PACK)
    assert green.deadline_at == SURREY_MS + 72 * HOUR_MS


def test_a_note_of_the_weekend_is_not_late_by_working_hours() -> None:
    saturday, monday_noon = SURREY_MS + 20 * HOUR_MS, MONDAY_MS + 2.5 * HOUR_MS
    found = deadline(Grade.RED, "surrey", round(monday_noon), saturday, PACK)
    assert (found.late_by_ms, found.sync_delay_ms) == (0, round(monday_noon) - saturday)
    late = deadline(Grade.RED, "surrey", MONDAY_MS + 6 * HOUR_MS, saturday, PACK)
    assert late.late_by_ms == 2 * HOUR_MS + 30 * MINUTE_MS


def test_the_steps_that_are_left_are_counted_from_the_one_that_is_due() -> None:
    """A duty that turned red long after it began climbs by the red chain from then on."""
    late = RECEIVED_MS + 7 * HOUR_MS
    assert steps_from(Grade.RED, "merton", 1, late, None, PACK) == (
        Escalation(2, INSPECTOR, late),
        Escalation(3, FORCE, late + 30 * MINUTE_MS),
    )
    assert steps_from(Grade.AMBER, "merton", 0, late, late + 24 * HOUR_MS, PACK) == (
        Escalation(1, SUPERVISOR, late),
        Escalation(2, INSPECTOR, late + 3 * HOUR_MS),
    )
    assert steps_from(Grade.AMBER, "surrey", 0, MONDAY_MS, MONDAY_MS + 99 * HOUR_MS, PACK) == (
        Escalation(1, SUPERVISOR, MONDAY_MS),
        # Twelve working hours on: the rest of Monday, seven and a half, and of Tuesday four and a half.
        Escalation(2, INSPECTOR, MONDAY_MS + 28 * HOUR_MS),
    )
    assert steps_from(Grade.AMBER, "merton", 2, late, None, PACK) == ()
    assert steps_from(Grade.BLUE, "merton", 1, late, None, PACK) == ()


def test_somebody_always_hears_next() -> None:
    for grade, minutes in ((Grade.RED, 15), (Grade.AMBER, 180), (Grade.GREEN, 1440), (Grade.BLUE, 4320)):
        ends_at = deadline(grade, "merton", RECEIVED_MS, RECEIVED_MS, PACK).deadline_at
        assert (
            first_hearing_at(grade, "merton", RECEIVED_MS, ends_at, PACK) == RECEIVED_MS + minutes * MINUTE_MS
        )
    # Shares of a clock that a duty does not have, and a chain that is empty.
    assert first_hearing_at(Grade.AMBER, "merton", RECEIVED_MS, None, PACK) == RECEIVED_MS + 4 * HOUR_MS
    assert last_role(Grade.AMBER, "merton", RECEIVED_MS, None, PACK) == INSPECTOR
    silent = load_pack(RULES.replace("blue = [{ minutes = 4320", "# blue = [{ minutes = 4320"))
    assert first_hearing_at(Grade.BLUE, "merton", 0, None, silent) == 7 * 24 * HOUR_MS
    assert last_role(Grade.BLUE, "merton", 0, None, silent) is None


def test_whoever_heard_last_hears_again_after_now_however_many_times_were_missed() -> None:
    assert again_at(Grade.RED, "merton", RECEIVED_MS, RECEIVED_MS, PACK) == RECEIVED_MS + 30 * MINUTE_MS
    # A moment late the next keeps its time; a month late it is counted from now.
    assert (
        again_at(Grade.RED, "merton", RECEIVED_MS, RECEIVED_MS + 1_000, PACK) == RECEIVED_MS + 30 * MINUTE_MS
    )
    month = RECEIVED_MS + 30 * 24 * HOUR_MS
    assert again_at(Grade.RED, "merton", RECEIVED_MS, month, PACK) == month + 30 * MINUTE_MS


def test_the_interval_is_counted_as_the_clock_is_over_a_weekend_in_which_the_clocks_change() -> None:
    # Half an hour of Friday is left, and three and a half are of Monday.
    assert again_at(Grade.AMBER, "surrey", SURREY_MS, SURREY_MS, PACK) == MONDAY_MS + 3 * HOUR_MS
    assert again_at(Grade.GREEN, "surrey", SURREY_MS, SURREY_MS, PACK) == SURREY_MS + 24 * HOUR_MS


def test_a_drill_may_count_in_seconds() -> None:
    text = RULES.replace("minutes = 15,", "minutes = 0.05,").replace("red = 2\n", "red = 0.01\n", 1)
    drill = load_pack(text)
    assert escalations(Grade.RED, "merton", RECEIVED_MS, None, drill)[0].at == RECEIVED_MS + 3_000
    assert deadline(Grade.RED, "merton", 0, 0, drill).deadline_at == 36_000


def test_every_role_of_the_chains_is_one_of_the_policy() -> None:
    named = tuple(dict.fromkeys(step.role for grade in Grade for step in PACK.escalations.chain(grade)))
    assert set(named) <= set(load_policy().roles)
    assert named == (SUPERVISOR, INSPECTOR, FORCE)


def test_section_46_ends_after_72_hours() -> None:
    assert section_46_ends_at(RECEIVED_MS) == RECEIVED_MS + 72 * HOUR_MS
    assert SECTION_46_MS == 259_200_000


@pytest.mark.parametrize(
    ("hours_before", "now_minutes", "words"),
    [
        (0.0, 83, "37 min left"),
        (0.0, 0, "2 h left"),
        (0.0, 120, "0 s left"),
        (0.0, 245, "overdue by 2 h 5 min"),
        (7.0, 0, "late by 5 h on arrival, 2 h left"),
        (7.0, 180, "late by 5 h on arrival, overdue by 1 h"),
        (100.0, 0, "late by 4 days 2 h on arrival, 2 h left"),
    ],
)
def test_a_clock_in_words(hours_before: float, now_minutes: int, words: str) -> None:
    assert in_words(clock(Grade.RED, hours_before), RECEIVED_MS + now_minutes * MINUTE_MS) == words


def test_no_clock_in_words() -> None:
    assert in_words(clock(Grade.BLUE), RECEIVED_MS) == "no clock"
