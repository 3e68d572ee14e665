"""A child as an officer would describe it in a note, and the truth: for benches, tests and the demo.

What goes wrong is sorted into strata, so that a bench can say where linkage fails. A description comes from
the registry's record of one child, or is of somebody who is not on the registry (then the truth is None).
"""

import datetime
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import msgspec

from server.demo import misspell
from server.demo.ages import calendar_of
from server.demo.draw import chance, pick
from server.demo.names import communities, masculine_or_feminine, same_name, short_forms
from server.demo.phrases import look
from server.demo.places import any_borough, boroughs, home_in
from server.demo.population import TODAY, SyntheticChild, population
from server.demo.strata import (
    ALL_KNOWN,
    AS_USUAL,
    EXTRA_SLIP,
    FAVOURED,
    HOUSEHOLD_KNOWN,
    NAME_AND_AGE,
    NOBODY_KNOWN,
    REDRAWS_MAX,
    STRATA,
    VAGUE_AGE_MIN,
    Quality,
    Share,
    Stratum,
)
from sync.note import Subject
from sync.vocabulary import Sex


class Description(NamedTuple):
    """`subject` has fields of `sync.note.Subject` in JSON's types, absent ones left out."""

    subject: dict[str, Any]
    truth: int | None
    """The child's id in the registry, or None for a child who is not on it."""
    stratum: Stratum


def describe(
    child: SyntheticChild,
    rng: Random,
    quality: Quality = Quality.MIXED,
    *,
    stratum: Stratum | None = None,
    on: datetime.date = TODAY,
) -> Description:
    """Describe `child` (or, in three strata, somebody else) as a note of the day `on` would.

    Without `stratum`, one is drawn as common as `quality` has it. Raises ValueError for a stratum that this
    child cannot have: ask `possible` first.
    """
    if stratum is None:
        stratum = _draw_stratum(child, rng, quality, on)
    elif not possible(child, stratum, on):
        raise ValueError(f"this child has nothing that makes a {stratum} description: ask possible() first")
    if stratum is Stratum.UNKNOWN:
        subject = _stranger(rng, on)
    elif stratum in NOBODY_KNOWN:
        subject = _unregistered(child, stratum, rng, on)
    else:
        subject = _MAKERS.get(stratum, _partial)(child, rng, on)
    if stratum is not Stratum.CLEAN:
        _roughen(subject, rng, EXTRA_SLIP[quality])
    return Description(subject, None if stratum in NOBODY_KNOWN else child.child_id, stratum)


def as_subject(description: Description) -> Subject:
    """The description as a note carries it; checked against the wire's own rules."""
    return msgspec.convert(description.subject, Subject)


def possible(child: SyntheticChild, stratum: Stratum, on: datetime.date = TODAY) -> bool:
    """Whether `child` has what `stratum` is about: a twin, a short form, a day that could be a month."""
    if stratum is Stratum.VAGUE:
        return _age(child.date_of_birth, on) >= VAGUE_AGE_MIN
    if stratum is Stratum.TRANSLITERATION:
        return misspell.can_be_respelt(child.called) or misspell.can_be_respelt(child.family_name)
    if stratum is Stratum.SHORT_FORM:
        return bool(child.aliases) or child.called in short_forms()
    if stratum is Stratum.DOUBLE_BARRELLED:
        return len(_halves(child.family_name)) == 2
    if stratum is Stratum.SWAPPED_DATE:
        return misspell.swapped_date(child.date_of_birth) is not None
    if stratum is Stratum.TWIN:
        return child.has_twin
    if stratum is Stratum.SIBLING:
        return len(child.siblings) > 1 and not child.has_twin
    return True


def _draw_stratum(child: SyntheticChild, rng: Random, quality: Quality, on: datetime.date) -> Stratum:
    if quality is not Quality.GOOD:
        for stratum, share in FAVOURED.items():
            if possible(child, stratum, on) and chance(rng, share):
                return stratum
    for _ in range(REDRAWS_MAX):
        stratum = STRATA[quality].pick(rng)
        if possible(child, stratum, on):
            return stratum
    return Stratum.PARTIAL


def _halves(family_name: str) -> list[str]:
    return [half for half in family_name.replace("-", " ").split(" ") if len(half) > 2]


