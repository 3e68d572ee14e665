"""Links and reviews by number; what they mean for a child is tested in `tests/test_placing.py`."""

from __future__ import annotations

import pytest

from server.records import cases, flags, links
from server.records.links import Action, Review
from sync.note import Subject
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, LAMBETH, REGISTRY, Road, somebody

RIVERA = somebody("rivera")
DOUBTFUL = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)


def waiting(
    road: Road, username: str = "rivera", borough: str | None = LAMBETH, role: str = "investigator"
) -> list[Review]:
    return road.store.read_now(lambda tx: links.waiting(tx, somebody(username, role, borough)))


def test_a_decision_keeps_its_evidence_and_its_author(road: Road) -> None:
    amara = road.child(AMARA)
    note_id = road.officer().writes(AMARA)
    subject = road.subject_of(note_id)
    [event] = road.store.read_now(lambda tx: links.history(tx, subject))
    assert (event.action, event.child_id, event.author) == (Action.LINK, amara, "system")
    assert event.evidence is not None and event.evidence.candidates[0].child_id == amara
    assert event.probability == pytest.approx(event.evidence.probability)
    assert event.model_version == event.evidence.model_version
    assert road.store.read_now(lambda tx: links.standing_for_child(tx, amara)) == {subject: event}
    rows = road.rows("SELECT kind, ids FROM audit_entry WHERE verb = 'combination'")
    assert rows == [("child", f'["{amara}"]')]


def test_reviews_wait_where_the_duty_is_the_most_urgent_first(road: Road) -> None:
    road.child(AMARA)
    mild = road.officer("a").writes(DOUBTFUL)
    road.passes(hours=30)
    urgent = road.officer("b").writes(DOUBTFUL, category=Category.KNIFE)
    elsewhere = road.officer("c", CAMDEN).writes(DOUBTFUL)
    subjects = [road.subject_of(note_id) for note_id in (urgent, mild)]
    assert [review.subject_id for review in waiting(road)] == subjects
    assert [review.subject_id for review in waiting(road, borough=CAMDEN)] == [road.subject_of(elsewhere)]
    assert len(waiting(road, borough=None, role="force_duty_officer")) == 3
    assert waiting(road, role="ward_officer") == []


def test_many_reviews_of_other_boroughs_hide_none_of_mine(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "REVIEWS_SHOWN_MAX", 2)
    road.child(AMARA)
    for number in range(4):
        road.officer(f"o{number}", CAMDEN).writes(DOUBTFUL, danger_now=True)
    mine = road.officer("a").writes(DOUBTFUL)
    assert [review.subject_id for review in waiting(road)] == [road.subject_of(mine)]
    assert len(waiting(road, borough=CAMDEN)) == 2


def test_a_review_is_closed_once_and_opened_again(road: Road) -> None:
    road.child(AMARA)
    note_id = road.officer().writes(DOUBTFUL)
    review = road.review_of(note_id)
    child = road.child_of(note_id)
    assert road.store.read_now(lambda tx: links.reviews_of_child(tx, child)) == [review.review_id]

    def close() -> bool:
        return road.store.write_now(
            lambda tx: links.close_review(tx, review.review_id, RIVERA, "new", now=road.now)
        )

    assert close() and not close()
    assert waiting(road) == []
    assert road.store.read_now(lambda tx: links.reviews_of_child(tx, child)) == []
    again = road.store.write_now(
        lambda tx: links.open_review(
            tx, review.subject_id, CAMDEN, danger=True, urgency=1, noted_at=5, now=road.now
        )
    )
    assert again == review.review_id and waiting(road) == []
    [moved] = waiting(road, borough=CAMDEN)
    assert (moved.danger, moved.urgency, moved.noted_at) == (True, 1, 5)
    assert moved.opened_at == review.opened_at, "the wait began when it was first asked"
    road.store.write_now(lambda tx: links.settle_review(tx, review.subject_id, "same:1", now=road.now))
    assert road.rows("SELECT closed_by, answer FROM review") == [("system", "same:1")]


def test_counts_are_those_of_the_system(road: Road) -> None:
    road.child(AMARA)
    road.officer("a").writes(AMARA)
    road.officer("b").writes(DOUBTFUL)
    road.officer("c").writes(Subject(given_names="Zofia", family_name="Wisniewska"))
    assert road.store.read_now(links.counts) == {"link": 1, "review": 1, "new": 1}


def test_who_is_ruled_out_stays_ruled_out(road: Road) -> None:
    amara = road.child(AMARA)
    note_id = road.officer().writes(DOUBTFUL)
    subject = road.subject_of(note_id)
    assert road.store.read_now(lambda tx: links.ruled_out(tx, subject)) == frozenset()
    road.store.write_now(
        lambda tx: links.decide(tx, REGISTRY, subject, Action.NOT_SAME, amara, now=road.now, reason="no")
    )
    assert road.store.read_now(lambda tx: links.ruled_out(tx, subject)) == {amara}
    assert road.store.read_now(lambda tx: links.child_of(tx, subject)) == road.child_of(note_id)
    assert road.store.read_now(lambda tx: links.child_of(tx, 9_999)) is None


def test_flags_are_kept_equal_to_what_the_rules_say_and_a_second_look_changes_nothing(road: Road) -> None:
    amara = road.child(AMARA)
    officer = road.officer()
    first = officer.writes(AMARA)
    road.passes(hours=30)
    officer.writes(AMARA, category=Category.KNIFE)
    before = road.store.read_now(lambda tx: cases.flags_of(tx, amara))
    events = road.count("alert_event")

    def look() -> cases.Outcome:
        return road.store.write_now(lambda tx: cases.reassess(tx, REGISTRY, amara, road.pack, now=road.now))

    assert look().raised == 0
    assert road.store.read_now(lambda tx: cases.flags_of(tx, amara)) == before
    assert road.count("alert_event") == events
    officer.sends(officer.withdrawal(first))
    after = road.store.read_now(lambda tx: cases.flags_of(tx, amara, retracted=True))
    gone = [flag for flag in after if flag.retracted_at is not None]
    assert [flag.retraction for flag in gone] == [flags.WITHDRAWN]
    assert gone[0].note_ids == (first,)
