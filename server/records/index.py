"""The known children as linkage looks them up: blocking keys and standardised records, in the database.

Read inside the transaction that stores the note, so that a child made a moment ago is found (a look-up in
an index that lags behind misses pairs for good).

Keys are scattered, so writing thousands of children's keys into a table of millions would rewrite nearly all
of it each time. An import therefore writes the keys of each batch as a sorted *run* of its own, which is looked
up beside the table, and folds the runs into it, in order of keys, once there are some dozen of them.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import repeat

import msgspec

from server.audit import impersonal
from server.linkage.entries import Entry, Run
from server.linkage.model import TermFrequencies, count_terms
from server.linkage.standardise import Record, decode_record
from server.records import reference
from server.records.whole import RESTRICTED
from server.storage.port import Store, Transaction

FREQUENCIES = "linkage.term_frequencies"
"""Name in `server_state` of the counts of names in the registry, as of the last import."""

CHILDREN_PER_STATEMENT_MAX = 500
"""Parameters of one IN list; PostgreSQL and SQLite both allow far more."""

RUNS_MAX = 96
"""Runs that a look-up has to ask beside the table, at most: 240,000 children of an import. They cost a note some
three milliseconds while it lasts; each fold of fewer would rewrite most of a large table's pages once more."""

FOLD_ROWS = 80_000
"""Keys that one transaction of a fold moves: a fifth of a second, so that notes are not kept waiting."""

RUNS_DROPPED = 8
"""Runs that one transaction drops: SQLite keeps what it erases in memory until then, 8 MB; of all runs, 90 MB."""

CHILDREN_READ = 5_000
"""Records read at once where the whole registry is counted: some megabytes."""

_RUNS = "index.runs"


@impersonal("numbers, for the server's own work; the change of the child is logged by its caller")
def enter(tx: Transaction, entries: Iterable[tuple[int, Entry]]) -> None:
    """Let these children be found. All index rows of a child are written here or in `enter_run`."""
    tx.executemany(
        "INSERT INTO child_key (key, child_id) VALUES (:key, :child)",
        [{"key": key, "child": child_id} for child_id, entry in entries for key in entry.keys],
    )


@impersonal("numbers, for the server's own work; the change of the child is logged by its caller")
def enter_run(tx: Transaction, made: Run, child_ids: Sequence[int | None]) -> None:
    """The same for thousands of new children: `child_ids` by place, None for one that is not new.

    Call `fold` when there are `RUNS_MAX` runs.
    """
    keys, places = array("q", made.keys), array("I", made.places)
    ids = map(child_ids.__getitem__, places)
    run = tx.insert("INSERT INTO key_run DEFAULT VALUES", {}, "run")
    tx.insert_many(
        "child_key_run",
        ("run", "key", "child_id"),
        zip(repeat(run), keys, ids)  # in C, for some forty million keys
        if None not in child_ids
        else ((run, key, child_id) for key, child_id in zip(keys, ids, strict=True) if child_id is not None),
    )
    tx.notes.pop(_RUNS, None)


@impersonal("numbers, for the server's own work; the change of the child is logged by its caller")
def leave(tx: Transaction, child_id: int, entry: Entry) -> None:
    """Let a child no longer be found by this entry."""
    rows = [{"key": key, "child": child_id} for key in entry.keys]
    tx.executemany("DELETE FROM child_key WHERE key = :key AND child_id = :child", rows)
    for run in runs(tx):
        tx.executemany(
            "DELETE FROM child_key_run WHERE run = :run AND key = :key AND child_id = :child",
            [{**row, "run": run} for row in rows],
        )


@impersonal("numbers, for the server's own work; the change of the child is logged by its caller")
def replace(tx: Transaction, child_id: int, was: Entry | None, entry: Entry | None) -> None:
    """Let a child be found by another entry than before, touching only what differs."""
    old, new = set(was.keys if was else ()), set(entry.keys if entry else ())
    if old - new:
        leave(tx, child_id, Entry(tuple(old - new)))
    if new - old:
        enter(tx, [(child_id, Entry(tuple(new - old)))])


