"""Which children have most of the facts that a person searched by, worked out on packed sets.

Facts are joined in every combination, the most telling first, until as many children are found as can be
compared. So one wrong fact out of four does not hide the child, and a rare fact beats two common ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import inf, log2
from operator import itemgetter

import msgspec

from server.linkage.postings import BLOCK_BITS, Bits, offsets_of

CANDIDATES_MAX = 150
"""Children compared in one search, at some ten microseconds each. More could not be told apart by what was typed."""
SLOTS_MAX = 7
"""Facts joined with one another; a person who typed more is found by these. Combinations double with each."""
COMBINATIONS_MAX = 120
EXPECTED_FACTOR = 8.0
"""A combination is not worth counting where chance alone gives so many times what can be compared."""

Group = dict[int, Bits]
"""A set of children, by block."""

_Fact = tuple[float, Group]
"""How telling, in bits, and who has it."""

_telling = itemgetter(0)


class Slot(msgspec.Struct, frozen=True):
    """One fact, as the sets of terms that have it: the finest first, each coarser one in place of it."""

    name: str
    options: tuple[frozenset[int], ...]


class Selection(msgspec.Struct, frozen=True):
    """`child_ids` are worth comparing. `fitting`: how many have every fact, where these were too many to be
    compared and so are not among them; else 0."""

    child_ids: tuple[int, ...]
    fitting: int


def select(
    slots: Sequence[Slot],
    sets: Mapping[int, Group],
    children: int,
    *,
    counts: Mapping[int, int] | None = None,
    within: Group | None = None,
    limit: int = CANDIDATES_MAX,
) -> Selection:
    """Children who have as telling a part of the facts as possible. `sets`: the children under each term, and `counts`,
    where it is known, how many they are; `children`: how many there are; `within`: only these."""
    if limit < 1:
        return Selection((), 0)
    told = [options for slot in slots if (options := _counted(slot, sets, counts or {}, within, children))]
    if not told:
        return Selection((), 0)
    told = sorted(told, key=lambda options: -options[0][0])[:SLOTS_MAX]
    combined = []
    for chosen in product(*([*options, None] for options in told)):
        facts = sorted(filter(None, chosen), key=_telling, reverse=True)
        if facts:
            combined.append((sum(fact[0] for fact in chosen if fact), facts))
    combined.sort(key=_telling, reverse=True)
    found: dict[int, None] = {}
    fitting = 0
    for at, (telling, facts) in enumerate(combined[:COMBINATIONS_MAX]):
        if at and children * 2.0**-telling > EXPECTED_FACTOR * limit:
            break
        all_of, count = _joined([group for _, group in facts], inf if at == 0 else limit)
        if count > limit:
            fitting = fitting or (count if at == 0 else 0)
        elif count:
            ids = children_in(all_of)
            if len(found) + len(ids) > limit and len(found.keys() | ids) > limit:
                continue
            found.update(dict.fromkeys(ids))
    return Selection(tuple(found), fitting)


def children_in(group: Group) -> list[int]:
    """The numbers of the children in a set."""
    return [(block << BLOCK_BITS) + offset for block in sorted(group) for offset in offsets_of(group[block])]


def union(groups: Sequence[Group]) -> Group:
    """All children of these sets."""
    if len(groups) == 1:
        return groups[0]
    found: Group = {}
    for group in groups:
        for block, bits in group.items():
            found[block] = found.get(block, 0) | bits
    return found


def _joined(groups: Sequence[Group], enough: float) -> tuple[Group, int]:
    """(who is in all of these sets, how many): of more than `enough`, some more than that."""
    first, *others = groups
    found: Group = {}
    count = 0
    for block, bits in first.items():
        for other in others:
            bits &= other.get(block, 0)
            if not bits:
                break
        else:
            found[block] = bits
            count += bits.bit_count()
            if count > enough:
                break
    return found, count


def _counted(
    slot: Slot,
    sets: Mapping[int, Group],
    counts: Mapping[int, int],
    within: Group | None,
    children: int,
) -> list[_Fact]:
    """The options of a slot that anybody has: (how telling in bits, who)."""
    found: list[_Fact] = []
    for terms in slot.options:
        borne = [one for one in terms if one in sets]
        group = union([sets[one] for one in borne] or [{}])
        if within is None and len(borne) == 1 and borne[0] in counts:
            count = counts[borne[0]]
        else:
            group, count = _joined([group] if within is None else [group, within], inf)
        if count:
            found.append((log2(max(children, count) / count), group))
    return found
