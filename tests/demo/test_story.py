"""The story's parts: who plays, what is written, the drill's pack, the outlines, the report, the folder.

The whole story runs as `make demo ONCE=1`; here is what must hold for any seed and any day.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from server.casework.areas import Areas, parse_geojson
from server.casework.clocks import escalations
from server.casework.pack import default_pack, load_pack
from server.demo import counts, stage
from server.demo.cast import (
    DESKS,
    LAMBETH,
    OFFICERS,
    SOUTHWARK,
    NoSuchChild,
    Story,
    age_of,
    choose,
    describe_fully,
    write_story,
)
from server.demo.drill import SPEED, drill_pack, red_chain
from server.demo.outlines import outlines_geojson
from server.demo.places import boroughs
from server.demo.population import SyntheticChild, population
from server.demo.processes import DemoError
from server.demo.stage import Folder
from server.demo.steps import Report, Step
from server.linkage.candidates import MemoryIndex
from server.linkage.decide import Decider, Decision
from server.linkage.model import count_terms, default_model
from server.linkage.standardise import Description, Record, standardise
from sync.note import Note, Subject
from sync.vocabulary import Category, Grade, Sex

CHILDREN = 6_000
"""Enough for the story, and quick."""

DAYS = [(2016, datetime.date(2026, 3, 2)), (7, datetime.date(2028, 2, 29)), (1, datetime.date(2031, 12, 31))]


def registry_of(seed: int, day: datetime.date) -> list[SyntheticChild]:
    print(f"seed {seed} on {day}")
    return list(population(seed, CHILDREN, day))


def noon(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(12), tzinfo=datetime.UTC)


@pytest.fixture(scope="module", params=DAYS, ids=[f"seed-{seed}-{day}" for seed, day in DAYS])
def told(request: pytest.FixtureRequest) -> tuple[list[SyntheticChild], Story]:
    """A registry and the story on it."""
    seed, day = request.param
    registry = registry_of(seed, day)
    return registry, write_story(registry, seed, noon(day))


def test_every_part_of_the_story_is_played_by_another_household(
    told: tuple[list[SyntheticChild], Story],
) -> None:
    _, story = told
    households = [child.household for child in story.children.known]
    assert len(set(households)) == len(households) == 6


def test_the_children_are_what_the_story_says_of_them(told: tuple[list[SyntheticChild], Story]) -> None:
    registry, story = told
    children, day = story.children, datetime.datetime.fromisoformat(story.third.note["observed_at"]).date()
    assert (
        children.vague.sex is Sex.MALE and 12 <= age_of(children.vague, day) <= 14 and children.vague.school
    )
    assert children.twin.has_twin and children.twin.home_borough == LAMBETH
    assert children.missing.home_borough == SOUTHWARK
    names = {(child.called, child.family_name, child.date_of_birth) for child in registry}
    stranger = children.stranger
    assert (stranger.called, stranger.family_name, stranger.date_of_birth) not in names


def test_every_note_is_one_that_a_phone_may_send(told: tuple[list[SyntheticChild], Story]) -> None:
    _, story = told
    notes = (*story.first, *story.shift)
    assert len({note.note_id for note in notes}) == len(notes) > 150
    for note in notes:
        body = msgspec.convert(note.note, Note)
        assert body.observed_at <= body.recorded_at
        assert 0 <= note.phone < len(OFFICERS)


def test_no_worry_is_beyond_the_age_of_the_child(told: tuple[list[SyntheticChild], Story]) -> None:
    _, story = told
    too_small = {Category.KNIFE, Category.CCE, Category.BULLYING, Category.ONLINE_HARM, Category.YOUNG_CARER}
    ages = []
    for written in story.others:
        note = msgspec.convert(written.note, Note)
        born = note.subjects[0].date_of_birth
        if born is not None and note.category in too_small:
            ages.append((note.observed_at.date() - born).days // 365)
    assert ages and min(ages) >= 5  # a day of birth may be written wrong by a year


def test_only_the_note_of_the_child_in_danger_can_make_a_red_alert(
    told: tuple[list[SyntheticChild], Story],
) -> None:
    """So that exactly one alert climbs while the newcomer watches."""
    _, story = told
    pack = default_pack()
    for note in story.shift:
        body = msgspec.convert(note.note, Note)
        assert body.danger_now == (note == story.danger)
        assert max(pack.concerns[c.value][1].urgency for c in body.categories) < Grade.RED.urgency


def test_the_late_note_has_spent_its_clock_and_no_other_of_the_shift_has(
    told: tuple[list[SyntheticChild], Story],
) -> None:
    _, story = told
    pack = default_pack()
    hours_of = pack.clocks.presets[pack.preset_of(LAMBETH)].hours
    sync_at = noon(datetime.datetime.fromisoformat(story.third.note["recorded_at"]).date())
    spent = []
    for note in story.shift:
        body = msgspec.convert(note.note, Note)
        grade = max((pack.concerns[c.value][1] for c in body.categories), key=lambda g: g.urgency)
        allowed = hours_of(grade)
        if allowed is not None and (sync_at - body.observed_at) > datetime.timedelta(hours=allowed):
            spent.append(note)
    assert spent == [story.late]


def test_linkage_decides_on_the_story_as_it_is_told(told: tuple[list[SyntheticChild], Story]) -> None:
    registry, story = told
    decide = decider_over(registry)
    children = story.children
    for note, child in (
        (story.third, children.missing),
        (story.late, children.late),
        (story.danger, children.in_danger),
        (story.incident[0], children.bullied),
        (story.twin, children.twin),
    ):
        decision = decide(note.note["subjects"][0])
        assert (decision.outcome, decision.child_id) == ("link", child.child_id)
    assert decide(story.brother.note["subjects"][0]).outcome != "link"
    for note in story.stranger:
        assert decide(note.note["subjects"][0]).outcome == "new"
    typed = dict(zip(story.vague[::2], story.vague[1::2], strict=True))
    vague = decide(
        {
            "given_names": typed["--given-names"],
            "approximate_age": 13,
            "sex": "male",
            "school": typed["--school"],
        }
    )
    assert vague.outcome == "review"
    assert children.vague.child_id in [candidate.child_id for candidate in vague.candidates]


def decider_over(registry: list[SyntheticChild]) -> Callable[[dict[str, Any]], Decision]:
    index = MemoryIndex()
    records: list[Record] = []
    day = datetime.date.today()
    for child in registry:
        record = standardise(described(describe_fully(child), day))
        index.add(child.child_id, record)
        records.append(record)
    decider = Decider(default_model().with_term_frequencies(count_terms(records)))

    def decide(subject: dict[str, Any]) -> Decision:
        return decider.decide(standardise(described(subject, day)), index)

    return decide


def described(fields: dict[str, Any], day: datetime.date) -> Description:
    subject = msgspec.convert(fields, Subject)
    return Description(
        given_names=subject.given_names,
        family_name=subject.family_name,
        date_of_birth=subject.date_of_birth,
        age=subject.approximate_age,
        observed_on=day,
        sex=subject.sex,
        address=subject.address,
        postcode=subject.postcode,
        school=subject.school,
        guardian=subject.guardian,
    )


def test_the_same_seed_on_the_same_day_writes_the_same_notes() -> None:
    seed, day = DAYS[0]
    one, two = (write_story(registry_of(seed, day), seed, noon(day)) for _ in range(2))
    assert one == two


def test_a_registry_that_is_too_small_says_who_is_missing() -> None:
    with pytest.raises(NoSuchChild, match="needs more children"):
        choose(list(population(1, 3, DAYS[0][1])), 1, DAYS[0][1])


def test_the_drill_changes_how_soon_red_climbs_and_nothing_else() -> None:
    usual, drill = default_pack(), load_pack(drill_pack())
    assert drill.version != usual.version
    assert drill.rules == usual.rules and drill.clocks == usual.clocks and drill.concern == usual.concern
    assert drill.incidents == usual.incidents
    for grade in Grade:
        slow, fast = (escalations(grade, "merton", 0, 7_200_000, pack) for pack in (usual, drill))
        assert [step.role for step in slow] == [step.role for step in fast]
        factor = SPEED if grade is Grade.RED else 1
        assert [step.at for step in slow] == [step.at * factor for step in fast]
    assert [role for _, role in red_chain()][-1] == "force_duty_officer"


def test_the_outlines_load_and_know_the_middle_of_every_borough() -> None:
    areas = parse_geojson(outlines_geojson())
    lookup = Areas((area.code, area.name, area.wkb) for area in areas)
    assert len(lookup) == 32
    for code, borough in boroughs().items():
        assert lookup.borough_at(borough.latitude, borough.longitude) == code
    assert lookup.borough_at(50.0, 0.0) is None


def test_the_people_of_the_story_fit_the_policy_that_ships(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "demo")
    with folder.made_anew():
        store = stage.open_database(folder)
        try:
            stage.add_people(store, [*DESKS, *OFFICERS], "long-enough-for-all")
            codes = stage.make_codes(store, OFFICERS)
            found = counts.count(store)
        finally:
            store.close_now()
    assert len(set(codes)) == len(OFFICERS)
    assert found.notes == found.children == 0


def test_an_earlier_demo_is_cleared_away_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "demo")
    with folder.made_anew():
        (folder.data / "old").write_text("old")
    with folder.made_anew():
        assert not (folder.data / "old").exists()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoError, match="no demo has made"), Folder(other).made_anew():
        pass
    assert (other / "thesis.txt").read_text() == "years of work"


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "demo")
    with folder.made_anew():
        kept = folder.data / "in-use"
        kept.write_text("in use")
        with pytest.raises(DemoError, match="Another demo"), Folder(tmp_path / "demo").made_anew():
            pass
        assert kept.exists()


def test_a_step_that_was_not_reached_counts_as_one_that_failed() -> None:
    said = io.StringIO()
    report = Report(Console(file=said, width=100))
    first, *rest = Step
    for step in rest:
        report.check(step, True)
    assert not report.whole and report.missing == [first]
    report.check(first, True)
    assert report.whole


def test_a_step_that_failed_stays_failed() -> None:
    report = Report(Console(file=io.StringIO()))
    for step in Step:
        report.check(step, True)
    assert not report.check(Step.ONCE, False, "1 lost")
    assert not report.check(Step.ONCE, True)
    assert report.failed == [Step.ONCE] and not report.whole
