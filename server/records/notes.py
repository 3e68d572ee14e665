"""Concern notes: that each came, and what has become of it. A note itself never changes.

Its subjects are in `note_subjects`, and what people read of it in `notes_shown`.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import changes
from server.storage.port import Transaction
from sync.envelope import ChangeOp


class Status(StrEnum):
    """What became of a note, as its author hears it."""

    RECEIVED = "received"
    LINKED = "linked"
    IN_REVIEW = "in_review"
    NEW_CHILD = "new_child"
    SEEN = "seen"
    """The borough has acknowledged the alert that the note raised."""
    DECIDED = "decided"
    """The borough has ended that alert with a decision. What was decided is for those who may see the child."""
    WITHDRAWN = "withdrawn"


_WEIGHT = {
    Status.RECEIVED: 0,
    Status.LINKED: 1,
    Status.IN_REVIEW: 1,
    Status.NEW_CHILD: 1,
    Status.SEEN: 2,
    Status.DECIDED: 3,
    Status.WITHDRAWN: 4,
}


class NewNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note on its way in. Times in milliseconds since the epoch."""

    note_id: str
    op_id: int
    author: str
    author_name: str
    device_id: str
    author_borough: str | None
    found_borough: str | None
    observed_at: int
    observed_doubtful: bool
    recorded_at: int
    received_at: int
    status: Status


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What an op about an earlier note needs to know of it."""

    note_key: int
    note_id: str
    op_id: int
    author: str
    author_borough: str | None
    found_borough: str | None
    observed_at: int
    observed_doubtful: bool
    received_at: int
    withdrawn: bool
    rev: int


@impersonal("ids of notes, by which nobody is known")
def ids_beginning(tx: Transaction, beginning: str, most: int) -> list[str]:
    """Ids that begin so, in hexadecimal as phones make them, at most so many. Empty for what begins no id."""
    if not beginning or set(beginning) - set("0123456789abcdef-"):
        return []
    rows = tx.rows(
        "SELECT note_id FROM note WHERE note_id >= :first AND note_id < :behind ORDER BY note_id LIMIT :most",
        {"first": beginning, "behind": f"{beginning}g", "most": most},
    )
    return [note_id for (note_id,) in rows]


@impersonal("a name of a bucket")
def bucket(author: str) -> str:
    """The bucket that holds an officer's own notes."""
    return f"notes:{author}"


@audited(Verb.COLLECTION)
def add(tx: Transaction, actor: Actor, note: NewNote) -> int:
    """Store a note and let its author's phone know what became of it; its number.

    A note id that exists is a StorageConflict.
    """
    note_key: int = tx.insert(
        "INSERT INTO note (note_id, op_id, author, author_name, device_id, author_borough, found_borough,"
        " observed_at, observed_doubtful, recorded_at, received_at, status)"
        " VALUES (:note_id, :op_id, :author, :author_name, :device_id, :author_borough, :found_borough,"
        " :observed_at, :doubtful, :recorded_at, :received_at, :status)",
        {
            "note_id": note.note_id,
            "op_id": note.op_id,
            "author": note.author,
            "author_name": note.author_name,
            "device_id": note.device_id,
            "author_borough": note.author_borough,
            "found_borough": note.found_borough,
            "observed_at": note.observed_at,
            "doubtful": int(note.observed_doubtful),
            "recorded_at": note.recorded_at,
            "received_at": note.received_at,
            "status": note.status.value,
        },
        "note_key",
    )
    changes.put(tx, bucket(note.author), "note", note.note_id, 1, ChangeOp.PUT, note_key=note_key)
    record(tx, actor, Verb.COLLECTION, "note", [note.note_id], now=note.received_at)
    return note_key


