"""How long one note takes against a registry over the server's own SQL, and Splink's two online queries, in turn.

Run by the bench as a process of its own for each size, so that its peak memory is that of ours alone; Splink,
with its copy of the registry, follows in another. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from server.linkage.candidates import find
from server.linkage.decide import Decider
from server.linkage.model import default_model
from server.linkage.standardise import standardise
from server.records.index import StoredIndex, load_frequencies
from server.storage import Transaction, open_store
from tests.bench.linkage.data import record_row
from tests.bench.linkage.peers import arrow, kit
from tests.bench.linkage.registry import Held, peer_row, registry

WARM_UP_NOTES = 500
CANDIDATES_FOR_SPLINK = 20


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def peak_mib() -> float:
    """Peak memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _mixed(held: Held, notes: int) -> list[Any]:
    """Notes of every stratum in turn."""
    step = max(len(held.cases) // (notes + WARM_UP_NOTES), 1)
    return [held.cases[at * step % len(held.cases)].note for at in range(notes + WARM_UP_NOTES)]


def ours(held: Held, notes: int) -> dict[str, float]:
    """Milliseconds for one note from its text to the decision, over SQLite; memory of the process."""
    store = open_store(held.database)

    def measure(tx: Transaction) -> tuple[list[float], list[float], list[float]]:
        counts = load_frequencies(tx)
        assert counts
        decider, source = Decider(default_model().with_term_frequencies(counts)), StoredIndex(tx)
        took, used, compared = [], [], []
        for note in _mixed(held, notes):
            started, before = time.perf_counter(), time.thread_time()
            decision = decider.decide(standardise(note), source)
            used.append((time.thread_time() - before) * 1000)
            took.append((time.perf_counter() - started) * 1000)
            compared.append(float(decision.compared))
        return took[WARM_UP_NOTES:], used[WARM_UP_NOTES:], compared[WARM_UP_NOTES:]

    took, used, compared = store.read_now(measure)
    store.close_now()
    return {
        "p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99),
        "cpu_p50_ms": percentile(used, 0.5), "cpu_p99_ms": percentile(used, 0.99),
        "compared": sum(compared) / len(compared), "compared_p99": percentile(compared, 0.99), "peak_mib": peak_mib(),
        "database_mib": held.database.stat().st_size / 2**20,
    }  # fmt: skip


def both(held: Held, settings: dict[str, Any], times: int) -> dict[str, float]:
    """Ours, `predict_between` and `score_pairs` (once `compare_records`) in turn, note by note."""
    splink = _Splink(held, settings)
    store = open_store(held.database)

    def measure(tx: Transaction) -> list[tuple[float, float, float]]:
        counts = load_frequencies(tx)
        assert counts
        decider, source = Decider(default_model().with_term_frequencies(counts)), StoredIndex(tx)
        mixed = _mixed(held, times)
        for note in mixed[:WARM_UP_NOTES]:
            decider.decide(standardise(note), source)
        rows = []
        for number, note in enumerate(mixed[WARM_UP_NOTES:]):
            record = standardise(note)
            ids = sorted(find(record, source)[0])[:CANDIDATES_FOR_SPLINK]
            some = [peer_row(child, one) for child, one, _ in source.records(ids or [1, 2, 3])]
            own = record_row(f"1-{number}", record)
            rows.append(
                (
                    _timed(lambda n=note: decider.decide(standardise(n), source)),  # type: ignore[misc]
                    _timed(lambda o=own: splink.predict_between(o)),  # type: ignore[misc]
                    _timed(lambda o=own, s=some: splink.score_pairs(o, s)),  # type: ignore[misc]
                )
            )
        return rows[2:]

    rows = store.read_now(measure)
    store.close_now()
    own, between, pairs = ([row[at] for row in rows] for at in range(3))
    return {
        "ours_p50_ms": percentile(own, 0.5),
        "between_p50_ms": percentile(between, 0.5), "between_p99_ms": percentile(between, 0.99),
        "pairs_p50_ms": percentile(pairs, 0.5), "pairs_p99_ms": percentile(pairs, 0.99), "peak_mib": peak_mib(),
    }  # fmt: skip


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


class _Splink:
    """Splink's linker over the whole registry, with the model that was trained for accuracy."""

    def __init__(self, held: Held, settings: dict[str, Any]) -> None:
        from splink import DuckDBAPI, Linker

        connection = duckdb.connect()
        connection.execute(f"CREATE TABLE registry AS SELECT * FROM read_parquet('{held.peer_rows}')")
        rules = "blocking_rules_to_generate_predictions"
        settings = settings | {rules: settings[rules][: len(kit("record").blocking)]}
        self._api = DuckDBAPI(connection=connection)
        self._known = self._api.register("registry", dataset_display_name="side_0")
        self._linker = Linker([self._known, self._api.register(_none(), dataset_display_name="side_1")], settings,
                              log_level=None)  # fmt: skip
        self._tables = 0
        for column in kit("record").rare:
            self._linker.table_management.compute_tf_table(column)

    def predict_between(self, row: dict[str, Any]) -> None:
        self._tables += 1
        note = self._api.register(arrow([row]), dataset_display_name=f"note_{self._tables}")
        self._linker.inference.predict_between(self._known, note, warning_mode="never").as_record_list()

    def score_pairs(self, row: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        names = {"source_dataset": "side_1"}, {"source_dataset": "side_0"}
        self._linker.inference.score_pairs(
            [row | names[0]], [one | names[1] for one in rows]
        ).as_record_list()


def _none() -> Any:
    """A note that is like nobody, so that Splink has a second side."""
    from server.linkage.standardise import Record

    return arrow([record_row("1-none", Record())])


def main() -> None:
    """What the bench asks for: sizes and counts on the command line, Splink's settings in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, required=True)
    parser.add_argument("--each", type=int, required=True)
    parser.add_argument("--notes", type=int, required=True)
    parser.add_argument("--splink", type=Path)
    arguments = parser.parse_args()
    held = registry(arguments.children, arguments.each)
    if arguments.splink:
        figures = both(held, json.loads(arguments.splink.read_text()), arguments.notes)
    else:
        figures = ours(held, arguments.notes)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
