"""Rule packs that were put in force while the server runs: each is kept as it was written, and the newest holds."""

from __future__ import annotations

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import reference
from server.storage.port import Transaction

HISTORY_MAX = 50


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A pack that was put in force: by whom, and when (milliseconds)."""

    pack_id: int
    version: str
    loaded_by: str
    loaded_at: int


@impersonal("rules, which name nobody")
def in_force(tx: Transaction) -> str | None:
    """The text of the pack in force; None where none was ever loaded, and the one of the settings holds."""
    content: str | None = tx.value("SELECT content FROM rule_pack ORDER BY pack_id DESC LIMIT 1")
    return content


@audited(Verb.ALTERATION)
def put_in_force(tx: Transaction, actor: Actor, version: str, content: str, *, now: int) -> int:
    """Put a pack in force, for every process from its next transaction on. The text must have been checked."""
    pack_id: int = tx.insert(
        "INSERT INTO rule_pack (version, content, loaded_by, loaded_at)"
        " VALUES (:version, :content, :who, :now)",
        {"version": version, "content": content, "who": actor.id, "now": now},
        "pack_id",
    )
    reference.changed(tx)
    record(tx, actor, Verb.ALTERATION, "rules", [pack_id], now=now)
    return pack_id


@impersonal("versions of rules, and who loaded them")
def history(tx: Transaction) -> list[Loaded]:
    """The packs that were put in force, newest first."""
    rows = tx.rows(
        "SELECT pack_id, version, loaded_by, loaded_at FROM rule_pack ORDER BY pack_id DESC LIMIT :most",
        {"most": HISTORY_MAX},
    )
    names = Loaded.__struct_fields__
    return [msgspec.convert(dict(zip(names, row, strict=True)), Loaded) for row in rows]
