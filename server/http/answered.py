"""Pushes that this process has answered lately, so that one which comes again is known by its bytes.

A phone whose answer was lost on the way sends the same body again, as it was packed. Then its lines need not be
unpacked and read once more: which ops they are was found out the first time. All here is a hint and no more. Who asks,
and whether the ledger holds those ops, is looked up anew each time.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from server.access.crypto import token_digest
from server.repeated import check_of

PUSHES_MAX = 4_096
"""Remembered in a process, at about a kilobyte each: every phone's last push at the end of the largest shift."""

TOKENS_MAX = 20_000
"""The phones of the largest force."""

BODY_KEY = "body key"
"""Under which name the key of a request's body stands in the state of its scope."""

Key = tuple[str, bytes]
"""(how it was packed, SHA-256 of the body as it travelled)"""


class Sent(msgspec.Struct, frozen=True):
    """What a body held: ops of one numbering of one phone. `check` is over their digests, in this order."""

    device_id: str
    epoch: str
    seqs: tuple[int, ...]
    check: bytes


class Answered:
    """The newest bodies, and what was in them."""

    def __init__(self) -> None:
        self._sent: dict[Key, Sent] = {}
        self._tokens: dict[bytes, None] = {}

    def met(self, token: str) -> None:
        """Somebody came in with this token."""
        digest = token_digest(token)
        if digest not in self._tokens:
            _make_room(self._tokens, TOKENS_MAX)
            self._tokens[digest] = None

    def has_met(self, token: str) -> bool:
        """Whether it was good once: then so much as a push may be received before it is asked again."""
        return token_digest(token) in self._tokens

    def find(self, key: Key) -> Sent | None:
        """What this body held when it came before."""
        return self._sent.get(key)

    def note(self, key: Key, device_id: str, custody: Sequence[tuple[str, int, str]]) -> None:
        """A push was answered, with custody of these (epoch, seq, digest), one for each of its lines."""
        epochs = {epoch for epoch, _, _ in custody}
        if len(epochs) != 1 or "" in epochs:
            return  # nothing, several numberings, or a line without a number: that is no everyday push
        self._sent.pop(key, None)
        _make_room(self._sent, PUSHES_MAX)
        seqs = tuple(seq for _, seq, _ in custody)
        self._sent[key] = Sent(device_id, epochs.pop(), seqs, check_of(digest for _, _, digest in custody))


def _make_room(kept: dict[Any, Any], most: int) -> None:
    if len(kept) >= most:
        del kept[next(iter(kept))]


def key_of(encoding: str, body: bytes) -> Key:
    """By what a body is known."""
    return encoding, hashlib.sha256(body).digest()
