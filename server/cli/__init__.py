"""The command `earlysign`. One file a group of commands; each has `register(app)`, listed in `GROUPS`.

To add a command: write `server/cli/<subject>.py` with a function `register(app: typer.Typer) -> None`, and
put the module into `GROUPS` in the order in which `--help` shall show it.
"""

from __future__ import annotations

import sys

import typer

from server.cli import (
    attachments,
    audit,
    backup,
    database,
    demo,
    devices,
    doctor,
    explaining,
    linking,
    model,
    people,
    quarantine,
    reference,
    rules,
    serve,
    training,
)
from server.cli.common import make_typer, run

GROUPS = (
    serve,
    demo,
    doctor,
    database,
    backup,
    reference,
    rules,
    people,
    devices,
    quarantine,
    attachments,
    audit,
    linking,
    training,
    model,
    explaining,
)

HELP = """
Carries a worry about a child from the officer who sees it to the person who can act on it.

[bold]A first look[/bold]

[cyan]earlysign people add rivera --role investigator --borough E09000022[/cyan]

[cyan]earlysign serve[/cyan]

Settings are environment variables: [cyan]earlysign doctor --settings[/cyan] lists them all.
"""


def make_app() -> typer.Typer:
    """All commands."""
    app = make_typer(HELP)
    for group in GROUPS:
        group.register(app)
    return app


def main() -> None:
    """The entry point. Exit code 0: done; 1: failed, the line says why; 2: used wrongly."""
    sys.exit(run(make_app()))
