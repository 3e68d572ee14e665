"""The index that search stands on: which children are found under which terms, kept in packed sets.

A change of a child only puts its number into a queue, which costs a note on its way nothing worth measuring; a
job moves the queue into the index within seconds, and search looks through what is queued one by one meanwhile.
The SQL is plain: what is particular about text search, how names sound, is in `server/linkage`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence

import msgspec

from server.access.errors import SearchedTooOften
from server.access.identity import Person
from server.audit import impersonal
from server.linkage.inverting import pack_terms, unpack_terms
from server.linkage.postings import block_of, change
from server.linkage.standardise import Record, decode_record
from server.linkage.terms import terms_of
from server.records.whole import RESTRICTED
from server.storage.port import Transaction

INDEXED_PER_ROUND_MAX = 2_000
"""Children moved into the index in one transaction: some 80 ms, during which notes that arrive wait."""
UNINDEXED_READ_MAX = 1_000
"""Children looked through one by one in a search, the newest first: some 20 ms."""
PARAMETERS_MAX = 500
"""Parameters of one IN list; both engines allow far more."""
SEARCHES_PER_MINUTE_MAX = 30
"""By one person. Somebody who narrows a search down needs a few; whoever copies the registry out needs many."""
MINUTE_MS = 60_000
ALERTED_MAX = 5_000
"""Children with an alert that is not closed, among whom a search that fits too many looks first."""
RETIRED = "retired"
LOCK = "search_index"


class Entry(msgspec.Struct, frozen=True):
    """A child as search needs it: standardised, and who may see it."""

    child_id: int
    kept_id: int
    """The record that the child is shown as: another one where several records were merged."""
    record: Record
    restricted: bool
    retired: bool
    owner: str | None
    boroughs: frozenset[str]
    """Of the record itself, which its terms tell."""
    seen_by: frozenset[str]
    """Of all records of the child."""


@impersonal("numbers of children, for the server's own work")
def changed(tx: Transaction, child_ids: Iterable[int]) -> None:
    """These children were added, changed or retired: the index must be brought up to date."""
    tx.executemany(
        "INSERT INTO search_queue (child_id) VALUES (:child)"
        " ON CONFLICT (child_id) DO UPDATE SET stamp = search_queue.stamp + 1",
        [{"child": child_id} for child_id in child_ids],
    )


@impersonal("numbers and terms, for the server's own work; nothing is shown")
def fill(tx: Transaction, most: int = INDEXED_PER_ROUND_MAX) -> int:
    """Move the oldest of the queue into the index; how many children that was."""
    tx.lock(LOCK)
    queued = tx.rows("SELECT child_id, stamp FROM search_queue ORDER BY child_id LIMIT :most", {"most": most})
    ids = [child_id for child_id, _ in queued]
    now = {
        entry.child_id: terms_of(entry.record, entry.boroughs)
        for entry in entries(tx, ids)
        if not entry.retired
    }
    before = _terms_of_indexed(tx, ids)
    blocks: dict[int, dict[int, tuple[list[int], list[int]]]] = {}
    for child_id in ids:
        block, offset = block_of(child_id)
        wanted, held = now.get(child_id, set()), before.get(child_id, frozenset())
        changes = blocks.setdefault(block, {})
        for side, terms in ((0, wanted - held), (1, held - wanted)):
            for term in terms:
                changes.setdefault(term, ([], []))[side].append(offset)
    for block, changes in blocks.items():
        _write_block(tx, block, changes)
        drawn_anew(
            tx, block, max((child_id for child_id in now if block_of(child_id)[0] == block), default=0)
        )
    tx.executemany(
        "INSERT INTO search_child (child_id, terms) VALUES (:child, :terms)"
        " ON CONFLICT (child_id) DO UPDATE SET terms = excluded.terms",
        [{"child": child_id, "terms": pack_terms(terms)} for child_id, terms in now.items()],
    )
    gone = [{"child": child_id} for child_id in before.keys() - now.keys()]
    tx.executemany("DELETE FROM search_child WHERE child_id = :child", gone)
    # Where a child changed once more meanwhile, its stamp is another and it stays in the queue.
    tx.executemany(
        "DELETE FROM search_queue WHERE child_id = :child AND stamp = :stamp",
        [{"child": child_id, "stamp": stamp} for child_id, stamp in queued],
    )
    return len(ids)


@impersonal("a yes or a no")
def is_behind(tx: Transaction) -> bool:
    """Whether a child waits to be put into the index."""
    return tx.value("SELECT 1 FROM search_queue LIMIT 1") is not None


@impersonal(
    "numbers of children, for the server's own work; what is shown of them is logged by `children.hits`"
)
def unindexed(tx: Transaction) -> list[int]:
    """Children that the index does not hold as they are now, the newest first: at most one more than are looked
    through in a search, which tells that there are more."""
    rows = tx.rows(
        "SELECT child_id FROM search_queue ORDER BY child_id DESC LIMIT :most",
        {"most": UNINDEXED_READ_MAX + 1},
    )
    return [child_id for (child_id,) in rows]


@impersonal("for the server's own work; what is shown of them is logged by `children.hits`")
def entries(tx: Transaction, child_ids: Sequence[int]) -> list[Entry]:
    """The children with these numbers, in no order."""
    found = []
    for part in parts_of(child_ids):
        wanted, marks = marks_of("c", part)
        boroughs: dict[int, set[str]] = {}
        for child_id, code in tx.rows(
            f"SELECT child_id, borough FROM child_borough WHERE child_id IN ({wanted})", marks
        ):
            boroughs.setdefault(child_id, set()).add(code)
        rows = tx.rows(
            f"SELECT c.child_id, c.record, {RESTRICTED}, c.standing, c.owner_borough, c.cluster_id FROM child c"
            f" WHERE c.child_id IN ({wanted})",
            marks,
        )
        merged = _boroughs_of_merged(tx, {row[5] for row in rows if row[5] is not None})
        for child_id, record, restricted, standing, owner, cluster_id in rows:
            own = frozenset(boroughs.get(child_id, ()))
            found.append(
                Entry(
                    child_id,
                    cluster_id or child_id,
                    decode_record(record),
                    restricted == 1,
                    standing == RETIRED,
                    owner,
                    own,
                    merged.get(cluster_id, own),
                )
            )
    return found


def _boroughs_of_merged(tx: Transaction, kept_ids: Collection[int]) -> dict[int, frozenset[str]]:
    """The boroughs that have to do with any record of these children."""
    if not kept_ids:
        return {}
    wanted, marks = marks_of("k", sorted(kept_ids))
    found: dict[int, set[str]] = {}
    for kept_id, code in tx.rows(
        "SELECT c.cluster_id, b.borough FROM child c JOIN child_borough b ON b.child_id = c.child_id"
        f" WHERE c.cluster_id IN ({wanted})",
        marks,
    ):
        found.setdefault(kept_id, set()).add(code)
    return {kept_id: frozenset(codes) for kept_id, codes in found.items()}


@impersonal(
    "numbers of children, for the server's own work; what is shown of them is logged by `children.hits`"
)
def referred(tx: Transaction, references: Sequence[str]) -> list[int]:
    """The children whom an id of the registry, of a record or of a note stands for, retired ones too."""
    found: list[int] = []
    for text in references:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
        rows = tx.rows(
            "SELECT child_id FROM child WHERE registry_id IN (:text, :upper) OR child_id = :number"
            " UNION SELECT s.child_id FROM subject s JOIN note n ON n.note_key = s.note_key"
            " WHERE n.note_id = :note AND s.child_id IS NOT NULL ORDER BY 1",
            {"text": text, "upper": text.upper(), "number": number, "note": text.lower()},
        )
        found += [child_id for (child_id,) in rows]
    return list(dict.fromkeys(found))


@impersonal(
    "numbers of children, for the server's own work; what is shown of them is logged by `children.hits`"
)
def alerted(tx: Transaction, person: Person) -> list[int]:
    """Children about whom an alert in this person's boroughs is not closed."""
    wanted, marks = marks_of("b", sorted(person.boroughs))
    rows = tx.rows(
        "SELECT DISTINCT child_id FROM alert WHERE state IN ('open', 'acknowledged')"
        f" AND borough IN ({wanted or 'NULL'}) ORDER BY child_id DESC LIMIT :most",
        marks | {"most": ALERTED_MAX},
    )
    return [child_id for (child_id,) in rows]


