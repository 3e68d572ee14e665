"""The rule pack: every threshold, window, grade, clock and sentence, read from TOML and checked at load.

`load_pack` answers a `Pack` or raises `PackError`, whose message names the key and its line. A pack that loads
cannot fail later: roles, presets, sentences and school years were all checked.
"""

import functools
import hashlib
import importlib.resources
import pathlib
import string
import tomllib
from collections.abc import Collection

import msgspec

from server.casework.boroughs import Force, default_force
from server.casework.days import Running
from server.casework.facts import HOUR_MS
from server.casework.lines import Path, WrongShape, on_line, read_toml
from server.casework.shapes import (
    AnyRule,
    ClockSettings,
    ConcernSettings,
    DangerNow,
    EscalationSettings,
    IncidentCount,
    IncidentSettings,
    LookedAfterMarker,
    MissingLongerThan,
    MissingUnderAge,
    MissingWithExploitation,
    PackFile,
    PoliceProtection,
    Rule,
    SchoolSettings,
    SchoolToKnow,
    SourceCount,
)
from sync.vocabulary import CATEGORY_LABELS, Category, Grade, SubjectRole

CONCERN = "concern"
"""The name of the rule that gives every note a duty; no other rule may take it."""


class PackError(ValueError):
    """The rule pack cannot be used. The message says which key is wrong, on which line, and why."""


class _Mistake(Exception):
    """A key that has the right type and still cannot be: its path, how a person calls it, and why."""

    def __init__(self, path: Path, why: str, called: str = "") -> None:
        super().__init__(why)
        self.path = path
        self.called = called or _dotted(path)


_PLACEHOLDERS: dict[type[Rule], frozenset[str]] = {
    DangerNow: frozenset(),
    MissingUnderAge: frozenset({"years"}),
    LookedAfterMarker: frozenset(),
    MissingWithExploitation: frozenset({"days"}),
    MissingLongerThan: frozenset({"hours"}),
    IncidentCount: frozenset({"ordinal", "count", "days", "who"}),
    SourceCount: frozenset({"count", "days", "who"}),
    PoliceProtection: frozenset({"until"}),
    SchoolToKnow: frozenset({"before"}),
}


ConcernOf = tuple[int, Grade, str]
"""What a note of some category is by itself: the urgency of its grade, the grade, and the sentence."""


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """A checked pack, with what the rules need on every note worked out once.

    `version` is the declared name and a digest of the content, so that a changed pack never passes for the
    one that raised an older flag. Category sets are bit masks: bit of the category, and of its families.
    """

    version: str
    counted_roles: frozenset[SubjectRole]
    incidents: IncidentSettings
    rules: tuple[AnyRule, ...]
    concern: ConcernSettings
    clocks: ClockSettings
    runs: dict[tuple[str, str], Running]
    """How the clock of each preset and grade (its code) runs."""
    escalations: EscalationSettings
    school: SchoolSettings
    force: Force
    category_bits: dict[str, int]
    family_bits: dict[str, int]
    rule_masks: dict[str, int]
    """The bits of the categories that a rule names, by the rule's name."""
    concerns: dict[str, ConcernOf]
    bystander: ConcernOf

    def preset_of(self, borough: str | None) -> str:
        """The name of the clock preset that a borough (GSS code) uses."""
        return self.clocks.boroughs.get(borough or "", self.clocks.preset)

    def allowed_ms(self, borough: str | None) -> dict[Grade, int | None]:
        """How long the clock of each grade runs in a borough, in milliseconds; None where it has none."""
        preset = self.clocks.presets[self.preset_of(borough)]
        hours = {grade: preset.hours(grade) for grade in Grade}
        return {grade: None if long is None else round(long * HOUR_MS) for grade, long in hours.items()}

    def category_mask(self, categories: tuple[Category, ...]) -> int:
        """The bits of some categories, families left out."""
        mask = 0
        for category in categories:
            mask |= self.category_bits[category._value_]
        return mask


