"""The lines of a push, read as far as they can be without the database."""

from collections.abc import Mapping, Sequence

import msgspec

from server import placing
from server.linkage.standardise import Record
from server.placing import Described
from sync import inbox
from sync.inbox import Arrival
from sync.note import Amendment, Note
from sync.operations import parse_envelope

NOBODY: Mapping[int, Sequence[Record]] = {}


class When(msgspec.Struct, frozen=True):
    """When a note was seen and written (ms), as it is taken, and whether its phone's word for it is doubtful."""

    seen_at: int
    written_at: int
    doubtful: bool


class Prepared(msgspec.Struct, frozen=True):
    """One line, read as far as it can be without the database."""

    arrival: Arrival
    subjects: tuple[Described, ...] = ()
    when: When | None = None
    """Where a note is dated otherwise than it says (`server/dating.py`)."""


def prepare(
    lines: Sequence[bytes], device_id: str, records: Mapping[int, Sequence[Record]] = NOBODY
) -> list[Prepared]:
    """Read the lines of a push and standardise whom they describe. Never raises for any bytes.

    `records`: subjects of notes in these very lines, by place, that were standardised before.
    """
    return [
        _prepared(inbox.read_line(index, line, device=device_id), records.get(index, ()))
        for index, line in enumerate(lines)
    ]


def prepare_alone(line: bytes) -> Prepared:
    """The same for a line of whatever phone it names."""
    try:
        device_id = parse_envelope(line).device
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        device_id = ""
    return _prepared(inbox.read_line(0, line, device=device_id))


def _prepared(arrival: Arrival, records: Sequence[Record] = ()) -> Prepared:
    note = arrival.body.note if isinstance(arrival.body, Amendment) else arrival.body
    return Prepared(arrival, placing.describe(note, records) if isinstance(note, Note) else ())
