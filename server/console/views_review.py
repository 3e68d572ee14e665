"""The shapes of the review: a subject beside the children it might be. See `views` for the rules."""

from server.console.views import Grade, View
from server.console.views_child import Explanation, FlagWords, NoteEntry

CANDIDATES_MAX = 5
"""More than five cannot be compared side by side, and one key each would run out."""


class ReviewRow(View, frozen=True, kw_only=True):
    """One waiting review in the list. Nothing personal beyond first name and age."""

    review_id: int
    asked_at: int
    subject: str
    why: str
    candidates: int
    best: float
    grade: Grade | None = None


class ReviewListPage(View, frozen=True, kw_only=True):
    """Doubtful links that wait for a person, most pressing first."""

    heading: str
    rows: tuple[ReviewRow, ...]
    decided_today: int = 0


class SubjectColumn(View, frozen=True, kw_only=True):
    """The subject as the officer described it, with the words of the note around it."""

    name: str
    fields: tuple[tuple[str, str | None], ...]
    """(label, value) in the same order and number as every candidate's fields."""
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


class ReviewPage(View, frozen=True, kw_only=True):
    """One doubtful link. `rev` guards against two people deciding at once."""

    review_id: int
    rev: int
    asked_at: int
    why: str
    subject: SubjectColumn
    candidates: tuple[CandidateColumn, ...]
    new_probability: float
    waiting: int = 0
    """How many reviews wait after this one."""
    decided: str | None = None
    """What was decided, by whom; the page is then for reading and undoing."""
    can_undo: bool = False
    next_href: str | None = None
