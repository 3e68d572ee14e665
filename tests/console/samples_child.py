"""A child's page, made up. See `samples`."""

import datetime

from server.console.views import GRADES, Choice
from server.console.views_child import (
    Amendment,
    ChildPage,
    Event,
    Fact,
    FlagEntry,
    FlagWords,
    GradePage,
    Identity,
    LinkWords,
    Look,
    Marker,
    NoteEntry,
    Person,
    Place,
    RecordEntry,
)
from server.console.words import DAY_MS
from tests.console.samples import NOW, ago
from tests.console.samples_evidence import explanation
from tests.console.samples_queue import rows


def link(**changes: object) -> LinkWords:
    """An automatic link with its explanation."""
    base: dict[str, object] = {
        "link_id": 88,
        "automatic": True,
        "author": "the system",
        "at": ago(hours=4, minutes=10),
        "probability": 0.99974,
        "explanation": explanation(),
        "can_undo": True,
    }
    return LinkWords(**(base | changes))  # type: ignore[arg-type]  # the mapping is the constructor's own


def latest_note() -> NoteEntry:
    """A note written with no signal, received hours later."""
    return NoteEntry(
        note_id="5b1e",
        observed_at=ago(hours=9, minutes=30),
        recorded_at=ago(hours=9, minutes=10),
        received_at=ago(hours=4, minutes=10),
        title="Missing",
        categories=("Child criminal exploitation",),
        author="PC Daniel Okafor, schools officer",
        place="Stockwell bus garage",
        facts="Amira was with two men who look about 25, in a grey VW Golf. "
        "She had a second phone and would not say whose it was.\n"
        "She said she had not been home since Sunday night.",
        voice="“They said I owe them now. I can't go back till it's sorted.”",
        assessment="I think she is being made to carry. She looked to the driver before every answer.",
        demeanour="Tired, would not sit down, kept checking the phone",
        child_seen="Seen, not alone",
        danger_now=False,
        action_taken="Offered a lift home, refused. Told the school's safeguarding lead by phone.",
        missing="Missing 38 hours, risk level high, not yet returned",
        described_as="Ameera Hassan, born 7 March 2011, Stockwell Park, SW4 6JH",
        advice=(("streetwise", "say what the child knows or did, and what worries you about it"),),
        link=link(),
        flags=(FlagWords(flag_id=12, label="third missing episode in 90 days", grade="red"),),
    )


def story() -> tuple[NoteEntry | FlagEntry | RecordEntry, ...]:
    """Three months of one child, newest first."""
    return (
        FlagEntry(
            flag_id=12,
            at=ago(hours=4, minutes=10),
            grade="red",
            title="Third missing episode in 90 days",
            reason="Three separate missing episodes since 11 December, told by two officers in two wards. "
            "One lasted over 24 hours.",
            rule="Repeat missing",
            notes=(
                ("note-5b1e", "today's note by PC Okafor"),
                ("note-41aa", "17 February, PCSO Lindqvist"),
                ("note-2c09", "9 January, PC Okafor"),
            ),
            proposal="Hold a strategy discussion.",
            events=(
                Event(at=ago(hours=4, minutes=10), text="Told the Lambeth queue"),
                Event(
                    at=ago(hours=3, minutes=55),
                    text="Nobody acknowledged in 15 minutes: told Sgt Whitfield, supervisor",
                    tone="late",
                ),
                Event(
                    at=ago(hours=3, minutes=40),
                    text="Nobody acknowledged in 30 minutes: told Insp Grant, duty inspector",
                    tone="late",
                ),
            ),
        ),
        latest_note(),
        NoteEntry(
            note_id="41aa",
            observed_at=ago(days=15, hours=1),
            recorded_at=ago(days=15, hours=1),
            received_at=ago(days=15, hours=1),
            title="Missing",
            author="PCSO Maja Lindqvist, ward officer",
            place="Larkhall Park",
            facts="Found at 01:20 on a bench with two older girls. Mother had reported her missing at 19:00.",
            voice="“I just didn't want to be there when he's there.”",
            child_seen="Seen alone",
            demeanour="Quiet, cold, polite",
            missing="Missing 6 hours, risk level medium, returned",
            action_taken="Taken home. Return home interview asked for.",
            link=link(link_id=71, probability=0.9991, automatic=True, at=ago(days=15), explanation=None),
            amendments=(
                Amendment(
                    at=ago(days=14),
                    author="PCSO Maja Lindqvist",
                    reason="left out",
                    text="“He” is mother's new partner, first name Carl.",
                ),
            ),
        ),
        RecordEntry(
            entry_id="r4",
            at=ago(days=15, minutes=20),
            title="Link confirmed by a person",
            author="DC Marcus Hale",
            detail="“Same school, and I know the family.”",
        ),
        NoteEntry(
            note_id="2c09",
            observed_at=ago(days=54),
            recorded_at=ago(days=54),
            received_at=ago(days=54),
            title="Missing",
            author="PC Daniel Okafor, schools officer",
            facts="Did not come to school and was not at home. Came back in the evening by herself.",
            child_seen="Not seen: she was back before I called",
            missing="Missing 11 hours, risk level medium, returned",
            link=link(
                link_id=60,
                automatic=False,
                author="DC Ruth Adeyemi",
                probability=0.82,
                at=ago(days=53),
                explanation=None,
            ),
        ),
        NoteEntry(
            note_id="1f77",
            observed_at=ago(days=80),
            recorded_at=ago(days=80),
            received_at=ago(days=80),
            title="Absence from school",
            author="PC Daniel Okafor, schools officer",
            facts="Absent six days in two weeks.",
            withdrawn="Withdrawn by its author: written about another pupil.",
            link=link(link_id=51, explanation=None, undone="Unlinked by DC Ruth Adeyemi: another child."),
        ),
    )


