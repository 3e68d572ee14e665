"""The data sets, as ours and as the peers see them.

The peers get the columns that a careful user of theirs would make: FEBRL's own, elsewhere the fields of our
standardised records, so that none of them loses by untidy text.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.linkage.standardise import Description, Record, standardise
from tests.linkage import febrl
from tests.linkage.public import census

CACHE = Path(tempfile.gettempdir()) / f"earlysign-bench-{os.getuid()}"
"""Where everything is kept that takes long to make."""

PSEUDOPEOPLE = "pseudopeople>=1.3,<2"
_CENSUS = """
import sys, warnings
import pseudopeople
warnings.filterwarnings("ignore")
for year in (2020, 2030):
    pseudopeople.generate_decennial_census(year=year, seed=0).to_csv(f"{sys.argv[1]}/{year}.csv", index=False)
"""

Row = dict[str, Any]


@dataclass
class Data:
    """One data set. `known` and `notes` are (person, description); without notes, `known` is to be deduplicated.

    `peers`: rows of columns for each side, with `unique_id` "<side>-<number>".
    """

    name: str
    kind: str
    known: list[tuple[str, Description]]
    notes: list[tuple[str, Description]] = field(default_factory=list)
    peers: list[list[Row]] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """How many pairs are true."""
        if self.notes:
            known = {person for person, _ in self.known}
            return sum(person in known for person, _ in self.notes)
        counts: dict[str, int] = {}
        for person, _ in self.known:
            counts[person] = counts.get(person, 0) + 1
        return sum(n * (n - 1) // 2 for n in counts.values())

    def is_true(self, left: str, right: str) -> bool:
        """Whether two unique ids of the peers are one person."""
        return self._person(left) == self._person(right)

    def _person(self, unique_id: str) -> str:
        side, number = unique_id.split("-")
        return (self.known, self.notes)[int(side)][int(number)][0]


def febrl3() -> Data:
    """5,000 records, duplicates among them."""
    known = [(str(person), one) for person, one in febrl.people("dataset3")]
    return Data("FEBRL3", "febrl", known, peers=[_febrl_rows("dataset3", 0)])


def febrl4() -> Data:
    """5,000 people, and 5,000 notes of them."""
    known, notes = ([(str(person), one) for person, one in febrl.people(f"dataset4{side}")] for side in "ab")
    return Data(
        "FEBRL4", "febrl", known, notes, peers=[_febrl_rows("dataset4a", 0), _febrl_rows("dataset4b", 1)]
    )


def _febrl_rows(name: str, side: int) -> list[Row]:
    folder = febrl.folder()
    assert folder is not None
    rows = []
    with (folder / f"{name}.csv").open(newline="") as file:
        for number, raw in enumerate(csv.DictReader(file, skipinitialspace=True)):
            row: Row = {column.strip(): cell.strip() or None for column, cell in raw.items()}
            del row["rec_id"], row["soc_sec_id"]
            rows.append({"unique_id": f"{side}-{number}", **row})
    return rows


def pseudopeople() -> Data:
    """Two censuses ten years apart of a made-up place; the package lives in an environment of its own, since it
    asks for another pandas than ours."""
    folder = CACHE / "pseudopeople"
    if not (folder / "2030.csv").exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        python = folder / "venv" / "bin" / "python"
        if not python.exists():
            venv.create(folder / "venv", with_pip=True, clear=True)
        _quietly([str(python), "-m", "pip", "install", "--quiet", PSEUDOPEOPLE])
        _quietly([str(python), "-c", _CENSUS, str(folder)])
    known, notes = list(census(folder / "2020.csv")), list(census(folder / "2030.csv"))
    return Data("pseudopeople", "record", known, notes, [record_rows(known, 0), record_rows(notes, 1)])


def _quietly(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if ran.returncode:
        sys.exit(f"{' '.join(command[:4])} failed:\n{ran.stderr[-2000:]}")


def record_rows(people: Iterable[tuple[object, Description]], side: int) -> list[Row]:
    """Our standardised fields as columns."""
    return [record_row(f"{side}-{number}", standardise(one)) for number, (_, one) in enumerate(people)]


def record_row(unique_id: str, record: Record) -> Row:
    """One row for the peers; the first given name, and the initial of the second."""
    given = record.given.split()
    return {
        "unique_id": unique_id,
        "first": given[0] if given else None,
        "middle": given[1][0] if len(given) > 1 else None,
        "family": record.family or None,
        "born": f"{record.born:08d}" if record.born else None,
        "sex": record.sex or None,
        "number": record.number or None,
        "street": record.address or None,
        "postcode": record.postcode or None,
        "outward": record.outward or None,
        "school": record.school or None,
        "phone": record.phone or None,
        "guardian": record.guardian or None,
        "upn": record.upn or None,
        "nhs_number": record.nhs_number or None,
    }
