"""Importing a registry of known children from CSV: `earlysign import-children`.

The columns are those of `earlysign link` for known children, and the ones below which decide who owns a
child. The whole file is read and checked before anything is written, so a file that is refused changes
nothing; then rows are written some thousand at a time, and running the same file again changes nothing twice.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from server.audit import Actor, impersonal
from server.linkage.table import KNOWN_COLUMNS, TableError, described, table_rows
from server.records import children, index, search
from server.records.children import Circumstances, Details, Registered
from server.storage.port import Store, Transaction

REGISTRY_COLUMNS = (
    *KNOWN_COLUMNS,
    "home_borough",
    "school_borough",
    "responsible_authority",
    "looked_after",
    "restricted",
)
ROWS_PER_TRANSACTION = 500
"""Small enough that notes which arrive meanwhile wait a fraction of a second, large enough for one fsync."""

_YES_NO = {"yes": True, "no": False}


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, in rows."""

    added: int
    updated: int


Progress = Callable[[str, int], None]
"""Called with the stage ("checked", then "written") and how many rows have passed it."""


@impersonal("hands rows to `children`, which logs each")
def import_registry(
    store: Store, path: Path, *, now: int, progress: Progress = lambda stage, rows: None
) -> Imported:
    """Read a registry file into the database. Raises TableError with the line and what to do."""
    actor = Actor("system", "import")
    seen: set[str] = set()
    for row in _registered(path):
        if row.registry_id in seen:
            raise TableError(
                f"{path.name}: a child_id stands on two lines. Every child may have one row: remove the other."
            )
        seen.add(row.registry_id)
        if len(seen) % ROWS_PER_TRANSACTION == 0:
            progress("checked", len(seen))
    progress("checked", len(seen))
    added = updated = 0
    rows = _registered(path)
    while part := list(islice(rows, ROWS_PER_TRANSACTION)):
        new, changed = store.write_now(_writing(actor, part, now))
        added, updated = added + new, updated + changed
        progress("written", added + updated)
    store.write_now(index.count_again)
    search.fill_all(store)
    return Imported(added=added, updated=updated)


def _write(tx: Transaction, actor: Actor, rows: list[Registered], now: int) -> tuple[int, int]:
    here = children.known_registry_ids(tx, [row.registry_id for row in rows])
    new = [row for row in rows if row.registry_id not in here]
    if new:
        children.add_from_registry(tx, actor, new, now=now)
    for row in rows:
        child_id = here.get(row.registry_id)
        if child_id is not None:
            children.replace_from_registry(tx, actor, child_id, row.details, row.circumstances, now=now)
    return len(new), len(rows) - len(new)


def _registered(path: Path) -> Iterator[Registered]:
    for line, row in table_rows(path, REGISTRY_COLUMNS):
        registry_id = row.get("child_id")
        if not registry_id:
            raise TableError(f"{path.name}, line {line}: child_id is empty. Every child needs one.")
        said = described(path.name, line, row)
        details = Details(
            given_names=said.given_names,
            family_name=said.family_name,
            aliases=said.aliases,
            date_of_birth=said.date_of_birth,
            sex=said.sex,
            address=said.address,
            postcode=said.postcode,
            school=said.school,
            phone=said.phone,
            guardian=said.guardian,
            upn=said.upn,
            nhs_number=said.nhs_number,
        )
        circumstances = Circumstances(
            home_borough=row.get("home_borough"),
            school_borough=row.get("school_borough"),
            responsible_authority=row.get("responsible_authority"),
            looked_after=_yes(path, line, row, "looked_after"),
            restricted=_yes(path, line, row, "restricted"),
        )
        yield Registered(registry_id=registry_id, details=details, circumstances=circumstances)


def _yes(path: Path, line: int, row: dict[str, str], column: str) -> bool:
    said = row.get(column, "no").lower()
    if said not in _YES_NO:
        raise TableError(f"{path.name}, line {line}: {column} is neither yes nor no. Write one of the two.")
    return _YES_NO[said]


def _writing(actor: Actor, rows: list[Registered], now: int) -> Callable[[Transaction], tuple[int, int]]:
    return lambda tx: _write(tx, actor, rows, now)
