"""`earlysign train` and `earlysign relink`: whole registries at once, with Splink, beside the server."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from server import proposing
from server.batch import engine as engines
from server.batch.engine import BatchError
from server.batch.relinking import Pair, relink
from server.batch.training import train
from server.cli.common import (
    USAGE,
    CommandError,
    DataOption,
    err,
    examples,
    open_database,
    operator,
    say,
    settings_from,
)
from server.cli.common import out as terminal
from server.cli.linking import read_model
from server.cli.model import model_of
from server.clock import now_ms
from server.linkage.csv_rows import TableError
from server.linkage.model import Model, default_model
from server.linkage.splink_settings import model_to_json
from server.linkage.standardise import Record
from server.linkage.table import KNOWN_COLUMNS, NOTE_COLUMNS, check_out, read_records, whole_file, write_rows
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
            "earlysign relink",
            "earlysign relink --dry-run --out pairs.csv",
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
    _need(EngineName.DUCKDB)
    _check_out(out, known, notes)
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
    _report(learned, seed)
    try:
        with whole_file(out) as file:
            file.write(model_to_json(learned.model).decode())
    except TableError as error:
        raise CommandError(str(error)) from None
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
    known: Annotated[
        Path | None,
        typer.Option(
            help="CSV of known children, as for link; without it, the children of the database.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV of pairs to write.", show_default=False)] = None,
    data: DataOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look through the database and say how many; propose nothing.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model JSON, as train writes it. Without it: the weights in force in the database, or that ship.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Least probability of a pair.", min=0.01, max=0.999999)
    ] = THRESHOLD,
    engine: Annotated[
        EngineName, typer.Option(help="duckdb (extra train), or the spark of SPARK_CONF_DIR (extra spark).")
    ] = EngineName.DUCKDB,
) -> None:
    """Find children who stand twice, and propose them as pairs. Nothing is merged.

    In the database, each pair waits for a person on the page Pairs; one that waits or was answered already is not
    asked again. With --known, no database is used and the pairs go to --out. A pair that could be brothers,
    sisters or twins is marked so: a person decides.
    """
    _need(engine)
    chosen = None if model is None else read_model(model)
    if known is None:
        _relink_database(data, out, chosen, threshold, engine, dry_run=dry_run)
        return
    if out is None or dry_run:
        raise CommandError(
            "A file of children is looked through for a file of pairs.", "Give --out FILE.", USAGE
        )
    _check_out(out, known, model)
    names, records = _records(known, KNOWN_COLUMNS)
    with _steps() as bar:
        pairs = _look(bar, records, chosen or default_model(), threshold, engine)
    _told(pairs, len(records))
    _write_pairs(out, pairs, names)


def _need(engine: EngineName) -> None:
    """Said before a registry is read for minutes. Raises CommandError where the extra is not installed."""
    try:
        engines.need(engine.value)
    except BatchError as error:
        raise CommandError(str(error), error.hint) from None


def _relink_database(
    data: Path | None,
    out: Path | None,
    given: Model | None,
    threshold: float,
    engine: EngineName,
    *,
    dry_run: bool,
) -> None:
    with open_database(settings_from(data)) as store, _steps() as bar:
        model = given or model_of(store)
        child_ids, records = array("q"), []
        for child_id, record in proposing.registry(store):
            child_ids.append(child_id)
            records.append(record)
        pairs = _look(bar, records, model, threshold, engine)
        _told(pairs, len(records))
        if out is not None:
            _write_pairs(out, pairs, child_ids)
        if dry_run:
            say("Nothing was proposed (--dry-run).")
            return
        task = bar.add_task("proposing", total=len(pairs))
        filed = proposing.file(
            store, operator(), child_ids, pairs, model.version,
            now=now_ms, progress=lambda done: bar.update(task, completed=done),
        )  # fmt: skip
    say(
        f"Waiting for a person from now: [bold]{filed.asked:,}[/bold]; asked or answered before: {filed.passed:,}"
    )


def _look(
    bar: Progress, records: list[Record], model: Model, threshold: float, engine: EngineName
) -> list[Pair]:
    task = bar.add_task("", total=None)

    def progress(doing: str, done: int, steps: int) -> None:
        bar.update(task, description=doing, completed=done, total=steps)

    try:
        return relink(records, model=model, threshold=threshold, engine=engine.value, progress=progress)
    except BatchError as error:
        raise CommandError(str(error), error.hint) from None


def _told(pairs: list[Pair], children: int) -> None:
    doubtful = sum(pair.proposal.could_be_siblings for pair in pairs)
    say(
        f"{children:,} known children; pairs proposed: [bold]{len(pairs):,}[/bold], "
        f"of which could be siblings: {doubtful:,}"
    )


def _write_pairs(out: Path, pairs: list[Pair], names: Sequence[object]) -> None:
    try:
        write_rows(out, PAIR_COLUMNS, (_pair_row(pair, names) for pair in pairs))
    except TableError as error:
        raise CommandError(str(error)) from None
    say(f"Written to {escape(str(out))}")


def _pair_row(pair: Pair, names: Sequence[object]) -> list[str]:
    proposal = pair.proposal
    return [
        str(names[pair.left]),
        str(names[pair.right]),
        f"{proposal.probability:.6f}",
        f"{proposal.weight:.3f}",
        f"{pair.splink_probability:.6f}",
        "yes" if proposal.could_be_siblings else "no",
        proposal.reason,
    ]


def _check_out(out: Path, *others: Path | None) -> None:
    try:
        check_out(out, *others)
    except TableError as error:
        raise CommandError(str(error)) from None


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
