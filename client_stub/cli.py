"""The command `earlysign-device`: a phone on the terminal."""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.prompt import Confirm, Prompt
from rich.table import Table

from client_stub import protection, simulator, store, syncing, writing
from client_stub.device import Device, DeviceError, Status
from client_stub.keys import KeyProblem
from client_stub.protection import ProtectionError
from client_stub.store import Store, StoreError
from client_stub.telling import headline, json_of, sentence_of, summary_of
from client_stub.transport import AddressProblem, Refused, Transport, TransportError, clean_address
from sync.limits import OPS_PER_PUSH_MAX
from sync.note import Amendment, Note, Withdrawal
from sync.operations import Kind

PASSPHRASE_VARIABLE = "EARLYSIGN_DEVICE_PASSPHRASE"
STORE_VARIABLE = "EARLYSIGN_DEVICE_STORE"
ALL_SENT, STILL_WAITING, USAGE = 0, 1, 2

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
[bold]earlysign-device sync[/bold] sends it; [bold]earlysign-device status[/bold] says what has arrived.

Exit codes: 0 all sent, 1 something still waits on this device, 2 the command could not be used so.""",
)
out = Console()
err = Console(stderr=True)


def _default_store() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "earlysign-device"


StoreFolder = Annotated[
    Path,
    typer.Option(
        "--store",
        envvar=STORE_VARIABLE,
        default_factory=_default_store,
        show_default="~/.local/share/earlysign-device",
        help="Folder of this device's store. Each folder is a device of its own.",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", exists=True, dir_okay=False, help="Certificate authority of the server (PEM)."),
]
NotEncrypted = Annotated[
    bool,
    typer.Option(
        "--not-encrypted", help="Keep the store readable by whoever has this device. For rehearsals."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
NoteFile = Annotated[
    Path | None,
    typer.Option("--file", help="File with the JSON of the whole body; - for standard input."),
]


def _fail(message: str, hint: str = "", code: int = USAGE) -> NoReturn:
    err.print(f"[bold]{escape(message)}[/bold]" + (f" {escape(hint)}" if hint else ""), soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Every foreseen error as a sentence with a hint, and the right exit code."""
    try:
        yield
    except (DeviceError, StoreError, ProtectionError) as error:
        _fail(str(error), error.hint)
    except Refused as error:
        _fail(str(error), error.hint)
    except TransportError as error:
        _fail(str(error), error.hint, STILL_WAITING)
    except (AddressProblem, KeyProblem, writing.WritingProblem, simulator.InputProblem) as error:
        _fail(str(error))


