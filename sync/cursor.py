"""The pull cursor: opaque to the phone, authenticated by the server, in commit order.

It carries the server's incarnation, the version of the phone's scope and a position (xid, seq) in each bucket. The
position is a pair because PostgreSQL hands out identity values before commit: `seq` alone loses rows that commit late.

What a cursor names, the phone has stored with it: so a bucket that it names no more is off the phone.
"""

import base64
import hmac
from functools import lru_cache

import msgspec

TAG_BYTES = 16
"""Half of an HMAC-SHA256: 128 bits, which nobody guesses."""

REMEMBERED = 4_096
"""Cursors that a process remembers to be its own, half a kilobyte each: a phone for which there is nothing new asks
with the same one again and again."""


class CursorError(ValueError):
    """The text is no cursor of this server: forged, cut short, or from another key."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """A place in the change log: everything in scope at or before it has been sent.

    (xid, seq) is the place in the officer's own notes; `lent` has the place in each further bucket on the phone, and
    `issued_at` is when its page was sent (ms): of what was sent later it proves nothing.
    """

    incarnation: str
    scope_version: str
    xid: int
    seq: int
    lent: dict[str, tuple[int, int]] = {}
    issued_at: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Cursor)


def seal(cursor: Cursor, key: bytes) -> str:
    """The cursor as text for the phone."""
    payload = _encoder.encode(cursor)
    return base64.urlsafe_b64encode(_tag(payload, key) + payload).rstrip(b"=").decode("ascii")


@lru_cache(REMEMBERED)
def open_sealed(text: str, key: bytes) -> Cursor:
    """The cursor in `text`. Raises CursorError if this server did not make it."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:  # binascii.Error is one; text beyond ASCII raises the plain kind
        raise CursorError("not a cursor: it cannot be read") from error
    tag, payload = raw[:TAG_BYTES], raw[TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(payload, key)):
        raise CursorError("not a cursor of this server")
    try:
        return _decoder.decode(payload)
    except ValueError as error:  # msgspec.DecodeError and UnicodeDecodeError are ones
        # Signed by this key, but of another shape: an older or newer server made it.
        raise CursorError("not a cursor of this version of the server") from error


def _tag(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:TAG_BYTES]
