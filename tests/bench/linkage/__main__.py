"""The bench of linkage, ours beside its peers: `python -m tests.bench.linkage [--quick] [--only PART,...] [--again]`.

Without --quick: a million children for accuracy, 100,000, 1 and 2 million for speed. Each part prints its table when
it is ready and keeps its figures in the temporary folder, so a run that was stopped goes on where it was; the end is
the table of all bars measured with this version. --parts lists the parts with how long each took.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.bench.linkage import data
from tests.bench.linkage.bars import Kept, Part
from tests.bench.linkage.parts import Sizes, parts
from tests.bench.linkage.registry import SEED, version

WHOLE = Sizes(
    children=1_000_000,
    each=500,
    natural=400_000,
    speed=(100_000, 1_000_000, 2_000_000),
    notes=4_000,
    times=30,
)
QUICK = Sizes(children=5_000, each=60, natural=3_000, speed=(5_000,), notes=500, times=5)
NOT_QUICK = "pseudopeople"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, two minutes: that it runs, not the bars"
    )
    parser.add_argument("--only", help="these parts alone, such as febrl4,city")
    parser.add_argument("--again", action="store_true", help="measure what has been measured already, too")
    parser.add_argument("--parts", action="store_true", help="list the parts, and end")
    parser.add_argument("--children", type=int, help="of the generated population")
    parser.add_argument("--each", type=int, help="notes of each kind")
    parser.add_argument("--sizes", help="registries for speed, such as 100000,2000000")
    return parser.parse_args()


def main() -> int:
    """Run the parts that are asked for; the exit code is 1 where a must bar breaks in a whole run."""
    arguments = _arguments()
    sizes = QUICK if arguments.quick else WHOLE
    sizes = sizes._replace(
        children=arguments.children or sizes.children,
        each=arguments.each or sizes.each,
        speed=tuple(map(int, arguments.sizes.split(","))) if arguments.sizes else sizes.speed,
    )
    every = parts(sizes)
    kept = Kept(f"{sizes.children}-{sizes.each}-{version()}")
    wanted = (
        arguments.only.split(",")
        if arguments.only
        else [n for n in every if not (arguments.quick and n == NOT_QUICK)]
    )
    if unknown := sorted(set(wanted) - set(every)):
        sys.exit(f"There is no part {', '.join(unknown)}; there are {', '.join(every)}.")
    if arguments.parts:
        for name in every:
            part = kept.read(name)
            print(f"{name:20}" + (f"{part.seconds:7.0f} s" if part else "  not measured"))
        return 0
    print(f"seed {SEED}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, cache in {data.CACHE}")
    for name in wanted:
        if arguments.quick or arguments.only or arguments.again or not kept.read(name):
            _measure(name, kept, sizes)
        else:
            print(f"{name}: measured before (--again measures it anew)", flush=True)
    return _report(kept, list(every), quick=arguments.quick)


def _measure(name: str, kept: Kept, sizes: Sizes) -> None:
    print(f"\n{name}", flush=True)
    part, began = Part(), time.monotonic()
    parts(sizes)[name](part, kept, sizes)
    part.seconds = time.monotonic() - began
    kept.write(name, part)
    part.report()
    print(f"  {part.seconds:.0f} s", flush=True)


def _report(kept: Kept, names: list[str], *, quick: bool) -> int:
    print("\nBars of LINKAGE.md (must / stretch)")
    found = {name: kept.read(name) for name in names}
    for part in found.values():
        if part:
            part.report()
    if missing := [name for name, part in found.items() if not part]:
        print(f"Not measured: {', '.join(missing)}")
    print(f"{sum(part.seconds for part in found.values() if part):.0f} s in all")
    if quick:
        print("A quick run shows that everything works; its sizes say nothing about the bars.")
        return 0
    return 0 if all(bar.holds for part in found.values() if part for bar in part.bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
