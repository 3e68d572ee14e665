"""Random histories of three records, walked on a server; and what must come of them, worked out apart from it.

A `Walk` does the steps of a history on a store of its own. Walked without its merges, the same history says what
each record must be once every merge is taken back. `Facts` follows along in plain sets: which note stands on which
record, which records are one child, which boroughs have to do with each. It asks the server for nothing.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec
from hypothesis import strategies as st

from server import answering, duty, merging, placing, showing
from server.access.policy import Permission
from server.jobs import escalation
from server.records import alerts, handing, notes, overview
from server.records.alerts import State
from server.storage import Store
from sync.note import MissingEpisode, Subject
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, SOUTHWARK, Road, at, somebody

GAFFER = somebody("gaffer", "force_duty_officer", None)
ZOFIA = Subject(
    given_names="Zofia",
    family_name="Wisniewska",
    date_of_birth=datetime.date(2013, 7, 19),
    address="8 Kentish Town Road",
    postcode="NW1 9PX",
)
DESCRIBED = (AMARA, JONAS, ZOFIA)
HOMES = (LAMBETH, SOUTHWARK, None)
"""The first two are in the registry; the third is made by its first note."""
OFFICERS = (("lam", LAMBETH), ("khan", SOUTHWARK), ("okafor", CAMDEN))
CATEGORIES = (Category.MISSING, Category.NEGLECT, Category.KNIFE, Category.CSE)
RECORDS = range(3)


class Write(msgspec.Struct, frozen=True):
    """A note about one record, observed some hours before it comes."""

    record: int
    officer: int
    category: int
    late_hours: int
    danger: bool = False


class Amend(msgspec.Struct, frozen=True):
    note: int
    category: int


class Withdraw(msgspec.Struct, frozen=True):
    note: int


class Unlink(msgspec.Struct, frozen=True):
    note: int


class Relink(msgspec.Struct, frozen=True):
    """The same child after all: what the review of an unlinked note is answered."""

    note: int


class Merge(msgspec.Struct, frozen=True):
    one: int
    other: int


class Unmerge(msgspec.Struct, frozen=True):
    which: int


class Acknowledge(msgspec.Struct, frozen=True):
    """Answer the oldest open alert of a record, or hand it over, or end it."""

    record: int
    how: int


class AcknowledgeJoint(msgspec.Struct, frozen=True):
    """Answer what only the merge has raised."""


class Mark(msgspec.Struct, frozen=True):
    record: int


class Pass(msgspec.Struct, frozen=True):
    minutes: int


Step = (
    Write
    | Amend
    | Withdraw
    | Unlink
    | Relink
    | Merge
    | Unmerge
    | Acknowledge
    | AcknowledgeJoint
    | Mark
    | Pass
)

_records = st.sampled_from(list(RECORDS))
_notes = st.integers(0, 7)
writes = st.builds(
    Write, _records, st.integers(0, 2), st.integers(0, 3), st.sampled_from([0, 2, 30, 24 * 20]), st.booleans()
)
merges = st.tuples(_records, _records).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Merge(*pair))
steps = st.one_of(
    writes,
    writes,
    merges,
    st.builds(Unmerge, st.integers(0, 3)),
    st.builds(Amend, _notes, st.integers(0, 3)),
    st.builds(Withdraw, _notes),
    st.builds(Unlink, _notes),
    st.builds(Relink, _notes),
    st.builds(Acknowledge, _records, st.integers(0, 2)),
    st.just(AcknowledgeJoint()),
    st.builds(Mark, _records),
    st.builds(Pass, st.sampled_from([1, 20, 90, 60 * 26])),
)
histories = st.tuples(st.lists(writes, max_size=4), merges, st.lists(steps, min_size=2, max_size=12)).map(
    lambda parts: [*parts[0], parts[1], *parts[2]]
)


class Facts:
    """What stands, in plain sets. Shares no code with the server."""

    def __init__(self) -> None:
        self.on: dict[int, int | None] = {}  # note -> record, None while it is taken off
        self.withdrawn: set[int] = set()
        self.boroughs: dict[int, set[str]] = {}  # note -> boroughs it brings
        self.merged: list[tuple[int, int]] = []

    def together(self, record: int) -> set[int]:
        found, grew = {record}, True
        while grew:
            more = {b for a, b in self.merged if a in found} | {a for a, b in self.merged if b in found}
            grew = not more <= found
            found |= more
        return found

    def notes_of(self, record: int) -> set[int]:
        whole = self.together(record)
        return {note for note, where in self.on.items() if where in whole}

    def boroughs_of(self, record: int) -> set[str]:
        """Of the whole child: the homes of its records, and what its notes bring to the record they stand on."""
        found = {home for one in self.together(record) if (home := HOMES[one]) is not None}
        return found.union(*(self.boroughs[note] for note in self.notes_of(record)))


class Walk:
    """One history on one server."""

    def __init__(self, store: Store, *, merging_: bool) -> None:
        self.road = Road(store)
        self.merging = merging_
        self.facts = Facts()
        self.events: list[int] = []  # merges that stand, as (their events), beside facts.merged
        self.note_ids: list[str] = []
        self.wrote: list[Any] = []
        self.officers = [
            self.road.officer(name, borough, ward=f"ward of {name}") for name, borough in OFFICERS
        ]
        self.ids = [
            self.road.child(AMARA, LAMBETH, registry_id="r1"),
            self.road.child(JONAS, SOUTHWARK, registry_id="r2"),
        ]
        self._number = 0
        self.do(Write(2, 2, 1, 2))
        self.ids.append(self.road.child_of(self.note_ids[0]))

    def do(self, step: Step) -> None:
        self.road.now += 60_000
        getattr(self, f"_{type(step).__name__.lower()}")(step)

    def _write(self, step: Write) -> None:
        if len(self.note_ids) >= 8:
            return
        officer, road = self.officers[step.officer], self.road
        self._number += 1
        note_id = str(uuid.UUID(int=self._number))
        missing = MissingEpisode(hours=3.0) if CATEGORIES[step.category] is Category.MISSING else None
        _, line = officer.note(
            DESCRIBED[step.record], note_id=note_id, category=CATEGORIES[step.category], missing=missing,
            observed_at=at(road.now - step.late_hours * 3_600_000 - 60_000), danger_now=step.danger,
        )  # fmt: skip
        assert officer.sends(line).v == "applied"
        number = len(self.note_ids)
        self.note_ids.append(note_id)
        self.wrote.append(officer)
        self.facts.on[number] = step.record
        self.facts.boroughs[number] = {OFFICERS[step.officer][1]}
        if hasattr(self, "ids") and len(self.ids) == 3:
            assert road.child_of(note_id) == self.ids[step.record]

    def _amend(self, step: Amend) -> None:
        if step.note >= len(self.note_ids):
            return
        described = DESCRIBED[self._origin(step.note)]
        anew = self.road.body(described, category=CATEGORIES[step.category])
        officer = self.wrote[step.note]
        assert officer.sends(officer.amendment(self.note_ids[step.note], anew)).v == "applied"

    def _withdraw(self, step: Withdraw) -> None:
        if step.note < len(self.note_ids):
            officer = self.wrote[step.note]
            assert officer.sends(officer.withdrawal(self.note_ids[step.note])).v == "applied"
            self.facts.withdrawn.add(step.note)

    def _unlink(self, step: Unlink) -> None:
        # The third record lives by its first note.
        if step.note >= len(self.note_ids) or step.note == 0 or self.facts.on[step.note] is None:
            return
        subject = self.road.subject_of(self.note_ids[step.note])
        self.road.store.write_now(
            lambda tx: answering.undo_link(
                tx, self.road.worlds.current(tx), GAFFER, subject, now=self.road.now
            )
        )
        self.facts.on[step.note] = None

    def _relink(self, step: Relink) -> None:
        if step.note >= len(self.note_ids) or self.facts.on[step.note] is not None:
            return
        review = self.road.review_of(self.note_ids[step.note])
        record = self._origin(step.note)
        self.road.store.write_now(
            lambda tx: answering.answer_same(
                tx,
                self.road.worlds.current(tx),
                GAFFER,
                review.review_id,
                self.ids[record],
                now=self.road.now,
            )
        )
        self.facts.on[step.note] = record

    def _origin(self, note: int) -> int:
        """The record that a note was written about."""
        [(family,)] = self.road.rows(
            "SELECT e.child_id FROM link_event e JOIN subject s ON s.subject_id = e.subject_id"
            " JOIN note n ON n.note_key = s.note_key WHERE n.note_id = :n ORDER BY e.event_id LIMIT 1",
            n=self.note_ids[note],
        )
        return self.ids.index(family)

    def _merge(self, step: Merge) -> None:
        if step.other in self.facts.together(step.one) or not self.merging:
            return
        decided = self.road.store.write_now(
            lambda tx: merging.merge(
                tx, self.road.worlds.current(tx), GAFFER, self.ids[step.one], self.ids[step.other],
                now=self.road.now, reason="the same child",
            )
        )  # fmt: skip
        self.facts.merged.append((step.one, step.other))
        self.events.append(decided.event_id)

    def _unmerge(self, step: Unmerge) -> None:
        if not self.events or not self.merging:
            return
        which = step.which % len(self.events)
        event_id = self.events.pop(which)
        self.facts.merged.pop(which)
        self.road.store.write_now(
            lambda tx: merging.undo(tx, self.road.worlds.current(tx), GAFFER, event_id, now=self.road.now)
        )

    def _acknowledge(self, step: Acknowledge) -> None:
        found = self.road.rows(
            "SELECT alert_id FROM alert WHERE child_id = :c AND joint = 0 AND state = 'open' ORDER BY alert_id",
            c=self.ids[step.record],
        )
        if not found:
            return
        alert_id, now = found[0][0], self.road.now

        def answer(tx: Any) -> None:
            if step.how == 2:
                duty.close(tx, GAFFER, alert_id, "Visited at home", now=now)
                return
            duty.acknowledge(tx, GAFFER, alert_id, now=now)
            if step.how == 1:
                given = alerts.require(tx, GAFFER, alert_id, Permission.ACKNOWLEDGE_ALERTS)
                handing.hand_over(tx, GAFFER, given, "rivera", "my shift ends", self.road.pack, now=now)

        self.road.store.write_now(answer)

    def _acknowledgejoint(self, step: AcknowledgeJoint) -> None:
        """That authors heard of it is a fact which stays, whatever becomes of the merge."""
        found = self.road.rows(
            "SELECT alert_id FROM alert WHERE joint = 1 AND state = 'open' ORDER BY alert_id"
        )
        self.heard: list[str] = []
        if not found:
            return
        alert_id = found[0][0]
        self.heard = self.road.store.read_now(lambda tx: alerts.note_ids(tx, alert_id))
        self.road.store.write_now(lambda tx: duty.acknowledge(tx, GAFFER, alert_id, now=self.road.now))

    def hear(self, note_ids: list[str]) -> None:
        """What the other walk's authors heard of a joint alert is a fact here too."""
        self.road.store.write_now(lambda tx: notes.set_status(tx, note_ids, notes.Status.SEEN))

    def _mark(self, step: Mark) -> None:
        self.road.store.write_now(
            lambda tx: duty.set_marker(
                tx, self.road.worlds.current(tx), GAFFER, self.ids[step.record], "exploitation",
                "seen with older boys", now=self.road.now,
            )
        )  # fmt: skip

    def _pass(self, step: Pass) -> None:
        self.road.passes(minutes=step.minutes)
        self.road.store.write_now(lambda tx: escalation.run(tx, self.road.now, self.road.worlds.current(tx)))

    def take_back_all(self, order: list[int]) -> None:
        for which in order:
            self.do(Unmerge(which))
        while self.events:
            self.do(Unmerge(0))

    # What is compared ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Every row and every view that a merge could have touched; numbers of rows told by their order."""
        road = self.road
        return {
            "children": road.rows(
                "SELECT child_id, standing, owner_borough, cluster_id, cluster_owner, rev FROM child ORDER BY child_id"
            ),
            "boroughs": road.rows("SELECT child_id, borough FROM child_borough ORDER BY child_id, borough"),
            "keys": road.rows("SELECT child_id, COUNT(*) FROM child_key GROUP BY child_id ORDER BY child_id"),
            "subjects": road.rows("SELECT subject_id, child_id, role FROM subject ORDER BY subject_id"),
            "links": road.rows(
                "SELECT subject_id, action, child_id, author, at, reason FROM link_event ORDER BY event_id"
            ),
            "reviews": road.rows(
                "SELECT subject_id, borough, urgency, opened_at, closed_at, answer FROM review ORDER BY review_id"
            ),
            "notes": road.rows("SELECT note_id, status, rev, withdrawn_at FROM note ORDER BY note_key"),
            "flags": road.rows(
                "SELECT f.child_id, f.flag_key, f.grade, f.sentence, f.raised_at, f.changed_at, f.retracted_at,"
                " f.retraction, (SELECT COUNT(*) FROM flag g WHERE g.flag_id <= f.flag_id AND g.joint = 0), n.note_id"
                " FROM flag f LEFT JOIN flag_note n ON n.flag_id = f.flag_id WHERE f.joint = 0"
                " ORDER BY f.flag_id, n.note_id"
            ),
            "alerts": self.alerts(),
            "copies": road.rows(
                "SELECT (SELECT COUNT(*) FROM alert b WHERE b.alert_id <= a.alert_id AND b.joint = 0), c.borough"
                " FROM alert_copy c JOIN alert a ON a.alert_id = c.alert_id WHERE a.joint = 0"
                " ORDER BY a.alert_id, c.borough"
            ),
            "carried": road.rows(
                "SELECT (SELECT COUNT(*) FROM alert b WHERE b.alert_id <= a.alert_id AND b.joint = 0),"
                " (SELECT COUNT(*) FROM flag g WHERE g.flag_id <= l.flag_id AND g.joint = 0)"
                " FROM alert_flag l JOIN alert a ON a.alert_id = l.alert_id WHERE a.joint = 0"
                " ORDER BY l.alert_id, l.flag_id"
            ),
            "steps": road.rows(
                "SELECT (SELECT COUNT(*) FROM alert b WHERE b.alert_id <= a.alert_id AND b.joint = 0), e.kind,"
                " e.borough, e.grade, e.actor, e.told, e.detail, e.at FROM alert_event e"
                " JOIN alert a ON a.alert_id = e.alert_id WHERE a.joint = 0"
                " AND e.kind NOT IN ('joined', 'separated') ORDER BY e.event_id"
            ),
            "views": [self.view(child_id) for child_id in self.ids],
            "candidates": [self.candidates(described) for described in DESCRIBED],
            "queues": [
                [
                    (alert.child_id, alert.why, alert.state, alert.deadline_at, alert.is_copy)
                    for alert in road.store.read_now(
                        lambda tx, person=person: alerts.queue(  # type: ignore[misc]
                            tx, person, now=road.now, states=(State.OPEN, State.ACKNOWLEDGED)
                        )
                    )
                ]
                for person in (somebody("r", borough=code) for code in (LAMBETH, SOUTHWARK, CAMDEN))
            ],
            "sent to phones": [road.pulled(name) for name, _ in OFFICERS],
        }

    def alerts(self) -> list[Any]:
        """Every alert that a record has of itself, in full but for its number."""
        return self.road.rows(
            "SELECT child_id, borough, owner_reason, owner, grade, why, state, started_at, deadline_at, late_by_ms,"
            " level, escalates_at, acknowledged_at, acknowledged_by, closed_at, closed_reason, rev FROM alert"
            " WHERE joint = 0 ORDER BY alert_id"
        )

    def view(self, child_id: int) -> Any:
        """What the page shows, but for numbers of flags and alerts and the steps, which `state` has."""
        road = self.road
        shown = road.store.read_now(
            lambda tx: showing.timeline(
                tx, road.worlds.current(tx).decider.model, GAFFER, child_id, now=road.now
            )
        )
        return (
            shown.child,
            [(entry.note, entry.link and entry.link.action, entry.evidence) for entry in shown.entries],
            [msgspec.structs.replace(flag, flag_id=0) for flag in shown.flags],
            [msgspec.structs.replace(alert, alert_id=0) for alert in shown.alerts],
            road.store.read_now(lambda tx: overview.continues_as(tx, child_id)),
        )

    def candidates(self, described: Subject) -> Any:
        """Whom linkage would find for the next note, and what it would decide."""
        [placement] = self.road.store.read_now(
            lambda tx: placing.decide(
                tx, self.road.worlds.current(tx), placing.describe(self.road.body(described))
            )
        )
        decision = placement.decision
        return decision.outcome, decision.child_id, [c.child_id for c in decision.candidates]
