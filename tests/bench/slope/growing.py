"""Ten years of notes in minutes: what the road wrote for some thousand notes, copied with other ids.

The first notes go the real road. Every copy after that holds the same rows for another block of children, with other
numbers, note ids, officers and wards, and earlier times: so each child in it has the notes, flags and duties that the
road itself gave a child, and tables and indexes are as large and as deep as they would be. That is fair because what a
note costs depends on how many rows there are to look among, and on the history of the one child, which is the same
in every size: only the children of the first block are written about again.

Where copies are not what years would have left: their duties and reviews are closed (what waits does not grow with
what is stored), children that were made for them are in no index (so that the number of children to look among stays
the same), their audit entries are not chained, and their lines and evidence name other ids than their rows do.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

APART_MS = 14 * 24 * 3_600_000
"""Between two copies: 260 of them are ten years."""
MARK = 8
"""Hexadecimal digits at the end of a note's id that say which copy it is of."""

CHILD = (
    "CASE WHEN child_id > :known THEN child_id + :n * :made"
    " ELSE (child_id - 1 + :n * :block) % :known + 1 END"
)
NOTE = "substr(note_id, 1, 28) || printf('%08x', :n)"
OFFICER = "{} || '-' || :n"
EARLIER = "{} - :n * :apart"


class Numbers(msgspec.Struct, frozen=True):
    """The last number of each kind that the road gave away: for the first notes, 1 to this."""

    op_stream: int
    op: int
    note: int
    subject: int
    link_event: int
    review: int
    flag: int
    alert: int
    alert_event: int
    change: int
    audit_entry: int


IDENTITY = {
    "op_stream": "stream_id", "op": "op_id", "note": "note_key", "subject": "subject_id", "link_event": "event_id",
    "review": "review_id", "flag": "flag_id", "alert": "alert_id", "alert_event": "event_id", "change": "seq",
    "audit_entry": "position",
}  # fmt: skip


def _by(kind: str, column: str) -> str:
    return f"{column} + :n * :{kind}"


COPIES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("op_stream", "stream_id <= :op_stream", {
        "stream_id": _by("op_stream", "stream_id"), "device_id": OFFICER.format("device_id"),
    }),
    ("op", "op_id <= :op", {
        "op_id": _by("op", "op_id"), "stream_id": _by("op_stream", "stream_id"),
        "received_at": EARLIER.format("received_at"),
    }),
    ("child", "child_id > :known AND child_id <= :known + :made", {"child_id": CHILD, "indexed": "NULL"}),
    ("child_borough", "child_id <= :block OR (child_id > :known AND child_id <= :known + :made)", {
        "child_id": CHILD,
    }),
    ("note", "note_key <= :note", {
        "note_key": _by("note", "note_key"), "note_id": NOTE, "op_id": _by("op", "op_id"),
        "author": OFFICER.format("author"), "device_id": OFFICER.format("device_id"),
        "observed_at": EARLIER.format("observed_at"), "recorded_at": EARLIER.format("recorded_at"),
        "received_at": EARLIER.format("received_at"),
    }),
    ("subject", "subject_id <= :subject", {
        "subject_id": _by("subject", "subject_id"), "note_key": _by("note", "note_key"), "child_id": CHILD,
        "facts": "renamed(facts, :n)",
    }),
    ("link_event", "event_id <= :link_event", {
        "event_id": _by("link_event", "event_id"), "subject_id": _by("subject", "subject_id"), "child_id": CHILD,
        "at": EARLIER.format("at"),
    }),
    ("review", "review_id <= :review", {
        "review_id": _by("review", "review_id"), "subject_id": _by("subject", "subject_id"),
        "noted_at": EARLIER.format("noted_at"), "opened_at": EARLIER.format("opened_at"),
        "closed_at": EARLIER.format("opened_at"), "closed_by": "'bench'", "answer": "'new'",
    }),
    ("flag", "flag_id <= :flag", {
        "flag_id": _by("flag", "flag_id"), "child_id": CHILD,
        "flag_key": "CASE WHEN rule = 'concern' THEN substr(flag_key, 1, 36) || printf('%08x', :n)"
                    " ELSE flag_key END",
        "raised_at": EARLIER.format("raised_at"), "changed_at": EARLIER.format("changed_at"),
    }),
    ("flag_note", "flag_id <= :flag", {"flag_id": _by("flag", "flag_id"), "note_id": NOTE}),
    ("alert", "alert_id <= :alert", {
        "alert_id": _by("alert", "alert_id"), "child_id": CHILD, "state": "'closed'",
        "started_at": EARLIER.format("started_at"), "deadline_at": EARLIER.format("deadline_at"),
        "escalates_at": "NULL", "closed_at": EARLIER.format("started_at"), "closed_reason": "'bench'",
    }),
    ("alert_copy", "alert_id <= :alert", {"alert_id": _by("alert", "alert_id")}),
    ("alert_flag", "alert_id <= :alert", {
        "alert_id": _by("alert", "alert_id"), "flag_id": _by("flag", "flag_id"),
    }),
    ("alert_event", "event_id <= :alert_event", {
        "event_id": _by("alert_event", "event_id"), "alert_id": _by("alert", "alert_id"),
        "at": EARLIER.format("at"),
    }),
    ("change", "seq <= :change", {
        "seq": _by("change", "seq"), "bucket": OFFICER.format("bucket"), "note_key": _by("note", "note_key"),
        "id": "CASE kind WHEN 'note' THEN substr(id, 1, 28) || printf('%08x', :n) ELSE id END",
    }),
    ("briefed", "1 = 1", {"ward": OFFICER.format("ward"), "child_id": CHILD}),
    ("audit_entry", "position <= :audit_entry", {
        "position": _by("audit_entry", "position"), "at": EARLIER.format("at"),
    }),
    ("audit_subject", "position <= :audit_entry", {
        "position": _by("audit_entry", "position"),
        "id": "CASE kind WHEN 'note' THEN substr(id, 1, 28) || printf('%08x', :n)"
              " WHEN 'child' THEN CAST((CAST(id AS INTEGER) - 1 + :n * :block) % :known + 1 AS TEXT) ELSE id END",
    }),
)  # fmt: skip
"""Each table that a note writes to: which of its rows are the first notes', and what is different in a copy."""


