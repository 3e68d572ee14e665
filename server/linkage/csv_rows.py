"""Reading CSV files that other systems wrote: row by row, and a bad row is told from a bad file.

`Rows` gives every row it can and a `BadRow` for each it cannot, and goes on behind it: one quotation mark
that is never closed costs its own line and not the rest of the file. What is wrong with the file as a whole (no
such file, a header that does not fit) is a `TableError`. No message repeats what stands in a cell.
"""

from __future__ import annotations

import csv
import datetime
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from server.linkage.loose import loose_age, loose_date
from server.linkage.standardise import Description

LINE_LENGTH_MAX = 64 * 1024  # bytes; a row of a registry is below 1 kB; more is another kind of file
TEXT_SHOWN_MAX = 2_000  # of a row that cannot be read: enough to find it and to mend it
LINES_AHEAD_MAX = 1_024  # a cell may span lines, and a row may not be longer than a line

TOO_LONG = f"longer than {LINE_LENGTH_MAX:,} bytes. Check for a missing quotation mark, or take the cell out."
NOT_UTF8 = 'not UTF-8. Save the file as UTF-8 (in Excel: "CSV UTF-8"); it may be in Windows-1252 now.'
NUL = "holds a NUL byte. Save it again as plain CSV in UTF-8."
NOT_CSV = "not valid CSV. Check the quotation marks on this line."


class TableError(ValueError):
    """A CSV file that cannot be used: file, line, what is wrong, what to do; nothing of what a cell holds."""


class BadCell(ValueError):
    """A row whose cells cannot be used: which column, and what to do."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"{column} {why}")
        self.column = column


class BadRow(msgspec.Struct, frozen=True):
    """A row that cannot be read: the line it begins on, why, and its text as far as it can be shown.

    Bytes that are no UTF-8 stand as `\\x..` in the text, and a long one is cut.
    """

    line: int
    reason: str
    text: str


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row: the line it begins on, and as many cells as the header has, without blanks around them."""

    line: int
    cells: list[str]


class Rows:
    """The rows of a CSV file. A context manager; `columns` is the header. Raises TableError on entering.

    Iterating begins behind the header, each time anew.
    """

    columns: list[str]

    def __init__(self, path: Path, allowed: tuple[str, ...]) -> None:
        self.name = path.name
        self._path = path
        self._allowed = allowed
        self._file: BinaryIO
        self._ahead: deque[bytes] = deque()
        self.ends_within_a_line = False
        """Whether the last line that was read has no end: so a file ends that was cut off, and many a whole one."""

    def __enter__(self) -> Rows:
        try:
            self._file = self._path.open("rb")
        except OSError as error:
            raise TableError(
                f"{self.name}: cannot be read ({error.strerror}). Check path and permissions."
            ) from None
        try:
            self.columns = self._header()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Row | BadRow]:
        self._restart()
        next(self._rows(None))
        yield from self._rows(len(self.columns))

    def _restart(self) -> None:
        self._file.seek(0)
        if self._file.read(3) != b"\xef\xbb\xbf":
            self._file.seek(0)
        self._ahead.clear()
        self._number = 0

    def _header(self) -> list[str]:
        self._restart()
        first = next(self._rows(None), None)
        if first is None:
            raise TableError(
                f"{self.name}: empty. The first line must name columns: {', '.join(self._allowed)}."
            )
        if isinstance(first, BadRow):
            raise TableError(f"{self.name}, line {first.line}: {first.reason}")
        return _checked_header(self.name, first.cells, self._allowed)

    def _rows(self, width: int | None) -> Iterator[Row | BadRow]:
        """Rows from where the file stands; without a width the first of any."""
        while line := self._next_line():
            self._number += 1
            begins = self._number
            found = self._quoted(line) if b'"' in line else _plain(line)
            if isinstance(found, str):
                yield BadRow(begins, found, _shown(line))
            elif found == [""]:
                continue  # an empty line
            elif width is None or len(found) == width:
                yield Row(begins, found)
            else:
                self._put_back(begins)
                yield BadRow(begins, _wrong_width(len(found), width), _shown(line))

    def _next_line(self) -> bytes:
        if self._ahead:
            return self._ahead.popleft()
        line = self._file.readline(LINE_LENGTH_MAX + 2)
        if len(line) > LINE_LENGTH_MAX and not line.endswith(b"\n"):
            # The rest of it is no row either; the part that is kept is too long to be taken for one.
            while (rest := self._file.readline(LINE_LENGTH_MAX)) and not rest.endswith(b"\n"):
                pass
        elif line:
            self.ends_within_a_line = not line.endswith(b"\n")
        return line

    def _quoted(self, line: bytes) -> list[str] | str:
        """The cells of a row with quotation marks, which may go on over the next lines; or what is wrong."""
        begins = self._number
        self._taken = taken = [line]
        length, marks = len(line), line.count(b'"')
        if length > LINE_LENGTH_MAX:
            return TOO_LONG
        while marks % 2 and length <= LINE_LENGTH_MAX and len(taken) < LINES_AHEAD_MAX:
            further = self._next_line()
            if not further:
                break
            taken.append(further)
            length += len(further)
            marks += further.count(b'"')
        self._number += len(taken) - 1
        found = _parsed(b"".join(taken)) if marks % 2 == 0 else NOT_CSV
        if isinstance(found, str):
            self._put_back(begins)
        return found

    def _put_back(self, begins: int) -> None:
        """Give back the lines behind the one a bad row begins on: they may be rows of their own."""
        if self._number > begins:
            self._ahead.extendleft(reversed(self._taken[1:]))
            self._number = begins


