"""Random histories of merges: taking a merge back leaves what would be, had it never been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from server.records import cases, children, note_subjects, overview
from server.storage import Store, open_store
from tests.casework import oracle
from tests.merging.histories import (
    RECORDS,
    AcknowledgeJoint,
    Amend,
    Merge,
    Step,
    Unmerge,
    Walk,
    Write,
    histories,
)
from tests.storage.fixtures import TEST_SETTINGS, empty

orders = st.lists(st.integers(0, 3), max_size=3)


@contextmanager
def fresh() -> Iterator[Store]:
    store = open_store(":memory:", TEST_SETTINGS)
    try:
        store.migrate()
        yield store
    finally:
        store.close_now()


def walk_both(merged: Walk, never: Walk, history: list[Step], order: list[int]) -> None:
    for step in history:
        before = merged.alerts()
        merged.do(step)
        never.do(step)
        if isinstance(step, Merge | Unmerge):
            assert merged.alerts() == before, "a merge touches no alert that a record has of itself"
        if isinstance(step, AcknowledgeJoint) and merged.heard:
            never.hear(merged.heard)
        check(merged)
    merged.take_back_all(order)
    never.road.now = merged.road.now
    assert merged.facts.merged == []
    one, other = merged.state(), never.state()
    for part in other:
        assert one[part] == other[part], part


def check(walk: Walk) -> None:
    """What holds at every moment, by facts that were kept apart from the server."""
    road, facts = walk.road, walk.facts
    clusters = dict(road.rows("SELECT child_id, cluster_id FROM child"))
    for kept in set(clusters.values()) - {None}:
        assert clusters[kept] == kept, "no chain and no cycle"
    for record in RECORDS:
        whole = {walk.ids[one] for one in facts.together(record)}
        child_id = walk.ids[record]
        assert road.store.read_now(lambda tx: children.whole(tx, [child_id])) == whole  # noqa: B023
        kept_id = road.store.read_now(lambda tx: children.kept(tx, child_id))  # noqa: B023
        assert kept_id in whole
        expected = {walk.note_ids[note] for note in facts.notes_of(record)}
        rows = road.rows(
            "SELECT n.note_id FROM subject s JOIN note n ON n.note_key = s.note_key JOIN child c"
            " ON c.child_id = s.child_id WHERE c.child_id = :k OR c.cluster_id = :k",
            k=kept_id,
        )
        assert {note_id for (note_id,) in rows} == expected
        seen = road.store.read_now(lambda tx: children.boroughs(tx, child_id))  # noqa: B023
        # An owner or a copy is always one of the child's homes or of its notes' places and authors.
        assert seen == facts.boroughs_of(record)
        check_flags(walk, kept_id, {walk.note_ids[n] for n in facts.notes_of(record) - facts.withdrawn})


def check_flags(walk: Walk, kept_id: int, live: set[str]) -> None:
    """The flags of the child are those of all its notes together, and every note has a duty."""
    road = walk.road
    flags = {flag.rule: flag for flag in road.store.read_now(lambda tx: cases.flags_of(tx, kept_id))}
    facts = road.store.read_now(lambda tx: note_subjects.facts_together(tx, kept_id))
    for rule, found in (
        ("missing_repeat", oracle.counted(facts, 90, 3, only_missing=True)),
        ("sources_several", oracle.counted(facts, 30, 2, sources=True)),
    ):
        assert set(flags[rule].note_ids if rule in flags else ()) == found, rule
    assert {note_id for flag in flags.values() for note_id in flag.note_ids} <= live
    carried = road.rows(
        "SELECT DISTINCT n.note_id FROM alert a JOIN alert_flag l ON l.alert_id = a.alert_id JOIN flag f"
        " ON f.flag_id = l.flag_id AND f.retracted_at IS NULL JOIN flag_note n ON n.flag_id = f.flag_id"
        " JOIN child c ON c.child_id = a.child_id WHERE c.child_id = :k OR c.cluster_id = :k",
        k=kept_id,
    )
    assert {note_id for (note_id,) in carried} >= live, "every note that counts has had a duty"
    untold = road.rows(
        "SELECT f.rule FROM flag f WHERE f.child_id = :k AND f.joint = 1 AND f.retracted_at IS NULL"
        " AND f.rule IN ('missing_repeat', 'danger_now') AND NOT EXISTS (SELECT 1 FROM alert_flag l"
        " WHERE l.flag_id = f.flag_id) AND NOT EXISTS (SELECT 1 FROM flag o JOIN child c ON c.child_id = o.child_id"
        " WHERE c.cluster_id = :k AND o.joint = 0 AND o.rule = f.rule AND o.retracted_at IS NULL)",
        k=kept_id,
    )
    assert untold == [], "what the records mean only together has told somebody"
    assert road.store.read_now(lambda tx: overview.continues_as(tx, kept_id)) is None


@example(
    # A joint flag went with most of its notes, its alert stayed on the other record: both end with the last merge.
    history=[
        Write(0, 0, 0, 0, danger=True),
        Merge(1, 2),
        Merge(0, 1),
        Write(1, 0, 0, 0, danger=True),
        Amend(2, 0),
    ],
    order=[1],
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories, order=orders)
def test_a_merge_taken_back_leaves_what_would_be_had_it_never_been(
    history: list[Any], order: list[int]
) -> None:
    with fresh() as one, fresh() as other:
        walk_both(Walk(one, merging_=True), Walk(other, merging_=False), history, order)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories, order=orders)
def test_and_so_over_many_more_histories(history: list[Any], order: list[int]) -> None:
    with fresh() as one, fresh() as other:
        walk_both(Walk(one, merging_=True), Walk(other, merging_=False), history, order)


@pytest.mark.slow
def test_and_so_on_postgresql(postgres_url: str) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=histories, order=orders)
    def walk(history: list[Any], order: list[int]) -> None:
        empty(postgres_url)
        store = open_store(postgres_url, TEST_SETTINGS)
        try:
            with fresh() as other:
                walk_both(Walk(store, merging_=True), Walk(other, merging_=False), history, order)
        finally:
            store.close_now()

    walk()
