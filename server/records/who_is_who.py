"""Who is who: who decides it, and whether a decision made a moment ago would be made again now.

Two things change what linkage would say of a note: a new child, found by its keys, and whatever is decided alone
(merges, moves, people's answers, an import). The first is asked of the index, the second is counted.
"""

import msgspec

from server.audit import impersonal
from server.linkage.entries import decode_entry
from server.storage.port import Transaction

LOCK = "intake"
"""Lock of the database under which it is decided which child is which. People who decide hold it alone, so that a
note which comes while its child is merged is counted with it; pushes share it, and hold what they decide on besides
(`server/beside.py`). SQLite has one writer anyway."""

MADE_SINCE_MAX = 2_000
"""New children that are looked through, at most, before everything made ahead of them is decided again."""

_COUNT = "who_is_who.changes"


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """The state of a database that a decision was made on: its changes so far, and the newest child."""

    changes: int
    newest_child: int


@impersonal("takes a lock and counts")
def hold(tx: Transaction) -> None:
    """Be the only one who decides which child is which, until the transaction ends."""
    tx.lock(LOCK)
    changed(tx)


@impersonal("counts")
def changed(tx: Transaction) -> None:
    """Say that this transaction changes who is who otherwise than by a new child. Call it before the change.

    Only where there is one writer is anything decided ahead of it; where there are several they would wait for each
    other's count.
    """
    if not tx.sole_writer:
        return
    tx.execute(
        "INSERT INTO server_state (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": _COUNT, "value": str(_changes(tx) + 1).encode()},
    )


@impersonal("two numbers")
def moment(tx: Transaction) -> Moment:
    """The state that this transaction sees."""
    return Moment(_changes(tx), tx.value("SELECT MAX(child_id) FROM child", {}) or 0)


@impersonal("numbers, for the server's own work")
def keys_since(tx: Transaction, then: Moment) -> set[int] | None:
    """The keys of the children made since, or None where more than new children has changed."""
    if _changes(tx) != then.changes:
        return None
    rows = tx.rows(
        "SELECT indexed FROM child WHERE child_id > :newest AND indexed IS NOT NULL LIMIT :most",
        {"newest": then.newest_child, "most": MADE_SINCE_MAX + 1},
    )
    if len(rows) > MADE_SINCE_MAX:
        return None
    return set().union(*(decode_entry(entry).keys for (entry,) in rows))


def _changes(tx: Transaction) -> int:
    stored = tx.value("SELECT value FROM server_state WHERE name = :name", {"name": _COUNT})
    return int(bytes(stored)) if stored is not None else 0
