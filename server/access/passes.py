"""A pass: what a page that was opened with a reason gives to the pictures on it.

A browser fetches a picture by its address alone, and a reason never stands in an address. So the page of a
restricted record carries passes: good for one person, one record and a quarter of an hour, and made by nobody else.
"""

from __future__ import annotations

import hashlib
import hmac

LIFETIME_MS = 15 * 60_000
LENGTH_MAX = 100


def make(key: bytes, person_id: int, child_id: int, now: int) -> str:
    """A pass for the pictures of this record, for this person."""
    until = now + LIFETIME_MS
    return f"{until}.{_sealed(key, person_id, child_id, until)}"


def holds(key: bytes, text: str, person_id: int, child_id: int, now: int) -> bool:
    """Whether this is such a pass, and still good."""
    until, _, seal = text.partition(".")
    if len(text) > LENGTH_MAX or not (text.isascii() and until.isdigit()) or int(until) <= now:
        return False
    return hmac.compare_digest(seal, _sealed(key, person_id, child_id, int(until)))


def _sealed(key: bytes, person_id: int, child_id: int, until: int) -> str:
    return hmac.new(key, f"{person_id}.{child_id}.{until}".encode(), hashlib.sha256).hexdigest()
