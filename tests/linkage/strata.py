"""Notes about the children of a made-up city, in all the ways in which notes go wrong, with the truth of each.

Written from what officers, registrars and clerks do to names, dates, homes and numbers; it uses none of the
tables of `server/linkage`, so that these do not mark their own work. Every case comes from a seed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from server.linkage.standardise import Description
from tests.linkage.population import (
    DISTRICTS,
    KINDS,
    OBSERVED_ON,
    PEOPLES,
    SHORT,
    SPELLINGS,
    STREETS,
    City,
    Person,
    make_city,
    unknown_twin,
)

RARE_GIVEN_SHARE = 0.10
NO_GIVEN_SHARE = 0.004
LESSER = ("sex", "school", "phone", "guardian", "address", "postcode", "upn", "nhs_number")
NUMBERS = ("upn", "nhs_number")
HOME = ("address", "postcode", "school", "phone", "guardian", "upn", "nhs_number")


@dataclass(frozen=True)
class Case:
    """One note: its stratum, what it says, and the registered child it is about (None: not registered).

    `identifiable`: it names the child and says enough more that a person would be sure. `weight`: for how many
    notes it stands where kinds of notes are drawn more or less often than they come.
    """

    stratum: str
    note: Description
    truth: int | None
    identifiable: bool
    weight: float = 1.0


@dataclass
class Registry:
    """The city as registered: the truth of every child, and what the registry says of those it holds."""

    city: City
    known: dict[int, Description]
    homes: dict[int, list[Person]]


def change(description: Description, **fields: object) -> Description:
    """The description with fields changed."""
    values = {name: getattr(description, name) for name in description.__struct_fields__}
    return Description(**{**values, **fields})


def number_of(person: Person, kind: str) -> str:
    """A UPN or NHS number of this child, the same whenever asked."""
    random = Random(f"{person.person_id} {person.home} {person.given} {kind}")
    if kind == "upn":
        return f"{random.choice('ABCDEFGHJKLMNPQRTUVWXYZ')}{random.randrange(10**11, 10**12)}"
    return f"{random.randrange(400, 800)} {random.randrange(100, 1000)} {random.randrange(1000, 10000)}"


def make_registry(children: int, seed: int, known_share: float = 0.8) -> Registry:
    """A city whose registry misses fields here and there, and names some children as registries do."""
    city = make_city(children, seed, known_share)
    random = Random(f"{seed} registry")
    for at, person in enumerate(city.people):
        if random.random() < RARE_GIVEN_SHARE:
            city.people[at] = replace(person, given=rare_given(random))
    known = {}
    for person_id in sorted(city.known):
        person = city.people[person_id]
        known[person_id] = _registered(person, random)
    return Registry(city, known, city.homes())


_RARE = (
    "ad al an ar bel cas da el fa ga ha is ja ka la ma na or pa ra sa ta va ya za",
    "ba da di la li lo ma mi na ni ra ri sa ti va vi",
    "ah an ar ea el elle en ia iel ien in ine is la lyn na on ra sha us",
)


def rare_given(random: Random) -> str:
    """A given name that few bear."""
    starts, middles, ends = (part.split() for part in _RARE)
    return random.choice(starts) + random.choice(middles) + random.choice(ends)


def _registered(person: Person, random: Random) -> Description:
    full = change(
        person.full(), observed_on=None, upn=number_of(person, "upn"), nhs_number=number_of(person, "nhs")
    )
    gone: dict[str, object] = {}
    shares = {"phone": 0.25, "guardian": 0.15, "school": 0.1, "upn": 0.3, "nhs_number": 0.3, "sex": 0.02,
              "address": 0.03}  # fmt: skip
    for name, share in shares.items():
        if random.random() < share:
            gone[name] = None
    if random.random() < NO_GIVEN_SHARE:
        gone["given_names"] = random.choice(("Baby", "Unknown", None))
    style = random.random()
    given, family = str(person.given).title(), person.family.title()
    if style < 0.15:
        given, family = given.upper(), family.upper()
    return change(full, **{"given_names": given, "family_name": family, **gone})


# -- errors ------------------------------------------------------------------------------------------------

_NEAR_KEYS = {"a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo",
              "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "mb", "o": "ip", "p": "o", "r": "et", "s": "ad",
              "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x"}  # fmt: skip
_SCANNED = (
    ("m", "rn"),
    ("rn", "m"),
    ("l", "i"),
    ("cl", "d"),
    ("vv", "w"),
    ("o", "0"),
    ("e", "c"),
    ("h", "b"),
)
_HEARD = (
    ("ee", "i"), ("i", "ee"), ("ou", "u"), ("oo", "u"), ("y", "i"), ("kh", "k"), ("q", "k"), ("ck", "k"),
    ("ph", "f"), ("z", "s"), ("a", "e"), ("u", "o"), ("w", "v"), ("sz", "sh"), ("cz", "ch"), ("th", "t"),
    ("ss", "s"), ("m", "mm"), ("n", "nn"), ("s", "ss"), ("j", "y"), ("c", "k"), ("ah", "a"), ("ie", "y"),
)  # fmt: skip


def mistype(text: str, random: Random) -> str:
    """One slip: a letter lost, doubled, exchanged, a neighbour on the keyboard, or misread by a scanner."""
    if len(text) < 3:
        return text
    kind, at = random.randrange(5), random.randrange(1, len(text) - 1)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    if kind == 2:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 3:
        return text[:at] + random.choice(_NEAR_KEYS.get(text[at].lower(), "e")) + text[at + 1 :]
    fitting = [(a, b) for a, b in _SCANNED if a in text[1:]]
    if not fitting:
        return text[:at] + text[at + 1 :]
    a, b = random.choice(fitting)
    return text[0] + text[1:].replace(a, b, 1)


def mishear(word: str, random: Random) -> str:
    """A name written as another ear and another language would."""
    fitting = [(a, b) for a, b in _HEARD if a in word[1:]]
    if not fitting:
        return word + "h" if word[-1:] == "a" else word
    a, b = random.choice(fitting)
    return word[0] + word[1:].replace(a, b, 1)


def respell(name: str, random: Random) -> str:
    """Another usual spelling of each word of a name, or what is heard of it."""
    words = name.lower().split()
    return " ".join(random.choice(SPELLINGS[w]) if w in SPELLINGS else mishear(w, random) for w in words)


def wrong_date(born: datetime.date, random: Random) -> datetime.date:
    """A date as clerks get it wrong: a digit, day and month, the year, 1 January."""
    for _ in range(20):
        kind = random.randrange(6)
        try:
            if kind == 0:
                return datetime.date(born.year, born.day, born.month)
            if kind == 1:
                return born.replace(year=born.year + random.choice((-1, 1)))
            if kind == 2:
                return born.replace(day=born.day // 10 * 10 + random.randrange(10))
            if kind == 3:
                return born.replace(month=random.randrange(1, 13))
            if kind == 4:
                return born.replace(day=random.randrange(1, 29))
            return born.replace(year=born.year // 10 * 10 + random.randrange(10))
        except ValueError:
            continue
    return born


def wrong_digit(code: str, random: Random) -> str:
    """A number with two digits exchanged, or one wrong."""
    at = random.randrange(2, len(code) - 1)
    if random.random() < 0.5 and code[at].isdigit() and code[at + 1].isdigit():
        return code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    return code[:at] + str(random.randrange(10)) + code[at + 1 :] if code[at].isdigit() else code


def reworded(full: Description, random: Random) -> Description:
    """The same facts in another dress: titles, capitals, abbreviations, phone prefixes, relations."""
    given, family = full.given_names or "", full.family_name or ""
    fields: dict[str, object] = {}
    fields["given_names"] = random.choice(
        (given.upper(), f"{given} (known as {given.split()[0]})", f"Master {given}", f"{given} ", f"{given},")
    )
    fields["family_name"] = random.choice((family.upper(), f"{family}.", family.lower(), f" {family}"))
    if full.address:
        text = full.address
        for long, short in (("road", "Rd"), ("street", "St."), ("avenue", "Ave"), ("close", "Cl"), ("lane", "Ln"),
                            ("gardens", "Gdns"), ("court", "Ct"), ("drive", "Dr")):  # fmt: skip
            text = text.replace(long, short)
        fields["address"] = random.choice(
            (text, f"{text}, London", f"{text}, {full.postcode}", f"No. {text}", f"Flat 2, {text}")
        )
    if full.postcode:
        code = full.postcode
        fields["postcode"] = random.choice(
            (
                code.lower(),
                code.replace(" ", ""),
                code.replace("0", "O"),
                code.replace("1", "I"),
                code.split()[0],
            )
        )
    if full.phone:
        digits = full.phone
        fields["phone"] = random.choice(
            (f"+44 {digits[1:]}", f"+44(0){digits[1:]}", f"{digits[:5]} {digits[5:]}", f"0044{digits[1:]}",
             f"{digits} (mum)")
        )  # fmt: skip
    if full.guardian:
        name = full.guardian.title()
        fields["guardian"] = random.choice(
            (f"Mrs {name}", f"{name} (mother)", f"mum {name.split()[0]}", f"Ms {name.split()[0][0]} "
             f"{name.split()[-1]}", name.upper(), f"{name.split()[-1]}, {name.split()[0]}")
        )  # fmt: skip
    if full.school:
        school = full.school.replace(" school", "")
        fields["school"] = random.choice(
            (school, school.replace("primary", "Pri. Sch."), school.title() + " School", f"{school} Schl",
             school.replace("academy", "Acad"))
        )  # fmt: skip
    return change(full, **fields)


def thinned(full: Description, random: Random, share: float) -> Description:
    """Some of the lesser fields are not told; the official numbers hardly ever are."""
    gone = [name for name in LESSER if random.random() < (0.85 if name in NUMBERS else share)]
    return change(full, **dict.fromkeys(gone))


def elsewhere(random: Random) -> dict[str, object]:
    """A home in another place."""
    code = (
        f"{random.choice(DISTRICTS)} {random.randrange(1, 10)}{random.choice('ABDE')}{random.choice('PQRS')}"
    )
    return {
        "address": f"{random.randrange(1, 160)} {random.choice(STREETS)} {random.choice(KINDS)}",
        "postcode": code,
    }


# -- notes about registered children -----------------------------------------------------------------------

Writer = Callable[[Person, Description, Random], Description]


def _aged(person: Person, full: Description, random: Random) -> Description:
    age = (OBSERVED_ON - person.born).days / 365.25
    said = max(int(age) + random.choice((-1, 0, 0, 0, 0, 1)), 0)
    return change(full, date_of_birth=None, age=float(said))


def _plain(person: Person, full: Description, random: Random) -> Description:
    return thinned(full, random, 0.5)


def _moved(person: Person, full: Description, random: Random) -> Description:
    gone = {
        n: None for n in ("phone", "school", *NUMBERS) if random.random() < (0.9 if n in NUMBERS else 0.6)
    }
    return change(full, **{**elsewhere(random), **gone})


def _transliterated(person: Person, full: Description, random: Random) -> Description:
    family = respell(person.family.replace("-", " "), random)
    return thinned(change(full, given_names=respell(person.given, random), family_name=family), random, 0.5)


def _swapped(person: Person, full: Description, random: Random) -> Description:
    return thinned(change(full, given_names=person.family, family_name=person.given), random, 0.5)


def _double(person: Person, full: Description, random: Random) -> Description:
    other = random.choice(PEOPLES[random.randrange(len(PEOPLES))][3].split())
    if "-" in person.family:
        family = random.choice(person.family.split("-"))
    else:
        family = random.choice((f"{person.family}-{other}", f"{other} {person.family}"))
    return thinned(change(full, family_name=family), random, 0.5)


def _age_only(person: Person, full: Description, random: Random) -> Description:
    return change(_aged(person, full, random), **dict.fromkeys(HOME))


def _age_and_home(person: Person, full: Description, random: Random) -> Description:
    return thinned(change(_aged(person, full, random), upn=None, nhs_number=None), random, 0.35)


def _vague(person: Person, full: Description, random: Random) -> Description:
    first = person.given.split()[0]
    place = random.choice(("bus station", f"{random.choice(STREETS)} park", "outside the chicken shop", None))
    aged = _aged(person, full, random)
    return Description(given_names=SHORT.get(first, first), age=aged.age, observed_on=OBSERVED_ON,
                       sex=person.sex, address=place)  # fmt: skip


def _data_entry(person: Person, full: Description, random: Random) -> Description:
    fields: dict[str, object] = {}
    for name in random.sample(("given_names", "family_name", "date_of_birth", "number", "postcode", "sex"),
                              random.choice((1, 2, 2, 3))):  # fmt: skip
        if name in ("given_names", "family_name"):
            fields[name] = mistype(str(getattr(full, name)), random)
        elif name == "date_of_birth":
            fields[name] = wrong_date(person.born, random)
        elif name == "postcode" and full.postcode:
            fields[name] = str(full.postcode)[:-1] + random.choice("ABDEFGH")
        elif name == "sex" and random.random() < 0.3:
            fields[name] = "male" if person.sex == "female" else "female"
        elif full.phone and full.nhs_number and full.upn:
            fields["phone"] = wrong_digit(full.phone, random)
            fields["nhs_number"] = wrong_digit(full.nhs_number, random)
            fields["upn"] = wrong_digit(full.upn, random)
    return thinned(change(full, **fields), random, 0.45)


def _short(person: Person, full: Description, random: Random) -> Description:
    words = person.given.split()
    return thinned(
        change(full, given_names=" ".join([str(SHORT.get(words[0], words[0])), *words[1:]])), random, 0.5
    )


def _alias(person: Person, full: Description, random: Random) -> Description:
    _, boys, girls, _ = PEOPLES[0]
    other = random.choice((boys if person.sex == "male" else girls).split()).title()
    aliases: tuple[str, ...] = (str(full.given_names), f"{other} {person.family}")
    return thinned(change(full, given_names=other, aliases=aliases), random, 0.5)


def _name_and_date(person: Person, full: Description, random: Random) -> Description:
    return change(full, **dict.fromkeys(HOME), sex=random.choice((person.sex, None)))


def _no_given(person: Person, full: Description, random: Random) -> Description:
    given = random.choice((None, "Unknown", "Baby", "N/K", person.given[0]))
    return thinned(change(full, given_names=given), random, 0.4)


def _other_family(person: Person, full: Description, random: Random) -> Description:
    other = random.choice(PEOPLES[random.randrange(len(PEOPLES))][3].split())
    return thinned(change(full, family_name=other), random, 0.3)


def _middle(person: Person, full: Description, random: Random) -> Description:
    words = person.given.split()
    given = words[-1] if len(words) > 1 else f"{person.given} {rare_given(random)}"
    return thinned(change(full, given_names=given.title()), random, 0.5)


def _redressed(person: Person, full: Description, random: Random) -> Description:
    return thinned(reworded(full, random), random, 0.4)


def _new_year(person: Person, full: Description, random: Random) -> Description:
    return thinned(change(full, date_of_birth=datetime.date(person.born.year, 1, 1)), random, 0.3)


WRITERS: dict[str, Writer] = {
    "plain": _plain,
    "redressed": _redressed,
    "moved": _moved,
    "transliterated": _transliterated,
    "swapped names": _swapped,
    "double name": _double,
    "age only": _age_only,
    "age and home": _age_and_home,
    "vague": _vague,
    "data entry": _data_entry,
    "short form": _short,
    "alias": _alias,
    "name and date": _name_and_date,
    "no given name": _no_given,
    "other family name": _other_family,
    "middle name": _middle,
    "first of January": _new_year,
}
NOT_IDENTIFIABLE = ("age only", "vague", "no given name")
OF_TWINS = ("registered twin", "registered sibling")
UNKNOWN = ("unregistered twin", "unregistered sibling", "unknown child", "unknown namesake")
MIXED = ("plain", "plain", "redressed", "transliterated", "data entry", "short form", "age and home", "moved")


NATURAL: dict[str, float] = {
    "plain": 22, "redressed": 10, "moved": 7, "transliterated": 8, "swapped names": 2, "double name": 3,
    "age only": 8, "age and home": 10, "vague": 8, "data entry": 8, "short form": 6, "alias": 2,
    "name and date": 4, "no given name": 4, "other family name": 2, "middle name": 3, "first of January": 1,
}  # fmt: skip
"""How often a note is written in each way, whomever it is about: shares are these over their sum."""
DRAWN: dict[str, float] = {
    "age only": 7, "moved": 4.5, "name and date": 4.5, "vague": 4, "no given name": 4, "age and home": 3,
    "data entry": 3, "double name": 3, "transliterated": 2, "middle name": 2, "alias": 2, "other family name": 2,
}  # fmt: skip
"""So much more often such notes are drawn than they come. Of all others one in two hundred or fewer gets a probability
in the middle; drawn by the square root of that share, notes of one number tell the most about the middle."""
UNREGISTERED_SHARE, UNREGISTERED_KIN_SHARE = 0.20, 0.15
"""Of all notes: about a child nobody of whose home is registered, and about one whose brother or sister is. Those
of the trial in LINKAGE.md."""


def told_of(person: Person) -> Description:
    """Everything there is to say of a child, as an officer would write it."""
    return change(
        person.full(),
        given_names=person.given.title(),
        family_name=person.family.title(),
        upn=number_of(person, "upn"),
        nhs_number=number_of(person, "nhs"),
    )


def _notes_of_known(registry: Registry, each: int, seed: int) -> Iterator[Case]:
    people, ids = registry.city.people, sorted(registry.known)
    for stratum, write in WRITERS.items():
        random = Random(f"{seed} {stratum}")
        for _ in range(each):
            person = people[random.choice(ids)]
            yield Case(stratum, write(person, told_of(person), random), person.person_id,
                       stratum not in NOT_IDENTIFIABLE)  # fmt: skip
    for stratum in OF_TWINS:
        random = Random(f"{seed} {stratum}")
        chosen: list[Person] = []
        for home in registry.homes.values():
            held = [p for p in home if p.person_id in registry.known]
            alike = [p for p in held if any(p is not q and p.born == q.born for q in held)]
            chosen += alike if stratum == "registered twin" else held if len(held) > 1 else []
        for person in (random.choice(chosen) for _ in range(each)):
            kind = random.choice(MIXED)
            yield Case(stratum, WRITERS[kind](person, told_of(person), random), person.person_id, True)


def _notes_of_unknown(registry: Registry, each: int, seed: int) -> Iterator[Case]:
    people, ids = registry.city.people, sorted(registry.known)
    missing = [p for p in people if p.person_id not in registry.known]
    with_kin = [p for p in missing if any(q.person_id in registry.known for q in registry.homes[p.home])]
    for stratum in UNKNOWN:
        random = Random(f"{seed} {stratum}")
        for _ in range(each):
            if stratum == "unregistered twin":
                twin_of = people[random.choice(ids)]
                person = unknown_twin_of(twin_of, registry, random)
            elif stratum == "unregistered sibling":
                person = random.choice(with_kin)
            elif stratum == "unknown child":
                person = random.choice(missing)
            else:
                like = people[random.choice(ids)]
                person = replace(random.choice(missing), given=like.given, family=like.family, sex=like.sex)
            kind = random.choice(MIXED)
            yield Case(stratum, WRITERS[kind](person, told_of(person), random), None, True)


def unknown_twin_of(person: Person, registry: Registry, random: Random) -> Person:
    """A twin whom nobody registered, of either sex, whose name may look much like the other's."""
    if person.given.split()[0] not in _ALL_GIVEN or random.random() < 0.3:
        taken = {p.given.split()[0] for p in registry.homes[person.home]}
        given = rare_given(random)
        while given in taken:
            given = rare_given(random)
        return replace(person, person_id=-1, given=given, sex=random.choice(("male", "female")), twin=True)
    return unknown_twin(person, registry.homes[person.home], random)


