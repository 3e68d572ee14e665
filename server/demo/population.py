"""Synthetic London children, household by household: the registry of the demo and of the benches.

Nobody here exists. The same seed gives the same children in every process; asking for more children only adds
to the end. Shares (twins, looked-after children, what a record lacks) are named below, each with its reason.
"""

import csv
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import msgspec

from server.demo.ages import Calendar, calendar_of
from server.demo.draw import Draw, chance, pick
from server.demo.identifiers import nhs_number, phone, upn
from server.demo.names import Community, Family, Named, family_of, guardian_name, name_child, short_forms
from server.demo.places import Borough, Home, any_borough, boroughs, home_in, school_for
from sync.vocabulary import Sex

TODAY = datetime.date(2026, 3, 2)
"""The day that ages are counted from unless another is given: fixed, so that a seed repeats a bench."""

TWIN_SHARE = 0.016
"""Of births: about three children in a hundred have a twin."""

CHILDREN_PER_HOUSEHOLD_MAX = 5
_SIZES = {
    "small": Draw([(1, 46), (2, 40), (3, 11), (4, 2.5), (5, 0.5)]),
    "medium": Draw([(1, 38), (2, 37), (3, 17), (4, 6), (5, 2)]),
    "large": Draw([(1, 22), (2, 30), (3, 26), (4, 14), (5, 8)]),
}
GAP_DAYS_MIN, GAP_DAYS_SPREAD = 330, 1500

MIXED_SHARE = 0.13
"""Households whose parents come from two communities."""
SECOND_FATHER_SHARE = 0.13
"""Households with several births where the younger children have another father's name."""
LOOKED_AFTER_SHARE = 0.005
PLACED_ELSEWHERE_SHARE = 0.6
"""Of looked-after children: about 60 % of London's lived outside their own borough in 2016."""
RESTRICTED_SHARE = 0.002
MOVED_SHARE = 0.06
"""Households that live somewhere else than the record says."""
STALE_ADDRESS_SHARE = 0.04
"""Children recorded at an address that the rest of the household has left."""
ALIAS_SHARE = 0.06
OWN_PHONE_SHARE = 0.45
"""Children of twelve and more whose record has a phone of their own."""

NO_ADDRESS_SHARE, NO_PHONE_SHARE, NO_GUARDIAN_SHARE, NO_SCHOOL_SHARE = 0.02, 0.3, 0.12, 0.06
UPN_SHARE, NHS_NUMBER_SHARE = 0.85, 0.3
"""Of pupils, and of all. At 0.3 two million children stay below the 909,000 test numbers there are."""

CSV_COLUMNS = (
    "child_id", "given_names", "family_name", "aliases", "date_of_birth", "sex", "address", "postcode",
    "school", "phone", "guardian", "upn", "nhs_number", "home_borough", "school_borough",
    "responsible_authority", "looked_after", "restricted",
)  # fmt: skip
KNOWN_COLUMNS = CSV_COLUMNS[:13]
"""What `earlysign link --known` takes; the rest is the server's own."""

PROGRESS_EVERY = 1000


