"""The first reading of a registry's file: every row is compared with what is here, and nothing is written."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import islice
from operator import add

from server.importing.rejects import Rejects
from server.linkage.csv_rows import NOT_UTF8, BadCell, BadRow, Row, Rows
from server.records import registry
from server.records.registry_rows import digest_of, read_row
from server.storage.port import Store, Transaction

CHILDREN_READ = 5_000
ROWS_CHECKED_AT_ONCE = 1_000
NEW, CHANGED, DONE, RETURNED, REJECTED = range(5)

STAGES = {
    "checked": "Checking",
    "written": "Writing",
    "indexed": "Tidying the index",
    "searchable": "Making it searchable",
}
"""What an import does, in order, and what a person is told of it."""

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, how many rows (or keys, or children) have passed it, and how many will, if that is known."""


def untold(stage: str, done: int, of: int | None) -> None:
    """Nobody watches."""


class Named:
    """The registry ids of new children, by their 64-bit hashes: a sixth of the memory of a set."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(1 << 16)]

    def saw(self, registry_id: str) -> bool:
        """Whether this id came before; from now on it has."""
        mark = hash(registry_id)
        bucket = self._buckets[mark & 0xFFFF]
        if mark in bucket:
            return True
        bucket.append(mark)
        return False


class Checked:
    """What the first reading of a file found: what to do with each row, and which children it leaves out."""

    def __init__(self) -> None:
        self.verdicts = bytearray()
        """One byte for each row of the file, in order."""
        self.seen = bytearray()
        """One byte for each child id: 0 not in the file, 1 in a row that cannot be read, 2 in one that can."""
        self.gone: array[int] = array("q")
        self.returned: array[int] = array("q")
        self.here = 0
        self.unnamed = self.foreign = self.beyond_ascii = 0
        self.cut_off = False
        """The file ends in the middle of a row."""
        self.filled: dict[str, int] = {}
        """How many cells of each column say something."""

    @property
    def may_leave(self) -> bool:
        """Whether a child that the file has no row for can be taken to have left: not where a row may be anybody's,
        nor where the rest of the file is missing."""
        return not self.unnamed and not self.cut_off

    def count(self, verdict: int) -> int:
        return self.verdicts.count(verdict)

    def saw(self, child_id: int, *, readable: bool) -> bool:
        """The file has a row for this child. Whether a readable one came before."""
        if child_id >= len(self.seen):
            self.seen.extend(bytes(child_id + 1 - len(self.seen) + (1 << 16)))
        before = self.seen[child_id]
        self.seen[child_id] = max(before, 2 if readable else 1)
        return before == 2

    def has_seen(self, child_id: int) -> bool:
        return child_id < len(self.seen) and self.seen[child_id] > 0


def compare(store: Store, rows: Rows, bad: Rejects, progress: Progress = untold) -> Checked:
    """Read a file and compare every row with what is here. Writes nothing but the file of bad rows."""
    found = Checked()
    named = Named()
    at = rows.columns.index("child_id")
    given = iter(rows)
    filled = [0] * len(rows.columns)
    last = store.read_now(registry.last)
    while part := list(islice(given, ROWS_CHECKED_AT_ONCE)):
        here = store.read_now(_knowing([_id_in(row, at) for row in part]))
        for row in part:
            verdict, why = _verdict(row, rows.columns, at, here, named, found)
            found.verdicts.append(verdict)
            if verdict == REJECTED:
                bad.write(row, why)
        cells = zip(*(row.cells for row in part if isinstance(row, Row)), strict=True)
        filled = list(map(add, filled, map(_telling, cells))) or filled
        progress("checked", len(found.verdicts), None)
    found.filled = dict(zip(rows.columns, filled, strict=True))
    found.cut_off = rows.ends_within_a_line and found.verdicts.endswith(bytes([REJECTED]))
    _find_gone(store, found, last)
    return found


def _telling(cells: Sequence[str]) -> int:
    """How many cells of a column say something: "no" is what an empty one says, too."""
    return len(cells) - sum(map(cells.count, ("", "no", "No", "NO")))


def _verdict(
    row: Row | BadRow,
    columns: list[str],
    at: int,
    here: dict[str, registry.Known],
    named: Named,
    found: Checked,
) -> tuple[int, str]:
    """What to do with a row, and why where it is rejected."""
    registry_id = _id_in(row, at)
    known = here.get(registry_id)
    # Also where the row is rejected below: the child has not vanished.
    twice = known is not None and found.saw(known.child_id, readable=isinstance(row, Row))
    if isinstance(row, BadRow):
        found.foreign += row.reason == NOT_UTF8
        found.unnamed += known is None
        return REJECTED, row.reason
    found.beyond_ascii += not all(map(str.isascii, row.cells))
    if known is None and registry_id:
        twice = named.saw(registry_id)
    if twice:
        return REJECTED, "the same child_id as an earlier line. Keep one of them."
    if known is not None and known.digest == digest_of(columns, row.cells):
        if known.left_at is None:
            return DONE, ""
        found.returned.append(known.child_id)
        return RETURNED, ""
    try:
        read_row(columns, row.cells)
    except BadCell as error:
        found.unnamed += not registry_id
        return REJECTED, str(error)
    if known is None:
        return NEW, ""
    if known.left_at is not None:
        found.returned.append(known.child_id)
    return CHANGED, ""


def _id_in(row: Row | BadRow, at: int) -> str:
    """The child_id of a row; of one that could not be read, what stands in its place."""
    if isinstance(row, Row):
        return row.cells[at]
    cells = row.text.split(",", at + 1)
    return cells[at].strip().strip('"').strip() if at < len(cells) else ""


def _find_gone(store: Store, found: Checked, last: int) -> None:
    """Of those who were here before the file was read: who came since, by another import, has not gone."""
    after = 0
    while part := [one for one in store.read_now(_present(after)) if one <= last]:
        found.here += len(part)
        found.gone.extend(child_id for child_id in part if not found.has_seen(child_id))
        after = part[-1]


def _knowing(ids: list[str]) -> Callable[[Transaction], dict[str, registry.Known]]:
    return lambda tx: registry.known(tx, ids)


def _present(after: int) -> Callable[[Transaction], list[int]]:
    return lambda tx: registry.present(tx, after, CHILDREN_READ)
