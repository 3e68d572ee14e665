"""`earlysign link`: which child is each note about, from one CSV file to another, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from server.cli.common import CommandError, err, examples, say
from server.cli.progress import Steps, rows_about
from server.console.words import count as counted
from server.linkage.csv_rows import TableError
from server.linkage.model import Model, ModelError
from server.linkage.splink_settings import model_from_json
from server.linkage.table import link_tables

STAGES = {"known": "Known children", "notes": "Notes"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "link",
        epilog=examples(
            "earlysign link --known known.csv --notes notes.csv --out links.csv",
            "earlysign link --known known.csv --notes notes.csv --out links.csv --model model.json",
        ),
    )(link)


def link(
    known: Annotated[Path, typer.Option(help="CSV of known children.", show_default=False)],
    notes: Annotated[Path, typer.Option(help="CSV of notes.", show_default=False)],
    out: Annotated[Path, typer.Option(help="CSV of decisions to write.", show_default=False)],
    model: Annotated[
        Path | None, typer.Option(help="Model JSON, as train writes it.", show_default=False)
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(help="Write every child that was compared, too.", show_default=False),
    ] = None,
) -> None:
    """Decide for every note whether it is about a known child (link), doubtful (review) or about a new one.

    known.csv: child_id, given_names, family_name, aliases, date_of_birth, sex, address, postcode, school,
    phone, guardian, upn, nhs_number. All but child_id may be left out.

    notes.csv: note_id and observed_on, the same columns without child_id, and age.

    UTF-8 with a header; dates as 2014-03-09; aliases separated by semicolons. A cell that cannot be used (a date
    that is none) counts as empty, and is named at the end.
    """
    chosen = None if model is None else read_model(model)
    with Steps() as steps:
        totals = {stage: rows_about(path) for stage, path in (("known", known), ("notes", notes))}

        def progress(stage: str, done: int) -> None:
            steps.tell(STAGES[stage], done, totals[stage])

        try:
            summary = link_tables(known, notes, out, model=chosen, candidates=candidates, progress=progress)
        except TableError as error:
            raise CommandError(str(error)) from None
        for stage, count in (("known", summary.known), ("notes", summary.notes)):
            steps.tell(STAGES[stage], count, count)
    if summary.unread.count:
        err.print(
            f"{counted(summary.unread.count, 'cell')} could not be used and counted as empty. The first:"
        )
        for said in summary.unread.first:
            err.print(f"  {escape(said)}")
    say(
        f"{counted(summary.notes, 'note')} against {counted(summary.known, 'known child', 'known children')}: "
        f"[bold]{summary.link:,}[/bold] linked, {summary.review:,} for review, {summary.new:,} new."
    )
    say(f"Written to {escape(str(out))}")


def read_model(path: Path) -> Model:
    """A model file. Raises `CommandError` for one that cannot be used."""
    try:
        return model_from_json(path.read_bytes())
    except ModelError as error:
        raise CommandError(f"{path.name}: {error}", "Use a file that earlysign train wrote.") from None