@impersonal("numbers of runs")
def runs(tx: Transaction) -> list[int]:
    """The runs that are looked up beside the table; asked of the database once in a transaction."""
    found: list[int] | None = tx.notes.get(_RUNS)
    if found is None:
        found = [run for (run,) in tx.rows("SELECT run FROM key_run ORDER BY run")]
        tx.notes[_RUNS] = found
    return found


@impersonal("moves numbers from one table to another")
def fold(store: Store, guard: Callable[[Transaction], None]) -> Iterator[int]:
    """Fold every run into the table, a bounded transaction at a time, and drop them; yields how many keys each moved.

    Between two transactions a key may stand in both: a look-up takes it once, and a fold that was interrupted
    is simply run again. `guard` raises where another import has begun: only one may write and drop runs.
    """
    here = store.read_now(runs)
    if not here:
        return
    after: int | None = None
    while True:
        moved, after = store.write_now(_folding(here, after, guard))
        yield moved
        if after is None:
            break
    for start in range(0, len(here), RUNS_DROPPED):
        store.write_now(_dropping(here[start : start + RUNS_DROPPED], guard))
        yield 0


def _folding(
    here: Sequence[int], after: int | None, guard: Callable[[Transaction], None]
) -> Callable[[Transaction], tuple[int, int | None]]:
    def step(tx: Transaction) -> tuple[int, int | None]:
        """Move the next keys; how many, and the last of them, or None where that was all."""
        guard(tx)
        behind = "" if after is None else " AND key > :after"
        marks = {} if after is None else {"after": after}
        # Keys lie alike in every run, so one run tells where a part ends.
        until = tx.value(
            f"SELECT key FROM child_key_run WHERE run = :run{behind} ORDER BY key LIMIT 1 OFFSET :part",
            {**marks, "run": here[0], "part": FOLD_ROWS // len(here)},
        )
        bounds = behind if until is None else f"{behind} AND key <= :until"
        marks = marks if until is None else {**marks, "until": until}
        moved = 0
        for run in here:
            moved += tx.execute(
                "INSERT INTO child_key (key, child_id) SELECT key, child_id FROM child_key_run"
                f" WHERE run = :run{bounds} ORDER BY key, child_id ON CONFLICT (key, child_id) DO NOTHING",
                {**marks, "run": run},
            )
        return moved, until

    return step


def _dropping(part: Sequence[int], guard: Callable[[Transaction], None]) -> Callable[[Transaction], None]:
    def drop(tx: Transaction) -> None:
        guard(tx)
        marks = [{"run": run} for run in part]
        tx.executemany("DELETE FROM child_key_run WHERE run = :run", marks)
        tx.executemany("DELETE FROM key_run WHERE run = :run", marks)

    return drop


class StoredIndex:
    """A `linkage.CandidateSource` over one transaction. `asked` is given every key that is looked up."""

    def __init__(self, tx: Transaction, asked: list[int] | None = None) -> None:
        self._tx = tx
        self._asked = asked
        self.clusters: dict[int, int] = {}

    def children(self, keys: Sequence[int], limit: int) -> list[tuple[int, int]]:
        """(key, child) for every child under each key, at most `limit + 1` for a key."""
        if not keys:
            return []
        if self._asked is not None:
            self._asked.extend(keys)
        marks: dict[str, object] = {f"k{index}": key for index, key in enumerate(keys)}
        marks["most"] = limit + 1
        found: list[tuple[int, int]] = self._tx.rows(_children_sql(len(keys)), marks)
        beside = runs(self._tx)
        for run in beside:
            found += self._tx.rows(_run_sql(len(keys)), {**marks, "run": run})
        return _at_most(found, limit + 1) if beside else found

    def records(self, child_ids: Collection[int]) -> list[tuple[int, Record, bool]]:
        """(child, record, restricted) of each."""
        found: list[tuple[int, Record, bool]] = []
        ids = list(child_ids)
        for start in range(0, len(ids), CHILDREN_PER_STATEMENT_MAX):
            part = ids[start : start + CHILDREN_PER_STATEMENT_MAX]
            marks = {f"c{index}": child_id for index, child_id in enumerate(part)}
            rows = self._tx.rows(_records_sql(len(part)), marks)
            found += [(row[0], decode_record(row[1]), row[2] == 1) for row in rows]
            self.clusters |= {row[0]: row[3] for row in rows if row[3] is not None}
        return found


def _at_most(found: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Each pair once, and no key more than `most` times."""
    counts: dict[int, int] = {}
    kept = []
    for key, child_id in dict.fromkeys(found):
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= most:
            kept.append((key, child_id))
    return kept


_CHILDREN_SQL: dict[int, str] = {}
_RUN_SQL: dict[int, str] = {}
_RECORDS_SQL: dict[int, str] = {}


def _children_sql(count: int) -> str:
    """One bounded look-up for each key; kept, so that the engine's statement cache finds the same text."""
    if count not in _CHILDREN_SQL:
        one = "SELECT key, child_id FROM (SELECT key, child_id FROM child_key WHERE key = :k{} LIMIT :most) AS t{}"
        _CHILDREN_SQL[count] = " UNION ALL ".join(one.format(index, index) for index in range(count))
    return _CHILDREN_SQL[count]


def _run_sql(count: int) -> str:
    """The same look-up in one run."""
    if count not in _RUN_SQL:
        one = (
            "SELECT key, child_id FROM (SELECT key, child_id FROM child_key_run"
            " WHERE run = :run AND key = :k{} LIMIT :most) AS t{}"
        )
        _RUN_SQL[count] = " UNION ALL ".join(one.format(index, index) for index in range(count))
    return _RUN_SQL[count]


def _records_sql(count: int) -> str:
    if count not in _RECORDS_SQL:
        wanted = ", ".join(f":c{index}" for index in range(count))
        _RECORDS_SQL[count] = (
            f"SELECT c.child_id, c.record, {RESTRICTED}, c.cluster_id FROM child c WHERE c.child_id IN ({wanted})"
        )
    return _RECORDS_SQL[count]


@impersonal("counts of names over the whole registry, for the server's own work")
def load_frequencies(tx: Transaction) -> TermFrequencies | None:
    """The counts of names as of the last import, or None before the first."""
    stored = tx.value("SELECT value FROM server_state WHERE name = :name", {"name": FREQUENCIES})
    return msgspec.msgpack.decode(bytes(stored), type=TermFrequencies) if stored is not None else None


@impersonal("counts of names over the whole registry, for the server's own work")
def count_again(store: Store) -> TermFrequencies:
    """Count the names of the registry's children anew, a part at a time, and keep the counts."""
    counts = count_terms(_registry_records(store))
    store.write_now(lambda tx: _keep_frequencies(tx, counts))
    return counts


def _registry_records(store: Store) -> Iterator[Record]:
    after = 0
    while True:
        rows = store.read_now(_reading_records(after))
        for _, encoded in rows:
            yield decode_record(encoded)
        if len(rows) < CHILDREN_READ:
            return
        after = rows[-1][0]


def _reading_records(after: int) -> Callable[[Transaction], list[tuple[int, bytes]]]:
    return lambda tx: tx.rows(
        "SELECT child_id, record FROM child WHERE child_id > :after AND registry_id IS NOT NULL"
        " ORDER BY child_id LIMIT :most",
        {"after": after, "most": CHILDREN_READ},
    )


def _keep_frequencies(tx: Transaction, counts: TermFrequencies) -> None:
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": FREQUENCIES, "value": msgspec.msgpack.encode(counts)},
    )
    reference.changed(tx)
