"""Reference rows that every phone is lent: the words of notes, and the force's boroughs with whom to ring there."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from server.audit import impersonal
from server.casework.boroughs import Force
from server.records import changes
from server.storage.port import Transaction
from sync import vocabulary
from sync.envelope import ChangeOp, RemoveReason

VOCABULARY, AREAS = "vocabulary", "areas"
KINDS = {VOCABULARY: "word_list", AREAS: "area"}

_encode = msgspec.json.Encoder(order="deterministic").encode
Rows = Mapping[str, Mapping[str, Any]]


@impersonal("the words of notes")
def vocabulary_rows() -> Rows:
    """The closed lists of a note with their labels, and the phrases to reconsider."""
    return {
        "categories": {"labels": {code.value: label for code, label in vocabulary.CATEGORY_LABELS.items()}},
        "phrases": {"advice": vocabulary.PHRASES_TO_RECONSIDER},
    }


@impersonal("the force's boroughs")
def area_rows(force: Force) -> Rows:
    """The force's boroughs by code: name, unit, and where to ring, where the file of boroughs says so."""
    return {
        code: {"name": one.name, "unit": force.units[one.unit].name, "contact": one.contact}
        for code, one in force.boroughs.items()
    }


@impersonal("words and boroughs, nothing of a child")
def publish(tx: Transaction, bucket: str, rows: Rows) -> int:
    """Make a bucket hold these rows and no others; how many changed. Writes nothing where none did."""
    tx.lock("published")
    stored = {
        row[0]: (row[1], None if row[2] is None else bytes(row[2]))
        for row in tx.rows("SELECT id, rev, data FROM published WHERE bucket = :bucket", {"bucket": bucket})
    }
    wanted = {id: _encode(data) for id, data in rows.items()}
    changed = 0
    for id in sorted(stored.keys() | wanted.keys()):
        rev, was = stored.get(id, (0, None))
        data = wanted.get(id)
        if data == was:
            continue
        changed += 1
        tx.execute(
            "INSERT INTO published (bucket, id, rev, data) VALUES (:bucket, :id, :rev, :data)"
            " ON CONFLICT (bucket, id) DO UPDATE SET rev = excluded.rev, data = excluded.data",
            {"bucket": bucket, "id": id, "rev": rev + 1, "data": data},
        )
        op, reason = (ChangeOp.PUT, None) if data is not None else (ChangeOp.REMOVE, RemoveReason.DELETED)
        changes.put(tx, bucket, KINDS[bucket], id, rev + 1, op, reason)
    return changed


@impersonal("words and boroughs, nothing of a child")
def send(tx: Transaction, bucket: str, ids: Sequence[str]) -> dict[str, tuple[int, dict[str, Any]]]:
    """By id, the (rev, data) of these rows as they are now; those taken away are left out."""
    if not ids:
        return {}
    marks: dict[str, object] = {f"i{index}": id for index, id in enumerate(ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    return {
        id: (rev, msgspec.json.decode(data))
        for id, rev, data in tx.rows(
            "SELECT id, rev, data FROM published WHERE bucket = :bucket AND data IS NOT NULL"
            f" AND id IN ({wanted})",
            marks | {"bucket": bucket},
        )
    }


@impersonal("ids and revisions for the phone's checksum")
def revisions(tx: Transaction, bucket: str) -> list[tuple[str, str, int]]:
    """(kind, id, rev) of every row of a bucket, for the checkpoint."""
    rows = tx.rows(
        "SELECT id, rev FROM published WHERE bucket = :bucket AND data IS NOT NULL", {"bucket": bucket}
    )
    return [(KINDS[bucket], id, rev) for id, rev in rows]
