"""The shapes of the page that asks whether two records are one child. See `views` for the rules."""

from server.console.views import View
from server.console.views_child import FieldComparison


class OtherColumn(View, frozen=True, kw_only=True):
    """Another record beside this one. `probability` is None where they were too unlike to be weighed."""

    child_id: int
    name: str
    age: str | None = None
    fields: tuple[FieldComparison, ...]
    """`described` is this record's value, `known` the other's."""
    probability: float | None = None
    household: str | None = None
    notes: int = 0
    apart: str | None = None
    """Set when somebody has said "not the same child": who and when."""


class SamePage(View, frozen=True, kw_only=True):
    """A child's record beside those that may be the same child."""

    child_id: int
    name: str
    fields: tuple[tuple[str, str | None], ...]
    """(label, value) in the same order and number as every other column's."""
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
