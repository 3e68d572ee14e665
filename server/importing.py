"""Importing a registry of known children from CSV: `earlysign import-children`, as often as every night.

The file is read twice. `check` reads it without writing: every row is compared with what is here (an unchanged one
costs a look-up and no more), those that cannot be used go to a file of their own, and a file that would do harm is
refused while nothing has happened. Then what is new or changed is written, in transactions of a fraction of a
second, each child with all that it is found by; other processes standardise meanwhile. An import that was killed
is simply run again: what is done already is unchanged by then.
"""

from __future__ import annotations

import gc
import hashlib
import os
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TypeVar

import msgspec

from server.audit import Actor
from server.casework.pack import Pack, default_pack
from server.linkage.reading import NOT_UTF8, BadCell, BadRow, Row, Rows, TableError
from server.records import index, registry
from server.records.registry_rows import (
    REGISTRY_COLUMNS,
    Batch,
    digest_of,
    make_many_ready,
    pack_cells,
    read_row,
    unpack,
)
from server.rejects import Rejects
from server.storage.port import Store, Transaction

T = TypeVar("T")

ROWS_CHECKED_AT_ONCE = 1_000
ROWS_PER_TRANSACTION = 2_500
"""A fifth of a second of writing: notes which arrive meanwhile wait no longer for their turn."""

ROWS_FOR_PROCESSES_MIN = 50_000
"""Fewer rows are done before another process has started."""

PROCESSES_MAX = 3
"""One is enough to keep the writer busy; more help while it waits for a disk."""

OBJECTS_BETWEEN_SEARCHES = (100_000, 50, 100)

REJECTED_SHARE_MAX, REJECTED_ROWS_MAX = 0.05, 100
"""More bad rows than both: the export is broken, and importing the rest would hide it."""

GONE_SHARE_MAX, GONE_CHILDREN_MAX = 0.10, 20
"""More children that vanish at once than both: the export was cut off."""

FOREIGN_ROWS_MIN = 3
"""Rows that are not UTF-8, and more of them than rows with other than English letters that are: the whole file is
in another encoding."""

PAUSE_SECONDS = 0.01
"""Between two transactions: whoever else waits to write looks more often (`storage/writer.py`) and goes first."""

NEW, CHANGED, DONE, RETURNED, REJECTED = range(5)

BY_ITSELF = Actor("system", "import")

Progress = Callable[[str, int, int | None], None]
"""Called with the stage ("checked", "written" or "indexed"), how many rows (or keys) have passed it, and how many
will, where that is known."""


