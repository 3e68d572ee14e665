"""`python -m tests.bench.search`: how quickly a child is found by part of what is known, and whether it is.

Makes a database of synthetic children (`--children`, 2 million unless told), fills search's index, and runs a
mix of searches as people type them, each by a person of the child's borough or of another, whole: reading what
was typed, finding, ranking, and the entry in the audit log on disk. Prints size and build time of the index, the
cost of one more child, p50, p95 and p99, and how often the child that was meant is first, and among those shown.
`--database` is a path or `postgresql://...`, filled if it is empty and kept, so that a second run is short; `--quick`
is 20,000 children and 300 searches.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from server import searching
from server.access.identity import Person
from server.casework.pack import default_pack
from server.clock import now_ms
from server.demo.misspell import misheard, mistyped
from server.demo.population import write_registry_csv
from server.importing import import_registry
from server.linkage.asking import understand
from server.linkage.model import Model
from server.records import search
from server.records.child import Details
from server.storage import Store, Transaction, open_store
from server.world import Worlds
from tests.bench.setting import SEED
from tests.road import somebody

P95_MS_MAX = 50.0
"""The bar of issue 3, at 2 million children on SQLite."""
OTHER_BOROUGH_SHARE = 0.15
ONE_MORE = 400
"""Children put into the index again, a few at a time, to see what one costs."""


class Meant(msgspec.Struct, frozen=True):
    """A child that a search is after."""

    child_id: int
    details: Details
    borough: str


def _age(meant: Meant, rng: Random) -> str:
    born = meant.details.date_of_birth
    assert born is not None
    return str(max(1, 2026 - born.year - rng.choice((0, 0, 0, 1))))


def _given(meant: Meant) -> str:
    return (meant.details.given_names or "").split(" ")[0]


def _name(meant: Meant) -> str:
    return f"{_given(meant)} {meant.details.family_name}"


def _misspelt(name: str, rng: Random) -> str:
    words = name.split(" ")
    at = rng.randrange(len(words))
    words[at] = rng.choice((mistyped, misheard))(words[at], rng)
    return " ".join(words)


def _typed(meant: Meant, rng: Random) -> tuple[str, str]:
    """(kind, what a person types who knows a part). Kinds that this child's record cannot have are redrawn."""
    details = meant.details
    born = details.date_of_birth
    assert born is not None
    outward = (details.postcode or "").split(" ")[0]
    street = (details.address or "").split(",")[0]
    near = f"{_given(meant)} {_age(meant, rng)}"
    kinds: dict[str, tuple[int, str, str | None]] = {
        "name, age": (18, f"{_name(meant)} about {_age(meant, rng)}", "always"),
        "name": (12, _name(meant), "always"),
        "name, date": (14, f"{_name(meant)} {born.day}/{born.month}/{born.year}", "always"),
        "name misspelt, age": (10, f"{_misspelt(_name(meant), rng)} {_age(meant, rng)}", "always"),
        "name, year": (5, f"{_name(meant)} {born.year}", "always"),
        "given name, age, school": (10, f"{near}, {details.school}", details.school),
        "given name, age, district": (7, f"{near} {outward}", outward),
        "family name, postcode": (5, f"{details.family_name} {details.postcode}", details.postcode),
        "phone": (5, f"{details.phone}", details.phone),
        "end of phone": (3, f"ending {(details.phone or '').replace(' ', '')[-6:]}", details.phone),
        "postcode": (4, f"{details.postcode}", details.postcode),
        "address": (3, street, street),
        "date alone": (3, f"born {born.day} {born:%B %Y}", "always"),
        "family name alone": (5, f"{details.family_name}", details.family_name),
        "UPN": (3, f"upn {details.upn}", details.upn),
        "guardian, given name": (3, f"{_given(meant)} mum {details.guardian}", details.guardian),
    }
    likely = {kind: weight for kind, (weight, _, needed) in kinds.items() if needed}
    kind = rng.choices(list(likely), list(likely.values()))[0]
    return kind, kinds[kind][1]


def _draw(store: Store, rng: Random, last: int, count: int) -> list[Meant]:
    decoder = msgspec.json.Decoder(Details)
    ids = rng.sample(range(1, last + 1), count)

    def look(tx: Transaction) -> list[Meant]:
        rows = [
            tx.row(
                "SELECT child_id, details, home_borough, restricted FROM child WHERE child_id = :c",
                {"c": one},
            )
            for one in ids
        ]
        return [
            Meant(row[0], decoder.decode(row[1]), row[2]) for row in rows if row and not row[3] and row[2]
        ]

    return store.read_now(look)


def _build(store: Store) -> tuple[int, float, float]:
    """Fill the index: (children, seconds, the longest round in ms)."""
    done, longest, started = 0, 0.0, time.perf_counter()
    while True:
        began = time.perf_counter()
        moved = store.write_now(search.fill)
        longest = max(longest, time.perf_counter() - began)
        if not moved:
            return done, time.perf_counter() - started, longest * 1000
        done += moved


def _one_more(store: Store, last: int, rng: Random) -> tuple[float, float]:
    """(microseconds to queue a child on the road, to move it into the index later), on average."""
    ids = rng.sample(range(1, last + 1), ONE_MORE)
    # As if these were new: what the index holds of them is taken out first, in the time that is not counted.
    store.write_now(
        lambda tx: tx.executemany("DELETE FROM search_child WHERE child_id = :c", [{"c": i} for i in ids])
    )
    began = time.perf_counter()
    store.write_now(_queueing(ids))
    queued = time.perf_counter()
    while store.write_now(search.fill):
        pass
    return (queued - began) / ONE_MORE * 1e6, (time.perf_counter() - queued) / ONE_MORE * 1e6


