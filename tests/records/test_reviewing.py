"""What is at stake orders the reviews, whatever changes it; what waits too long; how much is left to a person."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import msgspec

from server import answering
from server.linkage.identifiable import ReviewShare
from server.records import cases, links, reviewing
from server.records.links import Review
from server.records.reviewing import DAY_MS, SHARE_DAYS, Overdue
from server.storage import Transaction, open_store
from sync.note import Subject
from sync.vocabulary import Category, Grade
from tests.road import AMARA, CAMDEN, LAMBETH, REGISTRY, START_MS, Road, at, somebody

RIVERA = somebody("rivera")
DOUBTFUL = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)
DOUBTFUL_AT_SCHOOL = msgspec.structs.replace(DOUBTFUL, given_names=None, address=AMARA.address)
"""No given name: a brother or a sister, so never linked; and another score than the other's."""
MINUTE, HOUR = 60_000, 3_600_000


def queue(road: Road, borough: str | None = LAMBETH, role: str = "investigator") -> list[Review]:
    return road.store.read_now(lambda tx: links.waiting(tx, somebody("q", role, borough)))


def of(road: Road, *note_ids: str) -> list[int]:
    return [road.subject_of(note_id) for note_id in note_ids]


def test_danger_comes_first_then_the_grade_then_the_note_seen_first_and_never_the_score(road: Road) -> None:
    road.child(AMARA)
    road.passes(hours=48)
    written: dict[tuple[bool, int, int], str] = {}
    grades = ((Category.SCHOOL_ABSENCE, False), (Category.KNIFE, False), (Category.KNIFE, True))
    kinds = list(itertools.product(grades, (30, 3), (DOUBTFUL, DOUBTFUL_AT_SCHOOL)))
    Random(3).shuffle(kinds)
    for number, ((category, danger), hours, subject) in enumerate(kinds):
        road.passes(minutes=1)
        observed = road.now - hours * HOUR
        note_id = road.officer(f"o{number}").writes(
            subject, category=category, danger_now=danger, observed_at=at(observed)
        )
        review = road.review_of(note_id)
        assert (review.danger, review.noted_at) == (danger, observed)
        written[danger, review.urgency, -observed] = note_id
    assert len(written) == len(kinds) and len({key[:2] for key in written}) == 3
    assert [one.subject_id for one in queue(road)] == of(
        road, *[written[key] for key in sorted(written)[::-1]]
    )
    best = [road.store.read_now(lambda tx, s=one.subject_id: links.history(tx, s))[0] for one in queue(road)]  # type: ignore[misc]
    scores = [event.probability for event in best]
    assert scores not in (sorted(scores, key=lambda p: p or 0), sorted(scores, key=lambda p: -(p or 0)))


def test_two_of_one_moment_come_in_the_order_in_which_they_were_asked(road: Road) -> None:
    road.child(AMARA)
    notes = [road.officer(f"o{number}").writes(DOUBTFUL, observed_at=at(road.now)) for number in range(3)]
    assert [one.subject_id for one in queue(road)] == of(road, *notes)


def test_an_amendment_that_makes_it_graver_moves_the_review_up_and_a_withdrawal_down(road: Road) -> None:
    road.child(AMARA)
    okafor, other = road.officer("okafor"), road.officer("other")
    mild = okafor.writes(DOUBTFUL, category=Category.SCHOOL_ABSENCE)
    middle = other.writes(DOUBTFUL, category=Category.KNIFE)
    assert [one.subject_id for one in queue(road)] == of(road, middle, mild)
    road.passes(minutes=5)
    graver = road.body(DOUBTFUL, category=Category.KNIFE, danger_now=True)
    assert okafor.sends(okafor.amendment(mild, graver)).v == "applied"
    assert [one.subject_id for one in queue(road)] == of(road, mild, middle)
    first = queue(road)[0]
    assert first.danger and first.urgency == Grade.RED.urgency
    okafor.sends(okafor.withdrawal(mild))
    assert [one.subject_id for one in queue(road)] == of(road, middle, mild)
    last = queue(road)[-1]
    assert (last.danger, last.urgency) == (False, 0)


def test_another_note_on_the_record_that_waits_counts_for_its_review(road: Road) -> None:
    road.child(AMARA)
    waits = road.officer("a").writes(DOUBTFUL, category=Category.SCHOOL_ABSENCE)
    officer = road.officer("b")
    graver = officer.writes(DOUBTFUL, category=Category.KNIFE, danger_now=True)
    holding, emptied = road.child_of(waits), road.child_of(graver)

    def put_together(tx: Transaction) -> None:
        links.move(tx, road.subject_of(graver), holding)
        for child_id in (holding, emptied):
            cases.reassess(tx, REGISTRY, child_id, road.pack, now=road.now)

    road.store.write_now(put_together)
    assert {(one.danger, one.urgency) for one in queue(road)} == {(True, Grade.RED.urgency)}
    officer.sends(officer.withdrawal(graver))
    assert {(one.danger, one.urgency) for one in queue(road)} == {(False, Grade.GREEN.urgency)}


