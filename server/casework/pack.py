"""The rule pack: every threshold, window, grade, clock and sentence, read from TOML and checked at load.

`load_pack` answers a `Pack` or raises `PackError`, whose message names the key and, where it can be found,
the line. A pack that loads cannot fail later: roles, presets, sentences and units were all checked.
"""

import functools
import hashlib
import importlib.resources
import pathlib
import re
import string
import tomllib

import msgspec

from server.casework.boroughs import Force, default_force
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
    Rule,
    SourceCount,
)
from sync.vocabulary import CATEGORY_LABELS, Category, Grade, SubjectRole

CONCERN = "concern"
"""The name of the rule that gives every note a duty; no other rule may take it."""


class PackError(ValueError):
    """The rule pack cannot be used. The message says which key is wrong, on which line, and why."""


_PLACEHOLDERS: dict[type[Rule], frozenset[str]] = {
    DangerNow: frozenset(),
    MissingUnderAge: frozenset({"years"}),
    LookedAfterMarker: frozenset(),
    MissingWithExploitation: frozenset({"days"}),
    MissingLongerThan: frozenset({"hours"}),
    IncidentCount: frozenset({"ordinal", "count", "days", "who"}),
    SourceCount: frozenset({"count", "days", "who"}),
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
    escalations: EscalationSettings
    force: Force
    category_bits: dict[str, int]
    family_bits: dict[str, int]
    concerns: dict[str, ConcernOf]
    bystander: ConcernOf

    def preset_of(self, borough: str | None) -> str:
        """The name of the clock preset that a borough (GSS code) uses."""
        return self.clocks.boroughs.get(borough or "", self.clocks.preset)

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
    try:
        parsed = msgspec.convert(tomllib.loads(text), PackFile)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"The rule pack is not valid TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise PackError(f"The rule pack is wrong{_line_of(text, str(error))}: {error}.") from error
    _check_rules(parsed)
    _check_sentence(parsed.concern.sentence, frozenset({"category"}), "concern.sentence")
    _check_sentence(parsed.concern.bystander_sentence, frozenset(), "concern.bystander_sentence")
    _check_clocks(parsed)
    _check_escalations(parsed)
    return _compiled(parsed, force if force is not None else default_force())


@functools.cache
def default_pack() -> Pack:
    """The pack that ships with the product, with the defaults of the domain."""
    return load_pack(importlib.resources.files(__package__).joinpath("rules.toml").read_text("utf-8"))


def _check_rules(parsed: PackFile) -> None:
    seen: set[str] = set()
    for index, rule in enumerate(parsed.rules):
        where = f"rules[{index}] ({rule.name})"
        if rule.name == CONCERN:
            raise PackError(f"{where}: the name `{CONCERN}` is taken; choose another.")
        if rule.name in seen:
            raise PackError(f"{where}: there are two rules of that name; a flag could not tell them apart.")
        seen.add(rule.name)
        _check_sentence(rule.sentence, _PLACEHOLDERS[type(rule)], f"{where}.sentence")


def _check_sentence(sentence: str, allowed: frozenset[str], where: str) -> None:
    try:
        parts = list(string.Formatter().parse(sentence))
    except ValueError as error:
        raise PackError(f"{where}: {error}. Write {{{{ for a brace.") from error
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in allowed or form or conversion:
            choice = ", ".join(f"{{{word}}}" for word in sorted(allowed)) or "none"
            raise PackError(f"{where}: {{{name}}} cannot be used here. Allowed: {choice}.")


def _check_clocks(parsed: PackFile) -> None:
    clocks = parsed.clocks
    for name, preset in clocks.presets.items():
        if preset.working_hours:
            raise PackError(
                f"clocks.presets.{name}.working_hours: working hours are not supported yet. Leave the key "
                "out: the preset then counts plain hours, which are never later than working hours."
            )
    for where, name in [("clocks.preset", clocks.preset)] + [
        (f"clocks.boroughs.{code}", name) for code, name in clocks.boroughs.items()
    ]:
        if name not in clocks.presets:
            known = ", ".join(sorted(clocks.presets)) or "none"
            raise PackError(f"{where}: there is no preset `{name}`. Known: {known}.")


def _check_escalations(parsed: PackFile) -> None:
    for grade in Grade:
        for index, step in enumerate(parsed.escalations.chain(grade)):
            where = f"escalations.{grade.value}[{index}]"
            if (step.minutes is None) == (step.percent is None):
                raise PackError(f"{where}: give either `minutes` or `percent`, one of them.")
            presets = parsed.clocks.presets
            clockless = [name for name, preset in presets.items() if preset.hours(grade) is None]
            if step.percent is not None and clockless:
                raise PackError(
                    f"{where}.percent: preset `{clockless[0]}` has no clock for {grade.value}; use `minutes`."
                )


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
        escalations=parsed.escalations,
        force=force,
        category_bits=bits,
        family_bits=families,
        concerns=concerns,
        bystander=(concern.bystander_grade.urgency, concern.bystander_grade, concern.bystander_sentence),
    )


_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")


def _line_of(text: str, message: str) -> str:
    """` on line N` for the key path that msgspec put at the end of its message; empty if not found.

    A pack is small and hand-written, so a search by headers and keys is enough; it only helps the reader.
    """
    at = re.search(r"`\$([^`]*)`$", message)
    unknown = re.search(r"unknown field `([^`]+)`", message)
    steps = [name or int(number) for name, number in _STEP.findall(at.group(1))] if at else []
    if unknown:
        steps.append(unknown.group(1))
    lines = text.splitlines()
    first = 0
    for step in steps:
        if isinstance(step, int):
            headers = [n for n, line in enumerate(lines) if line.strip() == "[[rules]]"]
            if steps[0] == "rules" and step < len(headers):
                first = headers[step]
            continue
        pattern = re.compile(rf"^\s*(\[+[\w.]*\b{step}\]+|{step}\s*=)")
        first = next((n for n in range(first, len(lines)) if pattern.match(lines[n])), first)
    return f" on line {first + 1}" if steps and first else ""
