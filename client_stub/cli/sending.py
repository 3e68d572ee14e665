"""`sync`, `status` and `verify-receipts`: what goes out, what has arrived, and the proof of it."""

from __future__ import annotations

import datetime
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from client_stub import protection, syncing
from client_stub.album import AttachmentState
from client_stub.cli.common import ALL_SENT, STILL_WAITING, AsJson, StoreFolder, err, open_device, out
from client_stub.conversation import Patience
from client_stub.keys import read_key
from client_stub.lending import Child, Lending
from client_stub.proof import check
from client_stub.standing import Status
from client_stub.telling import (
    headline,
    json_of,
    refused_elsewhere_words,
    summary_of,
    where_of,
    wiped_words,
)
from client_stub.transport import Transport
from sync.operations import Kind

WORDS = {"push": "Sending", "pull": "Fetching", "upload": "Sending files"}
UNPROVEN_SHOWN_MAX = 20


def sync(
    folder: StoreFolder,
    tries: Annotated[int, typer.Option(min=1, help="Failures in a row after which this sync gives up.")] = 6,
    as_json: AsJson = False,
) -> None:
    """Send what waits, and fetch what changed. Interrupt it at any time: nothing is lost or doubled."""
    with open_device(folder) as device:
        identity = device.enrolled()
        ca_file = None if identity.ca_file is None else Path(identity.ca_file)
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
        )
        with Transport(identity.server, ca_file=ca_file) as transport, bar:
            task = bar.add_task("Sending", total=None)

            def show(step: syncing.Progress) -> None:
                words = WORDS[step.phase]
                bar.update(task, description=words, completed=step.done, total=step.total)

            patience = Patience(tries_max=tries)
            report = syncing.Sync(device, transport, patience=patience, progress=show).run()
        if as_json:
            typer.echo(msgspec.json.encode(report))
        else:
            for problem in report.problems:
                err.print(escape(problem), soft_wrap=True)
            if report.wiped:
                out.print(wiped_words(report.set_aside), soft_wrap=True)
            else:
                out.print(f"Sent and signed for: {report.receipted}. Changes fetched: {report.pulled}.")
                shown = device.status()
                out.print(headline(shown.state, shown.attachments), soft_wrap=True)
    raise typer.Exit(ALL_SENT if report.all_sent else STILL_WAITING)


def status(folder: StoreFolder, as_json: AsJson = False) -> None:
    """Say what has arrived and what has not. "All sent" means that the server has signed for everything."""
    with open_device(folder) as device:
        shown = device.status()
        if as_json:
            typer.echo(msgspec.json.encode(json_of(shown)))
        else:
            _print_status(shown)
    raise typer.Exit(ALL_SENT if shown.all_sent else STILL_WAITING)


