"""The parts of the bench: each measures one thing, prints its table and gives its bars."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from math import isnan
from typing import Any, NamedTuple

import msgspec

from tests.bench.linkage import accuracy, data, peers
from tests.bench.linkage.accuracy import Fit
from tests.bench.linkage.bars import Kept, Part
from tests.bench.linkage.registry import CITIES, registry
from tests.linkage.measure import Decile, by_stratum, together

MUST = {"FEBRL4": 0.9957, "FEBRL3": 0.9847, "pseudopeople": 0.979}
STRETCH = {"FEBRL4": 0.997, "FEBRL3": 0.988, "pseudopeople": 0.985}
SPLINK_MORE = 0.03
"""By how much of recall ours is to be ahead of Splink."""
PROCESS_SECONDS_MAX = 3_600


class Sizes(NamedTuple):
    """How large a run is: children and notes of each kind of the city, notes as they come about each of the cities of
    `calibration`, registries for speed, notes to time, and queries to Splink to time beside them."""

    children: int
    each: int
    natural: int
    speed: tuple[int, ...]
    notes: int
    times: int


Work = Callable[[Part, Kept, Sizes], None]


def parts(sizes: Sizes) -> dict[str, Work]:
    """Every part by its name, in the order of a whole run; "registry-N" only makes what others read."""
    made = sorted({sizes.children, *sizes.speed})
    return (
        {name: _public(make) for name, make in _SETS.items()}
        | {f"registry-{size}": _making(size) for size in made}
        | {"city": _city, "splink": _splink, "ahead": _ahead}
        | {f"speed-{size}": _speed(size) for size in sizes.speed}
        | {"rounds": _rounds}
        | {f"city-{seed}": _deciding(seed) for seed in CITIES}
        | {"calibration": _calibration}
    )


_SETS: dict[str, Callable[[], data.Data]] = {
    "febrl4": data.febrl4,
    "febrl3": data.febrl3,
    "pseudopeople": data.pseudopeople,
}


def _public(make: Callable[[], data.Data]) -> Work:
    def work(part: Part, kept: Kept, sizes: Sizes) -> None:
        held = make()
        print(
            f"{'data':14}{'method':20}{'best F1':>9}{'precision':>11}{'recall':>8}   linked: precision / recall"
        )
        own = accuracy.ours_public(held)
        _fit(held.name, "ours", own)
        _fit("", "Splink 5", accuracy.peer_fit(held, peers.splink_pairs(peers.splink_linker(held))))
        _fit("", "recordlinkage ECM", accuracy.peer_fit(held, peers.ecm_pairs(held)))
        part.least(f"{held.name} best F1", own.f1, MUST[held.name], STRETCH[held.name])

    return work


def _fit(name: str, method: str, fit: Fit) -> None:
    linked = "" if isnan(fit.linked_precision) else f"{fit.linked_precision:.4f} / {fit.linked_recall:.4f}"
    print(f"{name:14}{method:20}{fit.f1:9.4f}{fit.precision:11.4f}{fit.recall:8.4f}   {linked}", flush=True)


def _making(size: int) -> Work:
    def work(part: Part, kept: Kept, sizes: Sizes) -> None:
        held = registry(size, sizes.each)
        print(f"{size:,} children in {held.database.stat().st_size / 2**20:,.0f} MiB")

    return work


def _city(part: Part, kept: Kept, sizes: Sizes) -> None:
    own = accuracy.ours_city(registry(sizes.children, sizes.each))
    print(f"Generated population, {sizes.children:,} children, {sizes.each} notes of each kind")
    print(f"{'stratum':24}{'notes':>7}{'link':>8}{'wrong':>7}{'review':>8}{'found':>8}")
    for row in by_stratum(own.outcomes):
        shares = "".join(f"{100 * n / row.notes:7.1f}%" for n in (row.review, row.found))
        print(f"{row.stratum:24}{row.notes:7}{100 * row.link / row.notes:7.1f}%{row.wrong:7}{shares}")
    stratum, worst = own.worst
    recall = part.figures["recall"] = own.recall(identifiable=True)
    print(f"precision {own.precision:.5f}, recall {own.recall(identifiable=False):.4f} of all notes about registered "
          f"children, {recall:.4f} of identifiable ones")  # fmt: skip
    part.least(f"precision of links, worst stratum ({stratum})", worst, 0.999, 0.9997)
    part.least("recall of identifiable notes at our precision", recall, 0.80, 0.87)
    part.most("unregistered siblings linked", own.share("unregistered sibling"), 0.001, 0.0)
    part.most("unregistered twins linked", own.share("unregistered twin"), 0.0)
    part.least("true child among the candidates", own.found, 0.95, 0.97)
    part.most("identifiable notes sent to review", own.review, 0.15)


def _deciding(seed: int) -> Work:
    def work(part: Part, kept: Kept, sizes: Sizes) -> None:
        """The deciles of one city, kept for `calibration`."""
        deciles = accuracy.city_calibration(sizes.children, sizes.natural, seed)
        kept.file(_deciles_of(seed)).write_bytes(msgspec.json.encode(deciles))
        _tell(deciles, f"{sizes.natural:,} notes as they come, {sizes.children:,} children, seed {seed}")

    return work


def _deciles_of(seed: int) -> str:
    return f"deciles-{seed}"


def _tell(deciles: list[Decile], what: str) -> None:
    print(f"{what}: the best candidate's probability, by decile above one half")
    for decile in deciles:
        print(f"  {decile}")


def _calibration(part: Part, kept: Kept, sizes: Sizes) -> None:
    """All cities together."""
    files = [kept.file(_deciles_of(seed)) for seed in CITIES]
    if not all(file.exists() for file in files):
        sys.exit("Run the parts city-SEED first.")
    deciles = together(msgspec.json.decode(file.read_bytes(), type=list[Decile]) for file in files)
    _tell(deciles, f"{len(CITIES)} cities together ({accuracy.DECILE_NOTES_MIN} notes or more count)")
    part.most("calibration error of a decile, points", accuracy.calibration_error(deciles), 2.0, 1.0, ".2f")


def _splink(part: Part, kept: Kept, sizes: Sizes) -> None:
    peer, settings = accuracy.splink_city(registry(sizes.children, sizes.each))
    kept.file("splink-settings").write_text(json.dumps(settings))
    print(f"Splink on the same population: {'stratum':20}{'notes':>7}{'link':>8}{'wrong':>7}")
    for stratum, (notes, right, wrong) in peer.linked.items():
        print(f"{'':31}{stratum:20}{notes:7}{100 * (right + wrong) / notes:7.1f}%{wrong:7}")
    print(f"precision {peer.precision:.5f}, recall {peer.recall:.4f} of all at {accuracy.SURE}; "
          f"{peer.recall_at_precision:.4f} of identifiable ones at a precision of .999")  # fmt: skip
    part.figures["recall"] = peer.recall_at_precision


def _ahead(part: Part, kept: Kept, sizes: Sizes) -> None:
    """Ours beside Splink, of what city and splink found."""
    own, peer = kept.read("city"), kept.read("splink")
    if not (own and peer):
        sys.exit("Run the parts city and splink first.")
    print(f"recall of identifiable notes at a precision of .999: ours {own.figures['recall']:.4f}, "
          f"Splink {peer.figures['recall']:.4f}")  # fmt: skip
    ahead = own.figures["recall"] - peer.figures["recall"]
    part.least("recall beyond Splink's at precision .999", ahead, SPLINK_MORE)


def _speed(size: int) -> Work:
    def work(part: Part, kept: Kept, sizes: Sizes) -> None:
        f = _measured(size, sizes.each, sizes.notes)
        print(f"{'one note against':>18}{'CPU p50':>10}{'p99':>8}{'wall p50':>11}{'p99':>8} ms{'compared':>10}"
              f"{'p99':>6}{'memory':>9} MiB{'database':>10} MiB")  # fmt: skip
        print(f"{size:18,}{f['cpu_p50_ms']:10.3f}{f['cpu_p99_ms']:8.2f}{f['p50_ms']:11.3f}{f['p99_ms']:8.2f}   "
              f"{f['compared']:10.0f}{f['compared_p99']:6.0f}{f['peak_mib']:9.0f}    "
              f"{f['database_mib']:10.0f}")  # fmt: skip
        if size == max(sizes.speed):
            part.most(f"one note, {size:,}, CPU p50, ms", f["cpu_p50_ms"], 0.4, 0.25, ".3f")
            part.most(f"one note, {size:,}, CPU p99, ms", f["cpu_p99_ms"], 3.0, 1.5, ".2f")
            part.most(f"memory of the process at {size:,}, MiB", f["peak_mib"], 1024, 400, ".0f")

    return work


def _rounds(part: Part, kept: Kept, sizes: Sizes) -> None:
    """The same notes by ours and by Splink's two online queries, in rounds, at the largest size."""
    settings = kept.file("splink-settings")
    if not settings.exists():
        sys.exit("Splink's settings are not there yet: run the part splink first.")
    f = _measured(max(sizes.speed), sizes.each, sizes.notes, "--splink", str(settings),
                  "--times", str(sizes.times))  # fmt: skip
    print(f"in rounds, wall p50 (p99): ours over SQLite {f['ours_p50_ms']:.3f} ({f['ours_p99_ms']:.2f}) ms, in memory "
          f"{f['memory_p50_ms']:.3f} ({f['memory_p99_ms']:.2f}) ms, Splink predict_between "
          f"{f['between_p50_ms']:.0f} ({f['between_p99_ms']:.0f}) ms, score_pairs with 20 candidates "
          f"{f['pairs_p50_ms']:.0f} ({f['pairs_p99_ms']:.0f}) ms")  # fmt: skip
    for what, name, must in (
        ("predict_between", "between", 4500),
        ("score_pairs (compare_records)", "pairs", 90),
    ):
        for where, own in (("over SQLite", "ours"), ("in memory, as Splink", "memory")):
            of_each = f[f"{name}_rounds" if own == "ours" else f"memory_{name}_rounds"]
            each = ", ".join(f"{ratio:,.0f}" for ratio in of_each)
            print(f"times faster than {what}, {where}, round by round: {each}")
            times = f[f"{name}_p50_ms"] / f[f"{own}_p50_ms"]
            if own == "memory":  # like beside like; over SQLite a note has a bar of its own, in ms
                part.least(f"times faster than {what}, {where}", times, must, form=".0f")
            else:
                print(f"times faster than {what}, {where}: {times:,.0f}")


def _measured(children: int, each: int, notes: int, *more: str) -> dict[str, Any]:
    """Figures of `speed`, from a process of its own. The registry is made before: its memory is not measured."""
    registry(children, each)
    command = [sys.executable, "-m", "tests.bench.linkage.speed", "--children", str(children), "--each", str(each),
               "--notes", str(notes), *more]  # fmt: skip
    with tempfile.TemporaryFile("w+") as told:
        ran = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=told, text=True, timeout=PROCESS_SECONDS_MAX
        )
        if ran.returncode:
            told.seek(0)
            sys.exit(f"The measure of speed at {children:,} failed:\n{told.read()[-2000:]}")
    figures: dict[str, Any] = json.loads(ran.stdout)
    return figures
