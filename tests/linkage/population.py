"""A made-up city of children in their homes, and notes about them: seeded, so that a failure comes back.

Names are weighted as London's are: several peoples, a few very common names, a long tail; brothers and
sisters share a home, twins a birthday. Spellings and slips are made here, not taken from the tables of
`server/linkage`, so that these do not mark their own work.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from random import Random

from server.linkage.standardise import Description

OBSERVED_ON = datetime.date(2026, 3, 2)
CHILDREN_PER_POSTCODE = 14
TWIN_SHARE = 0.03

# (share of homes, boys, girls, family names); the first names of each list are the most common.
PEOPLES: tuple[tuple[float, str, str, str], ...] = (
    (
        0.40,
        "oliver george harry jack noah leo arthur oscar charlie henry jacob freddie thomas alfie theo william "
        "archie joshua alexander james edward max lucas isaac joseph samuel daniel benjamin finley adam toby luke "
        "reuben harrison louis ethan dylan jude bobby liam connor kieran jake ryan nathan matthew callum aaron",
        "olivia amelia isla ava mia ivy lily isabella rosie sophia grace freya willow florence evie emily ella "
        "poppy charlotte elsie alice sophie daisy phoebe matilda ruby sienna evelyn harriet chloe jessica molly "
        "megan lucy katie hannah abigail holly bethany lauren georgia scarlett eleanor anna erin zoe niamh amy",
        "smith jones taylor brown williams wilson johnson davies robinson wright thompson evans walker white "
        "roberts green hall wood jackson clarke harris lewis turner hill cooper ward moore king baker harrison "
        "morris allen martin watson parker bennett young mitchell shaw cook kelly murphy obrien ryan doyle byrne",
    ),
    (
        0.22,
        "mohammed muhammad ahmed ali yusuf ibrahim omar hassan hussain adam zayn abdullah hamza bilal imran tariq "
        "khalid usman faisal haris ayaan rayyan idris ismail musa zakariya sulaiman saad junaid kamran asif",
        "fatima aisha maryam zainab khadija amina hafsa sumaya safiya ruqayyah halima asma nadia sara zahra layla "
        "samira iman yasmin aaliyah noor hana salma inaya rabia sadia nusrat tahmina rukhsana farzana",
        "khan ahmed ali hussain begum miah rahman uddin chowdhury islam akhtar malik iqbal mohamed abdi hassan "
        "ibrahim yusuf omar osman warsame farah shah siddiqui qureshi mahmood aziz karim hossain bibi",
    ),
    (
        0.14,
        "emmanuel david samuel daniel joshua michael tobi femi kwame kofi chidi emeka ayo tunde segun kelechi "
        "jayden malachi tyrese jermaine marcus andre isaiah elijah micah josiah nathaniel caleb kai tyrell",
        "blessing precious deborah esther grace faith destiny favour ama akosua chioma ngozi temi tolu folake "
        "abena adaeze ebony shanice tianna aaliyah naomi ruth rachel gloria joy mercy princess divine nevaeh",
        "okafor adeyemi mensah williams johnson campbell brown okonkwo adebayo boateng owusu asante nwosu eze "
        "ogunleye balogun appiah osei sesay kamara bangura clarke grant francis gordon thompson morgan henry",
    ),
    (
        0.12,
        "arjun rohan aarav krishna vihaan ishaan dev rahul amit harpreet gurpreet manpreet jaspreet karan nikhil "
        "vikram suresh tharshan kavin pranav aditya veer aryan shivam dhruv",
        "priya ananya diya aanya kavya riya simran jasleen harleen kiran meera anjali pooja nisha lakshmi divya "
        "abirami thanusha kajal neha isha mira tara aisha saanvi",
        "patel singh kaur shah sharma kumar gill sandhu dhillon desai mehta joshi reddy nair pillai rajan "
        "sivakumar gupta verma bhatt chauhan rana thakur",
    ),
    (
        0.12,
        "jakub kacper antoni filip szymon jan mateusz piotr michal stefan andrei alexandru nikola luca matteo "
        "gabriel dmitri ivan viktor georgi david rafael miguel tiago joao carlos wei jun minh hao",
        "zuzanna julia maja zofia hanna lena alicja oliwia natalia aleksandra maria elena ioana sofia victoria "
        "anastasia daria kateryna valentina gabriela beatriz ines mei ling linh yuki emma sara laura",
        "nowak kowalski wisniewski wojcik kaminski lewandowski popescu ionescu popa stan ivanov petrov rossi silva "
        "santos costa pereira garcia rodriguez chen wang li nguyen tran wong lopez dimitrov kowalczyk",
    ),
)
_STREETS = (
    "high church park victoria albert queens kings station manor grove mill green chestnut elm oak cedar school "
    "york windsor london north south west east clarence richmond alexandra stanley cromwell nelson wellington"
)
STREETS = _STREETS.split()
KINDS = ("road", "street", "avenue", "close", "lane", "gardens", "court", "drive")
DISTRICTS = [f"{area}{n}" for area in ("SE", "SW", "E", "N", "NW", "W") for n in range(1, 21)]

SPELLINGS = {
    "mohammed": ("mohamed", "muhammad", "mohammad"), "muhammad": ("mohammed", "mohamad"),
    "hussain": ("hussein", "husain", "hossain"), "hassan": ("hasan",), "yusuf": ("yousef", "yousuf"),
    "ahmed": ("ahmad",), "omar": ("umar",), "usman": ("osman",), "ibrahim": ("ebrahim",),
    "aisha": ("ayesha", "aysha"), "fatima": ("fatimah", "fatema"), "maryam": ("mariam",),
    "zainab": ("zaynab",), "khadija": ("khadijah",), "sumaya": ("sumayyah",), "sara": ("sarah",),
    "chowdhury": ("choudhury", "chaudhry"), "rahman": ("rehman",), "miah": ("mia",), "uddin": ("udin",),
    "alexandru": ("aleksandru",), "kateryna": ("katerina",), "dmitri": ("dimitri",), "sofia": ("sophia",),
    "aleksandra": ("alexandra",), "matthew": ("mathew",), "connor": ("conor",), "kieran": ("ciaran",),
    "clarke": ("clark",), "thompson": ("thomson",), "jayden": ("jaden",), "obrien": ("o'brien",),
    "lakshmi": ("laxmi",), "pooja": ("puja",), "zakariya": ("zakaria",), "idris": ("idrees",),
}  # fmt: skip
SHORT = {
    "oliver": "ollie", "joshua": "josh", "alexander": "alex", "thomas": "tom", "william": "will",
    "benjamin": "ben", "samuel": "sam", "daniel": "dan", "matthew": "matt", "edward": "ted", "mohammed": "mo",
    "muhammad": "mo", "jessica": "jess", "charlotte": "lottie", "isabella": "bella", "abigail": "abi",
    "elizabeth": "lizzie", "katie": "kate", "jayden": "jay", "nathaniel": "nate", "emmanuel": "manny",
    "eleanor": "ellie", "matilda": "tilly", "michael": "mike", "joseph": "joe", "harrison": "harry",
    "abdullah": "abdul", "gabriel": "gabe", "victoria": "vicky", "anastasia": "nastya",
}  # fmt: skip


# One name in two spellings of the lists above: no parents give both.
ALIKE = {"mohammed": ("muhammad",), "muhammad": ("mohammed",), "finley": ("finlay",)}


@dataclass(frozen=True)
class Person:
    """One child, the truth about it. `home` numbers the household."""

    person_id: int
    home: int
    given: str
    family: str
    born: datetime.date
    sex: str
    address: str
    postcode: str
    school: str
    phone: str
    guardian: str
    twin: bool = False

    def full(self) -> Description:
        """Everything there is to say of this child."""
        return Description(
            given_names=self.given,
            family_name=self.family,
            date_of_birth=self.born,
            observed_on=OBSERVED_ON,
            sex=self.sex,
            address=self.address,
            postcode=self.postcode,
            school=self.school,
            phone=self.phone,
            guardian=self.guardian,
        )


@dataclass
class City:
    """All children, and the ids of those on the registry."""

    people: list[Person] = field(default_factory=list)
    known: set[int] = field(default_factory=set)

    def homes(self) -> dict[int, list[Person]]:
        """The children of each home."""
        homes: dict[int, list[Person]] = {}
        for person in self.people:
            homes.setdefault(person.home, []).append(person)
        return homes


def _zipf(random: Random, names: list[str]) -> str:
    return names[min(int(len(names) * random.random() ** 1.9), len(names) - 1)]


class _Names:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._peoples = [
            (boys.split(), girls.split(), families.split()) for _, boys, girls, families in PEOPLES
        ]
        self._shares = [share for share, *_ in PEOPLES]
        starts, ends = (
            "bar cal dor fen gar hal kes lan mor nor per ros sal tor wal",
            "by combe don field ford ham ley ",
        )
        ends += "man mont more nett sey ski ston ton well wick worth yer"
        self._rare = [
            a + b + c for a in starts.split() for b in ("", "a", "er", "ing", "o") for c in ends.split()
        ]

    def people(self) -> int:
        return self._random.choices(range(len(self._peoples)), self._shares)[0]

    def family(self, people: int) -> str:
        if self._random.random() < 0.3:
            return self._random.choice(self._rare)
        name = _zipf(self._random, self._peoples[people][2])
        if people == 0 and self._random.random() < 0.06:
            name += "-" + _zipf(self._random, self._peoples[people][2])
        return name

    def given(self, people: int, sex: str) -> str:
        boys, girls, _ = self._peoples[people]
        name = _zipf(self._random, boys if sex == "male" else girls)
        if self._random.random() < 0.12:
            name += " " + _zipf(self._random, boys if sex == "male" else girls)
        return name


def make_city(children: int, seed: int, known_share: float = 0.8) -> City:
    """About `children` children on the registry (and the rest of their homes beside them)."""
    random = Random(seed)
    names = _Names(random)
    city = City()
    postcodes = max(children // CHILDREN_PER_POSTCODE, 10)
    schools = [f"{random.choice(STREETS)} {random.choice(DISTRICTS)} {k} school" for k in ("primary", "academy")
               for _ in range(max(children // 900, 4))]  # fmt: skip
    home = 0
    while len(city.known) < children:
        _add_home(city, home, random, names, postcodes, schools, known_share)
        home += 1
    return city


def _add_home(
    city: City,
    home: int,
    random: Random,
    names: _Names,
    postcodes: int,
    schools: list[str],
    known_share: float,
) -> None:
    people, family = names.people(), ""
    family = names.family(people)
    area = Random(random.randrange(postcodes))
    postcode = f"{area.choice(DISTRICTS)} {area.randrange(1, 10)}{area.choice('ABDEFGHJLN')}{area.choice('PQRSTUWXYZ')}"
    street = f"{area.choice(STREETS)} {area.choice(KINDS)}"
    address = f"{random.randrange(1, 160)} {street}"
    phone = f"07{random.randrange(10**8, 10**9)}"
    guardian = f"{names.given(people, 'female').split()[0]} {family}"
    nearby = random.sample(schools, 2)
    year, taken = random.randrange(2008, 2024), set[str]()
    for _ in range(random.choices((1, 2, 3, 4, 5), (35, 38, 16, 7, 4))[0]):
        born = datetime.date(year, 1, 1) + datetime.timedelta(days=random.randrange(365))
        sexes = [random.choice(("male", "female"))]
        if random.random() < TWIN_SHARE / 2:
            sexes.append(sexes[0] if random.random() < 0.65 else random.choice(("male", "female")))
        for sex in sexes:
            given = names.given(people, sex)
            while given.split()[0] in taken:
                given = names.given(people, sex)
            taken.update((given.split()[0], *ALIKE.get(given.split()[0], ())))
            own = family if random.random() < 0.93 else names.family(people)
            person = Person(len(city.people), home, given, own, born, sex, address, postcode,
                            nearby[born.year < 2015], phone, guardian, twin=len(sexes) > 1)  # fmt: skip
            city.people.append(person)
            if random.random() < known_share:
                city.known.add(person.person_id)
        year += random.randrange(1, 4)
        if year > 2025:
            break


def slip(text: str, random: Random) -> str:
    """One slip of the key: a letter lost, doubled, replaced or changed with its neighbour."""
    if len(text) < 3:
        return text
    at = random.randrange(1, len(text) - 1)
    kind = random.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    if kind == 2:
        return text[:at] + random.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _respell(name: str, random: Random) -> str:
    return " ".join(random.choice(SPELLINGS[w]) if w in SPELLINGS else w for w in name.split())


def _age(person: Person) -> float:
    return float((OBSERVED_ON - person.born).days // 365.25)


def _without(description: Description, random: Random, share: float) -> Description:
    """Some of the lesser fields are not known."""
    gone = {
        f: None
        for f in ("sex", "school", "phone", "guardian", "address", "postcode")
        if random.random() < share
    }
    return _change(description, **gone)


def _change(description: Description, **fields: object) -> Description:
    values = {f: getattr(description, f) for f in description.__struct_fields__}
    return Description(**{**values, **fields})


STRATA = (
    "plain", "slips", "spelling", "short form", "swapped names", "half name", "date error", "moved", "age only",
    "age and school", "vague", "no given name",
)  # fmt: skip


def describe(person: Person, stratum: str, random: Random) -> Description:
    """What an officer writes of this child, in one of the ways of STRATA."""
    full = person.full()
    first = person.given.split()[0]
    if stratum == "slips":
        described = _change(
            full, given_names=slip(person.given, random), family_name=slip(person.family, random)
        )
        return _without(described, random, 0.5)
    if stratum == "spelling":
        given, family = _respell(person.given, random), _respell(person.family, random)
        described = _change(full, given_names=given, family_name=family)
        return _without(described, random, 0.5)
    if stratum == "short form":
        return _without(_change(full, given_names=SHORT.get(first, first)), random, 0.5)
    if stratum == "swapped names":
        return _without(_change(full, given_names=person.family, family_name=person.given), random, 0.4)
    if stratum == "half name":
        return _without(
            _change(full, given_names=first, family_name=person.family.split("-")[-1]), random, 0.5
        )
    if stratum == "date error":
        return _without(_change(full, date_of_birth=_wrong_date(person.born, random)), random, 0.4)
    if stratum == "moved":
        elsewhere = f"{random.randrange(1, 160)} {random.choice(STREETS)} {random.choice(KINDS)}"
        return _change(full, address=elsewhere, postcode="CR0 2AB", school=None, phone=None)
    aged = _change(full, date_of_birth=None, age=max(_age(person) + random.choice((-1, 0, 0, 0, 1)), 0.0))
    if stratum == "age only":
        return _change(aged, address=None, postcode=None, school=None, phone=None, guardian=None)
    if stratum == "age and school":
        return _change(aged, address=None, postcode=None, phone=None, guardian=None)
    if stratum == "vague":
        return Description(given_names=SHORT.get(first, first), age=aged.age, observed_on=OBSERVED_ON,
                           sex=person.sex, address="bus station")  # fmt: skip
    if stratum == "no given name":
        return _without(_change(full, given_names=None), random, 0.4)
    return _without(full, random, 0.5)


def _wrong_date(born: datetime.date, random: Random) -> datetime.date:
    kind = random.randrange(3)
    if kind == 0 and born.day <= 12:
        return born.replace(month=born.day, day=born.month)
    if kind == 1 and (born.month, born.day) != (2, 29):
        return born.replace(year=born.year + random.choice((-1, 1)))
    return born.replace(day=(born.day % 28) + 1) if born.day < 28 else born.replace(day=born.day - 10)


def unknown_twin(person: Person, home: list[Person], random: Random) -> Person:
    """A twin of this child, of the same sex, with a name that no child of this home bears."""
    first = person.given.split()[0]
    lists = [boys if person.sex == "male" else girls for _, boys, girls, _ in PEOPLES]
    names = next(names.split() for names in lists if first in names.split())
    taken = {*person.given.split(), *(sibling.given.split()[0] for sibling in home)}
    taken.update(*(ALIKE.get(name, ()) for name in tuple(taken)))
    given = random.choice([name for name in names if name not in taken])
    return replace(person, person_id=-1, given=given, twin=True)
