"""`earlysign doctor`: looks at everything the server stands on, and says what to do about what is wrong."""

from __future__ import annotations

import datetime
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from server.access.crypto import SECRET_BYTES, SECRET_FILE
from server.access.policy import Permission, PolicyError, load_policy
from server.alerts.channels import EVERYBODY
from server.alerts.ways import open_ways
from server.alerts.webhooks import WebhooksError
from server.app import STATIC
from server.cli.attachments import known
from server.cli.common import FAILED, OK, DataOption, examples, migrations_of, out, settings_from
from server.clock import now_ms
from server.console.words import count
from server.records import attachments, dead_letters, ledger, owing, quarantine
from server.settings import LOOPBACK, Settings, settings_table
from server.storage import StorageError, Store, open_store
from server.storage.blobs import Blobs

GIBIBYTE = 1024**3
DISK_WARN_BYTES = 2 * GIBIBYTE  # some 200,000 notes with their audit trail: weeks in London
DISK_FAIL_BYTES = GIBIBYTE // 10  # below this SQLite's log cannot grow, and the next push may fail
UNDELIVERED_WARN_MS = 10 * 60_000
"""A message that should have gone so long ago is late: what fails is tried again within minutes at first."""
CLOCK_AHEAD_MS = 60_000  # a minute after the newest thing stored means that a clock went back
BACKUP_HOURS_MAX = 26  # a day and the time that a backup takes
RELEASED = datetime.date(2026, 1, 1)  # no right clock shows a date before this program was written


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


class Finding(msgspec.Struct, frozen=True):
    """One line of the report: what was looked at, how it is, and what to do unless it is well."""

    subject: str
    verdict: Verdict
    found: str
    todo: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=examples("earlysign doctor", "earlysign doctor --settings"))(doctor)


def doctor(
    data: DataOption = None,
    settings_only: Annotated[
        bool, typer.Option("--settings", help="List every setting (a table in Markdown) and stop.")
    ] = False,
) -> int:
    """Check configuration, database, clock, data folder, disk and pages; say what to do.

    Changes nothing. Exit code 0 when nothing has failed (warnings are allowed), 1 otherwise.
    """
    if settings_only:
        typer.echo(settings_table())
        return OK
    findings = examine(settings_from(data))
    table = Table("", "What", "How it is", box=None, pad_edge=False)
    for finding in findings:
        colour = COLOURS[finding.verdict]
        text = escape(finding.found) + (f"\n[bold]{escape(finding.todo)}[/bold]" if finding.todo else "")
        table.add_row(f"[{colour}]{finding.verdict}[/{colour}]", finding.subject, text)
    out.print(table)
    return FAILED if any(finding.verdict is Verdict.FAIL for finding in findings) else OK


def examine(settings: Settings) -> list[Finding]:
    """Every finding. A check that fails does not stop the others."""
    checks: tuple[Check, ...] = (
        programs,
        configuration,
        data_folder,
        secret_file,
        disk,
        database,
        clock,
        pages,
    )
    return [finding for check in checks for finding in check(settings)]


def programs(_settings: Settings) -> Iterator[Finding]:
    """Python, SQLite and this program."""
    try:
        ours = version("earlysign")
    except PackageNotFoundError:
        ours = "not installed, run from a folder"
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(
        "Program", Verdict.OK, f"earlysign {ours}, Python {python}, SQLite {sqlite3.sqlite_version}"
    )


