"""What officers write: short sentences of field notes, put together by seed. Facts apart from assessments.

The bank is `data/phrases.toml`: eight themes, each with what was seen or heard, what the officer makes of it,
the child's words and the child's demeanour. Every sentence can stand beside every other of its theme.
"""

from functools import cache
from random import Random
from typing import NamedTuple

from server.demo.draw import data, pick
from sync.vocabulary import Category

FIELDS = ("saw_or_heard", "assessment", "voice_of_child", "demeanour")

THEME_OF: dict[Category, str] = {
    Category.NEGLECT: "home", Category.PHYSICAL: "home", Category.EMOTIONAL: "home",
    Category.DOMESTIC_ABUSE_HOUSEHOLD: "household", Category.SUBSTANCE_PARENT: "household",
    Category.SUBSTANCE_HOUSEHOLD: "household", Category.PARENTAL_MENTAL_HEALTH: "household",
    Category.YOUNG_CARER: "household", Category.CSE: "exploitation", Category.CCE: "exploitation",
    Category.COUNTY_LINES: "exploitation", Category.TRAFFICKING: "exploitation",
    Category.MISSING: "missing", Category.GANGS: "violence", Category.KNIFE: "violence",
    Category.CUSTODY: "violence", Category.SEXUAL: "sexual_online", Category.ONLINE_HARM: "sexual_online",
    Category.HARMFUL_SEXUAL_BEHAVIOUR: "sexual_online",
    Category.UNDER_18_RELATIONSHIP_ABUSE: "sexual_online", Category.MENTAL_HEALTH: "wellbeing",
    Category.SUBSTANCE_CHILD: "wellbeing", Category.SCHOOL_ABSENCE: "wellbeing",
    Category.BULLYING: "wellbeing", Category.FGM: "family_community",
    Category.FORCED_MARRIAGE: "family_community", Category.FAITH_ABUSE: "family_community",
    Category.RADICALISATION: "family_community", Category.PRIVATE_FOSTERING: "family_community",
    Category.UNACCOMPANIED: "family_community", Category.OTHER: "family_community",
}  # fmt: skip
"""Which part of the bank a category draws from."""

_SENTENCES = {"saw_or_heard": (3, 5), "assessment": (2, 3), "voice_of_child": (1, 2), "demeanour": (1, 2)}
"""At least and at most so many sentences, which makes notes of 600 to 1,500 bytes as they travel."""


SMALL_CHILD_YEARS = 7


class NoteTexts(NamedTuple):
    """The four free texts of a note."""

    saw_or_heard: str
    assessment: str
    voice_of_child: str
    demeanour: str


@cache
def _bank() -> dict[str, dict[str, list[str]]]:
    themes: dict[str, dict[str, str]] = data("phrases.toml")["theme"]
    return {
        theme: {field: _lines(text) for field, text in fields.items()} for theme, fields in themes.items()
    }


@cache
def _slots() -> dict[str, list[str]]:
    slots: dict[str, str] = data("phrases.toml")["slot"]
    return {name: _lines(text) for name, text in slots.items()}


def _lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line]


def templates(theme: str, field: str) -> list[str]:
    """The bank's sentences of one theme and field, slots unfilled."""
    return _bank()[theme][field]


def note_texts(category: Category, rng: Random) -> NoteTexts:
    """Texts for a note of `category`, no sentence twice in one text."""
    theme = _bank()[THEME_OF[category]]
    return NoteTexts(*(_some(theme[field], *_SENTENCES[field], rng) for field in FIELDS))


def _some(lines: list[str], least: int, most: int, rng: Random) -> str:
    count = least + int(rng.random() * (most - least + 1))
    chosen: list[str] = []
    while len(chosen) < count:
        line = pick(lines, rng)
        if line not in chosen:
            chosen.append(line)
    return " ".join(_filled(line, rng) for line in chosen)


def _filled(line: str, rng: Random) -> str:
    for slot, fillings in _slots().items():
        mark = "{" + slot + "}"
        if mark in line:
            line = line.replace(mark, pick(fillings, rng))
    return line


def look(age: int, rng: Random) -> str:
    """How a child of `age` years looked, for the subject's `description`."""
    return pick(_slots()["look" if age >= SMALL_CHILD_YEARS else "look_small"], rng)
