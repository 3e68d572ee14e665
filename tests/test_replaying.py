"""Rules that change: in force for every process with its next transaction, and tried out without touching a thing."""

from __future__ import annotations

import pytest

from server import replaying
from server.audit import Actor
from server.casework.pack import default_pack, default_pack_text, load_pack
from server.records import cases, in_force
from server.records.in_force import Kind
from server.replaying import ChangeKind
from server.world import Worlds
from sync.vocabulary import Category
from tests.road import AMARA, JONAS, START_MS, TWIN, Road

ADMIN = Actor("system", "command:tests")
STRICT = default_pack_text().replace("at_least = 3\nwithin_days = 90", "at_least = 2\nwithin_days = 90")
STRICT = STRICT.replace('knife = "amber"', 'knife = "red"').replace(
    'version = "default-1"', 'version = "strict"'
)


def put(road: Road, text: str = STRICT) -> None:
    pack = load_pack(text)
    road.store.write_now(lambda tx: in_force.put(tx, ADMIN, Kind.RULES, pack.version, text, now=road.now))


def snapshot(road: Road) -> list[object]:
    return [
        road.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("child", "flag", "flag_note", "alert", "alert_event", "note", "in_force")
    ]


def two_notes(road: Road) -> tuple[int, int]:
    """Two children: Amara with two concerns ten days apart, Jonas with a knife."""
    amara, jonas = road.child(AMARA), road.child(JONAS)
    officer = road.officer()
    officer.writes(AMARA)
    officer.writes(JONAS, category=Category.KNIFE)
    road.passes(hours=240)
    officer.writes(AMARA, category=Category.SCHOOL_ABSENCE)
    return amara, jonas


def replay(road: Road, since: int = 0, **more: object) -> list[tuple[int, str, str]]:
    found = replaying.replay(road.store, ADMIN, load_pack(STRICT), since, now=road.now, **more)  # type: ignore[arg-type]
    return [(c.child_id, c.kind.value, c.rule) for _, changes in found for c in changes]


def test_a_pack_is_in_force_in_every_process_with_its_next_transaction(road: Road) -> None:
    other = Worlds(default_pack())
    assert road.store.read_now(other.current).pack is default_pack()
    put(road)
    assert road.store.read_now(other.current).pack.version.startswith("strict+")
    amara = road.child(AMARA)
    officer = road.officer()
    officer.writes(AMARA)
    road.passes(hours=240)
    officer.writes(AMARA, category=Category.SCHOOL_ABSENCE)
    assert "notes_repeat" in road.flags_of(amara)
    flags = road.store.read_now(lambda tx: cases.flags_of(tx, amara))
    assert all(flag.rule_version.startswith("strict+") for flag in flags)
    put(road, default_pack_text())
    assert road.world.pack.version == default_pack().version
    history = road.store.read_now(lambda tx: in_force.history(tx, Kind.RULES))
    assert [loaded.version.partition("+")[0] for loaded in history] == ["default-1", "strict"]
    verbs = road.rows("SELECT ids FROM audit_entry WHERE kind = 'rules' ORDER BY position")
    assert len(verbs) == 2


def test_a_pack_that_this_release_cannot_read_leaves_the_rules_as_they_are(road: Road) -> None:
    put(road)
    before = road.world.pack
    road.store.write_now(
        lambda tx: in_force.put(tx, ADMIN, Kind.RULES, "newer", "[moon]\nfull = 1", now=road.now)
    )
    assert road.world.pack == before
    assert road.store.read_now(Worlds(default_pack()).current).pack == default_pack()


def test_replay_says_what_would_be_and_touches_nothing(road: Road) -> None:
    amara, jonas = two_notes(road)
    before = snapshot(road)
    changes = replay(road)
    assert changes == [
        # The second note is a part of the new flag, so it needs no concern of its own.
        (amara, "dropped", "concern"),
        (amara, "raised", "notes_repeat"),
        (jonas, "regraded", "concern"),
    ]
    assert snapshot(road) == before
    kinds = road.rows("SELECT DISTINCT verb, kind FROM audit_entry WHERE reason = 'rules replay'")
    assert kinds == [("consultation", "child")]


def test_replay_against_a_pack_is_the_difference_of_the_two(road: Road) -> None:
    two_notes(road)
    assert replay(road, against=default_pack()) == replay(road)
    assert replay(road, against=load_pack(STRICT)) == []


def test_only_what_was_raised_since_then_counts(road: Road) -> None:
    amara, _ = two_notes(road)
    later = START_MS + 3_600_000
    assert replay(road, since=later, against=default_pack()) == [
        (amara, "dropped", "concern"),
        (amara, "raised", "notes_repeat"),
    ]
    assert replay(road, since=road.now + 1, against=default_pack()) == []


def test_children_come_in_chunks_and_each_once(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "CHUNK_CHILDREN", 2)
    for subject in (AMARA, JONAS, TWIN):
        road.child(subject)
        road.officer(f"pc-{subject.given_names}").writes(subject, category=Category.KNIFE)
    found = list(replaying.replay(road.store, ADMIN, load_pack(STRICT), 0, now=road.now))
    assert [number for number, _ in found] == [2, 1]
    assert [change.kind for _, changes in found for change in changes] == [ChangeKind.REGRADED] * 3


def test_a_child_is_explained_with_what_the_rules_in_force_would_change(road: Road) -> None:
    amara, _ = two_notes(road)
    put(road)
    found = road.store.read_now(
        lambda tx: replaying.explain(tx, ADMIN, amara, road.worlds.current(tx).pack, now=road.now)
    )
    assert found is not None
    assert {flag.rule for flag in found.flags} >= {"concern"}
    assert [(change.kind, change.rule) for change in found.changes] == [
        (ChangeKind.DROPPED, "concern"),
        (ChangeKind.RAISED, "notes_repeat"),
    ]
    assert road.store.read_now(lambda tx: replaying.explain(tx, ADMIN, 999, default_pack(), now=0)) is None


def test_rules_hold_at_once_where_the_rest_is_loaded_beside(road: Road) -> None:
    worlds = Worlds(default_pack())
    road.store.read_now(worlds.current)
    worlds.load_beside(road.store)
    put(road)
    assert road.store.read_now(worlds.current).pack.version.startswith("strict+")
