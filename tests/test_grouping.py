"""A person says that a note tells of an event of its own, and takes it back: the rules follow both times."""

from __future__ import annotations

import pytest

from server import duty, grouping, merging
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.records import flags
from server.records.incident_decisions import Word
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, JONAS, Road, somebody

RIVERA = somebody("rivera")
LEE = somebody("lee", borough=CAMDEN)


def say(road: Road, note: str, word: Word, other: str | None = None, person: Person = RIVERA) -> int:
    world, subject = road.world, road.subject_of(note)
    child_id: int = road.store.write_now(
        lambda tx: grouping.say(
            tx, world, person, subject, word, "Another evening", now=road.now,
            other_id=None if other is None else road.subject_of(other),
        )
    )  # fmt: skip
    return child_id


def test_the_rules_count_a_note_that_was_taken_out_by_itself_until_it_is_put_back(road: Road) -> None:
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    other = road.officer("lindqvist").writes(AMARA)
    road.officer("bello").writes(AMARA)
    joined = road.flags_of(child)
    before = road.rows("SELECT flag_key FROM flag WHERE retracted_at IS NULL ORDER BY flag_key")
    assert say(road, other, Word.APART) == child
    assert road.value("SELECT apart FROM subject WHERE subject_id = :s", s=road.subject_of(other)) == 1
    parted = road.rows("SELECT flag_key, sentence FROM flag WHERE retracted_at IS NULL ORDER BY flag_key")
    say(road, other, Word.APART)
    assert road.count("incident_decision") == 1, "saying it twice says no more"
    say(road, other, Word.AS_FOUND)
    assert road.flags_of(child) == joined
    assert road.rows("SELECT flag_key FROM flag WHERE retracted_at IS NULL ORDER BY flag_key") == before
    assert parted != road.rows(
        "SELECT flag_key, sentence FROM flag WHERE retracted_at IS NULL ORDER BY flag_key"
    )
    assert (
        road.value("SELECT COUNT(*) FROM audit_entry WHERE reason = 'incident' AND verb = 'alteration'") == 2
    )


def test_only_those_who_may_see_the_child_group_its_notes(road: Road) -> None:
    road.child(AMARA)
    note = road.officer().writes(AMARA)
    with pytest.raises(NotAllowed):
        say(road, note, Word.APART, person=LEE)
    with pytest.raises(NotAllowed):
        say(road, note, Word.APART, person=somebody("quill", "scrutiny", None))


def counted(road: Road, child: int) -> set[str]:
    """The rules that hold of a child, but for single concerns."""
    return {key for key in road.flags_of(child) if key != "concern"}


def unlike(road: Road, officer: str, category: Category, hours: float) -> str:
    road.passes(hours=hours)
    return road.officer(officer).writes(AMARA, category=category, saw_or_heard=f"Seen by {officer} alone")


def test_two_notes_that_are_unlike_count_as_one_once_a_person_says_so_and_as_two_when_it_is_taken_back(
    road: Road,
) -> None:
    child = road.child(AMARA)
    first = unlike(road, "lam", Category.KNIFE, 0)
    second = unlike(road, "khan", Category.SCHOOL_ABSENCE, 30)
    third = unlike(road, "bello", Category.NEGLECT, 30)
    assert counted(road, child) == {"notes_repeat", "sources_several"}
    alert = road.value("SELECT MAX(alert_id) FROM alert")
    assert say(road, second, Word.JOINED, first) == child
    assert counted(road, child) == {"sources_several"}, "two events now, by two officers or more"
    kinds = road.rows("SELECT kind FROM alert_event WHERE alert_id = :a", a=alert)
    assert ("lessened",) in kinds, "whoever was alerted is told in the same transaction"
    say(road, third, Word.JOINED, second)
    assert counted(road, child) == set(), "one event, however it was put together"
    say(road, second, Word.AS_FOUND)
    assert counted(road, child) == {"sources_several"}, "the first and the third stay one"
    say(road, first, Word.AS_FOUND)
    assert counted(road, child) == {"notes_repeat", "sources_several"}
    assert road.count("incident_decision") == 6, "both sides of each joining, and each taking back"
    entries = "SELECT COUNT(*) FROM audit_entry WHERE reason = 'incident' AND verb = 'alteration'"
    assert road.value(entries) == 4, "an entry for each decision, with the notes of both sides"


