"""The rule pack: what ships loads, and every mistake is named."""

import importlib.resources
import pathlib

import pytest

from server.casework.boroughs import load_force
from server.casework.pack import PackError, default_pack, load_pack
from server.casework.shapes import Proposal
from sync.vocabulary import Category, Grade
from tests.casework.builders import concerns, flags, missing, note, pack_text_with_terms

TEXT = importlib.resources.files("server.casework").joinpath("rules.toml").read_text("utf-8")


def changed(old: str, new: str) -> str:
    text = TEXT if old in TEXT else pack_text_with_terms()
    assert old in text
    return text.replace(old, new, 1)


def test_the_default_pack_has_the_defaults_of_the_domain() -> None:
    pack = default_pack()
    rules = {rule.name: rule for rule in pack.rules}
    assert {name: rule.grade for name, rule in rules.items()} == {
        "danger_now": Grade.RED,
        "missing_under_10": Grade.RED,
        "looked_after_exploitation": Grade.RED,
        "missing_exploitation": Grade.AMBER,
        "missing_long": Grade.AMBER,
        "missing_repeat": Grade.AMBER,
        "notes_repeat": Grade.AMBER,
        "sources_several": Grade.GREEN,
        "police_protection": Grade.RED,
        "encompass": Grade.GREEN,
    }
    assert rules["missing_long"].proposes is Proposal.STRATEGY_DISCUSSION
    merton, surrey = pack.clocks.presets["merton"], pack.clocks.presets["surrey"]
    assert [merton.hours(grade) for grade in Grade] == [None, 24, 6, 2]
    assert [surrey.hours(grade) for grade in Grade] == [None, 72, 24, 4]


