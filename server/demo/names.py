"""Names as London's communities give them: who shares a family name with whom, and how it is put together.

The lists are in `data/names/*.toml`. A family's `custom` is one of:
- shared: the children have their father's family name (or both parents' joined);
- unshared: brothers and sisters may each have another;
- somali: own name, father's name, grandfather's name; patronym: the family name is the father's given name;
- tamil: either of those; sikh: Singh and Kaur, alone or with a clan's name;
- bengali: sons and daughters have different second names; slavic: the ending follows the child's sex;
- iberian: one family name from each parent; chinese, vietnamese: two-part given names, some with
  an English one.
"""

from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

import msgspec

from server.demo.draw import Draw, chance, composed, data, mixture, pick, words, zipf
from sync.vocabulary import Sex

GIVEN_COMPOSED_SHARE = 0.3
FAMILY_COMPOSED_SHARE = 0.18
TRIES_MAX = 12
"""How often a name is drawn again to be unlike a brother's, or to begin like a twin's."""

TWIN_NAMES = {
    "yoruba": ("Taiwo", "Kehinde"),
    "somali": ("Hassan", "Hussein"),
    "arabic": ("Hassan", "Hussein"),
}
"""Customary pairs: for first and second born of either sex in Yoruba families, for two boys in the others."""

PREFIXED = ("bangladeshi", "pakistani", "afghan")
PREFIXES = ("Mohammed", "Muhammad", "Mohammad", "Md")
PREFIX_SHARE = 0.22
"""Of these families' sons: the honoured name comes first, and the boy is called by the second."""

_FEMININE = {
    "ski": "ska", "cki": "cka", "dzki": "dzka", "sky": "ska", "ov": "ova", "ev": "eva", "uskas": "uskaite",
    "ius": "iute",
}  # fmt: skip


class Community(msgspec.Struct, frozen=True, kw_only=True):
    """One community's names, and how its families use them."""

    key: str
    share: float
    sizes: str
    custom: str
    middle: float
    double: float
    boys: Draw[str]
    girls: Draw[str]
    family: Draw[str]
    family_boys: Draw[str]
    family_girls: Draw[str]
    english_boys: tuple[str, ...]
    english_girls: tuple[str, ...]

    def given(self, sex: Sex, rng: Random) -> str:
        return (self.boys if sex is Sex.MALE else self.girls).pick(rng)


class Family(msgspec.Struct, kw_only=True):
    """What one couple passes on. `style` is a number in [0, 1) that settles a family's own ways."""

    community: Community
    other: Community
    surname: str
    mother_surname: str
    father_given: str
    mother_given: str
    grandfather_given: str
    joined: bool
    style: float


class Named(msgspec.Struct):
    """A child's names as written, and what the child is called: "Duc Binh" is called Binh."""

    called: str
    given_names: str
    family_name: str
    aliases: tuple[str, ...]


def communities() -> dict[str, Community]:
    """Every community, by key, in the order of the files."""
    return _communities()


@cache
def _communities() -> dict[str, Community]:
    folder = files("server.demo").joinpath("data", "names")
    found: dict[str, Community] = {}
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml")):
        for key, raw in data(f"names/{name}").items():
            found[key] = _community(key, raw)
    return found


def _community(key: str, raw: dict[str, Any]) -> Community:
    built = composed(words(raw.get("given_front", "")), words(raw.get("given_back", "")))
    built_family = composed(words(raw.get("family_front", "")), words(raw.get("family_back", "")))
    family = mixture(zipf(words(raw["family"])), built_family, FAMILY_COMPOSED_SHARE)
    return Community(
        key=key,
        share=raw["share"],
        sizes=raw["sizes"],
        custom=raw["custom"],
        middle=raw["middle"],
        double=raw["double"],
        boys=mixture(zipf(words(raw["boys"])), built, GIVEN_COMPOSED_SHARE),
        girls=mixture(zipf(words(raw["girls"])), built, GIVEN_COMPOSED_SHARE),
        family=family,
        family_boys=Draw(zipf(words(raw["family_boys"]))) if "family_boys" in raw else family,
        family_girls=Draw(zipf(words(raw["family_girls"]))) if "family_girls" in raw else family,
        english_boys=tuple(words(raw.get("english_boys", ""))),
        english_girls=tuple(words(raw.get("english_girls", ""))),
    )


