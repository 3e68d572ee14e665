"""Reviews and pairs, made up. See `samples`."""

from server.console.views import (
    ShareWords,
)
from server.console.views_child import (
    FlagWords,
    NoteEntry,
)
from server.console.views_review import (
    CandidateColumn,
    ReviewListPage,
    ReviewPage,
    ReviewRow,
    SubjectColumn,
)
from server.console.views_same import OtherColumn, PairListPage, PairPage, PairRow, SamePage, ThisColumn
from server.console.words import HOUR_MS
from tests.console.samples import NOW, ago
from tests.console.samples_evidence import explanation, poor


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
