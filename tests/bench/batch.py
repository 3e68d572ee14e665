"""How long `earlysign train` and `earlysign relink` take: `python -m tests.bench.batch [--children 200000]`.

A made-up registry as CSV, of which one child in fifty stands twice, the second time as notes are written, and one note
to fifty children. Each command runs in a process of its own, whose CPU seconds and peak memory are the system's own
figures; of the pairs that relink proposes it says how many are right and how many were found. With --only train or
--only relink, that alone. Registries are made in a temporary folder and thrown away.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from server.linkage.standardise import Description
from server.linkage.table import KNOWN_COLUMNS, NOTE_COLUMNS
from tests.linkage.strata import WRITERS, Registry, make_registry, natural_cases, told_of
from tests.linkage.tables import cells

SEED = 20261128
TWICE_SHARE = 1 / 50
NOTES_SHARE = 1 / 50
TWICE = ("plain", "redressed", "moved", "transliterated", "data entry", "short form", "swapped names")
"""How a child who stands twice is written the second time."""
SECONDS_MAX = 3_600


class Ran(NamedTuple):
    """A command that ended: by the clock, CPU, and peak memory."""

    seconds: float
    cpu_seconds: float
    peak_mib: float

    def __str__(self) -> str:
        return f"{self.seconds:7.0f} s, {self.cpu_seconds:6.0f} CPU s, {self.peak_mib:6.0f} MiB"


def second_records(registry: Registry, random: Random) -> Iterator[tuple[int, Description]]:
    """Children of the registry, and how each is written a second time."""
    people = registry.city.people
    known = sorted(registry.known)
    for child in random.sample(known, int(len(known) * TWICE_SHARE)):
        way = random.choice(TWICE)
        yield child, WRITERS[way](people[child], told_of(people[child]), random)


def write_files(folder: Path, children: int, seed: int) -> set[tuple[str, str]]:
    """known.csv and notes.csv; the pairs of ids that are one child."""
    registry, random = make_registry(children, seed), Random(seed)
    truth = set()
    with (folder / "known.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, KNOWN_COLUMNS, extrasaction="ignore")
        rows.writeheader()
        for child, described in registry.known.items():
            rows.writerow({"child_id": f"c{child}"} | cells(described))
        for child, described in second_records(registry, random):
            rows.writerow({"child_id": f"d{child}"} | cells(described))
            truth.add((f"c{child}", f"d{child}"))
    with (folder / "notes.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, NOTE_COLUMNS)
        rows.writeheader()
        for number, case in enumerate(natural_cases(registry, int(children * NOTES_SHARE), seed)):
            rows.writerow({"note_id": f"n{number}"} | cells(case.note))
    return truth


def ran(*arguments: str) -> Ran:
    """An earlysign command, run to its end; a failure ends the bench with what it said."""
    with tempfile.TemporaryFile("w+") as said:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", *arguments], stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"earlysign {arguments[0]} failed:\n{said.read()[-2000:]}")
    return Ran(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def judged(pairs: Path, truth: set[tuple[str, str]]) -> str:
    """How many proposed pairs are right, and how many of the true ones are there."""
    with pairs.open(encoding="utf-8", newline="") as file:
        found = {(row["child_id"], row["other_child_id"]) for row in csv.DictReader(file)}
    found = {(one, other) if one < other else (other, one) for one, other in found}
    right = len(found & truth)
    share = right / max(len(found), 1)
    return f"{len(found):,} pairs, {share:.4f} right, {right / len(truth):.4f} of {len(truth):,} found"


def main() -> None:
    """Make, run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=200_000)
    parser.add_argument("--only", choices=("train", "relink"))
    arguments = parser.parse_args()
    print(
        f"seed {SEED}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, {arguments.children:,} children"
    )
    with tempfile.TemporaryDirectory(prefix="earlysign-bench-batch-") as name:
        folder = Path(name)
        truth = write_files(folder, arguments.children, SEED)
        known, notes, model, pairs = (
            str(folder / file) for file in ("known.csv", "notes.csv", "model.json", "pairs.csv")
        )
        if arguments.only != "relink":
            print(f"train  {ran('train', '--known', known, '--notes', notes, '--out', model)}", flush=True)
        if arguments.only != "train":
            print(f"relink {ran('relink', '--known', known, '--out', pairs)}", flush=True)
            print(f"       {judged(Path(pairs), truth)}", flush=True)


if __name__ == "__main__":
    main()
