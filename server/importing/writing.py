"""What is new or changed in a registry's file is written, in bounded transactions, while others get their turn."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import msgspec

from server.audit import Actor
from server.casework.pack import Pack
from server.helping import begin_helping
from server.importing.check import CHANGED, DONE, NEW, REJECTED, RETURNED, Checked, Progress
from server.importing.searchable import Searchable
from server.linkage.csv_rows import BadCell, Row, Rows, TableError
from server.records import index, registry
from server.records.registry_rows import Batch, make_many_ready, pack_cells, unpack
from server.storage.port import Store, Transaction

T = TypeVar("T")

ROWS_PER_TRANSACTION = 2_500
"""A fifth of a second of writing: notes which arrive meanwhile wait no longer for their turn."""

ROWS_FOR_PROCESSES_MIN = 50_000
"""Fewer rows are done before another process has started."""

PROCESSES_MAX = 3
"""Two keep the writer busy, with a share of its core where there are only two; more help while it waits for a disk."""

BATCHES_WAITING_MAX = 5
"""Batches that are being made ready at once, some 5 MB each."""

CHANGED_MEANWHILE = "changed while it was read. Import it again once it is whole."

ROWS_BEFORE_ANALYSIS = 1_000
"""So many, ten times as many, and so on: then the tables are another size than their plans were made for."""

PAUSE_SECONDS = 0.01
"""Between two transactions: whoever else waits to write looks more often (`storage/writer.py`) and goes first."""


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


class Import:
    """One run: what is written, in which order, and what has been counted of it."""

    def __init__(
        self,
        store: Store,
        rows: Rows,
        found: Checked,
        actor: Actor,
        pack: Pack,
        now: int,
        progress: Progress,
    ) -> None:
        self.store, self.rows, self.found, self.progress = store, rows, found, progress
        self.actor, self.pack, self.now = actor, pack, now
        self.run_id = 0
        self.began = time.monotonic()
        self.written = 0
        self._analyse_at: dict[str, int] = {}
        self.free_since = 0.0
        """When the last transaction ended, by this process's clock."""

    def run(self, digest: str, rejects: Path | None) -> Imported:
        found, now = self.found, self.now
        self.run_id, interrupted = self.store.write_now(
            lambda tx: registry.begin_run(tx, self.actor, digest, now=now)
        )
        self.work = work = found.count(NEW) + found.count(CHANGED)
        searchable = Searchable(self.store, self._write, self._made_searchable)
        with ExitStack() as stack:
            helpers = self._helpers(stack) if work >= ROWS_FOR_PROCESSES_MIN else None
            try:
                for batch in self._made_ready(helpers):
                    self._write_rows(batch)
                    if helpers is not None:
                        searchable.follow(helpers, len(batch.rows))
            except BadCell:  # a row that was good when it was checked
                raise TableError(f"{self.rows.name}: {CHANGED_MEANWHILE}") from None
            if helpers is not None:
                searchable.catch_up(helpers)
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
        counted = self.store.read_now(index.load_frequencies) is not None
        with ThreadPoolExecutor(1, "earlysign-counting") as beside:
            # Folding is the engine's work, which leaves this process's own time to the counting.
            counting = None
            if work or interrupted or not counted:
                counting = beside.submit(index.count_again, self.store)
            self._fold()
            if counting is not None:
                counting.result()
        searchable.finish()
        self._write(
            lambda tx: registry.count_run(
                tx, self.run_id, unchanged=done.unchanged, rejected=done.rejected, ended_at=self._time()
            )
        )
        return done

    def _helpers(self, stack: ExitStack) -> ProcessPoolExecutor:
        """Other processes, for as long as the stack is open."""
        processes = max(1, min(os.cpu_count() or 1, PROCESSES_MAX))
        pool = stack.enter_context(
            ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=begin_helping)
        )
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        return pool

    def _made_ready(self, helpers: Executor | None) -> Iterator[Batch]:
        """The rows to write, ready, some thousand at a time; by other processes where there are any."""
        columns = self.rows.columns
        waiting: deque[Future[bytes]] = deque()
        for part in self._parts():
            if helpers is None:
                yield unpack(make_many_ready(columns, pack_cells(part)))
                continue
            waiting.append(helpers.submit(make_many_ready, columns, pack_cells(part)))
            if len(waiting) > BATCHES_WAITING_MAX:
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
        try:
            while part := list(islice(wanted, ROWS_PER_TRANSACTION)):
                yield part
        except ValueError:  # more or fewer rows than verdicts
            raise TableError(f"{self.rows.name}: {CHANGED_MEANWHILE}") from None

    def _write_rows(self, batch: Batch) -> None:
        ready = batch.rows

        def work(tx: Transaction) -> None:
            here = registry.known(tx, [row.registry_id for row in ready])
            new = [row for row in ready if row.registry_id not in here]
            old = [row for row in ready if row.registry_id in here]
            registry.add(tx, self.actor, batch, new, now=self.now)
            registry.alter(tx, self.actor, old, self.pack, now=self.now)
            registry.count_run(tx, self.run_id, added=len(new), changed=len(old))

        self._write(work)
        self.written += len(ready)
        self.progress("written", self.written, self.work)
        self._grown("written", self.written)
        if self.store.read_now(_runs) >= index.RUNS_MAX:
            self._fold()

    def _made_searchable(self, moved: int) -> None:
        self.progress("searchable", moved, None)
        self._grown("searchable", moved)

    def _grown(self, what: str, rows: int) -> None:
        """So many rows of a kind are new: let the engine look at what it has to plan for."""
        if rows >= self._analyse_at.get(what, ROWS_BEFORE_ANALYSIS):
            self._write(lambda tx: tx.analyse())
            self._analyse_at[what] = 10 * rows

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
        registry.go_on(tx, self.run_id, now=self._time())

    def _time(self) -> int:
        """What time it is now that the import has been running for a while."""
        return self.now + round((time.monotonic() - self.began) * 1000)

    def _write(self, work: Callable[[Transaction], T]) -> T:
        """One transaction of this run, after a pause in which others get their turn."""

        def guarded(tx: Transaction) -> T:
            self._guard(tx)
            return work(tx)

        time.sleep(max(0.0, self.free_since + PAUSE_SECONDS - time.monotonic()))
        answer = self.store.write_now(guarded)
        self.free_since = time.monotonic()
        return answer


def _runs(tx: Transaction) -> int:
    return len(index.runs(tx))
