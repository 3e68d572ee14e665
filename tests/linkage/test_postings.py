"""Packed sets hold what was put in, and selection on them finds what a plain search through all children finds."""

from __future__ import annotations

from itertools import product
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.linkage import postings, selecting
from server.linkage.postings import ARRAY_CHILDREN_MAX, BITMAP_BYTES, BLOCK_CHILDREN, change, pack, unpack
from server.linkage.selecting import Group, Selection, Slot, select

OFFSETS = st.sets(st.integers(0, BLOCK_CHILDREN - 1), max_size=50)
MANY = set(range(5, 5 + 3 * (ARRAY_CHILDREN_MAX + 1), 3))


@given(OFFSETS)
def test_a_packed_set_is_the_set(offsets: set[int]) -> None:
    packed = pack(postings.bits_of(offsets))
    assert postings.offsets_of(unpack(packed)) == sorted(offsets)
    assert len(packed) == 2 * len(offsets)


@given(OFFSETS, OFFSETS, OFFSETS, st.booleans())
def test_a_change_is_what_it_is_on_a_set(held: set[int], put: set[int], taken: set[int], many: bool) -> None:
    taken -= put
    held = held | MANY if many else held
    packed = change(pack(postings.bits_of(held)), put, taken)
    assert postings.offsets_of(unpack(packed)) == sorted((held - taken) | put)


@given(OFFSETS, OFFSETS, st.booleans(), st.booleans())
def test_two_sets_as_one(one: set[int], other: set[int], many: bool, both: bool) -> None:
    one = one | MANY if many else one
    other = other | {offset + 1 for offset in MANY} if both else other
    packed = [postings.pack_sorted(sorted(offsets)) for offsets in (one, other)]
    assert packed == [pack(postings.bits_of(offsets)) for offsets in (one, other)]
    assert postings.join(*packed) == pack(postings.bits_of(one | other))


def test_few_and_few_may_be_many() -> None:
    few = [postings.pack_sorted(list(range(start, start + ARRAY_CHILDREN_MAX))) for start in (0, 1_000)]
    assert len(postings.join(*few)) == BITMAP_BYTES


def test_many_are_bits_and_become_an_array_again() -> None:
    packed = pack(postings.bits_of(MANY))
    assert len(packed) == BITMAP_BYTES
    fewer = change(packed, [], list(MANY)[:10])
    assert len(fewer) == 2 * (len(MANY) - 10)
    assert change(fewer, list(MANY)[:10], []) == packed
    assert change(pack(postings.bits_of([7])), [], [7]) == b""


def test_bytes_that_are_no_set_are_refused() -> None:
    with pytest.raises(ValueError, match="no packed set"):
        unpack(b"\0" * (2 * ARRAY_CHILDREN_MAX + 2))


def held(sets: dict[int, set[int]]) -> dict[int, Group]:
    """Sets of children's numbers, over two blocks, as the index gives them."""
    found: dict[int, Group] = {}
    for term, ids in sets.items():
        for child_id in ids:
            block, offset = postings.block_of(child_id)
            group = found.setdefault(term, {})
            group[block] = group.get(block, 0) | 1 << offset
    return found


IDS = st.sets(st.sampled_from([1, 2, 3, 40, 65_535, 65_536, 65_537, 70_000, 131_071]), max_size=9)


@given(st.lists(IDS, min_size=1, max_size=4), st.integers(1, 9))
def test_whoever_has_every_fact_is_found_or_counted(facts: list[set[int]], limit: int) -> None:
    slots = [Slot(str(at), (frozenset([at]),)) for at in range(len(facts))]
    answer = select(slots, held(dict(enumerate(facts))), 131_071, limit=limit)
    known = [ids for ids in facts if ids]
    every = set.intersection(*known) if known else set()
    if len(every) > limit:
        assert answer.fitting == len(every)
    else:
        assert every <= set(answer.child_ids) and not answer.fitting
    assert set(answer.child_ids) <= set().union(*facts) and len(answer.child_ids) <= limit
    assert len(set(answer.child_ids)) == len(answer.child_ids)


