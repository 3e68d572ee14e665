"""The phone's key pair (ECDSA P-256), what it signs, and how it checks what the server signed (Ed25519)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import jwt
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sync.limits import ASSERTION_LIFETIME_S_MAX

ALGORITHM = "ES256"
COORDINATE_BYTES = 32
ASSERTION_LIFETIME_S = ASSERTION_LIFETIME_S_MAX - 60
"""A minute below what the server allows, so that rounding never makes it too long."""


class ServerKey(msgspec.Struct, frozen=True, kw_only=True):
    """The server's public signing key as a JWK (RFC 8037): learned at enrolment, believed ever after."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"


class KeyProblem(ValueError):
    """A key that cannot be used: not an Ed25519 public key."""


def read_key(path: Path) -> ServerKey:
    """The server's public key from a file of JSON. Raises KeyProblem."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ServerKey)
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise KeyProblem(
            f"{path} holds no public key of a server: the administrator's earlysign devices receipt-key prints it."
        ) from None


def new_private_key() -> str:
    """A new P-256 private key as PEM text. It is stored inside the encrypted store and never leaves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def public_jwk(private_pem: str) -> dict[str, str]:
    """The public half as a JWK with kty, crv, x and y."""
    numbers = _load(private_pem).public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _to_text(numbers.x.to_bytes(COORDINATE_BYTES, "big")),
        "y": _to_text(numbers.y.to_bytes(COORDINATE_BYTES, "big")),
    }


def plain_code(typed: str) -> str:
    """A one-time code without dashes and spaces, in capitals; O, I and L are read as the digits meant."""
    kept = "".join(c for c in typed.upper() if c.isascii() and c.isalnum())
    return kept.translate(str.maketrans("OIL", "011"))


def enrolment_proof(private_pem: str, *, code: str, audience: str, now_ms: int) -> str:
    """A JWT over the code: proof that whoever enrols holds the private key."""
    issued = now_ms // 1000
    claims = {
        "aud": audience,
        "iat": issued,
        "exp": issued + ASSERTION_LIFETIME_S,
        "code": plain_code(code),
    }
    return jwt.encode(claims, _load(private_pem), algorithm=ALGORITHM)


def assertion(private_pem: str, *, device_id: str, audience: str, now_ms: int, jti: str) -> str:
    """A JWT that is exchanged for an access token (RFC 7523). `jti` is random and used once."""
    issued = now_ms // 1000
    claims = {
        "iss": device_id,
        "sub": device_id,
        "aud": audience,
        "iat": issued,
        "exp": issued + ASSERTION_LIFETIME_S,
        "jti": jti,
    }
    return jwt.encode(claims, _load(private_pem), algorithm=ALGORITHM)


def receipt_verifier(key: ServerKey) -> Callable[[bytes, bytes], bool]:
    """`verify(payload, signature)` with the server's key, as `sync.receipts.open_sealed` wants it.

    Raises KeyProblem where the key is not an Ed25519 public key.
    """
    try:
        raw = base64.b64decode(key.x + "=" * (-len(key.x) % 4), altchars=b"-_", validate=True)
        public = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise KeyProblem("the server's key is not an Ed25519 public key") from error

    def verify(payload: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, payload)
        except InvalidSignature:
            return False
        return True

    return verify


def _load(private_pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(private_pem.encode("ascii"), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyProblem("the device's key is not a P-256 key")
    return key


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
