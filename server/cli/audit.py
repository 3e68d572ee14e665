"""`earlysign audit`: is the audit trail as it was written, and handing it to whoever may ask for it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from server.audit.queries import export
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
    operator,
    say,
    settings_from,
)
from server.clock import now_ms
from server.records import children

RECIPIENT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
ANCHOR_BYTES_MAX = 10_000  # an anchor is one line of about 150 characters; a file of ours has a few


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = make_typer("Prove that nobody touched the audit trail; hand it to whoever may ask for it.")
    group.callback()(lambda: None)
    group.command(
        "verify",
        epilog=examples(
            "earlysign audit verify",
            "earlysign audit verify --save-anchor /media/auditor/anchors.txt",
            "earlysign audit verify --anchor /media/auditor/anchors.txt",
        ),
    )(verify_trail)
    group.command(
        "export",
        epilog=examples(
            "earlysign audit export --to information-commissioner --out trail.jsonl",
            "earlysign audit export --to subject-access-2026-114 --child 4711 --out child.jsonl",
        ),
    )(export_trail)
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


def export_trail(
    to: Annotated[
        str,
        typer.Option(
            help="Who gets it: a name or a reference in small letters, figures and hyphens.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path, typer.Option("--out", help="A new file, for you alone to read.", show_default=False)
    ],
    child: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Only what was done to this child's record, and those merged with it.",
            show_default=False,
        ),
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Only entries after this position.")] = 0,
    data: DataOption = None,
) -> None:
    """Write the audit trail to a file, one JSON object a line: who did what to which record, when and why.

    Each line has what was hashed and the hash before it, so that anybody can check it without this program. It
    names no child: records by their numbers, people by their user names. That it left, and to whom, is an entry of the
    trail itself, written first.
    """
    if not RECIPIENT.fullmatch(to):
        raise CommandError(f"{to!r} cannot stand in the trail.", "Such as: information-commissioner")
    with open_database(settings_from(data)) as store:
        ids: list[int] = []
        if child is not None:
            ids = sorted(store.read_now(lambda tx: children.whole(tx, [children.kept(tx, child)])))
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise CommandError(f"{file} is there already.", "Name a file that is not.") from None
        with os.fdopen(descriptor, "wb") as out:
            lines = export(
                store, operator(), out.write,
                now=now_ms(), after=after, child_ids=ids, recipients=[f"export:{to}"],
            )  # fmt: skip
            out.flush()
            os.fsync(out.fileno())
    say(f"{lines} entries in {escape(str(file))}. The trail says that they went to {escape(to)}.")


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
