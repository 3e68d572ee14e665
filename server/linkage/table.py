"""The work of `earlysign link`: two CSV files in, one out, no server needed.

Columns are those of the contract; a file that breaks it is refused with one line that says where and what to
do, and never repeats what stands in a cell.
"""

from __future__ import annotations

import csv
import datetime
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

import msgspec

from server.linkage.candidates import MemoryIndex, find
from server.linkage.decide import Decider, Decision
from server.linkage.model import Model, TermFrequencies, count_terms, default_model
from server.linkage.standardise import Description, Record, standardise

LINE_LENGTH_MAX = 64 * 1024  # a row of a registry is below 1 kB; more is another kind of file
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


class TableError(ValueError):
    """A CSV file that cannot be used: file, line, what is wrong, what to do; nothing of what a cell holds."""


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


def _lines(file: TextIO, name: str) -> Iterator[str]:
    """The lines of a file, each bounded; a quoted cell may span several."""
    number = 0
    while True:
        try:
            line = file.readline(LINE_LENGTH_MAX + 1)
        except UnicodeDecodeError:
            raise TableError(
                f"{name}, line {number + 1} or soon after: not UTF-8. Save the file as UTF-8 (in Excel: "
                '"CSV UTF-8"); it may be in Windows-1252 now.'
            ) from None
        if not line:
            return
        number += 1
        if len(line) > LINE_LENGTH_MAX:
            raise TableError(
                f"{name}, line {number}: longer than {LINE_LENGTH_MAX:,} characters. Check for a missing "
                "quotation mark, or take the cell out."
            )
        if "\0" in line:
            raise TableError(f"{name}, line {number}: holds a NUL byte. Save it again as plain CSV in UTF-8.")
        yield line


def table_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, cells that are not empty) for every row. Raises TableError."""
    name = path.name
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise TableError(f"{name}: cannot be read ({error.strerror}). Check path and permissions.") from None
    with file:
        # One cell may not be longer than a line, or csv would gather a whole file behind one quotation mark.
        csv.field_size_limit(LINE_LENGTH_MAX)
        reader = csv.reader(_lines(file, name), strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise TableError(f"{name}: empty. The first line must name columns: {', '.join(columns)}.")
            order = _check_header(name, header, columns)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(order):
                    raise TableError(
                        f"{name}, line {reader.line_num}: {len(cells)} cells, the header has {len(order)}. "
                        "Put quotation marks around a cell that holds a comma."
                    )
                stripped = map(str.strip, cells)
                yield reader.line_num, {c: cell for c, cell in zip(order, stripped, strict=True) if cell}
        except csv.Error:
            raise TableError(
                f"{name}, line {reader.line_num}: not valid CSV. Check the quotation marks on this line."
            ) from None


def _check_header(name: str, header: list[str], columns: tuple[str, ...]) -> list[str]:
    order = [cell.strip() for cell in header]
    # A header may itself be data (a file without one): only words that look like column names are repeated.
    unknown = [c for c in order if c not in columns]
    if unknown:
        sayable = [c for c in unknown if re.fullmatch(r"[a-z_]{1,40}", c)]
        all_sayable = len(sayable) == len(unknown)
        said = ", ".join(sayable[:10]) if all_sayable else f"{len(unknown)} that are not names of columns"
        raise TableError(f"{name}, line 1: unknown columns: {said}. Allowed are: {', '.join(columns)}.")
    if len(set(order)) != len(order):
        twice = sorted({c for c in order if order.count(c) > 1})
        raise TableError(f"{name}, line 1: column twice: {', '.join(twice)}. Keep one of each.")
    if columns[0] not in order:
        raise TableError(f"{name}, line 1: the column {columns[0]} is missing. Add it: every row needs one.")
    return order


def _date(name: str, line: int, column: str, text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise TableError(
            f"{name}, line {line}: {column} is not a date. Write it as YYYY-MM-DD, or leave the cell empty."
        ) from None


def _age(name: str, line: int, row: dict[str, str]) -> float | None:
    text = row.get("age")
    if text is None:
        return None
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= 120:
        raise TableError(f"{name}, line {line}: age is not a number of years, 0 to 120. Mend it or empty it.")
    if "observed_on" not in row:
        raise TableError(f"{name}, line {line}: age without observed_on. Add the day the child was that age.")
    return age


def _sex(name: str, line: int, row: dict[str, str]) -> str | None:
    text = row.get("sex")
    if text is None:
        return None
    if text.lower() not in ("female", "male"):
        raise TableError(f'{name}, line {line}: sex is neither "female" nor "male". Mend it or empty it.')
    return text.lower()


def described(name: str, line: int, row: dict[str, str]) -> Description:
    aliases = tuple(filter(None, (a.strip() for a in row.get("aliases", "").split(";"))))
    return Description(
        given_names=row.get("given_names"),
        family_name=row.get("family_name"),
        aliases=aliases,
        date_of_birth=_date(name, line, "date_of_birth", row.get("date_of_birth")),
        age=_age(name, line, row),
        observed_on=_date(name, line, "observed_on", row.get("observed_on")),
        sex=_sex(name, line, row),
        address=row.get("address"),
        postcode=row.get("postcode"),
        school=row.get("school"),
        phone=row.get("phone"),
        guardian=row.get("guardian"),
        upn=row.get("upn"),
        nhs_number=row.get("nhs_number"),
    )


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
        yield line, own, standardise(described(path.name, line, row))


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
