"""The file of rows that an import could not use: for the person who mends them, and for nobody else."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from server.linkage.csv_rows import BadRow, Row, TableError


class Rejects:
    """Writes bad rows to a file that its owner alone can read; made with the first of them.

    Each has its line, the reason, and its own cells under the columns of the file it came from. Raises
    TableError where it cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = columns
        self._file: TextIO | None = None
        self.written = 0

    def __enter__(self) -> Rejects:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, row: Row | BadRow, reason: str) -> None:
        """Add a row. One that could not be read stands as its text, in a single cell."""
        cells = [row.text] if isinstance(row, BadRow) else row.cells
        try:
            if self._file is None:
                self._file = self._open()
                self._rows = csv.writer(self._file, lineterminator="\n")
                self._rows.writerow(["line", "reason", *self._columns])
            self._rows.writerow([row.line, reason, *cells])
        except OSError as error:
            raise self._refused(error) from None
        self.written += 1

    def finish(self) -> None:
        """See that all of it is on disk before anybody is told where it is."""
        if self._file is not None:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._refused(error) from None

    def _open(self) -> TextIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self._path, flags, 0o600)
        os.fchmod(handle, 0o600)  # also where the file was there before
        return os.fdopen(handle, "w", encoding="utf-8", newline="")

    def _refused(self, error: OSError) -> TableError:
        return TableError(
            f"{self._path.name}: cannot be written ({error.strerror}). Rows that cannot be used would go there: "
            "name another place with --rejects."
        )
