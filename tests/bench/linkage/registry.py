"""A generated registry in the server's own tables on SQLite, made once for each size and kept.

Written directly, in the order of the keys, so that two million children take minutes; what is stored is what
an import stores: blocking keys, standardised records, counts of names.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from server.linkage.blocking import blocking_keys
from server.linkage.model import TermFrequencies, count_terms
from server.linkage.standardise import Description, Record, decode_record, encode_record, standardise
from server.records.index import FREQUENCIES
from server.storage import open_store
from tests.bench.linkage.data import CACHE, record_row
from tests.bench.linkage.peers import arrow
from tests.linkage.strata import Case, make_cases, make_registry

SEED = 20261127
CITIES = (20261201, 20261202, 20261203)
"""Seeds of the cities whose notes as they come say whether a probability means what it says."""
SEEDS_OF_THE_PROOF = frozenset((20260302, SEED, *CITIES))
"""Cities that the bench decides or has decided: nothing may be fitted to them."""
PEER_ROWS_AT_ONCE = 100_000
_ROOT = Path(__file__).parents[3]


class Held(NamedTuple):
    """A registry on disk, the cases about its children, and its rows for the peers."""

    database: Path
    cases: list[Case]
    counts: TermFrequencies
    peer_rows: Path


def registry(children: int, each: int) -> Held:
    """The registry of this size with `each` cases of every stratum; made if it is not there."""
    folder = CACHE / f"linkage-{children}-{each}-{_stored_version()}"
    if not (folder / "done").exists():
        for old in CACHE.glob(f"linkage-{children}-*"):
            shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        _make(folder, children, each)
        (folder / "done").touch()
    # Written by this module, for this user alone.
    cases = pickle.loads((folder / "cases.pickle").read_bytes())
    counts = msgspec.msgpack.decode((folder / "counts").read_bytes(), type=TermFrequencies)
    return Held(folder / "earlysign.db", cases, counts, folder / "peers.parquet")


def version() -> str:
    """Of all that decides what the bench finds."""
    server = _ROOT / "server"
    return _hash([*_stored(), *sorted((server / "linkage").rglob("*.py")), server / "records" / "index.py"])


def _stored_version() -> str:
    return _hash(_stored())


def _stored() -> list[Path]:
    """The code and data that decide what is stored."""
    server, tests = _ROOT / "server", _ROOT / "tests"
    rooms = ("blocking", "counts", "letters", "names", "postcodes", "standardise")
    return [
        *(server / "linkage" / f"{room}.py" for room in rooms), *sorted((server / "linkage").rglob("*.txt")),
        *sorted((server / "storage" / "migrations").glob("*.sql")), tests / "linkage" / "population.py",
        tests / "linkage" / "strata.py", tests / "bench" / "linkage" / "data.py", Path(__file__),
    ]  # fmt: skip


def _hash(paths: list[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


def _make(folder: Path, children: int, each: int) -> None:
    made = make_registry(children, SEED)
    (folder / "cases.pickle").write_bytes(pickle.dumps(list(make_cases(made, each, SEED))))
    known = made.known
    made.homes.clear()
    made.city.people.clear()
    store = open_store(folder / "earlysign.db")
    store.migrate()
    store.close_now()
    counts = _fill(folder, known)
    (folder / "counts").write_bytes(msgspec.msgpack.encode(counts))


def _fill(folder: Path, known: dict[int, Description]) -> TermFrequencies:
    """Children by id, then keys in order; the counts of names, as after an import."""
    database = sqlite3.connect(folder / "earlysign.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")  # a half-made file is made again
    database.execute("BEGIN")
    keys, owners = [], []

    def rows() -> Iterator[tuple[Any, ...]]:
        for child_id, described in known.items():
            record = standardise(described)
            own = blocking_keys(record)
            keys.append(np.array(own, dtype=np.int64))
            owners.append(np.full(len(own), child_id, dtype=np.int64))
            details = msgspec.json.encode(described)
            yield child_id, f"R{child_id}", details, encode_record(record), 0, 0

    database.executemany(
        "INSERT INTO child (child_id, registry_id, standing, details, record, created_at, updated_at)"
        " VALUES (?, ?, 'known', ?, ?, ?, ?)",
        rows(),
    )
    all_keys, all_owners = np.concatenate(keys), np.concatenate(owners)
    order = np.lexsort((all_owners, all_keys))
    database.executemany(
        "INSERT OR IGNORE INTO child_key (key, child_id) VALUES (?, ?)",
        chain.from_iterable(
            zip(all_keys[part].tolist(), all_owners[part].tolist(), strict=True)
            for part in np.array_split(order, max(len(order) // 1_000_000, 1))
        ),
    )
    records = (
        decode_record(blob) for (blob,) in database.execute("SELECT record FROM child ORDER BY child_id")
    )
    counts = count_terms(records)
    database.execute(
        "INSERT INTO server_state (name, value) VALUES (?, ?)", (FREQUENCIES, msgspec.msgpack.encode(counts))
    )
    database.execute("COMMIT")
    database.execute("ANALYZE")
    _write_peer_rows(database, folder / "peers.parquet")
    database.close()
    return counts


def _write_peer_rows(database: sqlite3.Connection, path: Path) -> None:
    import pyarrow.parquet as pq

    writer = None
    cursor = database.execute("SELECT child_id, record FROM child ORDER BY child_id")
    while held := cursor.fetchmany(PEER_ROWS_AT_ONCE):
        table = arrow([peer_row(child_id, decode_record(blob)) for child_id, blob in held])
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer
    writer.close()


def peer_row(child_id: int, record: Record) -> dict[str, Any]:
    """A known child for the peers: side 0."""
    return record_row(f"0-{child_id}", record)