def _known(child: SyntheticChild, shares: Share, rng: Random, on: datetime.date) -> dict[str, Any]:
    """What an officer knows of the record, each part with its share; an age where the date is not known."""
    whole = rng.random() < shares["middle"]
    subject: dict[str, Any] = {
        "given_names": child.given_names if whole else child.called,
        "family_name": child.family_name,
    }
    parts = {
        "sex": child.sex.value, "address": child.address, "postcode": child.postcode, "school": child.school,
        "phone": child.phone, "guardian": child.guardian, "upn": child.upn, "nhs_number": child.nhs_number,
    }  # fmt: skip
    subject |= {field: value for field, value in parts.items() if value and rng.random() < shares[field]}
    if child.aliases and rng.random() < shares["aliases"]:
        subject["aliases"] = list(child.aliases)
    if rng.random() < shares["date_of_birth"]:
        subject["date_of_birth"] = child.date_of_birth
    else:
        subject["approximate_age"] = _guessed_age(child.date_of_birth, rng, on, spread=1)
    if rng.random() < shares["description"]:
        subject["description"] = look(_age(child.date_of_birth, on), rng)
    return subject


def _age(born: str, on: datetime.date) -> int:
    return int((on - datetime.date.fromisoformat(born)).days // 365.25)


def _guessed_age(born: str, rng: Random, on: datetime.date, spread: int) -> float:
    """Years old on `on`, right in half of the guesses and otherwise at most `spread` off."""
    age = _age(born, on)
    if not chance(rng, 0.5):
        off = 1 + int(rng.random() * spread)
        age += off if chance(rng, 0.5) else -off
    return float(min(19, max(0, age)))


def _partial(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    return _known(child, AS_USUAL, rng, on)


def _clean(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    return _known(child, ALL_KNOWN, rng, on)


def _with_household(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    return _known(child, HOUSEHOLD_KNOWN, rng, on)


def _on_names(change: Callable[[str, Random], str]) -> Callable[..., dict[str, Any]]:
    """A maker that changes the given name, the family name, or (one time in four) both."""

    def make(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
        subject = _partial(child, rng, on)
        roll = rng.random()
        if roll < 0.6:
            subject["given_names"] = change(subject["given_names"], rng)
        if roll > 0.35:
            subject["family_name"] = change(subject["family_name"], rng)
        return subject

    return make


def _mistyped(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    subject = _on_names(misspell.mistyped)(child, rng, on)
    if "date_of_birth" in subject and chance(rng, 0.3):
        subject["date_of_birth"] = misspell.mistyped_date(subject["date_of_birth"], rng)
    if "phone" in subject and chance(rng, 0.2):
        subject["phone"] = subject["phone"][:-1]
    return subject


def _respelt(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    subject = _partial(child, rng, on)
    given, family = misspell.can_be_respelt(child.called), misspell.can_be_respelt(child.family_name)
    both = given and family and chance(rng, 0.4)
    if given and (both or not family or chance(rng, 0.6)):
        subject["given_names"] = misspell.respelt(subject["given_names"], rng)
        family = both
    if family:
        subject["family_name"] = misspell.respelt(subject["family_name"], rng)
    return subject


def _short(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    subject = _partial(child, rng, on)
    subject.pop("aliases", None)
    subject["given_names"] = pick(child.aliases or short_forms()[child.called], rng)
    return subject


def _one_half(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    subject = _partial(child, rng, on)
    first, second = _halves(child.family_name)
    joined = (f"{second}-{first}", f"{first} {second}", f"{first}{second.lower()}")
    subject["family_name"] = pick((first, second, first, second, *joined), rng)
    return subject


def _names_swapped(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    subject = _partial(child, rng, on)
    subject["given_names"], subject["family_name"] = subject["family_name"], subject["given_names"]
    return subject


def _date_swapped(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    subject = _partial(child, rng, on)
    subject.pop("approximate_age", None)
    subject["date_of_birth"] = misspell.swapped_date(child.date_of_birth)
    return subject


def _age_only(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    return _known(child, NAME_AND_AGE, rng, on)


def _moved(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    subject = _with_household(child, rng, on)
    if child.moved_address:
        subject["address"], subject["postcode"] = child.moved_address, child.moved_postcode
    else:
        borough = boroughs()[child.home_borough] if chance(rng, 0.6) else any_borough().pick(rng)
        home = home_in(borough, rng)
        subject["address"], subject["postcode"] = home.address, home.postcode
    return subject


def _vague(child: SyntheticChild, rng: Random, on: datetime.date) -> dict[str, Any]:
    shorts = short_forms().get(child.called) or child.aliases
    subject: dict[str, Any] = {
        "given_names": pick(shorts, rng) if shorts and chance(rng, 0.6) else child.called,
        "approximate_age": _guessed_age(child.date_of_birth, rng, on, spread=2),
        "sex": child.sex.value,
        "description": look(_age(child.date_of_birth, on), rng),
    }
    if chance(rng, 0.1):
        del subject["given_names"]
    elif child.school and chance(rng, 0.25):
        subject["school"] = child.school
    return subject


_MAKERS: dict[Stratum, Callable[[SyntheticChild, Random, datetime.date], dict[str, Any]]] = {
    Stratum.CLEAN: _clean,
    Stratum.TYPING: _mistyped,
    Stratum.HEARING: _on_names(misspell.misheard),
    Stratum.TRANSLITERATION: _respelt,
    Stratum.SHORT_FORM: _short,
    Stratum.DOUBLE_BARRELLED: _one_half,
    Stratum.SWAPPED_NAMES: _names_swapped,
    Stratum.SWAPPED_DATE: _date_swapped,
    Stratum.AGE_ONLY: _age_only,
    Stratum.MOVED: _moved,
    Stratum.TWIN: _with_household,
    Stratum.SIBLING: _with_household,
    Stratum.VAGUE: _vague,
}


def _stranger(rng: Random, on: datetime.date) -> dict[str, Any]:
    """A child who is on no registry. No numbers: a stranger's would be somebody's, or everybody's."""
    seed = int(rng.random() * 2**52)
    stranger = next(population(seed, 1, on))
    subject = _known(stranger, AS_USUAL, rng, on)
    for field in ("phone", "upn", "nhs_number"):
        subject.pop(field, None)
    return subject


def _unregistered(child: SyntheticChild, stratum: Stratum, rng: Random, on: datetime.date) -> dict[str, Any]:
    """A brother or sister whom the registry does not have: the household's name, home, phone and guardian."""
    community = communities()[child.community]
    sex = Sex.MALE if chance(rng, 0.5) else Sex.FEMALE
    given = community.given(sex, rng)
    while any(same_name(given, other) for other, _ in child.siblings):
        given = community.given(sex, rng)
    twin = stratum is Stratum.UNREGISTERED_TWIN
    born = child.date_of_birth if twin else _another_birth(child, rng, on)
    same_school = twin or abs(int(born[:4]) - int(child.date_of_birth[:4])) <= 3
    sibling = msgspec.structs.replace(
        child,
        given_names=given,
        called=given,
        family_name=masculine_or_feminine(community, child.family_name, child.sex, sex, rng),
        aliases=(),
        date_of_birth=born,
        sex=sex,
        school=child.school if same_school and chance(rng, 0.6) else "",
        upn="",
        nhs_number="",
    )
    return _known(sibling, HOUSEHOLD_KNOWN, rng, on)


SIBLING_GAP_DAYS = 300
"""No two births of one mother are nearer, twins apart."""


def _another_birth(child: SyntheticChild, rng: Random, on: datetime.date) -> str:
    """A date of birth in the household's years, as far as may be from every registered one."""
    calendar = calendar_of(on)
    births = [datetime.date.fromisoformat(born) for _, born in child.siblings]
    best, best_gap = calendar.iso[0], -1
    for _ in range(20):
        iso = calendar.iso[int(rng.random() * calendar.days)]
        day = datetime.date.fromisoformat(iso)
        gap = min(abs((day - birth).days) for birth in births)
        if gap >= SIBLING_GAP_DAYS:
            return iso
        if gap > best_gap:
            best, best_gap = iso, gap
    return best


def _roughen(subject: dict[str, Any], rng: Random, slip: float) -> None:
    """What every hurried description has: no accents, short addresses, now and then one slip more."""
    if rng.random() < 0.7:
        for field in ("given_names", "family_name", "guardian"):
            if field in subject:
                subject[field] = misspell.plain(subject[field])
    if "address" in subject and chance(rng, 0.4):
        subject["address"] = misspell.loose_address(subject["address"], rng)
    if "postcode" in subject and chance(rng, 0.25):
        subject["postcode"] = misspell.loose_postcode(subject["postcode"], rng)
    fields = [field for field in ("given_names", "family_name", "address", "school") if field in subject]
    if fields and chance(rng, slip):
        field = pick(fields, rng)
        subject[field] = misspell.mistyped(subject[field], rng)