def _passphrase(folder: Path) -> str | None:
    """From the environment, or asked for where the store needs one and somebody is there."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    description = protection.describe(folder)
    needed = description is not None and description.protection is protection.Protection.PASSPHRASE
    if given is None and needed and sys.stdin.isatty():
        return Prompt.ask("Passphrase of this device", password=True, console=err)
    return given


@contextlib.contextmanager
def _device(folder: Path) -> Iterator[Device]:
    with _plain_errors():
        wiped = store.wiped_at(folder)
        if protection.describe(folder) is None and wiped is not None:
            _fail("This device was wiped.", "Enrol it again with a new code: earlysign-device enrol")
        with contextlib.closing(Store.open(folder, passphrase=_passphrase(folder))) as opened:
            if opened.protection is protection.Protection.NONE:
                err.print(f"[dim]{protection.SENTENCES[opened.protection]}[/dim]", soft_wrap=True)
            yield Device(opened)


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone().replace(microsecond=0)


@app.command()
def enrol(
    folder: StoreFolder,
    server: Annotated[
        str, typer.Option(help="Address of the server, such as https://earlysign.example.org.")
    ],
    code: Annotated[
        str | None, typer.Option(help="One-time code. You are asked for it if it is missing.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the administrator should call this device.")] = "phone",
    ca_file: CaFile = None,
    not_encrypted: NotEncrypted = False,
) -> None:
    """Make this device known to a server, once, with a code from the administrator.

    A key pair is made on this device; only its public half leaves it. The store is encrypted with a
    passphrase (from EARLYSIGN_DEVICE_PASSPHRASE, or asked for) or with a key in the system keyring.
    """
    with _plain_errors():
        address = clean_address(server)
        if code is None:
            if not sys.stdin.isatty():
                _fail("There is no code.", "Give it with --code.")
            code = Prompt.ask("One-time code", console=err)
        passphrase = _passphrase(folder)
        if (
            passphrase is None
            and not not_encrypted
            and protection.describe(folder) is None
            and sys.stdin.isatty()
        ):
            passphrase = _new_passphrase()
        with (
            contextlib.closing(
                Store.create(folder, passphrase=passphrase, accept_unencrypted=not_encrypted)
            ) as opened,
            Transport(address, ca_file=ca_file) as transport,
        ):
            identity = Device(opened).enrol(transport, code=code, name=name, ca_file=ca_file)
            (folder / store.WIPED_FILE).unlink(missing_ok=True)
            who = identity.officer_name or identity.user
            out.print(f"Enrolled for {escape(who)} at {escape(address)}.", soft_wrap=True)
            out.print(protection.SENTENCES[opened.protection], soft_wrap=True)


def _new_passphrase() -> str | None:
    err.print("Choose a passphrase for this device. Leave it empty to use the system keyring.")
    first = Prompt.ask("Passphrase", password=True, console=err)
    if not first:
        return None
    if Prompt.ask("Once more", password=True, console=err) != first:
        _fail("The two are not the same.", "Start again.")
    return first


@app.command()
def note(
    folder: StoreFolder,
    file: NoteFile = None,
    given_names: Annotated[str | None, typer.Option(help="Who: given names.")] = None,
    family_name: Annotated[str | None, typer.Option(help="Who: family name.")] = None,
    age: Annotated[float | None, typer.Option(help="About how old, in years.")] = None,
    dob: Annotated[str | None, typer.Option(help="Date of birth, 2012-05-31.")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male.")] = None,
    school: Annotated[str | None, typer.Option()] = None,
    address: Annotated[str | None, typer.Option(help="Home address.")] = None,
    postcode: Annotated[str | None, typer.Option()] = None,
    phone: Annotated[str | None, typer.Option(help="Telephone number.")] = None,
    guardian: Annotated[str | None, typer.Option(help="Name of a parent or guardian.")] = None,
    description: Annotated[str | None, typer.Option(help="What tells this child from another.")] = None,
    saw: Annotated[str, typer.Option(help="What I saw or heard.")] = "",
    words: Annotated[str, typer.Option(help="The child's own words.")] = "",
    demeanour: Annotated[str, typer.Option(help="How the child seemed.")] = "",
    assessment: Annotated[str, typer.Option(help="What I make of it, kept apart from what I saw.")] = "",
    action: Annotated[str, typer.Option(help="What I did.")] = "",
    danger_now: Annotated[bool, typer.Option("--danger-now", help="The child is in danger now.")] = False,
    category: Annotated[str, typer.Option(help="Main category; the first letters are enough.")] = "other",
    also: Annotated[
        list[str] | None, typer.Option(help="Further category. May be given several times.")
    ] = None,
    exploitation: Annotated[bool, typer.Option("--exploitation", help="A sign of exploitation.")] = False,
    seen: Annotated[str | None, typer.Option(help="seen, seen_alone or not_seen.")] = None,
    not_seen_because: Annotated[str, typer.Option(help="Why the child was not seen.")] = "",
    observed: Annotated[str | None, typer.Option(help="When: 14:05, or 2025-11-03 14:05. Else now.")] = None,
    place: Annotated[str | None, typer.Option(help="Where, in words.")] = None,
    latitude: Annotated[float | None, typer.Option(help="Degrees, WGS 84.")] = None,
    longitude: Annotated[float | None, typer.Option(help="Degrees, WGS 84.")] = None,
    accuracy_m: Annotated[float | None, typer.Option(help="Accuracy of the position, in metres.")] = None,
    missing_hours: Annotated[float | None, typer.Option(help="Missing for how many hours so far.")] = None,
    missing_risk: Annotated[str | None, typer.Option(help="no_apparent_risk, low, medium or high.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a concern note. It is safe on this device when the command ends; signal is not needed.

    With no options it asks: who, what I saw, the child's words, danger now. Everything else can come later
    with [bold]amend[/bold]. A vague note is a good note: "boy about 13, first name Jay, Peckham bus station".
    """
    now = _now()
    with _device(folder) as device:
        device.enrolled()
        if file is not None:
            body = writing.read(Note, _content(file))
        else:
            subject = {
                "given_names": given_names, "family_name": family_name, "approximate_age": age,
                "date_of_birth": dob, "sex": sex, "school": school, "address": address, "postcode": postcode,
                "phone": phone, "guardian": guardian, "description": description,
            }  # fmt: skip
            subject = {key: value for key, value in subject.items() if value is not None}
            if not subject and not saw and not words and place is None and sys.stdin.isatty():
                fields: dict[str, Any] = writing.ask_for_note(err, now)
            else:
                if not subject and not saw and not words:
                    _fail(
                        "The note is empty.", "Give at least --saw, --words or who it is about. See --help."
                    )
                where = {
                    "place": place,
                    "latitude": latitude,
                    "longitude": longitude,
                    "accuracy_m": accuracy_m,
                }
                where = {key: value for key, value in where.items() if value is not None}
                missing = {"hours": missing_hours, "risk_level": missing_risk}
                missing = {key: value for key, value in missing.items() if value is not None}
                when = now if observed is None else writing.instant(observed, now)
                fields = {
                    "observed_at": when.isoformat(),
                    "recorded_at": now.isoformat(),
                    "category": writing.category(category).value,
                    "other_categories": [writing.category(other).value for other in also or []],
                    "saw_or_heard": saw,
                    "voice_of_child": words,
                    "demeanour": demeanour,
                    "assessment": assessment,
                    "action_taken": action,
                    "danger_now": danger_now,
                    "exploitation_indicator": exploitation,
                    "child_seen": seen,
                    "not_seen_reason": not_seen_because,
                    "found_at": where or None,
                    "missing": missing or None,
                    "subjects": [subject],
                }
            body = writing.build(Note, fields)
        _advise(body)
        _kept(device, device.write(body), as_json)


