"""When a note was seen and written, whatever clock its phone dates by: rules and linkage must not be misled."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server import dating, releasing
from server.casework.facts import NoteFact
from server.dating import believed
from server.foreseen import foresee
from server.linkage.standardise import Record
from server.placing import describe
from server.prepared import When, prepare
from server.records import conditions, note_subjects
from sync import limits
from sync.envelope import Code, Condition
from sync.note import Subject
from tests.phones import enrolled
from tests.road import AMARA, REGISTRY, Officer, Road, at
from tests.test_releasing import revoked

DAY_MS = 24 * 60 * 60 * 1000
YEAR_MS = 365 * DAY_MS
NOW = 1_800_000_000_000
TEN_MINUTES = 10 * 60 * 1000
VAGUE = Subject(given_names="Jay", family_name="Okonkwo", approximate_age=12.0)


@pytest.fixture
def officer(road: Road) -> Officer:
    return enrolled(road, "okafor")


def says(officer: Officer, waiting: int) -> None:
    """The phone ends a sync, and says how many entries wait on it."""
    road, device = officer.road, officer.identity.device_id
    said = Condition(wall=0, monotonic=0, boot_id="b", offset=0, waiting=waiting)
    road.store.write_now(lambda tx: conditions.said(tx, device, said, now=road.now))


def dated_back(road: Road, by_ms: int, subject: Subject = AMARA, **changes: Any) -> dict[str, Any]:
    """What a phone writes whose clock is so far behind."""
    then = road.now - by_ms
    return {"observed_at": at(then - TEN_MINUTES), "recorded_at": at(then), "subjects": (subject,), **changes}


def stored(road: Road, note_id: str) -> tuple[int, int, int]:
    (row,) = road.rows(
        "SELECT observed_at, recorded_at, observed_doubtful FROM note WHERE note_id = :n", n=note_id
    )
    return row


@pytest.mark.parametrize(
    ("seen", "written", "since", "wanted"),
    [
        (NOW - 1, NOW, 0, None),
        (NOW + 1, NOW, 0, When(NOW, NOW, False)),
        (NOW + DAY_MS + 1, NOW, 0, When(NOW, NOW, True)),
        (NOW - limits.OBSERVED_BEFORE_MS_MAX - 1, NOW, 0, When(NOW, NOW, True)),
        (NOW - 3 * YEAR_MS - 5, NOW - 3 * YEAR_MS, 0, None),
        (NOW - 3 * YEAR_MS - 5, NOW - 3 * YEAR_MS, NOW - DAY_MS, When(NOW - 5, NOW, True)),
        (NOW - 2 * DAY_MS, NOW - 2 * DAY_MS, NOW - DAY_MS, None),
        (NOW - 2 * DAY_MS - 1, NOW - 2 * DAY_MS - 1, NOW - DAY_MS, When(NOW, NOW, True)),
        (NOW - 7, NOW - 3 * YEAR_MS, NOW - DAY_MS, When(NOW - 7, NOW, True)),
        (NOW + 7, NOW - 3 * YEAR_MS, NOW - DAY_MS, When(NOW, NOW, True)),
        (-(2**45), NOW - 3 * YEAR_MS, NOW - DAY_MS, When(NOW, NOW, True)),
    ],
)  # fmt: skip
def test_what_can_be_is_believed_and_what_cannot_is_dated_by_the_server(
    seen: int, written: int, since: int, wanted: When | None
) -> None:
    assert believed(seen, written, NOW, since) == wanted


def test_invariant_13_a_note_dated_three_years_back_counts_now_and_its_child_is_as_old_as_said(
    road: Road, officer: Officer
) -> None:
    road.child(AMARA)
    road.passes(hours=30)
    note_id, line = officer.note(**dated_back(road, 3 * YEAR_MS, danger_now=True))
    verdict = officer.push(line).verdicts[0]
    assert (verdict.v, verdict.code) == ("applied", Code.OBSERVED_OUT_OF_RANGE)
    assert stored(road, note_id) == (road.now - TEN_MINUTES, road.now, 1)
    late = road.rows("SELECT late_by_ms, unsent_ms, unwritten_ms FROM alert WHERE grade = 'red'")
    assert late == [(0, 0, 0)], "three years were lost by nobody"
    jay, line = officer.note(**dated_back(road, 3 * YEAR_MS, VAGUE))
    officer.push(line)
    said = road.body(**dated_back(road, 3 * YEAR_MS, VAGUE))
    (as_of_now,), (as_written,) = describe(dating.seen(said, road.now)), describe(said)
    assert record_of(road, jay) == as_of_now.record != as_written.record


def record_of(road: Road, note_id: str) -> Record:
    """The subject of a note as linkage compares it."""
    ((subject_id,),) = road.rows(
        "SELECT s.subject_id FROM subject s JOIN note n ON n.note_key = s.note_key WHERE n.note_id = :n",
        n=note_id,
    )
    return road.store.read_now(lambda tx: note_subjects.subject_record(tx, subject_id))[0]


@pytest.mark.parametrize("waiting", [0, 1])
def test_only_a_phone_on_which_nothing_waited_is_known_to_have_written_later(
    road: Road, officer: Officer, waiting: int
) -> None:
    road.passes(hours=20 * 24)
    says(officer, waiting)
    note_id, line = officer.note(**dated_back(road, 10 * DAY_MS))
    officer.push(line)
    as_said = (road.now - 10 * DAY_MS - TEN_MINUTES, road.now - 10 * DAY_MS, 0)
    assert stored(road, note_id) == (as_said if waiting else (road.now - TEN_MINUTES, road.now, 1))
    road.passes(hours=1)
    says(officer, 2)  # later it has something again: what it said before stands
    another, line = officer.note(**dated_back(road, 10 * DAY_MS))
    officer.push(line)
    assert stored(road, another)[2] == (0 if waiting else 1)


def test_a_note_that_waited_on_the_phone_for_weeks_is_as_old_as_it_says(road: Road, officer: Officer) -> None:
    says(officer, 0)
    road.passes(hours=30 * 24)
    note_id, line = officer.note(**dated_back(road, 29 * DAY_MS))
    assert officer.push(line).verdicts[0].code is None
    assert stored(road, note_id) == (road.now - 29 * DAY_MS - TEN_MINUTES, road.now - 29 * DAY_MS, 0)


def test_a_released_note_is_judged_by_what_was_known_when_it_came(road: Road, officer: Officer) -> None:
    road.passes(hours=10 * 24)
    came_at = road.now
    note_id, line = officer.note(**dated_back(road, 5 * DAY_MS))
    revoked(officer, line)
    road.passes(hours=10 * 24)
    says(officer, 0)
    world = road.world
    road.store.write_now(lambda tx: releasing.release(tx, REGISTRY, 1, now=road.now, world=world))
    assert stored(road, note_id) == (came_at - 5 * DAY_MS - TEN_MINUTES, came_at - 5 * DAY_MS, 0)


def test_an_addition_that_says_the_time_again_changes_nothing_and_one_that_corrects_it_does(
    road: Road, officer: Officer
) -> None:
    changes = dated_back(road, 3 * YEAR_MS, VAGUE)
    note_id, line = officer.note(**changes)
    officer.push(line)
    received, as_said = road.now, record_of(road, note_id)
    road.passes(hours=2)
    officer.push(officer.amendment(note_id, road.body(**changes)))
    assert counted_at(road, note_id) == received - TEN_MINUTES and record_of(road, note_id) == as_said
    true = {**changes, "observed_at": at(received - 3 * DAY_MS), "recorded_at": at(road.now)}
    officer.push(officer.amendment(note_id, road.body(**true)))
    assert counted_at(road, note_id) == received - 3 * DAY_MS


def counted_at(road: Road, note_id: str) -> int:
    """When the rules take the note to have been seen."""
    ((facts,),) = road.rows(
        "SELECT s.facts FROM subject s JOIN note n ON n.note_key = s.note_key WHERE n.note_id = :n", n=note_id
    )
    return msgspec.msgpack.decode(facts, type=NoteFact).observed_at


def test_what_was_foreseen_of_such_a_note_is_not_taken(road: Road, officer: Officer) -> None:
    wrong, right = officer.note(**dated_back(road, 3 * YEAR_MS))[1], officer.note(AMARA)[1]
    push = prepare([wrong, right], officer.identity.device_id)
    world = road.world
    foreseen = road.store.read_now(
        lambda tx: foresee(tx, world, [(one.arrival.index, one.subjects) for one in push])
    )
    dated = road.store.read_now(lambda tx: dating.dated(tx, officer.identity.device_id, push, road.now))
    left = dating.still_foreseen(foreseen, dated)
    assert left is not None and set(left.subjects) == {1} and set(foreseen.subjects) == {0, 1}
    assert dated[1] is push[1]
