"""Who is in the story: people who sign in, officers with phones, the children it is about, and what is written.

The children are chosen from the registry by what the story needs of them (a twin, a boy of about thirteen with a
school), so that another seed or another day tells the same story about others.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import msgspec

from server.demo.describe import describe
from server.demo.draw import Draw, pick
from server.demo.phrases import note_texts
from server.demo.places import Borough, boroughs, spot_in
from server.demo.population import SyntheticChild, population
from server.demo.strata import Quality
from sync.note import Note
from sync.vocabulary import Category, Sex

SOUTHWARK, LAMBETH = "E09000028", "E09000022"
UNIT = "AS"
"""The command unit of both."""

NOTES_PER_PHONE = 28
"""Besides those of the story: together about what six officers bring home from a busy shift."""

STRANGER_SEED_STEP = 7_919
"""How far the seed of children who are on no registry is from the registry's."""

_CATEGORIES = Draw(
    [
        (Category.SCHOOL_ABSENCE, 5), (Category.NEGLECT, 4), (Category.DOMESTIC_ABUSE_HOUSEHOLD, 4),
        (Category.MENTAL_HEALTH, 4), (Category.BULLYING, 3), (Category.YOUNG_CARER, 2), (Category.ONLINE_HARM, 2),
        (Category.PARENTAL_MENTAL_HEALTH, 2), (Category.CCE, 1), (Category.KNIFE, 1),
    ]
)  # fmt: skip
"""What the other notes are about: nothing that is red by itself, so that the story's alert stands out."""

_YEARS_LEAST = {
    Category.SCHOOL_ABSENCE: 5, Category.BULLYING: 6, Category.YOUNG_CARER: 7, Category.MENTAL_HEALTH: 8,
    Category.ONLINE_HARM: 8, Category.KNIFE: 11, Category.CCE: 11,
}  # fmt: skip
"""Nobody worries in this way about a younger child."""

HOUR, DAY = 60, 24 * 60
"""In minutes."""

