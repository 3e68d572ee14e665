"""What re-linking finds in the registry, put before people. It asks, and never merges.

The looking takes minutes and no transaction; what is filed is checked against what stands by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from server.audit import Actor
from server.batch.relinking import Pair
from server.linkage.standardise import Record
from server.records import merges, standing_twice, who_is_who
from server.storage import Store
from server.storage.port import Transaction

READ_AT_ONCE = 10_000
FILED_AT_ONCE = 100  # pairs in one transaction: notes that come meanwhile wait for a tenth of a second


class Filed(msgspec.Struct, frozen=True):
    """How many pairs a person is asked now, and how many not: asked already, answered, or named as two people."""

    asked: int
    passed: int


def registry(store: Store) -> Iterator[tuple[int, Record]]:
    """(number, record) of every record that could stand twice, in the order of their numbers."""
    found = store.read_now(lambda tx: standing_twice.some(tx, after=0, most=READ_AT_ONCE))
    while found:
        yield from found
        last = found[-1][0]
        found = store.read_now(partial(standing_twice.some, after=last, most=READ_AT_ONCE))


def file(
    store: Store,
    actor: Actor,
    child_ids: Sequence[int],
    pairs: Sequence[Pair],
    model_version: str,
    *,
    now: Callable[[], int],
    progress: Callable[[int], None],
) -> Filed:
    """Propose these pairs of records, `child_ids` by the numbers that they have in a pair, likeliest first.

    It may be stopped and run again: a pair that waits, or that a person has answered with nothing new known
    since, is not asked again. `progress` is called with the pairs done.
    """
    asked = 0
    for start in range(0, len(pairs), FILED_AT_ONCE):
        part = pairs[start : start + FILED_AT_ONCE]

        def work(tx: Transaction, part: Sequence[Pair] = part) -> int:
            who_is_who.hold(tx)
            return sum(_ask(tx, actor, child_ids, pair, model_version, now()) for pair in part)

        asked += store.write_now(work)
        progress(start + len(part))
    return Filed(asked, len(pairs) - asked)


def _ask(
    tx: Transaction, actor: Actor, child_ids: Sequence[int], pair: Pair, model_version: str, now: int
) -> bool:
    one, other = child_ids[pair.left], child_ids[pair.right]
    found = pair.proposal
    return bool(
        merges.propose(
            tx, actor, one, other, probability=found.probability, weight=found.weight,
            evidence=found.decision(other, model_version), reason=found.reason, now=now,
        )
    )  # fmt: skip