def load_pack(source: str | pathlib.Path, force: Force | None = None) -> Pack:
    """Read a rule pack from TOML text, or from a file when given a `Path`.

    `force` is the police force whose boroughs routing knows; the default is the one that ships. Raises
    `PackError` for anything wrong in the pack, `OSError` for a file that cannot be read.
    """
    try:
        text = source.read_text(encoding="utf-8") if isinstance(source, pathlib.Path) else source
    except UnicodeDecodeError as error:
        raise PackError("The rule pack is not UTF-8 text. Save it as UTF-8 and load it again.") from error
    force = force if force is not None else default_force()
    try:
        parsed = read_toml(text, PackFile)
        _check(parsed)
        _check_boroughs(parsed, force)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"The rule pack is not valid TOML: {error}.") from error
    except WrongShape as error:
        raise PackError(f"The rule pack is wrong{error}.") from error
    except _Mistake as mistake:
        where = on_line(text, mistake.path)
        raise PackError(f"The rule pack is wrong{where}: {mistake.called}: {mistake}") from None
    return _compiled(parsed, force)


def _check(parsed: PackFile) -> None:
    """All that types do not say. Raises `_Mistake`."""
    _check_rules(parsed)
    _check_sentence(parsed.concern.sentence, frozenset({"category"}), ("concern", "sentence"))
    _check_sentence(parsed.concern.bystander_sentence, frozenset(), ("concern", "bystander_sentence"))
    _check_clocks(parsed)
    _check_escalations(parsed)
    _check_school(parsed.school)


def default_pack_text() -> str:
    """The text of the pack that ships with the product."""
    return importlib.resources.files(__package__).joinpath("rules.toml").read_text("utf-8")


@functools.cache
def default_pack() -> Pack:
    """The pack that ships with the product, with the defaults of the domain."""
    return load_pack(default_pack_text())


def _check_rules(parsed: PackFile) -> None:
    seen: set[str] = set()
    for index, rule in enumerate(parsed.rules):
        path: Path = ("rules", index, "name")
        if rule.name == CONCERN:
            raise _Mistake(path, f"the name `{CONCERN}` is taken; choose another.")
        if rule.name in seen:
            raise _Mistake(path, f"there are two rules of that name, `{rule.name}`; a flag could not tell.")
        seen.add(rule.name)
        _check_sentence(
            rule.sentence,
            _PLACEHOLDERS[type(rule)],
            ("rules", index, "sentence"),
            f"rules[{index}] ({rule.name}).sentence",
        )


def _check_sentence(sentence: str, allowed: frozenset[str], path: Path, called: str = "") -> None:
    try:
        parts = list(string.Formatter().parse(sentence))
    except ValueError as error:
        raise _Mistake(path, f"{error}. Write {{{{ for a brace.", called) from error
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in allowed or form or conversion:
            choice = ", ".join(f"{{{word}}}" for word in sorted(allowed)) or "none"
            raise _Mistake(path, f"{{{name}}} cannot be used here. Allowed: {choice}.", called)


def _check_clocks(parsed: PackFile) -> None:
    clocks = parsed.clocks
    for name, preset in clocks.presets.items():
        for grade in preset.working_hours:
            if preset.hours(grade) is None:
                why = f"there are no hours for {grade.value} to count; give `{grade.value} = ...` or leave it out."
                raise _Mistake(("clocks", "presets", name, "working_hours"), why)
    if clocks.working_hours.opens >= clocks.working_hours.closes:
        raise _Mistake(("clocks", "working_hours", "closes"), "a working day must end after it opens.")
    _check_names(clocks.preset, clocks.boroughs, clocks.presets, ("clocks",), "preset")


def _check_names(usual: str, boroughs: dict[str, str], known: Collection[str], path: Path, kind: str) -> None:
    """That the usual one, and the one of each borough, is among those known."""
    named: list[tuple[Path, str]] = [((*path, kind), usual)]
    named += [((*path, "boroughs", code), name) for code, name in boroughs.items()]
    for where, name in named:
        if name not in known:
            raise _Mistake(
                where, f"there is no {kind} `{name}`. Known: {', '.join(sorted(known)) or 'none'}."
            )


