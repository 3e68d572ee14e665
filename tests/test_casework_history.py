"""Whatever happens, in whatever order: the flags that stand are what the rules say of the notes, from nothing.

Histories of notes, late arrivals, amendments, withdrawals and relinking go through the real intake and placing.
What ought to stand is worked out by `tests.casework.oracle`, which shares no code with the server.
"""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from server import answering, duty, grouping
from server.access.errors import NotAllowed
from server.access.policy import Permission
from server.answering import ReviewClosed
from server.casework.facts import HOUR_MS
from server.casework.grades import GradeRefused
from server.jobs import escalation
from server.records import alerts, handing, open_cases
from server.records.alerts import AlertConflict
from server.records.incident_decisions import Word
from server.storage import open_store
from sync.note import MissingEpisode, Subject
from sync.vocabulary import Category, Grade
from tests.alerts.ways import person
from tests.casework.oracle import flags_from_nothing
from tests.road import AMARA, JONAS, LAMBETH, SOUTHWARK, Officer, Road, at, somebody

SMALL = Subject(
    given_names="Mirembe",
    family_name="Nakato",
    date_of_birth=datetime.date(2018, 5, 5),
    address="77 Camberwell Grove",
    postcode="SE5 7AA",
)
SUBJECTS = (AMARA, JONAS, SMALL)
BOSS = somebody("boss", "supervisor")
CATEGORIES = (
    Category.NEGLECT,
    Category.KNIFE,
    Category.COUNTY_LINES,
    Category.MISSING,
    Category.DOMESTIC_ABUSE_HOUSEHOLD,
    Category.SCHOOL_ABSENCE,
)
WORDS = ("river", "market", "stairwell")

content = st.fixed_dictionaries(
    {
        "category": st.sampled_from(CATEGORIES),
        "words": st.sampled_from(WORDS),
        "late_hours": st.sampled_from([0, 1, 30, 24 * 20, 24 * 100]),
        "danger_now": st.sampled_from([False, False, False, True]),
        "missing_hours": st.sampled_from([None, None, 2.0, 30.0]),
        "protection": st.sampled_from([False, False, False, True]),
        "indicator": st.sampled_from([False, False, True]),
    }
)
write = st.tuples(st.just("write"), st.integers(0, 2), st.integers(0, 2), content)
amend = st.tuples(st.just("amend"), st.integers(0, 9), content)
withdraw = st.tuples(st.just("withdraw"), st.integers(0, 9))
relink = st.tuples(st.just("relink"), st.integers(0, 9), st.sampled_from(["same", "new", "wait"]))
group = st.tuples(
    st.just("group"),
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from(["apart", "joined", "joined", "as_found"]),
)
case = st.tuples(st.just("case"), st.integers(0, 2), st.sampled_from(["begin", "begin", "end"]))
pause = st.tuples(st.just("pass"), st.sampled_from([0.2, 3, 30, 24 * 15, 24 * 60]))
HISTORY = st.lists(
    st.one_of(write, write, amend, withdraw, relink, group, group, case, pause), min_size=1, max_size=14
)


