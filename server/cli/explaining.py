"""`earlysign explain`: why a note was linked as it was, in the terminal."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from server.audit import system
from server.cli.common import CommandError, DataOption, examples, open_database, out, say, settings_from
from server.cli.model import model_of
from server.clock import now_ms
from server.linkage.decide import Decision
from server.linkage.explain import (
    NOT_COMPARED,
    OUTCOME_WORDS,
    SCALE,
    TOTAL,
    Bar,
    explain,
    in_words,
    margin_bits,
    not_compared,
    waterfall,
    why,
)
from server.linkage.model import Model
from server.linkage.words import percent, signed
from server.records import index, links, notes
from server.records.links import Event

BAR_CHARACTERS = 32
"""The scale of the waterfall: with the numbers beside it, it fits a terminal of 100 columns."""
_STYLES = {"for": "green", "against": "red", "nothing": "dim", "start": "dim", "total": "bold"}
_MARKS = {"for": "+", "against": "-", "nothing": ".", "start": "=", "total": "="}
"""What a bar is drawn with: the mark says which way it counts, where colours are not seen."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=examples("earlysign explain 0b6c5d0e-9a43-4a7e-8a57-1f2e3d4c5b6a"))(
        explain_note
    )


def explain_note(
    note: Annotated[str, typer.Argument(help="The note's id, or its beginning.", show_default=False)],
    data: DataOption = None,
) -> None:
    """Print each decision on a note, why it was not another, and the waterfall of its best candidate.

    It names no child and shows no field's content: what agreed, what differed, and how much that weighed, in
    bits. Ten bits are a thousand to one. In a pipe the same comes as plain lines.
    """
    settings, actor = settings_from(data), system("command")
    with open_database(settings) as store:
        found = store.write_now(lambda tx: links.decisions_on_note(tx, actor, note, now=now_ms()))
        if not found:
            # Phones and their lists show the beginning of an id.
            begun = store.read_now(lambda tx: notes.ids_beginning(tx, note.strip().lower(), 2))
            if len(begun) > 1:
                raise CommandError("More than one note's id begins like that.", "Give more of it.", 2)
            if begun:
                found = store.write_now(lambda tx: links.decisions_on_note(tx, actor, begun[0], now=now_ms()))
        counts = store.read_now(index.load_frequencies)
        weights = model_of(store)
    if not found:
        raise CommandError(
            "No note with that id has been linked here.",
            "The id is in the console's address and on the phone. One that was set aside waits for a person: "
            "earlysign quarantine list",
        )
    model = weights.with_term_frequencies(counts) if counts else weights
    for ordinal, event in found:
        _tell(ordinal, event, model)


def _tell(ordinal: int, event: Event, model: Model) -> None:
    child = f" (child {event.child_id})" if event.child_id is not None else ""
    at = datetime.datetime.fromtimestamp(event.at / 1000, datetime.UTC)
    action = event.action.value.replace("_", " ")
    head = f"Subject {ordinal + 1}: {action}{child}, by {event.author}, {at:%Y-%m-%d %H:%M} UTC."
    say(f"[bold]{escape(head)}[/bold]")
    decision = event.evidence
    if decision is None:
        say(escape(event.reason))
        return
    say(escape(why(decision, model)))
    if decision.candidates:
        _tell_best(decision, model)


def _tell_best(decision: Decision, model: Model) -> None:
    best = decision.candidates[0]
    say(escape(f"Best candidate: child {best.child_id}, {percent(best.probability)}. {_second(decision)}"))
    steps = explain(best, model, start=decision.start)
    if out.is_terminal:
        table = Table("Field", "Finding", "Bits", "So far", "", box=None, pad_edge=False)
        for bar in waterfall(steps).bars:
            step = bar.step
            if step.comparison == TOTAL:
                table.add_section()
            finding = ": ".join(part for part in (OUTCOME_WORDS.get(step.outcome), step.label) if part)
            if step.remark:
                finding = f"{finding}; {step.remark}"
            table.add_row(step.title, finding, signed(step.weight), signed(step.total), _drawn(bar))
        out.print(table)
    else:
        for line in in_words(steps):
            say(f"  {escape(line)}")
        if missing := not_compared(steps):
            say(f"  {NOT_COMPARED}: {escape(', '.join(missing))}.")
    children = "child" if decision.compared == 1 else "children"
    say(escape(f"Compared with {decision.compared} known {children} by model {decision.model_version}."))


def _second(decision: Decision) -> str:
    margin = margin_bits(decision)
    if margin is None or decision.second_child_id is None:
        return "No second."
    return f"The second, child {decision.second_child_id}, is {margin:.1f} bits behind."


def _drawn(bar: Bar) -> Text:
    """A bar of the waterfall in characters, at its place on the scale."""
    unit = BAR_CHARACTERS / SCALE
    left = min(round(bar.left * unit), BAR_CHARACTERS - 1)
    width = max(1, round(bar.width * unit))
    return Text(" " * left + _MARKS[bar.kind] * width, style=_STYLES[bar.kind])
