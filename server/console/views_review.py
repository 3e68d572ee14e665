"""The shapes of the review: a subject beside the children it might be. See `views` for the rules."""

from server.console.views import Grade, ShareWords, View
from server.console.views_child import Explanation, FlagWords, NoteEntry

CANDIDATES_MAX = 5
"""More than five cannot be compared side by side, and one key each would run out."""


class ReviewRow(View, frozen=True, kw_only=True):
    """One waiting review in the list. Nothing personal beyond first name and age.

    `stake`: how old the note is, which orders reviews of one grade. The clock is that of the alert which runs
    meanwhile, where there is one.
    """

    review_id: int
    asked_at: int
    subject: str
    stake: str
    why: str
    candidates: int
    danger: bool = False
    grade: Grade | None = None
    raised_at: int | None = None
    deadline_at: int | None = None
    acknowledged_at: int | None = None


class ReviewListPage(View, frozen=True, kw_only=True):
    """Doubtful links that wait for a person, most pressing first."""

    heading: str
    rows: tuple[ReviewRow, ...]
    decided_today: int = 0
    share: ShareWords | None = None
    """Shown to those who supervise or run the server."""
    overdue: int | None = None
    """Reviews that have waited longer than their grade allows; None for those who do not supervise."""
    overdue_since: int | None = None


class SubjectColumn(View, frozen=True, kw_only=True):
    """The subject as the officer described it, with the words of the note around it."""

    name: str
    fields: tuple[tuple[str, str | None, str | None], ...]
    """(label, value, what linkage reads there where that differs) in the same order and number as every
    candidate's fields."""
    unused: tuple[tuple[str, str], ...] = ()
    """(label, value) of what the officer wrote of the child that linkage does not compare."""
    note: NoteEntry


class CandidateColumn(View, frozen=True, kw_only=True):
    """One known child who might be the subject."""

    child_id: int
    position: int
    """1 to 5: the key that selects it."""
    name: str
    age: str | None = None
    explanation: Explanation
    notes: int = 0
    flags: tuple[FlagWords, ...] = ()
    ruled_out: str | None = None
    """Set when somebody has said "not the same child": who and when."""
    closed: bool = False
    """Restricted to others: nothing is told of how it compares, and it cannot be chosen here."""


class Question(View, frozen=True, kw_only=True):
    """What every page shares that puts one question of a queue before a person."""

    waiting: int = 0
    """How many others wait."""
    decided: str | None = None
    """What was decided, by whom; the page is then for reading and undoing."""
    can_undo: bool = False
    next_href: str | None = None
    previous_href: str | None = None


class ReviewPage(Question, frozen=True, kw_only=True):
    """One doubtful link. `rev` guards against two people deciding at once."""

    review_id: int
    rev: int
    asked_at: int
    why: str
    """The first sentence: which rule, doubt or rival left it to a person."""
    reason: str | None = None
    """What agrees and what differs with the best candidate, in a sentence."""
    stake: str = ""
    danger: bool = False
    grade: Grade | None = None
    weighed: str | None = None
    """By which model, when, and against how many: "Weighed today 15:29 by model default-1, against 37 children"."""
    subject: SubjectColumn
    candidates: tuple[CandidateColumn, ...]
    new_probability: float | None