@impersonal("for the server's own work; nothing is shown")
def stored(tx: Transaction, note_id: str) -> Stored | None:
    """A note by its id."""
    row = tx.row(
        "SELECT note_key, note_id, op_id, author, author_borough, found_borough, observed_at,"
        " observed_doubtful, received_at, withdrawn_at, rev FROM note"
        " WHERE note_id = :note",
        {"note": note_id},
    )
    if row is None:
        return None
    return Stored(
        note_key=row[0],
        note_id=row[1],
        op_id=row[2],
        author=row[3],
        author_borough=row[4],
        found_borough=row[5],
        observed_at=row[6],
        observed_doubtful=bool(row[7]),
        received_at=row[8],
        withdrawn=row[9] is not None,
        rev=row[10],
    )


@impersonal("ids only")
def taken_ids(tx: Transaction, note_ids: Sequence[str]) -> set[str]:
    """Those of these ids that a note has already."""
    if not note_ids:
        return set()
    marks = {f"n{index}": note_id for index, note_id in enumerate(note_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    return {row[0] for row in tx.rows(f"SELECT note_id FROM note WHERE note_id IN ({wanted})", marks)}


@impersonal("a time")
def observed_at(tx: Transaction, note_key: int) -> int:
    """When a note was observed, as the rules take it."""
    at: int = tx.value("SELECT observed_at FROM note WHERE note_key = :note", {"note": note_key})
    return at


@audited(Verb.ALTERATION)
def amend(tx: Transaction, actor: Actor, note: Stored, op_id: int, *, now: int) -> int:
    """Hang an amendment or withdrawal on a note. The note's new rev."""
    tx.execute(
        "INSERT INTO amendment (note_key, op_id, received_at) VALUES (:note, :op, :now)",
        {"note": note.note_key, "op": op_id, "now": now},
    )
    record(tx, actor, Verb.ALTERATION, "note", [note.note_id], now=now)
    rev: int = tx.value(
        "UPDATE note SET rev = rev + 1 WHERE note_key = :note RETURNING rev", {"note": note.note_key}
    )
    changes.put(tx, bucket(note.author), "note", note.note_id, rev, ChangeOp.PUT, note_key=note.note_key)
    return rev


@audited(Verb.ALTERATION)
def withdraw(tx: Transaction, actor: Actor, note: Stored, op_id: int, *, now: int) -> int:
    """Mark a note as written in error. It stays, and stops counting. The new rev."""
    tx.execute(
        "UPDATE note SET withdrawn_at = :now WHERE note_key = :note AND withdrawn_at IS NULL",
        {"now": now, "note": note.note_key},
    )
    rev = amend(tx, actor, note, op_id, now=now)
    set_status(tx, [note.note_id], Status.WITHDRAWN)
    return rev


@impersonal("a status word for the author; says nothing of a child")
def set_status(tx: Transaction, note_ids: Sequence[str], status: Status) -> None:
    """Say what became of notes, and let their authors' phones know.

    A status never goes back: a note that was seen stays so when its link is decided afterwards, and a
    withdrawn note is withdrawn.
    """
    kept = ", ".join(
        f"'{other.value}'" for other in Status if other is status or _WEIGHT[other] > _WEIGHT[status]
    )
    for note_id in note_ids:
        row = tx.row(
            f"UPDATE note SET status = :status, rev = rev + 1 WHERE note_id = :note AND status NOT IN ({kept})"
            " RETURNING author, rev, note_key",
            {"status": status.value, "note": note_id},
        )
        if row is not None:
            changes.put(tx, bucket(row[0]), "note", note_id, row[1], ChangeOp.PUT, note_key=row[2])


@impersonal("one time, nothing of a child")
def last_received_at(tx: Transaction) -> int | None:
    """When the newest note came, to whatever borough."""
    newest: int | None = tx.value("SELECT received_at FROM note ORDER BY note_key DESC LIMIT 1")
    return newest


@impersonal("counts only")
def count(tx: Transaction) -> int:
    """How many notes are stored."""
    total: int = tx.value("SELECT COUNT(*) FROM note")
    return total
