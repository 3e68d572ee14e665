"""The words that phone and server agree on: every closed list that a note may use.

Codes travel on the wire and are stored for ever, so a code is never renamed or reused; a label may
change at any time. The lists follow the London Child Protection Procedures and the police's own forms.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from types import MappingProxyType

_newer: ContextVar[Mapping[str, str]] = ContextVar("newer", default=MappingProxyType({}))
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Category(StrEnum):
    """What a concern is about. A note has one primary category and may have several more.

    On a phone one of a newer server counts too, under its code (`beside_newer`); it is none of those below.
    """

    NEGLECT = "neglect"
    PHYSICAL = "physical"
    EMOTIONAL = "emotional"
    SEXUAL = "sexual"
    CSE = "cse"
    CCE = "cce"
    COUNTY_LINES = "county_lines"
    ONLINE_HARM = "online_harm"
    HARMFUL_SEXUAL_BEHAVIOUR = "harmful_sexual_behaviour"
    DOMESTIC_ABUSE_HOUSEHOLD = "domestic_abuse_household"
    UNDER_18_RELATIONSHIP_ABUSE = "under_18_relationship_abuse"
    MISSING = "missing"
    GANGS = "gangs"
    KNIFE = "knife"
    TRAFFICKING = "trafficking"
    FGM = "fgm"
    FORCED_MARRIAGE = "forced_marriage"
    FAITH_ABUSE = "faith_abuse"
    RADICALISATION = "radicalisation"
    MENTAL_HEALTH = "mental_health"
    SUBSTANCE_CHILD = "substance_child"
    SUBSTANCE_PARENT = "substance_parent"
    SUBSTANCE_HOUSEHOLD = "substance_household"
    PARENTAL_MENTAL_HEALTH = "parental_mental_health"
    SCHOOL_ABSENCE = "school_absence"
    PRIVATE_FOSTERING = "private_fostering"
    YOUNG_CARER = "young_carer"
    UNACCOMPANIED = "unaccompanied"
    CUSTODY = "custody"
    BULLYING = "bullying"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> "Category | None":
        if not isinstance(value, str) or value not in _newer.get() or not _CODE.fullmatch(value):
            return None
        category = str.__new__(cls, value)
        category._name_, category._value_ = value.upper(), value
        return category

    @property
    def label(self) -> str:
        """In words, as far as there are any."""
        return CATEGORY_LABELS.get(self) or _newer.get().get(self.value, self.value)


@contextmanager
def beside_newer(labels: Mapping[str, str]) -> Iterator[None]:
    """In the block categories of a newer server may be written and read, by code, each with its label. For phones: a
    server knows its own words and sets a note with any other aside."""
    token = _newer.set(labels)
    try:
        yield
    finally:
        _newer.reset(token)


CATEGORY_LABELS: dict[Category, str] = {
    Category.NEGLECT: "Neglect",
    Category.PHYSICAL: "Physical abuse",
    Category.EMOTIONAL: "Emotional abuse",
    Category.SEXUAL: "Sexual abuse",
    Category.CSE: "Child sexual exploitation",
    Category.CCE: "Child criminal exploitation",
    Category.COUNTY_LINES: "County lines",
    Category.ONLINE_HARM: "Online harm",
    Category.HARMFUL_SEXUAL_BEHAVIOUR: "Harmful sexual behaviour",
    Category.DOMESTIC_ABUSE_HOUSEHOLD: "Domestic abuse in the household",
    Category.UNDER_18_RELATIONSHIP_ABUSE: "Abuse in a relationship under 18",
    Category.MISSING: "Missing",
    Category.GANGS: "Gangs and serious violence",
    Category.KNIFE: "Knife",
    Category.TRAFFICKING: "Trafficking or modern slavery",
    Category.FGM: "Female genital mutilation",
    Category.FORCED_MARRIAGE: "Forced marriage or honour-based abuse",
    Category.FAITH_ABUSE: "Abuse linked to faith or belief",
    Category.RADICALISATION: "Radicalisation",
    Category.MENTAL_HEALTH: "Self-harm or mental health",
    Category.SUBSTANCE_CHILD: "Substance misuse by the child",
    Category.SUBSTANCE_PARENT: "Substance misuse by a parent",
    Category.SUBSTANCE_HOUSEHOLD: "Substance misuse in the household",
    Category.PARENTAL_MENTAL_HEALTH: "Parental mental health",
    Category.SCHOOL_ABSENCE: "Absence from school",
    Category.PRIVATE_FOSTERING: "Private fostering",
    Category.YOUNG_CARER: "Young carer",
    Category.UNACCOMPANIED: "Unaccompanied asylum seeker",
    Category.CUSTODY: "Custody",
    Category.BULLYING: "Bullying or hate",
    Category.OTHER: "Other",
}

EXPLOITATION: frozenset[Category] = frozenset(
    {
        Category.CSE,
        Category.CCE,
        Category.COUNTY_LINES,
        Category.TRAFFICKING,
        Category.GANGS,
        Category.HARMFUL_SEXUAL_BEHAVIOUR,
    }
)
"""Categories that are an exploitation indicator by themselves, whatever the officer's wording."""