def test_a_pack_loads_from_a_file_as_from_text(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(TEXT, encoding="utf-8")
    assert load_pack(path) == default_pack()


def test_a_file_that_is_not_utf_8_says_so(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(b'version = "\xe9"')
    with pytest.raises(PackError, match="UTF-8"):
        load_pack(path)


def test_the_version_changes_with_the_meaning_and_not_with_a_comment() -> None:
    version = default_pack().version
    assert version.startswith("default-1+")
    assert load_pack("# a comment\n" + TEXT).version == version
    assert load_pack(changed("at_least = 3", "at_least = 4")).version != version
    renamed = load_pack(changed('version = "default-1"', 'version = "mine"')).version
    assert renamed == version.replace("default-1", "mine")
    assert load_pack(changed('version = "default-1"', "")).version == version.split("+")[1]


def test_a_changed_threshold_grade_and_sentence_are_obeyed() -> None:
    text = changed("under_years = 10", "under_years = 12").replace("over_hours = 24", "over_hours = 8.5")
    text = text.replace("Missing for more than {hours} hours", "Gone for over {hours} h")
    flag = flags(missing("a", missing_hours=9.0), pack=load_pack(text))["missing_long"]
    assert flag.sentence == "Gone for over 8.5 h"


def test_a_rule_can_be_switched_off() -> None:
    text = changed('kind = "danger_now"', 'kind = "danger_now"\nenabled = false')
    pack = load_pack(text)
    assert flags(note("a", danger_now=True), pack=pack) == {}
    assert pack.version != default_pack().version


def test_concern_grades_are_in_the_pack() -> None:
    pack = default_pack()
    amber = {Category(code) for code, entry in pack.concerns.items() if entry[1] is Grade.AMBER}
    assert {Category.SEXUAL, Category.CSE, Category.CCE, Category.FGM, Category.TRAFFICKING} < amber
    assert {Category.FORCED_MARRIAGE, Category.PHYSICAL} < amber
    assert set(pack.concerns) == {category.value for category in Category}
    assert concerns(note("a"))[0].grade is Grade.GREEN


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[incidents]", "[incidents", "not valid TOML"),
        ("near_minutes = 120", "", "near_minutes"),
        ("near_minutes = 120", "near_minutes = 0", r"on line \d+.*near_minutes"),
        ("near_metres = 500", 'near_metres = "far"', r"on line \d+.*near_metres"),
        ("near_metres = 500", "near_metres = 500\nnear_miles = 1", r"on line \d+.*near_miles"),
        ('kind = "sources"', 'kind = "sauces"', "sauces"),
        ("under_years = 10", "under_years = 99", r"under_years"),
        ("within_days = 30", "within_days = 99999", "within_days"),
        ('grade = "red"', 'grade = "purple"', "purple"),
        ('proposes = "strategy_discussion"', 'proposes = "arrest"', "arrest"),
        ('name = "danger_now"', 'name = "Danger now"', "name"),
        ('name = "danger_now"', 'name = "concern"', "taken"),
        ('name = "danger_now"', 'name = "missing_long"', "two rules of that name"),
        ("{years}", "{name}", r"\{name\} cannot be used here. Allowed: \{years\}"),
        ("{years}", "{years.__class__}", "cannot be used here"),
        ("{years}", "{years!r}", "cannot be used here"),
        ("{years}", "{years", r"missing_under_10.*sentence"),
        ("{category}", "{ward}", "concern.sentence"),
        ('preset = "merton"', 'preset = "croydon"', "no preset `croydon`"),
        (
            "[clocks.boroughs]",
            '[clocks.boroughs]\nE09000024 = "mertn"',
            "clocks.boroughs.E09000024.*no preset",
        ),
        (
            "[clocks.boroughs]",
            '[clocks.boroughs]\nE0900024 = "merton"',
            "E0900024.*Metropolitan Police has no borough",
        ),
        (
            "[school.calendars.london]",
            '[school.boroughs]\nMerton = "london"\n[school.calendars.london]',
            "no borough",
        ),
        ('working_hours = ["red", "amber"]', 'working_hours = ["red", "blue"]', r"surrey.*no hours for blue"),
        ('closes = "17:00"', 'closes = "09:00"', r"clocks.working_hours.closes: .*after it opens"),
        ('closes = "17:00"', 'closes = "25:00"', r"clocks.working_hours.closes"),
        ('"monday", "tuesday"', '"mon", "tuesday"', r"clocks.working_hours.days\[0\]"),
        ('calendar = "london"', 'calendar = "kent"', "no calendar `kent`. Known: london"),
        ("first = 2025-11-03", "first = 2025-10-24", r"terms\[1\]: the term begins before"),
        ("last = 2026-05-22", "last = 2026-04-12", r"terms\[4\]: the term ends before it begins"),
        ("{until}", "{before}", r"\{before\} cannot be used here. Allowed: \{until\}"),
        ("warn_minutes = 60", "warn_minutes = 0", "warn_minutes"),
        ("minutes = 15, ", "", r"escalations.red\[0\]: give either"),
        ("minutes = 15, ", "minutes = 15, percent = 5, ", r"escalations.red\[0\]: give either"),
        ('role = "force_duty_officer"', 'role = "Mayor!"', r"escalations.*role"),
        ("minutes = 15, ", "minutes = 0, ", "minutes"),
        ("blue = [{ minutes = 4320", "blue = [{ percent = 100", "no clock for blue"),
        ("amber = 240", "amber = 0.01", r"line 195: .*again.amber"),
        ("green = 1440", 'green = "daily"', r"line 196: .*again.green"),
        ("blue = 10080", "purple = 10080", r"again.*purple|purple.*again"),
        ('"child_of_concern", ', '"child_of_concrn", ', "child_of_concrn"),
        ("physical = ", "phisical = ", "phisical"),
    ],
)
def test_every_mistake_is_named(old: str, new: str, says: str) -> None:
    with pytest.raises(PackError, match=says):
        load_pack(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("under_years = 10", "under_years = 99"),
        ("red = 4", 'red = "soon"'),
        ("red = 4", "rad = 4"),
        ('knife = "amber"', 'knife = "purple"'),
        ('knife = "amber"', 'spoon = "amber"'),
        ('kind = "sources"', 'kind = "sauces"'),
        ('name = "missing_repeat"', 'name = "danger_now"'),
        ('sentence = "Missing and under {years}"', 'sentence = "Missing and under {days}"'),
        ("[clocks.boroughs]\n", '[clocks.boroughs]\nE09000024 = "mertn"\n'),
        ("[clocks.boroughs]\n", '[clocks.boroughs]\nE0900002X = "merton"\n'),
        ('    { minutes = 30, role = "duty_inspector" },', '    { role = "duty_inspector" },'),
        ("    { first = 2026-02-23,", "    { first = 2026-01-23,"),
        ('working_hours = ["red", "amber"]', 'working_hours = ["red", "blue"]'),
        ('household = ["neglect", "emo', 'household = ["neglec", "emo'),
    ],
)
def test_the_line_of_a_mistake_is_the_line_in_the_file(old: str, new: str) -> None:
    text, before = changed(old, new), (TEXT if old in TEXT else pack_text_with_terms()).splitlines()
    line = 1 + next(n for n, now in enumerate(text.splitlines()) if now != before[n])
    with pytest.raises(PackError, match=f"on line {line}:"):
        load_pack(text)


def test_what_is_missing_is_said_of_its_table() -> None:
    text = changed("near_metres = 500\n", "")
    line = text.splitlines().index("[incidents]") + 1
    with pytest.raises(PackError, match=f"on line {line}: .*near_metres"):
        load_pack(text)


def test_a_pack_without_school_years_or_working_hours_still_loads() -> None:
    """A pack that was written for an earlier release: everything new has a default."""
    text = TEXT[: TEXT.index("# School terms")]
    pack = load_pack(
        text.replace(
            '[clocks.working_hours]\ndays = ["monday", "tuesday", "wednesday", '
            '"thursday", "friday"]\nopens = "09:00"\ncloses = "17:00"\n',
            "",
        )
    )
    assert pack.clocks.working_hours == default_pack().clocks.working_hours
    assert pack.school.year_of("E09000022").terms == ()


def test_a_pack_for_another_force_routes_by_its_boroughs() -> None:
    force = load_force(
        'name = "Kent"\n[[units]]\ncode = "W"\nname = "West"\nboroughs = [{code = "E07000116", name = "TW"}]'
    )
    assert load_pack(TEXT, force).force.polices("E07000116")
