"""The children of a registry as an import brings them: added, brought up to date, gone, returned; and its runs.

Nothing here is ever deleted: a child that the registry leaves out is kept whole, still found by linkage, and
says since when it is no longer in the registry. Rows come ready from `registry_rows`; the import itself, file
and processes, is `server/importing/`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.pack import Pack
from server.linkage.entries import decode_entry
from server.records import briefing, cases, children, index, search, who_is_who
from server.records.child import Standing
from server.records.registry_rows import Batch, Ready
from server.storage.port import Transaction

SOURCE = "registry"
"""The one registry there is. A second would have a name of its own here and beside each child's id."""

RUN_CHILDREN_MIN = 500
"""So many new children at once make a run of the index; fewer are cheaper written straight into it."""

QUIET_MS_MAX = 60_000
"""An import that has written nothing for this long was killed, or stands still: others need not wait for it."""

ADDED = "registry import"
GONE = "no longer in the registry"
RETURNED = "in the registry again"


class Known(msgspec.Struct, frozen=True, gc=False):
    """A registry child that is here: its id, the digest of its row, and since when it is left out."""

    child_id: int
    digest: bytes | None
    left_at: int | None


class Begun(msgspec.Struct, frozen=True):
    """An import that has begun: its number, whether the one before was interrupted, and `latest` until now."""

    run_id: int
    interrupted: bool
    before: tuple[int, int] | None


class Superseded(Exception):
    """Another import of this registry has begun meanwhile; this one must not go on."""


_COLUMNS = (
    "registry_id", "standing", "restricted", "looked_after", "home_borough", "school_borough",
    "responsible_authority", "owner_borough", "date_of_birth", "registry_digest", "details", "record", "indexed",
    "created_at", "updated_at",
)  # fmt: skip
_UPDATE = (
    "UPDATE child SET restricted = :restricted, looked_after = :looked_after, home_borough = :home_borough,"
    " school_borough = :school_borough, responsible_authority = :responsible_authority,"
    " date_of_birth = :date_of_birth, registry_digest = :digest, left_registry_at = NULL, details = :details,"
    " record = :record, indexed = :indexed, updated_at = :now, rev = rev + 1 WHERE child_id = :child"
)
_STANDING = (
    "SELECT c.registry_id, c.child_id, c.standing, c.indexed, c.restricted, c.looked_after, c.home_borough,"
    " c.school_borough, c.responsible_authority, c.date_of_birth,"
    " CASE WHEN EXISTS (SELECT 1 FROM subject s WHERE s.child_id = c.child_id) THEN 1 ELSE 0 END"
    " FROM child c WHERE c.registry_id IN "
)


# Runs -----------------------------------------------------------------------------------------------------


@impersonal("a number and a time")
def latest(tx: Transaction) -> tuple[int, int] | None:
    """The newest import and when it last wrote. The same again: no import has written in between."""
    row = tx.row(
        "SELECT run_id, active_at FROM import_run WHERE source = :source ORDER BY run_id DESC LIMIT 1",
        {"source": SOURCE},
    )
    return None if row is None else (row[0], row[1])


@impersonal("a number, a digest of a file, and who started it")
def begin_run(tx: Transaction, actor: Actor, file_digest: str, *, now: int) -> Begun:
    """Put an import on record.

    From here on an import that is still running elsewhere is refused its next step.
    """
    tx.lock(SOURCE)
    before = latest(tx)
    ended = before and tx.value("SELECT ended_at FROM import_run WHERE run_id = :run", {"run": before[0]})
    run_id = tx.insert(
        "INSERT INTO import_run (source, file_digest, started_by, started_at, active_at)"
        " VALUES (:source, :digest, :by, :now, :now)",
        {"source": SOURCE, "digest": file_digest, "by": actor.id, "now": now},
        "run_id",
    )
    return Begun(run_id, interrupted=before is not None and ended is None, before=before)


@impersonal("a number and a time")
def go_on(tx: Transaction, run_id: int, *, now: int) -> None:
    """Say that this import is at work. Raises Superseded where another has begun since. Call it in every transaction
    of an import."""
    tx.lock(SOURCE)
    newest = tx.value("SELECT MAX(run_id) FROM import_run WHERE source = :source", {"source": SOURCE})
    if newest != run_id:
        raise Superseded
    tx.execute("UPDATE import_run SET active_at = :now WHERE run_id = :run", {"now": now, "run": run_id})


