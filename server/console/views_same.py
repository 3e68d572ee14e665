"""The shapes of the pages that ask whether two records are one child. See `views` for the rules."""

from server.console.views import Grade, View
from server.console.views_child import Explanation, FieldComparison, FlagWords
from server.console.views_review import Question


class ThisColumn(View, frozen=True, kw_only=True):
    """A record that others stand beside."""

    child_id: int
    name: str
    age: str | None = None
    fields: tuple[tuple[str, str | None, str | None], ...]
    """(label, value, what linkage reads there where that differs) in the order and number of every other column's."""
    notes: int = 0
    flags: tuple[FlagWords, ...] = ()


class OtherColumn(View, frozen=True, kw_only=True):
    """Another record beside it. `explanation` is None where they were too unlike to be weighed."""

    child_id: int
    name: str
    age: str | None = None
    fields: tuple[FieldComparison, ...]
    """`described` is the first record's value, `known` this one's."""
    explanation: Explanation | None = None
    notes: int = 0
    flags: tuple[FlagWords, ...] = ()
    apart: str | None = None
    """Set when somebody has said "not the same child": who and when."""


class SamePage(View, frozen=True, kw_only=True):
    """A child's record beside those that may be the same child."""

    one: ThisColumn
    others: tuple[OtherColumn, ...]
    asked: int | None = None
    """The number that somebody typed, where one pair is shown."""
    elsewhere: int = 0
    provisional: bool = False
    access_reason: str = ""
    reason: str = ""
    error: str | None = None
    trouble: str | None = None
    """Why what was asked for cannot be."""


class PairRow(View, frozen=True, kw_only=True):
    """A proposal in the list: first names and ages, and why it is asked."""

    proposal_id: int
    child_ids: tuple[int, int]
    one: str
    other: str
    why: str
    asked_at: int
    probability: float | None
    danger: bool = False
    grade: Grade | None = None


class PairListPage(View, frozen=True, kw_only=True):
    """Proposals that wait, most at stake first. `capped`: there are more than are shown."""

    heading: str
    rows: tuple[PairRow, ...]
    capped: bool = False


class PairPage(Question, frozen=True, kw_only=True):
    """One proposal, side by side."""

    proposal_id: int
    asked_at: int
    author: str
    """Who asks, up to the time: "Proposed by linkage"."""
    why: str
    danger: bool = False
    grade: Grade | None = None
    one: ThisColumn
    other: OtherColumn
    access_reason: str = ""