def test_a_concern_that_another_flag_takes_up_says_so_and_its_alert_goes_on_with_its_clock(
    road: Road,
) -> None:
    child = road.child(AMARA)
    road.officer("lam").writes(AMARA)
    road.passes(minutes=5)
    second = road.officer("khan").writes(AMARA)
    (first_alert,) = road.alerts_of(child, "open")
    road.store.write_now(lambda tx: duty.acknowledge(tx, RIVERA, first_alert.alert_id, now=road.now))
    unlike(road, "bello", Category.KNIFE, 30)
    (before,) = road.alerts_of(child, "open")
    road.passes(hours=2)
    say(road, second, Word.APART)
    (after,) = road.alerts_of(child, "open")
    assert after.alert_id == before.alert_id, "its flag is part of another now, and the duty is the same one"
    assert after.why.startswith("Three separate concerns")
    assert (after.started_at, after.deadline_at) == (before.started_at, before.deadline_at)
    gone = road.rows("SELECT rule, retraction FROM flag WHERE retracted_at IS NOT NULL")
    assert gone == [("concern", f"Another flag says it now: {after.why}")]
    kinds = [kind for (kind,) in road.rows("SELECT kind FROM alert_event ORDER BY event_id")]
    assert "lessened" not in kinds and "closed" not in kinds, "nothing of what anybody was told is gone"
    say(road, second, Word.AS_FOUND)
    reasons = {reason for (reason,) in road.rows("SELECT retraction FROM flag WHERE rule = 'notes_repeat'")}
    assert reasons == {flags.FOUND_NO_MORE}, "its notes stand"


def test_a_note_that_was_joined_anew_is_not_with_those_of_before(road: Road) -> None:
    child = road.child(AMARA)
    first = unlike(road, "lam", Category.KNIFE, 0)
    second = unlike(road, "khan", Category.SCHOOL_ABSENCE, 30)
    third = unlike(road, "bello", Category.NEGLECT, 30)
    say(road, second, Word.JOINED, first)
    say(road, first, Word.AS_FOUND)
    say(road, first, Word.JOINED, third)
    events = dict(road.rows("SELECT subject_id, event FROM subject ORDER BY subject_id"))
    assert events[road.subject_of(first)] == events[road.subject_of(third)] != events[road.subject_of(second)]
    assert counted(road, child) == {"sources_several"}
    say(road, first, Word.JOINED, third)
    assert road.count("incident_decision") == 5, "saying it twice says no more"
    say(road, first, Word.APART)
    assert counted(road, child) == {"notes_repeat", "sources_several"}
    say(road, second, Word.JOINED, first)
    assert road.value("SELECT apart FROM subject WHERE subject_id = :s", s=road.subject_of(first)) == 0


def test_only_notes_about_one_child_are_one_event_also_where_its_records_were_merged(road: Road) -> None:
    one, other = road.child(AMARA), road.child(JONAS)
    first = unlike(road, "lam", Category.KNIFE, 0)
    road.passes(hours=30)
    second = road.officer("khan").writes(JONAS, category=Category.NEGLECT)
    with pytest.raises(NotAllowed):
        say(road, second, Word.JOINED, first)
    with pytest.raises(NotAllowed):
        say(road, second, Word.JOINED, second)
    with pytest.raises(NotAllowed):
        say(road, second, Word.JOINED)
    gaffer = somebody("gaffer", "force_duty_officer", None)
    done = road.store.write_now(
        lambda tx: merging.merge(
            tx, road.worlds.current(tx), gaffer, one, other, now=road.now, reason="the same"
        )
    )
    joint = "SELECT COUNT(*) FROM flag WHERE joint = 1 AND rule = 'sources_several' AND retracted_at IS NULL"
    assert road.value(joint) == 1
    say(road, second, Word.JOINED, first)
    assert road.value(joint) == 0
    road.store.write_now(
        lambda tx: merging.undo(tx, road.worlds.current(tx), gaffer, done.event_id, now=road.now)
    )
    assert counted(road, one) == counted(road, other) == set(), "each has one note, as it would have been"