def grow(database: Path, copies: int, known: int, block: int) -> None:
    """Add so many copies of all the notes there are. `known`: children of the registry; `block`: how many of them,
    from the first on, the notes are about."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.create_function("renamed", 2, _renamed, deterministic=True)
    # A database that is thrown away if this fails need not be safe against failing.
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", f"cache_size=-{1024 * 1024}"):
        connection.execute(f"PRAGMA {pragma}")
    fixed = {"known": known, "block": block, "apart": APART_MS} | _numbers(connection, known)
    connection.execute("BEGIN EXCLUSIVE")
    # What is copied stands in tables of its own: those that grow would be read from end to end each time.
    for table, which, _ in COPIES:
        connection.execute(f"CREATE TEMP TABLE first_{table} AS SELECT * FROM {table} WHERE {which}", fixed)
    statements = [_copying(connection, table, changed) for table, _, changed in COPIES]
    for n in range(1, copies + 1):
        for statement in statements:
            connection.execute(statement, fixed | {"n": n})
    connection.execute(
        "UPDATE audit_head SET entries = p.position, hash = p.hash"
        " FROM (SELECT position, hash FROM audit_entry ORDER BY position DESC LIMIT 1) p"
    )
    connection.execute("COMMIT")
    connection.close()


def _numbers(connection: sqlite3.Connection, known: int) -> dict[str, int]:
    found = {
        table: connection.execute(f"SELECT COALESCE(MAX({key}), 0) FROM {table}").fetchone()[0]
        for table, key in IDENTITY.items()
    }
    found["made"] = connection.execute("SELECT MAX(child_id) FROM child").fetchone()[0] - known
    return found


def _copying(connection: sqlite3.Connection, table: str, changed: dict[str, str]) -> str:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    unknown = changed.keys() - set(columns)
    assert not unknown, f"{table} has no {unknown}"
    values = ", ".join(changed.get(name, name) for name in columns)
    # Two notes of the first may stand on a child outside the block; its copies may meet others there.
    return f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) SELECT {values} FROM first_{table}"


def _renamed(facts: bytes, n: int) -> bytes:
    """The facts of a note, whose id is their first field, as those of its copy."""
    start = facts.index(b"\xd9\x24") + 2  # msgpack: a text of 36 bytes
    end = start + 36
    return facts[: end - MARK] + b"%08x" % n + facts[end:]
