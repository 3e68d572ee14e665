"""The bench of linkage, ours beside its peers: `python -m tests.bench.linkage [--quick]`.

Without --quick: a million children for accuracy, 100,000, 1 and 2 million for speed. The first run takes some 30
minutes on 2 cores, most of them to make the registries, which are kept in the temporary folder (3 GB).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from math import isnan
from pathlib import Path
from typing import Any

from tests.bench.linkage import accuracy, data, peers
from tests.bench.linkage.accuracy import City, CitySplink, Fit
from tests.bench.linkage.registry import NATURAL_NOTES, SEED, registry
from tests.linkage.measure import by_stratum

MUST = {"FEBRL4": 0.9957, "FEBRL3": 0.9847, "pseudopeople": 0.979}
STRETCH = {"FEBRL4": 0.997, "FEBRL3": 0.988, "pseudopeople": 0.985}


class Bars:
    """What LINKAGE.md asks for, and what was measured."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, bool, str]] = []

    def least(
        self, what: str, value: float, must: float, stretch: float | None = None, form: str = ".4f"
    ) -> None:
        """`value` shall be this much or more."""
        self._add(what, value, must, stretch, form, 1)

    def most(
        self, what: str, value: float, must: float, stretch: float | None = None, form: str = ".4f"
    ) -> None:
        """`value` shall be this much or less."""
        self._add(what, value, must, stretch, form, -1)

    def _add(self, what: str, value: float, must: float, stretch: float | None, form: str, way: int) -> None:
        holds = way * value >= way * must
        said = "must holds" if holds else "MUST FAILS"
        if stretch is not None:
            said += ", stretch holds" if way * value >= way * stretch else ", stretch not"
        asked = f"{must:{form}}" + (f" / {stretch:{form}}" if stretch is not None else "")
        self._rows.append((what, f"{value:{form}}", holds, f"{asked:>19}  {said}"))

    def report(self) -> None:
        """Print the table."""
        print("\nBars of LINKAGE.md (must / stretch)")
        for what, value, _, said in self._rows:
            print(f"  {what:54}{value:>11}  {said}")

    @property
    def broken(self) -> list[str]:
        """Names of the must bars that do not hold."""
        return [what for what, _, holds, _ in self._rows if not holds]


def public(bars: Bars, *, quick: bool) -> None:
    """FEBRL3, FEBRL4 and pseudopeople."""
    print(
        f"\n{'data':14}{'method':20}{'best F1':>9}{'precision':>11}{'recall':>8}   linked: precision / recall"
    )
    sets = [data.febrl4, data.febrl3] + ([] if quick else [data.pseudopeople])
    for make in sets:
        held = make()
        own = accuracy.ours_public(held)
        _fit(held.name, "ours", own)
        _fit("", "Splink 5", accuracy.peer_fit(held, peers.splink_pairs(peers.splink_linker(held))))
        _fit("", "recordlinkage ECM", accuracy.peer_fit(held, peers.ecm_pairs(held)))
        bars.least(f"{held.name} best F1", own.f1, MUST[held.name], STRETCH[held.name])


def _fit(name: str, method: str, fit: Fit) -> None:
    linked = "" if isnan(fit.linked_precision) else f"{fit.linked_precision:.4f} / {fit.linked_recall:.4f}"
    print(f"{name:14}{method:20}{fit.f1:9.4f}{fit.precision:11.4f}{fit.recall:8.4f}   {linked}")


def city(bars: Bars, children: int, each: int) -> dict[str, Any]:
    """The generated population; gives Splink's trained settings."""
    held = registry(children, each)
    own = accuracy.ours_city(held)
    peer, settings = accuracy.splink_city(held)
    print(f"\nGenerated population, {children:,} children, {each} notes of each kind")
    print(f"{'stratum':24}{'notes':>7}{'link':>8}{'wrong':>7}{'review':>8}{'found':>8}   Splink: link, wrong")
    for row in by_stratum(own.outcomes):
        notes, right, wrong = peer.linked[row.stratum]
        shares = "".join(f"{100 * n / row.notes:7.1f}%" for n in (row.review, row.found))
        print(f"{row.stratum:24}{row.notes:7}{100 * row.link / row.notes:7.1f}%{row.wrong:7}{shares}"
              f"{100 * (right + wrong) / notes:10.1f}%{wrong:7}")  # fmt: skip
    print(
        f"{NATURAL_NOTES * each:,} notes as they come: the best candidate's probability, by decile above one half"
        f" ({accuracy.DECILE_NOTES_MIN} notes or more count)"
    )
    for decile in own.calibration:
        print(f"  {decile}")
    _city_bars(bars, own, peer)
    return settings