def _check_boroughs(parsed: PackFile, force: Force) -> None:
    """That each borough with something of its own is one of the force's: mistyped, it would go by the usual one."""
    for path, boroughs in ((("clocks",), parsed.clocks.boroughs), (("school",), parsed.school.boroughs)):
        for code in boroughs:
            if not force.polices(code):
                known = next(iter(force.boroughs))
                why = f"{force.name} has no borough of that code. Give its ONS code, such as {known}."
                raise _Mistake((*path, "boroughs", code), why)


def _check_escalations(parsed: PackFile) -> None:
    for grade in Grade:
        for index, step in enumerate(parsed.escalations.chain(grade)):
            path: Path = ("escalations", grade.value, index)
            if (step.minutes is None) == (step.percent is None):
                raise _Mistake(path, "give either `minutes` or `percent`, one of them.")
            presets = parsed.clocks.presets
            clockless = [name for name, preset in presets.items() if preset.hours(grade) is None]
            if step.percent is not None and clockless:
                why = f"preset `{clockless[0]}` has no clock for {grade.value}; use `minutes`."
                raise _Mistake((*path, "percent"), why)


def _check_school(school: SchoolSettings) -> None:
    if school.calendars or school.calendar or school.boroughs:
        _check_names(school.calendar, school.boroughs, school.calendars, ("school",), "calendar")
    for name, year in school.calendars.items():
        for index, term in enumerate(year.terms):
            path: Path = ("school", "calendars", name, "terms", index)
            if term.last < term.first:
                raise _Mistake(path, "the term ends before it begins.")
            if index and term.first <= year.terms[index - 1].last:
                raise _Mistake(path, "the term begins before the one above it has ended; put them in order.")


def _runs(clocks: ClockSettings) -> dict[tuple[str, str], Running]:
    found = {}
    for name, preset in clocks.presets.items():
        for grade in Grade:
            hours = preset.hours(grade)
            found[name, grade.value] = Running(
                None if hours is None else round(hours * HOUR_MS),
                clocks.working_hours if grade in preset.working_hours else None,
            )
    return found


def _compiled(parsed: PackFile, force: Force) -> Pack:
    bits = {category.value: 1 << index for index, category in enumerate(Category)}
    families = dict(bits)
    for number, members in enumerate(parsed.incidents.families.values()):
        for category in members:
            families[category.value] |= 1 << (len(bits) + number)
    concern = parsed.concern
    concerns = {}
    for category in Category:
        grade = concern.categories.get(category, concern.grade)
        sentence = concern.sentence.format(category=CATEGORY_LABELS[category].lower())
        concerns[category.value] = (grade.urgency, grade, sentence)
    # The digest is of the meaning, not of the text: a comment or a space makes no new version.
    canonical = msgspec.json.encode(msgspec.structs.replace(parsed, version=""), order="deterministic")
    digest = hashlib.sha256(canonical).hexdigest()[:12]
    return Pack(
        version=f"{parsed.version}+{digest}" if parsed.version else digest,
        counted_roles=frozenset(parsed.counted_roles),
        incidents=parsed.incidents,
        rules=tuple(rule for rule in parsed.rules if rule.enabled),
        concern=parsed.concern,
        clocks=parsed.clocks,
        runs=_runs(parsed.clocks),
        escalations=parsed.escalations,
        school=parsed.school,
        force=force,
        category_bits=bits,
        family_bits=families,
        rule_masks={
            rule.name: sum(bits[category.value] for category in set(rule.categories))
            for rule in parsed.rules
            if isinstance(rule, IncidentCount | SchoolToKnow)
        },
        concerns=concerns,
        bystander=(concern.bystander_grade.urgency, concern.bystander_grade, concern.bystander_sentence),
    )


def _dotted(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