def _queueing(ids: list[int]) -> Callable[[Transaction], None]:
    def queue(tx: Transaction) -> None:
        for child_id in ids:
            search.changed(tx, [child_id])

    return queue


def _sizes(store: Store) -> str:
    rows, size, children = store.read_now(
        lambda tx: tx.row(
            "SELECT COUNT(*), SUM(LENGTH(children)), (SELECT SUM(LENGTH(terms)) FROM search_child)"
            " FROM search_posting"
        )
    ) or (0, 0, 0)
    return f"{rows:,} packed sets, {size / 1e6:.0f} MB of them, {children / 1e6:.0f} MB of terms by child"


class Tally(msgspec.Struct):
    """What came of the searches of one kind."""

    ms: list[float] = []
    cpu_ms: list[float] = []
    meant: int = 0
    first: int = 0
    shown: int = 0
    too_many: int = 0


def _run(store: Store, model: Model, meant: list[Meant], rng: Random) -> dict[str, Tally]:
    boroughs = sorted({one.borough for one in meant})
    tallies: dict[str, Tally] = defaultdict(Tally)
    for at, one in enumerate(meant):
        other = rng.random() < OTHER_BOROUGH_SHARE
        person = somebody(f"bench{at}", borough=rng.choice(boroughs) if other else one.borough)
        kind, text = _typed(one, rng)
        began = time.perf_counter()
        found, cpu_ms = store.read_now(_searching(model, person, text))
        tally = tallies[kind]
        tally.cpu_ms.append(cpu_ms)
        tally.ms.append((time.perf_counter() - began) * 1000)
        if not other:
            ids = [hit.child.child_id for hit in found.hits]
            tally.meant += 1
            tally.first += ids[:1] == [one.child_id]
            tally.shown += one.child_id in ids
            tally.too_many += found.fitting > 0
    return tallies


def _searching(
    model: Model, person: Person, text: str
) -> Callable[[Transaction], tuple[searching.Found, float]]:
    def look(tx: Transaction) -> tuple[searching.Found, float]:
        began = time.thread_time()
        found = searching.search_for(tx, model, person, understand(text), now=now_ms())
        return found, (time.thread_time() - began) * 1000

    return look


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _report(tallies: dict[str, Tally]) -> float:
    print(
        f"\n{'searched by':28}{'n':>6}{'p50':>8}{'p95':>8}{'p99':>8} ms{'first':>8}{'shown':>8}{'too many':>10}"
    )
    every = [value for tally in tallies.values() for value in tally.ms]
    for kind, tally in sorted(tallies.items(), key=lambda pair: -len(pair[1].ms)):
        shares = [number / max(1, tally.meant) for number in (tally.first, tally.shown, tally.too_many)]
        print(f"{kind:28}{len(tally.ms):6}" + "".join(f"{_percentile(tally.ms, p):8.1f}" for p in (0.5, 0.95, 0.99))
              + "   " + "".join(f"{share:8.0%}" for share in shares))  # fmt: skip
    p95 = _percentile(every, 0.95)
    print(f"{'all':28}{len(every):6}{statistics.median(every):8.1f}{p95:8.1f}{_percentile(every, 0.99):8.1f}")
    cpu = [value for tally in tallies.values() for value in tally.cpu_ms]
    print(
        f"{'of it CPU of its thread':34}" + "".join(f"{_percentile(cpu, p):8.1f}" for p in (0.5, 0.95, 0.99))
    )
    return p95


def _database(arguments: argparse.Namespace) -> tuple[Store, Path | None]:
    folder = None if arguments.database else Path(tempfile.mkdtemp(prefix="earlysign-search-"))
    store = open_store(arguments.database or str(Path(str(folder)) / "earlysign.db"))
    store.migrate()
    if not store.read_now(lambda tx: tx.value("SELECT 1 FROM child LIMIT 1")):
        with tempfile.TemporaryDirectory() as made:
            registry = Path(made) / "known.csv"
            write_registry_csv(registry, SEED, arguments.children)
            import_registry(store, registry, now=now_ms())
        store.write_now(_queueing_all)
    return store, folder


def _queueing_all(tx: Transaction) -> None:
    """Empty the index that the import filled, and queue everybody again: the bench measures how it is built."""
    for table in ("search_posting", "search_child"):
        tx.execute(f"DELETE FROM {table}")
    tx.execute("INSERT INTO search_queue (child_id) SELECT child_id FROM child")


def run(arguments: argparse.Namespace) -> int:
    rng = Random(SEED)
    engine = "PostgreSQL" if arguments.database.startswith("postgres") else "SQLite"
    print(f"seed {SEED}, {arguments.children:,} children, {engine}")
    store, folder = _database(arguments)
    try:
        children, seconds, longest = _build(store)
        print(
            f"index: {children:,} children in {seconds:.1f} s, longest round {longest:.0f} ms; {_sizes(store)}"
        )
        last = int(store.read_now(lambda tx: tx.value("SELECT MAX(child_id) FROM child")))
        queueing, moving = _one_more(store, last, rng)
        print(f"one more child: {queueing:.0f} µs on the note's way, {moving:.0f} µs in the job")
        model = store.read_now(Worlds(default_pack()).current).decider.model
        _run(store, model, _draw(store, rng, last, 100), rng)  # warm, as a server is
        p95 = _report(_run(store, model, _draw(store, rng, last, arguments.searches), rng))
        print(f"p95 {p95:.1f} ms, must be below {P95_MS_MAX:.0f} ms")
        return 0 if p95 < P95_MS_MAX else 1
    finally:
        store.close_now()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=2_000_000)
    parser.add_argument("--searches", type=int, default=1_000)
    parser.add_argument("--database", default="", help="use and keep this one")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.children, arguments.searches = 20_000, 300
    return run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
