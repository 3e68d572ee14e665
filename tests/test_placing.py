"""Which child a note stands on, from linkage's first word to a person's last, and what follows from each."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path

import msgspec
import pytest

from server import answering, duty, showing
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.answering import ReviewClosed
from server.casework.facts import HOUR_MS
from server.records import children_shown, index, links, reference
from server.records.links import Review
from server.storage import Transaction, open_store
from sync.note import Subject
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, LAMBETH, SOUTHWARK, TWIN, Road, at, somebody

RIVERA = somebody("rivera")
DOUBTFUL = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)
"""Name and age alone: never linked without a person."""


@pytest.fixture
def amara(road: Road) -> int:
    return road.child(AMARA)


def doubtful(road: Road) -> tuple[str, Review]:
    """A note that linkage leaves to a person, and its review."""
    note_id = road.officer().writes(DOUBTFUL)
    assert road.status_of(note_id) == "in_review"
    return note_id, road.review_of(note_id)


def same(road: Road, review: Review, child_id: int) -> None:
    road.store.write_now(
        lambda tx: answering.answer_same(
            tx, road.worlds.current(tx), RIVERA, review.review_id, child_id, now=road.now
        )
    )


def not_same(road: Road, review: Review, child_id: int) -> None:
    road.store.write_now(
        lambda tx: answering.answer_not_same(
            tx, road.worlds.current(tx), RIVERA, review.review_id, child_id, now=road.now
        )
    )


def undo(road: Road, review: Review) -> None:
    road.store.write_now(
        lambda tx: answering.undo(tx, road.worlds.current(tx), RIVERA, review.review_id, now=road.now)
    )


def test_while_it_waits_a_doubtful_note_has_a_record_and_a_duty_of_its_own(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)
    waiting = road.child_of(note_id)
    assert waiting == review.holding_child_id != amara
    assert road.standing_of(waiting) == "awaiting_review"
    assert [alert.borough for alert in road.alerts_of(waiting, "open")] == [LAMBETH]
    assert road.flags_of(amara) == []
    # Nothing is built on a guess: the record that waits is found by no other note.
    other = road.officer("lam").writes(DOUBTFUL)
    assert road.child_of(other) not in (waiting, amara)


def test_the_same_moves_note_flags_and_duty_to_the_child(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)
    same(road, review, amara)
    assert road.child_of(note_id) == amara
    assert road.flags_of(amara) == ["concern"]
    assert len(road.alerts_of(amara, "open")) == 1
    assert road.standing_of(review.holding_child_id) == "retired"
    assert road.alerts_of(review.holding_child_id, "open") == []
    assert road.flags_of(review.holding_child_id) == []
    assert road.pulled("okafor") == {note_id: "linked"}


def test_the_same_taken_back_puts_everything_where_it_was(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)
    same(road, review, amara)
    undo(road, review)
    assert road.child_of(note_id) == review.holding_child_id
    assert road.flags_of(amara) == []
    assert road.alerts_of(amara, "open") == []
    assert road.standing_of(review.holding_child_id) == "awaiting_review"
    assert road.flags_of(review.holding_child_id) == ["concern"]
    assert len(road.alerts_of(review.holding_child_id, "open")) == 1
    assert road.review_of(note_id).review_id == review.review_id
    same(road, review, amara)
    assert road.flags_of(amara) == ["concern"]
    # Nothing was forgotten on the way.
    actions = [event.action for event in road.store.read_now(lambda tx: links.history(tx, review.subject_id))]
    assert actions == ["review", "link", "unlink", "review", "link"]


def test_undoing_twice_or_before_an_answer_changes_nothing(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)
    undo(road, review)
    assert road.review_of(note_id) == review
    same(road, review, amara)
    undo(road, review)
    events = road.count("link_event")
    undo(road, review)
    assert road.count("link_event") == events


def test_new_confirms_the_record_and_linkage_finds_it_from_then_on(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)

    def new(tx: Transaction) -> None:
        answering.answer_new(tx, road.worlds.current(tx), RIVERA, review.review_id, now=road.now)

    road.store.write_now(new)
    child = road.child_of(note_id)
    assert road.standing_of(child) == "known"
    assert road.count("child_key", f"child_id = {child}") > 0
    assert len(road.alerts_of(child, "open")) == 1
    undo(road, review)
    assert road.standing_of(road.child_of(note_id)) == "awaiting_review"
    assert road.count("child_key", f"child_id = {child}") == 0


def test_not_the_same_rules_one_candidate_out_for_good(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)
    not_same(road, review, amara)
    not_same(road, review, amara)
    assert road.count("link_event", "action = 'not_same'") == 1
    assert road.review_of(note_id).closed_at is None
    with pytest.raises(NotAllowed):
        same(road, review, amara)
    assert road.child_of(note_id) == review.holding_child_id
    # Not even a better description changes what a person has said.
    officer = road.officer("okafor")
    assert officer.sends(officer.amendment(note_id, road.body(AMARA))).v == "applied"
    assert road.child_of(note_id) == review.holding_child_id


def test_cannot_tell_leaves_the_note_its_own_record_and_duty(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)
    road.store.write_now(lambda tx: answering.answer_cannot_tell(tx, RIVERA, review.review_id, now=road.now))
    assert road.child_of(note_id) == review.holding_child_id
    assert len(road.alerts_of(review.holding_child_id, "open")) == 1
    assert road.store.read_now(lambda tx: links.waiting(tx, RIVERA)) == []
    undo(road, review)
    assert road.review_of(note_id).review_id == review.review_id


def test_only_the_first_of_two_answers_counts(road: Road, amara: int) -> None:
    _, review = doubtful(road)
    same(road, review, amara)
    events = road.count("link_event")
    with pytest.raises(ReviewClosed):
        same(road, review, amara)
    with pytest.raises(ReviewClosed):
        road.store.write_now(
            lambda tx: answering.answer_cannot_tell(tx, RIVERA, review.review_id, now=road.now)
        )
    with pytest.raises(ReviewClosed):
        not_same(road, review, amara)
    assert road.count("link_event") == events


def test_a_child_that_was_not_offered_cannot_be_chosen(road: Road, amara: int) -> None:
    stranger = road.child(TWIN)
    note_id, review = doubtful(road)
    for outside in (review.holding_child_id, max(stranger, amara, review.holding_child_id) + 1):
        with pytest.raises(NotAllowed):
            same(road, review, outside)
        with pytest.raises(NotAllowed):
            not_same(road, review, outside)
    assert road.review_of(note_id).closed_at is None


@pytest.mark.parametrize(
    "person",
    [
        somebody("elsewhere", borough=CAMDEN),
        somebody("officer", "ward_officer"),
        somebody("auditor", "auditor", None),
    ],
    ids=["another borough", "no desk role", "auditor"],
)
def test_who_may_not_decide_sees_no_review(road: Road, amara: int, person: Person) -> None:
    _, review = doubtful(road)
    assert road.store.read_now(lambda tx: links.waiting(tx, person)) == []
    with pytest.raises(NotAllowed):
        road.store.read_now(lambda tx: links.require_review(tx, person, review.review_id))
    with pytest.raises(NotAllowed):
        road.store.write_now(
            lambda tx: answering.answer_cannot_tell(tx, person, review.review_id, now=road.now)
        )


def test_an_automatic_link_can_be_undone_and_decided_again(road: Road, amara: int) -> None:
    road.officer("lam").writes(AMARA, category=Category.KNIFE)
    road.passes(hours=48)
    note_id = road.officer().writes(AMARA)
    assert road.child_of(note_id) == amara
    subject = road.subject_of(note_id)

    def take_off(tx: Transaction) -> int:
        return answering.undo_link(tx, road.worlds.current(tx), RIVERA, subject, now=road.now)

    review_id = road.store.write_now(take_off)
    holding = road.child_of(note_id)
    assert holding != amara
    assert road.standing_of(holding) == "awaiting_review"
    assert len(road.alerts_of(holding, "open")) == 1
    review = road.review_of(note_id)
    assert review.review_id == review_id
    same(road, review, amara)
    assert road.child_of(note_id) == amara
    # Undone again: the same record takes it back in, and no third one is made.
    road.store.write_now(take_off)
    assert road.child_of(note_id) == holding


def test_undoing_a_link_needs_the_child_in_sight_and_the_reason_of_a_restricted_record(road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    note_id, review = doubtful(road)
    same(road, review, child)
    subject = road.subject_of(note_id)

    def take_off(person: Person, reason: str | None = None, which: int = subject) -> None:
        road.store.write_now(
            lambda tx: answering.undo_link(
                tx, road.worlds.current(tx), person, which, now=road.now, reason=reason
            )
        )

    with pytest.raises(NotAllowed):
        take_off(somebody("elsewhere", borough=CAMDEN))
    with pytest.raises(NotAllowed):
        take_off(RIVERA, which=subject + 1000)
    with pytest.raises(ReasonNeeded):
        take_off(RIVERA)
    take_off(RIVERA, "Linked by mistake, I spoke to the school")
    assert road.child_of(note_id) != child


def test_a_restricted_record_is_never_linked_without_a_person(road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    note_id = road.officer().writes(AMARA)
    assert road.child_of(note_id) != child
    review = road.review_of(note_id)
    same(road, review, child)
    assert road.child_of(note_id) == child


def test_two_subjects_of_one_note_stay_two_children_after_every_decision(road: Road, amara: int) -> None:
    officer = road.officer()
    note_id = officer.writes(AMARA, DOUBTFUL)
    assert road.child_of(note_id, 0) == amara
    assert road.child_of(note_id, 1) != amara
    officer.sends(officer.amendment(note_id, road.body(AMARA, AMARA)))
    assert road.child_of(note_id, 1) != amara
    waiting = road.store.read_now(lambda tx: links.waiting(tx, RIVERA))
    for review in waiting:
        with pytest.raises(NotAllowed):
            same(road, review, amara)
    assert road.child_of(note_id, 1) != amara


def test_a_link_decided_later_completes_a_pattern_and_undoing_it_takes_the_pattern_away(
    road: Road, amara: int
) -> None:
    for username in ("lam", "khan"):
        road.officer(username).writes(AMARA, category=Category.MISSING)
        road.passes(hours=24 * 10)
    note_id = road.officer().writes(DOUBTFUL, category=Category.MISSING)
    review = road.review_of(note_id)
    assert "missing_repeat" not in road.flags_of(amara)
    same(road, review, amara)
    assert "missing_repeat" in road.flags_of(amara)
    assert road.alerts_of(amara, "open")[-1].grade == "amber"
    undo(road, review)
    assert "missing_repeat" not in road.flags_of(amara)


def test_an_acknowledged_alert_tells_the_author_and_a_later_link_does_not_untell(
    road: Road, amara: int
) -> None:
    note_id, review = doubtful(road)
    [alert] = road.alerts_of(review.holding_child_id)
    road.store.write_now(lambda tx: duty.acknowledge(tx, RIVERA, alert.alert_id, now=road.now))
    assert road.pulled("okafor") == {note_id: "seen"}
    same(road, review, amara)
    assert road.pulled("okafor") == {note_id: "seen"}


def test_a_review_shows_field_by_field_what_agrees_and_how_much_it_weighs(road: Road, amara: int) -> None:
    _, review = doubtful(road)
    shown = road.store.read_now(
        lambda tx: showing.review(
            tx, road.worlds.current(tx).decider.model, RIVERA, review.review_id, now=road.now
        )
    )
    assert shown.explained is not None
    candidate = shown.explained.candidates[0]
    assert candidate.child_id == amara and not candidate.withheld
    fields = {field.name: field for field in candidate.fields}
    assert fields["given_names"].described == fields["given_names"].known == "Amara"
    assert fields["given_names"].outcome == "agree" and fields["given_names"].weight > 0
    assert fields["date_of_birth"].described is not None
    assert fields["date_of_birth"].described.startswith("about 13 on ")
    assert fields["date_of_birth"].known == "4 March 2012"
    assert fields["school"].outcome == "missing" and fields["school"].weight == 0
    total = (
        candidate.start_weight + sum(field.weight for field in candidate.fields) + candidate.household_weight
    )
    assert total == pytest.approx(candidate.total_weight, abs=0.1)
    assert shown.explained.new_probability is not None
    odds = sum(each.probability or 0 for each in shown.explained.candidates) + shown.explained.new_probability
    assert odds == pytest.approx(1.0, abs=1e-5)


def may_see(road: Road, person: Person, child_id: int) -> None:
    road.store.read_now(lambda tx: children_shown.require_sight(tx, person, child_id))


def test_a_record_whose_notes_moved_to_a_restricted_child_is_withheld_with_it(road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    _, review = doubtful(road)
    same(road, review, child)
    without = msgspec.structs.replace(RIVERA, permissions=RIVERA.permissions - {"restricted.view"})
    for child_id in (child, review.holding_child_id):
        with pytest.raises(NotAllowed):
            may_see(road, without, child_id)


def test_a_borough_that_had_the_note_may_see_the_child_it_was_linked_to(road: Road) -> None:
    child = road.child(AMARA, home="E09000008")
    _, review = doubtful(road)
    with pytest.raises(NotAllowed):
        may_see(road, RIVERA, child)
    same(road, review, child)
    may_see(road, RIVERA, child)


def test_a_review_withholds_a_record_that_is_restricted_to_others(road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    _, review = doubtful(road)
    without = msgspec.structs.replace(RIVERA, permissions=RIVERA.permissions - {"restricted.view"})
    shown = road.store.read_now(
        lambda tx: showing.review(
            tx, road.worlds.current(tx).decider.model, without, review.review_id, now=road.now
        )
    )
    assert shown.known == {} and shown.explained is not None
    [candidate] = shown.explained.candidates
    assert candidate.child_id == child and candidate.withheld
    assert candidate.closed and candidate.fields == () and candidate.steps == ()
    assert candidate.probability is None and shown.explained.new_probability is None
    told = msgspec.json.encode((shown.explained, [event.reason for event in shown.events])).decode().lower()
    for word in ("coldharbour", "agree", "differ", "given name", "age", "could be"):
        assert word not in told, word
    assert {event.probability for event in shown.events} == {None}
    with pytest.raises(NotAllowed):
        road.store.write_now(
            lambda tx: answering.answer_same(
                tx, road.worlds.current(tx), without, review.review_id, child, now=road.now
            )
        )


def test_the_timeline_is_one_story_with_reasons(road: Road, amara: int) -> None:
    officer = road.officer()
    first = officer.writes(AMARA)
    road.passes(hours=30)
    second, review = doubtful(road)
    same(road, review, amara)
    officer.sends(officer.withdrawal(first))
    line = road.store.read_now(
        lambda tx: showing.timeline(tx, road.worlds.current(tx).decider.model, RIVERA, amara, now=road.now)
    )
    assert [entry.note.note_id for entry in line.entries] == [second, first]
    newer, older = line.entries
    assert older.link is not None and older.link.author == "system" and older.link.probability is not None
    assert older.evidence is not None and older.evidence.child_id == amara
    assert older.note.withdrawn_at is not None and len(older.note.amendments) == 1
    # A person's decision carries none of its own: what they had before them was linkage's.
    assert newer.link is not None and newer.link.author == "rivera"
    assert newer.evidence is not None and newer.evidence.child_id == amara
    assert {flag.retracted_at is None for flag in line.flags} == {True, False}
    assert line.steps[0].kind == "raised"


def test_a_note_that_comes_late_counts_where_it_belongs(road: Road, amara: int) -> None:
    """Two missing episodes now and one of two months ago that only now comes in: the third in 90 days."""
    for username in ("lam", "khan"):
        road.officer(username).writes(AMARA, category=Category.MISSING)
        road.passes(hours=72)
    road.officer().writes(AMARA, category=Category.MISSING, observed_at=at(road.now - 60 * 24 * HOUR_MS))
    assert "missing_repeat" in road.flags_of(amara)


def test_a_transfer_leaves_the_borough_that_knew_the_child_able_to_see(road: Road) -> None:
    child = road.child(AMARA, home=SOUTHWARK)
    road.officer("okafor", LAMBETH).writes(AMARA)
    [alert] = road.alerts_of(child)
    assert alert.borough == SOUTHWARK
    for borough in (LAMBETH, SOUTHWARK):
        person = somebody(f"of {borough}", borough=borough)
        assert seen_by(road, person, child) == child
    with pytest.raises(NotAllowed):
        seen_by(road, somebody("far", borough=CAMDEN), child)


def seen_by(road: Road, person: Person, child_id: int) -> int:
    return road.store.read_now(lambda tx: showing.child(tx, person, child_id, now=road.now)).child.child_id


def wait_for_the_world() -> None:
    for thread in threading.enumerate():
        if thread.name == "earlysign-world":
            thread.join()


def test_a_running_server_loads_what_changed_beside_the_work(tmp_path: Path) -> None:
    """A note never waits for it: it goes on with what there was, and the next ones have the new."""
    store = open_store(tmp_path / "earlysign.db")
    store.migrate()
    road = Road(store)
    before = road.world
    road.worlds.load_beside(store)
    index.count_again(store)
    assert road.world is before
    wait_for_the_world()
    after = road.world
    assert after is not before and road.world is after
    # A database that cannot be read now is asked again by the next note.
    store.write_now(lambda tx: reference.changed(tx))
    store.close_now()
    other = open_store(tmp_path / "earlysign.db")
    assert other.read_now(road.worlds.current) is after
    wait_for_the_world()
    road.worlds.load_beside(other)
    assert other.read_now(road.worlds.current) is after
    wait_for_the_world()
    assert other.read_now(road.worlds.current) is not after
    other.close_now()


def shown_to(road: Road, person: Person, review: Review) -> showing.ReviewShown:
    return road.store.read_now(
        lambda tx: showing.review(
            tx, road.worlds.current(tx).decider.model, person, review.review_id, now=road.now
        )
    )


def maybe_same(road: Road, review: Review, child_id: int) -> None:
    road.store.write_now(
        lambda tx: answering.answer_maybe_same(tx, RIVERA, review.review_id, child_id, now=road.now)
    )


def test_a_candidate_ruled_out_by_mistake_is_one_again_and_every_word_is_kept(road: Road, amara: int) -> None:
    note_id, review = doubtful(road)
    not_same(road, review, amara)
    assert shown_to(road, RIVERA, review).ruled_out == {amara}
    with pytest.raises(NotAllowed):
        same(road, review, amara)
    maybe_same(road, review, amara)
    maybe_same(road, review, amara)  # twice changes nothing
    shown = shown_to(road, RIVERA, review)
    assert shown.ruled_out == frozenset()
    assert [event.action.value for event in shown.events] == ["review", "not_same", "maybe_same"]
    not_same(road, review, amara)
    assert shown_to(road, RIVERA, review).ruled_out == {amara}
    maybe_same(road, review, amara)
    same(road, review, amara)
    assert road.child_of(note_id) == amara
    with pytest.raises(ReviewClosed):
        maybe_same(road, review, amara)


def test_a_record_that_changed_since_is_said_to_have_with_both_weights(road: Road, amara: int) -> None:
    _, review = doubtful(road)
    before = shown_to(road, RIVERA, review)
    assert before.explained is not None and before.explained.candidates[0].changed is None
    moved = msgspec.structs.replace(before.known[amara].details, given_names="Amarachi")
    road.registry_says(amara, moved)
    shown = shown_to(road, RIVERA, review)
    assert shown.explained is not None
    [candidate] = shown.explained.candidates
    assert candidate.changed == "The record has changed since this was decided."
    then, now = before.explained.candidates[0], candidate
    assert now.total_weight == then.total_weight and now.total_now is not None
    fields = {field.name: field for field in candidate.fields}
    given = fields["given_names"]
    assert given.known == "Amarachi" and given.words == "the same", "what the model used is what it used"
    assert given.now is not None and given.now.words == "a short form of the same name"
    assert given.now.weight < given.weight
    assert fields["family_name"].now is None
    assert now.total_now < now.total_weight
    other = msgspec.structs.replace(
        moved, given_names="Zofia", family_name="Nowak", date_of_birth=datetime.date(2004, 1, 9)
    )
    road.registry_says(amara, other)
    again = shown_to(road, RIVERA, review)
    assert again.explained is not None
    [unlike] = again.explained.candidates
    assert unlike.changed == candidate.changed and unlike.total_now is None


def test_a_description_amended_since_is_said_to_be(road: Road, amara: int) -> None:
    officer = road.officer()
    note_id = officer.writes(DOUBTFUL)
    review = road.review_of(note_id)
    road.passes(minutes=5)
    again = msgspec.structs.replace(DOUBTFUL, family_name="Okonkwo", approximate_age=14.0)
    officer.sends(officer.amendment(note_id, road.body(again)))
    shown = shown_to(road, RIVERA, review)
    assert shown.explained is not None
    assert shown.explained.candidates[0].changed == (
        "The officer has described the child anew since this was decided."
    )


def test_of_a_restricted_candidate_the_values_wait_for_a_reason_whoever_looks(road: Road) -> None:
    road.child(AMARA, restricted=True)
    _, review = doubtful(road)
    shown = shown_to(road, RIVERA, review)
    assert shown.explained is not None
    [candidate] = shown.explained.candidates
    assert candidate.withheld and not candidate.closed and candidate.fields
    assert {field.known for field in candidate.fields} == {None}
    assert {field.known_read for field in candidate.fields} == {None}
    assert b"Coldharbour" not in msgspec.json.encode(shown.explained)
