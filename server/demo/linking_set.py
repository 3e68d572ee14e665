"""A registry, notes about some of its children and some strangers, and the truth: to measure linkage with.

Three files, the first two as `earlysign link` takes them, the third to score its answer by.
"""

import csv
import datetime
from collections.abc import Callable
from pathlib import Path
from random import Random

from server.demo.describe import Description, describe
from server.demo.population import KNOWN_COLUMNS, PROGRESS_EVERY, TODAY, csv_row, population
from server.demo.strata import Quality

NOTE_COLUMNS = (
    "note_id", "observed_on", "given_names", "family_name", "aliases", "date_of_birth", "age", "sex",
    "address", "postcode", "school", "phone", "guardian", "upn", "nhs_number",
)  # fmt: skip
TRUTH_COLUMNS = ("note_id", "child_id", "stratum")


def write_linking_set(
    folder: Path,
    seed: int,
    children: int,
    notes: int,
    quality: Quality = Quality.MIXED,
    today: datetime.date = TODAY,
    progress: Callable[[int], None] | None = None,
) -> tuple[Path, Path, Path]:
    """Write `known.csv`, `notes.csv` and `truth.csv` into `folder` and return their paths.

    The notes are spread evenly over the registry, at most one about each child; `child_id` in the truth is
    empty for a child who is not on it. Raises ValueError for more notes than children, OSError for the disk.
    """
    if notes > children:
        raise ValueError(f"{notes} notes about {children} children: at most one note a child")
    paths = (folder / "known.csv", folder / "notes.csv", folder / "truth.csv")
    rng, written = Random(seed + 1), 0
    with (
        paths[0].open("w", encoding="utf-8", newline="") as known_file,
        paths[1].open("w", encoding="utf-8", newline="") as notes_file,
        paths[2].open("w", encoding="utf-8", newline="") as truth_file,
    ):
        known, note, truth = (
            csv.writer(f, lineterminator="\n") for f in (known_file, notes_file, truth_file)
        )
        known.writerow(KNOWN_COLUMNS)
        note.writerow(NOTE_COLUMNS)
        truth.writerow(TRUTH_COLUMNS)
        for place, child in enumerate(population(seed, children, today)):
            known.writerow(csv_row(child)[: len(KNOWN_COLUMNS)])
            if (place + 1) * notes // children > written:
                written += 1
                description = describe(child, rng, quality, on=today)
                note.writerow(note_row(f"n{written}", today, description))
                child_id = "" if description.truth is None else str(description.truth)
                truth.writerow((f"n{written}", child_id, description.stratum.value))
            if progress is not None and (place + 1) % PROGRESS_EVERY == 0:
                progress(place + 1)
    return paths


def note_row(note_id: str, observed_on: datetime.date, description: Description) -> tuple[str, ...]:
    """A description as a row under `NOTE_COLUMNS`."""
    subject = description.subject
    age = subject.get("approximate_age")
    special = {
        "note_id": note_id,
        "observed_on": observed_on.isoformat(),
        "aliases": ";".join(subject.get("aliases", ())),
        "age": "" if age is None else f"{age:g}",
    }
    return tuple(special.get(column, subject.get(column, "")) for column in NOTE_COLUMNS)
