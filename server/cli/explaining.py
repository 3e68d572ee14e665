"""`earlysign explain`: why a note was linked as it was, in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from server.audit import system
from server.cli.common import CommandError, DataOption, examples, open_database, out, say, settings_from
from server.clock import now_ms
from server.linkage.explain import explain, household_words
from server.linkage.model import default_model
from server.records import index, links

BAR_BITS = 1.5
"""How many bits one character of a bar stands for: forty bits then fit a terminal."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=examples("earlysign explain 0b6c5d0e-9a43-4a7e-8a57-1f2e3d4c5b6a"))(
        explain_note
    )


def explain_note(
    note: Annotated[str, typer.Argument(help="The note's id.", show_default=False)], data: DataOption = None
) -> None:
    """Print each decision on a note, and the waterfall of its best candidate, field by field.

    It names no child and shows no field's content: what agreed, what differed, and how much that weighed, in
    bits. Ten bits are a thousand to one.
    """
    settings = settings_from(data)
    with open_database(settings) as store:
        found = store.write_now(lambda tx: links.decisions_on_note(tx, system("command"), note, now=now_ms()))
        counts = store.read_now(index.load_frequencies)
    if not found:
        raise CommandError(
            "There is no such note here.", "The id is in the console's address and on the phone."
        )
    model = default_model().with_term_frequencies(counts) if counts else default_model()
    for ordinal, event in found:
        child = f" (child {event.child_id})" if event.child_id is not None else ""
        say(
            f"[bold]Subject {ordinal + 1}: {event.action.value}[/bold]{child}, by {event.author}. {event.reason}"
        )
        if event.evidence is None or not event.evidence.candidates:
            continue
        best = event.evidence.candidates[0]
        table = Table("Field", "Finding", "Bits", "So far", "")
        for step in explain(best, model):
            bar = ("+" if step.weight >= 0 else "-") * round(abs(step.weight) / BAR_BITS)
            table.add_row(step.title, step.label, f"{step.weight:+.1f}", f"{step.total:+.1f}", bar)
        out.print(table)
        words = household_words(best)
        if words:
            say(words)
        say(f"Probability {best.probability:.2%} with model {event.evidence.model_version}.")
