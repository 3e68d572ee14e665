"""Writing the trail: `record` notes an entry, and the end of the transaction chains and writes all.

    audit.record(tx, actor, Verb.CONSULTATION, "child", [child_id], now=now)

An entry holds ids, the actor, the time, the verb, and on what authority; never a name or a text.
One entry may hold many ids of one kind: a search that shows twenty children is one entry.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from server.audit.verbs import Actor, Verb
from server.storage.port import Transaction

IDS_MAX: Final = 1_000
"""Ids in one entry; more are split over several, so that no row of the trail grows without bound."""

REASON_MAX: Final = 80  # also in the pattern below
RECIPIENTS_MAX: Final = 100
"""A disclosure to more than a hundred parties is a publication, and wants another design."""

SUBJECTS_MANY: Final = 500
"""So many ids in one transaction (an import) are worth the way that is made for thousands of rows."""

INDEXED_AT_ONCE_MAX: Final = 20
"""Ids of an entry that are worth no waiting, though its writer does not mind (`index_later`)."""

GENESIS: Final = "0" * 64
"""What the first entry follows."""

CHAIN_LOCK: Final = "audit"

_BUFFER: Final = "audit"
_VERBS: Final = "audit.verbs"

_REASON: Final = re.compile(r"[A-Za-z0-9 _.:,;/()&'-]{1,80}")
_RECIPIENT: Final = re.compile(r"[A-Za-z0-9_.:/=+-]{1,120}")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[str]).decode

Noted = tuple[int, Verb, str, str, str, list[str], str | None, str, bool]


def record(
    tx: Transaction,
    actor: Actor,
    verb: Verb,
    kind: str,
    ids: Iterable[int | str],
    *,
    now: int,
    reason: str | None = None,
    recipients: Sequence[str] = (),
    index_later: bool = False,
) -> None:
    """Note that `actor` did `verb` to the records `ids` of `kind`, to be written at commit.

    `reason` is a short phrase of policy or program ("section 47 enquiry"), not what somebody typed;
    `recipients` are ids such as `person:12` or `webhook:3`, not addresses. No ids, no entry: but the
    call still satisfies `@audited`, because a search that finds nothing shows nobody. Calls of one
    transaction that differ only in their ids become one entry.

    `index_later`: of many ids, as of a page for a phone. The entry itself is written as any other, ids and all; only
    the index by record gets them a little later, in one go with others, for in it they lie far apart and each costs
    a page of the disk. Whoever searches finds them all the same (`history_of`).

    Raises ValueError when reason or recipients could hold a text.
    """
    notes = tx.notes
    if _BUFFER not in notes:
        notes[_BUFFER] = []
        notes.setdefault(_VERBS, [])
        tx.at_commit(_write)
    notes[_VERBS].append(verb)
    if reason is not None and not _REASON.fullmatch(reason):
        raise ValueError(
            f"An audit reason is a phrase of at most {REASON_MAX} plain characters, not free text. "
            "Keep what a person typed in a record of its own."
        )
    if recipients and (len(recipients) > RECIPIENTS_MAX or not all(map(_RECIPIENT.fullmatch, recipients))):
        raise ValueError("Audit recipients are ids such as person:12 or webhook:3, not names or addresses.")
    named = [str(one) for one in ids]
    told = _encode(recipients).decode() if recipients else "[]"
    if named:
        notes[_BUFFER].append((now, verb, actor.kind, actor.id, kind, named, reason, told, index_later))


def verbs_recorded(tx: Transaction) -> Sequence[Verb]:
    """The verbs of every call of `record` in this transaction so far, in order."""
    found: Sequence[Verb] = tx.notes.get(_VERBS, ())
    return found


def entry_hash(
    previous_hash: str,
    at: int,
    verb: str,
    actor_kind: str,
    actor_id: str,
    kind: str,
    ids: str,
    reason: str | None,
    recipients: str,
) -> str:
    """SHA-256, in hex, of the entry as a JSON array in this order, UTF-8, without white space.

    `ids` and `recipients` are the JSON texts stored in the table, taken as strings. The position is
    not in it: the chain gives every entry its place, and so a moved one can be recognised.
    """
    row = ("earlysign-audit-1", previous_hash, at, verb, actor_kind, actor_id, kind, ids, reason, recipients)
    return hashlib.sha256(_encode(row)).hexdigest()


def _write(tx: Transaction) -> None:
    """Chain and write what was noted. Runs at the end of the transaction, holding the chain's lock.

    The buffer is taken out first: last work that runs after this may record more, and then a new
    buffer asks for this function again.
    """
    noted: list[Noted] = tx.notes.pop(_BUFFER, [])
    if not noted:
        return
    tx.lock(CHAIN_LOCK)
    head = tx.row("SELECT entries, hash FROM audit_head WHERE head = 1")
    position, previous = (0, GENESIS) if head is None else (int(head[0]), str(head[1]))
    entries: list[dict[str, Any]] = []
    subjects: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for at, verb, actor_kind, actor_id, kind, ids, reason, recipients, later in _together(noted):
        position += 1
        ids_text = _encode(ids).decode()
        digest = entry_hash(previous, at, verb, actor_kind, actor_id, kind, ids_text, reason, recipients)
        entries.append(
            {
                "position": position,
                "at": at,
                "verb": verb.value,
                "actor_kind": actor_kind,
                "actor_id": actor_id,
                "kind": kind,
                "ids": ids_text,
                "reason": reason,
                "recipients": recipients,
                "previous_hash": previous,
                "hash": digest,
            }
        )
        if later and len(ids) > INDEXED_AT_ONCE_MAX:
            waiting.append({"position": position})
        else:
            subjects.extend([{"kind": kind, "id": one, "position": position} for one in ids])
        previous = digest
    tx.executemany(_INSERT_ENTRY, entries)
    if len(subjects) >= SUBJECTS_MANY:
        tx.insert_many("audit_subject", ("kind", "id", "position"), [tuple(one.values()) for one in subjects])
    else:
        tx.executemany(_INSERT_SUBJECT, subjects)
    if waiting:
        tx.executemany("INSERT INTO audit_unindexed (position) VALUES (:position)", waiting)
    tx.execute(_MOVE_HEAD, {"entries": position, "hash": previous})


def is_behind(tx: Transaction) -> bool:
    """Whether entries wait for the index by record."""
    return tx.row("SELECT 1 FROM audit_unindexed LIMIT 1") is not None


def index_waiting(tx: Transaction, limit: int) -> int:
    """Put the ids of up to `limit` entries that wait into the index by record, in its order; how many entries."""
    found = tx.rows(
        "SELECT e.kind, e.position, e.ids FROM audit_unindexed w JOIN audit_entry e ON e.position = w.position"
        " ORDER BY w.position LIMIT :most",
        {"most": limit},
    )
    rows = sorted((kind, one, position) for kind, position, ids in found for one in _decode(ids))
    if rows:
        tx.insert_many("audit_subject", ("kind", "id", "position"), rows)
    tx.executemany(
        "DELETE FROM audit_unindexed WHERE position = :position",
        [{"position": position} for _, position, _ in found],
    )
    return len(found)


def _together(noted: Sequence[Noted]) -> Iterator[Noted]:
    """What one actor did at one moment to records of one kind, as one entry with all their ids.

    A push of fifty notes is then some entries and not some hundred, and says the same.
    """
    alike: dict[tuple[object, ...], tuple[Noted, dict[str, None]]] = {}
    for one in noted:
        at, verb, actor_kind, actor_id, kind, ids, reason, recipients, later = one
        key = (at, verb, actor_kind, actor_id, kind, reason, recipients, later)
        found = alike.get(key)
        if found is None:
            found = alike[key] = (one, {})
        found[1].update(dict.fromkeys(ids))
    for (at, verb, actor_kind, actor_id, kind, _, reason, recipients, later), distinct in alike.values():
        ids = list(distinct)
        for start in range(0, len(ids), IDS_MAX):
            part = ids[start : start + IDS_MAX] if len(ids) > IDS_MAX else ids
            yield at, verb, actor_kind, actor_id, kind, part, reason, recipients, later


_INSERT_ENTRY: Final = """
INSERT INTO audit_entry
  (position, at, verb, actor_kind, actor_id, kind, ids, reason, recipients, previous_hash, hash)
VALUES
  (:position, :at, :verb, :actor_kind, :actor_id, :kind, :ids, :reason, :recipients, :previous_hash, :hash)
"""

_INSERT_SUBJECT: Final = "INSERT INTO audit_subject (kind, id, position) VALUES (:kind, :id, :position)"

_MOVE_HEAD: Final = """
INSERT INTO audit_head (head, entries, hash) VALUES (1, :entries, :hash)
ON CONFLICT (head) DO UPDATE SET entries = excluded.entries, hash = excluded.hash
"""
