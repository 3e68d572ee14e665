"""What a person decided of an entry that was set aside, as the phones of the officer who handed it in hear it: among
the officer's own notes, by the digest of its bytes, which a phone knows though the server may not be able to read them.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import changes
from server.records.notes import bucket
from server.storage.port import Transaction
from sync.envelope import ChangeOp

KIND = "decision"
BEFORE = "aside:"
"""How the id of a decision begins, before its number. No note's id has a colon."""


@impersonal("a number and an officer's name for the log of changes; what was decided is read when it is sent")
def made(tx: Transaction, quarantine_id: int) -> None:
    """Let the officer's phones hear of it. Nobody does where the phone is not known."""
    author = tx.value(
        "SELECT p.username FROM quarantine q JOIN device d ON d.device_id = q.device_id"
        " JOIN person p ON p.id = d.person WHERE q.quarantine_id = :id",
        {"id": quarantine_id},
    )
    if author is not None:
        changes.put(tx, bucket(author), KIND, f"{BEFORE}{quarantine_id}", 1, ChangeOp.PUT)


@audited(Verb.DISCLOSURE)
def send(
    tx: Transaction, actor: Actor, author: str, decision_ids: Sequence[str], *, now: int
) -> dict[str, dict[str, Any]]:
    """By id, what an officer's phone is told of those decisions that are about entries of its officer."""
    if not decision_ids:
        return {}
    numbers = [one.removeprefix(BEFORE) for one in decision_ids]
    rows = tx.rows(
        "SELECT q.quarantine_id, q.digest, q.decision, q.decided_at, q.reason, q.received_at, d.name FROM quarantine q"
        " JOIN device d ON d.device_id = q.device_id JOIN person p ON p.id = d.person"
        f" WHERE p.username = :author AND q.decision IS NOT NULL AND CAST(q.quarantine_id AS TEXT) IN {tx.each('ids')}",
        {"author": author, "ids": msgspec.json.encode(numbers).decode()},
    )
    ids = sorted(row[0] for row in rows)
    record(tx, actor, Verb.DISCLOSURE, "quarantine", ids, now=now, recipients=[author])
    return {
        f"{BEFORE}{number}": {
            "sha256": digest, "decision": decision, "decided_at": decided_at, "reason": reason,
            "received_at": received_at, "phone": phone,
        }
        for number, digest, decision, decided_at, reason, received_at, phone in rows
    }  # fmt: skip


@impersonal("numbers for the phone's checksum")
def revisions(tx: Transaction, author: str) -> list[tuple[str, str, int]]:
    """(kind, id, rev) of every decision that an officer's phones hear of."""
    rows = tx.rows(
        "SELECT q.quarantine_id FROM person p JOIN device d ON d.person = p.id"
        " JOIN quarantine q ON q.device_id = d.device_id WHERE p.username = :author AND q.decision IS NOT NULL",
        {"author": author},
    )
    return [(KIND, f"{BEFORE}{number}", 1) for (number,) in rows]
