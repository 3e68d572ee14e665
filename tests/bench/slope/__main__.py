"""`python -m tests.bench.slope`: what one note costs as there are more children, and more notes.

With 10 thousand to 2 million children on the registry, and with 10 thousand to 2.6 million notes stored about 200,000
children (ten years of London's notes, about the tenth of its children who come to notice): CPU and clock of one note
on the whole road in pushes of fifty, of an empty pull, of a page of the queue and of a search, and the disk for each
child and each note. The databases are measured in turn, round by round, so that what else the machine does meets them
alike.

The rule: but for disk, nothing may grow faster than logarithmically (`told.bound`); the bench ends with 1 where
something does. The registries are imported once and kept in the temporary folder (the largest takes five minutes); the
notes are made as `growing.py` says, in some minutes and 17 GB of the same folder, which are given back at the end.
`--write` keeps what was measured for the README (measured.json) and draws its chart (slope.svg); `--draw` draws that
again, measuring nothing. `--quick` is small, for CI: it prints what the same rule says, and no time
that it measured makes it fail.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from server.app import publish
from server.casework.boroughs import default_force
from server.storage import open_store
from tests.bench.setting import Phone, database_with, enrol_phones, pushes
from tests.bench.slope import growing, told
from tests.bench.slope.measuring import NOTES_PER_PUSH, Measured, as_the_server_does, size_of
from tests.bench.slope.told import Report, Size, Slope

HERE = Path(__file__).parent
KEPT = HERE / "measured.json"
CHILDREN, NOTES = "known children", "stored notes"
PHONES = 16
PUSHES_EACH_ROUND = 4


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of both slopes. `among`: the known children beside whom notes are stored."""

    children: tuple[int, ...]
    notes: tuple[int, ...]
    among: int
    rounds: int


WHOLE = Plan(
    children=(10_000, 100_000, 1_000_000, 2_000_000),
    notes=(10_000, 300_000, 2_600_000),
    among=200_000,
    rounds=8,
)
QUICK = Plan(children=(2_000, 20_000), notes=(500, 10_000), among=20_000, rounds=4)


def by_children(plan: Plan) -> Slope:
    """More and more known children; the notes are the same, about children whom every registry has."""
    folders = [database_with(size) for size in plan.children]
    try:
        found = measure(folders, [prepared(folder, 0, plan.children[0], plan) for folder in folders], plan)
        return slope(CHILDREN, "no notes before", plan.children, found)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def by_notes(plan: Plan) -> Slope:
    """More and more stored notes; those that are measured are about children with the same history in each."""
    first = plan.notes[0]
    block = plan.among * first // plan.notes[-1]
    folders = [database_with(plan.among)]
    try:
        work = prepared(folders[0], first, block, plan)
        road = Measured(folders[0], work[1])
        road.push_unmeasured(first // NOTES_PER_PUSH)
        road.close()
        rest = work[1][first // NOTES_PER_PUSH :]
        for size in plan.notes[1:]:
            folders.append(folders[0].with_name(f"{folders[0].name}-{size}"))
            shutil.copytree(folders[0], folders[-1])
            began = time.perf_counter()
            growing.grow(folders[-1] / "earlysign.db", size // first - 1, plan.among, block)
            print(
                f"  {size:,} notes stood after {time.perf_counter() - began:.0f} s",
                file=sys.stderr,
                flush=True,
            )
        found = measure(folders, [(work[0], rest)] * len(folders), plan)
        return slope(NOTES, f"{plan.among:,} children", plan.notes, found)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


Work = tuple[list[Phone], list[tuple[Phone, bytes]]]


def prepared(folder: Path, stored: int, about: int, plan: Plan) -> Work:
    """Enrol phones, and write what they will push: `stored` notes to begin with, and those of the rounds."""
    store = open_store(folder / "earlysign.db")
    store.write_now(lambda tx: publish(tx, default_force()))
    store.close_now()
    phones = enrol_phones(folder, PHONES)
    measured = PUSHES_EACH_ROUND * (plan.rounds + 1) * NOTES_PER_PUSH
    return phones, pushes(phones, stored + measured, NOTES_PER_PUSH, about)


def measure(folders: Sequence[Path], works: Sequence[Work], plan: Plan) -> list[Size]:
    """The costs on each database, in turn; how large each was before."""
    sizes = [size_of(folder) for folder in folders]
    places = [Measured(folder, work) for folder, (_, work) in zip(folders, works, strict=True)]
    try:
        for place in places:
            place.warm()
            place.push_unmeasured(PUSHES_EACH_ROUND)
        as_the_server_does()
        for number in range(plan.rounds):
            for place, (phones, _) in zip(places, works, strict=True):
                place.push(PUSHES_EACH_ROUND)
                place.read(phones[number % PHONES])
        return [
            Size(size=0, costs=place.costs(), disk_bytes=size)
            for place, size in zip(places, sizes, strict=True)
        ]
    finally:
        for place in places:
            place.close()


def slope(of: str, beside: str, sizes: Sequence[int], found: Sequence[Size]) -> Slope:
    named = [msgspec.structs.replace(one, size=size) for size, one in zip(sizes, found, strict=True)]
    return Slope(of=of, beside=beside, sizes=named)


def draw(report: Report) -> None:
    """Write the chart that the README shows."""
    (HERE / "slope.svg").write_text(told.chart(report), encoding="utf-8")


def read_report() -> Report:
    """What was measured last with `--write`."""
    return msgspec.json.decode(KEPT.read_bytes(), type=Report)


def merged(report: Report) -> Report:
    """With `--only` one slope was measured: the other stays as it was."""
    before = read_report().slopes if KEPT.exists() else []
    slopes = {one.of: one for one in (*before, *report.slopes)}
    return msgspec.structs.replace(report, slopes=[slopes[of] for of in (CHILDREN, NOTES) if of in slopes])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small, for CI")
    parser.add_argument("--write", action="store_true", help="keep the figures and draw the README's chart")
    parser.add_argument("--draw", action="store_true", help="only draw the chart, from the figures kept")
    parser.add_argument("--only", choices=("children", "notes"), help="one of the two slopes")
    arguments = parser.parse_args()
    if arguments.draw:
        report = read_report()
        draw(report)
        print(told.tables(report))
        return 0
    plan = QUICK if arguments.quick else WHOLE
    ways = {"children": by_children, "notes": by_notes}
    report = Report(
        when=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}",
        slopes=[way(plan) for name, way in ways.items() if arguments.only in (None, name)],
    )
    print(
        f"{report.when}, {report.machine}, SQLite with synchronous=FULL; medians; pushes of {NOTES_PER_PUSH}\n"
    )
    print(told.tables(report))
    if arguments.write and not arguments.quick:
        kept = merged(report)
        KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
        draw(kept)
    found = told.faults(report)
    for fault in found:
        print(f"FASTER THAN THE LOGARITHM: {fault}")
    print("\nNothing but disk grows faster than logarithmically." if not found else "")
    return 1 if found and not arguments.quick else 0


if __name__ == "__main__":
    raise SystemExit(main())
