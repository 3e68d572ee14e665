"""`enrol` and `wipe`: how a device comes and goes."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import typer
from rich.markup import escape
from rich.prompt import Confirm, Prompt

from client_stub import leaving, protection, store
from client_stub.cli.common import (
    STILL_WAITING,
    CaFile,
    NotEncrypted,
    StoreFolder,
    err,
    fail,
    open_device,
    out,
    passphrase_for,
    plain_errors,
)
from client_stub.device import Device, DeviceError
from client_stub.store import Store
from client_stub.transport import Transport, clean_address


def enrol(
    folder: StoreFolder,
    server: Annotated[str, typer.Option(help="Address of the server, or what its QR code holds.")],
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
    with plain_errors():
        address, code = _invitation(server, code)
        if code is None:
            if not sys.stdin.isatty():
                fail("There is no code.", "Give it with --code.")
            code = Prompt.ask("One-time code", console=err)
        passphrase = passphrase_for(folder)
        if (
            passphrase is None
            and not not_encrypted
            and protection.describe(folder) is None
            and sys.stdin.isatty()
        ):
            passphrase = new_passphrase()
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


def _invitation(typed: str, code: str | None) -> tuple[str, str | None]:
    """The address and the code: a QR code holds both, as ADDRESS/enrol#code=CODE."""
    address, found, inside = typed.strip().partition("/enrol#code=")
    return clean_address(address), (unquote(inside) if found and code is None else code)


def new_passphrase() -> str | None:
    err.print("Choose a passphrase for this device. Leave it empty to use the system keyring.")
    first = Prompt.ask("Passphrase", password=True, console=err)
    if not first:
        return None
    if Prompt.ask("Once more", password=True, console=err) != first:
        fail("The two are not the same.", "Start again.")
    return first


def wipe(
    folder: StoreFolder,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy everything on this device, and tell the server so. Refused while anything is unsent."""
    with open_device(folder) as device:
        if not yes and not (sys.stdin.isatty() and Confirm.ask("Destroy this device's store", console=err)):
            fail("Nothing was wiped.", "Say --yes, or answer y.")
        try:
            told = _wipe(device)
        except DeviceError as error:
            fail(str(error), error.hint, STILL_WAITING)
        out.print("Wiped. To use this device again it needs a new code.")
        if not told:
            out.print("There was no signal to tell the server: tell the administrator.", soft_wrap=True)


def _wipe(device: Device) -> bool:
    """Whether the server has heard of it; one that was never enrolled there has nobody to tell."""
    identity = device.identity()
    if identity is None:
        device.wipe()
        return True
    ca_file = None if identity.ca_file is None else Path(identity.ca_file)
    with Transport(identity.server, ca_file=ca_file) as transport:
        return leaving.wipe(device, transport)
