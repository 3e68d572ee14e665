"""How the phone's store is kept secret: SQLCipher under a key from the system keyring or from a passphrase.

`store.json` beside the database says which, and holds the salt of the passphrase; it holds no secret. The
key is 32 bytes, handed to SQLCipher raw, so that SQLCipher's own slow key derivation is not paid a second
time.
"""

from __future__ import annotations

import importlib
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

DESCRIPTION_FILE = "store.json"
KEYRING_SERVICE = "earlysign-device"
KEY_BYTES = 32
SALT_BYTES = 16
SCRYPT_N = 2**15
SCRYPT_R = 8
SCRYPT_P = 3
"""scrypt at 32 MiB, three rounds: OWASP's second choice, about a quarter of a second on a small computer."""
PASSPHRASE_CHARACTERS_MIN = 8
"""Shorter than this is guessed from the stolen file in hours, whatever the derivation."""


class ProtectionError(Exception):
    """The store cannot be protected, or not opened. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Protection(StrEnum):
    """What keeps the store from being read by whoever finds the phone."""

    PASSPHRASE = "passphrase"
    KEYRING = "keyring"
    NONE = "none"


SENTENCES = {
    Protection.PASSPHRASE: "The store on this device is encrypted with your passphrase (SQLCipher).",
    Protection.KEYRING: "The store on this device is encrypted with a key in the system keyring (SQLCipher).",
    Protection.NONE: "The store on this device is NOT encrypted: whoever has it can read what is on it.",
}


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What `store.json` holds. `store_id` names the entry in the keyring; `salt` is hex."""

    protection: Protection
    store_id: str
    salt: str = ""
    scrypt_n: int = SCRYPT_N
    scrypt_r: int = SCRYPT_R
    scrypt_p: int = SCRYPT_P


def sqlcipher() -> Any | None:
    """The DB-API module of SQLCipher, or None where it is not installed (its types are unknown to mypy)."""
    try:
        return importlib.import_module("sqlcipher3.dbapi2")
    except ImportError:
        return None


def describe(folder: Path) -> Description | None:
    """How the store in `folder` is protected, or None where there is no store. Raises ProtectionError."""
    path = folder / DESCRIPTION_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Description)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ProtectionError(
            f"{path} cannot be read.", "Restore the file: without it an encrypted store cannot be opened."
        ) from error


def choose(folder: Path, *, passphrase: str | None, accept_unencrypted: bool) -> Description:
    """Decide how a new store in `folder` is protected and write `store.json`.

    A passphrase that was given is used, else the keyring where there is one, else nothing, and that only
    where `accept_unencrypted`. Raises ProtectionError.
    """
    if accept_unencrypted:
        description = Description(protection=Protection.NONE, store_id=secrets.token_hex(8))
    elif sqlcipher() is None:
        raise ProtectionError(
            "SQLCipher (Python package sqlcipher3-wheels) is missing: the store cannot be encrypted.",
            "Install it, or say --not-encrypted to keep the store readable by whoever has this device.",
        )
    elif passphrase is not None:
        if len(passphrase) < PASSPHRASE_CHARACTERS_MIN:
            raise ProtectionError(
                f"The passphrase is shorter than {PASSPHRASE_CHARACTERS_MIN} characters.",
                "Three random words are long and easy to remember.",
            )
        description = Description(
            protection=Protection.PASSPHRASE,
            store_id=secrets.token_hex(8),
            salt=secrets.token_hex(SALT_BYTES),
        )
    else:
        description = Description(protection=Protection.KEYRING, store_id=secrets.token_hex(8))
        _keep_in_keyring(description.store_id, secrets.token_hex(KEY_BYTES))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / (DESCRIPTION_FILE + ".new")
    temporary.write_bytes(msgspec.json.encode(description))
    temporary.replace(folder / DESCRIPTION_FILE)
    return description


def key_for(description: Description, passphrase: str | None) -> bytes | None:
    """The key of the store, or None where it is not encrypted. Raises ProtectionError."""
    if description.protection is Protection.NONE:
        return None
    if description.protection is Protection.KEYRING:
        return _from_keyring(description.store_id)
    if passphrase is None:
        raise ProtectionError(
            "The store is encrypted with a passphrase, and none was given.",
            "Set EARLYSIGN_DEVICE_PASSPHRASE, or run the command in a terminal to be asked.",
        )
    kdf = Scrypt(
        salt=bytes.fromhex(description.salt),
        length=KEY_BYTES,
        n=description.scrypt_n,
        r=description.scrypt_r,
        p=description.scrypt_p,
    )
    return kdf.derive(passphrase.encode("utf-8", "surrogatepass"))


def forget_key(description: Description) -> None:
    """Remove the key from the keyring, so that copies of the file stay closed for ever. Best effort."""
    if description.protection is not Protection.KEYRING:
        return
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        keyring.delete_password(KEYRING_SERVICE, description.store_id)
    except errors.KeyringError:
        return


def _keep_in_keyring(store_id: str, key: str) -> None:
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        keyring.set_password(KEYRING_SERVICE, store_id, key)
    except errors.KeyringError as error:
        raise ProtectionError(
            "The store cannot be encrypted: there is no system keyring here, and no passphrase was given.",
            "Set EARLYSIGN_DEVICE_PASSPHRASE, or say --not-encrypted to accept a store that anyone can read.",
        ) from error


def _from_keyring(store_id: str) -> bytes:
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        key = keyring.get_password(KEYRING_SERVICE, store_id)
    except errors.KeyringError as error:
        raise ProtectionError(
            "The system keyring cannot be opened.", "Unlock it (sign in to the desktop) and try again."
        ) from error
    if key is None:
        raise ProtectionError(
            "The system keyring has no key for this store.",
            "Use the account that enrolled this device. Without the key the store cannot be read.",
        )
    return bytes.fromhex(key)
