"""Known children by the million in little memory: for `earlysign link`, which has no database to ask.

Keys are packed six bytes each in 65,536 small arrays, sorted when first looked into; records lie in a temporary
file and are read one by one. Two million children take some 350 MB, the arrays nearly all of it.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType

from server.linkage.blocking import blocking_keys
from server.linkage.standardise import Record, decode_record, encode_record

BUCKETS = 1 << 16
_NAME_BYTES = 2  # length of an id, in front of it


class _Buckets:
    """Pairs of a 64-bit key and a child's number. A key is known by its upper 32 bits: 16 choose the bucket, 16
    are kept. Two keys in four thousand million fall together, which costs one comparison in vain.
    """

    def __init__(self) -> None:
        self._low = [array("H") for _ in range(BUCKETS)]
        self._numbers = [array("I") for _ in range(BUCKETS)]
        self._sorted = bytearray(BUCKETS)

    def add(self, key: int, number: int) -> None:
        bucket = key >> 48 & 0xFFFF
        self._low[bucket].append(key >> 32 & 0xFFFF)
        self._numbers[bucket].append(number)
        self._sorted[bucket] = 0

    def find(self, key: int, most: int) -> array[int]:
        """Numbers under a key, in the order they were added, at most so many."""
        bucket = key >> 48 & 0xFFFF
        if not self._sorted[bucket]:
            self._sort(bucket)
        low, wanted = self._low[bucket], key >> 32 & 0xFFFF
        start = end = bisect_left(low, wanted)
        last = min(len(low), start + most)
        while end < last and low[end] == wanted:
            end += 1
        return self._numbers[bucket][start:end]

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Numbers of every two that share a key, next to one another, the lower first."""
        for bucket in range(BUCKETS):
            if len(self._low[bucket]) > 1:
                self._sort(bucket)
                low, numbers = self._low[bucket], self._numbers[bucket]
                for at in range(1, len(low)):
                    if low[at] == low[at - 1]:
                        yield numbers[at - 1], numbers[at]

    def _sort(self, bucket: int) -> None:
        low, numbers = self._low[bucket], self._numbers[bucket]
        order = sorted(range(len(low)), key=low.__getitem__)
        self._low[bucket] = array("H", [low[at] for at in order])
        self._numbers[bucket] = array("I", [numbers[at] for at in order])
        self._sorted[bucket] = 1


class PackedIndex:
    """A `candidates.CandidateSource` that numbers children from 0 and keeps the id each was given.

    Use as a context manager, or `close` it: the temporary file goes with it. Raises OSError when the disk that
    holds temporary files is full.
    """

    clusters: Mapping[int, int] = MappingProxyType({})
    """No two children of a file were merged."""

    def __init__(self) -> None:
        self._keys = _Buckets()
        self._ids = _Buckets()
        self._file = tempfile.TemporaryFile(prefix="earlysign-link-")  # noqa: SIM115  # `close` ends it
        self._starts = array("Q", [0])
        self._flushed = True

    def __enter__(self) -> PackedIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the temporary file back."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, own_id: str, record: Record) -> None:
        """Store a child."""
        number = len(self)
        name = own_id.encode("utf-8", "surrogatepass")
        self._ids.add(int.from_bytes(blake2b(name, digest_size=8).digest()), number)
        for key in blocking_keys(record):
            self._keys.add(key, number)
        row = len(name).to_bytes(_NAME_BYTES) + name + encode_record(record)
        self._file.write(row)
        self._starts.append(self._starts[-1] + len(row))
        self._flushed = False

    def twice(self) -> tuple[int, int] | None:
        """The numbers of two children that were given the same id, the first such there are, or None."""
        for one, other in sorted(self._ids.pairs()):
            if self.own_id(one) == self.own_id(other):
                return one, other
        return None

    def _row(self, number: int) -> bytes:
        if not self._flushed:
            self._file.flush()
            self._flushed = True
        start = self._starts[number]
        return os.pread(self._file.fileno(), self._starts[number + 1] - start, start)

    def own_id(self, number: int) -> str:
        """The id that a child was given."""
        row = self._row(number)
        return row[_NAME_BYTES : _NAME_BYTES + int.from_bytes(row[:_NAME_BYTES])].decode(
            "utf-8", "surrogatepass"
        )

    def children(self, keys: Sequence[int], limit: int) -> Sequence[tuple[int, int]]:
        """See CandidateSource."""
        find = self._keys.find
        return [(key, number) for key in keys for number in find(key, limit + 1)]

    def records(self, child_ids: Collection[int]) -> list[tuple[int, Record, bool]]:
        """See CandidateSource. Nobody is restricted in a file."""
        found = []
        for number in child_ids:
            row = self._row(number)
            blob = row[_NAME_BYTES + int.from_bytes(row[:_NAME_BYTES]) :]
            found.append((number, decode_record(blob), False))
        return found
