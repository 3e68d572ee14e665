"""The shape of a rule pack as it stands in its TOML file: every key, its type and its bounds.

Only shapes: `pack` reads and checks a file of this shape, and the other modules obey it.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

from sync.vocabulary import Category, Grade, SubjectRole

Count = Annotated[int, msgspec.Meta(ge=1, le=100)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]
Hours = Annotated[float, msgspec.Meta(gt=0, le=24 * 365)]
Minutes = Annotated[int, msgspec.Meta(ge=1, le=7 * 24 * 60)]
Wait = Annotated[float, msgspec.Meta(gt=0, le=7 * 24 * 60)]
"""Minutes until somebody hears; parts of a minute are allowed, for drills in which the clocks run fast."""
RoleId = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""The id of a role of the access policy; whether there is such a role is checked where both are loaded."""
Sentence = Annotated[str, msgspec.Meta(min_length=1, max_length=160)]
RuleName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Proposal(StrEnum):
    """What a rule proposes that a person should do. A rule never does it."""

    STRATEGY_DISCUSSION = "strategy_discussion"
    SUPERVISOR_REVIEW = "supervisor_review"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule has. `sentence` may hold the words in braces that its kind allows, and only those."""

    name: RuleName
    grade: Grade
    sentence: Sentence
    proposes: Proposal | None = None
    enabled: bool = True


class DangerNow(Rule, frozen=True, kw_only=True, tag="danger_now"):
    """The officer said that the child is in immediate danger."""


class MissingUnderAge(Rule, frozen=True, kw_only=True, tag="missing_under_age"):
    """Missing, and younger than `under_years` on that day."""

    under_years: Annotated[int, msgspec.Meta(ge=1, le=18)]


class LookedAfterMarker(Rule, frozen=True, kw_only=True, tag="looked_after_marker"):
    """Any note about a looked-after child with an exploitation marker in force."""


class MissingWithExploitation(Rule, frozen=True, kw_only=True, tag="missing_with_exploitation"):
    """Missing, with an exploitation marker or a sign of exploitation within so many days of it."""

    within_days: Days


class MissingLongerThan(Rule, frozen=True, kw_only=True, tag="missing_longer_than"):
    """One episode of more than `over_hours`; exactly as many is not more."""

    over_hours: Hours


class IncidentCount(Rule, frozen=True, kw_only=True, tag="incidents"):
    """`at_least` distinct incidents in a window; of the named categories, or of any when none is named."""

    at_least: Count
    within_days: Days
    categories: tuple[Category, ...] = ()


class SourceCount(Rule, frozen=True, kw_only=True, tag="sources"):
    """`at_least` distinct incidents in a window, from at least as many distinct sources."""

    at_least: Count
    within_days: Days


AnyRule = (
    DangerNow
    | MissingUnderAge
    | LookedAfterMarker
    | MissingWithExploitation
    | MissingLongerThan
    | IncidentCount
    | SourceCount
)


class IncidentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When two notes about one child are one incident; see `incidents`."""

    near_minutes: Minutes
    near_metres: Annotated[float, msgspec.Meta(gt=0, le=20_000)]
    same_author_minutes: Minutes
    words_shared_min: Count
    words_share_min: Annotated[float, msgspec.Meta(gt=0, le=1)]
    join_overlapping_missing: bool = True
    missing_days_max: Days = 7
    families: dict[str, tuple[Category, ...]] = {}


class ConcernSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The grade of a note that no rule took up, by category."""

    grade: Grade
    sentence: Sentence
    bystander_grade: Grade
    bystander_sentence: Sentence
    categories: dict[Category, Grade] = {}


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours from receipt to deadline, by grade; None is no clock."""

    label: str
    red: Hours | None = None
    amber: Hours | None = None
    green: Hours | None = None
    blue: Hours | None = None
    working_hours: tuple[Grade, ...] = ()

    def hours(self, grade: Grade) -> float | None:
        """The hours of one grade, or None where it has no clock."""
        hours: float | None = getattr(self, grade.value)
        return hours


class ClockSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The presets, which one each borough uses, and the one for all others."""

    preset: str
    presets: dict[str, Preset]
    boroughs: dict[str, str] = {}


class EscalationStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: `minutes` after the start, or `percent` of the clock. Exactly one of them."""

    role: RoleId
    minutes: Wait | None = None
    percent: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None


class EscalationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The chain of each grade; an empty one never escalates."""

    red: tuple[EscalationStep, ...] = ()
    amber: tuple[EscalationStep, ...] = ()
    green: tuple[EscalationStep, ...] = ()
    blue: tuple[EscalationStep, ...] = ()

    def chain(self, grade: Grade) -> tuple[EscalationStep, ...]:
        """The steps of one grade, in the order of the pack."""
        steps: tuple[EscalationStep, ...] = getattr(self, grade.value)
        return steps

    def roles(self) -> tuple[str, ...]:
        """Every role that some chain names, each once."""
        return tuple(dict.fromkeys(step.role for grade in Grade for step in self.chain(grade)))


class PackFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack as it stands in the file."""

    version: Annotated[str, msgspec.Meta(max_length=60)] = ""
    counted_roles: Annotated[tuple[SubjectRole, ...], msgspec.Meta(min_length=1)]
    incidents: IncidentSettings
    rules: tuple[AnyRule, ...]
    concern: ConcernSettings
    clocks: ClockSettings
    escalations: EscalationSettings