class SyntheticChild(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One child as the registry has it, then what only the generator knows. Absent text is empty."""

    child_id: int
    given_names: str
    family_name: str
    aliases: tuple[str, ...]
    date_of_birth: str
    sex: Sex
    address: str
    postcode: str
    school: str
    phone: str
    guardian: str
    upn: str
    nhs_number: str
    home_borough: str
    school_borough: str
    responsible_authority: str
    """GSS code, for looked-after children only: the authority that has care of the child."""
    looked_after: bool
    restricted: bool
    called: str
    """The given name that is used; a part of `given_names`."""
    household: int
    community: str
    siblings: tuple[tuple[str, str], ...]
    """What all children of the household are called, and their dates of birth (ISO); this one among them."""
    moved_address: str
    moved_postcode: str
    """Where the child lives now, if that is not what the registry says."""

    @property
    def has_twin(self) -> bool:
        return sum(born == self.date_of_birth for _, born in self.siblings) > 1


class _Registry:
    """The counters that keep numbers unique: all the memory that a run of any size needs."""

    def __init__(self, rng: Random, calendar: Calendar) -> None:
        self.rng = rng
        self.calendar = calendar
        self.child_id = 0
        self.household = 0
        self.phones = 0
        self.nhs_numbers = 0
        self.upns = dict.fromkeys(boroughs(), 0)

    def next_phone(self) -> str:
        self.phones += 1
        return phone(self.phones)

    def next_nhs_number(self) -> str:
        number, self.nhs_numbers = nhs_number(self.nhs_numbers)
        return number

    def next_upn(self, borough: str, year: int) -> str:
        self.upns[borough] += 1
        return upn(boroughs()[borough].education_authority, self.upns[borough], year)


class _Household(msgspec.Struct):
    """What the children of one household share, before it is written down child by child."""

    number: int
    borough: Borough
    home: Home
    moved: Home | None
    phone: str
    guardian: str
    community: str
    ages: list[int]
    """In days, youngest first."""
    sexes: list[Sex]
    names: list[Named]


def population(seed: int, children: int, today: datetime.date = TODAY) -> Iterator[SyntheticChild]:
    """`children` synthetic children below eighteen on `today`, brothers and sisters in sequence.

    Memory does not grow with `children`; a child takes some tens of microseconds.
    """
    registry = _Registry(Random(seed), calendar_of(today))
    while registry.child_id < children:
        household = _household(registry)
        siblings = tuple(
            (named.called, registry.calendar.iso[age])
            for named, age in zip(household.names, household.ages, strict=True)
        )
        for place in range(len(household.ages)):
            if registry.child_id == children:
                return
            yield _child(registry, household, place, siblings)


def _household(registry: _Registry) -> _Household:
    rng = registry.rng
    registry.household += 1
    borough = any_borough().pick(rng)
    community = borough.mix.pick(rng)
    other = borough.mix.pick(rng) if chance(rng, MIXED_SHARE) else community
    family = family_of(community, other, rng)
    ages = _ages(community, registry.calendar.days, rng)
    sexes = [Sex.MALE if rng.random() < 0.512 else Sex.FEMALE for _ in ages]
    home = home_in(borough, rng)
    return _Household(
        number=registry.household,
        borough=borough,
        home=home,
        moved=_new_home(home, rng) if chance(rng, MOVED_SHARE) else None,
        phone=registry.next_phone(),
        guardian=guardian_name(family, rng),
        community=community.key,
        ages=ages,
        sexes=sexes,
        names=_names(family, community, ages, sexes, rng),
    )


def _ages(community: Community, days: int, rng: Random) -> list[int]:
    """Ages in days, youngest first, twins next to each other with the same age."""
    births = _SIZES[community.sizes].pick(rng)
    gaps = [GAP_DAYS_MIN + int(rng.random() * GAP_DAYS_SPREAD) for _ in range(births - 1)]
    span = sum(gaps)
    if span > days - 1:
        gaps = [gap * (days - 1) // span for gap in gaps]
        span = sum(gaps)
    age = int(rng.random() * (days - span))
    ages = []
    for gap in (0, *gaps):
        age += gap
        ages.append(age)
        if rng.random() < TWIN_SHARE:
            ages.append(age)
    return ages[:CHILDREN_PER_HOUSEHOLD_MAX]


def _names(
    family: Family, community: Community, ages: list[int], sexes: list[Sex], rng: Random
) -> list[Named]:
    split = len(ages)
    younger = family
    if len(ages) > 1 and chance(rng, SECOND_FATHER_SHARE):
        split = 1 + int(rng.random() * (len(ages) - 1))
        if ages[split] == ages[split - 1]:
            split += 1  # twins have one father
        younger = family_of(community, family.other, rng)
    taken: list[str] = []
    names: list[Named] = []
    for place, sex in enumerate(sexes):
        is_twin = place > 0 and ages[place] == ages[place - 1]
        parents = family if place >= split else younger
        named = name_child(parents, sex, taken, taken[-1] if is_twin else None, rng)
        if is_twin and sex is sexes[place - 1]:
            named.family_name = names[-1].family_name
        taken.append(named.called)
        names.append(named)
    return names


def _new_home(home: Home, rng: Random) -> Home:
    """Where a household went: in its borough in six cases of ten, else next door, else anywhere."""
    roll = rng.random()
    if roll < 0.6:
        return home_in(boroughs()[home.borough], rng)
    if roll < 0.85:
        return home_in(boroughs()[pick(boroughs()[home.borough].neighbours, rng)], rng)
    return home_in(any_borough().pick(rng), rng)


def _child(
    registry: _Registry, household: _Household, place: int, siblings: tuple[tuple[str, str], ...]
) -> SyntheticChild:
    rng, calendar = registry.rng, registry.calendar
    registry.child_id += 1
    age, sex, named = household.ages[place], household.sexes[place], household.names[place]
    home, moved, guardian = household.home, household.moved, household.guardian
    number = household.phone
    looked_after = rng.random() < LOOKED_AFTER_SHARE
    if looked_after:
        elsewhere = rng.random() < PLACED_ELSEWHERE_SHARE
        home = home_in(_placement(household.borough, rng) if elsewhere else household.borough, rng)
        carer = boroughs()[home.borough].mix.pick(rng)
        guardian = f"{carer.given(Sex.FEMALE, rng)} {carer.family.pick(rng)}"
        number, moved = registry.next_phone(), None
    elif len(household.ages) > 1 and rng.random() < STALE_ADDRESS_SHARE:
        home, moved = _new_home(home, rng), home
    academic_age = calendar.academic_age[age]
    school = school_for(home, academic_age, sex, rng)
    if calendar.years[age] >= 12 and rng.random() < OWN_PHONE_SHARE:
        number = registry.next_phone()
    has_address, has_school = rng.random() >= NO_ADDRESS_SHARE, rng.random() >= NO_SCHOOL_SHARE
    pupil = school is not None and academic_age >= 4 and rng.random() < UPN_SHARE
    return SyntheticChild(
        child_id=registry.child_id,
        given_names=named.given_names,
        family_name=named.family_name,
        aliases=named.aliases or _aliases(named, rng),
        date_of_birth=calendar.iso[age],
        sex=sex,
        address=home.address if has_address else "",
        postcode=home.postcode if has_address else "",
        school=school.name if school is not None and has_school else "",
        phone=number if rng.random() >= NO_PHONE_SHARE else "",
        guardian=guardian if rng.random() >= NO_GUARDIAN_SHARE else "",
        upn=registry.next_upn(home.borough, calendar.entry_year[age]) if pupil else "",
        nhs_number=registry.next_nhs_number() if rng.random() < NHS_NUMBER_SHARE else "",
        home_borough=home.borough,
        school_borough=school.borough if school is not None and has_school else "",
        responsible_authority=household.borough.code if looked_after else "",
        looked_after=looked_after,
        restricted=rng.random() < RESTRICTED_SHARE,
        called=named.called,
        household=household.number,
        community=household.community,
        siblings=siblings,
        moved_address=moved.address if moved is not None else "",
        moved_postcode=moved.postcode if moved is not None else "",
    )


def _placement(borough: Borough, rng: Random) -> Borough:
    """Another borough for a looked-after child, a near one in half of the cases."""
    if chance(rng, 0.5):
        return boroughs()[pick(borough.neighbours, rng)]
    other = any_borough().pick(rng)
    return other if other is not borough else boroughs()[borough.neighbours[0]]


def _aliases(named: Named, rng: Random) -> tuple[str, ...]:
    if rng.random() >= ALIAS_SHARE:
        return ()
    first = named.called
    shorts = short_forms().get(first)
    if shorts:
        return (pick(shorts, rng),)
    if chance(rng, 0.4):
        return (first[0] + named.family_name[0],)
    return (first[:3].rstrip("'-") + "y",)


def write_registry_csv(
    path: Path,
    seed: int,
    children: int,
    today: datetime.date = TODAY,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write a registry to `path` (UTF-8, the columns of `CSV_COLUMNS`) and return how many children it has.

    `progress` is told the number written so far, every thousand and at the end. The file appears under its
    name only when it is whole, so an interrupted run leaves no short registry behind. Raises OSError.
    """
    partial = path.with_name(path.name + ".partial")
    written = 0
    with partial.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(CSV_COLUMNS)
        for child in population(seed, children, today):
            rows.writerow(csv_row(child))
            written += 1
            if progress is not None and written % PROGRESS_EVERY == 0:
                progress(written)
    partial.replace(path)
    if progress is not None:
        progress(written)
    return written


def csv_row(child: SyntheticChild) -> tuple[str, ...]:
    """`child` as a row under `CSV_COLUMNS`."""
    return (
        str(child.child_id), child.given_names, child.family_name, ";".join(child.aliases),
        child.date_of_birth, child.sex.value, child.address, child.postcode, child.school, child.phone,
        child.guardian, child.upn, child.nhs_number, child.home_borough, child.school_borough,
        child.responsible_authority,
        "yes" if child.looked_after else "no", "yes" if child.restricted else "no",
    )  # fmt: skip