def _city_bars(bars: Bars, own: City, peer: CitySplink) -> None:
    stratum, worst = own.worst
    recall = own.recall(identifiable=True)
    print(f"ours:   precision {own.precision:.5f}, recall {own.recall(identifiable=False):.4f} of all notes about "
          f"registered children, {recall:.4f} of identifiable ones")  # fmt: skip
    print(f"Splink: precision {peer.precision:.5f}, recall {peer.recall:.4f} of all at {accuracy.SURE}; "
          f"{peer.recall_at_precision:.4f} of identifiable ones at a precision of .999")  # fmt: skip
    bars.least(f"precision of links, worst stratum ({stratum})", worst, 0.999, 0.9997)
    bars.least("recall of identifiable notes at our precision", recall, 0.80, 0.87)
    bars.least("  more than Splink at precision .999", recall - peer.recall_at_precision, 0.03)
    bars.most("unregistered siblings linked", own.share("unregistered sibling"), 0.001, 0.0)
    bars.most("unregistered twins linked", own.share("unregistered twin"), 0.0)
    bars.least("true child among the candidates", own.found, 0.95, 0.97)
    bars.most("calibration error of a decile, points", own.calibration_error, 2.0, 1.0, ".2f")
    bars.most("identifiable notes sent to review", own.review, 0.15)


def speed(bars: Bars, sizes: list[int], each: int, notes: int, times: int, settings: dict[str, Any]) -> None:
    """One note, at each size; at the largest with Splink in turn."""
    print(f"\n{'one note against':>18}{'CPU p50':>10}{'p99':>8}{'wall p50':>11}{'p99':>8} ms{'compared':>10}{'p99':>6}"
          f"{'memory':>9} MiB{'database':>10} MiB")  # fmt: skip
    figures: dict[str, float] = {}
    for size in sizes:
        f = figures = _measured(size, each, notes)
        print(f"{size:18,}{f['cpu_p50_ms']:10.3f}{f['cpu_p99_ms']:8.2f}{f['p50_ms']:11.3f}{f['p99_ms']:8.2f}   "
              f"{f['compared']:10.0f}{f['compared_p99']:6.0f}{f['peak_mib']:9.0f}    "
              f"{f['database_mib']:10.0f}")  # fmt: skip
    bars.most(f"one note, {sizes[-1]:,}, CPU p50, ms", figures["cpu_p50_ms"], 0.4, 0.25, ".3f")
    bars.most(f"one note, {sizes[-1]:,}, CPU p99, ms", figures["cpu_p99_ms"], 3.0, 1.5, ".2f")
    bars.most(f"memory of the process at {sizes[-1]:,}, MiB", figures["peak_mib"], 1024, 400, ".0f")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(settings, file)
        file.flush()
        turns = _measured(sizes[-1], each, times, "--splink", file.name)
    print(f"in turn, wall p50 (p99): ours {turns['ours_p50_ms']:.3f} ms, Splink predict_between "
          f"{turns['between_p50_ms']:.0f} ({turns['between_p99_ms']:.0f}) ms, score_pairs with 20 candidates "
          f"{turns['pairs_p50_ms']:.0f} ({turns['pairs_p99_ms']:.0f}) ms")  # fmt: skip
    bars.least(
        "times faster than predict_between", turns["between_p50_ms"] / turns["ours_p50_ms"], 4500, form=".0f"
    )
    bars.least("times faster than score_pairs (compare_records)", turns["pairs_p50_ms"] / turns["ours_p50_ms"], 90,
               form=".0f")  # fmt: skip


def _measured(children: int, each: int, notes: int, *more: str) -> dict[str, float]:
    """Figures of `speed`, from a process of its own. The registry is made before: its memory is not measured."""
    registry(children, each)
    command = [sys.executable, "-m", "tests.bench.linkage.speed", "--children", str(children), "--each", str(each),
               "--notes", str(notes), *more]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    if ran.returncode:
        sys.exit(f"The measure of speed at {children:,} failed:\n{ran.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(ran.stdout)
    return figures


def main() -> int:
    """Run everything; the exit code is 1 where a must bar breaks in a whole run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, two minutes: that it runs, not the bars"
    )
    parser.add_argument("--children", type=int, default=None, help="of the generated population")
    parser.add_argument("--each", type=int, default=None, help="notes of each kind")
    parser.add_argument(
        "--sizes", type=str, default=None, help="registries for speed, such as 100000,2000000"
    )
    arguments = parser.parse_args()
    quick = arguments.quick
    children = arguments.children or (5_000 if quick else 1_000_000)
    each = arguments.each or (60 if quick else 500)
    sizes = [int(n) for n in (arguments.sizes or ("5000" if quick else "100000,1000000,2000000")).split(",")]
    began = time.monotonic()
    print(
        f"seed {SEED}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, cache in {Path(data.CACHE)}"
    )
    bars = Bars()
    public(bars, quick=quick)
    settings = city(bars, children, each)
    speed(bars, sizes, each, 500 if quick else 4_000, 5 if quick else 30, settings)
    bars.report()
    print(f"\n{time.monotonic() - began:.0f} s")
    if quick:
        print("A quick run shows that everything works; its sizes say nothing about the bars.")
        return 0
    return 1 if bars.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
