"""The work of `earlysign link`: two CSV files in, one out, no server needed.

Columns are those of the contract; a file that breaks it is refused with one line that says where and what to
do, and never repeats what stands in a cell.
"""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

import msgspec

from server.linkage.candidates import find
from server.linkage.csv_rows import BadCell, TableError, described_as_far, table_rows
from server.linkage.decide import Decider, Decision
from server.linkage.model import Model, count_terms, default_model
from server.linkage.packed import PackedIndex
from server.linkage.standardise import Record, standardise

PROGRESS_EVERY = 500

COMMON_COLUMNS = (
    "given_names",
    "family_name",
    "aliases",
    "date_of_birth",
    "sex",
    "address",
    "postcode",
    "school",
    "phone",
    "guardian",
    "upn",
    "nhs_number",
)
KNOWN_COLUMNS = ("child_id", *COMMON_COLUMNS)
NOTE_COLUMNS = ("note_id", "observed_on", "age", *COMMON_COLUMNS)
LINK_COLUMNS = (
    "note_id",
    "decision",
    "child_id",
    "probability",
    "weight",
    "second_child_id",
    "second_probability",
    "reason",
)
CANDIDATE_COLUMNS = ("note_id", "child_id", "probability", "weight")

UNREAD_SAID_MAX = 5

Progress = Callable[[str, int], None]
"""Called with a stage ("known" or "notes") and the number of rows done so far."""


class Unread(msgspec.Struct):
    """Cells that could not be used and count as empty: how many, and the first of them, in words."""

    count: int = 0
    first: list[str] = msgspec.field(default_factory=list)

    def add(self, name: str, line: int, bad: BadCell) -> None:
        """One more, of a line of a file."""
        self.count += 1
        if len(self.first) < UNREAD_SAID_MAX:
            self.first.append(f"{name}, line {line}: {bad}")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `unread`: cells that counted as empty."""

    known: int
    notes: int
    link: int
    review: int
    new: int
    unread: Unread


def _identified(
    path: Path, columns: tuple[str, ...], unread: Unread | None = None
) -> Iterator[tuple[int, str, Record]]:
    """(line, id, record) for every row; every row has an id. A cell that cannot be used is an error, or where
    `unread` counts them, empty: one bad date must not keep thousands of notes from being linked."""
    for line, row in table_rows(path, columns):
        own = row.get(columns[0])
        if own is None:
            raise TableError(f"{path.name}, line {line}: {columns[0]} is empty. Every row needs one.")
        description, wrong = described_as_far(row)
        for bad in wrong:
            if unread is None:
                raise TableError(f"{path.name}, line {line}: {bad}")
            unread.add(path.name, line, bad)
        yield line, own, standardise(description)


def _read_known(
    path: Path, index: PackedIndex, progress: Progress | None, unread: Unread
) -> Iterator[Record]:
    """The records of the registry, each put in the index on its way. Ids are unique, or TableError."""
    lines = array("I")
    for line, own, record in _identified(path, KNOWN_COLUMNS, unread):
        index.add(own, record)
        lines.append(line)
        if progress and len(index) % PROGRESS_EVERY == 0:
            progress("known", len(index))
        yield record
    if (twice := index.twice()) is not None:
        first, second = lines[twice[0]], lines[twice[1]]
        raise _same_id(path, KNOWN_COLUMNS[0], first, second)
    if progress:
        progress("known", len(index))


def _read_notes(path: Path, unread: Unread) -> Iterator[tuple[str, Record]]:
    """(id, record) of every note. Ids are unique, or TableError."""
    seen: dict[str, int] = {}
    for line, own, record in _identified(path, NOTE_COLUMNS, unread):
        if own in seen:
            raise _same_id(path, NOTE_COLUMNS[0], seen[own], line)
        seen[own] = line
        yield own, record


def _same_id(path: Path, column: str, first: int, second: int) -> TableError:
    return TableError(f"{path.name}, line {second}: the same {column} as on line {first}. Keep one of them.")


def _link_row(own: str, decision: Decision, index: PackedIndex) -> list[str]:
    new = decision.outcome == "new"
    second = decision.second_child_id
    return [
        own,
        decision.outcome,
        "" if new or decision.child_id is None else index.own_id(decision.child_id),
        f"{decision.probability:.6f}",
        f"{decision.weight:.3f}",
        "" if second is None else index.own_id(second),
        "" if second is None else f"{decision.second_probability:.6f}",
        decision.reason,
    ]


def link_tables(
    known: Path,
    notes: Path,
    out: Path,
    *,
    model: Model | None = None,
    candidates: Path | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Link every note of one CSV file to the known children of another and write the decisions to `out`.

    `model` defaults to the weights set by hand; its term frequencies are always counted over `known`.
    `candidates`: a second file, every known child that was compared with each note. A file appears under its
    name only when it is complete, and never in the place of one that is read. Raises TableError.
    """
    check_out(out, known, notes, candidates)
    if candidates:
        check_out(candidates, known, notes)
    tally = {"link": 0, "review": 0, "new": 0}
    done, unread = 0, Unread()
    with ExitStack() as files:
        index = files.enter_context(PackedIndex())
        counts = count_terms(_read_known(known, index, progress, unread))
        decider = Decider((model or default_model()).with_term_frequencies(counts))
        write_link = files.enter_context(_written(out, LINK_COLUMNS))
        write_candidate = files.enter_context(_written(candidates, CANDIDATE_COLUMNS)) if candidates else None
        for own, record in _read_notes(notes, unread):
            decision = decider.decide(record, index)
            tally[decision.outcome] += 1
            write_link(_link_row(own, decision, index))
            if write_candidate:
                for row in _candidate_rows(own, record, decision, index, decider):
                    write_candidate(row)
            done += 1
            if progress and done % PROGRESS_EVERY == 0:
                progress("notes", done)
        if progress:
            progress("notes", done)
        return Summary(known=len(index), notes=done, unread=unread, **tally)


