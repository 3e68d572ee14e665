"""Attachments: bytes that the server has, who handed them in, and which notes name them.

A note is accepted before its attachments; that one is complete is derived and never stored. A note shows the bytes
only once a phone of its own author has handed them in: to name a digest is not to have the photograph.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.access.identity import DeviceIdentity, Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.facts import milliseconds
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.media import ACCEPTED, MediaKind
from sync.note import Attached

FORM_TRIES_MAX = 3
"""A picture that could not be made ready three times will not be the fourth time."""


SET_ASIDE_READ_MAX = 1_000
"""Lines of one phone that were set aside, the newest, in which a digest is looked for: months of an officer's notes."""


class FormState(StrEnum):
    """Whether what people are shown of an attachment has been made."""

    WAITING = "waiting"
    MADE = "made"
    FAILED = "failed"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that the server has. `size` in bytes."""

    digest: str
    size: int
    media_type: str
    form_state: FormState


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """An attachment that a note names: what the note says of it, and `kept` once it has arrived."""

    digest: str
    kind: MediaKind | None
    taken_at: int | None
    kept: Kept | None


@audited(Verb.COLLECTION)
def add(
    tx: Transaction, sender: DeviceIdentity, digest: str, size: int, media_type: str, *, now: int
) -> bool:
    """Take in bytes that are on the disk; False where this phone handed in the same before."""
    tx.execute(
        "INSERT INTO attachment (digest, size, media_type, received_at, form_state)"
        " VALUES (:digest, :size, :type, :now, :state) ON CONFLICT (digest) DO NOTHING",
        {"digest": digest, "size": size, "type": media_type, "now": now, "state": FormState.WAITING.value},
    )
    fresh = tx.execute(
        "INSERT INTO attachment_source (digest, device_id, author, received_at)"
        " VALUES (:digest, :device, :author, :now) ON CONFLICT DO NOTHING",
        {"digest": digest, "device": sender.device_id, "author": sender.username, "now": now},
    )
    if fresh:
        record(tx, Actor("device", sender.device_id), Verb.COLLECTION, "attachment", [digest], now=now)
    return bool(fresh)


@impersonal("a phone's question about its own digest; another's is not there")
def handed_in_at(tx: Transaction, device_id: str, digest: str) -> int | None:
    """When this phone handed these bytes in, or None where it did not, whoever else may have."""
    at: int | None = tx.value(
        "SELECT received_at FROM attachment_source WHERE digest = :digest AND device_id = :device",
        {"digest": digest, "device": device_id},
    )
    return at


@impersonal("a yes or a no about the phone's own notes; nothing is shown")
def is_awaited(tx: Transaction, device_id: str, digest: str) -> bool:
    """Whether a note that this phone handed in names these bytes: one that was taken, or one that is set aside and
    that nobody has refused, as far as it can be read."""
    taken = tx.row(
        "SELECT 1 FROM note_attachment r JOIN note n ON n.note_key = r.note_key"
        " WHERE r.digest = :digest AND n.device_id = :device LIMIT 1",
        {"digest": digest, "device": device_id},
    )
    if taken is not None:
        return True
    set_aside = tx.rows(
        "SELECT COALESCE(q.line, o.line) FROM quarantine q LEFT JOIN op o ON o.op_id = q.op_id"
        " WHERE q.device_id = :device AND q.decision IS NULL ORDER BY q.quarantine_id DESC LIMIT :most",
        {"device": device_id, "most": SET_ASIDE_READ_MAX},
    )
    return any(digest.encode() in bytes(line) for (line,) in set_aside)


@impersonal("part of the note, whose collection or alteration is logged where it is stored")
def name(tx: Transaction, note_key: int, attached: Sequence[Attached]) -> None:
    """Record what a note, or an amendment to it, names. What was named before stays as it was."""
    if not attached:
        return
    first = tx.value("SELECT COUNT(*) FROM note_attachment WHERE note_key = :note", {"note": note_key})
    tx.executemany(
        "INSERT INTO note_attachment (note_key, digest, ordinal, kind, taken_at)"
        " VALUES (:note, :digest, :ordinal, :kind, :taken) ON CONFLICT DO NOTHING",
        [
            {
                "note": note_key,
                "digest": one.sha256,
                "ordinal": first + index,
                "kind": one.kind.value if one.kind else None,
                "taken": milliseconds(one.taken_at) if one.taken_at else None,
            }
            for index, one in enumerate(attached)
        ],
    )


@impersonal("part of the notes on a timeline, whose consultation is logged with them")
def of_notes(tx: Transaction, note_keys: Sequence[int]) -> dict[int, tuple[Named, ...]]:
    """What each of these notes names, in its order; notes that name nothing are left out."""
    if not note_keys:
        return {}
    marks: dict[str, object] = {f"n{index}": key for index, key in enumerate(note_keys)}
    wanted = ", ".join(f":{mark}" for mark in marks)
    found: dict[int, list[Named]] = {}
    for note_key, digest, kind, taken_at, size, media_type, state in tx.rows(
        "SELECT r.note_key, r.digest, r.kind, r.taken_at, a.size, a.media_type, a.form_state"
        f" FROM note_attachment r LEFT JOIN attachment a ON a.digest = r.digest AND {_HANDED_IN}"
        f" WHERE r.note_key IN ({wanted}) ORDER BY r.note_key, r.ordinal",
        marks,
    ):
        kept = None
        if size is not None:
            kept = Kept(digest=digest, size=size, media_type=media_type, form_state=FormState(state))
            kind = ACCEPTED[media_type].kind.value  # what the bytes are stands above what was said of them
        found.setdefault(note_key, []).append(
            Named(digest=digest, kind=MediaKind(kind) if kind else None, taken_at=taken_at, kept=kept)
        )
    return {note_key: tuple(named) for note_key, named in found.items()}


@audited(Verb.CONSULTATION)
def show(tx: Transaction, person: Person, child_id: int, digest: str, *, now: int) -> Kept | None:
    """An attachment of a note on this child's timeline, of all its records. Ask `children.require_sight` before."""
    row = tx.row(
        "SELECT a.digest, a.size, a.media_type, a.form_state FROM attachment a"
        " JOIN note_attachment r ON r.digest = a.digest JOIN subject s ON s.note_key = r.note_key"
        f" WHERE a.digest = :digest AND s.child_id IN {WHOLE} AND {_HANDED_IN} LIMIT 1",
        {"digest": digest, "child": child_id},
    )
    if row is None:
        return None
    record(tx, Actor("person", person.username), Verb.CONSULTATION, "attachment", [digest], now=now)
    return Kept(digest=row[0], size=row[1], media_type=row[2], form_state=FormState(row[3]))


