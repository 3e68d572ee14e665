from __future__ import annotations

import datetime

import pytest

from server.linkage.blocking import blocking_keys, lookup_keys
from server.linkage.candidates import CHILDREN_PER_KEY_MAX, MemoryIndex, find
from server.linkage.standardise import Description, Record, standardise
from tests.linkage.builders import index_of, record


def namesake(district: str, year: int | None = None) -> Record:
    born = datetime.date(year, 5, 5) if year else None
    return standardise(
        Description(given_names="Leila", family_name="Khan", postcode=district, date_of_birth=born)
    )


def test_an_index_finds_a_child_by_its_keys_and_gives_its_record() -> None:
    known = record()
    index = index_of([known], restricted=[1])
    assert find(record(postcode=None, address=None), index) == ({1}, False)
    assert list(index.records([1, 99])) == [(1, known, True)]
    assert len(index) == 1


def test_the_same_child_twice_is_refused() -> None:
    index = MemoryIndex()
    index.add(7, record())
    with pytest.raises(ValueError, match="in the index already"):
        index.add(7, record())


def test_a_name_too_common_is_refined_by_district_and_never_cut_off() -> None:
    known = [namesake(f"SE{n % 20 + 1} 1AA") for n in range(CHILDREN_PER_KEY_MAX * 2)]
    found, too_common = find(namesake("SE3"), index_of(known))
    assert not too_common
    assert found == {child_id for child_id, one in enumerate(known, 1) if one.outward == "SE3"}


def test_a_name_too_common_with_nothing_to_refine_it_finds_nobody_and_says_so() -> None:
    known = [namesake(f"SE{n % 20 + 1} 1AA") for n in range(CHILDREN_PER_KEY_MAX + 1)]
    bare = standardise(Description(given_names="Leila", family_name="Khan"))
    assert find(bare, index_of(known)) == (set(), True)
    assert len(find(bare, index_of(known[:-1]))[0]) == CHILDREN_PER_KEY_MAX


def test_a_key_that_is_not_oversized_gives_every_child() -> None:
    known = [namesake("SE1 1AA", 2010 + n % 3) for n in range(CHILDREN_PER_KEY_MAX)]
    found, _ = find(namesake("E9 9ZZ", 2011), index_of(known))
    # The date, and the years around it.
    assert found == set(range(1, CHILDREN_PER_KEY_MAX + 1))


def test_a_known_child_is_looked_up_under_keys_it_is_stored_under() -> None:
    one = record()
    stored = set(blocking_keys(one))
    missed = [lookup for lookup in lookup_keys(one) if lookup.key not in stored]
    assert len(missed) <= 3  # the years before and after, and "year unknown"