def plainly(
    slots: list[Slot], sets: dict[int, set[int]], children: int, within: set[int] | None, limit: int
) -> Selection:
    """What `select` says, worked out with plain sets, each combination looked at to its end."""
    told = []
    for slot in slots:
        options = []
        for terms in slot.options:
            who = set().union(*(sets.get(one, set()) for one in terms))
            who = who if within is None else who & within
            if who:
                options.append((log2(max(children, len(who)) / len(who)), who))
        if options:
            told.append(options)
    told.sort(key=lambda options: -options[0][0])
    combined = [
        (sum(bits for bits, _ in facts), set.intersection(*(who for _, who in facts)))
        for chosen in product(*([*options, None] for options in told[: selecting.SLOTS_MAX]))
        if (facts := [fact for fact in chosen if fact])
    ]
    combined.sort(key=lambda pair: -pair[0])
    found: dict[int, None] = {}
    fitting = 0
    for at, (telling, who) in enumerate(combined[: selecting.COMBINATIONS_MAX]):
        if at and children * 2.0**-telling > selecting.EXPECTED_FACTOR * limit:
            break
        if len(who) > limit:
            fitting = len(who) if at == 0 else fitting
        elif len(found.keys() | who) <= limit:
            found.update(dict.fromkeys(sorted(who)))
    return Selection(tuple(found), fitting)


@given(st.lists(st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=3), min_size=1, max_size=2), max_size=4),
       st.dictionaries(st.integers(0, 9), IDS.filter(bool), max_size=10), st.none() | IDS, st.integers(1, 9),
       st.booleans())  # fmt: skip
def test_selection_is_what_a_plain_search_says(
    facts: list[list[set[int]]], sets: dict[int, set[int]], near: set[int] | None, limit: int, told: bool
) -> None:
    slots = [Slot(str(at), tuple(map(frozenset, options))) for at, options in enumerate(facts)]
    within = None if near is None else held({0: near}).get(0, {})
    counts = {one: len(ids) for one, ids in sets.items()} if told else None
    for children in (131_071, 60):
        answer = select(slots, held(sets), children, counts=counts, within=within, limit=limit)
        assert answer == plainly(slots, sets, children, near, limit)


def test_one_wrong_fact_hides_nobody_and_rare_facts_come_first() -> None:
    everybody = set(range(1, 50_000))
    sets = held({1: {7, 8}, 2: {7, 9, 11}, 3: everybody, 4: {9}})
    slots = [Slot("name", (frozenset([1]),)), Slot("street", (frozenset([2]),)), Slot("year", (frozenset([3]),)),
             Slot("phone", (frozenset([4]),))]  # fmt: skip
    assert set(select(slots, sets, 50_000).child_ids) == {7, 8, 9, 11}
    # Room for three: whoever has the rarest facts, and not an arbitrary part of the many.
    assert set(select(slots, sets, 50_000, limit=3).child_ids) == {9, 7, 8}


def test_a_coarser_fact_stands_in_for_a_finer_one() -> None:
    sets = held({1: {7}, 2: {7, 8, 9}, 3: {8}})
    slots = [Slot("born", (frozenset([1]), frozenset([2]))), Slot("name", (frozenset([3]),))]
    assert select(slots, sets, 1000).child_ids[:1] in ((7,), (8,))
    assert set(select(slots, sets, 1000).child_ids) == {7, 8, 9}


def test_within_narrows_what_fits_too_many() -> None:
    sets = held({1: set(range(1, 400))})
    slots = [Slot("name", (frozenset([1]),))]
    assert select(slots, sets, 400) == Selection((), 399)
    near = held({0: {3, 5, 999}})[0]
    assert select(slots, sets, 400, within=near) == Selection((3, 5), 0)
    assert select([], sets, 400) == Selection((), 0)


def test_a_union_is_all_of_them() -> None:
    one, other = held({0: {1, 65_536}})[0], held({0: {2}})[0]
    assert selecting.children_in(selecting.union([one, other])) == [1, 2, 65_536]