@impersonal("a digest and a type, for the server's own work; nothing is shown")
def next_to_make(tx: Transaction) -> Kept | None:
    """The attachment that has waited longest for what people are shown of it."""
    row = tx.row(
        "SELECT digest, size, media_type, form_state FROM attachment WHERE form_state = 'waiting'"
        " ORDER BY form_tries, received_at, digest LIMIT 1"
    )
    return None if row is None else Kept(
        digest=row[0], size=row[1], media_type=row[2], form_state=FormState(row[3])
    )  # fmt: skip


@impersonal("a state of the server's own work")
def set_made(tx: Transaction, digest: str, *, made: bool, again: bool) -> None:
    """Record how making went. What may be tried again goes to the end of the line, until it has failed too often."""
    tx.execute(
        "UPDATE attachment SET form_tries = form_tries + 1, form_state = CASE WHEN :made = 1 THEN 'made'"
        " WHEN :again = 1 AND form_tries + 1 < :most THEN 'waiting' ELSE 'failed' END WHERE digest = :digest",
        {"digest": digest, "made": int(made), "again": int(again), "most": FORM_TRIES_MAX},
    )


@impersonal("digests and sizes, to be compared with the files")
def everything(tx: Transaction, after: str, limit: int) -> list[tuple[str, int]]:
    """(digest, size) of the attachments after one digest, in order."""
    return [
        (digest, size)
        for digest, size in tx.rows(
            "SELECT digest, size FROM attachment WHERE digest > :after ORDER BY digest LIMIT :limit",
            {"after": after, "limit": limit},
        )
    ]


@impersonal("counts only")
def counts(tx: Transaction) -> tuple[int, int]:
    """(attachments that the server has, digests that notes name and that are not here yet)."""
    kept: int = tx.value("SELECT COUNT(*) FROM attachment")
    owed: int = tx.value(
        "SELECT COUNT(*) FROM note_attachment r"
        f" WHERE NOT EXISTS (SELECT 1 FROM attachment a WHERE a.digest = r.digest AND {_HANDED_IN})"
    )
    return kept, owed


_HANDED_IN = (
    "EXISTS (SELECT 1 FROM attachment_source o JOIN note n ON n.author = o.author"
    " WHERE o.digest = r.digest AND n.note_key = r.note_key)"
)
"""A phone of the note's own author has handed the bytes in."""
