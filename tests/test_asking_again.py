"""What waits for a person is weighed again when a child becomes known, and a child that notes find is never hidden."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from server import answering, merging
from server.access.errors import NotAllowed
from server.audit import Actor
from server.records import links, merges
from server.records.links import Action, Review
from server.storage.port import Transaction
from sync.note import Subject
from sync.vocabulary import Category
from tests.road import AMARA, LAMBETH, SOUTHWARK, Road, somebody

GAFFER = somebody("gaffer", "force_duty_officer", None)
GAFFER_ACTOR = Actor("person", "gaffer")
TWIN = msgspec.structs.replace(AMARA, given_names="Tobias", sex=None)
"""A brother of Amara's whom no registry has: by the home and the day alone he could be she."""


@pytest.fixture
def amara(road: Road) -> int:
    return road.child(AMARA)


def twin_waits(
    road: Road, borough: str = LAMBETH, category: Category = Category.NEGLECT
) -> tuple[str, Review]:
    note_id = road.officer("okafor", borough).writes(TWIN, category=category)
    return note_id, road.review_of(note_id)


def new(road: Road, review: Review) -> None:
    road.store.write_now(
        lambda tx: answering.answer_new(tx, road.worlds.current(tx), GAFFER, review.review_id, now=road.now)
    )


def undo(road: Road, review: Review) -> None:
    road.store.write_now(
        lambda tx: answering.undo(tx, road.worlds.current(tx), GAFFER, review.review_id, now=road.now)
    )


def same(road: Road, review: Review, child_id: int) -> None:
    road.store.write_now(
        lambda tx: answering.answer_same(
            tx, road.worlds.current(tx), GAFFER, review.review_id, child_id, now=road.now
        )
    )


def offered(road: Road, review: Review) -> list[int]:
    """The candidates that whoever opens the review is shown, likeliest first."""

    def look(tx: Transaction) -> list[int]:
        weighed = [event.evidence for event in links.history(tx, review.subject_id) if event.evidence]
        return [candidate.child_id for candidate in weighed[-1].candidates]

    return road.store.read_now(look)


def status(road: Road, note_id: str) -> str:
    found: str = road.value("SELECT status FROM note WHERE note_id = :note", note=note_id)
    return found


def test_a_child_called_new_is_offered_in_every_review_that_waits_for_it(road: Road, amara: int) -> None:
    (first, asked), (second, waits) = twin_waits(road), twin_waits(road, SOUTHWARK, Category.KNIFE)
    assert offered(road, waits) == [amara]
    new(road, asked)
    twin = road.child_of(first)
    assert offered(road, waits)[0] == twin
    assert status(road, first) == "new_child"
    same(road, waits, twin)
    assert (road.child_of(first), road.child_of(second)) == (twin, twin)
    assert status(road, second) == "linked"
    undo(road, waits)
    assert status(road, second) == "in_review"


def test_new_taken_back_takes_the_child_from_the_other_reviews(road: Road, amara: int) -> None:
    (first, asked), (second, waits) = twin_waits(road), twin_waits(road, SOUTHWARK, Category.KNIFE)
    new(road, asked)
    twin = road.child_of(first)
    undo(road, asked)
    assert road.child_of(first) == twin and road.standing_of(twin) == "awaiting_review"
    assert offered(road, waits) == [amara]
    with pytest.raises(NotAllowed, match="waits for a review itself"):
        same(road, waits, twin)
    assert road.child_of(second) == waits.holding_child_id


def test_who_is_said_to_be_a_record_that_holds_nothing_any_more_is_found_by_the_next_note(road: Road) -> None:
    """Its one note was moved meanwhile; now another stands there."""
    first = road.officer().writes(TWIN)
    twin = road.child_of(first)
    waits = road.review_of(road.officer("hale").writes(msgspec.structs.replace(TWIN, given_names="Tamsin")))
    road.store.write_now(
        lambda tx: answering.undo_link(
            tx, road.worlds.current(tx), GAFFER, road.subject_of(first), now=road.now
        )
    )
    assert road.standing_of(twin) == "retired"
    same(road, waits, twin)
    assert road.standing_of(twin) == "provisional"
    assert road.count("child_key", f"child_id = {twin}") > 0


