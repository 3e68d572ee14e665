"""What a link that is decided later, or taken back, leaves behind: boroughs, clocks, and the word "not the same"."""

from __future__ import annotations

import msgspec
import pytest

from server import answering, duty
from server.access.errors import NotAllowed
from server.records import children, links
from sync.note import Subject
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, LAMBETH, SOUTHWARK, Road, at, somebody

GAFFER = somebody("gaffer", "force_duty_officer", None)
DOUBTFUL = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)


@pytest.fixture
def amara(road: Road) -> int:
    return road.child(AMARA)


def take_off(road: Road, note_id: str) -> None:
    subject = road.subject_of(note_id)
    road.store.write_now(
        lambda tx: answering.undo_link(tx, road.worlds.current(tx), GAFFER, subject, now=road.now)
    )


def same(road: Road, note_id: str, child_id: int) -> None:
    review_id = road.review_of(note_id).review_id
    road.store.write_now(
        lambda tx: answering.answer_same(
            tx, road.worlds.current(tx), GAFFER, review_id, child_id, now=road.now
        )
    )


def not_same(road: Road, note_id: str, child_id: int) -> None:
    review_id = road.review_of(note_id).review_id
    road.store.write_now(
        lambda tx: answering.answer_not_same(
            tx, road.worlds.current(tx), GAFFER, review_id, child_id, now=road.now
        )
    )


def boroughs(road: Road, child_id: int) -> set[str]:
    return set(road.store.read_now(lambda tx: children.boroughs(tx, child_id)))


def ruled_out(road: Road, note_id: str) -> set[int]:
    subject = road.subject_of(note_id)
    return set(road.store.read_now(lambda tx: links.ruled_out(tx, subject)))


def test_a_borough_sees_a_child_as_long_as_a_note_of_its_stands_there(road: Road, amara: int) -> None:
    first = road.officer("osei", SOUTHWARK).writes(AMARA)
    second = road.officer("hale", SOUTHWARK).writes(AMARA)
    road.officer("grant", CAMDEN).writes(AMARA)
    assert boroughs(road, amara) == {LAMBETH, SOUTHWARK, CAMDEN}
    take_off(road, first)
    assert boroughs(road, amara) == {LAMBETH, SOUTHWARK, CAMDEN}
    take_off(road, second)
    assert boroughs(road, amara) == {LAMBETH, CAMDEN}
    same(road, first, amara)
    assert boroughs(road, amara) == {LAMBETH, SOUTHWARK, CAMDEN}


def test_the_owner_is_the_newest_note_s_again_when_a_link_is_taken_back(road: Road) -> None:
    homeless = road.child(AMARA, None)
    road.officer("grant", CAMDEN).writes(AMARA)
    road.passes(hours=24 * 40)
    note_id = road.officer("osei", SOUTHWARK).writes(AMARA)
    assert road.value("SELECT owner_borough FROM child WHERE child_id = :c", c=homeless) == SOUTHWARK
    take_off(road, note_id)
    assert road.value("SELECT owner_borough FROM child WHERE child_id = :c", c=homeless) == CAMDEN


def test_a_note_that_was_withdrawn_owns_nothing_and_is_still_seen_by_its_borough(road: Road) -> None:
    homeless = road.child(AMARA, None)
    road.officer("grant", CAMDEN).writes(AMARA)
    road.passes(hours=24 * 40)
    officer = road.officer("osei", SOUTHWARK)
    assert officer.sends(officer.withdrawal(officer.writes(AMARA))).v == "applied"
    assert road.value("SELECT owner_borough FROM child WHERE child_id = :c", c=homeless) == CAMDEN
    assert boroughs(road, homeless) == {CAMDEN, SOUTHWARK}


def test_a_clock_that_runs_goes_on_where_the_note_goes(road: Road, amara: int) -> None:
    note_id = road.officer().writes(DOUBTFUL, danger_now=True)
    [before] = road.alerts_of(road.child_of(note_id), "open")
    road.passes(minutes=20)
    same(road, note_id, amara)
    [after] = road.alerts_of(amara, "open")
    assert after.grade == "red"
    assert (after.started_at, after.deadline_at) == (before.started_at, before.deadline_at)
    road.passes(minutes=20)
    take_off(road, note_id)
    [back] = road.alerts_of(road.child_of(note_id), "open")
    assert (back.started_at, back.deadline_at) == (before.started_at, before.deadline_at)


