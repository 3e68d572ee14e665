"""How the demo ends: a look at the console, the counts, the address, and how to sign in."""

from __future__ import annotations

import datetime
import html
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from server.demo.cast import Who
from server.demo.counts import Counts
from server.demo.desk import Desk
from server.demo.places import boroughs
from server.demo.stage import Folder
from server.demo.steps import Report, Step

MARKING = "OFFICIAL-SENSITIVE"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the phones did. `sent` counts a note each time it went on the wire; requests and pushes as they say."""

    written: int
    lost: int
    sent: int
    cuts: int
    retries: int
    repeats: int
    requests: int


def look_at_console(rivera: Desk, why: str, report: Report) -> None:
    """The console's first page, as the investigator's browser gets it: with the alert that was acknowledged."""
    answer = rivera.page("/")
    is_page = answer.is_success and answer.headers.get("content-type", "").startswith("text/html")
    right = is_page and MARKING in answer.text and html.escape(why, quote=False) in answer.text
    report.check(Step.CONSOLE, right, f'"{why}" is on it')


def print_counts(out: Console, counts: Counts, phones: Written, started: datetime.datetime) -> None:
    """All counts in one table."""
    table = Table(title="Counts", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    rows = [
        ("Children on the registry", counts.children),
        ("Notes written on phones", phones.written),
        ("Notes received", counts.notes),
        ("Notes lost", phones.lost),
        ("Notes there twice", max(0, counts.notes - phones.written)),
        ("Linked to a child automatically", counts.linked),
        ("Children not known before", counts.new),
        ("For review by a person", counts.in_review),
        ("Flags", counts.flags),
        ("Alerts", counts.alerts),
        ("Alerts acknowledged", counts.acknowledged),
        ("Times somebody higher was told", counts.escalations),
        ("Set aside as unreadable", counts.quarantined),
        ("Entries of the audit trail", counts.audit_entries),
        ("Lines cut under the phones", phones.cuts),
        ("Seconds", round((datetime.datetime.now().astimezone() - started).total_seconds())),
    ]
    for name, number in rows:
        table.add_row(name, f"{number:,}")
    out.print()
    out.print(table)


def print_sign_in(out: Console, folder: Folder, address: str, desks: Sequence[Who], password: str) -> None:
    """Address, usernames and the password, on the terminal and in a file of the demo's folder."""
    table = Table("Username", "Role", "Place", "Has on screen", title="Who can sign in", title_justify="left")
    for who in desks:
        place = boroughs()[who.borough].name if who.borough else (who.unit or "whole force")
        table.add_row(f"[bold]{who.username}[/bold]", who.role.replace("_", " "), place, who.shows)
    out.print()
    out.print(table)
    out.print(f"Console:  [bold]{escape(address)}[/bold]")
    out.print(f"Password: [bold]{escape(password)}[/bold] (the same for all, made for this run)")
    usernames = ", ".join(who.username for who in desks)
    lines = [f"Console: {address}", f"Password of all: {password}", f"Usernames: {usernames}"]
    folder.sign_in.touch(mode=0o600)
    folder.sign_in.write_text("\n".join(lines) + "\n", encoding="utf-8")