@cache
def short_forms() -> dict[str, tuple[str, ...]]:
    """What children of a given name are called: "Jayden" -> ("Jay", "JJ", ...)."""
    lines = data("variants.toml")["short_forms"].strip().splitlines()
    parted = (line.partition(":") for line in lines)
    return {name: tuple(shorts.split()) for name, _, shorts in parted}


@cache
def spellings() -> dict[str, tuple[str, ...]]:
    """Other spellings of a name: "Mohammed" -> ("Muhammad", ...)."""
    found: dict[str, tuple[str, ...]] = {}
    for line in data("variants.toml")["spellings"].strip().splitlines():
        group = words(line)
        for name in group:
            found.setdefault(name, tuple(other for other in group if other != name))
    return found


def same_name(one: str, other: str) -> bool:
    """Whether a reader could take two given names for one: equal, a spelling, or a short form."""
    if one == other or other in spellings().get(one, ()) or one in spellings().get(other, ()):
        return True
    shorts = short_forms()
    return other in shorts.get(one, ()) or one in shorts.get(other, ())


def family_of(community: Community, other: Community, rng: Random) -> Family:
    """A father of `community` and a mother of `other` (often the same)."""
    double = community.double if community is other else max(community.double, 0.3)
    return Family(
        community=community,
        other=other,
        surname=community.family.pick(rng),
        mother_surname=other.family.pick(rng),
        father_given=community.boys.pick(rng),
        mother_given=other.girls.pick(rng),
        grandfather_given=community.boys.pick(rng),
        joined=chance(rng, double),
        style=rng.random(),
    )


def name_child(family: Family, sex: Sex, taken: list[str], twin_of: str | None, rng: Random) -> Named:
    """Name a child unlike its brothers and sisters (`taken`); a twin's name often begins like the other's."""
    mixed = family.community is not family.other and chance(rng, 0.5)
    community = family.other if mixed else family.community
    given = _given(community, sex, taken, twin_of, rng)
    middle = community.middle and rng.random() < community.middle
    named = Named(given, given, family_name(family, sex, rng), ())
    custom = family.community.custom
    if custom == "somali" and family.style < 0.6:
        named.given_names = f"{given} {family.father_given}"
    elif custom == "sikh" and 0.35 <= family.style < 0.75:
        named.given_names = f"{given} {'Singh' if sex is Sex.MALE else 'Kaur'}"
    elif community.custom == "vietnamese":
        named.given_names = f"{_vietnamese_middle(family, sex)} {given}"
    elif community.english_boys:
        _add_english(named, community, sex, family.style, rng)
    elif sex is Sex.MALE and community.key in PREFIXED and rng.random() < PREFIX_SHARE:
        prefix = pick(PREFIXES, rng)
        if not same_name(given, prefix):
            named.given_names = f"{prefix} {given}"
    elif middle:
        second = community.given(sex, rng)
        if second != given:
            named.given_names = f"{given} {second}"
    return named


def _given(community: Community, sex: Sex, taken: list[str], twin_of: str | None, rng: Random) -> str:
    if twin_of is not None:
        pair = TWIN_NAMES.get(community.key)
        if pair and twin_of == pair[0] and (sex is Sex.MALE or community.key == "yoruba"):
            return pair[1]
        if chance(rng, 0.3):
            for _ in range(TRIES_MAX):
                given = community.given(sex, rng)
                if given[0] == twin_of[0] and not any(same_name(given, other) for other in taken):
                    return given
    given = community.given(sex, rng)
    for _ in range(TRIES_MAX):
        if not any(same_name(given, other) for other in taken):
            break
        given = community.given(sex, rng)
    return given


