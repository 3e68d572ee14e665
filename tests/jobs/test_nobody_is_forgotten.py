"""At every moment of any history an alert is acknowledged by somebody who is there, or waits for somebody who is
named until a stated time, or was closed with a reason.

The oracle shares no code with the server: it keeps its own list of who is there, reads the rows, and knows from the
domain how long an alert of each grade may wait before somebody hears again.
"""

from __future__ import annotations

import datetime
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from server import duty, merging, transferring
from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person, person_from_row
from server.audit import Actor
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.casework.grades import GradeRefused
from server.casework.pack import default_pack_text, load_pack
from server.jobs import escalation
from server.merging import Impossible
from server.records import absences
from server.records.alerts import AlertConflict
from server.records.transfers import Answer
from server.storage import Store
from server.transferring import TransferRefused
from sync.note import MissingEpisode
from sync.vocabulary import Category, Grade
from tests.alerts.ways import choose, person
from tests.road import AMARA, JONAS, LAMBETH, POLICY, SOUTHWARK, Road, at

STEPS = 45
SYSTEM = Actor("system", "tests")
CATEGORIES = (Category.KNIFE, Category.MISSING, Category.SCHOOL_ABSENCE, Category.NEGLECT)
CHILDREN = (AMARA, JONAS, msgspec.structs.replace(JONAS, given_names="Tobe"))
STARTS = {
    "the clocks go forward": "2026-03-28T22:00+00:00",
    "the clocks go back": "2026-10-24T22:00+00:00",
    "leap day": "2028-02-28T20:00+00:00",
    "year end": "2026-12-31T20:00+00:00",
}
WAITS_MINUTES_MAX = {"red": 30, "amber": 240, "green": 1440, "blue": 7 * 1440}
"""How long an alert of each grade waits at most until somebody hears, again or for the first time."""
WORKING_MINUTES_SPARE = 5 * 1440
"""Counted in working hours it may be as much longer as nobody works: Easter, or Christmas with a weekend."""
LEVELS_MAX = 3
ROLES = {"supervisor", "duty_inspector", "force_duty_officer"}
STAFF = {
    "rivera": ("investigator", LAMBETH), "khan": ("investigator", LAMBETH), "boss": ("supervisor", LAMBETH),
    "south": ("investigator", SOUTHWARK), "chief": ("supervisor", SOUTHWARK),
}  # fmt: skip
REFUSALS = (AlertConflict, NotAllowed, GradeRefused, TransferRefused, Impossible)


