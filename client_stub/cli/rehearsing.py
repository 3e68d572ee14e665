"""`simulate`: a rehearsal on a bad line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from client_stub import simulator
from client_stub.cli.common import (
    ALL_SENT,
    PASSPHRASE_VARIABLE,
    STILL_WAITING,
    NotEncrypted,
    StoreFolder,
    content,
    err,
    fail,
    plain_errors,
)
from client_stub.transport import clean_address
from sync.limits import OPS_PER_PUSH_MAX


def simulate(
    notes: Annotated[Path, typer.Argument(help="File with a note a line (NDJSON); - for standard input.")],
    folder: StoreFolder,
    codes: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="One enrolment code a line: a phone for each."),
    ] = None,
    server: Annotated[str | None, typer.Option(help="Address of the server, with --codes.")] = None,
    cut: Annotated[float, typer.Option(min=0, max=0.95, help="Share of requests whose line is cut.")] = 0.0,
    repeat: Annotated[float, typer.Option(min=0, max=1, help="Share of pushes that arrive twice.")] = 0.0,
    batch: Annotated[
        int, typer.Option(min=1, max=OPS_PER_PUSH_MAX, help="Entries in one push, at most.")
    ] = OPS_PER_PUSH_MAX,
    seed: Annotated[int, typer.Option(help="The same seed cuts at the same places.")] = 1,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds until it gives up.")] = simulator.DEADLINE_S,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Phones at work at once.")] = 8,
    offline: Annotated[bool, typer.Option("--offline", help="Only write; sync later.")] = False,
    not_encrypted: NotEncrypted = False,
) -> None:
    """Rehearse: write the notes of a file with no signal, then sync over a bad line until all is receipted.

    Each line of NOTES is the JSON of a note, or {"id": ..., "phone": 0, "note": {...}} to choose its id and
    the phone that writes it; {"id": ..., "amendment": {...}} and {"id": ..., "withdrawal": {...}} work too.
    Without --codes the store is one enrolled phone; with --codes it is a folder of phones that enrol first,
    and lines without a phone are dealt in turn. The last line printed is a JSON summary.
    """
    with plain_errors():
        entries = simulator.read_entries(content(notes).splitlines())
        phones = [simulator.Phone(folder=folder)]
        if codes is not None:
            if server is None:
                fail("--codes needs --server.", "Give the server's address.")
            given = codes.read_text(encoding="utf-8").split()
            phones = [
                simulator.Phone(
                    folder=folder / simulator.PHONE_FOLDER.format(number=number),
                    code=code,
                    server=clean_address(server),
                    name=f"rehearsal {number}",
                )
                for number, code in enumerate(given)
            ]
        if not phones:
            fail("There is no code in the file.", "One code a line.")
        hands = simulator.deal(entries, len(phones))
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
        )
        with bar:
            written = bar.add_task("Written with no signal", total=len(entries))
            receipted = bar.add_task("Signed for by the server", total=None if offline else len(entries))

            def show(more_written: int, more_receipted: int) -> None:
                bar.advance(written, more_written)
                bar.advance(receipted, more_receipted)

            summary = simulator.rehearse(
                phones,
                hands,
                simulator.Line(cut=cut, repeat=repeat, seed=seed, ops_per_push=batch),
                passphrase=os.environ.get(PASSPHRASE_VARIABLE),
                accept_unencrypted=not_encrypted,
                deadline_s=deadline,
                parallel=parallel,
                sync=not offline,
                progress=show,
            )
        typer.echo(msgspec.json.encode(summary))
    raise typer.Exit(ALL_SENT if summary.all_sent else STILL_WAITING)
