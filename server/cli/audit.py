"""`earlysign audit`: is the audit trail as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from server.audit.verify import Anchor, take_anchor, verify
from server.cli.common import (
    FAILED,
    OK,
    CommandError,
    DataOption,
    err,
    examples,
    make_typer,
    open_database,
    say,
    settings_from,
)
from server.clock import now_ms

ANCHOR_BYTES_MAX = 10_000  # an anchor is one line of about 150 characters; a file of ours has a few


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = make_typer("Prove that nobody touched the audit trail.")
    group.callback()(lambda: None)
    group.command(
        "verify",
        epilog=examples(
            "earlysign audit verify",
            "earlysign audit verify --save-anchor /media/auditor/anchors.txt",
            "earlysign audit verify --anchor /media/auditor/anchors.txt",
        ),
    )(verify_trail)
    app.add_typer(group, name="audit")


def verify_trail(
    anchor: Annotated[
        Path | None,
        typer.Option(help="File of anchors taken before; the newest is checked.", show_default=False),
    ] = None,
    save_anchor: Annotated[
        Path | None,
        typer.Option(help="Add an anchor to this file when all is well.", show_default=False),
    ] = None,
    data: DataOption = None,
) -> int:
    """Walk the whole trail and name the first entry that was changed, removed or reordered.

    The chain finds any change by somebody who cannot write it anew from there to its end. An anchor, kept where
    nobody who can write to the database can reach it, finds that too.

    Exit code 0: as it was written. 1: it is not, and the line says where.
    """
    kept = None if anchor is None else read_anchor(anchor)
    with open_database(settings_from(data)) as store:
        report = verify(store, anchor=kept)
        taken = take_anchor(store, now=now_ms()) if report.ok and save_anchor is not None else None
    for line in report.lines():
        if report.ok:
            say(escape(line))
        else:
            err.print(escape(line), soft_wrap=True)
    if taken is not None and save_anchor is not None:
        with save_anchor.open("a", encoding="ascii") as file:
            file.write(taken.line() + "\n")
        say(f"Anchor added to {escape(str(save_anchor))}")
    return OK if report.ok else FAILED


def read_anchor(path: Path) -> Anchor:
    """The last anchor of a file. Raises `CommandError` when there is none."""
    lines = path.read_text(encoding="ascii", errors="replace")[-ANCHOR_BYTES_MAX:].splitlines()
    written = [line for line in lines if line.strip()]
    if not written:
        raise CommandError(
            f"{path.name} holds no anchor.", "Make one: earlysign audit verify --save-anchor FILE"
        )
    try:
        return Anchor.parse(written[-1])
    except ValueError as error:
        raise CommandError(f"{path.name}: {error}") from None
