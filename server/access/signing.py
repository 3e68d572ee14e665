"""The key with which the server signs receipts: Ed25519, derived from the server's secret."""

from __future__ import annotations

import base64
import hashlib
import json

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.access.crypto import derive


class PublicSigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public half as a JWK (RFC 8037); `kid` is its RFC 7638 thumbprint."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"


class SigningKey:
    """Signs receipts. A phone learns `public` when it enrols and believes no other."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(derive(secret, "receipts"))
        x = _text(self._key.public_key().public_bytes_raw())
        members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
        self.public = PublicSigningKey(kid=_text(hashlib.sha256(members.encode()).digest()), x=x)

    def sign(self, payload: bytes) -> bytes:
        """The signature, 64 bytes, as `sync.receipts.seal` wants it."""
        return self._key.sign(payload)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
