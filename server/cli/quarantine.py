"""`earlysign quarantine`: what was set aside, why, and what a person decides about it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from server import releasing
from server.app import make_pack
from server.casework.words import moment
from server.cli.common import (
    CommandError,
    DataOption,
    examples,
    in_database,
    make_typer,
    open_database,
    operator,
    out,
    say,
    settings_from,
)
from server.clock import now_ms
from server.records import quarantine
from server.records.quarantine import Held
from server.releasing import Decided, NotReleased
from server.storage import Transaction
from server.world import Worlds

LISTED_MAX = 200
Number = Annotated[int, typer.Argument(help="Its number, as in the list.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = make_typer("What phones handed in and the server set aside: list, look, release, refuse.")
    group.command(
        "list", epilog=examples("earlysign quarantine list", "earlysign quarantine list --decided")
    )(list_held)
    group.command(
        "show", epilog=examples("earlysign quarantine show 7", "earlysign quarantine show 7 --raw")
    )(show)
    group.command("release", epilog=examples("earlysign quarantine release 7"))(release)
    group.command(
        "refuse", epilog=examples("earlysign quarantine refuse 7 --reason 'The officer wrote it again'")
    )(refuse)
    app.add_typer(group, name="quarantine")


def list_held(
    decided: Annotated[bool, typer.Option("--decided", help="What was decided, instead.")] = False,
    data: DataOption = None,
) -> None:
    """Show what waits for a person, oldest first; nothing of what is written in it."""
    with open_database(settings_from(data)) as store:
        found = store.read_now(
            quarantine.decided if decided else lambda tx: quarantine.waiting(tx, limit=LISTED_MAX)
        )
    if not found:
        say("Nothing has been decided yet." if decided else "Nothing waits.")
        return
    table = Table(
        "No.", "Received", "Phone", "Officer", "Why it is here", "Decision" if decided else "What to do"
    )
    for held in found:
        why, what = releasing.why(held)
        table.add_row(
            str(held.quarantine_id), moment(held.received_at), escape(held.device_name or held.device_id[:8]),
            escape(held.officer or ""), why, escape(held.decision or "") if decided else what,
        )  # fmt: skip
    out.print(table)


def show(
    number: Number,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write its bytes to standard output. That is logged.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Show one line that was set aside: why it is here, what to do, and what was decided."""
    actor, now = operator(), now_ms()
    with open_database(settings_from(data)) as store:
        held = store.read_now(lambda tx: quarantine.one(tx, number))
        if held is None:
            raise CommandError("There is nothing of that number.", "earlysign quarantine list shows all.")
        if raw:
            line = store.read_now(lambda tx: quarantine.show_line(tx, actor, number, now=now))
            sys.stdout.buffer.write(line + b"\n")
            return
    _print(held)


def _print(held: Held) -> None:
    why, what = releasing.why(held)
    place = f" (at {held.place})" if held.place else ""
    say(f"[bold]{held.quarantine_id}[/bold], received {moment(held.received_at)}, {held.size} bytes")
    say(
        f"From {escape(held.device_name or 'a phone')} of {escape(held.officer or 'nobody known')}, {held.device_id}"
    )
    say(
        f"{escape(held.kind or 'unreadable')}, schema {held.schema or 'unknown'}, by {escape(held.user or 'unknown')}"
    )
    say(f"Why it is here: {why}{escape(place)}")
    if held.decision is None:
        say(f"What to do: {what}")
    else:
        said = f": {escape(held.reason)}" if held.reason else ""
        when = moment(held.decided_at or 0)
        say(f"{held.decision.value.capitalize()} {when} by {escape(held.decided_by or '')}{said}")


def release(number: Number, data: DataOption = None) -> None:
    """Send one line down the road, once, as this server reads it now."""
    settings, actor, now = settings_from(data), operator(), now_ms()
    worlds = Worlds(make_pack(settings))

    def work(tx: Transaction) -> str:
        try:
            return releasing.release(tx, actor, number, now=now, world=worlds.current(tx)).v.value
        except Decided:
            raise CommandError("That was decided before, or there is nothing of that number.") from None
        except NotReleased as refused:
            raise CommandError(str(refused), refused.hint) from None

    outcome = in_database(settings, work)
    say(f"Released: {outcome}. Its alerts, if any, are with the borough now.")


def refuse(
    number: Number,
    reason: Annotated[
        str,
        typer.Option(help="Why it is not released; the officer reads it on their phone.", show_default=False),
    ],
    data: DataOption = None,
) -> None:
    """Say that one line is not to be released, and why. Its bytes are kept."""
    if len(reason.strip()) < releasing.REASON_CHARACTERS_MIN:
        raise CommandError("That reason says too little.", "Say in a sentence why it is not released.", 2)
    actor, now = operator(), now_ms()

    def work(tx: Transaction) -> None:
        try:
            releasing.refuse(tx, actor, number, reason, now=now)
        except Decided:
            raise CommandError("That was decided before, or there is nothing of that number.") from None

    in_database(settings_from(data), work)
    say("Refused. The bytes are kept, and the officer reads the reason on their phone after the next sync.")
