"""The shape of a rule pack as it stands in its TOML file: every key, its type and its bounds.

Only shapes: `pack` reads and checks a file of this shape, and the other modules obey it.
"""

import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from sync.vocabulary import Category, Grade, SubjectRole

Count = Annotated[int, msgspec.Meta(ge=1, le=100)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]
Hours = Annotated[float, msgspec.Meta(gt=0, le=24 * 365)]
Minutes = Annotated[int, msgspec.Meta(ge=1, le=7 * 24 * 60)]
Wait = Annotated[float, msgspec.Meta(gt=0, le=7 * 24 * 60)]
"""Minutes until somebody hears; parts of a minute are allowed, for drills in which the clocks run fast."""
Interval = Annotated[float, msgspec.Meta(ge=0.1, le=7 * 24 * 60)]
"""Minutes between one time that somebody hears and the next: at least six seconds, or it would drown all else."""
RoleId = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""The id of a role of the access policy; whether there is such a role is checked where both are loaded."""
Sentence = Annotated[str, msgspec.Meta(min_length=1, max_length=160)]
WallTime = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""What London's clocks say, such as `08:45`."""
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEK: tuple[Weekday, ...] = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
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


class Timed(Rule, frozen=True, kw_only=True):
    """A rule whose flags have a clock of their own. `clock` is what the clock counts down to, in words;
    `warn_minutes` before its end a supervisor hears of it, answered or not."""

    clock: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    warn_minutes: Minutes


class PoliceProtection(Timed, frozen=True, kw_only=True, tag="police_protection"):
    """Police protection: 72 hours from when it began, and no later note extends it (Children Act 1989, s.46)."""


class SchoolToKnow(Timed, frozen=True, kw_only=True, tag="school_to_know"):
    """A note of these categories about a child whose school is known: the school must know before its next day
    begins (Operation Encompass)."""

    categories: Annotated[tuple[Category, ...], msgspec.Meta(min_length=1)]


AnyRule = (
    DangerNow
    | MissingUnderAge
    | LookedAfterMarker
    | MissingWithExploitation
    | MissingLongerThan
    | IncidentCount
    | SourceCount
    | PoliceProtection
    | SchoolToKnow
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
    """Hours from receipt to deadline, by grade; None is no clock. Those of the grades that `working_hours` names
    are working hours, the others plain ones."""

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


class WorkingHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the clocks run that count working hours: London's wall time; never on a bank holiday of England."""

    days: Annotated[tuple[Weekday, ...], msgspec.Meta(min_length=1)] = _WEEK[:5]
    opens: WallTime = "09:00"
    closes: WallTime = "17:00"
    closed: tuple[datetime.date, ...] = ()

    @property
    def weekdays(self) -> frozenset[int]:
        """0 for Monday to 6 for Sunday."""
        return frozenset(_WEEK.index(day) for day in self.days)

    @property
    def opens_at(self) -> datetime.time:
        """When a working day begins."""
        return datetime.time.fromisoformat(self.opens)

    @property
    def closes_at(self) -> datetime.time:
        """When a working day ends."""
        return datetime.time.fromisoformat(self.closes)


class Term(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of days on which there is school; a half term's holiday lies between two of them."""

    first: datetime.date
    last: datetime.date


class SchoolYear(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms of some schools, in order, and when their day begins."""

    starts: WallTime = "08:45"
    terms: tuple[Term, ...] = ()

    @property
    def starts_at(self) -> datetime.time:
        """When a school day begins."""
        return datetime.time.fromisoformat(self.starts)


class SchoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The school years by name, which one each borough's schools keep, and the one for all others."""

    calendar: str = ""
    calendars: dict[str, SchoolYear] = {}
    boroughs: dict[str, str] = {}

    def year_of(self, borough: str | None) -> SchoolYear:
        """The school year of a borough (GSS code); without one, every weekday is a school day."""
        return self.calendars.get(self.boroughs.get(borough or "", self.calendar), SchoolYear())


class ClockSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The presets, which one each borough uses, and the one for all others."""

    preset: str
    presets: dict[str, Preset]
    boroughs: dict[str, str] = {}
    working_hours: WorkingHours = WorkingHours()


class EscalationStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: `minutes` after the start, or `percent` of the clock. Exactly one of them."""

    role: RoleId
    minutes: Wait | None = None
    percent: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None


class AgainSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Minutes after which whoever heard last hears again, while nobody answers. It never ends."""

    red: Interval = 30
    amber: Interval = 240
    green: Interval = 1440
    blue: Interval = 10080

    def minutes(self, grade: Grade) -> float:
        """Those of one grade."""
        found: float = getattr(self, grade.value)
        return found


class EscalationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The chain of each grade, and how often the last of it hears again. With an empty chain the borough's
    investigators are asked again."""

    red: tuple[EscalationStep, ...] = ()
    amber: tuple[EscalationStep, ...] = ()
    green: tuple[EscalationStep, ...] = ()
    blue: tuple[EscalationStep, ...] = ()
    again: AgainSettings = AgainSettings()

    def chain(self, grade: Grade) -> tuple[EscalationStep, ...]:
        """The steps of one grade, in the order of the pack."""
        steps: tuple[EscalationStep, ...] = getattr(self, grade.value)
        return steps


class PackFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack as it stands in the file."""

    version: Annotated[str, msgspec.Meta(max_length=60)] = ""
    counted_roles: Annotated[tuple[SubjectRole, ...], msgspec.Meta(min_length=1)]
    incidents: IncidentSettings
    rules: tuple[AnyRule, ...]
    concern: ConcernSettings
    clocks: ClockSettings
    escalations: EscalationSettings
    school: SchoolSettings = SchoolSettings()