class Grade(StrEnum):
    """BRAG: how soon somebody must act. Never a missing child's risk level, which is a separate scale."""

    BLUE = "blue"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"

    @property
    def urgency(self) -> int:
        """0 for blue to 3 for red; the larger must be answered first."""
        return _URGENCY[self]


_URGENCY = {Grade.BLUE: 0, Grade.GREEN: 1, Grade.AMBER: 2, Grade.RED: 3}


class RiskLevel(StrEnum):
    """A missing child's risk level (College of Policing). Never conflated with the grade."""

    NO_APPARENT_RISK = "no_apparent_risk"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class SubjectRole(StrEnum):
    """What a person was in one note."""

    CHILD_OF_CONCERN = "child_of_concern"
    VICTIM = "victim"
    WITNESS = "witness"
    SUSPECT = "suspect"
    SIBLING = "sibling"
    OTHER = "other"


class Sex(StrEnum):
    FEMALE = "female"
    MALE = "male"


class ChildSeen(StrEnum):
    """Whether the officer saw the child, and saw the child alone; `NOT_SEEN` needs a reason."""

    SEEN = "seen"
    SEEN_ALONE = "seen_alone"
    NOT_SEEN = "not_seen"


PHRASES_TO_RECONSIDER: dict[str, str] = {
    "streetwise": "say what the child knows or did, and what worries you about it",
    "promiscuous": "say what happened to the child and who was involved",
    "lifestyle choice": "say what the child told you, and who may have influence over them",
    "putting themselves at risk": "say who or what puts the child at risk",
    "absconder": "missing from home, care or school",
    "child prostitute": "a child who is being sexually exploited",
}
"""Phrases that blame a child, each with what to write in its place. They advise and never block."""

# Over the text itself, not a lowered copy: lowering can change the length, and the offsets with it.
_PHRASES = {
    phrase: re.compile(r"\s+".join(map(re.escape, phrase.split())), re.IGNORECASE)
    for phrase in PHRASES_TO_RECONSIDER
}


def phrases_to_reconsider(text: str) -> list[tuple[int, str, str]]:
    """Where `text` blames a child: (offset in characters, the phrase, what to write in its place)."""
    return sorted(
        (match.start(), phrase, advice)
        for phrase, advice in PHRASES_TO_RECONSIDER.items()
        for match in _PHRASES[phrase].finditer(text)
    )


class NoteOutcome(StrEnum):
    """What came of a note, as its borough says it when it closes the duty. Codes are for ever."""

    REFERRED = "referred"
    STRATEGY_DISCUSSION = "strategy_discussion"
    KNOWN_CASE = "known_case"
    SUPPORT = "support"
    OTHER_FORCE = "other_force"
    NO_FURTHER_ACTION = "no_further_action"


NOTE_OUTCOME_LABELS: dict[NoteOutcome, str] = {
    NoteOutcome.REFERRED: "Referred to children's social care",
    NoteOutcome.STRATEGY_DISCUSSION: "Strategy discussion held",
    NoteOutcome.KNOWN_CASE: "Added to a case that is open already",
    NoteOutcome.SUPPORT: "Advice or early help given",
    NoteOutcome.OTHER_FORCE: "Handed to another force",
    NoteOutcome.NO_FURTHER_ACTION: "No further action",
}
