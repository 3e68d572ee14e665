"""Known children: who they are, which boroughs have to do with them, and who may see the record."""

from collections.abc import Collection, Iterable

from server.audit import Actor, Verb, audited, impersonal, record
from server.linkage.entries import Entry, decode_entry, encode_entry, index_entry
from server.linkage.standardise import Record, decode_record, encode_record
from server.records import briefing, index, search
from server.records.child import Circumstances, Details, Standing, encode_details
from server.storage.port import Transaction

YEAR_MS = 365.25 * 24 * 3600 * 1000

_INSERT = (
    "INSERT INTO child (registry_id, standing, restricted, looked_after, home_borough, school_borough,"
    " responsible_authority, owner_borough, date_of_birth, details, record, indexed, created_at, updated_at)"
    " VALUES (:registry_id, :standing, :restricted, :looked_after, :home_borough, :school_borough,"
    " :responsible_authority, :owner_borough, :date_of_birth, :details, :record, :indexed, :now, :now)"
)


@audited(Verb.COLLECTION)
def add(
    tx: Transaction,
    actor: Actor,
    details: Details,
    record_: Record,
    standing: Standing,
    *,
    now: int,
    entry: Entry | None = None,
    circumstances: Circumstances | None = None,
    registry_id: str | None = None,
) -> int:
    """Add a child and what it is found by (none: linkage does not find it yet). The child's id."""
    circumstances = circumstances or Circumstances()
    values = {
        "registry_id": registry_id,
        "standing": standing.value,
        "restricted": int(circumstances.restricted),
        "looked_after": int(circumstances.looked_after),
        "home_borough": circumstances.home_borough,
        "school_borough": circumstances.school_borough,
        "responsible_authority": circumstances.responsible_authority,
        "owner_borough": circumstances.owner(),
        "date_of_birth": details.date_of_birth.isoformat() if details.date_of_birth else None,
        "details": encode_details(details),
        "record": encode_record(record_),
        "indexed": encode_entry(entry) if entry else None,
        "now": now,
    }
    child_id = tx.insert(_INSERT, values, "child_id")
    if entry:
        index.enter(tx, [(child_id, entry)])
    search.changed(tx, [child_id])
    add_boroughs(tx, child_id, circumstances.boroughs())
    record(tx, actor, Verb.COLLECTION, "child", [child_id], now=now)
    return child_id


@impersonal("borough codes beside a child's number; showing the child is what is logged")
def add_boroughs(tx: Transaction, child_id: int, boroughs: Iterable[str]) -> None:
    """Let these boroughs see the child; those that may already stay."""
    tx.executemany(
        "INSERT INTO child_borough (child_id, borough) VALUES (:child, :borough)"
        " ON CONFLICT (child_id, borough) DO NOTHING",
        [{"child": child_id, "borough": code} for code in boroughs],
    )


@audited(Verb.ALTERATION)
def set_standing(tx: Transaction, actor: Actor, child_id: int, standing: Standing, *, now: int) -> None:
    """Change how sure the server is of a child. A provisional or known child can be found by linkage."""
    findable = standing in (Standing.KNOWN, Standing.PROVISIONAL)
    row = tx.row("SELECT record, indexed FROM child WHERE child_id = :child", {"child": child_id})
    assert row is not None, "a standing is given to a child that there is"
    briefing.touch(tx, child_id)
    if row[1] is not None:
        index.leave(tx, child_id, decode_entry(row[1]))
    entry = index_entry(decode_record(row[0])) if findable else None
    if entry:
        index.enter(tx, [(child_id, entry)])
    tx.execute(
        "UPDATE child SET standing = :standing, indexed = :indexed, updated_at = :now, rev = rev + 1"
        " WHERE child_id = :child",
        {
            "standing": standing.value,
            "indexed": encode_entry(entry) if entry else None,
            "now": now,
            "child": child_id,
        },
    )
    search.changed(tx, [child_id])
    record(tx, actor, Verb.ALTERATION, "child", [child_id], now=now)


@impersonal("a yes or a no")
def exists(tx: Transaction, child_id: int) -> bool:
    """Whether there is a child of that number."""
    return tx.row("SELECT 1 FROM child WHERE child_id = :child", {"child": child_id}) is not None


@impersonal("a borough code")
def owner(tx: Transaction, child_id: int) -> str | None:
    """The borough that owns a child, once a note has given it one."""
    code: str | None = tx.value(
        "SELECT COALESCE(cluster_owner, owner_borough) FROM child WHERE child_id = :child",
        {"child": child_id},
    )
    return code


@impersonal("a borough code; what decided it is logged with the notes")
def set_owner(tx: Transaction, child_id: int, owner: str, *, together: bool = False) -> None:
    """Write down who owns a record, or, `together`, the merged child that it continues as."""
    column = "cluster_owner" if together else "owner_borough"
    tx.execute(
        f"UPDATE child SET {column} = :owner WHERE child_id = :child"
        f" AND ({column} IS NULL OR {column} <> :owner)",
        {"owner": owner, "child": child_id},
    )


