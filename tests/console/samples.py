"""Made-up people and notes, as views: what the template tests render and the browser looks at."""

import datetime

import msgspec

from server.console.views import (
    GRADES,
    Choice,
    ClosePage,
    ErrorPage,
    GradePage,
    HandOverPage,
    HomePage,
    NavItem,
    Notice,
    PasswordPage,
    QueueFilters,
    QueuePage,
    QueueRow,
    RestrictedPage,
    ShareWords,
    Shell,
    SignInPage,
)
from server.console.views_child import (
    Amendment,
    ChildPage,
    Event,
    Explanation,
    Fact,
    FieldComparison,
    FlagEntry,
    FlagWords,
    Identity,
    LinkWords,
    Look,
    Marker,
    NoteEntry,
    Person,
    Place,
    RecordEntry,
)
from server.console.views_review import (
    CandidateColumn,
    ReviewListPage,
    ReviewPage,
    ReviewRow,
    SubjectColumn,
)
from server.console.views_same import OtherColumn, PairListPage, PairPage, PairRow, SamePage, ThisColumn
from server.console.views_search import Agreeing, SearchForm, SearchPage, SearchRow
from server.console.views_telling import (
    ChannelRow,
    GradeChoice,
    Option,
    TellingPage,
    UndeliveredPage,
    UndeliveredRow,
)
from server.console.words import DAY_MS, HOUR_MS, MINUTE_MS
from server.linkage.explain import Step

NOW = int(datetime.datetime(2025, 3, 4, 14, 5, 9, tzinfo=datetime.UTC).timestamp() * 1000)


def ago(*, days: float = 0, hours: float = 0, minutes: float = 0) -> int:
    """An instant before NOW."""
    return NOW - int(days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS)


def shell(current: str = "Alerts", notice: Notice | None = None) -> Shell:
    """The frame for a signed-in investigator."""
    return Shell(
        now=NOW,
        csrf_token="a-token",
        person="DC Ruth Adeyemi",
        role="Borough investigator",
        nav=(
            NavItem(label="Alerts", href="/alerts", current=current == "Alerts", count=7),
            NavItem(label="Reviews", href="/reviews", current=current == "Reviews", count=3),
            NavItem(label="Pairs", href="/pairs", current=current == "Pairs", count=100, or_more=True),
            NavItem(label="Search", href="/search", current=current == "Search"),
        ),
        notice=notice,
    )


def stranger() -> Shell:
    """The frame before sign-in."""
    return Shell(now=NOW, csrf_token="a-token")


def rows() -> tuple[QueueRow, ...]:
    """A queue as an investigator meets it in the afternoon."""
    return (
        QueueRow(
            alert_id=41,
            grade="red",
            raised_at=ago(hours=4, minutes=10),
            deadline_at=ago(hours=2, minutes=10),
            why="Third missing episode in 90 days; two officers, two wards",
            child_id=7,
            child_name="Amira",
            child_age="14",
            state_words="Not acknowledged",
            waits_for="the BCU duty inspector",
            waits_until=NOW + 600_000,
            escalated=True,
            can_acknowledge=True,
            can_hand_over=True,
        ),
        QueueRow(
            alert_id=44,
            grade="red",
            raised_at=ago(minutes=83),
            deadline_at=NOW + 37 * MINUTE_MS,
            why="Danger now: boy met an adult in a car behind the leisure centre",
            child_id=19,
            child_name="Name not known",
            child_age="about 13",
            owner="DC Ruth Adeyemi",
            owner_is_me=True,
            can_acknowledge=True,
            can_hand_over=True,
        ),
        QueueRow(
            alert_id=39,
            grade="amber",
            raised_at=ago(hours=5),
            deadline_at=NOW + 60 * MINUTE_MS,
            late_on_arrival_ms=9 * HOUR_MS,
            why="Missing with signs of exploitation: new phone, unexplained money",
            child_id=23,
            child_name="Tyrell",
            child_age="15",
            place="Coldharbour ward",
            can_acknowledge=True,
        ),
        QueueRow(
            alert_id=37,
            grade="amber",
            raised_at=ago(hours=3),
            deadline_at=NOW + 3 * HOUR_MS,
            why="Three notes in 90 days, all about neglect, from two schools",
            child_id=31,
            child_name="Oluwaseun",
            child_age="8",
            owner="DC Marcus Hale",
            state="acknowledged",
            state_words="Acknowledged",
            acknowledged_at=ago(minutes=50),
            can_hand_over=True,
        ),
        QueueRow(
            alert_id=36,
            grade="green",
            raised_at=ago(hours=8),
            deadline_at=NOW + 16 * HOUR_MS,
            why="Two sources in 30 days about domestic abuse in the household",
            child_id=32,
            child_name="Zofia",
            child_age="5",
            state="transfer",
            state_words="Offered to Southwark, waiting for an answer",
            owner="DC Ruth Adeyemi",
            owner_is_me=True,
        ),
        QueueRow(
            alert_id=30,
            grade="blue",
            raised_at=ago(days=1, hours=2),
            deadline_at=None,
            why="Absence from school recorded; no other sign",
            child_id=35,
            child_name="Kai",
            child_age="11",
            owner="DC Marcus Hale",
            state="acknowledged",
            state_words="Acknowledged",
            acknowledged_at=ago(days=1),
            is_copy=True,
        ),
    )