@impersonal("a yes or a no")
def is_importing(tx: Transaction, now: int) -> bool:
    """Whether an import is at work: one that has not ended, and that wrote something of late."""
    running = tx.value(
        "SELECT 1 FROM import_run WHERE source = :source AND ended_at IS NULL AND active_at > :since LIMIT 1",
        {"source": SOURCE, "since": now - QUIET_MS_MAX},
    )
    return running is not None


@impersonal("counts of rows")
def count_run(
    tx: Transaction,
    run_id: int,
    *,
    added: int = 0,
    changed: int = 0,
    unchanged: int = 0,
    gone: int = 0,
    returned: int = 0,
    rejected: int = 0,
    ended_at: int | None = None,
) -> None:
    """Add to what an import has done so far, and say when it ended."""
    tx.execute(
        "UPDATE import_run SET added = added + :added, changed = changed + :changed,"
        " unchanged = unchanged + :unchanged, gone = gone + :gone, returned = returned + :returned,"
        " rejected = rejected + :rejected, ended_at = :ended WHERE run_id = :run",
        {
            "run": run_id,
            "added": added,
            "changed": changed,
            "unchanged": unchanged,
            "gone": gone,
            "returned": returned,
            "rejected": rejected,
            "ended": ended_at,
        },
    )


# Children -------------------------------------------------------------------------------------------------


@impersonal("numbers, digests and registry ids, for the server's own work")
def known(tx: Transaction, registry_ids: Sequence[str]) -> dict[str, Known]:
    """The children that are here already, by their id in the registry."""
    found: dict[str, Known] = {}
    for marks, wanted in _in_lists(registry_ids):
        rows = tx.rows(
            "SELECT registry_id, child_id, registry_digest, left_registry_at FROM child"
            f" WHERE registry_id IN {wanted}",
            marks,
        )
        found.update((registry_id, Known(*rest)) for registry_id, *rest in rows)
    return found


@impersonal("numbers, for the server's own work")
def present(tx: Transaction, after: int, most: int) -> list[int]:
    """The next children that are in the registry as far as is known here, by id, after `after`."""
    rows = tx.rows(
        "SELECT child_id FROM child WHERE child_id > :after AND registry_id IS NOT NULL"
        " AND left_registry_at IS NULL ORDER BY child_id LIMIT :most",
        {"after": after, "most": most},
    )
    return [child_id for (child_id,) in rows]


@impersonal("a number")
def last(tx: Transaction) -> int:
    """The highest number of a child."""
    found: int = tx.value("SELECT COALESCE(MAX(child_id), 0) FROM child")
    return found


@audited(Verb.COLLECTION)
def add(tx: Transaction, actor: Actor, batch: Batch, new: Sequence[Ready], *, now: int) -> list[int]:
    """Add the new children of a batch with all that they are found by; their ids."""
    if not new:
        return []
    who_is_who.changed(tx)
    highest = last(tx)
    tx.insert_many("child", _COLUMNS, [_new(row, now) for row in new])
    # Only an import writes registry ids, and only one runs: those behind the last are the ones of above.
    ids: dict[str, int] = dict(
        tx.rows(
            "SELECT registry_id, child_id FROM child WHERE child_id > :last AND registry_id IS NOT NULL",
            {"last": highest},
        )
    )
    if len(new) >= RUN_CHILDREN_MIN:
        index.enter_run(tx, batch.run, [ids.get(row.registry_id) for row in batch.rows])
    else:
        index.enter(tx, [(ids[row.registry_id], decode_entry(row.indexed)) for row in new])
    tx.insert_many(
        "child_borough",
        ("child_id", "borough"),
        [(ids[row.registry_id], code) for row in new for code in row.boroughs()],
    )
    search.changed(tx, ids.values())
    record(tx, actor, Verb.COLLECTION, "child", ids.values(), now=now, reason=ADDED)
    return list(ids.values())