_ALL_GIVEN = frozenset(w for _, boys, girls, _ in PEOPLES for w in f"{boys} {girls}".split())


def make_cases(registry: Registry, each: int, seed: int) -> Iterator[Case]:
    """`each` notes of every stratum."""
    yield from _notes_of_known(registry, each, seed)
    yield from _notes_of_unknown(registry, each, seed)


def natural_cases(registry: Registry, notes: int, seed: int) -> Iterator[Case]:
    """Notes as they come: children and ways of writing as often as in life, so that a share of their weights means
    something; but those of `DRAWN` are drawn more often, each with less weight.

    Twins are as many as the city has. The stratum of a note about a child who is not registered says which.
    """
    random = Random(f"{seed} natural")
    people, known = registry.city.people, sorted(registry.known)
    alone, with_kin = list[Person](), list[Person]()
    for home in registry.homes.values():
        missing = [person for person in home if person.person_id not in registry.known]
        (alone if len(missing) == len(home) else with_kin).extend(missing)
    ways, shares = list(NATURAL), [share * DRAWN.get(way, 1.0) for way, share in NATURAL.items()]
    for _ in range(notes):
        about, way = random.random(), random.choices(ways, shares)[0]
        if about < UNREGISTERED_SHARE:
            person, stratum, truth = random.choice(alone), "unknown child", None
        elif about < UNREGISTERED_SHARE + UNREGISTERED_KIN_SHARE:
            person, truth = random.choice(with_kin), None
            twin = any(person is not one and person.born == one.born for one in registry.homes[person.home])
            stratum = "unregistered twin" if twin else "unregistered sibling"
        else:
            person, stratum = people[random.choice(known)], way
            truth = person.person_id
        note = WRITERS[way](person, told_of(person), random)
        yield Case(stratum, note, truth, way not in NOT_IDENTIFIABLE, 1 / DRAWN.get(way, 1.0))