@impersonal("a count of subjects; the change of standing is logged by `set_standing`")
def retire_if_empty(tx: Transaction, actor: Actor, child_id: int, *, now: int) -> bool:
    """Retire a child that the server made, once no subject stands on it. True where it did."""
    left = tx.value("SELECT COUNT(*) FROM subject WHERE child_id = :child", {"child": child_id})
    row = tx.row("SELECT standing, registry_id FROM child WHERE child_id = :child", {"child": child_id})
    if left or row is None or row[1] is not None or Standing(row[0]) is Standing.RETIRED:
        return False
    set_standing(tx, actor, child_id, Standing.RETIRED, now=now)
    return True


@impersonal("a yes or a no")
def holds_only(tx: Transaction, child_id: int, subject_id: int) -> bool:
    """Whether a record is for this subject alone: nothing else stands on it, it is merged with no other, and no
    registry has it."""
    found = tx.row(
        "SELECT 1 FROM child c WHERE c.child_id = :child AND"
        " (c.cluster_id IS NOT NULL OR c.registry_id IS NOT NULL OR EXISTS"
        " (SELECT 1 FROM subject s WHERE s.child_id = c.child_id AND s.subject_id <> :subject))",
        {"child": child_id, "subject": subject_id},
    )
    return found is None


@impersonal("borough codes, asked in order to decide whether the child may be shown")
def boroughs(tx: Transaction, child_id: int) -> frozenset[str]:
    """The boroughs that have to do with a child: with any of its records, where several were merged."""
    rows = tx.rows(
        "SELECT borough FROM child_borough WHERE child_id = :child UNION SELECT b.borough FROM child c"
        " JOIN child m ON m.cluster_id = c.cluster_id JOIN child_borough b ON b.child_id = m.child_id"
        " WHERE c.child_id = :child AND c.cluster_id IS NOT NULL",
        {"child": child_id},
    )
    return frozenset(code for (code,) in rows)


@impersonal("borough codes beside a child's number; showing the child is what is logged")
def set_boroughs(tx: Transaction, child_id: int, wanted: Collection[str]) -> None:
    """Let these boroughs see the record and no other."""
    rows = tx.rows("SELECT borough FROM child_borough WHERE child_id = :child", {"child": child_id})
    stored = {code for (code,) in rows}
    tx.executemany(
        "DELETE FROM child_borough WHERE child_id = :child AND borough = :borough",
        [{"child": child_id, "borough": code} for code in sorted(stored.difference(wanted))],
    )
    add_boroughs(tx, child_id, sorted(set(wanted) - stored))


@impersonal("a word on the record")
def standing_of(tx: Transaction, child_id: int) -> Standing:
    """How sure the server is of a record."""
    return Standing(tx.value("SELECT standing FROM child WHERE child_id = :child", {"child": child_id}))


@impersonal("the standardised description, for the server's own work; nothing is shown")
def record_of(tx: Transaction, child_id: int) -> Record:
    """A record as linkage compares it."""
    encoded = tx.value("SELECT record FROM child WHERE child_id = :child", {"child": child_id})
    return decode_record(encoded)


@impersonal("a record's number")
def kept(tx: Transaction, child_id: int) -> int:
    """The record that a record continues as: itself, where it was merged into none."""
    found: int | None = tx.value("SELECT cluster_id FROM child WHERE child_id = :child", {"child": child_id})
    return child_id if found is None else found


@impersonal("numbers of records")
def kept_of(tx: Transaction, child_ids: Iterable[int]) -> dict[int, int]:
    """The record that each continues as, of those that were merged into another."""
    marks = {f"c{index}": child_id for index, child_id in enumerate(sorted(set(child_ids)))}
    if not marks:
        return {}
    wanted = ", ".join(f":{name}" for name in marks)
    return dict(
        tx.rows(
            f"SELECT child_id, cluster_id FROM child WHERE child_id IN ({wanted}) AND cluster_id <> child_id",
            marks,
        )
    )


@impersonal("numbers of records")
def whole(tx: Transaction, child_ids: Iterable[int]) -> frozenset[int]:
    """These records and every other record of the same children."""
    given = frozenset(child_ids)
    if not given:
        return given
    marks = {f"c{index}": child_id for index, child_id in enumerate(sorted(given))}
    wanted = ", ".join(f":{name}" for name in marks)
    rows = tx.rows(
        "SELECT m.child_id FROM child c JOIN child m ON m.cluster_id = c.cluster_id"
        f" WHERE c.child_id IN ({wanted})",
        marks,
    )
    return given.union(child_id for (child_id,) in rows)