def configuration(settings: Settings) -> Iterator[Finding]:
    """Roles and boroughs, and whether the server would be reachable without TLS."""
    try:
        policy = load_policy(settings.policy, settings.boroughs)
    except PolicyError as error:
        yield Finding("Roles", Verdict.FAIL, str(error), "Correct the file, or unset EARLYSIGN_POLICY.")
    else:
        roles, boroughs = len(policy.roles), len(policy.force.boroughs)
        yield Finding("Roles", Verdict.OK, f"{roles} roles; {policy.force.name}: {boroughs} boroughs")
    if settings.behind_tls:
        yield Finding("Address", Verdict.OK, settings.base_url)
    elif settings.host in LOOPBACK:
        yield Finding(
            "Address",
            Verdict.WARN,
            f"{settings.base_url}: no TLS, for this machine only",
            "Before phones use it: a proxy with TLS in front, and EARLYSIGN_PUBLIC_URL=https://...",
        )
    else:
        yield Finding(
            "Address",
            Verdict.FAIL,
            f"{settings.base_url} can be reached from outside without TLS: notes would travel readable",
            "Set EARLYSIGN_HOST=127.0.0.1, a proxy with TLS in front, and EARLYSIGN_PUBLIC_URL=https://...",
        )


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Whether the data folder is there, ours, and closed to others."""
    folder = settings.data
    if not folder.exists():
        todo = "earlysign serve or earlysign migrate makes it."
        yield Finding("Data folder", Verdict.WARN, f"{folder} does not exist yet", todo)
        return
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        todo = "Give it to the account that runs the server."
        yield Finding("Data folder", Verdict.FAIL, f"{folder} cannot be written", todo)
        return
    if _open_to_others(folder):
        todo = f"chmod 700 {folder}"
        yield Finding("Data folder", Verdict.FAIL, f"{folder} is open to other accounts", todo)
        return
    yield Finding("Data folder", Verdict.OK, f"{folder.resolve()}, for its owner only")


def _open_to_others(path: Path) -> bool:
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))


def secret_file(settings: Settings) -> Iterator[Finding]:
    """The key from which all others are derived."""
    path = settings.data / SECRET_FILE
    if settings.secret:
        yield Finding("Secret key", Verdict.OK, "given by EARLYSIGN_SECRET")
    elif not settings.uses_sqlite and not path.exists():
        todo = "Set EARLYSIGN_SECRET to the same value on all of them: openssl rand -hex 32"
        yield Finding("Secret key", Verdict.WARN, "each server on this database would make its own", todo)
    elif not path.exists():
        yield Finding("Secret key", Verdict.OK, "is made when the server first starts")
    elif path.stat().st_size != SECRET_BYTES:
        todo = "Restore it from the backup. A new one signs everybody out and voids every phone's receipts."
        yield Finding("Secret key", Verdict.FAIL, f"{path} is damaged", todo)
    elif _open_to_others(path):
        yield Finding("Secret key", Verdict.FAIL, f"{path} is open to other accounts", f"chmod 600 {path}")
    else:
        yield Finding("Secret key", Verdict.OK, f"{path}: keep a copy with every backup")


def disk(settings: Settings) -> Iterator[Finding]:
    """Free space where the data folder is or will be."""
    folder = settings.data.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    verdict = (
        Verdict.OK if free >= DISK_WARN_BYTES else Verdict.WARN if free >= DISK_FAIL_BYTES else Verdict.FAIL
    )
    todo = "" if verdict is Verdict.OK else "Make room: when the disk is full no note can be received."
    yield Finding("Free disk", verdict, f"{free / GIBIBYTE:.1f} GiB", todo)


def database(settings: Settings) -> Iterator[Finding]:
    """Whether it opens, is up to date, and has somebody to run it."""
    if settings.uses_sqlite and not settings.sqlite_path.exists():
        yield Finding("Database", Verdict.WARN, "there is none yet", "earlysign migrate makes it.")
        return
    try:
        store = open_store(settings.sqlite_path if settings.uses_sqlite else settings.database)
    except StorageError as error:
        yield Finding(
            "Database", Verdict.FAIL, str(error), "Check EARLYSIGN_DATABASE, and that it is running."
        )
        return
    try:
        yield from _inside(store, settings)
    except StorageError as error:
        yield Finding("Database", Verdict.FAIL, str(error), "Restore it from a backup if it is damaged.")
    finally:
        store.close_now()


def _inside(store: Store, settings: Settings) -> Iterator[Finding]:
    missing, unknown = migrations_of(store, settings)
    if unknown:
        todo = "Install the newer version again: this one may not understand what is stored."
        yield Finding("Database", Verdict.FAIL, f"it is from a newer version ({', '.join(unknown)})", todo)
        return
    if missing:
        verdict = Verdict.WARN if settings.migrates_on_start else Verdict.FAIL
        yield Finding("Database", verdict, f"{len(missing)} migrations are missing", "earlysign migrate")
        return
    engine = "SQLite" if settings.uses_sqlite else "PostgreSQL"
    yield Finding("Database", Verdict.OK, f"{engine}, up to date")
    yield from _attachments(store, Blobs(settings.attachments))
    policy = load_policy(settings.policy, settings.boroughs)
    people = store.read_now(lambda tx: tx.rows("SELECT role FROM person WHERE active = 1"))
    unknown_roles = sorted({role for (role,) in people if role not in policy.roles})
    if unknown_roles:
        todo = "Put the role back into the policy, or give these people another."
        yield Finding("People", Verdict.FAIL, f"roles that no longer exist: {', '.join(unknown_roles)}", todo)
    elif not any(Permission.ACKNOWLEDGE_ALERTS in policy.roles[role].permissions for (role,) in people):
        todo = "earlysign people add rivera --role investigator --borough E09000022"
        yield Finding("People", Verdict.WARN, f"{len(people)} people, nobody who can take an alert", todo)
    else:
        yield Finding("People", Verdict.OK, f"{len(people)} people who may sign in")
    yield _backup(store)
    yield from _phones(store)
    yield from _channels(store, settings)
    newest = store.read_now(
        lambda tx: tx.value(
            "SELECT max(t) FROM (SELECT max(started_at) AS t FROM person_session "
            "UNION ALL SELECT max(enrolled_at) FROM device "
            "UNION ALL SELECT max(last_seen_at) FROM device) AS times"
        )
    )
    if newest is not None and newest > now_ms() + CLOCK_AHEAD_MS:
        todo = (
            "Set the clock (timedatectl set-ntp true) before the server runs again: deadlines depend on it."
        )
        yield Finding("Clock", Verdict.FAIL, "it is behind the newest entry of the database", todo)


def _attachments(store: Store, blobs: Blobs) -> Iterator[Finding]:
    """Whether every attachment's file is there, with the size that it had. Their bytes are another command's."""
    kept, awaited = store.read_now(attachments.counts)
    wrong = sum(blobs.size(digest) != size for digest, size in known(store))
    if wrong:
        todo = "earlysign attachments verify names them; restore attachments/ from a backup."
        yield Finding("Attachments", Verdict.FAIL, f"{wrong} of {kept} files are missing or cut short", todo)
    else:
        yield Finding(
            "Attachments", Verdict.OK, f"{kept} files; {awaited} more are named by notes and still on phones"
        )


def _channels(store: Store, settings: Settings) -> Iterator[Finding]:
    """Whether alerts reach people and other systems outside the page."""
    try:
        names = (EVERYBODY, *open_ways(settings))
    except WebhooksError as error:
        yield Finding("Alerts", Verdict.FAIL, str(error), "Correct the file, or unset EARLYSIGN_WEBHOOKS.")
        return
    now = now_ms()
    found = store.read_now(lambda tx: dead_letters.health(tx, names, now=now))
    todo = "Sign in as an administrator: Undelivered says what to do, and sends again."
    troubled = False
    for one in found:
        late = one.oldest_due_at is not None and now - one.oldest_due_at > UNDELIVERED_WARN_MS
        if one.dead or late or not one.is_well:
            said = f"{one.channel}: {one.dead} given up, {one.waiting} wait, {one.failures} attempts failed in a row"
            troubled = True
            yield Finding("Alerts", Verdict.WARN, said, todo)
    if not troubled:
        yield Finding("Alerts", Verdict.OK, f"nothing was given up; channels: {', '.join(names[1:])}")


def _phones(store: Store) -> Iterator[Finding]:
    """Whether phones owe notes, and whether anything that was set aside waits for a person."""
    owed = store.read_now(owing.phones)
    if owed:
        entries = sum(one.notes for one in owed)
        todo = (
            "earlysign devices list names them. Have each synced; one that is lost has notes that are lost."
        )
        phones, notes = count(len(owed), "phone"), count(entries, "entry", "entries")
        yield Finding("Phones", Verdict.WARN, f"{phones} {'owe' if len(owed) > 1 else 'owes'} {notes}", todo)
    else:
        yield Finding("Phones", Verdict.OK, "none is known to owe a note")
    waiting = store.read_now(quarantine.count)
    if waiting:
        todo = "earlysign quarantine list says what to do about each."
        yield Finding("Quarantine", Verdict.WARN, f"{waiting} wait for a person", todo)
    else:
        yield Finding("Quarantine", Verdict.OK, "nothing waits")


def _backup(store: Store) -> Finding:
    newest = store.read_now(ledger.newest_backup)
    todo = "earlysign backup --to FOLDER, every day by a timer."
    if newest is None:
        begun = store.read_now(ledger.backups_begun)
        said = (
            "none was completed, or none since this database was restored" if begun else "there is none yet"
        )
        return Finding("Backup", Verdict.WARN, said, todo)
    hours = max(0, now_ms() - newest.begun_at) / 3_600_000
    verdict = Verdict.OK if hours <= BACKUP_HOURS_MAX else Verdict.WARN
    return Finding(
        "Backup", verdict, f"{newest.name}, {hours:.0f} hours old", "" if verdict is Verdict.OK else todo
    )


def clock(_settings: Settings) -> Iterator[Finding]:
    """Whether this machine's date can be right."""
    today = datetime.datetime.fromtimestamp(now_ms() / 1000, datetime.UTC)
    if today.date() < RELEASED:
        todo = "Set it: timedatectl set-ntp true"
        yield Finding("Clock", Verdict.FAIL, f"shows {today:%d %B %Y}, before this program was written", todo)
    else:
        yield Finding("Clock", Verdict.OK, f"{today:%d %B %Y %H:%M:%S} UTC; compare it with yours")


def pages(_settings: Settings) -> Iterator[Finding]:
    """Whether style sheets and scripts of the console were built."""
    if (STATIC / "vendor").is_dir():
        yield Finding("Pages", Verdict.OK, "style sheets and scripts are there")
    else:
        todo = "Build them: python -m server.console.assets"
        yield Finding("Pages", Verdict.FAIL, "style sheets and scripts are missing", todo)
