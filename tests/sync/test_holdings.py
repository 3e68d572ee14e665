"""What a phone has pulled: pages of any size end in the same copy, repeats change nothing, removals remove."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sync.envelope import Change, ChangeOp, PullAnswer, Resync
from sync.holdings import Held, Holdings, apply_page, checksum, wrong_buckets
from tests.sync.strategies import changes


def page(*some: Change, removed: tuple[str, ...] = (), resync: bool = False) -> PullAnswer:
    return PullAnswer(
        changes=some,
        cursor="c",
        more=False,
        buckets_removed=removed,
        resync=Resync(reason="r", cursor="c") if resync else None,
    )


def in_pages(log: list[Change], sizes: list[int]) -> Holdings:
    held: Holdings = {}
    at = 0
    for size in [*sizes, len(log) + 1]:
        held = apply_page(held, page(*log[at : at + size]))
        at += size
    return held


def without_empty(held: Holdings) -> Holdings:
    return {bucket: rows for bucket, rows in held.items() if rows}


def checkpoint_of(held: Holdings) -> dict[str, tuple[int, str]]:
    return {
        bucket: (len(rows), checksum((kind, row_id, row.rev) for (kind, row_id), row in rows.items()))
        for bucket, rows in held.items()
    }


@st.composite
def logs(draw: st.DrawFn) -> list[Change]:
    """A change log as a server writes it: the revision of a row never falls."""
    revs: dict[tuple[str, str, str], int] = {}
    log = []
    for change in draw(st.lists(changes, max_size=25)):
        key = (change.bucket, change.kind, change.id)
        revs[key] = revs.get(key, 0) + draw(st.integers(0, 2))
        rev = revs[key]
        log.append(Change(bucket=key[0], kind=key[1], id=key[2], rev=rev, op=change.op, data={"rev": rev}))
    return log


def oracle(log: list[Change]) -> dict[tuple[str, str, str], int]:
    """The last word on each row, by a loop that shares no code."""
    last: dict[tuple[str, str, str], Change] = {}
    for change in log:
        last[change.bucket, change.kind, change.id] = change
    return {key: change.rev for key, change in last.items() if change.op is ChangeOp.PUT}


def flat(held: Holdings) -> dict[tuple[str, str, str], int]:
    return {(bucket, *key): row.rev for bucket, rows in held.items() for key, row in rows.items()}


@given(logs(), st.lists(st.integers(1, 5), max_size=25))
def test_the_union_of_pages_of_any_size_is_the_log(log: list[Change], sizes: list[int]) -> None:
    assert flat(in_pages(log, sizes)) == oracle(log)


@given(logs(), st.data())
def test_pulling_again_from_any_earlier_cursor_ends_in_the_same(
    log: list[Change], data: st.DataObject
) -> None:
    once = in_pages(log, [])
    again = apply_page(once, page(*log[data.draw(st.integers(0, len(log))) :]))
    assert without_empty(again) == without_empty(once)


@given(logs())
def test_the_same_page_twice_is_the_same_page(log: list[Change]) -> None:
    once = apply_page({}, page(*log))
    assert without_empty(apply_page(once, page(*log))) == without_empty(once)


def test_an_older_revision_never_overwrites_a_newer() -> None:
    new = Change(bucket="b", kind="k", id="1", rev=5, data={"n": 5})
    old = Change(bucket="b", kind="k", id="1", rev=4, data={"n": 4})
    assert apply_page({}, page(new, old)) == {"b": {("k", "1"): Held(5, {"n": 5})}}
    same = Change(bucket="b", kind="k", id="1", rev=5, data={"n": 55})
    assert apply_page({}, page(new, same))["b"]["k", "1"].data == {"n": 55}


def test_a_removal_removes_whatever_revision_is_held() -> None:
    held = apply_page({}, page(Change(bucket="b", kind="k", id="1", rev=9, data={})))
    gone = apply_page(held, page(Change(bucket="b", kind="k", id="1", rev=2, op=ChangeOp.REMOVE)))
    assert gone == {"b": {}}
    assert apply_page({}, page(Change(bucket="b", kind="k", id="1", rev=2, op=ChangeOp.REMOVE))) == {"b": {}}


def test_a_removed_bucket_goes_whole_and_may_begin_anew_in_the_same_page() -> None:
    held = apply_page({}, page(Change(bucket="b", kind="k", id="1", rev=1, data={})))
    after = apply_page(
        held, page(Change(bucket="b", kind="k", id="2", rev=1, data={}), removed=("b", "unknown"))
    )
    assert after == {"b": {("k", "2"): Held(1, {})}}


def test_a_resync_begins_from_nothing() -> None:
    held = apply_page({}, page(Change(bucket="b", kind="k", id="1", rev=1, data={})))
    assert apply_page(held, page(resync=True)) == {}


@given(logs())
def test_applying_a_page_never_changes_what_was_held_before(log: list[Change]) -> None:
    half = apply_page({}, page(*log[: len(log) // 2]))
    copy = {bucket: dict(rows) for bucket, rows in half.items()}
    apply_page(half, page(*log[len(log) // 2 :]))
    assert half == copy


rows = st.lists(
    st.tuples(st.text(max_size=6), st.text(max_size=6), st.integers(0, 2**53)), max_size=8, unique=True
)


@given(rows, st.randoms())
def test_the_checksum_ignores_order_and_sees_any_change(
    some: list[tuple[str, str, int]], dice: random.Random
) -> None:
    shuffled = list(some)
    dice.shuffle(shuffled)
    assert checksum(shuffled) == checksum(some)
    assert len(checksum(some)) == 16
    if some:
        kind, row_id, rev = some[0]
        assert checksum([(kind, row_id, rev + 1), *some[1:]]) != checksum(some)
        assert checksum(some[1:]) != checksum(some)


@given(logs())
def test_a_true_copy_agrees_with_its_checkpoint_and_any_other_is_named(log: list[Change]) -> None:
    held = in_pages(log, [])
    checkpoint = checkpoint_of(held)
    assert wrong_buckets(held, checkpoint) == []
    assert wrong_buckets(without_empty(held), checkpoint) == [], "an empty bucket and none are the same"
    for bucket, kept in held.items():
        if kept:
            spoiled = {name: dict(rows_) for name, rows_ in held.items()}
            spoiled[bucket].popitem()
            assert wrong_buckets(spoiled, checkpoint) == [bucket]
    assert wrong_buckets(held, {}) == sorted(bucket for bucket, kept in held.items() if kept)
    assert wrong_buckets({}, {"ward": (1, "0" * 16)}) == ["ward"]