class Played:
    """A history as it is played, and what ought to be known of each note."""

    def __init__(self, road: Road) -> None:
        self.road = road
        self.officers = [road.officer(f"pc{n}", LAMBETH) for n in range(3)]
        self.notes: dict[str, SimpleNamespace] = {}
        self.events = 0
        self.ids = [road.child(subject) for subject in SUBJECTS]
        person(road, "south", borough=SOUTHWARK)
        self.cases: dict[int, int] = {}
        """The open case of each child that has one."""

    def play(self, step: tuple[Any, ...]) -> None:
        kind, *rest = step
        if kind == "pass":
            self.road.passes(hours=rest[0])
        elif kind in ("write", "case"):
            getattr(self, kind)(*rest)
        elif self.notes:
            note = list(self.notes.values())[rest[0] % len(self.notes)]
            getattr(self, kind)(note, *rest[1:])

    def write(self, who: int, officer: int, said: dict[str, Any]) -> None:
        self.road.passes(minutes=1)
        note = SimpleNamespace(note_id=str(uuid.uuid4()), subject=SUBJECTS[who], withdrawn=False)
        note.received_at, note.phone = self.road.now, self.officers[officer]
        note.author = note.source = note.phone.identity.username
        note.apart, note.event = False, None
        self.say(note, said)
        line = note.phone.note(note.subject, note_id=note.note_id, **self.body(note, said))[1]
        newest = self.road.value("SELECT COALESCE(MAX(alert_id), 0) FROM alert")
        assert note.phone.sends(line).v == "applied"
        self.notes[note.note_id] = note
        self.check_routing(newest)

    def say(self, note: SimpleNamespace, said: dict[str, Any]) -> None:
        """What the oracle reads of a note, worked out here and not by the server."""
        note.observed_at = note.received_at - said["late_hours"] * HOUR_MS
        note.categories = [said["category"].value]
        note.missing_hours = said["missing_hours"]
        note.danger_now, note.indicator = said["danger_now"], said["indicator"]
        note.protected, note.words = said["protection"], {said["words"], "heard", "shouting"}
        note.latitude = note.longitude = note.place = None

    def body(self, note: SimpleNamespace, said: dict[str, Any]) -> dict[str, Any]:
        hours = said["missing_hours"]
        return {
            "observed_at": at(note.observed_at),
            "recorded_at": at(note.observed_at),
            "category": said["category"],
            "saw_or_heard": f"Heard shouting by the {said['words']}",
            "danger_now": said["danger_now"],
            "missing": None if hours is None else MissingEpisode(hours=hours),
            "exploitation_indicator": said["indicator"],
            "police_protection_from": at(note.observed_at) if said["protection"] else None,
        }

    def amend(self, note: SimpleNamespace, said: dict[str, Any]) -> None:
        self.say(note, said)
        phone: Officer = note.phone
        anew = self.road.body(note.subject, **self.body(note, said))
        assert phone.sends(phone.amendment(note.note_id, anew)).v == "applied"

    def withdraw(self, note: SimpleNamespace) -> None:
        note.withdrawn = True
        assert note.phone.sends(note.phone.withdrawal(note.note_id)).v == "applied"

    def relink(self, note: SimpleNamespace, then: str) -> None:
        """A person takes the link back, and decides it again or leaves it."""
        road, subject = self.road, self.road.subject_of(note.note_id)
        was = road.child_of(note.note_id)

        def decide(tx: Any) -> None:
            world = road.worlds.current(tx)
            review = answering.take_back(tx, world, BOSS, subject, now=road.now)
            if then == "same":
                answering.answer_same(tx, world, BOSS, review, was, now=road.now)
            elif then == "new":
                answering.answer_new(tx, world, BOSS, review, now=road.now)

        try:
            road.store.write_now(decide)
        except (NotAllowed, ReviewClosed):
            # The child it was on is no candidate any more: nothing of it happened.
            assert road.child_of(note.note_id) == was

    def case(self, who: int, how: str) -> None:
        """A case of a child is opened in another borough, or ended."""
        road, child_id = self.road, self.ids[who]
        if how == "begin" and child_id not in self.cases:
            self.cases[child_id] = road.store.write_now(
                lambda tx: open_cases.begin(
                    tx, BOSS, child_id, SOUTHWARK, "south", "Section 17", now=road.now
                )
            )
        elif how == "end" and child_id in self.cases:
            case_id = self.cases.pop(child_id)
            road.store.write_now(lambda tx: open_cases.end(tx, BOSS, case_id, "Over", now=road.now))

    def check_routing(self, newest: int) -> None:
        """What this note has raised went to the lead of the open case, or where there is none to the child's home."""
        for child_id, borough, owner in self.road.rows(
            "SELECT child_id, borough, owner FROM alert WHERE alert_id > :newest", newest=newest
        ):
            wanted = (SOUTHWARK, "south") if child_id in self.cases else (LAMBETH, None)
            assert (borough, owner) == wanted

    def group(self, note: SimpleNamespace, number: int, word: str) -> None:
        """A person says that a note tells of an event of its own, of the same as another, or takes either back."""
        road, other = self.road, list(self.notes.values())[number % len(self.notes)]
        one_id, other_id = road.subject_of(note.note_id), road.subject_of(other.note_id)
        try:
            road.store.write_now(
                lambda tx: grouping.say(
                    tx, road.worlds.current(tx), BOSS, one_id, Word(word), "The mother says so",
                    now=road.now, other_id=other_id if word == "joined" else None,
                )
            )  # fmt: skip
        except NotAllowed:
            return  # it is about nobody yet, or the other is about another child
        if word == "joined":
            before = {note.event, other.event} - {None}
            self.events += 1
            for one in self.notes.values():
                if one in (note, other) or one.event in before:
                    one.apart, one.event = False, self.events
        else:
            note.apart, note.event = word == "apart", None

    def check(self) -> None:
        road = self.road
        for (child_id,) in road.rows("SELECT child_id FROM child"):
            here = [note for note in self.notes.values() if road.child_of(note.note_id) == child_id]
            stands: dict[str, set[str]] = {}
            for key, note_id in road.rows(
                "SELECT f.flag_key, n.note_id FROM flag f LEFT JOIN flag_note n ON n.flag_id = f.flag_id"
                " WHERE f.child_id = :child AND f.retracted_at IS NULL",
                child=child_id,
            ):
                stands.setdefault(key, set()).add(note_id)
            rules = {key: ids for key, ids in stands.items() if not key.startswith("concern:")}
            born = here[0].subject.date_of_birth if here else None
            school = bool(here and here[0].subject.school)
            assert rules == flags_from_nothing(here, born=born, school=school)
            # And no live note is nobody's, nor a dead one somebody's.
            live = {note.note_id for note in here if not note.withdrawn}
            assert set().union(*stands.values(), set()) == live
        assert road.count("flag", "retracted_at IS NOT NULL AND retraction IS NULL") == 0


