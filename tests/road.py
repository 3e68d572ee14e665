"""Short ways to walk the road in tests: officers who write notes, people at desks, known children, and a clock.

Everything goes through the real intake and the real records, on whatever store it is given.
"""

from __future__ import annotations

import datetime
import itertools
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from server import intake
from server.access.identity import DeviceIdentity, Person, PersonRow, person_from_row
from server.access.policy import Policy, load_policy
from server.alerts.channels import Channel
from server.alerts.presets import Presets
from server.audit import Actor
from server.casework.facts import HOUR_MS, MINUTE_MS
from server.casework.pack import Pack, default_pack
from server.linkage.entries import encode_entry, index_entry
from server.linkage.standardise import encode_record, standardise
from server.prepared import prepare
from server.records import alerts, children, links, own_notes, registry, spreading
from server.records.alerts import Alert
from server.records.changes import Place
from server.records.child import Circumstances, Details, Standing, encode_details
from server.records.registry_rows import Ready
from server.storage import Store, Transaction
from server.world import World, Worlds
from sync.envelope import Change, Verdict
from sync.note import Amendment, Note, Subject, Withdrawal
from sync.operations import Body, Kind, freeze
from sync.vocabulary import Category

LAMBETH, SOUTHWARK, CAMDEN = "E09000022", "E09000028", "E09000007"
START_MS = 1_767_225_600_000
"""1 January 2026, midnight UTC."""
POLICY = load_policy()
REGISTRY = Actor("system", "tests")
_WARDS = itertools.count(1)


def at(now: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now / 1000, datetime.UTC)


def somebody(
    username: str = "rivera",
    role: str = "investigator",
    borough: str | None = LAMBETH,
    unit: str | None = None,
) -> Person:
    """A signed-in person of that role."""
    row = PersonRow(
        person_id=abs(hash(username)) % 10_000,
        username=username,
        name=f"Test {username}",
        role=role,
        borough=borough,
        unit=unit,
        must_change=False,
        active=True,
        created_at=START_MS,
    )
    return person_from_row(POLICY, row)


class Officer:
    """A phone and its officer. `lines` are frozen ops in the order they were written."""

    def __init__(self, road: Road, username: str, borough: str | None = LAMBETH, **changes: Any) -> None:
        self.road = road
        self.epoch = uuid.uuid4().hex[:12]
        self.seq = 0
        self.identity = DeviceIdentity(
            **{
                "device_id": str(uuid.uuid4()),
                "person_id": 1,
                "username": username,
                "officer_name": f"PC {username.title()}",
                "role": "ward_officer",
                "ward": f"E0501{next(_WARDS):04d}",
                "borough": borough,
                "revoked": False,
                **changes,
            }
        )

    def op(self, kind: Kind, entity_id: str, body: Body, **changes: Any) -> bytes:
        """The next op of this phone."""
        self.seq += 1
        return freeze(
            **{
                "device": self.identity.device_id,
                "epoch": self.epoch,
                "seq": self.seq,
                "user": self.identity.username,
                "kind": kind,
                "entity_id": entity_id,
                "body": body,
                **changes,
            }
        )

    def note(self, *subjects: Subject, note_id: str | None = None, **changes: Any) -> tuple[str, bytes]:
        """(note id, line) of a new note, observed ten minutes ago."""
        note_id = note_id or str(uuid.uuid4())
        return note_id, self.op(Kind.NOTE_WRITE, note_id, self.road.body(*subjects, **changes))

    def amendment(self, note_id: str, note: Note | None = None, text: str = "More was said") -> bytes:
        body = Amendment(recorded_at=at(self.road.now), reason="I remembered more", text=text, note=note)
        return self.op(Kind.NOTE_AMEND, note_id, body)

    def withdrawal(self, note_id: str) -> bytes:
        body = Withdrawal(recorded_at=at(self.road.now), reason="Written in error")
        return self.op(Kind.NOTE_WITHDRAW, note_id, body)

    def push(self, *lines: bytes) -> intake.Received:
        """Hand lines in, in a push of their own."""
        prepared = prepare(lines, self.identity.device_id)
        road = self.road
        return road.store.write_now(
            lambda tx: intake.receive(
                tx, self.identity, prepared, now=road.now, world=road.worlds.current(tx)
            )
        )

    def sends(self, *lines: bytes) -> Verdict:
        """Hand in, and the verdict on the last line."""
        return self.push(*lines).verdicts[-1]

    def writes(self, *subjects: Subject, **changes: Any) -> str:
        """Write a note and hand it in; it must be applied. Its id."""
        note_id, line = self.note(*subjects, **changes)
        verdict = self.sends(line)
        assert verdict.v == "applied", verdict
        return note_id