def filters(narrowed: str | None = None) -> QueueFilters:
    """Filters as they stand when nothing, or something, is filtered away."""
    return QueueFilters(
        view="open",
        views=(
            Choice(value="open", label="Open", selected=True, href="/alerts", count=7),
            Choice(value="mine", label="Mine", href="/alerts?view=mine", count=2),
            Choice(value="nobody", label="Nobody's", href="/alerts?view=nobody", count=2),
            Choice(value="acknowledged", label="Acknowledged", href="/alerts?view=acknowledged", count=2),
            Choice(value="closed", label="Closed", href="/alerts?view=closed"),
        ),
        grades=(
            Choice(value="red", label="Red", selected=narrowed is not None),
            Choice(value="amber", label="Amber"),
            Choice(value="green", label="Green"),
            Choice(value="blue", label="Blue"),
        ),
        owners=(
            Choice(value="", label="Anyone", selected=True),
            Choice(value="me", label="Me"),
            Choice(value="nobody", label="Nobody"),
        ),
        narrowed=narrowed,
    )


def queue(*, empty: bool = False, narrowed: str | None = None) -> QueuePage:
    """The queue, full or empty."""
    return QueuePage(
        heading="Alerts in Lambeth",
        rows=() if empty else rows(),
        filters=filters(narrowed),
        grade_counts=() if empty else (("red", 2), ("amber", 2), ("green", 1), ("blue", 1)),
        late=0 if empty else 1,
        last_note_at=ago(minutes=12),
        last_event_id="118",
    )


def summed(why: Explanation, start: float = -14.3) -> Explanation:
    """The same with the steps of its waterfall, as linkage would add its fields up."""
    total, steps = start, [_step("start", "Before comparing", "one child out of all", "", start, start)]
    for field in why.fields:
        total += field.weight
        said = field.remark or field.verdict
        steps.append(_step(field.label, field.label, said, field.verdict, field.weight, total))
    if why.household_weight:
        total += why.household_weight
        steps.append(_step("household", "Same home", why.household or "", "", why.household_weight, total))
    steps.append(_step("total", "Taken together", "61 in 100", "", total, total))
    return msgspec.structs.replace(why, steps=tuple(steps), total_weight=total)


def _step(comparison: str, title: str, label: str, outcome: str, weight: float, total: float) -> Step:
    return Step(comparison=comparison, title=title, label=label, outcome=outcome, weight=weight, total=total)


def explanation(kind: str = "link") -> Explanation:
    """Why: a confident link, or a doubtful one that a household explains."""
    return summed(_explanation(kind))


