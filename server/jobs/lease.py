"""Which of several processes does the work that only one should do: a row that says who, and until when.

Nothing depends on the lease alone: each job is also safe when two processes run it at once (a step is taken by
revision, a delivery by its time). The lease saves the double work.
"""

from __future__ import annotations

from server.storage.port import Transaction

LEASE_MS = 30_000
"""How long work stands still when the process that has it is killed; a normal stop hands it on at once."""

RENEW_SECONDS = 10.0
"""A third of the lease, so that one renewal may fail."""


def take(tx: Transaction, name: str, holder: str, *, now: int) -> bool:
    """Take or renew a lease. False where another holds it and it has not lapsed."""
    return bool(
        tx.execute(
            "INSERT INTO lease (name, holder, until) VALUES (:name, :holder, :until)"
            " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until"
            " WHERE lease.holder = excluded.holder OR lease.until <= :now",
            {"name": name, "holder": holder, "until": now + LEASE_MS, "now": now},
        )
    )


def release(tx: Transaction, name: str, holder: str) -> None:
    """Give a lease up, if it is ours."""
    tx.execute("DELETE FROM lease WHERE name = :name AND holder = :holder", {"name": name, "holder": holder})