@app.command()
def amend(
    note_id: Annotated[str, typer.Argument(help="Id of the note, or how it begins (status lists them).")],
    folder: StoreFolder,
    reason: Annotated[str, typer.Option(help="Why you add to it.")] = "",
    text: Annotated[str, typer.Option(help="What to add.")] = "",
    file: NoteFile = None,
    as_json: AsJson = False,
) -> None:
    """Add to, or correct, a note of yours. The note itself never changes; both stay on record."""
    with _device(folder) as device:
        device.enrolled()
        if file is not None:
            body = writing.read(Amendment, _content(file))
        elif not text:
            _fail("There is nothing to add.", "Give --text, or --file with a whole amendment.")
        else:
            body = Amendment(recorded_at=_now(), reason=reason, text=text)
        _advise(body)
        _kept(device, device.amend(device.find_note(note_id), body), as_json)


@app.command()
def withdraw(
    note_id: Annotated[str, typer.Argument(help="Id of the note, or how it begins (status lists them).")],
    folder: StoreFolder,
    reason: Annotated[str, typer.Option(help="Why the note was written in error.")],
    as_json: AsJson = False,
) -> None:
    """Say that a note of yours was written in error. It stays on record, marked so."""
    with _device(folder) as device:
        body = Withdrawal(recorded_at=_now(), reason=reason)
        _kept(device, device.withdraw(device.find_note(note_id), body), as_json)