def _explanation(kind: str) -> Explanation:
    if kind == "link":
        return Explanation(
            probability=0.99974,
            fields=(
                FieldComparison(
                    label="Given name",
                    described="Ameera",
                    known="Amira",
                    verdict="near",
                    weight=5.4,
                    remark="sounds the same",
                ),
                FieldComparison(
                    label="Family name",
                    described="Hassan",
                    known="Hassan",
                    verdict="agree",
                    weight=6.1,
                    remark="a common name here",
                ),
                FieldComparison(
                    label="Date of birth",
                    described="7 March 2011",
                    known="3 July 2011",
                    verdict="near",
                    weight=8.8,
                    remark="day and month swapped",
                ),
                FieldComparison(label="Sex", described="Female", known="Female", verdict="agree", weight=1.0),
                FieldComparison(label="Address", described=None, known="14 Larkhall Rise", verdict="missing"),
                FieldComparison(
                    label="Postcode",
                    described="SW4 6JH",
                    known="SW9 8EX",
                    verdict="differ",
                    weight=-1.9,
                    remark="people move",
                ),
                FieldComparison(
                    label="School",
                    described="Stockwell Park",
                    known="Stockwell Park",
                    verdict="agree",
                    weight=6.8,
                ),
                FieldComparison(label="Phone", described=None, known="07700 900123", verdict="missing"),
            ),
            total_weight=11.9,
            model_version="hand-set 1",
        )
    return Explanation(
        probability=0.61,
        fields=(
            FieldComparison(
                label="Given name",
                described="Jay",
                known="Jayden",
                verdict="near",
                weight=3.9,
                remark="a short form",
                rarity="a common name: counts less (\u22121.2)",
                known_read="Jay",
            ),
            FieldComparison(
                label="Family name", described="Okafor", known="Okafor", verdict="agree", weight=7.2
            ),
            FieldComparison(label="Date of birth", described=None, known="19 May 2011", verdict="missing"),
            FieldComparison(label="Age", described="about 13", known="13", verdict="agree", weight=2.7),
            FieldComparison(label="Sex", described="Male", known="Male", verdict="agree", weight=1.0),
            FieldComparison(
                label="Address",
                described="Flat 9, Rye Hill Estate",
                known="9 Rye Hill Estate",
                verdict="near",
                weight=6.3,
                remark="same number and street",
            ),
            FieldComparison(
                label="School",
                described="Harris Peckham",
                known="St Thomas the Apostle",
                verdict="differ",
                weight=-3.2,
            ),
        ),
        total_weight=3.6,
        household="Same address and surname: could be a brother.",
        rules=(
            "The given name is only near while a household explains the rest: never linked automatically.",
        ),
        model_version="hand-set 1",
    )


def poor(position: int) -> Explanation:
    """A weak candidate."""
    return summed(_poor(position))


def _poor(position: int) -> Explanation:
    names = {2: ("Joshua", "differ", -4.1), 3: ("Jamal", "differ", -3.8)}
    known, _, weight = names[position]
    return Explanation(
        probability=0.27 if position == 2 else 0.02,
        fields=(
            FieldComparison(
                label="Given name", described="Jay", known=known, verdict="differ", weight=weight
            ),
            FieldComparison(
                label="Family name",
                described="Okafor",
                known="Okafor" if position == 2 else "Okafor-Mensah",
                verdict="agree" if position == 2 else "near",
                weight=7.2 if position == 2 else 4.0,
                remark=None if position == 2 else "half of a double name",
            ),
            FieldComparison(
                label="Date of birth",
                described=None,
                known="2 August 2009" if position == 2 else None,
                verdict="missing",
            ),
            FieldComparison(
                label="Age",
                described="about 13",
                known="15" if position == 2 else "about 14",
                verdict="near",
                weight=0.4,
                remark="two years apart" if position == 2 else None,
            ),
            FieldComparison(label="Sex", described="Male", known="Male", verdict="agree", weight=1.0),
            FieldComparison(
                label="Address",
                described="Flat 9, Rye Hill Estate",
                known="9 Rye Hill Estate" if position == 2 else None,
                verdict="near" if position == 2 else "missing",
                weight=6.3 if position == 2 else 0.0,
            ),
            FieldComparison(
                label="School",
                described="Harris Peckham",
                known="Harris Peckham" if position == 2 else "Ark Walworth",
                verdict="agree" if position == 2 else "differ",
                weight=5.9 if position == 2 else -3.2,
            ),
        ),
        total_weight=2.4 if position == 2 else -15.9,
        household="Same address and surname: could be a brother." if position == 2 else None,
        model_version="hand-set 1",
    )


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


def same(**changes: object) -> SamePage:
    """A child beside two records that may be the same."""
    base: dict[str, object] = {
        "one": this_record(),
        "others": (
            other_record(),
            OtherColumn(
                child_id=202, name="Joshua Okafor", age="15", fields=explanation("doubt").fields, notes=0,
                apart="DC Marcus Hale said: not the same child, yesterday.",
            ),
        ),
        "elsewhere": 1,
        "provisional": True,
    }  # fmt: skip
    return SamePage(**(base | changes))  # type: ignore[arg-type]  # the mapping is the constructor's own


def this_record() -> ThisColumn:
    """A record that others stand beside."""
    fields = explanation("doubt").fields
    return ThisColumn(
        child_id=7, name="Jay Okafor", age="13", notes=1,
        fields=tuple((field.label, field.described, None) for field in fields),
    )  # fmt: skip


