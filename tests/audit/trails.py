"""A trail of some length for the tests of the audit room."""

from __future__ import annotations

from server.audit import Verb, device, person, record, system
from server.storage import Store, Transaction

NOW = 1_767_225_600_000  # 1 January 2026, 00:00 UTC

ACTORS = (person(1), person(2), device("d-7"), system("escalation"))


def write_trail(store: Store, entries: int) -> None:
    """Write so many entries in transactions of seven, of every verb, actor and shape."""

    def some(tx: Transaction, first: int, last: int) -> None:
        for i in range(first, last):
            record(
                tx,
                ACTORS[i % len(ACTORS)],
                list(Verb)[i % len(Verb)],
                ("child", "note")[i % 2],
                [i, i + 1, i] if i % 3 else [f"note-{i}"],
                now=NOW + i,
                reason="dip sample 4" if i % 5 == 0 else None,
                recipients=("person:9", "webhook:2") if i % 7 == 0 else (),
            )

    for first in range(0, entries, 7):
        last = min(first + 7, entries)
        store.write_now(lambda tx, first=first, last=last: some(tx, first, last))  # type: ignore[misc]


def run_sql(store: Store, *statements: str) -> None:
    """Do to the database what somebody with a database tool would do."""

    def work(tx: Transaction) -> None:
        for statement in statements:
            tx.execute(statement)

    store.write_now(work)
