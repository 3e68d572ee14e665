"""Rules and weights of linkage that were put in force while the server runs: each kept as it was written, the newest
holds."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import reference
from server.storage.port import Transaction

HISTORY_MAX = 50


class Kind(StrEnum):
    """What holds."""

    RULES = "rules"
    MODEL = "model"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What was put in force: by whom, and when (milliseconds). `shipped`: what comes with the release, once more."""

    version: str
    loaded_by: str
    loaded_at: int
    shipped: bool


@impersonal("rules and weights, which name nobody")
def text(tx: Transaction, kind: Kind) -> str | None:
    """What holds, as it was written; None where none was ever loaded, or what ships was put in force again."""
    content: str | None = tx.value(
        "SELECT content FROM in_force WHERE kind = :kind ORDER BY in_force_id DESC LIMIT 1",
        {"kind": kind.value},
    )
    return content


@audited(Verb.ALTERATION)
def put(tx: Transaction, actor: Actor, kind: Kind, version: str, content: str | None, *, now: int) -> int:
    """Put it in force, for every process from its next transaction on. The text must have been checked; None is what
    ships."""
    number: int = tx.insert(
        "INSERT INTO in_force (kind, version, content, loaded_by, loaded_at)"
        " VALUES (:kind, :version, :content, :who, :now)",
        {"kind": kind.value, "version": version, "content": content, "who": actor.id, "now": now},
        "in_force_id",
    )
    reference.changed(tx)
    record(tx, actor, Verb.ALTERATION, kind.value, [number], now=now)
    return number


@impersonal("versions of rules and weights, and who loaded them")
def history(tx: Transaction, kind: Kind) -> list[Loaded]:
    """What was put in force, newest first."""
    rows = tx.rows(
        "SELECT version, loaded_by, loaded_at, content IS NULL FROM in_force WHERE kind = :kind"
        " ORDER BY in_force_id DESC LIMIT :most",
        {"kind": kind.value, "most": HISTORY_MAX},
    )
    return [
        Loaded(version=version, loaded_by=who, loaded_at=at, shipped=bool(shipped))
        for version, who, at, shipped in rows
    ]