def _vietnamese_middle(family: Family, sex: Sex) -> str:
    return "Thi" if sex is Sex.FEMALE else ("Van", "Duc", "Quoc", "Minh")[int(family.style * 4)]


def _add_english(named: Named, community: Community, sex: Sex, style: float, rng: Random) -> None:
    """Chinese given names are written apart, joined or hyphened; many children have an English one too."""
    if style < 0.25:
        named.given_names = named.given_names.replace(" ", "-")
    elif style < 0.45:
        first, _, second = named.given_names.partition(" ")
        named.given_names = first + second.lower()
    named.called = named.given_names
    roll = rng.random()
    english = pick(community.english_boys if sex is Sex.MALE else community.english_girls, rng)
    if roll < 0.3:
        named.aliases = (english,)
    elif roll < 0.65:
        named.called, named.given_names = english, f"{english} {named.given_names}"


def family_name(family: Family, sex: Sex, rng: Random) -> str:
    """The family name of a child of this sex."""
    custom, style = family.community.custom, family.style
    if custom == "somali":
        return family.grandfather_given if style < 0.6 else family.father_given
    if custom == "patronym" or (custom == "tamil" and style < 0.5):
        return family.father_given.split()[-1] if style < 0.75 else family.surname
    if custom == "sikh" and style < 0.35:
        return "Singh" if sex is Sex.MALE else "Kaur"
    if custom == "bengali" and style < 0.6:
        own = family.community.family_boys if sex is Sex.MALE else family.community.family_girls
        return own.pick(rng)
    if custom == "iberian" and style < 0.6:
        first, second = family.surname, family.mother_surname
        return f"{second} {first}" if family.community.key == "portuguese_brazilian" else f"{first} {second}"
    if custom == "unshared" and style < 0.3:
        return pick((family.surname, family.father_given, family.mother_surname), rng)
    if custom == "slavic" and style < 0.75 and sex is Sex.FEMALE:
        return feminine(family.surname)
    if family.joined and family.surname != family.mother_surname and "-" not in family.surname:
        joint = " " if style < 0.15 else "-"
        return f"{family.surname}{joint}{family.mother_surname}"
    return family.surname


def feminine(surname: str) -> str:
    """A Slavic or Lithuanian family name as a daughter has it: Kowalski, Kowalska."""
    for ending, other in _FEMININE.items():
        if surname.endswith(ending):
            return surname[: -len(ending)] + other
    return surname


def guardian_name(family: Family, rng: Random) -> str:
    """The mother, or in a quarter of families the father, as a school's record has them."""
    if rng.random() < 0.25:
        last = family_name(family, Sex.MALE, rng)
        return f"{family.father_given} {family.surname if family.joined else last}"
    custom = family.community.custom
    own_name = custom in ("somali", "patronym", "iberian", "chinese", "vietnamese") or rng.random() < 0.3
    if own_name:
        return f"{family.mother_given} {family.mother_surname}"
    return f"{family.mother_given} {family_name(family, Sex.FEMALE, rng)}"


def masculine_or_feminine(community: Community, surname: str, of: Sex, to: Sex, rng: Random) -> str:
    """The family name of a brother or sister of sex `to` of a child of sex `of` named `surname`."""
    if of is to:
        return surname
    if community.custom == "sikh" and surname in ("Singh", "Kaur"):
        return "Singh" if to is Sex.MALE else "Kaur"
    if community.custom == "bengali":
        group = community.family_boys if of is Sex.MALE else community.family_girls
        if surname in group.things:
            return (community.family_boys if to is Sex.MALE else community.family_girls).pick(rng)
    if community.custom == "slavic":
        if to is Sex.FEMALE:
            return feminine(surname)
        for ending, other in _FEMININE.items():
            if surname.endswith(other):
                return surname[: -len(other)] + ending
    return surname