class Road:
    """A server's insides on a store, with a clock that tests move."""

    def __init__(self, store: Store, pack: Pack | None = None) -> None:
        self.store = store
        self.pack = pack or default_pack()
        self.worlds = Worlds(self.pack)
        self.now = START_MS

    def passes(self, *, minutes: float = 0, hours: float = 0) -> None:
        self.now += round(minutes * MINUTE_MS + hours * HOUR_MS)

    @property
    def world(self) -> World:
        return self.store.read_now(self.worlds.current)

    def officer(self, username: str = "okafor", borough: str | None = LAMBETH, **changes: Any) -> Officer:
        return Officer(self, username, borough, **changes)

    def body(self, *subjects: Subject, **changes: Any) -> Note:
        return Note(
            **{
                "observed_at": at(self.now - 10 * MINUTE_MS),
                "recorded_at": at(self.now - 5 * MINUTE_MS),
                "category": Category.NEGLECT,
                "saw_or_heard": "Alone by the bus station without a coat for the third evening",
                "subjects": subjects or (AMARA,),
                **changes,
            }
        )

    def child(
        self,
        subject: Subject,
        home: str | None = LAMBETH,
        *,
        registry_id: str | None = None,
        **circumstances: Any,
    ) -> int:
        """Put a known child into the registry, as the subject describes them; the child's id."""
        details = msgspec.convert(
            {
                name: getattr(subject, name)
                for name in Details.__struct_fields__
                if getattr(subject, name, None) is not None
            },
            Details,
        )
        record = standardise(details.description())

        def add(tx: Any) -> int:
            return children.add(
                tx,
                REGISTRY,
                details,
                record,
                Standing.KNOWN,
                now=self.now,
                entry=index_entry(record),
                circumstances=Circumstances(home_borough=home, **circumstances),
                registry_id=registry_id or uuid.uuid4().hex,
            )

        return self.store.write_now(add)

    def registry_says(
        self, child_id: int, details: Details, home: str | None = None, *, restricted: bool | None = None
    ) -> None:
        """The registry's next file describes this child of its anew, at this home or in the borough it had."""
        (known,) = self.rows(
            "SELECT registry_id, home_borough, school_borough, responsible_authority, looked_after, restricted"
            " FROM child WHERE child_id = :child",
            child=child_id,
        )
        record = standardise(details.description())
        row = Ready(
            registry_id=known[0],
            digest=b"",
            restricted=bool(known[5]) if restricted is None else restricted,
            looked_after=bool(known[4]),
            home_borough=home or known[1],
            school_borough=known[2],
            responsible_authority=known[3],
            owner_borough=home or known[1],
            date_of_birth=details.date_of_birth.isoformat() if details.date_of_birth else None,
            details=encode_details(details),
            record=encode_record(record),
            indexed=encode_entry(index_entry(record)),
        )
        self.store.write_now(lambda tx: registry.alter(tx, REGISTRY, [row], self.pack, now=self.now))

    # What stands in the database, for assertions ---------------------------------------------------------

    def child_of(self, note_id: str, ordinal: int = 0) -> int:
        """The child that a note's subject stands on."""
        found: int = self.value(
            "SELECT s.child_id FROM subject s JOIN note n ON n.note_key = s.note_key"
            " WHERE n.note_id = :note AND s.ordinal = :ordinal",
            note=note_id,
            ordinal=ordinal,
        )
        return found

    def subject_of(self, note_id: str, ordinal: int = 0) -> int:
        found: int = self.value(
            "SELECT s.subject_id FROM subject s JOIN note n ON n.note_key = s.note_key"
            " WHERE n.note_id = :note AND s.ordinal = :ordinal",
            note=note_id,
            ordinal=ordinal,
        )
        return found

    def status_of(self, note_id: str) -> str:
        found: str = self.value("SELECT status FROM note WHERE note_id = :note", note=note_id)
        return found

    def review_of(self, note_id: str) -> links.Review:
        """The open review of a note's first subject."""
        review_id = self.value(
            "SELECT review_id FROM review WHERE subject_id = :subject AND closed_at IS NULL",
            subject=self.subject_of(note_id),
        )
        assert review_id is not None, "no review is open"
        return self.store.read_now(
            lambda tx: links.require_review(tx, somebody("gaffer", "force_duty_officer"), review_id)
        )

    def alerts_of(self, child_id: int, *states: str) -> list[Alert]:
        """The alerts of a child in these states (all by default), oldest first."""
        gaffer = somebody("gaffer", "force_duty_officer")
        found = self.store.read_now(lambda tx: alerts.of_child(tx, gaffer, child_id, now=self.now))
        return [alert for alert in reversed(found) if not states or alert.state in states]

    def flags_of(self, child_id: int) -> list[str]:
        """The rules of the flags that stand on a child, sorted."""
        rows = self.rows(
            "SELECT rule FROM flag WHERE child_id = :child AND retracted_at IS NULL", child=child_id
        )
        return sorted(rule for (rule,) in rows)

    def standing_of(self, child_id: int) -> str:
        found: str = self.value("SELECT standing FROM child WHERE child_id = :child", child=child_id)
        return found

    def count(self, table: str, where: str = "1 = 1") -> int:
        found: int = self.value(f"SELECT COUNT(*) FROM {table} WHERE {where}")
        return found

    def value(self, sql: str, **params: object) -> Any:
        return self.store.read_now(lambda tx: tx.value(sql, params))

    def rows(self, sql: str, **params: object) -> list[tuple[Any, ...]]:
        return self.store.read_now(lambda tx: tx.rows(sql, params))

    def pulled(self, author: str) -> dict[str, Any]:
        """What the author's phone would hear of their notes now: note id to status."""
        return {change.id: change.data["status"] for change in self.heard(author) if change.data}

    def heard(self, author: str, place: Place = (0, 0), limit: int = 1_000) -> Sequence[Change]:
        """What the author's phone would be sent of their notes now."""
        return self.store.read_now(
            lambda tx: own_notes.after(tx, REGISTRY, author, place, limit, now=self.now)
        ).changes