def played(check_each: bool) -> Callable[[list[tuple[Any, ...]]], None]:
    def run(history: list[tuple[Any, ...]]) -> None:
        store = open_store(":memory:")
        try:
            store.migrate()
            story = Played(Road(store))
            for step in history:
                story.play(step)
                if check_each:
                    story.check()
            story.check()
        finally:
            store.close_now()

    return run


USUAL = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


@settings(max_examples=120, **USUAL)  # type: ignore[arg-type]  # a dictionary of settings
@given(HISTORY)
def test_the_flags_that_stand_are_the_rules_applied_from_nothing(history: list[tuple[Any, ...]]) -> None:
    played(check_each=False)(history)


few = st.fixed_dictionaries(
    {
        "category": st.sampled_from(CATEGORIES),
        "words": st.sampled_from(WORDS),
        "late_hours": st.sampled_from([0, 24 * 20]),
        "danger_now": st.just(False),
        "missing_hours": st.sampled_from([None, 2.0]),
        "protection": st.just(False),
        "indicator": st.just(False),
    }
)
ONE_CHILD = st.tuples(
    st.lists(st.tuples(st.just("write"), st.just(0), st.integers(0, 2), few), min_size=3, max_size=5),
    st.lists(group, min_size=1, max_size=6),
)


@settings(max_examples=60, **USUAL)  # type: ignore[arg-type]  # a dictionary of settings
@given(ONE_CHILD)
def test_what_people_say_of_a_childs_events_is_what_the_rules_count(
    said: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]],
) -> None:
    """A child with several notes, of which people say that they tell of one event, or of events of their own."""
    pauses = [("pass", 3)] * len(said[0])
    played(check_each=False)([step for pair in zip(said[0], pauses, strict=True) for step in pair] + said[1])


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=400, phases=(Phase.generate, Phase.shrink), **USUAL)  # type: ignore[arg-type]
@given(HISTORY)
def test_at_every_moment_of_many_histories(history: list[tuple[Any, ...]]) -> None:
    played(check_each=True)(history)