def test_a_decision_taken_back_waits_with_what_is_at_stake_by_then(road: Road) -> None:
    road.child(AMARA)
    officer = road.officer()
    note_id = officer.writes(DOUBTFUL, category=Category.SCHOOL_ABSENCE)
    review = road.review_of(note_id)
    road.store.write_now(
        lambda tx: answering.answer_new(tx, road.worlds.current(tx), RIVERA, review.review_id, now=road.now)
    )
    graver = road.body(DOUBTFUL, category=Category.KNIFE, danger_now=True)
    officer.sends(officer.amendment(note_id, graver))
    road.store.write_now(
        lambda tx: answering.undo(tx, road.worlds.current(tx), RIVERA, review.review_id, now=road.now)
    )
    [again] = queue(road)
    assert (again.review_id, again.danger, again.urgency) == (review.review_id, True, Grade.RED.urgency)


def test_one_boroughs_queue_is_read_in_its_order_from_the_index(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data.db")
    try:
        store.migrate()
        sql = (
            "EXPLAIN QUERY PLAN SELECT r.review_id FROM review r WHERE r.closed_at IS NULL"
            f" AND r.borough IN (:b0) {links.BY_STAKE} LIMIT 200"
        )
        plan = store.read_now(lambda tx: tx.rows(sql, {"b0": LAMBETH}))
    finally:
        store.close_now()
    told = " ".join(str(row[-1]) for row in plan)
    assert "review_queue" in told and "TEMP B-TREE" not in told, told


def test_what_waits_longer_than_its_grade_allows_is_counted_with_the_oldest(road: Road) -> None:
    road.child(AMARA)
    allowed = {Grade.RED: 2 * HOUR, Grade.AMBER: 6 * HOUR, Grade.GREEN: 24 * HOUR, Grade.BLUE: None}
    road.officer("a").writes(DOUBTFUL, category=Category.KNIFE)
    opened = queue(road)[0].opened_at
    road.officer("c", CAMDEN).writes(DOUBTFUL, category=Category.KNIFE)

    def late(role: str = "supervisor", borough: str | None = LAMBETH) -> Overdue:
        person = somebody("s", role, borough)
        return road.store.read_now(lambda tx: reviewing.overdue(tx, person, allowed, now=road.now))

    grade = Grade.AMBER if queue(road)[0].urgency == Grade.AMBER.urgency else Grade.RED
    road.now = opened + (allowed[grade] or 0)
    assert late() == Overdue(0, None)
    road.passes(minutes=1)
    assert late() == Overdue(1, opened)
    assert late("force_duty_officer", None).number == 2
    assert late("ward_officer") == Overdue(0, None)
    assert late(borough="E09000033") == Overdue(0, None)


def test_the_clock_of_the_alert_that_runs_meanwhile(road: Road) -> None:
    amara = road.child(AMARA)
    note_id = road.officer().writes(DOUBTFUL, category=Category.KNIFE)
    holding = road.child_of(note_id)
    [alert] = road.alerts_of(holding)
    found = road.store.read_now(lambda tx: reviewing.clocks(tx, [holding, amara]))
    assert found.keys() == {holding}
    assert (found[holding].raised_at, found[holding].deadline_at) == (alert.started_at, alert.deadline_at)
    assert road.store.read_now(lambda tx: reviewing.clocks(tx, [])) == {}


def share(road: Road, role: str = "supervisor", borough: str | None = LAMBETH) -> ReviewShare:
    person = somebody("s", role, borough)
    return road.store.read_now(lambda tx: reviewing.share(tx, person, now=road.now))


def test_the_share_left_to_a_person_is_of_the_identifiable_of_ones_boroughs(road: Road) -> None:
    road.child(AMARA)
    assert share(road) == ReviewShare(0, 0)
    road.officer("a").writes(AMARA)
    sure = msgspec.structs.replace(AMARA, upn="H801200001234")
    road.officer("b").writes(sure, DOUBTFUL)  # the second has no home, school or number: not identifiable
    road.officer("c").writes(
        Subject(given_names="Zofia", family_name="Nowak", date_of_birth=AMARA.date_of_birth)
    )
    doubtful = msgspec.structs.replace(DOUBTFUL, phone="07700 900123")
    road.officer("d").writes(doubtful)
    road.officer("e", CAMDEN).writes(doubtful)
    assert share(road) == ReviewShare(4, 1)
    assert share(road, borough=CAMDEN) == ReviewShare(1, 1)
    assert share(road, "force_duty_officer", None) == ReviewShare(5, 2)
    assert road.store.read_now(reviewing.totals) == [
        ("link", True, 2), ("new", False, 1), ("new", True, 1), ("review", True, 2),
    ]  # fmt: skip
    assert road.count("link_count") <= 6, "counted by day, not by note"


def test_the_share_is_of_the_last_days_only(road: Road) -> None:
    road.child(AMARA)
    road.officer("a").writes(AMARA)
    road.now = START_MS + (SHARE_DAYS - 1) * DAY_MS
    assert share(road) == ReviewShare(1, 0)
    road.now += DAY_MS
    assert share(road) == ReviewShare(0, 0)


def test_a_push_that_is_undone_is_not_counted(road: Road) -> None:
    road.child(AMARA)
    officer = road.officer()
    note_id, line = officer.note(AMARA)
    officer.push(line)
    again, same = officer.note(AMARA, note_id=note_id)
    assert again == note_id and officer.sends(same).v == "quarantined"
    assert share(road) == ReviewShare(1, 0)