def _untold(stage: str, done: int, of: int | None) -> None:
    """Nobody watches."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, in rows. `gone`: no longer in the registry; `returned`: in it again. `unnamed`: bad rows
    that name no child, so that nobody could be taken to have gone. `rejects`: the file of bad rows, if any."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    returned: int = 0
    rejected: int = 0
    unnamed: int = 0
    rejects: Path | None = None


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


def import_registry(
    store: Store,
    path: Path,
    *,
    now: int,
    actor: Actor = BY_ITSELF,
    pack: Pack | None = None,
    channels: Sequence[str] = (),
    rejects: Path | None = None,
    allow_vanish: bool = False,
    progress: Progress = _untold,
) -> Imported:
    """Bring the database up to date with a registry's file.

    `pack` and `channels` are for children whose alerts a change concerns. Raises TableError with what to do for a
    file that is refused, before anything is written, and `registry.Superseded` where another import has begun.
    """
    aside = rejects or path.with_name(path.name + ".rejects.csv")
    with Rows(path, REGISTRY_COLUMNS) as rows, Rejects(aside, rows.columns) as bad:
        digest = _digest(path)
        found = check(store, rows, bad, progress)
        bad.finish()
        _refuse_harm(path, found, aside, allow_vanish)
        if _digest(path) != digest:
            raise TableError(f"{path.name}: changed while it was read. Import it again once it is whole.")
        return _Import(store, rows, found, actor, pack or default_pack(), channels, now, progress).run(
            digest, aside if bad.written else None
        )


# The first reading -----------------------------------------------------------------------------------------


def check(store: Store, rows: Rows, bad: Rejects, progress: Progress = _untold) -> Checked:
    """Read a file and compare every row with what is here. Writes nothing but the file of bad rows."""
    found = Checked()
    named: set[int] = set()
    at = rows.columns.index("child_id")
    given = iter(rows)
    while part := list(islice(given, ROWS_CHECKED_AT_ONCE)):
        here = store.read_now(_knowing([_id_in(row, at) for row in part]))
        for row in part:
            verdict, why = _verdict(row, rows.columns, at, here, named, found)
            found.verdicts.append(verdict)
            if verdict == REJECTED:
                bad.write(row, why)
        progress("checked", len(found.verdicts), None)
    named.clear()
    _find_gone(store, found)
    return found


def _verdict(
    row: Row | BadRow,
    columns: list[str],
    at: int,
    here: dict[str, registry.Known],
    named: set[int],
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
        mark = hash(registry_id)
        twice = mark in named
        named.add(mark)
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


def _find_gone(store: Store, found: Checked) -> None:
    after = 0
    while part := store.read_now(_present(after)):
        found.here += len(part)
        found.gone.extend(child_id for child_id in part if not found.has_seen(child_id))
        after = part[-1]


def _refuse_harm(path: Path, found: Checked, aside: Path, allow_vanish: bool) -> None:
    """Stop before the harm: a broken export must not pass for news about children."""
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
    gone = len(found.gone)
    if allow_vanish or found.unnamed:
        return
    if (gone > GONE_CHILDREN_MAX and gone > GONE_SHARE_MAX * found.here) or (gone and not rows):
        raise TableError(
            f"{path.name}: leaves out {gone:,} of {found.here:,} children who are in the registry now. Nothing was "
            "changed. If the file is whole and this is right, import it with --allow-vanish."
        )


# Writing ---------------------------------------------------------------------------------------------------


class _Import:
    """One run: what is written, in which order, and what has been counted of it."""

    def __init__(
        self,
        store: Store,
        rows: Rows,
        found: Checked,
        actor: Actor,
        pack: Pack,
        channels: Sequence[str],
        now: int,
        progress: Progress,
    ) -> None:
        self.store, self.rows, self.found, self.progress = store, rows, found, progress
        self.actor, self.pack, self.channels, self.now = actor, pack, channels, now
        self.run_id = 0
        self.began = time.monotonic()
        self.written = 0

    def run(self, digest: str, rejects: Path | None) -> Imported:
        found, now = self.found, self.now
        self.run_id, interrupted = self.store.write_now(
            lambda tx: registry.begin_run(tx, self.actor, digest, now=now)
        )
        self.work = work = found.count(NEW) + found.count(CHANGED)
        with ExitStack() as stack:
            for packed in self._made_ready(work, stack):
                self._write_rows(packed)
        done = Imported(
            added=found.count(NEW),
            changed=found.count(CHANGED),
            unchanged=found.count(DONE) + found.count(RETURNED),
            returned=self._mark(found.returned, registry.return_),
            # A row that names no child may be any child's: then nobody is taken to have gone.
            gone=0 if found.unnamed else self._mark(found.gone, registry.leave),
            rejected=found.count(REJECTED),
            unnamed=found.unnamed,
            rejects=rejects,
        )
        self._fold()
        counted = self.store.read_now(index.load_frequencies) is not None
        if work or interrupted or not counted:
            index.count_again(self.store)
        ended = now + round((time.monotonic() - self.began) * 1000)
        self._write(
            lambda tx: registry.count_run(
                tx, self.run_id, unchanged=done.unchanged, rejected=done.rejected, ended_at=ended
            )
        )
        return done

    def _made_ready(self, work: int, stack: ExitStack) -> Iterator[Batch]:
        """The rows to write, ready, some thousand at a time; by other processes where there are many."""
        parts = self._parts()
        columns = self.rows.columns
        if work < ROWS_FOR_PROCESSES_MIN:
            for part in parts:
                yield unpack(make_many_ready(columns, pack_cells(part)))
            return
        processes = max(1, min((os.cpu_count() or 1) - 1, PROCESSES_MAX))
        pool = stack.enter_context(
            ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin_helping)
        )
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        waiting: deque[Future[bytes]] = deque()
        for part in parts:
            waiting.append(pool.submit(make_many_ready, columns, pack_cells(part)))
            if len(waiting) > 2 * processes:
                yield unpack(waiting.popleft().result())
        while waiting:
            yield unpack(waiting.popleft().result())

    def _parts(self) -> Iterator[list[list[str]]]:
        verdicts = self.found.verdicts
        wanted = (
            row.cells
            for row, verdict in zip(self.rows, verdicts, strict=True)
            if verdict in (NEW, CHANGED) and isinstance(row, Row)
        )
        while part := list(islice(wanted, ROWS_PER_TRANSACTION)):
            yield part

    def _write_rows(self, batch: Batch) -> None:
        ready = batch.rows

        def work(tx: Transaction) -> None:
            here = registry.known(tx, [row.registry_id for row in ready])
            new = [row for row in ready if row.registry_id not in here]
            old = [row for row in ready if row.registry_id in here]
            registry.add(tx, self.actor, batch, new, now=self.now)
            registry.alter(tx, self.actor, old, self.pack, now=self.now, channels=self.channels)
            registry.count_run(tx, self.run_id, added=len(new), changed=len(old))

        self._write(work)
        self.written += len(ready)
        self.progress("written", self.written, self.work)
        if self.store.read_now(_runs) >= index.RUNS_MAX:
            self._fold()

    def _mark(self, ids: Sequence[int], mark: Callable[..., int]) -> int:
        """Say of children that they left or returned, some thousand at a time."""
        changed = 0
        for start in range(0, len(ids), ROWS_PER_TRANSACTION):
            part = list(ids[start : start + ROWS_PER_TRANSACTION])

            def work(tx: Transaction, part: list[int] = part) -> int:
                count = mark(tx, self.actor, part, now=self.now)
                column = "gone" if mark is registry.leave else "returned"
                registry.count_run(tx, self.run_id, **{column: count})
                return count

            changed += self._write(work)
        return changed

    def _fold(self) -> None:
        moved = 0
        for keys in index.fold(self.store, self._guard):
            moved += keys
            self.progress("indexed", moved, None)
            time.sleep(PAUSE_SECONDS)

    def _guard(self, tx: Transaction) -> None:
        registry.require_newest(tx, self.run_id)

    def _write(self, work: Callable[[Transaction], T]) -> T:
        """One transaction of this run, and a pause in which others get their turn."""

        def guarded(tx: Transaction) -> T:
            self._guard(tx)
            return work(tx)

        answer = self.store.write_now(guarded)
        time.sleep(PAUSE_SECONDS)
        return answer


def _begin_helping() -> None:
    """Work without searches for cycles, which rows never make; end when the import is killed, for nobody would
    ever give this helper work again."""
    gc.set_threshold(*OBJECTS_BETWEEN_SEARCHES)
    parent = parent_process()
    assert parent is not None, "only a process of the pool runs this"

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _knowing(ids: list[str]) -> Callable[[Transaction], dict[str, registry.Known]]:
    return lambda tx: registry.known(tx, ids)


def _present(after: int) -> Callable[[Transaction], list[int]]:
    return lambda tx: registry.present(tx, after, ROWS_PER_TRANSACTION)


def _runs(tx: Transaction) -> int:
    return len(index.runs(tx))