def other_record() -> OtherColumn:
    """A record that may be the same child."""
    why = explanation("doubt")
    return OtherColumn(
        child_id=201, name="Jayden Okafor", age="13", fields=why.fields, explanation=why, notes=2
    )


def pair(**changes: object) -> PairPage:
    """A proposal that waits."""
    base: dict[str, object] = {
        "proposal_id": 3, "asked_at": ago(days=2), "author": "Proposed by linkage",
        "why": "Given name near, date of birth agrees: it could be a brother or a sister.",
        "danger": True, "grade": "red", "one": this_record(), "other": other_record(),
        "waiting": 4, "next_href": "/pairs/4", "previous_href": "/pairs/2",
    }  # fmt: skip
    return PairPage(**(base | changes))  # type: ignore[arg-type]  # the mapping is the constructor's own


def pairs(rows: int = 2) -> PairListPage:
    """Proposals that wait: one with a flag, and a restricted one without."""
    grave = PairRow(
        proposal_id=3, child_ids=(7, 201), one="Jay, 13", other="Jayden, 13", why="Date of birth agrees.",
        asked_at=ago(days=2), probability=0.93, danger=True, grade="red",
    )  # fmt: skip
    closed = PairRow(
        proposal_id=4, child_ids=(8, 9), one="Restricted record", other="Mei, 9",
        why="Opening it asks for a reason.", asked_at=ago(hours=3), probability=None,
    )  # fmt: skip
    return PairListPage(heading="May be one child, Lambeth", rows=(grave, closed)[:rows], capped=rows == 2)


def review(**changes: object) -> ReviewPage:
    """A doubtful link: a boy, his brother, and a third."""
    fields = explanation("doubt").fields
    note = NoteEntry(
        note_id="77ab",
        observed_at=ago(hours=2),
        recorded_at=ago(hours=2),
        received_at=ago(hours=1, minutes=58),
        title="Child criminal exploitation",
        author="PC Sarah Lim, ward officer",
        place="Peckham bus station",
        facts="A boy who gave his name as Jay Okafor had a rucksack with about 40 small bags of cannabis.",
        voice="“It's not mine, I'm holding it.”",
        child_seen="Seen alone",
    )
    base: dict[str, object] = {
        "review_id": 5,
        "rev": 1,
        "asked_at": ago(hours=1, minutes=58),
        "why": "Two brothers at one address both fit, and the note gives only a short form of the name.",
        "subject": SubjectColumn(
            name="Jay Okafor, about 13",
            fields=tuple((field.label, field.described, field.described_read) for field in fields),
            unused=(("Description", "Red jacket, thin moustache"),),
            note=note,
        ),
        "candidates": (
            CandidateColumn(
                child_id=201,
                position=1,
                name="Jayden Okafor",
                age="13",
                explanation=explanation("doubt"),
                notes=2,
                flags=(FlagWords(flag_id=3, label="flag", grade="amber"),),
            ),
            CandidateColumn(
                child_id=202, position=2, name="Joshua Okafor", age="15", explanation=poor(2), notes=0
            ),
            CandidateColumn(
                child_id=209,
                position=3,
                name="Jamal Okafor-Mensah",
                age="about 14",
                explanation=poor(3),
                notes=1,
            ),
        ),
        "new_probability": 0.10,
        "waiting": 2,
    }
    return ReviewPage(**(base | changes))  # type: ignore[arg-type]  # the mapping is the constructor's own


def reviews() -> ReviewListPage:
    """The list of doubtful links."""
    return ReviewListPage(
        heading="Links in doubt, Lambeth",
        decided_today=4,
        share=ShareWords(identifiable=1240, left=112, share=112 / 1240, most=0.15, too_much=False, days=30),
        overdue=2,
        overdue_since=ago(days=2),
        rows=(
            ReviewRow(
                review_id=5,
                asked_at=ago(hours=2),
                subject="Jay, about 13",
                why="Two brothers at one address both fit.",
                candidates=3,
                stake="seen 2 hours ago",
                danger=True,
                grade="amber",
                raised_at=ago(hours=2),
                deadline_at=NOW + 4 * HOUR_MS,
            ),
            ReviewRow(
                review_id=6,
                asked_at=ago(hours=3),
                subject="Mia, 9",
                why="The date of birth differs and the school agrees.",
                candidates=2,
                stake="seen 3 hours ago",
            ),
        ),
    )


