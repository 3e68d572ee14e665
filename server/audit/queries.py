"""Reading the trail: who has looked at a record, what somebody did, and an export for an auditor.

Reading the trail is a consultation itself, and is recorded like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from server.audit.declare import audited
from server.audit.trail import record
from server.audit.verbs import Actor, ActorKind, Verb
from server.storage.port import Row, Store, Transaction

KIND: Final = "audit"
"""The kind under which reading the trail is recorded; ids are `child:5`, `person:3` or `1-200`."""

PAGE_MAX: Final = 500
"""Entries in one answer: more than anybody reads on one screen."""

EXPORT_PAGE: Final = 2_000

_COLUMNS = "e.position, e.at, e.verb, e.actor_kind, e.actor_id, e.kind, e.ids, e.reason, e.recipients"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the trail. `at` is in milliseconds since the Unix epoch."""

    position: int
    at: int
    verb: Verb
    actor: Actor
    kind: str
    ids: tuple[str, ...]
    reason: str | None
    recipients: tuple[str, ...]


class ExportedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as exported: with the texts that were hashed, so that anybody can compute it again."""

    position: int
    previous_hash: str
    at: int
    verb: str
    actor_kind: ActorKind
    actor_id: str
    kind: str
    ids: str
    reason: str | None
    recipients: str
    hash: str


@audited(Verb.CONSULTATION)
def history_of(
    tx: Transaction,
    actor: Actor,
    kind: str,
    record_id: int | str,
    *,
    now: int,
    before: int | None = None,
    limit: int = PAGE_MAX,
) -> list[Entry]:
    """What was done to one record and by whom, newest first: "who has looked at child 5?"

    `before` is the position of the last entry already seen, for the next page.
    """
    record(tx, actor, Verb.CONSULTATION, KIND, [f"{kind}:{record_id}"], now=now)
    found = tx.rows(
        f"SELECT {_COLUMNS} FROM ("
        "SELECT position FROM audit_subject WHERE kind = :kind AND id = :id "
        # Those that the index does not have yet. Not LIKE: on SQLite it takes capitals for small letters.
        "UNION SELECT w.position FROM audit_unindexed w JOIN audit_entry u ON u.position = w.position "
        "WHERE u.kind = :kind AND REPLACE(u.ids, :quoted, '') <> u.ids"
        ") s JOIN audit_entry e ON e.position = s.position "
        "WHERE s.position < :before ORDER BY s.position DESC LIMIT :n",
        {
            "kind": kind,
            "id": str(record_id),
            "quoted": msgspec.json.encode(str(record_id)).decode(),
            "before": _or_newest(before),
            "n": _page(limit),
        },
    )
    return list(map(_entry, found))


@audited(Verb.CONSULTATION)
def done_by(
    tx: Transaction,
    actor: Actor,
    whom: Actor,
    *,
    now: int,
    before: int | None = None,
    limit: int = PAGE_MAX,
) -> list[Entry]:
    """What one person, device or part of the server did, newest first."""
    record(tx, actor, Verb.CONSULTATION, KIND, [str(whom)], now=now)
    found = tx.rows(
        f"SELECT {_COLUMNS} FROM audit_entry e "
        "WHERE e.actor_kind = :kind AND e.actor_id = :id AND e.position < :before "
        "ORDER BY e.position DESC LIMIT :n",
        {"kind": whom.kind, "id": whom.id, "before": _or_newest(before), "n": _page(limit)},
    )
    return list(map(_entry, found))


def export(
    store: Store,
    actor: Actor,
    write_line: Callable[[bytes], object],
    *,
    now: int,
    after: int = 0,
    child_ids: Sequence[int] = (),
    recipients: Sequence[str] = (),
) -> int:
    """Hand every entry after a position to `write_line`, one JSON object and a line feed each; with `child_ids` those
    alone that are about one of these records.

    The disclosure is recorded and on disk before the first line leaves. Gives the number of lines.
    """

    def begin(tx: Transaction) -> int:
        last = int(tx.value("SELECT entries FROM audit_head WHERE head = 1") or 0)
        what = [f"child:{child_id}" for child_id in child_ids] or [f"{after + 1}-{last}"]
        record(tx, actor, Verb.DISCLOSURE, KIND, what, now=now, recipients=recipients)
        return last

    last = store.write_now(begin)
    encoder = msgspec.json.Encoder()
    lines = 0
    position = after
    while position < last:
        page = store.read_now(partial(_export_page, after=position, last=last, child_ids=child_ids))
        if not page:
            break
        for entry in page:
            write_line(encoder.encode(entry) + b"\n")
        lines += len(page)
        position = page[-1].position
    return lines


_ABOUT: Final = (
    "SELECT s.position FROM audit_subject s WHERE s.kind = 'child' AND s.id = :id{0} "
    # Those that the index does not have yet, as in `history_of`.
    "UNION SELECT w.position FROM audit_unindexed w JOIN audit_entry u ON u.position = w.position "
    "WHERE u.kind = 'child' AND REPLACE(u.ids, :quoted{0}, '') <> u.ids"
)


def _export_page(tx: Transaction, after: int, last: int, child_ids: Sequence[int]) -> list[ExportedEntry]:
    marks: dict[str, object] = {"after": after, "last": last, "n": EXPORT_PAGE}
    narrowed = ""
    if child_ids:
        about = []
        for index, child_id in enumerate(child_ids):
            about.append(_ABOUT.format(index))
            marks |= {
                f"id{index}": str(child_id),
                f"quoted{index}": msgspec.json.encode(str(child_id)).decode(),
            }
        narrowed = f"AND e.position IN ({' UNION '.join(about)}) "
    found = tx.rows(
        f"SELECT {_COLUMNS}, e.previous_hash, e.hash FROM audit_entry e "
        f"WHERE e.position > :after AND e.position <= :last {narrowed}ORDER BY e.position LIMIT :n",
        marks,
    )
    return [
        ExportedEntry(
            position=row[0],
            at=row[1],
            verb=row[2],
            actor_kind=row[3],
            actor_id=row[4],
            kind=row[5],
            ids=row[6],
            reason=row[7],
            recipients=row[8],
            previous_hash=row[9],
            hash=row[10],
        )
        for row in found
    ]


def _entry(row: Row) -> Entry:
    position, at, verb, actor_kind, actor_id, kind, ids, reason, recipients = row
    return Entry(
        position=position,
        at=at,
        verb=Verb(verb),
        actor=Actor(actor_kind, actor_id),
        kind=kind,
        ids=msgspec.json.decode(ids, type=tuple[str, ...]),
        reason=reason,
        recipients=msgspec.json.decode(recipients, type=tuple[str, ...]),
    )


def _or_newest(before: int | None) -> int:
    return 2**62 if before is None else before


def _page(limit: int) -> int:
    return max(1, min(limit, PAGE_MAX))
