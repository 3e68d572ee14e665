"""All of the server's own cryptography: random tokens, their hashes, human-typable codes, derived keys.

Passwords are in `passwords.py` (argon2id) and signed assertions in `assertions.py` (ES256): both are calls
into libraries. Nothing secret is stored readable: tokens and codes are kept as SHA-256, which is enough
because they are random and long.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKEN_BYTES = 32  # 256 bits: cannot be guessed, so a plain hash suffices to store it
CODE_SYMBOLS = 16  # 80 bits: no guessing within minutes, and still typed in half a minute
CODE_GROUP = 4
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
LOOKALIKES = str.maketrans("OIL", "011")
SECRET_BYTES = 32
SECRET_FILE = "secret.key"


def new_token() -> str:
    """A random opaque token of 256 bits, safe in a header, cookie or URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_digest(token: str) -> bytes:
    """What is stored of a token: 32 bytes."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_code() -> str:
    """A one-time code such as `7Q2M-XK4D-0RTE-9HNB`."""
    symbols = "".join(secrets.choice(ALPHABET) for _ in range(CODE_SYMBOLS))
    return "-".join(symbols[at : at + CODE_GROUP] for at in range(0, CODE_SYMBOLS, CODE_GROUP))


def plain_code(typed: str) -> str:
    """A typed code without dashes and spaces, in capitals; O, I and L are read as the digits meant."""
    return "".join(c for c in typed.upper() if c.isascii() and c.isalnum()).translate(LOOKALIKES)


def code_digest(typed: str) -> bytes:
    """What is stored of a code: SHA-256 of its plain form, so that spelling and dashes do not matter."""
    return hashlib.sha256(plain_code(typed).encode()).digest()


def new_password() -> str:
    """A random password for a person's first sign-in, 80 bits, easy to read aloud."""
    return new_code().lower()


def load_secret(folder: Path, given: str = "") -> bytes:
    """The server's secret of 32 bytes: the setting if given (hexadecimal), else a file that is made once.

    The file appears whole or not at all (written aside, then linked), so two processes that start together
    end with the same secret. Only the server's account can read it.
    """
    if given:
        return bytes.fromhex(given)
    path = folder / SECRET_FILE
    if path.exists():
        return _read_secret(path)
    aside = folder / f".{SECRET_FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    return _read_secret(path)


def _read_secret(path: Path) -> bytes:
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"{path.name} in the data folder is damaged: it must hold {SECRET_BYTES} bytes")
    return secret


def derive(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose (HKDF-SHA256), so that no two uses share a key."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"earlysign {purpose}".encode()).derive(secret)


def keyed_digest(key: bytes, text: str) -> str:
    """A keyed hash of what should not be stored readable (a mistyped username may be a password)."""
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def seal(key: bytes, plain: bytes, now_s: int) -> str:
    """Encrypt and sign, for a cookie that its holder need not be able to read (Fernet)."""
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(plain, now_s).decode()


def unseal(key: bytes, sealed: str, now_s: int, lifetime_s: int) -> bytes | None:
    """What was sealed; None where it is too old, or was made with another key or by somebody else."""
    try:
        return Fernet(base64.urlsafe_b64encode(key)).decrypt_at_time(sealed.encode(), lifetime_s, now_s)
    except InvalidToken:
        return None
