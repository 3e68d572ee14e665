"""What an export may not do to a city's children unless somebody says that it is right.

A broken export looks like news: children who left, facts that nobody knows any more. Such a file is refused while
nothing has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from server.importing.check import REJECTED, Checked
from server.linkage.csv_rows import NOT_UTF8, TableError

REJECTED_SHARE_MAX, REJECTED_ROWS_MAX = 0.05, 100
"""More bad rows than both: the export is broken, and importing the rest would hide it."""

GONE_SHARE_MAX, GONE_CHILDREN_MAX = 0.10, 20
"""More children that vanish at once than both: the export was cut off."""

EMPTIED_SHARE_MAX, EMPTIED_CELLS_MAX = 0.25, 20
"""More cells of one column that were filled at the last import and are empty now than both: the export lost it."""

FOREIGN_ROWS_MIN = 3
"""Rows that are not UTF-8, and more of them than rows with other than English letters that are: the whole file is
in another encoding."""

IF_RIGHT = "Nothing was changed. If the file is whole and this is right, import it with --allow-vanish."


def refuse_harm(
    path: Path, found: Checked, before: Mapping[str, int], aside: Path, *, allow_vanish: bool
) -> None:
    """Stop before the harm. `before`: how many cells of each column the last import found filled."""
    _refuse_broken(path, found, aside)
    if allow_vanish:
        return
    if found.may_leave:
        _refuse_gone(path, found)
    _refuse_emptied(path, found.filled, before)


def _refuse_gone(path: Path, found: Checked) -> None:
    gone, rows = len(found.gone), len(found.verdicts)
    if (gone > GONE_CHILDREN_MAX and gone > GONE_SHARE_MAX * found.here) or (gone and not rows):
        raise TableError(
            f"{path.name}: leaves out {gone:,} of {found.here:,} children who are in the registry now. {IF_RIGHT}"
        )


def _refuse_broken(path: Path, found: Checked, aside: Path) -> None:
    rejected, rows = found.count(REJECTED), len(found.verdicts)
    if found.foreign >= FOREIGN_ROWS_MIN and found.foreign > found.beyond_ascii:
        raise TableError(
            f"{path.name}: {NOT_UTF8} {found.foreign:,} lines cannot be read. Nothing was changed."
        )
    if rejected > REJECTED_ROWS_MAX and rejected > REJECTED_SHARE_MAX * rows:
        raise TableError(
            f"{path.name}: {rejected:,} of {rows:,} rows cannot be used. Nothing was changed. "
            f"See {aside.name} for each with its reason, and export again."
        )


def _refuse_emptied(path: Path, filled: Mapping[str, int], before: Mapping[str, int]) -> None:
    """Every child would lose what a column said: a date of birth, or that the record is restricted."""
    still_here = min(1.0, filled["child_id"] / max(1, before.get("child_id", 0)))
    for column, was in before.items():
        if column not in filled and was:
            raise TableError(
                f"{path.name}: has no column {column}, which {was:,} rows of the last import filled. {IF_RIGHT}"
            )
        # A shorter file says less in each column; what it leaves out was judged before.
        expected = was * still_here
        lost = expected - filled.get(column, 0)
        if lost > EMPTIED_CELLS_MAX and lost > EMPTIED_SHARE_MAX * expected:
            raise TableError(
                f"{path.name}: {column} is filled in {filled[column]:,} rows, and was in {was:,} at the last import. "
                f"{IF_RIGHT}"
            )
