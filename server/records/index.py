"""The known children as linkage looks them up: blocking keys and standardised records, in the database.

Read inside the transaction that stores the note, so that a child made a moment ago is found (a look-up in
an index that lags behind misses pairs for good).
"""

from collections.abc import Collection, Sequence

import msgspec

from server.audit import impersonal
from server.linkage.model import TermFrequencies, count_terms
from server.linkage.standardise import Record, decode_record
from server.records import reference
from server.storage.port import Transaction

FREQUENCIES = "linkage.term_frequencies"
"""Name in `server_state` of the counts of names in the registry, as of the last import."""

CHILDREN_PER_STATEMENT_MAX = 500
"""Parameters of one IN list; PostgreSQL and SQLite both allow far more."""


class StoredIndex:
    """A `linkage.CandidateSource` over one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def children(self, keys: Sequence[int], limit: int) -> list[tuple[int, int]]:
        """(key, child) for every child under each key, at most `limit + 1` for a key."""
        if not keys:
            return []
        marks: dict[str, object] = {f"k{index}": key for index, key in enumerate(keys)}
        marks["most"] = limit + 1
        found: list[tuple[int, int]] = self._tx.rows(_children_sql(len(keys)), marks)
        return found

    def records(self, child_ids: Collection[int]) -> list[tuple[int, Record, bool]]:
        """(child, record, restricted) of each."""
        found: list[tuple[int, Record, bool]] = []
        ids = list(child_ids)
        for start in range(0, len(ids), CHILDREN_PER_STATEMENT_MAX):
            part = ids[start : start + CHILDREN_PER_STATEMENT_MAX]
            marks = {f"c{index}": child_id for index, child_id in enumerate(part)}
            rows = self._tx.rows(_records_sql(len(part)), marks)
            found += [(row[0], decode_record(row[1]), row[2] == 1) for row in rows]
        return found


_CHILDREN_SQL: dict[int, str] = {}
_RECORDS_SQL: dict[int, str] = {}


def _children_sql(count: int) -> str:
    """One bounded look-up for each key; kept, so that the engine's statement cache finds the same text."""
    if count not in _CHILDREN_SQL:
        one = "SELECT key, child_id FROM (SELECT key, child_id FROM child_key WHERE key = :k{} LIMIT :most) AS t{}"
        _CHILDREN_SQL[count] = " UNION ALL ".join(one.format(index, index) for index in range(count))
    return _CHILDREN_SQL[count]


def _records_sql(count: int) -> str:
    if count not in _RECORDS_SQL:
        wanted = ", ".join(f":c{index}" for index in range(count))
        _RECORDS_SQL[count] = f"SELECT child_id, record, restricted FROM child WHERE child_id IN ({wanted})"
    return _RECORDS_SQL[count]


@impersonal("counts of names over the whole registry, for the server's own work")
def load_frequencies(tx: Transaction) -> TermFrequencies | None:
    """The counts of names as of the last import, or None before the first."""
    stored = tx.value("SELECT value FROM server_state WHERE name = :name", {"name": FREQUENCIES})
    return msgspec.msgpack.decode(bytes(stored), type=TermFrequencies) if stored is not None else None


@impersonal("counts of names over the whole registry, for the server's own work")
def count_again(tx: Transaction) -> TermFrequencies:
    """Count the names of the registry's children anew and keep the counts."""
    rows = tx.rows("SELECT record FROM child WHERE registry_id IS NOT NULL ORDER BY child_id")
    counts = count_terms(decode_record(record) for (record,) in rows)
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": FREQUENCIES, "value": msgspec.msgpack.encode(counts)},
    )
    reference.changed(tx)
    return counts