def _candidate_rows(
    own: str, record: Record, decision: Decision, index: PackedIndex, decider: Decider
) -> Iterator[list[str]]:
    """Every child compared: the likely ones first with their figures, the others with their weight, if any."""
    shown = {c.child_id: c for c in decision.candidates}
    ids, _ = find(record, index)
    for child_id, figures in shown.items():
        yield [own, index.own_id(child_id), f"{figures.probability:.6f}", f"{figures.weight:.3f}"]
    for child_id, child, _ in index.records(sorted(ids - shown.keys())):
        weighed = decider.weigh(record, child, child_id, restricted=False)
        yield [own, index.own_id(child_id), "", f"{weighed.weight:.3f}" if weighed else ""]


def check_out(out: Path, *others: Path | None) -> None:
    """Refuse, before hours of work, a place where `out` cannot be written, or where it would take the place of
    one of `others`: a registry, or a device. Raises TableError."""
    if out.exists() and not out.is_file():
        raise TableError(f"{out.name or out}: cannot be written (it is not a file). Give the name of a file.")
    if not out.parent.is_dir():
        raise TableError(f"{out.name}: cannot be written (there is no such folder). Make the folder first.")
    for other in others:
        if other and (
            out.absolute() == other.absolute() or (out.exists() and other.exists() and out.samefile(other))
        ):
            raise TableError(
                f"{out.name}: would be written over another file of this command. Give it another name."
            )


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file to write, which appears under its name when all went well. Raises TableError."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        hint = "Check the folder and the free space."
        raise TableError(f"{path.name}: cannot be written ({error.strerror}). {hint}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def _written(path: Path, columns: tuple[str, ...]) -> Iterator[Callable[[list[str]], object]]:
    """A function that writes rows of a CSV file, which appears under its name when all went well."""
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield writer.writerow


def read_records(path: Path, columns: tuple[str, ...]) -> tuple[list[str], list[Record]]:
    """Ids and records of a whole file: for work on a registry at once. Raises TableError."""
    lines: dict[str, int] = {}
    records = []
    for line, own, record in _identified(path, columns):
        if own in lines:
            raise TableError(
                f"{path.name}, line {line}: the same {columns[0]} as on line {lines[own]}. Keep one of them."
            )
        lines[own] = line
        records.append(record)
    return list(lines), records


def write_rows(path: Path, columns: tuple[str, ...], rows: Iterator[list[str]]) -> None:
    """A CSV file of these rows, which appears under its name when all went well. Raises TableError."""
    with _written(path, columns) as write:
        for row in rows:
            write(row)
