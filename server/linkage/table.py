"""The work of `earlysign link`: two CSV files in, one out, no server needed.

Columns are those of the contract; a file that breaks it is refused with one line that says where and what to
do, and never repeats what stands in a cell.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from server.linkage.candidates import MemoryIndex, find
from server.linkage.csv_rows import BadCell, TableError, described, table_rows
from server.linkage.decide import Decider, Decision
from server.linkage.model import Model, TermFrequencies, count_terms, default_model
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

Progress = Callable[[str, int], None]
"""Called with a stage ("known" or "notes") and the number of rows done so far."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did."""

    known: int
    notes: int
    link: int
    review: int
    new: int


class _Known(msgspec.Struct):
    """The registry, with the ids of the file beside the numbers the index uses."""

    index: MemoryIndex
    names: list[str]
    counts: TermFrequencies


def _identified(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, str, Record]]:
    """(line, id, record) for every row; ids are present and unique."""
    seen: dict[str, int] = {}
    for line, row in table_rows(path, columns):
        own = row.get(columns[0])
        if own is None:
            raise TableError(f"{path.name}, line {line}: {columns[0]} is empty. Every row needs one.")
        if own in seen:
            raise TableError(
                f"{path.name}, line {line}: the same {columns[0]} as on line {seen[own]}. Keep one of them."
            )
        seen[own] = line
        try:
            record = standardise(described(row))
        except BadCell as error:
            raise TableError(f"{path.name}, line {line}: {error}") from None
        yield line, own, record


def _read_known(path: Path, progress: Progress | None) -> _Known:
    index = MemoryIndex()
    names: list[str] = []
    records: list[Record] = []
    for _, own, record in _identified(path, KNOWN_COLUMNS):
        index.add(len(names), record)
        names.append(own)
        records.append(record)
        if progress and len(names) % PROGRESS_EVERY == 0:
            progress("known", len(names))
    if progress:
        progress("known", len(names))
    return _Known(index, names, count_terms(records))


def _link_row(own: str, decision: Decision, names: list[str]) -> list[str]:
    new = decision.outcome == "new"
    second = decision.second_child_id
    return [
        own,
        decision.outcome,
        "" if new or decision.child_id is None else names[decision.child_id],
        f"{decision.probability:.6f}",
        f"{decision.weight:.3f}",
        "" if second is None else names[second],
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
    name only when it is complete. Raises TableError.
    """
    registry = _read_known(known, progress)
    decider = Decider((model or default_model()).with_term_frequencies(registry.counts))
    tally = {"link": 0, "review": 0, "new": 0}
    done = 0
    with ExitStack() as files:
        write_link = files.enter_context(_written(out, LINK_COLUMNS))
        write_candidate = files.enter_context(_written(candidates, CANDIDATE_COLUMNS)) if candidates else None
        for _, own, record in _identified(notes, NOTE_COLUMNS):
            decision = decider.decide(record, registry.index)
            tally[decision.outcome] += 1
            write_link(_link_row(own, decision, registry.names))
            if write_candidate:
                for row in _candidate_rows(own, record, decision, registry):
                    write_candidate(row)
            done += 1
            if progress and done % PROGRESS_EVERY == 0:
                progress("notes", done)
    if progress:
        progress("notes", done)
    return Summary(known=len(registry.names), notes=done, **tally)


def _candidate_rows(own: str, record: Record, decision: Decision, registry: _Known) -> Iterator[list[str]]:
    """Every child compared, the likely ones first with their figures."""
    shown = {c.child_id: c for c in decision.candidates}
    ids, _ = find(record, registry.index)
    for child_id in (*shown, *sorted(ids - shown.keys())):
        figures = shown.get(child_id)
        yield [
            own,
            registry.names[child_id],
            f"{figures.probability:.6f}" if figures else "",
            f"{figures.weight:.3f}" if figures else "",
        ]


@contextmanager
def _written(path: Path, columns: tuple[str, ...]) -> Iterator[Callable[[list[str]], object]]:
    """A function that writes rows of a CSV file, which appears under its name when all went well."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            yield writer.writerow
        os.replace(part, path)
    except OSError as error:
        hint = "Check the folder and the free space."
        raise TableError(f"{path.name}: cannot be written ({error.strerror}). {hint}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
