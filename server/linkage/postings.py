"""Sets of children packed into bytes: the inverted index that search stands on, as pure values.

A block is 65,536 children with neighbouring numbers; under each term and block lies one packed set of them. Few
children are a sorted array of 16-bit offsets, many are one bit for each child of the block. A set that is worked
with is a Python integer of 65,536 bits: and, or and counting are then one instruction of the interpreter each.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable

BLOCK_BITS = 16
BLOCK_CHILDREN = 1 << BLOCK_BITS
BITMAP_BYTES = BLOCK_CHILDREN // 8
ARRAY_CHILDREN_MAX = 512
"""More are kept as bits. Bits take 8 KiB however few there are, an array two bytes a child and longer to unpack."""

TAKEN_SINGLY_MAX = 24
"""So few are taken out of a set one by one, in less time than looking through all of its bytes."""

Bits = int
"""A set of offsets in a block: bit n stands for the n-th child of the block."""

_SOME = re.compile(rb"[^\0]")
_BITS_OF = [tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256)]
_BIT = tuple(1 << bit for bit in range(8))
_SWAP = sys.byteorder == "big"


def block_of(child_id: int) -> tuple[int, int]:
    """(block, offset in it) of a child's number."""
    return child_id >> BLOCK_BITS, child_id & (BLOCK_CHILDREN - 1)


def bits_of(offsets: Iterable[int]) -> Bits:
    """The set of these offsets."""
    raw = bytearray(BITMAP_BYTES)
    for offset in offsets:
        raw[offset >> 3] |= _BIT[offset & 7]
    return int.from_bytes(raw, "little")


def offsets_of(bits: Bits) -> list[int]:
    """The offsets in a set, in order."""
    if bits.bit_count() <= TAKEN_SINGLY_MAX:
        singly = []
        while bits:
            highest = bits.bit_length() - 1
            singly.append(highest)
            bits ^= 1 << highest
        singly.reverse()
        return singly
    raw = bits.to_bytes(BITMAP_BYTES, "little")
    found = []
    for match in _SOME.finditer(raw):
        at = match.start()
        base = at << 3
        found += [base + bit for bit in _BITS_OF[raw[at]]]
    return found


def pack(bits: Bits) -> bytes:
    """The set as it is stored; b"" for the empty one."""
    if bits.bit_count() > ARRAY_CHILDREN_MAX:
        return bits.to_bytes(BITMAP_BYTES, "little")
    return _pack_few(offsets_of(bits))


def unpack(packed: bytes) -> Bits:
    """The set from its bytes. Raises ValueError for bytes that are none."""
    if len(packed) == BITMAP_BYTES:
        return int.from_bytes(packed, "little")
    return bits_of(_unpack_few(packed))


def change(packed: bytes, added: Iterable[int], removed: Iterable[int]) -> bytes:
    """A stored set with offsets put in and taken out."""
    if len(packed) != BITMAP_BYTES:
        few = set(_unpack_few(packed))
        few.difference_update(removed)
        few.update(added)
        if len(few) <= ARRAY_CHILDREN_MAX:
            return _pack_few(sorted(few))
        return pack(bits_of(few))
    raw = bytearray(packed)
    for offset in removed:
        raw[offset >> 3] &= ~(1 << (offset & 7)) & 0xFF
    for offset in added:
        raw[offset >> 3] |= 1 << (offset & 7)
    return pack(int.from_bytes(raw, "little"))


def pack_sorted(offsets: list[int]) -> bytes:
    """A set, given as its offsets in order, as it is stored."""
    return _pack_few(offsets) if len(offsets) <= ARRAY_CHILDREN_MAX else pack(bits_of(offsets))


def join(one: bytes, other: bytes) -> bytes:
    """Two stored sets as one."""
    if not one or not other:
        return one or other
    if len(one) == BITMAP_BYTES or len(other) == BITMAP_BYTES:
        return pack(unpack(one) | unpack(other))
    return pack_sorted(sorted({*_unpack_few(one), *_unpack_few(other)}))


def _pack_few(offsets: list[int]) -> bytes:
    few = array("H", offsets)
    if _SWAP:
        few.byteswap()
    return few.tobytes()


def _unpack_few(packed: bytes) -> array[int]:
    if len(packed) > 2 * ARRAY_CHILDREN_MAX:
        raise ValueError("This is no packed set of children.")
    few = array("H")
    few.frombytes(packed)
    if _SWAP:
        few.byteswap()
    return few
