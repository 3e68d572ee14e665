"""What the shapes of all doors for work have in common; each subject's are in `views_<subject>`.

Instants are RFC 3339 with an offset. Free text and names appear only in answers to those who may see the record.
"""

from __future__ import annotations

import datetime

import msgspec

Instant = datetime.datetime


def instant(at: int) -> Instant:
    """Milliseconds since the epoch as an instant that is written in RFC 3339."""
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)


def maybe(at: int | None) -> Instant | None:
    """The same, where there may be none."""
    return None if at is None else instant(at)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every shape here."""