def hand_over(error: str | None = None) -> HandOverPage:
    """The form that gives an alert away."""
    return HandOverPage(
        row=rows()[1],
        recipients=(
            Choice(value="p:3", label="DC Marcus Hale"),
            Choice(value="b:E09000028", label="Southwark"),
        ),
        error=error,
    )


def home() -> HomePage:
    """An administrator's plain home."""
    return HomePage(
        role="Administrator",
        links=(NavItem(label="API documentation", href="/schema"),),
        commands=(
            ("earlysign devices list", "Which phones there are, and what they owe"),
            ("earlysign audit verify", "Checks that nobody changed the log"),
        ),
    )


def error() -> ErrorPage:
    """A page that is not there."""
    return ErrorPage(
        status=404,
        heading="This page is not here",
        what="There is no such record, or it is not in your boroughs.",
        todo="Check the address. If a colleague sent it, ask them which borough it belongs to.",
        reference="7f3a9c",
    )


def sign_in(error: str | None = None) -> SignInPage:
    """The sign-in form."""
    return SignInPage(username="ruth.adeyemi" if error else "", error=error)


def close(error: str | None = None) -> ClosePage:
    """The form that ends an alert."""
    return ClosePage(row=rows()[3], least=10, error=error)


def grade(error: str | None = None) -> GradePage:
    """The form that gives an alert a grade."""
    choices = tuple(Choice(value=one, label=one.capitalize(), selected=one == "red") for one in GRADES)
    return GradePage(
        row=rows()[0], choices=choices, proposed="amber", least=10, wrong_field="rationale", error=error
    )


def password(field: str | None = None, error: str | None = None) -> PasswordPage:
    """The form for one's own password."""
    return PasswordPage(least=12, wrong_field=field, error=error)


def restricted(error: str | None = None) -> RestrictedPage:
    """The question before a restricted record."""
    return RestrictedPage(least=8, error=error, action="/children/7")


def search() -> SearchPage:
    """A search that fits too many, with a record of each kind."""
    return SearchPage(
        form=SearchForm(text="jay about 13 peckham", family_name="Thompson"),
        searched=True,
        told_back=(("name, school or street", "jay peckham"), ("age", "about 13")),
        rows=(
            SearchRow(
                child_id=12,
                name="Jayden Thompson",
                born="4 March 2013 (13)",
                school="Harris Academy Peckham",
                borough="Southwark",
                standing=None,
                restricted=False,
                probability=0.87,
                grades=("red", "amber"),
                agreeing=(
                    Agreeing(field="Given names", verdict="agree", words="a short form of the same name"),
                    Agreeing(field="Date of birth", verdict="near", words="the age fits"),
                    Agreeing(field="School", verdict="differ", words="different"),
                ),
            ),
            SearchRow(
                child_id=13,
                name="“Jay”",
                born="",
                school=None,
                borough=None,
                standing="Known from a note only",
                restricted=True,
                probability=None,
                grades=(),
                agreeing=(),
            ),
        ),
        more=3,
        fitting=1250,
        alerted_only=True,
        place="Lambeth",
        ask=("Camden",),
        asks_reason=True,
        may_give_reason=True,
        incomplete=True,
    )


def telling(wrong_field: str | None = None, error: str | None = None) -> TellingPage:
    options = (Option(value="digest", label="Once a day, all in one message", chosen=True),)
    return TellingPage(
        address="ines.rivera@force.example", mail_open=True, mail_permitted=True, push_permitted=True,
        vapid_public="B" * 87, browsers=1, grades=(GradeChoice(grade="green", options=options),),
        digest_at="08:00", quiet_from="22:00", quiet_until="07:00",
        deputies=(Option(value="4", label="Sam Khan, Borough investigator"),),
        wrong_field=wrong_field, error=error,
    )  # fmt: skip


def undelivered() -> UndeliveredPage:
    channel = ChannelRow(
        name="E-mail", channel="mail", is_well=False, state="Failing: no connection.", waiting=2, dead=1,
        arrived_at=NOW - 60_000,
    )  # fmt: skip
    row = UndeliveredRow(
        delivery_id=5, alert_id=17, grade="red", what="A new alert, Lambeth", where="E-mail", whom="Ines Rivera",
        at=NOW - 3_600_000, attempts=12, why="No connection.", advice="Check the mail server.",
    )  # fmt: skip
    return UndeliveredPage(channels=(channel,), rows=(row,))
