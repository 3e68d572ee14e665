"""London as far as the generator needs it: boroughs, invented homes in real postcode districts, schools.

A home is found from a small number (its unit: some fifteen front doors with one postcode), so that households
of one unit share street and postcode, and nothing has to be remembered between homes.
"""

from functools import cache
from random import Random

import msgspec

from server.demo.draw import Draw, chance, data, pick, words
from server.demo.names import Community, communities
from sync.vocabulary import Sex

UNITS_PER_DISTRICT = 720
"""Postcodes in one outward district of one borough: about what London has."""

UNITS_PER_STREET = 3
INWARD_LETTERS = "ABDEFGHJLNPQRSTUWXYZ"
"""The last two letters of a postcode are never C, I, K, M, O or V."""

INWARD_PARTS = 9 * len(INWARD_LETTERS) ** 2
_INWARD_STRIDE = 1021
"""Shares no factor with 3,600, the number of inward parts, so no two units of a district get the same."""

PRIMARIES, SECONDARIES, COLLEGES, NURSERIES = 58, 17, 3, 4
MIXED_SECONDARIES = 11
GIRLS_SECONDARIES = 3
SCHOOLS_PER_BOROUGH = PRIMARIES + SECONDARIES + COLLEGES + NURSERIES


class Borough(msgspec.Struct, frozen=True, kw_only=True):
    """A borough: its centre in degrees (WGS 84), and a radius in metres that stays inside it."""

    code: str
    name: str
    bcu: str
    education_authority: int
    children_thousands: float
    latitude: float
    longitude: float
    radius_metres: float
    districts: tuple[str, ...]
    neighbours: tuple[str, ...]
    index: int
    mix: Draw[Community]
    """Communities, as common as they are in this borough."""


class Home(msgspec.Struct, frozen=True):
    """An address as it is written on a record. `unit` tells which primary school is nearest."""

    address: str
    postcode: str
    borough: str
    unit: int


@cache
def boroughs() -> dict[str, Borough]:
    """The 32 boroughs of the Met by ONS code, in the order of their codes."""
    found: dict[str, Borough] = {}
    for index, (code, raw) in enumerate(data("boroughs.toml").items()):
        local = dict(part.split(":") for part in raw["communities"].split())
        unknown = local.keys() - communities().keys()
        if unknown:
            raise ValueError(f"boroughs.toml, {code}: no such community: {', '.join(sorted(unknown))}")
        found[code] = Borough(
            code=code,
            name=raw["name"],
            bcu=raw["bcu"],
            education_authority=raw["education_authority"],
            children_thousands=raw["children_thousands"],
            latitude=raw["latitude"],
            longitude=raw["longitude"],
            radius_metres=raw["radius_metres"],
            districts=tuple(raw["districts"].split()),
            neighbours=tuple(raw["neighbours"].split()),
            index=index,
            mix=Draw([(c, c.share * float(local.get(c.key, 1))) for c in communities().values()]),
        )
    return found


@cache
def any_borough() -> Draw[Borough]:
    return Draw([(borough, borough.children_thousands) for borough in boroughs().values()])


class _District(msgspec.Struct, frozen=True):
    outward: str
    number: int
    first_unit: int
    """Where a district lies in several boroughs, each has its own units."""


@cache
def _districts() -> dict[str, tuple[_District, ...]]:
    seen: dict[str, int] = {}
    found: dict[str, tuple[_District, ...]] = {}
    number = 0
    for borough in boroughs().values():
        own = []
        for outward in borough.districts:
            own.append(_District(outward, number, seen.get(outward, 0)))
            seen[outward] = seen.get(outward, 0) + UNITS_PER_DISTRICT
            number += 1
        found[borough.code] = tuple(own)
    return found


@cache
def _streets() -> tuple[list[str], list[str], list[str], list[str]]:
    raw = data("places.toml")
    return words(raw["street_front"]), words(raw["street_back"]), raw["street_kind"], raw["block_kind"]


