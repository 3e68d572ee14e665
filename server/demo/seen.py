"""What the server made of the story's notes, looked at through the doors that people's programs use."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape

from server.demo.cast import LAMBETH, SOUTHWARK, Json, Story, Written
from server.demo.desk import Desk
from server.demo.drill import SPEED, red_chain
from server.demo.population import SyntheticChild
from server.demo.processes import DemoError
from server.demo.steps import Report, Step

ESCALATION_SECONDS_SPARE = 20.0
"""Beyond the last step of the chain: the job looks every second, and the machine may be busy."""

LOOK_EVERY_SECONDS = 0.5
LATE_HOURS_EXPECTED = 3
"""Nine hours on a phone, of which an amber clock allows six."""

TOLD = {"supervisor": "the borough supervisor", "duty_inspector": "the duty inspector of the command unit",
        "force_duty_officer": "the force duty officer"}  # fmt: skip


class Seen:
    """The open alerts of both boroughs with their notes, as the force duty officer sees them after the sync."""

    def __init__(self, desk: Desk, story: Story, typed: str) -> None:
        self.desk = desk
        self.story = story
        self.typed = typed
        self._by_note: dict[str, Json] = {}
        for borough in (SOUTHWARK, LAMBETH):
            for alert in desk.alerts(borough):
                whole = desk.alert(alert["alert_id"])
                for note_id in whole["note_ids"]:
                    self._by_note[note_id] = whole["alert"]

    def alert_of(self, note: Written | str) -> Json:
        """The open alert that a note is behind. Raises DemoError: every note is somebody's duty."""
        note_id = note if isinstance(note, str) else note.note_id
        if note_id not in self._by_note:
            raise DemoError("A note of the story has no open alert in Southwark or Lambeth.")
        return self._by_note[note_id]

    def child_of(self, note: Written | str) -> Json:
        """The child that a note stands on, with flags."""
        return self.desk.child(self.alert_of(note)["child_id"])

    def notes_of(self, note: Written | str) -> list[Json]:
        """All notes on the timeline of that child."""
        found: list[Json] = self.desk.timeline(self.alert_of(note)["child_id"])["notes"]
        return found


def dealt_with(rivera: Desk, story: Story, report: Report) -> None:
    """The investigator acknowledges and closes what the first two episodes raised, as was done before."""
    wanted = {note.note_id for note in story.first}
    closed: set[str] = set()
    for alert in rivera.alerts():
        if not wanted & set(rivera.alert(alert["alert_id"])["note_ids"]):
            continue
        path = f"/api/alerts/{alert['alert_id']}"
        mine = rivera.post(f"{path}/acknowledge", {"from_rev": alert["rev"]})
        done = rivera.post(
            f"{path}/close",
            {"decision": "Returned home safe and well. No further action.", "from_rev": mine["rev"]},
        )
        if done["state"] == "closed":
            closed |= wanted & set(rivera.alert(alert["alert_id"])["note_ids"])
    report.check(Step.ONE_BY_ONE, closed == wanted, "each closed by itself: returned home, no further action")


def look(seen: Seen, rivera: Desk, report: Report) -> None:
    """Every single thing that the story promises of its notes."""
    story = seen.story
    _positions(seen, report)
    _linked(seen, report)
    _twin_and_brother(seen, report)
    _review(seen, rivera, report)
    _unknown(seen, report)
    _incident(seen, report)
    _repeat(seen, report)
    late = seen.alert_of(story.late)["late_by_seconds"] / 3600
    report.check(
        Step.LATE, LATE_HOURS_EXPECTED - 0.1 < late < LATE_HOURS_EXPECTED + 0.2, f"late by {late:.1f} hours"
    )


def _positions(seen: Seen, report: Report) -> None:
    """Where two notes were observed, which their phones gave as latitude and longitude only."""
    story = seen.story
    found = [
        shown["found_borough"]
        for note in (story.third.note_id, story.danger.note_id)
        for shown in seen.notes_of(note)
        if shown["note_id"] == note
    ]
    report.check(Step.AREAS, found == [SOUTHWARK, LAMBETH], "from latitude and longitude alone")


def _is(child: Json, expected: SyntheticChild) -> bool:
    return bool(child["child"]["registry_id"] == str(expected.child_id))


def _linked(seen: Seen, report: Report) -> None:
    story = seen.story
    pairs = (
        (story.third, story.children.missing), (story.late, story.children.late),
        (story.danger, story.children.in_danger),
    )  # fmt: skip
    right = [_is(seen.child_of(note), child) for note, child in pairs]
    link = _link(seen, story.third)
    automatic = link is not None and link["action"] == "link" and link["automatic"]
    surely = (
        f"{100 * link['probability']:.2f} % sure, linked automatically"
        if link and automatic
        else "not linked"
    )
    report.check(Step.LINKED, all(right) and automatic, surely)


def _link(seen: Seen, note: Written) -> Json | None:
    for shown in seen.notes_of(note):
        if shown["note_id"] == note.note_id:
            link: Json | None = shown["link"]
            return link
    return None