def verify_receipts(
    folder: StoreFolder,
    key: Annotated[
        Path | None,
        typer.Option(
            help="File with the server's public key; else the one learned at enrolment.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check, without the server, its signature under everything that it is said to have received.

    Whoever doubts the key of this device gets it from the server: [bold]earlysign devices receipt-key[/bold].
    """
    with open_device(folder) as device:
        identity = device.enrolled()
        proof = check(device.store, identity.server_key if key is None else read_key(key), identity.device_id)
    if as_json:
        typer.echo(msgspec.json.encode(proof))
    else:
        receipts = f"{proof.receipts} receipt" + ("" if proof.receipts == 1 else "s")
        out.print(f"{proof.proven} signed for by the server, in {receipts}; {proof.waiting} wait.")
        if proof.files_proven:
            out.print(f"Photographs and recordings signed for: {proof.files_proven}.")
        for epoch, seq in proof.unproven[:UNPROVEN_SHOWN_MAX]:
            err.print(f"No good receipt for entry {seq} of {escape(epoch)}.", soft_wrap=True)
        for digest in proof.files_unproven[:UNPROVEN_SHOWN_MAX]:
            err.print(f"No good receipt for the file {digest[:12]}.", soft_wrap=True)
        if not proof.whole:
            bare = len(proof.unproven) + len(proof.files_unproven)
            err.print(
                f"{bare} without proof: keep this device and tell the administrator, who has the server's key.",
                soft_wrap=True,
            )
    raise typer.Exit(ALL_SENT if proof.whole else STILL_WAITING)


def briefing(
    folder: StoreFolder,
    offline: Annotated[bool, typer.Option("--offline", help="Show what is here; ask nobody.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the children of your ward with an open alert: first name, age, what to look out for, whom to ask.

    Opening it begins a lease of one shift. When that is over, the briefing is erased, with signal or without.
    """
    with open_device(folder) as device:
        identity = device.enrolled()
        lending = Lending(device)
        if not offline:
            ca_file = None if identity.ca_file is None else Path(identity.ca_file)
            with Transport(identity.server, ca_file=ca_file) as transport:
                report = syncing.Sync(device, transport, begin_lease=True).run()
            for problem in report.problems:
                err.print(escape(problem), soft_wrap=True)
            if report.wiped:
                out.print(wiped_words(report.set_aside), soft_wrap=True)
                raise typer.Exit(STILL_WAITING)
        kept, children = lending.kept(), lending.briefing()
    if as_json:
        rows = [one.told | {"ask": one.borough or None} for one in children]
        typer.echo(msgspec.json.encode({"until": kept.until if kept else None, "children": rows}))
    elif kept is None:
        out.print("No briefing is on this device. " + ("Ask for it with signal." if offline else NO_BRIEFING))
    else:
        _print_briefing(kept.until, children)


NO_BRIEFING = "The server gives none to this device: it needs a ward, which the administrator's code names."


def _print_briefing(until: int, children: list[Child]) -> None:
    out.print(f"Erased from this device {_when(until)}.")
    if not children:
        out.print("No child of your ward has an open alert.")
        return
    table = Table("Grade", "Who", "Look out for", "Since", "Ask")
    for one in children:
        age = "age unknown" if one.told["age"] is None else str(one.told["age"])
        ask = [one.borough.get("name") or one.told["borough"], one.borough.get("contact")]
        table.add_row(
            str(one.told["grade"]).upper(),
            escape(f"{one.told['first_name'] or 'name unknown'}, {age}"),
            escape(str(one.told["look_out"])),
            _when(int(one.told["since"])),
            escape(", ".join(part for part in ask if part)),
        )
    out.print(table)


def _when(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1000).astimezone().strftime("%d %b %H:%M")


def _print_status(shown: Status) -> None:
    out.print(f"[bold]{headline(shown.state, shown.attachments)}[/bold]", soft_wrap=True)
    if shown.identity is None:
        out.print("This device is not enrolled.")
    else:
        who = shown.identity.officer_name or shown.identity.user
        out.print(f"Officer: {escape(who)}. Server: {escape(shown.identity.server)}.", soft_wrap=True)
    if shown.lease_until is not None:
        out.print(
            f"Briefing of your ward: {shown.children_held} children, erased {_when(shown.lease_until)}."
        )
    out.print(protection.SENTENCES[shown.protection], soft_wrap=True)
    for decision in shown.refused_elsewhere:
        out.print(escape(refused_elsewhere_words(decision, _when(decision.received_at))), soft_wrap=True)
    if not shown.items:
        return
    table = Table("Note", "Written", "What", "Where it is")
    named = Counter(one.note_id for one in shown.attachments)
    arrived = Counter(one.note_id for one in shown.attachments if one.state is AttachmentState.RECEIPTED)
    for item in shown.items:
        written = datetime.datetime.fromtimestamp(item.written_at / 1000).astimezone()
        what = {Kind.NOTE_AMEND.value: "Addition: ", Kind.NOTE_WITHDRAW.value: "Withdrawal"}.get(
            item.kind, ""
        )
        table.add_row(
            item.entity_id[:8],
            written.strftime("%d %b %H:%M"),
            escape(what + summary_of(item)),
            escape(where_of(item, shown) + _files(named[item.entity_id], arrived[item.entity_id], item.kind)),
        )
    out.print(table)


def _files(named: int, arrived: int, kind: str) -> str:
    """How many of a note's files have arrived, beside the note itself."""
    return f"; {arrived} of {named} files received" if named and kind == Kind.NOTE_WRITE else ""