def home_in(borough: Borough, rng: Random) -> Home:
    """Some home in `borough`: a house, a flat, or a flat in a block."""
    district = pick(_districts()[borough.code], rng)
    unit = int(rng.random() * UNITS_PER_DISTRICT)
    street = _street(district.number * (UNITS_PER_DISTRICT // UNITS_PER_STREET) + unit // UNITS_PER_STREET)
    number = 1 + int(rng.random() * 60)
    kind = (unit * 7 + district.number) % 10
    if kind < 3:
        fronts, backs, _, blocks = _streets()
        name = fronts[(unit * 31 + district.number) % len(fronts)]
        if unit % 2:
            name += backs[unit % len(backs)]
        address = f"{number} {name} {blocks[unit % len(blocks)]}, {street}"
    elif kind < 5:
        address = f"Flat {1 + number % 9}, {number} {street}"
    else:
        address = f"{number + 60 * (unit % UNITS_PER_STREET)} {street}"
    return Home(address, postcode_of(district.outward, district.first_unit + unit), borough.code, unit)


def _street(number: int) -> str:
    fronts, backs, kinds, _ = _streets()
    front = fronts[number * 53 % len(fronts)]
    back = backs[number * 7 % len(backs)]
    return f"{front}{back} {kinds[number * 5 // 3 % len(kinds)]}"


def postcode_of(outward: str, unit: int) -> str:
    """The postcode of a district's unit: "SE15 4QX". The outward part is real, the rest invented."""
    part = unit * _INWARD_STRIDE % INWARD_PARTS
    digit, letters = divmod(part, len(INWARD_LETTERS) ** 2)
    first, second = divmod(letters, len(INWARD_LETTERS))
    return f"{outward} {digit + 1}{INWARD_LETTERS[first]}{INWARD_LETTERS[second]}"


class School(msgspec.Struct, frozen=True):
    name: str
    borough: str


@cache
def schools(code: str) -> tuple[School, ...]:
    """A borough's schools: primaries, then mixed, girls' and boys' secondaries, colleges, nurseries."""
    raw = data("places.toml")
    fronts, backs = words(raw["school_front"]), words(raw["school_back"])
    first = boroughs()[code].index * SCHOOLS_PER_BOROUGH
    kinds = (
        [raw["primary"]] * PRIMARIES
        + [raw["secondary"]] * MIXED_SECONDARIES
        + [raw["secondary_girls"]] * GIRLS_SECONDARIES
        + [raw["secondary_boys"]] * (SECONDARIES - MIXED_SECONDARIES - GIRLS_SECONDARIES)
        + [raw["college"]] * COLLEGES
        + [raw["nursery"]] * NURSERIES
    )
    found = []
    for place, kind in enumerate(kinds):
        # 1,009 is prime, so every pair of halves comes once before any comes again, with another kind.
        pair = (first + place) * 1009 % (len(fronts) * len(backs))
        turn = (first + place) // (len(fronts) * len(backs))
        stem = fronts[pair // len(backs)] + backs[pair % len(backs)]
        found.append(School(f"{stem} {kind[(place + turn) % len(kind)]}", code))
    return tuple(found)


def school_for(home: Home, academic_age: int, sex: Sex, rng: Random) -> School | None:
    """The school of a child of this age (in whole years on 31 August last); None below three.

    A primary is the nearest in three cases of four; a third of secondary pupils cross the boundary.
    """
    if academic_age < 3:
        return None
    code = home.borough
    if academic_age < 4:
        return schools(code)[SCHOOLS_PER_BOROUGH - 1 - home.unit % NURSERIES] if chance(rng, 0.6) else None
    roll = rng.random()
    if academic_age < 11:
        if roll < 0.75:
            return schools(code)[home.unit % PRIMARIES]
        return pick(schools(_near(code, 0.08 / 0.25, rng))[:PRIMARIES], rng)
    code = _near(code, 0.33, rng)
    if academic_age >= 16 and roll < 0.45:
        return schools(code)[PRIMARIES + SECONDARIES + int(rng.random() * COLLEGES)]
    place = int(rng.random() * (MIXED_SECONDARIES + GIRLS_SECONDARIES))
    if place >= MIXED_SECONDARIES and sex is Sex.MALE:
        place += GIRLS_SECONDARIES
    return schools(code)[PRIMARIES + place]


def _near(code: str, share: float, rng: Random) -> str:
    return pick(boroughs()[code].neighbours, rng) if rng.random() < share else code


METRES_PER_DEGREE = 111_320
_COSINE = 0.6225
"""Of London's latitude: a degree of longitude is that much shorter."""


def spot_in(borough: Borough, rng: Random) -> tuple[float, float]:
    """A point inside `borough`: latitude and longitude in degrees, to about ten metres."""
    while True:
        x, y = 2 * rng.random() - 1, 2 * rng.random() - 1
        if x * x + y * y <= 1:
            break
    north = y * borough.radius_metres / METRES_PER_DEGREE
    east = x * borough.radius_metres / (METRES_PER_DEGREE * _COSINE)
    return round(borough.latitude + north, 4), round(borough.longitude + east, 4)