def test_a_review_of_somebody_else_is_left_alone(road: Road, amara: int) -> None:
    jonas = Subject(
        given_names="Jonas", family_name="Lind", date_of_birth=datetime.date(2011, 3, 3), address="1 Lane",
        postcode="SE1 1AA",
    )  # fmt: skip
    road.child(jonas)
    other = road.review_of(road.officer().writes(msgspec.structs.replace(jonas, given_names="Pia")))
    events = road.count("link_event", f"subject_id = {other.subject_id}")
    new(road, twin_waits(road)[1])
    assert road.count("link_event", f"subject_id = {other.subject_id}") == events


def test_a_child_called_new_who_came_meanwhile_is_proposed_as_a_pair(road: Road, amara: int) -> None:
    note_id, asked = twin_waits(road)
    registered = road.child(TWIN)
    new(road, asked)
    [pair] = road.store.read_now(lambda tx: merges.waiting(tx, GAFFER))
    assert {pair.child_a, pair.child_b} == {registered, road.child_of(note_id)}
    # And without anybody new, nothing is proposed.
    other = road.officer().writes(msgspec.structs.replace(TWIN, given_names="Quentin"))
    new(road, road.review_of(other))
    assert len(road.store.read_now(lambda tx: merges.waiting(tx, GAFFER))) == 1


def test_new_taken_back_hides_no_child_that_other_notes_have_found(road: Road, amara: int) -> None:
    first, asked = twin_waits(road)
    new(road, asked)
    twin = road.child_of(first)
    second = road.officer("hale", SOUTHWARK).writes(TWIN, category=Category.KNIFE)
    assert road.child_of(second) == twin
    undo(road, asked)
    assert road.child_of(second) == twin
    assert road.standing_of(twin) == "provisional"
    assert road.standing_of(road.child_of(first)) == "awaiting_review"
    assert offered(road, asked)[0] == twin
    third = road.officer("grant").writes(TWIN, category=Category.MISSING)
    assert road.child_of(third) == twin
    waited_on = road.child_of(first)
    same(road, asked, twin)
    undo(road, asked)
    assert road.child_of(first) == waited_on
    assert (road.child_of(second), road.child_of(third)) == (twin, twin)
    assert road.count("child_key", f"child_id = {twin}") > 0


def test_new_taken_back_hides_no_record_that_was_merged(road: Road, amara: int) -> None:
    first, asked = twin_waits(road)
    new(road, asked)
    twin, other = road.child_of(first), road.child(msgspec.structs.replace(TWIN, given_names="Toby"))
    road.store.write_now(
        lambda tx: merging.merge(
            tx, road.worlds.current(tx), GAFFER, twin, other, now=road.now, reason="One boy"
        )
    )
    undo(road, asked)
    assert road.child_of(first) != twin
    assert road.standing_of(road.child_of(first)) == "awaiting_review"
    assert offered(road, asked)[0] in (twin, other)


def test_two_records_that_keep_a_note_from_being_linked_are_proposed_when_a_person_has_chosen(
    road: Road,
) -> None:
    first = road.child_of(road.officer().writes(AMARA))
    registered = road.child(AMARA, registry_id="r1")
    asked = road.review_of(road.officer("hale", SOUTHWARK).writes(AMARA, category=Category.KNIFE))
    same(road, asked, first)
    [pair] = road.store.read_now(lambda tx: merges.waiting(tx, GAFFER))
    assert {pair.child_a, pair.child_b} == {first, registered}


def test_brothers_and_sisters_among_the_candidates_are_not(road: Road, amara: int) -> None:
    new(road, twin_waits(road)[1])
    waits = road.review_of(road.officer().writes(msgspec.structs.replace(TWIN, given_names=None)))
    same(road, waits, amara)
    assert road.store.read_now(lambda tx: merges.waiting(tx, GAFFER)) == []


def test_a_link_that_new_evidence_put_in_doubt_leaves_the_child_when_it_is_taken_back(
    road: Road, amara: int
) -> None:
    officer = road.officer("okafor")
    note_id = officer.writes(AMARA)
    subject = road.subject_of(note_id)
    review = Action.REVIEW
    road.store.write_now(
        lambda tx: links.decide(tx, GAFFER_ACTOR, subject, review, amara, now=road.now, reason="In doubt")
    )
    road.store.write_now(
        lambda tx: answering.undo_link(tx, road.worlds.current(tx), GAFFER, subject, now=road.now)
    )
    assert road.child_of(note_id) != amara
    assert road.standing_of(amara) == "known"
