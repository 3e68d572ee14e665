"""`earlysign import-children` and `import-areas`: the data a server starts with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from server.app import make_pack
from server.casework.areas import BYTES_MAX, Area, AreasError, parse_geojson
from server.cli.common import (
    CommandError,
    DataOption,
    day_of,
    examples,
    open_database,
    operator,
    say,
    settings_from,
)
from server.cli.progress import Steps, rows_about
from server.clock import now_ms
from server.console.words import count
from server.importing import STAGES, Imported, import_registry
from server.importing.harm import GONE_CHILDREN_MAX
from server.linkage.csv_rows import TableError
from server.records import reference
from server.records.registry import Superseded
from server.records.registry_rows import REGISTRY_COLUMNS
from server.storage import StorageSettings

REJECTED = 3
"""Exit code of an import that left rows out; the rest was imported."""

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""

GONE_SHARE_TOLD_MIN = 0.01
"""More than this in one night is worth a second look: a year's children who come of age are a nineteenth."""

STORAGE = StorageSettings(readers=1, cache_kibibytes=64 * 1024)
"""An import reads one thing at a time and writes nearly in order: more cache would not make it faster."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import-children", epilog=examples("earlysign import-children registry.csv"))(import_children)
    app.command(
        "import-areas",
        epilog=examples(
            "earlysign import-areas boroughs.geojson", "earlysign import-areas new.geojson --from 2026-04-01"
        ),
    )(import_areas)


def import_children(
    file: Annotated[Path, typer.Argument(help="CSV of known children.", show_default=False)],
    data: DataOption = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="Where rows that cannot be used go; FILE.rejects.csv if not given.", show_default=False
        ),
    ] = None,
    allow_vanish: Annotated[
        bool,
        typer.Option(
            "--allow-vanish",
            help="Go on where more than a tenth of the children, or a column that was filled, are not in the file.",
        ),
    ] = False,
) -> None:
    """Bring the children of a registry in, or up to date: run it every night.

    A child is known by its child_id. One that the file leaves out is kept, and says since when it is no longer
    in the registry. Rows that cannot be used go to a file of their own, and the rest is imported. An import that
    was interrupted is simply run again.
    """
    settings = settings_from(data)
    pack = make_pack(settings)
    with Steps() as steps, open_database(settings, STORAGE) as store:
        total = rows_about(file)

        def progress(stage: str, done: int, of: int | None) -> None:
            steps.tell(STAGES[stage], done, total if stage == "checked" else of)

        try:
            done = import_registry(
                store,
                file,
                now=now_ms(),
                actor=operator(),
                pack=pack,
                rejects=rejects,
                allow_vanish=allow_vanish,
                progress=progress,
            )
        except TableError as error:
            raise CommandError(str(error), f"Columns: {', '.join(REGISTRY_COLUMNS)}.") from None
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped.", "What was imported so far is kept; run it again for the rest.", INTERRUPTED
            ) from None
        except Superseded:
            raise CommandError(
                "Another import of the registry has begun meanwhile, so this one stopped.",
                "What it wrote is kept; the other one does the rest.",
            ) from None
    _say_what_was_done(done)
    if done.rejected:
        raise typer.Exit(REJECTED)


def _say_what_was_done(done: Imported) -> None:
    say(
        f"{count(done.added, 'child', 'children')} added, {done.changed:,} brought up to date, "
        f"{done.unchanged:,} unchanged (done already), {done.gone:,} no longer in the registry, "
        f"{done.returned:,} in it again, {count(done.rejected, 'row')} rejected."
    )
    if done.rejects is not None:
        say(f"Rejected rows, each with its line and reason: {escape(str(done.rejects))}")
    if done.cut_off:
        say(
            "The file ends in the middle of a row: it was cut off, so nobody was taken to have left the registry. "
            "Export it again, whole, and import that."
        )
    elif done.unnamed:
        say(
            f"{done.unnamed:,} of these {'name' if done.unnamed > 1 else 'names'} no child who is known, so nobody was "
            "taken to have left the registry. Mend and import the file again."
        )
    if done.gone > GONE_CHILDREN_MAX and done.gone_share > GONE_SHARE_TOLD_MIN:
        say(
            f"{done.gone_share:.1%} of the children who were in the registry are not in this file. They are kept and "
            "found as before. If the export was cut off, import a whole one: they come back."
        )


def import_areas(
    file: Annotated[
        Path, typer.Argument(help="GeoJSON, WGS 84: polygons with code and name.", show_default=False)
    ],
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DAY",
            help="The day they came into force, 2026-04-01: those before it stay for notes of that time.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Load the boundaries by which a position becomes a borough. Without --from they take the place of all.

    A note is placed by the boundaries that were in force when it was observed.

    Boundaries for England and Wales are published by the Office for National Statistics; use the file in
    longitude and latitude (WGS 84).
    """
    areas = read_areas(file)
    valid_from = None if since is None else day_of(since)
    settings = settings_from(data)
    with open_database(settings) as store:
        store.write_now(lambda tx: reference.replace_areas(tx, areas, now=now_ms(), valid_from=valid_from))
    say(
        f"[bold]{len(areas)}[/bold] areas loaded. A running server uses them within seconds of the next note."
    )


def read_areas(file: Path) -> list[Area]:
    """The areas in a file. Raises `CommandError`."""
    try:
        if file.stat().st_size > BYTES_MAX:
            raise CommandError(
                f"{escape(file.name)} is larger than {BYTES_MAX // 2**20} MiB.", "Use generalised boundaries."
            )
        return list(parse_geojson(file.read_bytes()))
    except OSError as error:
        raise CommandError(f"{file.name} cannot be read: {error.strerror}.", "Check the path.") from None
    except AreasError as error:
        raise CommandError(f"{file.name}: {error}") from None
