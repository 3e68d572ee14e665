"""Search's index of thousands of new children at once, as an import fills it.

`search.fill` changes the sets under a child's terms where they lie, two thousand children a time. Where a whole
registry is new, that rewrites the sets of common terms again and again. Here new children are read by the part of a
block, turned into sets elsewhere (`linkage/inverting.py`), and each set is written or joined once for all of them.
"""

from __future__ import annotations

import msgspec

from server.audit import impersonal
from server.linkage.inverting import Inverted, Told
from server.linkage.postings import BLOCK_CHILDREN, block_of, join
from server.records import search
from server.storage.port import Transaction

PART_CHILDREN = 8_192
"""Children of one block that are put into the index in one transaction: a fifth of a second."""


class Part(msgspec.Struct, frozen=True):
    """New children of one block who wait for the index, as they were read, and `stamps` by which it shows whether
    they still are so."""

    told: list[Told]
    stamps: list[tuple[int, int]]

    @property
    def last(self) -> int:
        """The highest number of its children."""
        return self.stamps[-1][0]


@impersonal("for the server's own work; nothing is shown")
def read_part(tx: Transaction, after: int) -> Part | None:
    """The next children behind `after` that wait and have never been in the index, all of one block."""
    first = tx.value("SELECT MIN(q.child_id) FROM search_queue q WHERE q.child_id > :after", {"after": after})
    if first is None:
        return None
    end = (block_of(first)[0] + 1) * BLOCK_CHILDREN
    rows = tx.rows(
        "SELECT q.child_id, q.stamp, c.record FROM search_queue q JOIN child c ON c.child_id = q.child_id"
        " WHERE q.child_id >= :first AND q.child_id < :end AND c.standing <> :retired"
        " AND NOT EXISTS (SELECT 1 FROM search_child s WHERE s.child_id = q.child_id)"
        " ORDER BY q.child_id LIMIT :most",
        {"first": first, "end": end, "most": PART_CHILDREN, "retired": search.RETIRED},
    )
    if not rows:
        return read_part(tx, end - 1)
    boroughs: dict[int, list[str]] = {}
    for child_id, code in tx.rows(
        "SELECT child_id, borough FROM child_borough WHERE child_id >= :first AND child_id <= :last",
        {"first": rows[0][0], "last": rows[-1][0]},
    ):
        boroughs.setdefault(child_id, []).append(code)
    return Part(
        [(child_id, bytes(record), boroughs.get(child_id, [])) for child_id, _, record in rows],
        [(child_id, stamp) for child_id, stamp, _ in rows],
    )


@impersonal("numbers and terms, for the server's own work; nothing is shown")
def write_part(tx: Transaction, part: Part, inverted: Inverted) -> int:
    """Put a part into the index; how many children that was. None where one of them has changed, or was put into
    the index by somebody else, since it was read: all then stay in the queue, for `search.fill`."""
    tx.lock(search.LOCK)
    if not _stands(tx, part):
        return 0
    block = inverted.block
    held: dict[int, bytes] = {}
    for some in search.parts_of([term for term, _ in inverted.postings]):
        wanted, marks = search.marks_of("t", some)
        held |= tx.rows(
            f"SELECT term, children FROM search_posting WHERE block = :block AND term IN ({wanted})",
            marks | {"block": block},
        )
    tx.insert_many(
        "search_posting",
        ("block", "term", "children"),
        [(block, term, children) for term, children in inverted.postings if term not in held],
    )
    tx.executemany(
        "UPDATE search_posting SET children = :children WHERE block = :block AND term = :term",
        [
            {"block": block, "term": term, "children": join(bytes(held[term]), children)}
            for term, children in inverted.postings
            if term in held
        ],
    )
    search.drawn_anew(tx, block, part.last)
    tx.insert_many("search_child", ("child_id", "terms"), inverted.children)
    # Where a child changes in this moment (PostgreSQL), its stamp is another and it stays in the queue.
    tx.executemany(
        "DELETE FROM search_queue WHERE child_id = :child AND stamp = :stamp",
        [{"child": child_id, "stamp": stamp} for child_id, stamp in part.stamps],
    )
    return len(part.stamps)


def _stands(tx: Transaction, part: Part) -> bool:
    bounds = {"first": part.stamps[0][0], "last": part.last}
    within = "child_id >= :first AND child_id <= :last"
    now: dict[int, int] = dict(tx.rows(f"SELECT child_id, stamp FROM search_queue WHERE {within}", bounds))
    if any(now.get(child_id) != stamp for child_id, stamp in part.stamps):
        return False
    indexed = {
        child_id for (child_id,) in tx.rows(f"SELECT child_id FROM search_child WHERE {within}", bounds)
    }
    return not any(child_id in indexed for child_id, _ in part.stamps)
