"""The made-up registry and notes of strata.py as files: `python -m tests.linkage.tables FOLDER [children] [notes]`.

Writes known.csv and notes.csv as `earlysign link` takes them, and truth.csv (note_id, stratum, child_id, empty
for a child who is not registered). Notes: so many of each kind.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from server.linkage.standardise import Description
from server.linkage.table import KNOWN_COLUMNS, NOTE_COLUMNS
from tests.linkage.measure import SEED
from tests.linkage.strata import Case, make_cases, make_registry


def cells(description: Description) -> dict[str, str]:
    """What is known of a child, by column."""
    row = {}
    for name in description.__struct_fields__:
        value = getattr(description, name)
        if value is not None:
            row[name] = ";".join(value) if name == "aliases" else str(value)
    return row


def write_tables(folder: Path, known: dict[int, Description], cases: Iterable[Case]) -> None:
    """Write the three files into an existing folder."""
    with (folder / "known.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, KNOWN_COLUMNS)
        rows.writeheader()
        for child_id, description in known.items():
            rows.writerow({"child_id": f"K{child_id}"} | cells(description))
    with (
        (folder / "notes.csv").open("w", encoding="utf-8", newline="") as notes,
        (folder / "truth.csv").open("w", encoding="utf-8", newline="") as truth,
    ):
        rows, answers = csv.DictWriter(notes, NOTE_COLUMNS), csv.writer(truth)
        rows.writeheader()
        answers.writerow(("note_id", "stratum", "child_id"))
        for number, case in enumerate(cases):
            rows.writerow({"note_id": f"N{number}"} | cells(case.note))
            answers.writerow((f"N{number}", case.stratum, "" if case.truth is None else f"K{case.truth}"))


def main() -> None:
    """Make and write."""
    folder = Path(sys.argv[1])
    children = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    each = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    folder.mkdir(parents=True, exist_ok=True)
    registry = make_registry(children, SEED)
    write_tables(folder, registry.known, make_cases(registry, each, SEED))
    print(f"seed {SEED}, {len(registry.known):,} known children written to {folder}")


if __name__ == "__main__":
    main()
