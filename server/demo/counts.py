"""What is in the database after the story, as numbers: nothing of any child is read."""

from __future__ import annotations

import msgspec

from server.storage import Store, Transaction


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts at the server. `linked`, `new` and `in_review` are linkage's first decision on each subject."""

    children: int
    notes: int
    ops: int
    quarantined: int
    linked: int
    new: int
    in_review: int
    flags: int
    alerts: int
    acknowledged: int
    closed: int
    escalations: int
    audit_entries: int


_ONE = {
    "children": "SELECT COUNT(*) FROM child WHERE registry_id IS NOT NULL",
    "notes": "SELECT COUNT(*) FROM note",
    "ops": "SELECT COUNT(*) FROM op",
    "quarantined": "SELECT COUNT(*) FROM quarantine",
    "flags": "SELECT COUNT(*) FROM flag WHERE retracted_at IS NULL",
    "alerts": "SELECT COUNT(*) FROM alert",
    "acknowledged": "SELECT COUNT(*) FROM alert WHERE acknowledged_at IS NOT NULL",
    "closed": "SELECT COUNT(*) FROM alert WHERE closed_at IS NOT NULL",
    "escalations": "SELECT COUNT(*) FROM alert_event WHERE kind = 'escalated'",
    "audit_entries": "SELECT COUNT(*) FROM audit_entry",
}
_FIRST_DECISION = (
    "SELECT COUNT(*) FROM link_event e WHERE e.action = :action AND e.event_id ="
    " (SELECT MIN(o.event_id) FROM link_event o WHERE o.subject_id = e.subject_id)"
)


def count(store: Store) -> Counts:
    """All of them, in one read."""

    def work(tx: Transaction) -> Counts:
        found = {name: int(tx.value(sql) or 0) for name, sql in _ONE.items()}
        for name, action in (("linked", "link"), ("new", "new"), ("in_review", "review")):
            found[name] = int(tx.value(_FIRST_DECISION, {"action": action}) or 0)
        return Counts(**found)

    return store.read_now(work)


def count_notes(store: Store) -> int:
    """How many notes are at the server by now."""
    return store.read_now(lambda tx: int(tx.value("SELECT COUNT(*) FROM note") or 0))


def note_ids(store: Store) -> list[str]:
    """The id of every note at the server."""
    return store.read_now(lambda tx: [row[0] for row in tx.rows("SELECT note_id FROM note")])
