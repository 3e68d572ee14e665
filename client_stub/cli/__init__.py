"""The command `earlysign-device`: a phone on the terminal. One file a group of commands."""

from __future__ import annotations

import typer

from client_stub.cli import enrolment, notes, rehearsing, sending

app = typer.Typer(
    name="earlysign-device",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""A phone on the terminal: write concern notes with no signal, and send them when there is one.

First time: the administrator makes a code ([bold]earlysign devices enrol-code[/bold]), then
[bold]earlysign-device enrol --server https://... --code XXXX-XXXX-XXXX-XXXX[/bold].

Every day: [bold]earlysign-device note[/bold] asks what you saw, with or without signal;
[bold]earlysign-device sync[/bold] sends it; [bold]earlysign-device status[/bold] says what has arrived and what
became of it; [bold]earlysign-device briefing[/bold] shows whom to look out for in your ward, for one shift.

Exit codes: 0 all sent, 1 something still waits on this device, 2 the command could not be used so.""",
)
for command in (
    enrolment.enrol,
    notes.note,
    notes.amend,
    notes.withdraw,
    sending.sync,
    sending.status,
    sending.briefing,
    sending.verify_receipts,
    enrolment.wipe,
    rehearsing.simulate,
):
    app.command()(command)


def main() -> None:
    """The entry point."""
    app()
