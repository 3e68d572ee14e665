"""Importing a registry of known children from CSV: `earlysign import-children`, as often as every night.

The file is read twice. `check.py` reads it without writing: every row is compared with what is here (an unchanged one
costs a look-up and no more), those that cannot be used go to a file of their own, and a file that would do harm is
refused while nothing has happened. Then what is new or changed is written, in transactions of a fraction of a
second, each child with all that it is found by; other processes standardise meanwhile. An import that was killed
is simply run again: what is done already is unchanged by then.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from server.audit import Actor
from server.casework.pack import Pack, default_pack
from server.importing.check import STAGES, Checked, Progress, compare, untold
from server.importing.harm import refuse_harm
from server.importing.rejects import Rejects
from server.importing.writing import CHANGED_MEANWHILE, Import, Imported
from server.linkage.csv_rows import Rows, TableError
from server.records import filled, registry
from server.records.registry_rows import REGISTRY_COLUMNS
from server.storage.port import Store

__all__ = ["STAGES", "Imported", "Progress", "import_registry"]

BY_ITSELF = Actor("system", "import")


def import_registry(
    store: Store,
    path: Path,
    *,
    now: int,
    actor: Actor = BY_ITSELF,
    pack: Pack | None = None,
    rejects: Path | None = None,
    allow_vanish: bool = False,
    progress: Progress = untold,
) -> Imported:
    """Bring the database up to date with a registry's file.

    `pack` is for children whose alerts a change concerns. Raises TableError with what to do for a
    file that is refused, before anything is written, and `registry.Superseded` where another import has begun.
    """
    if path.exists() and not path.is_file():
        raise TableError(
            f"{path}: is no file of its own, and an import reads twice. Save it as a file first."
        )
    aside = rejects or path.with_name(path.name + ".rejects.csv")
    with Rows(path, REGISTRY_COLUMNS) as rows:
        digest = _digest(path)

        def checked() -> Checked:
            with Rejects(aside, rows.columns) as bad:
                found = compare(store, rows, bad, progress)
                bad.finish()
            before = store.read_now(filled.at_last_import)
            refuse_harm(path, found, before, aside, allow_vanish=allow_vanish)
            if _digest(path) != digest:
                raise TableError(f"{path.name}: {CHANGED_MEANWHILE}")
            return found

        seen = store.read_now(registry.latest)
        found = checked()
        run = store.write_now(lambda tx: registry.begin_run(tx, actor, digest, now=now))
        if run.before != seen:
            # Another import wrote while this one read. From here on it is refused, and what it wrote can be compared.
            found = checked()
        done = Import(store, rows, found, actor, pack or default_pack(), now, progress, run).run()
        return msgspec.structs.replace(done, rejects=aside if done.rejected else None)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
