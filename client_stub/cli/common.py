"""What the commands share: options, the store they work on, errors as sentences, exit codes."""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt

from client_stub import protection, simulator, store, writing
from client_stub.album import AttachmentProblem
from client_stub.database import StoreError
from client_stub.device import Device, DeviceError
from client_stub.keys import KeyProblem
from client_stub.lending import Lending
from client_stub.protection import ProtectionError
from client_stub.store import Store
from client_stub.transport import AddressProblem, Refused, TransportError
from client_stub.writing import words_sent
from sync.vocabulary import beside_newer

PASSPHRASE_VARIABLE = "EARLYSIGN_DEVICE_PASSPHRASE"
STORE_VARIABLE = "EARLYSIGN_DEVICE_STORE"
ALL_SENT, STILL_WAITING, USAGE = 0, 1, 2

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
Attach = Annotated[
    list[Path] | None,
    typer.Option("--attach", help="A photograph or recording to send with it. May be given several times."),
]
NoteFile = Annotated[
    Path | None,
    typer.Option("--file", help="File with the JSON of the whole body; - for standard input."),
]


def fail(message: str, hint: str = "", code: int = USAGE) -> NoReturn:
    err.print(f"[bold]{escape(message)}[/bold]" + (f" {escape(hint)}" if hint else ""), soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Every foreseen error as a sentence with a hint, and the right exit code."""
    try:
        yield
    except (DeviceError, StoreError, ProtectionError) as error:
        fail(str(error), error.hint)
    except Refused as error:
        fail(str(error), error.hint)
    except TransportError as error:
        fail(str(error), error.hint, STILL_WAITING)
    except (
        AddressProblem,
        AttachmentProblem,
        KeyProblem,
        writing.WritingProblem,
        simulator.InputProblem,
    ) as error:
        fail(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"{error.filename or 'A file'}: {error.strerror}.", "Check the path, and who may use it.")


def passphrase_for(folder: Path) -> str | None:
    """From the environment, or asked for where the store needs one and somebody is there."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    description = protection.describe(folder)
    needed = description is not None and description.protection is protection.Protection.PASSPHRASE
    if given is None and needed and sys.stdin.isatty():
        return Prompt.ask("Passphrase of this device", password=True, console=err)
    return given


@contextlib.contextmanager
def open_device(folder: Path) -> Iterator[Device]:
    with plain_errors():
        wiped = store.wiped_at(folder)
        if protection.describe(folder) is None and wiped is not None:
            fail("This device was wiped.", "Enrol it again with a new code: earlysign-device enrol")
        with contextlib.closing(Store.open(folder, passphrase=passphrase_for(folder))) as opened:
            if opened.protection is protection.Protection.NONE:
                err.print(f"[dim]{protection.SENTENCES[opened.protection]}[/dim]", soft_wrap=True)
            device = Device(opened)
            Lending(device).erase_if_over()
            with beside_newer(words_sent(opened.holdings()).newer):
                yield device


def local_now(device: Device) -> datetime.datetime:
    """By this device's time zone, and not by its clock alone: see `Device.time_ms`."""
    return datetime.datetime.fromtimestamp(device.time_ms() // 1000).astimezone()


def content(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")
