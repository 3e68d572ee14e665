"""`earlysign import-children` and `import-areas`: the data a server starts with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from server.casework.areas import BYTES_MAX, Area, AreasError, parse_geojson
from server.cli.common import (
    CommandError,
    DataOption,
    day_of,
    err,
    examples,
    open_database,
    say,
    settings_from,
)
from server.cli.linking import progress_bar, rows_about
from server.clock import now_ms
from server.linkage.table import TableError
from server.records import reference
from server.records.registry import REGISTRY_COLUMNS, import_registry

STAGES = {"checked": "Checking", "written": "Writing"}


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
) -> None:
    """Add the children of a registry, or bring those already here up to date.

    The whole file is checked first: one that is refused changes nothing. A child that is here already is
    known by its child_id; children that the file leaves out stay as they are.
    """
    settings = settings_from(data)
    with progress_bar(err) as bar, open_database(settings) as store:
        tasks = {stage: bar.add_task(title, total=rows_about(file)) for stage, title in STAGES.items()}
        try:
            done = import_registry(
                store,
                file,
                now=now_ms(),
                progress=lambda stage, rows: bar.update(tasks[stage], completed=rows),
            )
        except TableError as error:
            raise CommandError(str(error), f"Columns: {', '.join(REGISTRY_COLUMNS)}.") from None
        for task in tasks.values():
            total = done.added + done.updated
            bar.update(task, total=total, completed=total)
    say(f"[bold]{done.added:,}[/bold] children added, {done.updated:,} brought up to date.")


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
    say(f"[bold]{len(areas)}[/bold] areas loaded. A running server uses them from the next note on.")


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
