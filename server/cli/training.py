"""`earlysign train` and `earlysign relink`: whole registries at once, with Splink, without a server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from server.batch import engine as engines
from server.batch.engine import BatchError
from server.batch.relinking import Pair, relink
from server.batch.training import train
from server.cli.common import CommandError, err, examples, say
from server.cli.common import out as terminal
from server.cli.linking import read_model
from server.linkage.csv_rows import TableError
from server.linkage.splink_settings import model_to_json
from server.linkage.standardise import Record
from server.linkage.table import KNOWN_COLUMNS, NOTE_COLUMNS, read_records, write_rows
from server.linkage.train import Learned, report_rows

SEED = 20260302
THRESHOLD = 0.9
PAIR_COLUMNS = (
    "child_id",
    "other_child_id",
    "probability",
    "weight",
    "splink_probability",
    "could_be_siblings",
    "reason",
)

Known = Annotated[Path, typer.Option(help="CSV of known children, as for link.", show_default=False)]


class EngineName(StrEnum):
    """Where Splink runs."""

    DUCKDB = engines.DUCKDB
    SPARK = engines.SPARK


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "train",
        epilog=examples(
            "earlysign train --known known.csv --out model.json",
            "earlysign train --known known.csv --notes notes.csv --out model.json",
            "earlysign link --known known.csv --notes new.csv --out links.csv --model model.json",
        ),
    )(train_command)
    app.command(
        "relink",
        epilog=examples(
            "earlysign relink --known known.csv --out pairs.csv",
            "earlysign relink --known known.csv --out pairs.csv --model model.json --engine spark",
        ),
    )(relink_command)


def train_command(
    known: Known,
    out: Annotated[Path, typer.Option(help="Model JSON to write, in Splink's format.", show_default=False)],
    notes: Annotated[
        Path | None,
        typer.Option(
            help="CSV of notes already collected, as for link: better than a registry alone, in which "
            "children who stand twice must serve in their place.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn at random.")] = SEED,
) -> None:
    """Learn the weights of linkage from a registry, without labels (Splink, expectation maximisation).

    Needs the extra train. What was learned is printed level by level; it holds no personal data, and neither
    does the model.
    """
    _, children = _records(known, KNOWN_COLUMNS)
    described = None if notes is None else _records(notes, NOTE_COLUMNS)[1]
    with _steps() as bar:
        task = bar.add_task("", total=None)

        def progress(doing: str, done: int, steps: int) -> None:
            bar.update(task, description=doing, completed=done, total=steps)

        try:
            learned = train(children, described, seed=seed, progress=progress)
        except BatchError as error:
            raise CommandError(str(error), error.hint) from None
    out.write_bytes(model_to_json(learned.model))
    _report(learned, seed)
    say(f"Written to {escape(str(out))}: {learned.model.version}")


def _report(learned: Learned, seed: int) -> None:
    table = Table("", "level", "m", "u", "household", box=None, padding=(0, 1, 0, 0))
    last = ""
    for comparison, level, figures in report_rows(learned):
        cells = (f"{before:.2g} > {after:.2g}" if before != after else f"{before:.2g}"
                 for before, after in zip(figures[:3], figures[3:], strict=True))  # fmt: skip
        table.add_row("" if comparison == last else comparison, level, *cells)
        last = comparison
    say("Probabilities, before > after:")
    terminal.print(table)
    say(f"Other known children in a child's home: {learned.model.housemates:.2f}. Seed {seed}.")
    for remark in learned.remarks:
        say(escape(f"Not learned: {remark}."))
    if learned.m_learned:
        say(f"m learned from about {learned.matches:,.0f} pairs of one child in the largest pass.")
    else:
        say(
            "[bold]m was not learned: it stays as it was by default.[/bold] Hardly any child is described twice "
            "here. Give notes already collected with --notes."
        )


def relink_command(
    known: Known,
    out: Annotated[Path, typer.Option(help="CSV of pairs to write.", show_default=False)],
    model: Annotated[
        Path | None, typer.Option(help="Model JSON, as train writes it.", show_default=False)
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Least probability of a pair.", min=0.01, max=0.999999)
    ] = THRESHOLD,
    engine: Annotated[
        EngineName, typer.Option(help="duckdb (extra train), or the spark of SPARK_CONF_DIR (extra spark).")
    ] = EngineName.DUCKDB,
) -> None:
    """Find children who stand twice in a registry, and propose them as pairs. Nothing is merged.

    A pair that could be brothers, sisters or twins is marked so: a person decides.
    """
    chosen = None if model is None else read_model(model)
    names, records = _records(known, KNOWN_COLUMNS)
    with _steps() as bar:
        task = bar.add_task("", total=None)

        def progress(doing: str, done: int, steps: int) -> None:
            bar.update(task, description=doing, completed=done, total=steps)

        try:
            pairs = relink(records, model=chosen, threshold=threshold, engine=engine.value, progress=progress)
        except BatchError as error:
            raise CommandError(str(error), error.hint) from None
    try:
        write_rows(out, PAIR_COLUMNS, (_pair_row(pair, names) for pair in pairs))
    except TableError as error:
        raise CommandError(str(error)) from None
    doubtful = sum(pair.proposal.could_be_siblings for pair in pairs)
    say(
        f"{len(records):,} known children; pairs proposed: [bold]{len(pairs):,}[/bold], "
        f"of which could be siblings: {doubtful:,}"
    )
    say(f"Written to {escape(str(out))}")


def _pair_row(pair: Pair, names: list[str]) -> list[str]:
    proposal = pair.proposal
    return [
        names[pair.left],
        names[pair.right],
        f"{proposal.probability:.6f}",
        f"{proposal.weight:.3f}",
        f"{pair.splink_probability:.6f}",
        "yes" if proposal.could_be_siblings else "no",
        proposal.reason,
    ]


def _records(path: Path, columns: tuple[str, ...]) -> tuple[list[str], list[Record]]:
    try:
        return read_records(path, columns)
    except TableError as error:
        raise CommandError(str(error)) from None


def _steps() -> Progress:
    return Progress(
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
    )