def child(**changes: object) -> ChildPage:
    """A child with a lot to show."""
    base: dict[str, object] = {
        "identity": Identity(
            child_id=7,
            name="Amira Hassan",
            age="13",
            date_of_birth=datetime.date(2011, 7, 3),
            sex="Female",
            also_known_as=("Ameera", "Mimi"),
            uncertain=(
                "date of birth is 3 July on the register and 7 March in one note",
                "two postcodes in 30 days",
            ),
            markers=(
                Marker(
                    label="At risk of exploitation",
                    tone="red",
                    reason="Two notes name older men",
                    author="DC Marcus Hale",
                    expires_at=NOW + 60 * DAY_MS,
                ),
                Marker(
                    label="Looked-after child",
                    tone="amber",
                    reason="Register",
                    author="Lambeth",
                    expires_at=NOW + 300 * DAY_MS,
                ),
            ),
            responsible_authority="Lambeth",
            owner="DC Marcus Hale",
        ),
        "live": rows()[:1],
        "live_reviews": ((5, "One more note may be about this child: review it"),),
        "story": story(),
        "facts": (
            Fact(label="Home", value="14 Larkhall Rise, SW9 8EX", source="Register"),
            Fact(label="Also at", value="SW4 6JH", source="Note, today", uncertain=True),
            Fact(label="School", value="Stockwell Park", source="Register and two notes"),
            Fact(label="Phone", value="07700 900123", source="Note, 17 February"),
            Fact(label="UPN", value="A801200001001", source="Register"),
        ),
        "people": (
            Person(name="Yasmin Hassan", relation="Mother", detail="07700 900456", source="Register"),
            Person(name="Bilal Hassan", relation="Brother", detail="16, same address", child_id=8),
            Person(name="“Carl”", relation="Mother's partner", source="Note, 17 February"),
        ),
        "places": (
            Place(name="Stockwell bus garage", relation="Found here", detail="Today"),
            Place(name="Larkhall Park", relation="Found here", detail="17 February, 01:20"),
        ),
        "looks": (
            Look(at=ago(minutes=50), person="DC Marcus Hale", role="Borough investigator"),
            Look(at=ago(hours=3), person="Insp Helen Grant", role="Duty inspector", reason="Escalated alert"),
        ),
        "looks_total": 9,
        "here": "/children/7",
    }
    return ChildPage(**(base | changes))  # type: ignore[arg-type]  # the mapping is the constructor's own


def grade(error: str | None = None) -> GradePage:
    """The form that gives an alert a grade."""
    choices = tuple(Choice(value=one, label=one.capitalize(), selected=one == "red") for one in GRADES)
    return GradePage(
        row=rows()[0], choices=choices, proposed="amber", least=10, wrong_field="rationale", error=error,
        notes=(latest_note(),), notes_total=12, events=9,
    )  # fmt: skip