# Alerts ----------------------------------------------------------------------------------------------------

RIVERA = somebody("rivera")
answer = st.tuples(
    st.sampled_from(["acknowledge", "hand_over", "close", "grade", "grade_by_boss"]),
    st.integers(0, 5),
    st.sampled_from(list(Grade)),
)
LIFE = st.lists(
    st.one_of(write, write, answer, answer, withdraw, relink, amend, group, case, pause),
    min_size=2,
    max_size=16,
)


def answer_one(story: Played, kind: str, number: int, grade: Grade) -> None:
    """Somebody does something about one of the alerts; what is refused changes nothing."""
    road = story.road
    ids = [row[0] for row in road.rows("SELECT alert_id FROM alert ORDER BY alert_id")]
    if not ids:
        return
    alert_id = ids[number % len(ids)]

    def act(tx: Any) -> None:
        world = road.worlds.current(tx)
        if kind == "acknowledge":
            duty.acknowledge(tx, RIVERA, alert_id, now=road.now)
        elif kind == "close":
            duty.close(tx, RIVERA, alert_id, "Strategy discussion held", now=road.now)
        elif kind == "hand_over":
            given = alerts.require(tx, RIVERA, alert_id, Permission.ACKNOWLEDGE_ALERTS)
            handing.hand_over(tx, RIVERA, given, "hale", "My shift ends", world.pack, now=road.now)
        else:
            who = RIVERA if kind == "grade" else BOSS
            duty.grade(tx, world, who, alert_id, grade, "Seen by the school nurse", now=road.now)

    with contextlib.suppress(AlertConflict, GradeRefused, NotAllowed):
        road.store.write_now(act)


def check_alerts(road: Road) -> None:
    """Every alert is acknowledged, waits for somebody until a stated time, or is closed with a reason."""
    for state, owner, by, reason, escalates, grade, highest in road.rows(
        "SELECT state, owner, acknowledged_by, closed_reason, escalates_at, grade, highest_grade FROM alert"
    ):
        assert Grade(highest).urgency >= Grade(grade).urgency
        if state == "closed":
            assert reason and escalates is None
        elif state == "acknowledged":
            assert by and owner
        else:
            assert escalates is not None and escalates > road.now, "somebody was due to hear and did not"
    waiting = road.rows(
        "SELECT a.alert_id FROM alert a WHERE a.state <> 'closed' AND NOT EXISTS"
        " (SELECT 1 FROM alert_flag l JOIN flag f ON f.flag_id = l.flag_id"
        " WHERE l.alert_id = a.alert_id AND f.retracted_at IS NULL)"
    )
    assert not waiting, "an alert whose grounds are gone is still somebody's duty"


@settings(max_examples=120, **USUAL)  # type: ignore[arg-type]  # a dictionary of settings
@given(LIFE)
def test_every_alert_is_somebodys_at_every_moment(life: list[tuple[Any, ...]]) -> None:
    store = open_store(":memory:")
    try:
        store.migrate()
        story = Played(Road(store))
        for step in life:
            if step[0] in ("write", "amend", "withdraw", "relink", "group", "case", "pass"):
                story.play(step)
            else:
                answer_one(story, *step)
            # The job runs every second; each round tells what is due by then.
            while store.write_now(
                lambda tx: escalation.run(tx, story.road.now, story.road.worlds.current(tx))
            ).more:
                pass
            check_alerts(story.road)
    finally:
        store.close_now()
