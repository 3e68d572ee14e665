"""What a child is found by, as it is written into the index: one child's keys, or a run of many children's, sorted.

Pure, so that an import can have it worked out by other processes.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import msgspec

from server.linkage.blocking import blocking_keys, lookup_keys
from server.linkage.standardise import Record


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything under which one child is found, kept beside the child, so that what is taken out of the index is
    what was written."""

    keys: tuple[int, ...]


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The index rows of many children at once, sorted.

    `keys` and `places` are arrays of 64-bit and 32-bit integers; a place is a child's position in its batch.
    """

    keys: bytes
    places: bytes


encode_entry = msgspec.msgpack.Encoder().encode
decode_entry = msgspec.msgpack.Decoder(Entry).decode


def index_entry(record: Record) -> Entry:
    """What a child is to be found by."""
    return Entry(blocking_keys(record))


def looked_up(record: Record) -> set[int]:
    """Every key under which a description may find a child."""
    return {key for lookup in lookup_keys(record) for key in (lookup.key, *lookup.refined)}


def run_of(entries: Sequence[Entry]) -> Run:
    """The entries of a batch as a run."""
    keys = [key for entry in entries for key in entry.keys]
    places = [place for place, entry in enumerate(entries) for _ in entry.keys]
    order = sorted(range(len(keys)), key=keys.__getitem__)  # half the time of sorting pairs
    return Run(
        array("q", [keys[one] for one in order]).tobytes(),
        array("I", [places[one] for one in order]).tobytes(),
    )