def _twin_and_brother(seen: Seen, report: Report) -> None:
    story, twin = seen.story, seen.story.children.twin
    other = sum(born == twin.date_of_birth for _, born in twin.siblings) - 1
    report.check(
        Step.TWIN,
        _is(seen.child_of(story.twin), twin),
        f"{other} other child of that household was born that day",
    )
    brother = seen.child_of(story.brother)["child"]
    apart = brother["registry_id"] is None and brother["standing"] in ("provisional", "awaiting_review")
    said = {"provisional": "a child not known yet", "awaiting_review": "left to a person"}
    report.check(
        Step.SIBLING, apart, f"same home, same day of birth: {said.get(brother['standing'], 'linked')}"
    )


def _review(seen: Seen, rivera: Desk, report: Report) -> None:
    child = seen.child_of(seen.typed)
    reviews = child["review_ids"]
    if child["child"]["standing"] != "awaiting_review" or not reviews:
        report.check(Step.REVIEW, False, f"the note's child is {child['child']['standing']}")
        return
    review = rivera.get(f"/api/reviews/{reviews[0]}")
    offered = {one["registry_id"] for one in review["known"]}
    right = str(seen.story.children.vague.child_id) in offered
    report.check(
        Step.REVIEW,
        right and review["note"]["note_id"] == seen.typed,
        f'"boy about 13, first name {seen.story.children.vague.called}": {len(offered)} to choose from',
    )


def _unknown(seen: Seen, report: Report) -> None:
    notes = seen.story.stranger
    children = {seen.alert_of(note)["child_id"] for note in notes}
    child = seen.child_of(notes[0])["child"]
    found = {shown["note_id"] for shown in seen.notes_of(notes[0])}
    one = len(children) == 1 and found == {note.note_id for note in notes}
    new = child["registry_id"] is None and child["standing"] == "provisional"
    report.check(Step.UNKNOWN, one and new, f"{len(children)} record with {len(found)} notes")


def _incident(seen: Seen, report: Report) -> None:
    notes = seen.story.incident
    wanted = {note.note_id for note in notes}
    child = seen.child_of(notes[0])
    together = [flag for flag in child["flags"] if wanted <= set(flag["note_ids"])]
    counted = [flag for flag in child["flags"] if flag["rule"] in ("notes_repeat", "sources_several")]
    report.check(
        Step.INCIDENT,
        len(together) == 1 and not counted and _is(child, seen.story.children.bullied),
        "one concern with two notes, not two concerns",
    )


def _repeat(seen: Seen, report: Report) -> None:
    story = seen.story
    wanted = {note.note_id for note in (*story.first, story.third)}
    flags = [flag for flag in seen.child_of(story.third)["flags"] if flag["rule"] == "missing_repeat"]
    alert = seen.alert_of(story.third)
    sentence = flags[0]["sentence"] if flags else "no flag"
    whole = len(flags) == 1 and set(flags[0]["note_ids"]) == wanted
    said = (
        sentence.startswith("Third missing episode")
        and "two officers" in sentence
        and "two wards" in sentence
    )
    owned = alert["borough"] == SOUTHWARK and alert["grade"] == "amber" and alert["state"] == "open"
    report.check(Step.REPEAT, whole and said and owned, sentence)


def acknowledge(seen: Seen, rivera: Desk, report: Report) -> None:
    """The investigator answers the third missing episode."""
    alert = seen.alert_of(seen.story.third)
    answered = rivera.post(f"/api/alerts/{alert['alert_id']}/acknowledge", {"from_rev": alert["rev"]})
    kinds = [step["kind"] for step in rivera.alert(alert["alert_id"])["steps"]]
    report.check(
        Step.ACKNOWLEDGED,
        answered["acknowledged_by"] == rivera.username and answered["owner"] == rivera.username
        and kinds[-1] == "acknowledged",
        f"by {rivera.username}, whose it is from now on",
    )  # fmt: skip


def watch_escalation(seen: Seen, report: Report, out: Console) -> None:
    """Nobody answers danger now: say each level as it is told, until the last."""
    out.print(
        "  Nobody answers a note that says danger now. In this demo, and only here, the clock of escalation runs "
        f"[bold]{SPEED} times as fast[/bold].",
        soft_wrap=True,
    )
    chain = red_chain()
    deadline = time.monotonic() + chain[-1][0] / SPEED * 60 + ESCALATION_SECONDS_SPARE
    alert = seen.alert_of(seen.story.danger)
    told: list[Json] = []
    while True:
        steps: list[Json] = seen.desk.alert(alert["alert_id"])["steps"]
        climbed = [step for step in steps if step["kind"] == "escalated"]
        for _, (minutes, role) in zip(climbed[len(told) :], chain[len(told) :], strict=False):
            out.print(f"    after {minutes:g} minutes of the drill: told {escape(TOLD.get(role, role))}")
        told = climbed
        if len(told) >= len(chain) or time.monotonic() > deadline:
            break
        time.sleep(LOOK_EVERY_SECONDS)
    roles: list[Any] = [step["told"] for step in told]
    red = alert["grade"] == "red" and alert["borough"] == LAMBETH
    report.check(
        Step.ESCALATED, roles == [role for _, role in chain] and red, f"{len(told)} levels were told"
    )
