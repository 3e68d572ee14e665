"""Receipts: the server's signature over what it has taken custody of.

A receipt is `base64url(payload) "." base64url(signature)`, the signature made by the caller (Ed25519 on the
server), for nothing here holds a key. The payload is canonical JSON, so anyone with the server's public key
can check it later without the server.
"""

import base64
from collections.abc import Callable

import msgspec


class ReceiptError(ValueError):
    """The text is no receipt, or its signature does not match."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was received, from whom, and when (milliseconds since the epoch, UTC)."""

    key_id: str
    incarnation: str
    device: str
    received_at: int
    ops: tuple[tuple[str, int, str], ...]
    """(epoch, seq, digest) of each op in the push that the server now answers for. The digest decides: it is
    over the whole line, key and all. A line that could not be read has the epoch "" and the seq 0."""


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Receipt)


def seal(receipt: Receipt, sign: Callable[[bytes], bytes]) -> str:
    """The receipt as text, signed by `sign(payload)`."""
    payload = _encoder.encode(receipt)
    return f"{_to_text(payload)}.{_to_text(sign(payload))}"


def open_sealed(text: str, verify: Callable[[bytes, bytes], bool]) -> Receipt:
    """The receipt in `text` once `verify(payload, signature)` agrees. Raises ReceiptError."""
    encoded, dot, signature = text.partition(".")
    if not dot:
        raise ReceiptError("not a receipt: there is no signature")
    try:
        payload = _to_bytes(encoded)
        if not verify(payload, _to_bytes(signature)):
            raise ReceiptError("the receipt's signature does not match the server's key")
        return _decoder.decode(payload)
    except ReceiptError:
        raise
    except ValueError as error:  # binascii.Error, UnicodeDecodeError and msgspec.DecodeError are ones
        raise ReceiptError("not a receipt: it cannot be read") from error


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _to_bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