def _content(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        _fail(f"{file} cannot be read: {error.strerror}.")


def _advise(body: Note | Amendment) -> None:
    for sentence in writing.advice(body):
        err.print(f"[yellow]{escape(sentence)}[/yellow]", soft_wrap=True)


def _kept(device: Device, note_id: str, as_json: bool) -> None:
    waiting = device.status().state.waiting
    if as_json:
        typer.echo(msgspec.json.encode({"id": note_id, "waiting": waiting}))
    else:
        out.print(f"Kept on this device: {note_id}", highlight=False)
        out.print(f"{waiting} waiting to be sent: earlysign-device sync")


@app.command()
def sync(
    folder: StoreFolder,
    tries: Annotated[int, typer.Option(min=1, help="Failures in a row after which this sync gives up.")] = 6,
    as_json: AsJson = False,
) -> None:
    """Send what waits, and fetch what changed. Interrupt it at any time: nothing is lost or doubled."""
    with _device(folder) as device:
        identity = device.enrolled()
        ca_file = None if identity.ca_file is None else Path(identity.ca_file)
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
        )
        with Transport(identity.server, ca_file=ca_file) as transport, bar:
            task = bar.add_task("Sending", total=None)

            def show(step: syncing.Progress) -> None:
                words = "Sending" if step.phase == "push" else "Fetching"
                bar.update(task, description=words, completed=step.done, total=step.total)

            patience = syncing.Patience(tries_max=tries)
            report = syncing.Sync(device, transport, patience=patience, progress=show).run()
        if as_json:
            typer.echo(msgspec.json.encode(report))
        else:
            for problem in report.problems:
                err.print(escape(problem), soft_wrap=True)
            if report.wiped:
                out.print("The server had this device wiped. Your notes had arrived before.")
            else:
                out.print(f"Sent and signed for: {report.receipted}. Changes fetched: {report.pulled}.")
                out.print(headline(device.status().state), soft_wrap=True)
    raise typer.Exit(ALL_SENT if report.all_sent else STILL_WAITING)


@app.command()
def status(folder: StoreFolder, as_json: AsJson = False) -> None:
    """Say what has arrived and what has not. "All sent" means that the server has signed for everything."""
    with _device(folder) as device:
        shown = device.status()
        if as_json:
            typer.echo(msgspec.json.encode(json_of(shown)))
        else:
            _print_status(shown)
    raise typer.Exit(ALL_SENT if shown.state.all_sent else STILL_WAITING)


def _print_status(shown: Status) -> None:
    out.print(f"[bold]{headline(shown.state)}[/bold]", soft_wrap=True)
    if shown.identity is None:
        out.print("This device is not enrolled.")
    else:
        who = shown.identity.officer_name or shown.identity.user
        out.print(f"Officer: {escape(who)}. Server: {escape(shown.identity.server)}.", soft_wrap=True)
    if shown.lent_rows:
        out.print(f"Entries lent to this device by the server: {shown.lent_rows}.")
    out.print(protection.SENTENCES[shown.protection], soft_wrap=True)
    if not shown.items:
        return
    table = Table("Note", "Written", "What", "Where it is")
    for item in shown.items:
        written = datetime.datetime.fromtimestamp(item.written_at / 1000).astimezone()
        what = {Kind.NOTE_AMEND.value: "Addition: ", Kind.NOTE_WITHDRAW.value: "Withdrawal"}.get(
            item.kind, ""
        )
        table.add_row(
            item.entity_id[:8],
            written.strftime("%d %b %H:%M"),
            escape(what + summary_of(item)),
            escape(sentence_of(item)),
        )
    out.print(table)


@app.command()
def wipe(
    folder: StoreFolder,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy everything on this device. Refused while anything is unsent."""
    with _device(folder) as device:
        if not yes and not (sys.stdin.isatty() and Confirm.ask("Destroy this device's store", console=err)):
            _fail("Nothing was wiped.", "Say --yes, or answer y.")
        try:
            device.wipe()
        except DeviceError as error:
            _fail(str(error), error.hint, STILL_WAITING)
        out.print("Wiped. To use this device again it needs a new code.")


@app.command()
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
    with _plain_errors():
        entries = simulator.read_entries(_content(notes).splitlines())
        phones = [simulator.Phone(folder=folder)]
        if codes is not None:
            if server is None:
                _fail("--codes needs --server.", "Give the server's address.")
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
            _fail("There is no code in the file.", "One code a line.")
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


def main() -> None:
    """The entry point."""
    app()
