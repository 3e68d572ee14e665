"""A server with a past, for looking at in a browser: synthetic children of one borough and three months of notes.

What came before is put in through the real intake with a clock of its own; what comes while a test looks goes
over HTTP through the doors of phones. Nobody here exists.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec

from server import answering, duty
from server.access import people
from server.access.identity import Person, person_from_row
from server.access.passwords import Passwords
from server.access.policy import load_policy
from server.audit import Actor
from server.casework.pack import default_pack
from server.clock import now_ms
from server.demo.describe import as_subject, describe
from server.demo.places import boroughs
from server.demo.population import SyntheticChild, population, write_registry_csv
from server.demo.strata import Stratum
from server.importing import import_registry
from server.jobs import escalation
from server.storage import Store, open_store
from sync.envelope import PushAnswer, join_lines
from sync.note import MissingEpisode, Note, Place, Subject
from sync.operations import Kind, freeze
from sync.vocabulary import Category, ChildSeen, RiskLevel, SubjectRole
from tests.bench.setting import Phone, _enrolling, running_server
from tests.road import Officer, Road

SEED = 7
CHILDREN = 1_500
LAMBETH, SOUTHWARK = "E09000022", "E09000028"
PASSWORD = "three quiet harbour lamps"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

DESKS = (
    ("adeyemi", "DC Ruth Adeyemi", "investigator", LAMBETH, None),
    ("hale", "DC Marcus Hale", "investigator", LAMBETH, None),
    ("whitfield", "Sgt Dana Whitfield", "supervisor", LAMBETH, None),
    ("grant", "Insp Colin Grant", "duty_inspector", None, "AS"),
    ("osei", "DC Abena Osei", "investigator", SOUTHWARK, None),
    ("quill", "Nell Quill", "scrutiny", None, None),
    ("warden", "Robin Warden", "administrator", None, None),
)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the stage. `phone` can send notes to `address` at any time."""

    folder: Path
    address: str
    phone: Phone
    known: dict[str, SyntheticChild]

    def store(self) -> Store:
        """The server's database, opened beside it: for looking, and for what no page does."""
        return open_store(self.folder / "earlysign.db")

    def sends(self, *subjects: Subject, **changes: Any) -> str:
        """A phone writes a note and sends it through the doors; the note's id."""
        at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=4)
        note_id = str(uuid.uuid4())
        body = Note(
            **{
                "observed_at": at,
                "recorded_at": at,
                "category": Category.KNIFE,
                "saw_or_heard": "Showed another pupil a kitchen knife in his bag",
                "found_at": Place(place="Gate of the school", borough=LAMBETH),
                "subjects": subjects,
                **changes,
            }
        )
        line = freeze(
            device=self.phone.device_id, epoch=uuid.uuid4().hex[:12], seq=1, user=self.phone.username,
            kind=Kind.NOTE_WRITE, entity_id=note_id, body=body,
        )  # fmt: skip
        answer = httpx.post(
            f"{self.address}/api/sync/push",
            content=join_lines([line]),
            headers={"authorization": f"Bearer {self.phone.token}", "content-type": "application/x-ndjson"},
        )
        answer.raise_for_status()
        verdict = msgspec.json.decode(answer.content, type=PushAnswer).verdicts[0]
        assert verdict.v == "applied", verdict
        return note_id


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """The server as a process of its own on a new folder with a past."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_registry_csv(folder / "known.csv", SEED, CHILDREN)
    store = open_store(folder / "earlysign.db")
    try:
        store.migrate()
        import_registry(store, folder / "known.csv", now=now_ms() - 200 * DAY)
        add_desks(store)
        phone = store.write_now(_enrolling(1, LAMBETH))
        known = {str(child.child_id): child for child in population(SEED, CHILDREN)}
        Past(store, list(known.values())).play()
    finally:
        store.close_now()
    with running_server(folder) as (address, _):
        yield Stage(folder=folder, address=address, phone=phone, known=known)


def add_desks(store: Store) -> None:
    """The people who sign in, all with the same password."""
    passwords = Passwords()
    hashed = passwords.hash_now(PASSWORD)
    passwords.close()
    for username, name, role, borough, unit in DESKS:
        store.write_now(
            lambda tx, u=username, n=name, r=role, b=borough, k=unit: people.add(  # type: ignore[misc]
                tx, username=u, name=n, role=r, borough=b, unit=k, password_hash=hashed, must_change=False,
                actor=Actor("system", "tests"), now=now_ms(),
            )
        )  # fmt: skip


class Past:
    """Three months of notes about children of Lambeth, played through the real intake."""

    def __init__(self, store: Store, registry: Sequence[SyntheticChild]) -> None:
        self.store = store
        self.rng = Random(SEED)
        self.road = Road(store, default_pack())
        self.now = now_ms()
        self.here = [child for child in registry if child.home_borough == LAMBETH and not child.looked_after]
        self.place = boroughs()[LAMBETH]
        self.okafor = self.officer("okafor", "PC Daniel Okafor", "schools_officer")
        self.lindqvist = self.officer("lindqvist", "PCSO Maja Lindqvist", "ward_officer")

    def officer(self, username: str, name: str, role: str) -> Officer:
        return self.road.officer(username, LAMBETH, officer_name=name, role=role)

    def teenager(self, sex: str | None = None, *, siblings: int = 0) -> SyntheticChild:
        """The next child of 11 to 17 that fits; nobody twice."""
        year = datetime.date.today().year
        for child in self.here:
            age = year - int(child.date_of_birth[:4])
            fits = 11 <= age <= 17 and len(child.siblings) >= siblings and not child.restricted
            if fits and sex in (None, child.sex):
                self.here.remove(child)
                return child
        raise AssertionError("no such child among those of the stage")

    def write(
        self, officer: Officer, child: SyntheticChild | None, *, ago: int, waits: int = 0, **body: Any
    ) -> str:
        """A note seen `ago` before now, which came `waits` later. Its id."""
        seen = self.now - ago
        self.road.now = seen + waits + 6 * MINUTE
        at = datetime.datetime.fromtimestamp(seen / 1000, datetime.UTC)
        subjects = body.pop("subjects", ())
        if child is not None:
            subjects = (as_subject(describe(child, self.rng, stratum=Stratum.CLEAN)), *subjects)
        return officer.writes(
            *subjects,
            **{
                "observed_at": at,
                "recorded_at": at + datetime.timedelta(minutes=5),
                "found_at": Place(place="Stockwell Road", borough=LAMBETH),
                "child_seen": ChildSeen.SEEN_ALONE,
                **body,
            },
        )

    def escalates(self, *, ago: int) -> None:
        """What the server's own clock would have done by then."""
        self.store.write_now(lambda tx: escalation.run(tx, self.now - ago, self.road.worlds.current(tx)))

    def finishes(self, decision: str) -> None:
        """An investigator answers what is open and closes it, some time after the last note."""
        hale = self.person("hale")
        for (alert_id,) in self.road.rows("SELECT alert_id FROM alert WHERE state = 'open'"):
            self.road.passes(minutes=25)
            self.store.write_now(
                lambda tx, a=alert_id: duty.acknowledge(tx, hale, a, now=self.road.now)  # type: ignore[misc]
            )
            self.road.passes(hours=4)
            self.store.write_now(
                lambda tx, a=alert_id: duty.close(tx, hale, a, decision, now=self.road.now)  # type: ignore[misc]
            )

    def person(self, username: str) -> Person:
        """Somebody at a desk."""
        row = self.store.read_now(lambda tx: people.find(tx, username))
        assert row is not None
        return person_from_row(load_policy(), row)

    def play(self) -> None:
        """The story, oldest first."""
        self.quiet_ones()
        self.pattern()
        self.doubt()
        self.urgent()

    def quiet_ones(self) -> None:
        child = self.teenager("male")
        self.write(
            self.okafor, child, ago=20 * HOUR, category=Category.SCHOOL_ABSENCE,
            saw_or_heard="Absent nine days this half term. Mother says he leaves the house at eight.",
        )  # fmt: skip
        self.answers("hale")
        child = self.teenager("female")
        self.write(
            self.okafor, child, ago=7 * HOUR, category=Category.DOMESTIC_ABUSE_HOUSEHOLD,
            saw_or_heard="Came to school in yesterday's clothes. Police were at the flat in the night.",
            voice_of_child="“He only shouts at Mum, not at me.”",
        )  # fmt: skip
        self.answers("adeyemi")

    def answers(self, username: str) -> None:
        """Somebody acknowledges whatever is open, ten minutes after the last note."""
        person = self.person(username)
        self.road.passes(minutes=10)
        for (alert_id,) in self.road.rows("SELECT alert_id FROM alert WHERE state = 'open'"):
            self.store.write_now(
                lambda tx, a=alert_id: duty.acknowledge(tx, person, a, now=self.road.now)  # type: ignore[misc]
            )

    def pattern(self) -> None:
        """A girl who goes missing three times, told by two officers; the third note waited on a phone."""
        girl = self.teenager("female")
        sibling = Subject(role=SubjectRole.SIBLING, given_names="Sami", approximate_age=9.0)
        self.write(
            self.okafor, girl, ago=54 * DAY, category=Category.MISSING,
            saw_or_heard="Did not come to school and was not at home. Came back by herself in the evening.",
            missing=MissingEpisode(hours=11, risk_level=RiskLevel.MEDIUM, returned=True),
            child_seen=ChildSeen.NOT_SEEN, not_seen_reason="she was back before I called",
        )  # fmt: skip
        self.finishes("Spoken to mother and school; nothing further")
        note = self.write(
            self.lindqvist, girl, ago=15 * DAY, category=Category.MISSING,
            found_at=Place(place="Larkhall Park", borough=LAMBETH), subjects=(sibling,),
            saw_or_heard="Found at 01:20 on a bench with two older girls. Mother had called at 19:00.",
            voice_of_child="“I just didn't want to be there when he's there.”",
            demeanour="Quiet, cold, polite", action_taken="Taken home. Return home interview asked for.",
            missing=MissingEpisode(hours=6, risk_level=RiskLevel.MEDIUM, returned=True),
        )  # fmt: skip
        self.finishes("Return home interview held; mother will call if she goes again")
        self.road.now = self.now - 14 * DAY
        self.lindqvist.sends(
            self.lindqvist.amendment(note, text="“He” is the mother's new partner, first name Carl.")
        )
        self.write(
            self.okafor, girl, ago=9 * HOUR, waits=5 * HOUR, category=Category.MISSING,
            other_categories=(Category.CCE,), exploitation_indicator=True, child_seen=ChildSeen.SEEN,
            found_at=Place(place="Stockwell bus garage", borough=LAMBETH),
            saw_or_heard="With two men of about 25 in a grey VW Golf. She had a second phone and would not "
            "say whose it was.\nShe said she had not been home since Sunday night. Streetwise beyond her age.",
            voice_of_child="“They said I owe them now. I can't go back till it's sorted.”",
            assessment="I think she is being made to carry. She looked to the driver before every answer.",
            demeanour="Tired, would not sit down, kept checking the phone",
            action_taken="Offered a lift home, refused. Told the school's safeguarding lead by phone.",
            missing=MissingEpisode(hours=38, risk_level=RiskLevel.HIGH, returned=False),
        )  # fmt: skip

    def doubt(self) -> None:
        """Notes that linkage leaves to a person: a first name, an age and a school; a twin without a name."""
        for _ in range(2):
            child = self.teenager()
            vague = Subject(
                given_names=child.called or child.given_names.split(" ")[0],
                approximate_age=float(datetime.date.today().year - int(child.date_of_birth[:4])),
                school=child.school or None,
                family_name=child.family_name[:1],
            )
            self.write(
                self.lindqvist, None, ago=3 * HOUR, subjects=(vague,), category=Category.CCE,
                saw_or_heard="Had a rucksack with about forty small bags of cannabis and two phones.",
                voice_of_child="“It's not mine, I'm holding it.”",
            )  # fmt: skip
        brother = self.teenager(siblings=1)
        unnamed = Subject(
            family_name=brother.family_name, address=brother.address, postcode=brother.postcode,
            sex=brother.sex,
        )  # fmt: skip
        self.write(
            self.okafor, None, ago=2 * HOUR, subjects=(unnamed,), category=Category.PHYSICAL,
            saw_or_heard="A neighbour heard a child being hit and crying for a long time.",
            child_seen=ChildSeen.NOT_SEEN, not_seen_reason="nobody opened the door",
        )  # fmt: skip

    def urgent(self) -> None:
        """A red alert that nobody answers, a restricted record, and a child nobody knew."""
        boy = self.teenager("male")
        self.write(
            self.lindqvist, boy, ago=70 * MINUTE, category=Category.COUNTY_LINES, danger_now=True,
            saw_or_heard="Got into a silver van with an adult who would not give a name. Had a train ticket.",
            assessment="He is being taken out of London today.",
            found_at=Place(place="Brixton station", borough=LAMBETH),
        )  # fmt: skip
        for minutes in (54, 49, 34, 4):
            self.escalates(ago=minutes * MINUTE)
        officers_child = Subject(
            given_names="Quill", family_name="Marchetti-Doe", date_of_birth=datetime.date(2013, 5, 17),
            address="2 Sample Walk", postcode="SW9 8ZZ", school="Sample Lane School",
        )  # fmt: skip
        restricted = self.road.child(officers_child, restricted=True)
        self.write(
            self.okafor, None, ago=50 * MINUTE, subjects=(officers_child,), category=Category.EMOTIONAL,
            saw_or_heard="Said he is afraid to go home when his father is off duty.",
        )  # fmt: skip
        # Never linked without a person: one has decided.
        review_id = self.road.value("SELECT MAX(review_id) FROM review")
        world, supervisor = self.road.world, self.person("whitfield")
        self.store.write_now(
            lambda tx: answering.answer_same(
                tx, world, supervisor, review_id, restricted, now=self.road.now,
                reason="I know the family",
            )
        )  # fmt: skip
        baby = Subject(given_names="Baby", approximate_age=0.4, address="8 Sample Walk", postcode="SW9 8ZZ")
        self.write(
            self.okafor, None, ago=40 * MINUTE, subjects=(baby,), category=Category.NEGLECT,
            saw_or_heard="A baby left alone in a pram outside a betting shop for half an hour.",
        )  # fmt: skip
