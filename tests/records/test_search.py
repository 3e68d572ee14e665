"""The index of search: it holds what the children's records say, at once for a search, and nothing that they no
longer say."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from server.access.errors import SearchedTooOften
from server.linkage import postings
from server.linkage.inverting import invert
from server.linkage.postings import block_of, offsets_of, unpack
from server.linkage.selecting import children_in
from server.linkage.standardise import decode_record
from server.linkage.terms import terms_of
from server.records import children, search, search_bulk, search_sets
from server.records.child import Details, Standing
from tests.road import AMARA, CAMDEN, JONAS, REGISTRY, SOUTHWARK, VAGUE, Road, somebody

RIVERA = somebody("rivera")


def fill(road: Road) -> int:
    return road.store.write_now(search.fill)


def held(road: Road) -> dict[int, set[int]]:
    """The terms of each child as the packed sets have them."""
    found: dict[int, set[int]] = {}
    for block, term, packed in road.rows("SELECT block, term, children FROM search_posting"):
        for offset in offsets_of(unpack(bytes(packed))):
            found.setdefault((block << 16) + offset, set()).add(term)
    return found


def wanted(road: Road) -> dict[int, set[int]]:
    """The terms of each child as its record has them."""
    seen_by: dict[int, set[str]] = {}
    for child_id, code in road.rows("SELECT child_id, borough FROM child_borough"):
        seen_by.setdefault(child_id, set()).add(code)
    return {
        child_id: terms_of(decode_record(record), seen_by.get(child_id, ()))
        for child_id, record in road.rows("SELECT child_id, record FROM child WHERE standing <> 'retired'")
    }


def test_the_index_holds_what_the_records_say(road: Road) -> None:
    road.child(AMARA, school_borough=SOUTHWARK)
    road.child(JONAS)
    road.officer().writes(VAGUE)
    assert held(road) == {}
    assert fill(road) == 3
    assert held(road) == wanted(road) and len(held(road)) == 3
    assert fill(road) == 0 and not road.store.read_now(search.is_behind)


def test_what_a_record_says_no_more_leaves_the_index(road: Road) -> None:
    amara, jonas = road.child(AMARA), road.child(JONAS)
    fill(road)
    moved = Details(given_names="Amara", family_name="Bright", postcode="N1 9GU")
    road.registry_says(amara, moved, home=CAMDEN)
    road.store.write_now(
        lambda tx: children.set_standing(tx, REGISTRY, jonas, Standing.RETIRED, now=road.now)
    )
    assert fill(road) == 2
    assert held(road) == wanted(road) and set(held(road)) == {amara}
    assert road.rows("SELECT child_id FROM search_child") == [(amara,)]
    road.store.write_now(lambda tx: children.set_standing(tx, REGISTRY, jonas, Standing.KNOWN, now=road.now))
    fill(road)
    assert set(held(road)) == {amara, jonas}


def test_an_erased_child_leaves_nothing(road: Road) -> None:
    child_id = road.child(AMARA)
    fill(road)

    def erase(tx: object) -> None:
        assert hasattr(tx, "execute")
        for table in ("child_key", "child_borough", "child"):
            tx.execute(f"DELETE FROM {table} WHERE child_id = :c", {"c": child_id})
        search.changed(tx, [child_id])  # type: ignore[arg-type]  # a transaction

    road.store.write_now(erase)
    fill(road)
    for table in ("search_posting", "search_child", "search_queue"):
        assert road.count(table) == 0, table


def test_many_fill_the_queue_and_rounds_empty_it(road: Road) -> None:
    for at in range(9):
        road.child(msgspec.structs.replace(AMARA, date_of_birth=datetime.date(2012, 1, 1 + at)))
    assert len(road.store.read_now(search.unindexed)) == 9
    assert [road.store.write_now(lambda tx: search.fill(tx, 4)) for _ in range(4)] == [4, 4, 1, 0]
    assert held(road) == wanted(road)


def test_a_child_that_changes_while_it_is_indexed_stays_in_the_queue(road: Road) -> None:
    child_id = road.child(AMARA)

    def fill_and_change(tx: object) -> None:
        rows = tx.rows  # type: ignore[attr-defined]  # a transaction

        def rows_then_change(sql: str, params: dict[str, object] | None = None) -> object:
            found = rows(sql, params or {})
            if sql.startswith("SELECT child_id, stamp"):
                search.changed(tx, [child_id])  # type: ignore[arg-type]
            return found

        search.fill(_Meddling(tx, rows_then_change))  # type: ignore[arg-type]

    road.store.write_now(fill_and_change)
    assert road.rows("SELECT child_id, stamp FROM search_queue") == [(child_id, 1)]


class _Meddling:
    """A transaction in which something happens between two statements."""

    def __init__(self, tx: object, rows: object) -> None:
        self._tx = tx
        self.rows = rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)


def copied(road: Road, child_id: int, far: int) -> None:
    """A child like this one, with a number far behind."""
    road.store.write_now(
        lambda tx: tx.execute(
            "INSERT INTO child (child_id, standing, details, record, created_at, updated_at)"
            " SELECT :far, standing, details, record, created_at, updated_at FROM child WHERE child_id = :c",
            {"far": far, "c": child_id},
        )
    )
    road.store.write_now(lambda tx: search.changed(tx, [far]))


def test_sets_reach_over_blocks(road: Road) -> None:
    child_id = road.child(AMARA)
    # As if another 100,000 children had come in between.
    far = child_id + 100_000
    copied(road, child_id, far)
    fill(road)
    term = max(terms_of(decode_record(road.value("SELECT record FROM child WHERE child_id = :c", c=far))))
    found = road.store.read_now(lambda tx: search_sets.sets(tx, [term, 12345]))
    assert found.last == far and block_of(far)[0] > 0
    assert children_in(found.groups[term]) == [child_id, far] and 12345 not in found.groups
    assert found.counts == {term: 2}


def as_read(road: Road) -> dict[int, set[int]]:
    """The terms of each child as a search reads them."""
    terms = {term for (term,) in road.rows("SELECT DISTINCT term FROM search_posting")} | {12345}
    answer = road.store.read_now(lambda tx: search_sets.sets(tx, terms))
    found: dict[int, set[int]] = {}
    for term, group in answer.groups.items():
        ids = children_in(group)
        assert len(ids) == answer.counts[term]
        for child_id in ids:
            found.setdefault(child_id, set()).add(term)
    return found


def test_what_stays_in_memory_is_what_the_database_has(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    # So few are many here, and memory is short: sets of both kinds are kept, and blocks give way to others.
    monkeypatch.setattr(postings, "ARRAY_CHILDREN_MAX", 2)
    monkeypatch.setattr(search_sets, "KEPT_BYTES_MAX", 3 * search_sets.COMMON_BYTES)
    first = road.child(AMARA)
    far = first + 100_000
    copied(road, first, far)
    fill(road)
    assert as_read(road) == as_read(road) == held(road)
    more = [
        road.child(msgspec.structs.replace(AMARA, date_of_birth=datetime.date(2012, 1, 1 + at)))
        for at in range(4)
    ]
    assert as_read(road) == held(road) and not set(more) & held(road).keys()
    fill(road)
    assert as_read(road) == as_read(road) == held(road) and set(more) < held(road).keys()
    road.store.write_now(
        lambda tx: children.set_standing(tx, REGISTRY, more[0], Standing.RETIRED, now=road.now)
    )
    road.registry_says(first, Details(given_names="Zora", family_name="Quist"), home=CAMDEN)
    fill(road)
    assert as_read(road) == as_read(road) == held(road) and more[0] not in held(road)
    road.child(JONAS)
    part = next_part(road)
    assert part is not None and bulk(road, part) == 1
    assert as_read(road) == held(road) == wanted(road)


# Many new children at once ------------------------------------------------------------------------------------


def bulk(road: Road, part: search_bulk.Part) -> int:
    return road.store.write_now(lambda tx: search_bulk.write_part(tx, part, invert(part.told)))


def next_part(road: Road, after: int = 0) -> search_bulk.Part | None:
    return road.store.read_now(lambda tx: search_bulk.read_part(tx, after))


def test_many_new_children_at_once_end_as_one_by_one(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_bulk, "PART_CHILDREN", 4)
    indexed = road.child(JONAS)
    fill(road)
    new = [
        road.child(
            msgspec.structs.replace(AMARA, date_of_birth=datetime.date(2012, 1, 1 + at)),
            school_borough=SOUTHWARK,
        )
        for at in range(9)
    ]
    road.store.write_now(
        lambda tx: children.set_standing(tx, REGISTRY, new[2], Standing.RETIRED, now=road.now)
    )
    road.store.write_now(lambda tx: search.changed(tx, [indexed]))
    after, sizes = 0, []
    while part := next_part(road, after):
        after = part.last
        sizes.append(bulk(road, part))
    assert sizes == [4, 4]
    assert held(road) == wanted(road) and len(held(road)) == 9
    # The retired one, and the one that was in the index before, are left to the usual way.
    assert road.rows("SELECT child_id FROM search_queue ORDER BY 1") == [(indexed,), (new[2],)]
    assert fill(road) == 2 and held(road) == wanted(road)


def test_a_part_is_of_one_block(road: Road) -> None:
    near = road.child(AMARA)
    far = near + 200_000
    copied(road, near, far)
    first = next_part(road)
    assert first is not None and first.last == near
    second = next_part(road, first.last)
    assert second is not None and second.last == far and next_part(road, far) is None
    assert bulk(road, first) == bulk(road, second) == 1 and held(road) == wanted(road)


def test_a_child_that_changes_while_its_part_is_on_its_way_is_not_lost(road: Road) -> None:
    child_id, _ = road.child(AMARA), road.child(JONAS)
    part = next_part(road)
    assert part is not None
    other = msgspec.json.encode(Details(given_names="Zora", family_name="Quist"))
    record = road.value("SELECT record FROM child WHERE child_id = :c", c=road.child(VAGUE))
    road.store.write_now(
        lambda tx: tx.execute(
            "UPDATE child SET details = :d, record = :r WHERE child_id = :c",
            {"d": other, "r": record, "c": child_id},
        )
    )
    road.store.write_now(lambda tx: search.changed(tx, [child_id]))
    assert bulk(road, part) == 0 and held(road) == {} and road.count("search_queue") == 3
    assert fill(road) == 3 and held(road) == wanted(road)


def test_a_part_that_the_servers_job_was_quicker_with_is_not_put_in_twice(road: Road) -> None:
    child_id = road.child(AMARA)
    part = next_part(road)
    assert part is not None and fill(road) == 1
    # Changed again since: its stamp is what it was when the part was read, and the index holds it already.
    road.store.write_now(lambda tx: search.changed(tx, [child_id]))
    assert road.rows("SELECT child_id, stamp FROM search_queue") == part.stamps
    assert bulk(road, part) == 0
    assert fill(road) == 1 and held(road) == wanted(road)


def test_an_id_stands_for_its_child(road: Road) -> None:
    child_id = road.child(AMARA, registry_id="KX-4711")
    note_id = road.officer().writes(JONAS)
    other = road.child_of(note_id)
    asks = {"KX-4711": [child_id], str(child_id): [child_id], note_id.upper(): [other], "nothing": []}

    def referred(*texts: str) -> list[int]:
        return road.store.read_now(lambda tx: search.referred(tx, texts))

    for text, meant in asks.items():
        assert referred(text) == meant
    assert referred("9" * 30, "-1", "²") == []


def test_a_person_searches_so_often_and_no_oftener(road: Road) -> None:
    def use(now: int, person: str = "rivera") -> None:
        road.store.read_now(lambda tx: search.count_use(tx, somebody(person), now=now))

    for at in range(search.SEARCHES_PER_MINUTE_MAX):
        use(road.now + at)
    with pytest.raises(SearchedTooOften) as refused:
        use(road.now + 1000)
    assert refused.value.retry_after_s == 59
    use(road.now + 1000, "another")
    use(road.now + search.MINUTE_MS)
    assert road.store.write_now(lambda tx: search.prune(tx, road.now + 2 * search.MINUTE_MS)) == 32
    assert road.count("search_use") == 0


def test_children_with_an_alert_are_those_of_ones_own_boroughs(road: Road) -> None:
    child_id = road.child_of(road.officer().writes(JONAS))
    assert road.store.read_now(lambda tx: search.alerted(tx, RIVERA)) == [child_id]
    assert road.store.read_now(lambda tx: search.alerted(tx, somebody("x", borough=CAMDEN))) == []
    nowhere = somebody("officer", "ward_officer")
    assert road.store.read_now(lambda tx: search.alerted(tx, nowhere)) == []