@audited(Verb.ALTERATION)
def alter(
    tx: Transaction,
    actor: Actor,
    rows: Sequence[Ready],
    pack: Pack,
    *,
    now: int,
) -> list[int]:
    """Bring children up to date, index included; their ids. One that had left the registry is back.

    Where a child has notes and what decides about them changed, they are judged anew, in this transaction.
    """
    if not rows:
        return []
    who_is_who.changed(tx)
    here = {row[0]: row[1:] for row in _standing(tx, [row.registry_id for row in rows])}
    judged: list[int] = []
    for row in rows:
        child_id, standing, was, *circumstances, has_notes = here[row.registry_id]
        entry = (
            decode_entry(row.indexed)
            if standing in (Standing.KNOWN.value, Standing.PROVISIONAL.value)
            else None
        )
        index.replace(tx, child_id, decode_entry(was) if was is not None else None, entry)
        values = _values(row, now)
        tx.execute(_UPDATE, {**values, "indexed": row.indexed if entry else None, "child": child_id})
        children.add_boroughs(tx, child_id, row.boroughs())
        if has_notes:
            briefing.touch(tx, child_id)
        anew = [values[name] for name in _CIRCUMSTANCES]
        if anew == circumstances:
            continue
        if has_notes:
            judged.append(child_id)
        else:
            children.set_boroughs(tx, child_id, row.boroughs())
            tx.execute(
                "UPDATE child SET owner_borough = :owner WHERE child_id = :child",
                {"owner": row.owner_borough, "child": child_id},
            )
    for child_id in judged:
        cases.reroute(tx, actor, child_id, pack, now=now)
    ids = [here[row.registry_id][0] for row in rows]
    search.changed(tx, ids)
    record(tx, actor, Verb.ALTERATION, "child", ids, now=now, reason=ADDED)
    return ids


@audited(Verb.ALTERATION)
def leave(tx: Transaction, actor: Actor, child_ids: Sequence[int], *, now: int) -> int:
    """The registry no longer has these children: say so, and keep everything. How many were in it until now."""
    return _mark(tx, actor, child_ids, "left_registry_at = :now", "left_registry_at IS NULL", GONE, now)


@audited(Verb.ALTERATION)
def return_(tx: Transaction, actor: Actor, child_ids: Sequence[int], *, now: int) -> int:
    """These children are in the registry again. How many were not until now."""
    return _mark(
        tx, actor, child_ids, "left_registry_at = NULL", "left_registry_at IS NOT NULL", RETURNED, now
    )


def _mark(
    tx: Transaction, actor: Actor, child_ids: Sequence[int], change: str, where: str, why: str, now: int
) -> int:
    changed = [
        child_id
        for child_id in child_ids
        if tx.execute(
            f"UPDATE child SET {change}, updated_at = :at, rev = rev + 1 WHERE child_id = :child AND {where}",
            {"at": now, "child": child_id} | ({"now": now} if ":now" in change else {}),
        )
    ]
    record(tx, actor, Verb.ALTERATION, "child", changed, now=now, reason=why)
    return len(changed)


_CIRCUMSTANCES = (
    "restricted",
    "looked_after",
    "home_borough",
    "school_borough",
    "responsible_authority",
    "date_of_birth",
)
"""What casework looks at, in the order of `_STANDING`."""


def _new(row: Ready, now: int) -> tuple[object, ...]:
    """A new child in the order of `_COLUMNS`."""
    return (
        row.registry_id, Standing.KNOWN.value, int(row.restricted), int(row.looked_after), row.home_borough,
        row.school_borough, row.responsible_authority, row.owner_borough, row.date_of_birth, row.digest,
        row.details, row.record, row.indexed, now, now,
    )  # fmt: skip


def _values(row: Ready, now: int) -> dict[str, object]:
    return {
        "restricted": int(row.restricted),
        "looked_after": int(row.looked_after),
        "home_borough": row.home_borough,
        "school_borough": row.school_borough,
        "responsible_authority": row.responsible_authority,
        "date_of_birth": row.date_of_birth,
        "digest": row.digest,
        "details": row.details,
        "record": row.record,
        "now": now,
    }


def _standing(tx: Transaction, registry_ids: Sequence[str]) -> Iterator[Sequence[Any]]:
    for marks, wanted in _in_lists(registry_ids):
        yield from tx.rows(_STANDING + wanted, marks)


def _in_lists(registry_ids: Sequence[str]) -> Iterator[tuple[dict[str, str], str]]:
    """Parameters and the list that names them, some hundred at a time: two texts of SQL in all."""
    most = index.CHILDREN_PER_STATEMENT_MAX
    for start in range(0, len(registry_ids), most):
        marks = {f"r{place}": one for place, one in enumerate(registry_ids[start : start + most])}
        yield marks, "(" + ", ".join(f":{name}" for name in marks) + ")"