class History:
    """A server's insides, its people, and what the test itself knows of who is there."""

    def __init__(self, store: Store, rng: random.Random, start: str, preset: str) -> None:
        text = default_pack_text().replace('preset = "merton"', f'preset = "{preset}"', 1)
        self.road, self.rng = Road(store, load_pack(text)), rng
        self.road.now = round(datetime.datetime.fromisoformat(start).timestamp() * 1000)
        self.spare = WORKING_MINUTES_SPARE if preset == "surrey" else 0
        for name, (role, borough) in STAFF.items():
            person(self.road, name, role, borough)
        self.gaffer = person(self.road, "gaffer", "force_duty_officer", None)
        self.ids = [
            self.road.child(child, home)
            for child, home in zip(CHILDREN, (LAMBETH, SOUTHWARK, LAMBETH), strict=True)
        ]
        self.officers = [
            self.road.officer(name, borough) for name, borough in (("lam", LAMBETH), ("oka", SOUTHWARK))
        ]
        self.notes: list[tuple[Any, str]] = []
        self.merges: list[int] = []
        self.away_until: dict[str, int] = {}
        self.closed: set[str] = set()
        self.works_in = {name: borough for name, (_, borough) in STAFF.items()}

    # What happens ---------------------------------------------------------------------------------------

    def step(self) -> None:
        deeds = ("note", "note", "amend", "withdraw", "merge", "unmerge", "acknowledge", "acknowledge", "hand_over",
                 "offer", "answer", "close", "grade", "leave", "leave", "come_back", "close_account", "move",
                 "time", "time", "downtime")  # fmt: skip
        with suppress(*REFUSALS):  # somebody was quicker, or may not
            getattr(self, self.rng.choice(deeds))()

    def does(self, act: Any, *args: Any, **kwargs: Any) -> Any:
        return self.road.store.write_now(lambda tx: act(tx, *args, now=self.road.now, **kwargs))

    def somebody(self) -> Person:
        """Whoever is at a desk; also somebody who said that they are away."""
        name = self.rng.choice([name for name in STAFF if name not in self.closed])
        row = self.road.store.read_now(lambda tx: people.find(tx, name))
        assert row is not None
        return person_from_row(POLICY, row)

    def live(self) -> int:
        ids = [number for (number,) in self.road.rows("SELECT alert_id FROM alert WHERE state <> 'closed'")]
        if not ids:
            raise NotAllowed("There is none.")
        chosen: int = self.rng.choice(ids)
        return chosen

    def body(self) -> dict[str, Any]:
        rng, category = self.rng, self.rng.choice(CATEGORIES)
        late = rng.choice((0, 0, 3 * HOUR_MS, 40 * 24 * HOUR_MS))
        return {
            "category": category,
            "danger_now": rng.random() < 0.2,
            "observed_at": at(self.road.now - late),
            "missing": MissingEpisode(hours=30.0)
            if category is Category.MISSING and rng.random() < 0.5
            else None,
            "police_protection_from": at(self.road.now - late) if rng.random() < 0.1 else None,
        }

    def note(self) -> None:
        officer = self.rng.choice(self.officers)
        self.notes.append((officer, officer.writes(self.rng.choice(CHILDREN), **self.body())))

    def amend(self) -> None:
        if self.notes:
            officer, note_id = self.rng.choice(self.notes)
            officer.sends(
                officer.amendment(note_id, self.road.body(self.rng.choice(CHILDREN), **self.body()))
            )

    def withdraw(self) -> None:
        if self.notes:
            officer, note_id = self.notes.pop(self.rng.randrange(len(self.notes)))
            officer.sends(officer.withdrawal(note_id))

    def merge(self) -> None:
        one, other = self.rng.sample(self.ids, 2)
        done = self.does(
            lambda tx, now: merging.merge(
                tx, self.road.worlds.current(tx), self.gaffer, one, other, now=now, reason="the same child"
            )
        )
        self.merges.append(done.event_id)

    def unmerge(self) -> None:
        if self.merges:
            event = self.merges.pop(self.rng.randrange(len(self.merges)))
            self.does(
                lambda tx, now: merging.undo(tx, self.road.worlds.current(tx), self.gaffer, event, now=now)
            )

    def acknowledge(self) -> None:
        who = self.somebody()
        self.does(duty.acknowledge, who, self.live())
        self.away_until.pop(who.username, None)  # whoever takes a duty is there

    def hand_over(self) -> None:
        to = self.rng.choice(list(STAFF))
        self.does(duty.hand_over, POLICY, self.road.pack, self.somebody(), self.live(), to, "My shift ends")

    def offer(self) -> None:
        to = self.rng.choice((LAMBETH, SOUTHWARK))
        whole = self.rng.random() < 0.3
        who, alert_id = self.somebody(), self.live()
        self.does(
            lambda tx, now: transferring.offer(
                tx, POLICY, who, alert_id, to, "Lives there", whole=whole, now=now
            )
        )

    def answer(self) -> None:
        waiting = self.road.rows("SELECT transfer_id FROM transfer WHERE answered_at IS NULL")
        if not waiting:
            return
        who, how = self.somebody(), self.rng.choice(list(Answer))
        number = self.rng.choice(waiting)[0]
        self.does(lambda tx, now: transferring.answer(tx, who, number, how, "As agreed", now=now))
        if how is Answer.ACCEPTED:
            self.away_until.pop(who.username, None)

    def close(self) -> None:
        who, alert_id = self.somebody(), self.live()
        was = self.road.value("SELECT state FROM alert WHERE alert_id = :a", a=alert_id)
        self.does(duty.close, who, alert_id, "Spoken to the family")
        if was == "open":  # it is acknowledged with its end
            self.away_until.pop(who.username, None)

    def grade(self) -> None:
        who, alert_id, to = self.somebody(), self.live(), self.rng.choice(list(Grade))
        self.does(
            lambda tx, now: duty.grade(
                tx, self.road.worlds.current(tx), who, alert_id, to, "Seen by the school nurse", now=now
            )
        )

    def leave(self) -> None:
        who, deputy = self.somebody(), self.somebody()
        until = self.road.now + self.rng.choice((2, 30, 24 * 20)) * HOUR_MS
        choose(self.road, who, away_until=until, deputy_id=self.rng.choice((None, deputy.person_id)))
        self.away_until[who.username] = until

    def come_back(self) -> None:
        who = self.somebody()
        choose(self.road, who, away_until=None, deputy_id=None)
        self.away_until.pop(who.username, None)

    def close_account(self) -> None:
        """Close one, or open it again; somebody must be left to do something."""
        name = self.rng.choice(list(STAFF))
        opens = name in self.closed or len(self.closed) >= 3
        row = self.road.store.read_now(lambda tx: people.find(tx, name))
        assert row is not None
        self.does(lambda tx, now: people.set_active(tx, row.person_id, opens, actor=SYSTEM, now=now))
        (self.closed.discard if opens else self.closed.add)(name)

    def move(self) -> None:
        name, borough = self.rng.choice(list(STAFF)), self.rng.choice((LAMBETH, SOUTHWARK))
        self.road.store.write_now(
            lambda tx: tx.execute(
                "UPDATE person SET borough = :b WHERE username = :n", {"b": borough, "n": name}
            )
        )
        self.works_in[name] = borough

    def time(self) -> None:
        self.road.now += self.rng.choice((1, 14, 16, 61, 400)) * MINUTE_MS

    def downtime(self) -> None:
        """Nothing runs for a while, then everything that was missed is made up for."""
        before = self.told()
        self.road.now += self.rng.choice((8, 50, 24 * 31)) * HOUR_MS
        self.does(lambda tx, now: escalation.run(tx, now, self.road.worlds.current(tx)))
        for number, times in self.told().items():
            assert times - before[number] <= LEVELS_MAX, (
                "each level once, and repeats that were missed are one"
            )

    def told(self) -> Counter[int]:
        return Counter(
            number
            for (number,) in self.road.rows("SELECT alert_id FROM alert_event WHERE kind = 'escalated'")
        )

    def settle(self) -> None:
        """What a page, a command and the jobs do at once, in one process or another."""
        self.does(absences.pass_on, SYSTEM, POLICY, self.road.pack)
        while self.does(lambda tx, now: escalation.run(tx, now, self.road.worlds.current(tx))).more:
            pass

    # What must hold -------------------------------------------------------------------------------------

    def is_there(self, name: str, borough: str) -> bool:
        if name == "gaffer":
            return True
        here = name in STAFF and name not in self.closed and self.works_in[name] == borough
        return here and self.away_until.get(name, 0) <= self.road.now

    def check(self) -> None:
        now = self.road.now
        for alert_id, state, borough, owner, answered_by, reason, grade, waits_for, until in self.road.rows(
            "SELECT alert_id, state, borough, owner, acknowledged_by, closed_reason, grade, waits_for, escalates_at"
            " FROM alert ORDER BY alert_id"
        ):
            said = (
                alert_id,
                state,
                borough,
                owner,
                grade,
                waits_for,
                until,
                now,
                sorted(self.away_until),
                self.closed,
            )
            if state == "closed":
                assert reason and until is None, said
            elif state == "acknowledged":
                assert owner and answered_by and self.is_there(owner, borough), said
            else:
                assert waits_for in ROLES | {None} or self.is_there(waits_for, borough), said
                assert owner is None or self.is_there(owner, borough), said
                assert until is not None and now < until, said
                assert until - now <= (WAITS_MINUTES_MAX[grade] + self.spare) * MINUTE_MS, said


@pytest.mark.parametrize("preset", ["merton", "surrey"])
@pytest.mark.parametrize("start", list(STARTS))
def test_at_every_moment_somebody_is_named_or_has_answered(store: Store, start: str, preset: str) -> None:
    tell(store, f"{start} {preset}", start, preset, STEPS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(30))
def test_of_many_and_longer_histories(store: Store, seed: int) -> None:
    tell(store, str(seed), list(STARTS)[seed % 4], ("merton", "surrey")[seed % 2], 4 * STEPS)


def tell(store: Store, seed: str, start: str, preset: str, steps: int) -> None:
    history = History(store, random.Random(seed), STARTS[start], preset)
    for number in range(steps):
        history.step()
        history.settle()
        try:
            history.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed!r}, step {number}: {error}") from error
