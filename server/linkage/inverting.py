"""New children as search's index holds them: their terms, turned into the sets of children under each term.

Pure, so that an import has it done by other processes, for thousands of children of one block at a time.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence

import msgspec

from server.linkage.postings import block_of, pack_sorted
from server.linkage.standardise import decode_record
from server.linkage.terms import terms_of

Told = tuple[int, bytes, list[str]]
"""A child as it is told to `invert`: number, standardised record as it is stored, boroughs."""


class Inverted(msgspec.Struct, frozen=True, array_like=True):
    """Children of one block, ready for the index: each with its terms, and under each term their packed set."""

    block: int
    children: list[tuple[int, bytes]]
    postings: list[tuple[int, bytes]]


_encode = msgspec.msgpack.Encoder().encode
_decode_told = msgspec.msgpack.Decoder(list[Told]).decode
_decode = msgspec.msgpack.Decoder(Inverted).decode


def invert(told: Iterable[Told]) -> Inverted:
    """What the index is to hold of these children, who are all of one block, in order of their numbers."""
    under: dict[int, list[int]] = {}
    children = []
    block = 0
    for child_id, record, boroughs in told:
        block, offset = block_of(child_id)
        terms = terms_of(decode_record(record), boroughs)
        children.append((child_id, pack_terms(terms)))
        for term in terms:
            if term in under:
                under[term].append(offset)
            else:
                under[term] = [offset]
    return Inverted(block, children, [(term, pack_sorted(under[term])) for term in sorted(under)])


def pack_told(told: Sequence[Told]) -> bytes:
    """Children, packed for the way to another process."""
    return _encode(told)


def invert_packed(told: bytes) -> bytes:
    """The children that `pack_told` packed, inverted and packed for the way back; `unpack_inverted` reads them."""
    return _encode(invert(_decode_told(told)))


def unpack_inverted(packed: bytes) -> Inverted:
    """What another process inverted."""
    return _decode(packed)


def pack_terms(terms: Iterable[int]) -> bytes:
    """A child's terms as they are stored beside it: signed 32-bit, in order, the low byte first."""
    values = array("i", sorted(terms))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def unpack_terms(packed: bytes) -> array[int]:
    """The terms that `pack_terms` packed."""
    values = array("i")
    values.frombytes(packed)
    if sys.byteorder == "big":
        values.byteswap()
    return values
