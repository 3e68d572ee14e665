"""`earlysign model`: which weights linkage uses, in every process of the server."""

from __future__ import annotations

import datetime
from math import log2
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from server.cli.common import (
    CommandError,
    DataOption,
    examples,
    make_typer,
    open_database,
    operator,
    out,
    say,
    settings_from,
)
from server.cli.linking import read_model
from server.clock import now_ms
from server.linkage.model import Model, ModelError, default_model
from server.linkage.splink_settings import model_to_json
from server.records import in_force
from server.records.in_force import Kind
from server.storage import Store
from server.world import model_in_force


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = make_typer("Show the weights that linkage uses, put trained ones in force, or go back.")
    group.command("show", epilog=examples("earlysign model show"))(show)
    group.command("use", epilog=examples("earlysign model use model.json"))(use)
    group.command("reset", epilog=examples("earlysign model reset"))(reset)
    app.add_typer(group, name="model")


def show(data: DataOption = None) -> None:
    """Show the weights in force: their version, since when and by whom, and each level in bits.

    Ten bits are a thousand to one. How rare a name is comes on top.
    """
    with open_database(settings_from(data)) as store:
        model = model_of(store)
        history = store.read_now(lambda tx: in_force.history(tx, Kind.MODEL))
    say(f"In force: [bold]{escape(model.version)}[/bold]" + ("" if history else ", the weights that ship"))
    for loaded in history:
        when = datetime.datetime.fromtimestamp(loaded.loaded_at / 1000, datetime.UTC)
        what = f"{loaded.version}, the weights that ship" if loaded.shipped else loaded.version
        say(f"  {when:%Y-%m-%d %H:%M} UTC  {escape(what)}, by {escape(loaded.loaded_by)}")
    table = Table("Compared", "Level", "Bits")
    for comparison in model.comparisons:
        # The first level is "missing on one side", which says nothing.
        for place, level in enumerate(comparison.comparison_levels[1:]):
            assert level.m_probability is not None and level.u_probability is not None
            bits = log2(level.m_probability / level.u_probability)
            name = "" if place else comparison.output_column_name
            table.add_row(escape(name), escape(level.name), f"{bits:+.1f}")
    out.print(table)


def use(
    file: Annotated[Path, typer.Argument(help="Model JSON, as train writes it.", show_default=False)],
    data: DataOption = None,
) -> None:
    """Put trained weights in force: in every process of the server, from a note that comes a moment later on.

    They are kept in the database and hold until others are put in force, also after a restart. What was decided
    before stays as it was decided, with the version that decided it.
    """
    model = read_model(file)
    _put(data, model, model_to_json(model).decode())


def reset(data: DataOption = None) -> None:
    """Go back to the weights that ship."""
    _put(data, default_model(), None)


def _put(data: Path | None, model: Model, text: str | None) -> None:
    actor, now = operator(), now_ms()
    with open_database(settings_from(data)) as store:
        before = store.read_now(lambda tx: in_force.history(tx, Kind.MODEL))
        store.write_now(lambda tx: in_force.put(tx, actor, Kind.MODEL, model.version, text, now=now))
    was = before[0].version if before else default_model().version
    say(f"In force: [bold]{escape(model.version)}[/bold], where it was {escape(was)}.")


def model_of(store: Store) -> Model:
    """The weights in force. Raises `CommandError` where this release cannot read them."""
    try:
        return store.read_now(model_in_force)
    except ModelError as error:
        raise CommandError(
            f"The weights in force are of another release: {error}.",
            "Put others in force: earlysign model use FILE, or earlysign model reset.",
        ) from None
