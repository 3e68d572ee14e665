"""How long linkage takes for one note against a registry in SQLite: `python -m tests.linkage.bench [children] [notes]`.

Children and notes are made up (strata.py, every kind alike); the registry is in the server's own tables, read
through `server.records.index`. Processor time in microseconds: other work on the machine does not count, nor
would a disk that is slow.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from random import Random

from server.linkage.blocking import blocking_keys, lookup_keys
from server.linkage.counts import count_terms
from server.linkage.decide import Decider
from server.linkage.model import default_model
from server.linkage.names import remember
from server.linkage.standardise import Description, Record, encode_record, standardise
from server.records.index import StoredIndex
from server.storage import Store, Transaction, open_store
from tests.linkage.measure import SEED
from tests.linkage.strata import make_cases, make_registry

WARM = 1_000  # notes decided before the clock starts: a server that has run for a minute
KEYS_AT_ONCE = 200_000


class Counted:
    """A CandidateSource that adds up the time its source takes."""

    def __init__(self, source: StoredIndex) -> None:
        self._source = source
        self.clusters = source.clusters
        self.children_ns = self.records_ns = 0

    def children(self, keys: Sequence[int], limit: int) -> Sequence[tuple[int, int]]:
        before = time.thread_time_ns()
        found = self._source.children(keys, limit)
        self.children_ns += time.thread_time_ns() - before
        return found

    def records(self, child_ids: Collection[int]) -> list[tuple[int, Record, bool]]:
        before = time.thread_time_ns()
        found = self._source.records(child_ids)
        self.records_ns += time.thread_time_ns() - before
        return found


def fill(store: Store, known: dict[int, Description]) -> int:
    """Store children by the number they have; how many keys they take."""
    insert_key = "INSERT INTO child_key (key, child_id) VALUES (:key, :child_id)"
    insert_child = (
        "INSERT INTO child (child_id, standing, details, record, created_at, updated_at)"
        " VALUES (:child_id, 'known', x'00', :record, 0, 0)"
    )

    def rows(part: list[tuple[int, Record]]) -> Iterator[tuple[int, int]]:
        return ((key, child_id) for child_id, record in part for key in blocking_keys(record))

    total = 0
    children = iter(known.items())
    while part := [
        (child_id, standardise(one))
        for (child_id, one), _ in zip(children, range(KEYS_AT_ONCE), strict=False)
    ]:
        keys = sorted(rows(part))
        total += len(keys)

        def write(
            tx: Transaction, part: list[tuple[int, Record]] = part, keys: list[tuple[int, int]] = keys
        ) -> None:
            tx.executemany(
                insert_child,
                ({"child_id": child_id, "record": encode_record(record)} for child_id, record in part),
            )
            tx.executemany(insert_key, ({"key": key, "child_id": child_id} for key, child_id in keys))

        store.write_now(write)
    return total


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _print(what: str, values: list[float]) -> None:
    mean = sum(values) / len(values)
    print(f"{what:20} {mean:7.1f} mean, {_at(values, 0.5):6.0f} p50, {_at(values, 0.99):6.0f} p99")


def measure(store: Store, decider: Decider, records: list[Record]) -> None:
    """Decide every note in one read, as the transaction that stores a note would, and print the figures."""

    def work(tx: Transaction) -> None:
        source = Counted(StoredIndex(tx))
        for record in records[:WARM]:
            decider.decide(record, source)
        whole: list[float] = []
        keys: list[float] = []
        read: list[float] = []
        compared: list[float] = []
        for record in records[WARM:]:
            source.children_ns = source.records_ns = 0
            before = time.thread_time_ns()
            decision = decider.decide(record, source)
            whole.append((time.thread_time_ns() - before) / 1_000)
            keys.append(source.children_ns / 1_000)
            read.append(source.records_ns / 1_000)
            compared.append(float(decision.compared))
        _print("whole decision", whole)
        _print("keys in SQLite", keys)
        _print("records in SQLite", read)
        _print("children compared", compared)

    gc.collect()
    gc.freeze()
    store.write_now(work)


def main() -> None:
    """Make, store, measure and print."""
    children = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    notes = int(sys.argv[2]) if len(sys.argv) > 2 else 6_000
    registry = make_registry(children, SEED)
    cases = [case.note for case in make_cases(registry, (notes + WARM) // 20, SEED)]
    Random(SEED).shuffle(cases)
    records = [standardise(note) for note in cases]
    counts = count_terms(standardise(one) for one in registry.known.values())
    remember(counts.words)
    decider = Decider(default_model().with_term_frequencies(counts))
    with tempfile.TemporaryDirectory(prefix="earlysign-bench-") as folder:
        store = open_store(Path(folder) / "bench.db")
        try:
            store.migrate()
            keys = fill(store, registry.known)
            size = (Path(folder) / "bench.db").stat().st_size
            print(
                f"seed {SEED}, {len(registry.known):,} known children, {len(records):,} notes; microseconds"
            )
            print(f"{keys / len(registry.known):.1f} keys a child, {size / 1e6:,.0f} MB")
            for what, work in (("look-up keys", lookup_keys), ("blocking keys", blocking_keys)):
                before = time.thread_time_ns()
                for record in records:
                    work(record)
                print(f"{what:20} {(time.thread_time_ns() - before) / len(records) / 1_000:7.1f} mean")
            measure(store, decider, records)
        finally:
            store.close_now()


if __name__ == "__main__":
    main()
