"""`python -m tests.bench.linkage.sketch`: what a compiled comparison could bring, for a decision that is not taken.

The slowest notes are those with the most candidates, each compared in Python. Sketched is a first look at all of them
in rapidfuzz, which is a dependency already: names by Jaro-Winkler in one call, dates of birth in another; only the
`KEPT` likest are then compared as now. It is a sketch: nicknames, sounds, crossed names and homes would have to be
looked at there too, before any candidate may be dropped. Prints CPU time of one note now, and where it goes, and the
same notes with the sketch in place of all comparisons.
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections.abc import Collection, Sequence
from typing import Any

from rapidfuzz.distance import Hamming, JaroWinkler
from rapidfuzz.process import cdist

from server.linkage.decide import Decider
from server.linkage.model import default_model
from server.linkage.score import Scorer
from server.linkage.standardise import Record, standardise
from server.records.index import StoredIndex, load_frequencies
from server.storage import Transaction, open_store
from tests.bench.linkage.registry import registry
from tests.bench.linkage.speed import mixed, percentile
from tests.linkage.bench import Counted

KEPT = 10
Figures = tuple[float, float, float, float, float]
"""Of one note, in ms of CPU: as it is, its look-ups, its comparisons, the first look, and comparing the likest."""


class Watched(Counted):
    """A source of candidates that also tells which records it gave."""

    def __init__(self, source: StoredIndex) -> None:
        super().__init__(source)
        self.given: list[Record] = []

    def records(self, child_ids: Collection[int]) -> list[tuple[int, Record, bool]]:
        found = super().records(child_ids)
        self.given += [record for _, record, _ in found]
        return found


def first_look(note: Record, children: Sequence[Record]) -> list[Record]:
    """The likest, by names and date alone."""
    names = [f"{child.given} {child.family}" for child in children]
    dates = [str(child.born) for child in children]
    alike: Any = cdist([f"{note.given} {note.family}"], names, scorer=JaroWinkler.similarity)[0]
    alike = alike + cdist([str(note.born)], dates, scorer=Hamming.normalized_similarity)[0]
    return [children[at] for at in heapq.nlargest(KEPT, range(len(children)), alike.__getitem__)]


def measure(tx: Transaction, children: int, each: int, notes: int) -> list[Figures]:
    """Every note of a mixed set, decided as now and as sketched."""
    counts = load_frequencies(tx)
    assert counts
    model = default_model().with_term_frequencies(counts)
    decider, scorer, source = Decider(model), Scorer(model), StoredIndex(tx)
    before_all, asked = mixed(registry(children, each), notes)
    for note in before_all:
        decider.decide(standardise(note), source)
    found = []
    for note in asked:
        watched, began = Watched(source), time.thread_time()
        record = standardise(note)
        decider.decide(record, watched)
        whole = time.thread_time() - began
        began = time.thread_time()
        likest = first_look(record, watched.given) if len(watched.given) > KEPT else watched.given
        looked = time.thread_time()
        for child in likest:
            scorer.score(record, child)
        ended = time.thread_time()
        lookups = (watched.children_ns + watched.records_ns) / 1e9
        times = (whole, lookups, whole - lookups, looked - began, ended - looked)
        found.append(tuple(seconds * 1000 for seconds in times))
    return [(a, b, c, d, e) for a, b, c, d, e in found]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=2_000_000)
    parser.add_argument("--each", type=int, default=500)
    parser.add_argument("--notes", type=int, default=4_000)
    arguments = parser.parse_args()
    children, each, notes = arguments.children, arguments.each, arguments.notes
    store = open_store(registry(children, each).database)
    found = store.read_now(lambda tx: measure(tx, children, each, notes))
    store.close_now()
    sketched = [lookups + look + likest for _, lookups, _, look, likest in found]
    slowest = sorted(found, reverse=True)[: max(1, len(found) // 100)]
    _, lookups, compared, look, likest = (sum(of) / len(slowest) for of in zip(*slowest, strict=True))
    now = [whole for whole, *_ in found]
    print(f"{notes:,} notes against {children:,} children, CPU ms of one")
    print(f"  now       p50 {percentile(now, 0.5):.3f}, p99 {percentile(now, 0.99):.2f}")
    print(f"  sketched  p50 {percentile(sketched, 0.5):.3f}, p99 {percentile(sketched, 0.99):.2f}")
    print(
        f"  the slowest hundredth: look-ups {lookups:.2f}, all the rest {compared:.2f};"
        f" sketched: first look {look:.2f}, the {KEPT} likest {likest:.2f}"
    )


if __name__ == "__main__":
    main()