def table_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, cells that are not empty) for every row. Raises TableError at the first bad one."""
    with Rows(path, columns) as rows:
        for row in rows:
            if isinstance(row, BadRow):
                raise TableError(f"{rows.name}, line {row.line}: {row.reason}")
            yield row.line, {c: cell for c, cell in zip(rows.columns, row.cells, strict=True) if cell}


def _text(raw: bytes) -> tuple[str] | str:
    """The text of a row's bytes in a tuple, or what is wrong with them."""
    if len(raw) > LINE_LENGTH_MAX:
        return TOO_LONG
    if b"\0" in raw:
        return NUL
    try:
        return (raw.decode(),)
    except UnicodeDecodeError:
        return NOT_UTF8


def _plain(line: bytes) -> list[str] | str:
    text = _text(line)
    if isinstance(text, str):
        return text
    if b"\r" in line[:-2]:
        return NOT_CSV  # the line ends of very old files, or a stray one
    return [cell.strip() for cell in text[0].split(",")]


def _parsed(raw: bytes) -> list[str] | str:
    text = _text(raw)
    if isinstance(text, str):
        return text
    csv.field_size_limit(LINE_LENGTH_MAX)
    try:
        return [cell.strip() for cell in next(csv.reader([text[0]], strict=True))]
    except csv.Error:
        return NOT_CSV


def _wrong_width(cells: int, width: int) -> str:
    return f"{cells} cells, the header has {width}. Put quotation marks around a cell that holds a comma."


def _shown(line: bytes) -> str:
    text = line[:TEXT_SHOWN_MAX].decode(errors="backslashreplace").replace("\0", "\\x00").rstrip("\r\n")
    return text + " ..." if len(line) > TEXT_SHOWN_MAX else text


_APART = ((";", "semicolons"), ("\t", "tabs"), ("|", "upright strokes"))


def _checked_header(name: str, header: list[str], columns: tuple[str, ...]) -> list[str]:
    if len(header) == 1 and (apart := next((words for mark, words in _APART if mark in header[0]), "")):
        raise TableError(f"{name}, line 1: {apart} between the columns. Save it as CSV with commas.")
    # A header may itself be data (a file without one): only words that look like column names are repeated.
    unknown = [c for c in header if c not in columns]
    if unknown:
        sayable = [c for c in unknown if re.fullmatch(r"[a-z_]{1,40}", c)]
        all_sayable = len(sayable) == len(unknown)
        said = ", ".join(sayable[:10]) if all_sayable else f"{len(unknown)} that are not names of columns"
        raise TableError(f"{name}, line 1: unknown columns: {said}. Allowed are: {', '.join(columns)}.")
    if len(set(header)) != len(header):
        twice = sorted({c for c in header if header.count(c) > 1})
        raise TableError(f"{name}, line 1: column twice: {', '.join(twice)}. Keep one of each.")
    if columns[0] not in header:
        raise TableError(f"{name}, line 1: the column {columns[0]} is missing. Add it: every row needs one.")
    return header


def _date(column: str, text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise BadCell(column, "is not a date. Write it as YYYY-MM-DD, or leave the cell empty.") from None


def _age(row: dict[str, str]) -> float | None:
    text = row.get("age")
    if text is None:
        return None
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= 120:
        raise BadCell("age", "is not a number of years, 0 to 120. Mend it or empty it.")
    if "observed_on" not in row:
        raise BadCell("age", "without observed_on. Add the day the child was that age.")
    return age


# As registers write it; "" is "not known".
_SEXES = {
    **dict.fromkeys(("female", "f", "girl"), "female"),
    **dict.fromkeys(("male", "m", "boy"), "male"),
    **dict.fromkeys(
        ("unknown", "u", "other", "x", "not known", "n/k", "nk", "indeterminate", "not specified"), ""
    ),
}


def _sex(row: dict[str, str]) -> str | None:
    text = row.get("sex")
    if text is None:
        return None
    if (sex := _SEXES.get(text.lower())) is None:
        raise BadCell("sex", 'is neither "female" nor "male". Mend it or empty it.')
    return sex or None


def described(row: dict[str, str]) -> Description:
    """What a row says of a child, by column. Raises BadCell."""
    aliases = tuple(filter(None, (a.strip() for a in row.get("aliases", "").split(";"))))
    return Description(
        given_names=row.get("given_names"),
        family_name=row.get("family_name"),
        aliases=aliases,
        date_of_birth=_date("date_of_birth", row.get("date_of_birth")),
        age=_age(row),
        observed_on=_date("observed_on", row.get("observed_on")),
        sex=_sex(row),
        address=row.get("address"),
        postcode=row.get("postcode"),
        school=row.get("school"),
        phone=row.get("phone"),
        guardian=row.get("guardian"),
        upn=row.get("upn"),
        nhs_number=row.get("nhs_number"),
    )


def described_as_far(row: dict[str, str]) -> tuple[Description, list[BadCell]]:
    """The same from the cells that can be used, and what is wrong with the others, which count as empty. Dates and
    ages are read in whatever way they are written, if it is one that can be read."""
    usable, wrong = dict(row), list[BadCell]()
    while True:
        try:
            return described(usable), wrong
        except BadCell as bad:
            text = usable.pop(bad.column)
            if read := _loosely(bad.column, text):
                usable[bad.column] = read
            else:
                wrong.append(bad)


def _loosely(column: str, text: str) -> str:
    """A cell that `described` can use, for one that it cannot as it is written; "" where there is none."""
    if column == "age":
        age = loose_age(text)
        return "" if age is None or str(age) == text else str(age)
    day = loose_date(text) if column in ("date_of_birth", "observed_on") else None
    return day.isoformat() if day else ""
