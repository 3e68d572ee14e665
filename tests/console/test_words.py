"""The words that people read: times, clocks, ages, weights, probabilities."""

import datetime

import pytest

from server.console import words
from server.console.words import DAY_MS, HOUR_MS, MINUTE_MS


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


NOW = at("2025-03-04T14:17:00+00:00")


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2025-03-04T14:05:00+00:00", "Today 14:05 (12 minutes ago)"),
        ("2025-03-04T14:16:30+00:00", "Today 14:16 (just now)"),
        ("2025-03-04T16:17:00+00:00", "Today 16:17 (in 2 hours)"),
        ("2025-03-03T09:12:00+00:00", "Yesterday 09:12 (29 hours ago)"),
        ("2025-03-05T00:10:00+00:00", "Tomorrow 00:10 (in 9 hours)"),
        ("2025-02-17T01:20:00+00:00", "Monday 17 February 01:20 (15 days ago)"),
        ("2024-12-14T14:05:00+00:00", "Saturday 14 December 2024 14:05 (2 months ago)"),
        ("2022-03-04T14:17:00+00:00", "Friday 4 March 2022 14:17 (3 years ago)"),
    ],
)
def test_when_says_the_day_the_time_and_how_long_ago(moment: str, said: str) -> None:
    assert words.when(at(moment), NOW) == said


def test_times_are_londons_in_summer_and_winter() -> None:
    assert words.clock_time(at("2025-07-01T13:05:00+00:00")) == "14:05"
    assert words.exact(at("2025-07-01T13:05:09+00:00")) == "Tuesday 1 July 2025, 14:05:09 BST"
    assert words.exact(at("2025-03-04T14:05:09+00:00")) == "Tuesday 4 March 2025, 14:05:09 GMT"
    assert words.iso(at("2025-07-01T13:05:09+00:00")) == "2025-07-01T14:05:09+01:00"


def test_yesterday_is_the_day_before_even_over_the_night_the_clocks_change() -> None:
    now = at("2025-03-30T23:30:00+01:00")
    assert words.day(at("2025-03-29T23:59:00+00:00"), now) == "Yesterday"
    assert words.ago(at("2025-03-30T00:30:00+00:00"), now) == "22 hours ago"


def test_inside_a_sentence_today_is_lower_case_and_weekdays_are_not() -> None:
    assert words.inside("Today 14:05") == "today 14:05"
    assert words.inside("Tuesday 4 March") == "Tuesday 4 March"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (59_999, "under 1 min"),
        (37 * MINUTE_MS, "37 min"),
        (2 * HOUR_MS, "2 h"),
        (2 * HOUR_MS + 10 * MINUTE_MS, "2 h 10 min"),
        (11 * HOUR_MS + 59 * MINUTE_MS, "11 h"),
        (47 * HOUR_MS, "47 h"),
        (3 * DAY_MS, "3 days"),
    ],
)
def test_durations_are_short(length: int, said: str) -> None:
    assert words.duration(length).replace(words.NBSP, " ") == said


def test_the_clock_counts_down_then_says_how_late() -> None:
    raised, deadline = NOW, NOW + 2 * HOUR_MS

    def read(now: int) -> tuple[str, str]:
        reading = words.clock(raised, deadline, now)
        return reading.text.replace(words.NBSP, " "), reading.tone

    assert read(NOW) == ("2 h left", "calm")
    assert read(NOW + 83 * MINUTE_MS) == ("37 min left", "calm")
    assert read(NOW + 91 * MINUTE_MS) == ("29 min left", "close")
    assert read(deadline) == ("late by under 1 min", "late")
    assert read(deadline + 2 * HOUR_MS) == ("late by 2 h", "late")


def test_a_clock_that_stopped_says_whether_it_was_met() -> None:
    assert words.clock(NOW, NOW + HOUR_MS, NOW + DAY_MS, NOW + MINUTE_MS).text == "met in time"
    late = words.clock(NOW, NOW + HOUR_MS, NOW + DAY_MS, NOW + 3 * HOUR_MS)
    assert (late.text.replace(words.NBSP, " "), late.tone) == ("met 2 h late", "stopped")
    assert words.clock(NOW, None, NOW).text == "no clock"


def test_a_clock_already_spent_when_the_alert_was_raised_is_late_and_full() -> None:
    reading = words.clock(NOW, NOW - 9 * HOUR_MS, NOW)
    assert (reading.text.replace(words.NBSP, " "), reading.share) == ("late by 9 h", 1.0)


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("2011-03-04", "14"),
        ("2011-03-05", "13"),
        ("2023-03-04", "2"),
        ("2023-03-05", "23 months"),
        ("2024-11-20", "3 months"),
        ("2025-02-11", "3 weeks"),
        ("2025-03-03", "0 weeks"),
        ("2025-04-01", "unborn"),
    ],
)
def test_ages_turn_on_the_birthday(born: str, age: str) -> None:
    assert words.age_on(datetime.date.fromisoformat(born), NOW) == age


def test_guessed_ages_say_about() -> None:
    assert words.about_age(13.4) == "about 13"
    assert words.about_age(0.5) == "about 6 months"


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.99974, "99.97 %"),
        (0.9999999, "over 99.99 %"),
        (1.0, "over 99.99 %"),
        (0.61, "61 %"),
        (0.99, "99.00 %"),
        (0.995, "99.50 %"),
        (0.004, "0.40 %"),
        (0.0, "under 0.01 %"),
        (0.57, "57 %"),
    ],
)
def test_probabilities_are_never_rounded_up_to_certainty(probability: float, said: str) -> None:
    assert words.percent(probability).replace(words.NBSP, " ") == said


def test_weights_are_signed_and_have_words() -> None:
    assert [words.signed(weight) for weight in (8.31, -2.1, 0.04, -0.0)] == [
        "+8.3",
        f"{words.MINUS}2.1",
        "0",
        "0",
    ]
    assert words.weight_words(12) == "very strongly for"
    assert words.weight_words(-1.5) == "weakly against"
    assert words.weight_words(0.2) == "says nothing"
    assert words.odds_words(8.31) == "about 300 times likelier"
    assert words.odds_words(-2) == "about 4 times less likely"
    assert words.odds_words(0) == "makes no difference"
    assert words.odds_words(40) == "over a million times likelier"


def test_a_note_shows_one_time_where_its_three_agree_and_three_where_they_differ() -> None:
    assert words.note_times(NOW, NOW + MINUTE_MS, NOW + 2 * MINUTE_MS) == (("Seen", NOW),)
    late = words.note_times(NOW, NOW + HOUR_MS, NOW + 5 * HOUR_MS)
    assert [label for label, _ in late] == ["Seen", "Written", "Received"]
    offline = words.note_times(NOW, NOW + MINUTE_MS, NOW + 5 * HOUR_MS)
    assert [label for label, _ in offline] == ["Seen", "Received"]


def test_counts_and_lists_read_as_english() -> None:
    assert words.count(1, "note") == "1 note"
    assert words.count(1200, "child", "children") == "1,200 children"
    assert words.listed(("a", "b", "c")) == "a, b and c"
    assert words.listed(("a",)) == "a"
    assert words.listed(()) == ""