BORN = datetime.date(2012, 3, 4)
AMARA = Subject(
    given_names="Amara",
    family_name="Okonkwo-Bright",
    date_of_birth=BORN,
    address="14 Coldharbour Lane",
    postcode="SW9 8PR",
    school="Stockwell Park High School",
)
"""A child described so well that linkage is sure."""
AMARA_VAGUE = Subject(given_names="Amara", approximate_age=13.0, school="Stockwell Park High School")
"""The same, as a teacher remembers her."""
TWIN = msgspec.structs.replace(AMARA, given_names="Chidera")
JONAS = Subject(
    given_names="Jonas",
    family_name="Petrauskas",
    date_of_birth=datetime.date(2010, 11, 23),
    address="3 Peckham Road",
    postcode="SE5 8UB",
)
VAGUE = Subject(given_names="Jay", approximate_age=13.0, description="Red jacket, at the bus station")


def spread_all(
    tx: Transaction, policy: Policy, presets: Presets, channels: Sequence[Channel], *, now: int
) -> int:
    """What a round of delivery does first: everything that is queued for everybody becomes messages."""
    chosen = spreading.waiting(tx, spreading.SPREAD_AT_ONCE_MAX, now=now)
    return spreading.spread(tx, policy, presets, channels, chosen, now=now)
