"""The sets of search's index as a search reads them. What was read stays in memory for those that follow.

A year, a borough or a common name is borne by thousands of children in every block, and most searches ask for some of
them: to read and unpack them each time is what would grow with the number of children. Sets are kept under the stamp
of their block, which is drawn anew whenever a set of the block is written (`search.drawn_anew`): what is kept under the
stamp that the database gives is the set as that database has it, in whichever process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from server.audit import impersonal
from server.linkage.postings import BITMAP_BYTES, Bits, unpack
from server.linkage.selecting import Group
from server.records.search import marks_of, parts_of
from server.storage.port import Transaction

KEPT_BYTES_MAX = 48 << 20
"""Kept by a process, about: all years, all boroughs and forty names of two million children are half of it."""
COMMON_BYTES, FEW_BYTES = 9_000, 130
"""What a set of many takes in memory as bits, and one of few beside its packed bytes."""

_Held = tuple[Bits, int] | bytes
"""Many children as (bits, how many), few as they are packed; b"" for nobody."""


class Sets(msgspec.Struct, frozen=True):
    """The children under each term that anybody has, and how many; `last`: how many children there are at most."""

    groups: dict[int, Group]
    counts: dict[int, int]
    last: int


class _Kept:
    """Sets by the stamp of their block; the blocks that came first go when there are too many."""

    def __init__(self) -> None:
        self._blocks: dict[str, dict[int, _Held]] = {}
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._changing = threading.Lock()

    def of(self, stamp: str) -> Mapping[int, _Held]:
        return self._blocks.get(stamp) or {}

    def keep(self, stamp: str, sets: dict[int, _Held]) -> None:
        size = sum(FEW_BYTES + len(one) if isinstance(one, bytes) else COMMON_BYTES for one in sets.values())
        with self._changing:
            self._blocks.setdefault(stamp, {}).update(sets)
            self._sizes[stamp] = self._sizes.get(stamp, 0) + size
            self._bytes += size
            while self._bytes > KEPT_BYTES_MAX:
                oldest = next(iter(self._blocks))
                del self._blocks[oldest]
                self._bytes -= self._sizes.pop(oldest)


_KEPT = _Kept()


@impersonal(
    "numbers of children, for the server's own work; what is shown of them is logged by `children.hits`"
)
def sets(tx: Transaction, terms: Iterable[int]) -> Sets:
    """The sets under these terms. In a read, which sees stamps and sets as they were at one moment."""
    wanted = sorted(set(terms))
    blocks = tx.rows("SELECT block, stamp, last FROM search_block ORDER BY block")
    found = Sets({}, {}, max((last for *_, last in blocks), default=0))
    lacking: dict[tuple[int, ...], list[int]] = {}
    held = {block: _KEPT.of(stamp) for block, stamp, _ in blocks}
    for term in wanted:
        if asked := tuple(block for block, kept in held.items() if term not in kept):
            lacking.setdefault(asked, []).append(term)
    read: dict[int, dict[int, _Held]] = {}
    for asked, of_terms in lacking.items():
        _read(tx, asked, of_terms, read)
    for block, stamp, _ in blocks:
        new = read.get(block, {})
        if new:
            _KEPT.keep(stamp, new)
        for term in wanted:
            one = new[term] if term in new else held[block][term]
            if one:
                bits, count = (unpack(one), len(one) // 2) if isinstance(one, bytes) else one
                found.groups.setdefault(term, {})[block] = bits
                found.counts[term] = found.counts.get(term, 0) + count
    return found


def _read(
    tx: Transaction, blocks: Sequence[int], terms: Sequence[int], read: dict[int, dict[int, _Held]]
) -> None:
    for block in blocks:
        read.setdefault(block, {}).update(dict.fromkeys(terms, b""))
    for part in parts_of(terms):
        in_terms, marks = marks_of("t", part)
        for some in parts_of(blocks):
            in_blocks, more = marks_of("b", some)
            for block, term, packed in tx.rows(
                "SELECT block, term, children FROM search_posting"
                f" WHERE block IN ({in_blocks}) AND term IN ({in_terms})",
                marks | more,
            ):
                one = bytes(packed)
                if len(one) == BITMAP_BYTES:
                    bits = unpack(one)
                    read[block][term] = bits, bits.bit_count()
                else:
                    read[block][term] = one
