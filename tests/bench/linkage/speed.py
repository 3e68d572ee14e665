"""How long one note takes against a registry over the server's own SQL, and Splink's two online queries, in rounds.

Run by the bench as a process of its own for each size, so that its peak memory is that of ours alone; Splink,
with its copy of the registry, follows in another. Prints one JSON object.

In each round some hundreds of notes are decided by ours, one after another: over SQLite, where the server has its
registry, and in memory, where `earlysign link` has it, and Splink too. Then some of the very same notes are asked of
each of Splink's queries. So either is measured as a server that links would see it, at work: note by note in turn, each
of ours would find the processor's caches full of what DuckDB read for half a second before. Both were warmed up, both
are timed call by call, and nothing that was found for a note before is used again. A machine that slows down between
two rounds shows in the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import duckdb

from server.linkage.candidates import CandidateSource, find
from server.linkage.decide import Decider
from server.linkage.model import default_model
from server.linkage.packed import BUCKETS, PackedIndex
from server.linkage.standardise import Description, decode_record, standardise
from server.records.index import StoredIndex, load_frequencies
from server.storage import StorageSettings, Transaction, open_store
from tests.bench.linkage.accuracy import READ_SECONDS_MAX
from tests.bench.linkage.data import record_row
from tests.bench.linkage.peers import arrow, kit
from tests.bench.linkage.registry import SEED, Held, peer_row, registry

WARM_UP_NOTES_MIN = 500
WARM_UP_QUERIES = 3
CANDIDATES_FOR_SPLINK = 20
ROUNDS = 6


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def peak_mib() -> float:
    """Peak memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def mixed(held: Held, notes: int) -> tuple[list[Description], list[Description]]:
    """Notes of every stratum in an order drawn from a seed: those to warm up with, and as many others as are asked for.

    No note is in both. A server has decided thousands since it began, and remembers the names of these."""
    cases = Random(SEED).sample(held.cases, len(held.cases))
    if len(cases) < notes + WARM_UP_NOTES_MIN:
        sys.exit(
            f"There are {len(cases):,} notes about this registry, too few to time {notes:,}: give a larger --each."
        )
    return [case.note for case in cases[notes:]], [case.note for case in cases[:notes]]


def ours(held: Held, notes: int) -> dict[str, float]:
    """Milliseconds for one note from its text to the decision, over SQLite; memory of the process."""
    store = open_store(held.database)

    def measure(tx: Transaction) -> tuple[list[float], list[float], list[float]]:
        counts = load_frequencies(tx)
        assert counts
        decider, source = Decider(default_model().with_term_frequencies(counts)), StoredIndex(tx)
        before_all, asked = mixed(held, notes)
        for note in before_all:
            decider.decide(standardise(note), source)
        took, used, compared = [], [], []
        for note in asked:
            started, before = time.perf_counter(), time.thread_time()
            decision = decider.decide(standardise(note), source)
            used.append((time.thread_time() - before) * 1000)
            took.append((time.perf_counter() - started) * 1000)
            compared.append(float(decision.compared))
        return took, used, compared

    took, used, compared = store.read_now(measure)
    store.close_now()
    return {
        "p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99),
        "cpu_p50_ms": percentile(used, 0.5), "cpu_p99_ms": percentile(used, 0.99),
        "compared": sum(compared) / len(compared), "compared_p99": percentile(compared, 0.99), "peak_mib": peak_mib(),
        "database_mib": held.database.stat().st_size / 2**20,
    }  # fmt: skip