def test_a_clock_that_somebody_has_answered_starts_anew_on_the_other_child(road: Road, amara: int) -> None:
    note_id = road.officer().writes(DOUBTFUL, danger_now=True)
    [alert] = road.alerts_of(road.child_of(note_id), "open")
    road.store.write_now(lambda tx: duty.acknowledge(tx, GAFFER, alert.alert_id, now=road.now))
    road.passes(minutes=20)
    same(road, note_id, amara)
    [after] = road.alerts_of(amara, "open")
    assert after.started_at == road.now


def amended(road: Road, note_id: str, subject: Subject) -> None:
    officer = road.officer("okafor")
    body = road.body(subject, observed_at=at(road.now - 600_000))
    assert officer.sends(officer.amendment(note_id, body)).v == "applied"


@pytest.mark.parametrize(
    ("change", "reopens"),
    [
        ({}, False),
        ({"phone": "07700 900123"}, False),
        ({"guardian": "Grace Bright"}, False),
        ({"upn": "A123456789012"}, True),
        ({"nhs_number": "9434765919"}, True),
        ({"given_names": "Amaka"}, True),
        ({"approximate_age": 11.0}, True),
    ],
    ids=[
        "nothing",
        "a phone the record lacks",
        "a guardian it lacks",
        "a UPN",
        "an NHS number",
        "the name",
        "the age",
    ],
)
def test_not_the_same_reopens_only_on_new_evidence_and_for_a_person(
    road: Road, amara: int, change: dict[str, object], reopens: bool
) -> None:
    note_id = road.officer().writes(DOUBTFUL)
    holding = road.child_of(note_id)
    not_same(road, note_id, amara)
    amended(road, note_id, msgspec.structs.replace(DOUBTFUL, **change))
    assert ruled_out(road, note_id) == (set() if reopens else {amara})
    assert road.child_of(note_id) == holding, "linkage alone never undoes what a person has said"
    if reopens:
        assert road.count("link_event", "action = 'maybe_same'") == 1


def test_a_reopened_child_is_offered_and_can_be_ruled_out_again(road: Road, amara: int) -> None:
    note_id = road.officer().writes(DOUBTFUL)
    not_same(road, note_id, amara)
    with pytest.raises(NotAllowed):
        same(road, note_id, amara)
    review_id = road.review_of(note_id).review_id
    road.store.write_now(lambda tx: answering.answer_cannot_tell(tx, GAFFER, review_id, now=road.now))
    amended(road, note_id, msgspec.structs.replace(AMARA, upn="A123456789012"))
    # The review that was closed waits again, since something new is known.
    assert road.review_of(note_id).review_id == review_id
    not_same(road, note_id, amara)
    assert ruled_out(road, note_id) == {amara}
    amended(road, note_id, msgspec.structs.replace(AMARA, upn="A123456789012"))
    assert ruled_out(road, note_id) == {amara}, "the same evidence is new once"
    later = msgspec.structs.replace(AMARA, upn="A123456789012", given_names="Amaka")
    amended(road, note_id, later)
    same(road, note_id, amara)
    assert road.child_of(note_id) == amara


def test_a_pattern_and_its_duty_follow_a_note_between_children(road: Road, amara: int) -> None:
    for username in ("lam", "khan"):
        road.officer(username).writes(AMARA, category=Category.MISSING)
        road.passes(hours=24 * 10)
    third = road.officer("hale").writes(AMARA, category=Category.MISSING)
    assert "missing_repeat" in road.flags_of(amara)
    take_off(road, third)
    assert "missing_repeat" not in road.flags_of(amara)
    for child in (amara, road.child_of(third)):
        live = road.rows(
            "SELECT n.note_id FROM subject s JOIN note n ON n.note_key = s.note_key WHERE s.child_id = :c",
            c=child,
        )
        carried = road.rows(
            "SELECT DISTINCT n.note_id FROM alert a JOIN alert_flag l ON l.alert_id = a.alert_id JOIN flag f ON"
            " f.flag_id = l.flag_id AND f.retracted_at IS NULL JOIN flag_note n ON n.flag_id = f.flag_id"
            " WHERE a.child_id = :c",
            c=child,
        )
        assert set(live) <= set(carried)