@impersonal("how often a person searched, and nothing of what for")
def count_use(tx: Transaction, person: Person, *, now: int) -> None:
    """Count a search, in a read too. Raises SearchedTooOften where the person's limit is spent."""
    values = {"person": person.username, "now": now, "since": now - MINUTE_MS}
    # The use that must leave the window before another is let in.
    blocking = tx.value(
        "SELECT at FROM search_use WHERE person = :person AND at > :since ORDER BY at DESC LIMIT 1 OFFSET :skip",
        values | {"skip": SEARCHES_PER_MINUTE_MAX - 1},
    )
    if blocking is not None:
        raise SearchedTooOften(max(1, -(-(blocking + MINUTE_MS - now) // 1000)))

    def keep(last: Transaction) -> None:
        last.execute(
            "INSERT INTO search_use (person, at) VALUES (:person, :now)",
            {"person": person.username, "now": now},
        )

    tx.at_commit(keep)


@impersonal("times of searches that no longer count")
def prune(tx: Transaction, now: int) -> int:
    """Forget searches that no longer count towards the limit; how many."""
    return tx.execute("DELETE FROM search_use WHERE at <= :old", {"old": now - MINUTE_MS})


@impersonal("numbers of blocks, for the server's own work")
def drawn_anew(tx: Transaction, block: int, last: int) -> None:
    """Sets of this block were written: the stamp by which `search_sets` knows what it keeps is another. `last`: the
    highest number of a child that was put in."""
    tx.execute(
        "INSERT INTO search_block (block, stamp, last) VALUES (:block, :stamp, :last) ON CONFLICT (block)"
        " DO UPDATE SET stamp = excluded.stamp,"
        " last = CASE WHEN excluded.last > search_block.last THEN excluded.last ELSE search_block.last END",
        {"block": block, "stamp": secrets.token_hex(8), "last": last},
    )


def _write_block(tx: Transaction, block: int, changes: dict[int, tuple[list[int], list[int]]]) -> None:
    held: dict[int, bytes] = {}
    for part in parts_of(sorted(changes)):
        wanted, marks = marks_of("t", part)
        held |= tx.rows(
            f"SELECT term, children FROM search_posting WHERE block = :block AND term IN ({wanted})",
            marks | {"block": block},
        )
    kept, empty = [], []
    for term, (added, removed) in changes.items():
        packed = change(bytes(held.get(term, b"")), added, removed)
        row: dict[str, object] = {"block": block, "term": term}
        if packed:
            kept.append(row | {"children": packed})
        else:
            empty.append(row)
    tx.executemany(
        "INSERT INTO search_posting (block, term, children) VALUES (:block, :term, :children)"
        " ON CONFLICT (block, term) DO UPDATE SET children = excluded.children",
        kept,
    )
    tx.executemany("DELETE FROM search_posting WHERE block = :block AND term = :term", empty)


def _terms_of_indexed(tx: Transaction, child_ids: Sequence[int]) -> dict[int, frozenset[int]]:
    found: dict[int, frozenset[int]] = {}
    for part in parts_of(child_ids):
        wanted, marks = marks_of("c", part)
        rows = tx.rows(f"SELECT child_id, terms FROM search_child WHERE child_id IN ({wanted})", marks)
        found |= {child_id: frozenset(unpack_terms(bytes(terms))) for child_id, terms in rows}
    return found


@impersonal("reads nothing")
def parts_of(values: Sequence[int]) -> Iterable[Sequence[int]]:
    """Values in lists that are short enough for one statement."""
    return [values[start : start + PARAMETERS_MAX] for start in range(0, len(values), PARAMETERS_MAX)]


@impersonal("reads nothing")
def marks_of(letter: str, values: Sequence[object]) -> tuple[str, dict[str, object]]:
    """(an IN list of parameters, their values)."""
    marks: dict[str, object] = {f"{letter}{index}": value for index, value in enumerate(values)}
    return ", ".join(f":{name}" for name in marks), marks