def both(held: Held, settings: dict[str, Any], times: int, a_round: int) -> dict[str, Any]:
    """Ours, over SQLite and in memory, `predict_between` and `score_pairs` (once `compare_records`) over the same
    notes, in `ROUNDS` rounds of so many notes; `times` queries of each kind in all. The ratios are of medians, over all
    rounds and of each."""
    splink = _Splink(held, settings)
    with _in_memory(held) as packed:
        store = open_store(held.database, StorageSettings(statement_seconds_max=READ_SECONDS_MAX))

        def measure(tx: Transaction) -> list[_Round]:
            stored = StoredIndex(tx)
            by_stored, by_packed = _decide(held, stored), _decide(held, packed)
            before_all, chosen = mixed(held, ROUNDS * a_round)
            for note in before_all:
                by_stored(note)
                by_packed(note)
            for note in before_all[:WARM_UP_QUERIES]:
                _peer_times(splink, _asked(note, stored))
            rounds = []
            for at in range(0, len(chosen), a_round):
                notes = chosen[at : at + a_round]
                asked = [_asked(note, stored) for note in notes[:: -(-len(chosen) // times)]]
                own = [_timed(partial(by_stored, note)) for note in notes]
                memory = [_timed(partial(by_packed, note)) for note in notes]
                peer = [_peer_times(splink, one) for one in asked]
                rounds.append(_Round(own, [one for one, _ in peer], [one for _, one in peer], memory))
            return rounds

        rounds = store.read_now(measure)
        store.close_now()
    own, between, pairs, memory = ([ms for one in rounds for ms in one[at]] for at in range(4))
    return {
        "ours_p50_ms": percentile(own, 0.5), "ours_p99_ms": percentile(own, 0.99),
        "memory_p50_ms": percentile(memory, 0.5), "memory_p99_ms": percentile(memory, 0.99),
        "between_p50_ms": percentile(between, 0.5), "between_p99_ms": percentile(between, 0.99),
        "pairs_p50_ms": percentile(pairs, 0.5), "pairs_p99_ms": percentile(pairs, 0.99),
        "between_rounds": [percentile(one.between, 0.5) / percentile(one.own, 0.5) for one in rounds],
        "pairs_rounds": [percentile(one.pairs, 0.5) / percentile(one.own, 0.5) for one in rounds],
        "memory_between_rounds": [percentile(one.between, 0.5) / percentile(one.memory, 0.5) for one in rounds],
        "memory_pairs_rounds": [percentile(one.pairs, 0.5) / percentile(one.memory, 0.5) for one in rounds],
        "peak_mib": peak_mib(),
    }  # fmt: skip


def _decide(held: Held, source: CandidateSource) -> Callable[[Description], object]:
    """What decides a note, from its text, with memories of its own."""
    decider = Decider(default_model().with_term_frequencies(held.counts))
    return lambda note: decider.decide(standardise(note), source)


def _in_memory(held: Held) -> PackedIndex:
    """The same registry as `earlysign link` keeps it, each of its parts sorted, as after some thousands of notes."""
    packed, database = PackedIndex(), sqlite3.connect(held.database)
    for child_id, record in database.execute("SELECT child_id, record FROM child ORDER BY child_id"):
        packed.add(str(child_id), decode_record(record))
    database.close()
    packed.children([bucket << 48 for bucket in range(BUCKETS)], 1)
    return packed


class _Round(NamedTuple):
    """Milliseconds of each call in one round."""

    own: list[float]
    between: list[float]
    pairs: list[float]
    memory: list[float]


def _asked(note: Description, source: StoredIndex) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A note as Splink is asked about it, and the first of the candidates that ours compares."""
    record = standardise(note)
    ids = sorted(find(record, source)[0])[:CANDIDATES_FOR_SPLINK]
    rows = [peer_row(child, one) for child, one, _ in source.records(ids or [1, 2, 3])]
    return record_row("1-0", record), rows


def _peer_times(
    splink: _Splink, asked: tuple[dict[str, Any], Sequence[dict[str, Any]]]
) -> tuple[float, float]:
    row, rows = asked
    return _timed(lambda: splink.predict_between(row)), _timed(lambda: splink.score_pairs(row, rows))


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

    def score_pairs(self, row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
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
    parser.add_argument("--splink", type=Path, help="its settings: measure beside it")
    parser.add_argument("--times", type=int, default=0, help="queries of each kind to Splink")
    arguments = parser.parse_args()
    held = registry(arguments.children, arguments.each)
    if arguments.splink:
        settings = json.loads(arguments.splink.read_text())
        figures = both(held, settings, arguments.times, arguments.notes // ROUNDS)
    else:
        figures = ours(held, arguments.notes)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
