"""What supervisors watch: late sync apart from inaction, by borough and week, within what a person may see."""

from __future__ import annotations

from server import answering, duty, releasing
from server.access.identity import Person
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.records import figures, quarantine
from server.records.figures import WEEK_MS
from sync.note import Subject
from sync.vocabulary import Grade
from tests.phones import enrolled
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, REGISTRY, START_MS, Road, at, somebody
from tests.test_releasing import revoked

WHITFIELD = somebody("whitfield", "supervisor")
FORCE = somebody("gaffer", "force_duty_officer", None)
RIVERA = somebody("rivera")
FROM = START_MS - WEEK_MS
DOUBTFUL = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)


def weekly(road: Road, person=FORCE, now: int | None = None) -> dict[str, list[figures.Week]]:  # type: ignore[no-untyped-def]
    return road.store.read_now(
        lambda tx: figures.weekly(tx, person, from_ms=FROM, now=now or road.now, weeks=2)
    )


def test_time_lost_on_the_phone_is_told_apart_from_time_lost_at_the_desk(road: Road) -> None:
    child = road.child(AMARA)
    road.officer().writes(
        AMARA, danger_now=True, observed_at=at(road.now - 5 * HOUR_MS), recorded_at=at(road.now - 5 * HOUR_MS)
    )
    alert = road.alerts_of(child)[0]
    assert alert.deadline_at is not None
    (week,) = [one for one in weekly(road)[LAMBETH] if one.duties]
    assert (week.duties, week.late, week.idle, week.idle_ms) == (1, 1, 0, 0)
    assert week.late_ms == alert.late_by_ms == 3 * HOUR_MS
    road.now = alert.deadline_at + 90 * MINUTE_MS
    assert [one.idle_ms for one in weekly(road)[LAMBETH]] == [0, 90 * MINUTE_MS]
    road.store.write_now(lambda tx: duty.acknowledge(tx, RIVERA, alert.alert_id, now=road.now))
    road.passes(hours=9)
    (week,) = [one for one in weekly(road)[LAMBETH] if one.duties]
    assert (week.idle_ms, week.late_ms) == (90 * MINUTE_MS, 3 * HOUR_MS), "an answer stops the count"


def test_time_in_quarantine_is_a_figure_of_its_own_until_a_person_decides(road: Road) -> None:
    road.child(AMARA)
    officer, world = enrolled(road, "okafor"), road.world
    revoked(officer, officer.note(AMARA, danger_now=True)[1])
    officer.push(b"{broken")
    road.passes(hours=5)

    def aside(person: Person = FORCE) -> list[int]:
        return [week.aside_ms for week in weekly(road, person).get(LAMBETH, [])]

    assert aside() == [0, 10 * HOUR_MS], "both wait for a person"
    assert aside(somebody("gaffer", "supervisor", CAMDEN)) == [] and aside(RIVERA) == []
    road.store.write_now(lambda tx: releasing.release(tx, REGISTRY, 1, now=road.now, world=world))
    road.store.write_now(lambda tx: releasing.refuse(tx, REGISTRY, 2, "Nothing is in it", now=road.now))
    road.passes(hours=3)
    assert aside() == [0, 5 * HOUR_MS], "a release ends the count, and what is refused kept nobody waiting"
    (week,) = [one for one in weekly(road)[LAMBETH] if one.duties]
    assert (week.late_ms, week.unwritten_ms) == (0, 0), "nobody's who wrote or sent it"
    stands = road.store.read_now(quarantine.standing)
    assert (stands.waiting, stands.oldest_at, stands.released_ms) == (0, None, 5 * HOUR_MS)


def test_time_before_a_note_was_written_is_not_the_phones(road: Road) -> None:
    child = road.child(AMARA)
    seen, written = at(road.now - 5 * HOUR_MS), at(road.now - 1 * HOUR_MS)
    road.officer().writes(AMARA, danger_now=True, observed_at=seen, recorded_at=written)
    assert road.alerts_of(child)[0].late_by_ms == 3 * HOUR_MS
    (week,) = [one for one in weekly(road)[LAMBETH] if one.duties]
    assert (week.late, week.late_ms, week.unwritten_ms) == (1, 1 * HOUR_MS, 2 * HOUR_MS)


def test_what_waited_in_a_review_was_not_late_when_it_came(road: Road) -> None:
    child = road.child(AMARA)
    note = road.officer().writes(DOUBTFUL, danger_now=True)
    road.passes(hours=48)
    world, review = road.world, road.review_of(note).review_id
    road.store.write_now(lambda tx: answering.answer_same(tx, world, RIVERA, review, child, now=road.now))
    assert [alert.late_by_ms for alert in road.alerts_of(child)] == [0]
    assert [one.late for one in weekly(road)[LAMBETH] if one.duties] == [0]


def test_a_supervisor_sees_the_own_borough_alone_and_an_investigator_nothing(road: Road) -> None:
    road.child(AMARA)
    road.child(JONAS, CAMDEN)
    road.officer().writes(AMARA)
    road.officer("lee", CAMDEN).writes(JONAS)
    assert set(weekly(road)) == {LAMBETH, CAMDEN}
    assert set(weekly(road, WHITFIELD)) == {LAMBETH}
    assert weekly(road, RIVERA) == {}
    allowed: dict[Grade, int | None] = dict.fromkeys(Grade)
    seen = road.store.read_now(lambda tx: figures.waiting(tx, WHITFIELD, allowed, now=road.now))
    assert [(one.borough, one.unacknowledged, one.overdue) for one in seen] == [(LAMBETH, 1, 0)]


def test_what_waits_counts_reviews_that_are_stuck_and_duties_past_their_clock(road: Road) -> None:
    child = road.child(AMARA)
    road.officer().writes(AMARA, danger_now=True)
    deadline = road.alerts_of(child)[0].deadline_at
    assert deadline is not None
    allowed: dict[Grade, int | None] = dict.fromkeys(Grade, HOUR_MS)
    (seen,) = road.store.read_now(lambda tx: figures.waiting(tx, WHITFIELD, allowed, now=deadline))
    assert (seen.unacknowledged, seen.red, seen.overdue, seen.stuck_reviews) == (1, 1, 1, 0)


def test_calls_are_those_of_the_borough_that_was_called(road: Road) -> None:
    road.child(AMARA, school_borough=CAMDEN)
    road.officer().writes(AMARA)
    road.officer("lindqvist").writes(AMARA, saw_or_heard="Something else altogether happened today")
    found = {code: [week for week in weeks if week.calls] for code, weeks in weekly(road).items()}
    (own,), (other,) = found[LAMBETH], found[CAMDEN]
    assert (own.told, own.grown, own.copied) == (1, 1, 0), "another rule says more, in the same alert"
    assert (other.told, other.grown, other.copied) == (0, 0, 1)