Json = dict[str, Any]


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with an account. `shows` says what they see after the story; empty for officers on foot."""

    username: str
    name: str
    role: str
    borough: str | None = None
    unit: str | None = None
    ward: str | None = None
    shows: str = ""


INVESTIGATOR = Who(
    username="rivera", name="Sam Rivera", role="investigator", borough=SOUTHWARK,
    shows="the queue, the third missing episode, the vague note to review",
)  # fmt: skip
DUTY_OFFICER = Who(
    username="whitfield", name="Jo Whitfield", role="force_duty_officer",
    shows="every borough, and the alert that climbed all the way",
)  # fmt: skip
DESKS = (
    INVESTIGATOR,
    Who(username="hughes", name="Ann Hughes", role="supervisor", borough=SOUTHWARK, shows="Southwark as a supervisor"),
    Who(username="lindqvist", name="Eva Lindqvist", role="investigator", borough=LAMBETH,
        shows="the late note, and danger now"),
    Who(username="mensah", name="Kofi Mensah", role="supervisor", borough=LAMBETH,
        shows="the alert nobody acknowledged"),
    Who(username="okoro", name="Chidi Okoro", role="duty_inspector", unit=UNIT, shows="Southwark and Lambeth together"),
    DUTY_OFFICER,
    Who(username="admin", name="Administrator", role="administrator", shows="no child at all"),
)  # fmt: skip
OFFICERS = (
    Who(username="adeyemi", name="Tolu Adeyemi", role="schools_officer", borough=SOUTHWARK, ward="E05011110"),
    Who(username="bennett", name="Chris Bennett", role="ward_officer", borough=SOUTHWARK, ward="E05011113"),
    Who(username="costa", name="Inês Costa", role="ward_officer", borough=SOUTHWARK, ward="E05011108"),
    Who(username="dhillon", name="Simran Dhillon", role="schools_officer", borough=LAMBETH, ward="E05014095"),
    Who(username="evans", name="Rhys Evans", role="ward_officer", borough=LAMBETH, ward="E05014097"),
    Who(username="farah", name="Hodan Farah", role="ward_officer", borough=LAMBETH, ward="E05014101"),
)
ADEYEMI, BENNETT, COSTA, DHILLON, EVANS, FARAH = range(len(OFFICERS))


class Children(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the story is about. All but `stranger` are on the registry."""

    missing: SyntheticChild
    late: SyntheticChild
    in_danger: SyntheticChild
    vague: SyntheticChild
    bullied: SyntheticChild
    twin: SyntheticChild
    stranger: SyntheticChild

    @property
    def known(self) -> tuple[SyntheticChild, ...]:
        return (self.missing, self.late, self.in_danger, self.vague, self.bullied, self.twin)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A note that an officer's phone is given to write: its id, which phone, and its body as JSON."""

    note_id: str
    phone: int
    note: Json

    def line(self) -> bytes:
        """As `earlysign-device simulate` reads it, on the one phone it is for."""
        return msgspec.json.encode({"id": self.note_id, "note": self.note})


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is written. `vague` is typed by hand on a phone, so it has no id yet."""

    children: Children
    first: tuple[Written, Written]
    """The first two missing episodes, weeks ago."""
    third: Written
    late: Written
    danger: Written
    incident: tuple[Written, Written]
    twin: Written
    brother: Written
    stranger: tuple[Written, Written]
    others: tuple[Written, ...]
    vague: tuple[str, ...]
    """Arguments of `earlysign-device note`."""

    @property
    def shift(self) -> tuple[Written, ...]:
        """What is written with no signal in the second part, the vague note apart."""
        return (
            self.third, self.late, self.danger, *self.incident, self.twin, self.brother, *self.stranger, *self.others,
        )  # fmt: skip


class NoSuchChild(ValueError):
    """The registry is too small for the story: some part has nobody to play it."""


def age_of(child: SyntheticChild, on: datetime.date) -> int:
    """Whole years."""
    born = datetime.date.fromisoformat(child.date_of_birth)
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def choose(registry: Sequence[SyntheticChild], seed: int, on: datetime.date) -> Children:
    """The children of the story, no two of one household. Raises NoSuchChild."""
    taken: set[int] = set()

    def first(what: str, *wanted: Callable[[SyntheticChild], bool]) -> SyntheticChild:
        """The first child that meets the strictest of `wanted` that anybody meets."""
        for condition in wanted:
            for child in registry:
                if child.household not in taken and _plain(child) and condition(child):
                    taken.add(child.household)
                    return child
        raise NoSuchChild(f"nobody on this registry can be {what}: it needs more children")

    def of_age(child: SyntheticChild, least: int, most: int) -> bool:
        return least <= age_of(child, on) <= most

    def in_lambeth(child: SyntheticChild, least: int, most: int) -> bool:
        return child.home_borough == LAMBETH and of_age(child, least, most) and _homely(child)

    def about_thirteen(child: SyntheticChild) -> bool:
        return child.sex is Sex.MALE and bool(child.school) and of_age(child, 12, 14)

    return Children(
        vague=first(
            "the boy of about thirteen",
            lambda c: about_thirteen(c) and c.called == "Jay" and c.home_borough == SOUTHWARK,
            lambda c: about_thirteen(c) and c.called == "Jay",
            lambda c: about_thirteen(c) and c.home_borough == SOUTHWARK,
        ),
        twin=first("a twin in Lambeth", lambda c: c.has_twin and c.home_borough == LAMBETH and _homely(c)),
        missing=first(
            "a girl who goes missing from Southwark",
            lambda c: (
                c.sex is Sex.FEMALE and c.home_borough == SOUTHWARK and of_age(c, 13, 15) and _homely(c)
            ),
        ),
        late=first("an older child of Lambeth", lambda c: in_lambeth(c, 14, 16)),
        in_danger=first("a small child of Lambeth", lambda c: in_lambeth(c, 5, 8)),
        bullied=first("a pupil of Lambeth", lambda c: in_lambeth(c, 9, 12)),
        stranger=_stranger(seed, on),
    )


def _plain(child: SyntheticChild) -> bool:
    """On the record as most are: the story is about other things than restricted records and placements."""
    return not (child.restricted or child.looked_after or child.moved_address)


def _homely(child: SyntheticChild) -> bool:
    """Enough is known of the home to describe the child by it."""
    return bool(child.address and child.postcode and child.guardian)


def _stranger(seed: int, on: datetime.date) -> SyntheticChild:
    for child in population(seed + STRANGER_SEED_STEP, 1_000, on):
        if _plain(child) and _homely(child) and child.school and 8 <= age_of(child, on) <= 12:
            return child
    raise NoSuchChild("nobody can be the child who is on no registry: take another seed")


def describe_fully(child: SyntheticChild) -> Json:
    """What an officer writes who has spoken to the child and looked at a letter: no numbers of any register."""
    subject = {
        "given_names": child.called, "family_name": child.family_name, "date_of_birth": child.date_of_birth,
        "sex": child.sex.value, "address": child.address, "postcode": child.postcode, "school": child.school,
        "guardian": child.guardian,
    }  # fmt: skip
    return {name: value for name, value in subject.items() if value}


class Pen:
    """Writes notes: ids, places and texts by seed, times by the clock it is given."""

    def __init__(self, seed: int, now: datetime.datetime) -> None:
        self.rng = Random(seed + 1)
        self.now = now.replace(microsecond=0)

    def write(
        self,
        phone: int,
        category: Category,
        subject: Json,
        *,
        ago_minutes: int,
        where: tuple[float, float] | None = None,
        more: Json | None = None,
    ) -> Written:
        """A note by the officer of `phone`, observed so long ago and written down a few minutes later."""
        texts = note_texts(category, self.rng)
        borough = boroughs()[OFFICERS[phone].borough or SOUTHWARK]
        latitude, longitude = where or spot_in(borough, self.rng)
        observed = self.now - datetime.timedelta(minutes=ago_minutes)
        recorded = min(self.now, observed + datetime.timedelta(minutes=4))
        note: Json = {
            "observed_at": observed.isoformat(),
            "recorded_at": recorded.isoformat(),
            "category": category.value,
            "saw_or_heard": texts.saw_or_heard,
            "assessment": texts.assessment,
            "voice_of_child": texts.voice_of_child,
            "demeanour": texts.demeanour,
            "child_seen": "seen",
            "found_at": {"latitude": latitude, "longitude": longitude, "accuracy_m": 15},
            "subjects": [subject],
        }
        note |= more or {}
        msgspec.convert(note, Note)  # a mistake is found here, not on a phone
        made = uuid.UUID(int=self.rng.getrandbits(128), version=4)
        return Written(note_id=str(made), phone=phone, note=note)


def write_story(registry: Sequence[SyntheticChild], seed: int, now: datetime.datetime) -> Story:
    """Choose the children and write all notes. `now` carries an offset. Raises NoSuchChild."""
    children = choose(registry, seed, now.date())
    pen = Pen(seed, now)
    missing = describe_fully(children.missing)
    away = {"missing": {"hours": 5, "risk_level": "medium", "returned": True}}
    # The earlier episodes are in notebooks, and written up on the day the phones are handed out.
    notebook = away | {"recorded_at": pen.now.isoformat()}
    yard = spot_in(boroughs()[LAMBETH], pen.rng)
    stranger = describe_fully(children.stranger)
    at_school = {name: value for name, value in stranger.items() if name not in ("address", "postcode")}
    return Story(
        children=children,
        first=(
            pen.write(BENNETT, Category.MISSING, missing, ago_minutes=61 * DAY, more=notebook),
            pen.write(COSTA, Category.MISSING, missing, ago_minutes=24 * DAY, more=notebook),
        ),
        third=pen.write(BENNETT, Category.MISSING, missing, ago_minutes=50, more=away),
        late=pen.write(EVANS, Category.KNIFE, describe_fully(children.late), ago_minutes=9 * HOUR),
        danger=pen.write(
            FARAH,
            Category.NEGLECT,
            describe_fully(children.in_danger),
            ago_minutes=6,
            more={"danger_now": True},
        ),
        incident=(
            pen.write(
                DHILLON, Category.BULLYING, describe_fully(children.bullied), ago_minutes=95, where=yard
            ),
            pen.write(EVANS, Category.BULLYING, describe_fully(children.bullied), ago_minutes=75, where=yard),
        ),
        twin=pen.write(DHILLON, Category.MENTAL_HEALTH, describe_fully(children.twin), ago_minutes=120),
        brother=pen.write(
            FARAH, Category.NEGLECT, describe_brother(children.twin, registry, pen.rng), ago_minutes=110
        ),
        stranger=(
            pen.write(ADEYEMI, Category.YOUNG_CARER, at_school, ago_minutes=200),
            pen.write(FARAH, Category.YOUNG_CARER, stranger, ago_minutes=45),
        ),
        others=tuple(_others(registry, children, pen)),
        vague=_vague(children.vague, pen),
    )


def describe_brother(child: SyntheticChild, registry: Sequence[SyntheticChild], rng: Random) -> Json:
    """A boy who lives with `child`, born the same day, whom the registry does not have: another given name."""
    here = {name for name, _ in child.siblings}
    borne = sorted(
        {c.called for c in registry if c.community == child.community and c.sex is Sex.MALE} - here
    )
    unlike = [name for name in borne if name[0] not in {other[0] for other in here}]
    return describe_fully(child) | {"given_names": pick(unlike or borne, rng), "sex": "male"}


def _others(registry: Sequence[SyntheticChild], children: Children, pen: Pen) -> Iterator[Written]:
    """The other notes of the shift: about children of the two boroughs, the story's households left out."""
    apart = {child.household for child in children.known}
    near = {
        code: [
            c for c in registry if c.home_borough == code and c.household not in apart and not c.restricted
        ]
        for code in (SOUTHWARK, LAMBETH)
    }
    for phone, officer in enumerate(OFFICERS):
        for _ in range(NOTES_PER_PHONE):
            child = pick(near[officer.borough or SOUTHWARK], pen.rng)
            described = describe(child, pen.rng, Quality.MIXED, on=pen.now.date())
            ago_minutes = 10 + int(pen.rng.random() * 230)
            category = _concern(age_of(child, pen.now.date()), pen.rng)
            yield pen.write(phone, category, described.subject, ago_minutes=ago_minutes)


def _concern(age: int, rng: Random) -> Category:
    """What a note about a child of this age is about."""
    while True:
        category = _CATEGORIES.pick(rng)
        if age >= _YEARS_LEAST.get(category, 0):
            return category


def _vague(child: SyntheticChild, pen: Pen) -> tuple[str, ...]:
    """The vague note as it is typed: a first name, an age, and the school on the blazer."""
    peckham: Borough = boroughs()[SOUTHWARK]
    return (
        "--given-names", child.called, "--age", "13", "--sex", "male", "--school", child.school,
        "--description", "School blazer, black rucksack, no coat",
        "--place", "Peckham bus station", "--latitude", str(peckham.latitude), "--longitude", str(peckham.longitude),
        "--saw", f"Boy about 13, first name {child.called}, alone at the bus station for over an hour with two men in "
        "their twenties. They left when I came near. He would not give a surname.",
        "--words", "I'm just waiting for my bus.", "--category", "cce", "--seen", "seen_alone",
    )  # fmt: skip
