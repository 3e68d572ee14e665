"""`earlysign relink` on a database: what it finds waits for a person, once, and nothing is merged."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from server import merging
from server.clock import now_ms
from server.records import children, merges
from server.storage import Store, open_store
from tests.batch.test_relinking import write_known
from tests.cli.kit import run
from tests.road import Road, somebody

GAFFER = somebody("gaffer", "force_duty_officer", None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A database with the children of a small registry, one of whom stands there twice."""
    write_known(tmp_path / "known.csv")
    ran = run("import-children", str(tmp_path / "known.csv"), "--data", str(tmp_path / "data"))
    assert ran.code == 0, ran.err
    return tmp_path / "data"


def opened(data: Path) -> Store:
    return open_store(data / "earlysign.db")


def waiting(data: Path) -> list[merges.Proposal]:
    store = opened(data)
    try:
        return store.read_now(lambda tx: merges.waiting(tx, GAFFER))
    finally:
        store.close_now()


def relinked(data: Path, *more: str) -> str:
    ran = run("relink", "--data", str(data), *more)
    assert ran.code == 0, ran.err
    return ran.out


def test_what_it_finds_waits_for_a_person_once(data: Path) -> None:
    said = relinked(data, "--dry-run")
    assert "pairs proposed: 1" in said and "Nothing was proposed" in said and waiting(data) == []
    assert "Waiting for a person from now: 1; asked or answered before: 0" in relinked(data)
    [asked] = waiting(data)
    assert asked.probability is not None and asked.probability > 0.9 and asked.child_a < asked.child_b
    assert "from now: 0; asked or answered before: 1" in relinked(data)
    assert waiting(data) == [asked]
    store = opened(data)
    try:
        assert store.read_now(lambda tx: children.kept(tx, asked.child_b)) == asked.child_b
        decision = store.read_now(lambda tx: merges.evidence(tx, asked.proposal_id))
    finally:
        store.close_now()
    assert decision is not None and [one.child_id for one in decision.candidates] == [asked.child_b]


@pytest.mark.parametrize("said", [merging.SAME, merging.NOT_SAME, merging.CANNOT_TELL])
def test_what_a_person_answered_is_not_asked_again_without_something_new(data: Path, said: str) -> None:
    relinked(data)
    [asked] = waiting(data)
    store = opened(data)
    try:
        road = Road(store)
        road.now = now_ms()
        store.write_now(
            lambda tx: merging.answer(
                tx, road.worlds.current(tx), GAFFER, asked.proposal_id, said, now=road.now
            )
        )
    finally:
        store.close_now()
    relinked(data)
    assert waiting(data) == []
    known = data.parent / "known.csv"
    rows = list(csv.DictReader(known.read_text().splitlines()))
    with known.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(
            row | ({"phone": "07700900999"} if row["child_id"] == "K7-again" else {}) for row in rows
        )
    assert run("import-children", str(known), "--data", str(data)).code == 0
    relinked(data)
    assert len(waiting(data)) == (0 if said == merging.SAME else 1), "a phone that is another one is new"


def test_a_file_of_children_asks_for_a_file_of_pairs(tmp_path: Path) -> None:
    write_known(tmp_path / "known.csv")
    for more in ((), ("--dry-run", "--out", str(tmp_path / "pairs.csv"))):
        ran = run("relink", "--known", str(tmp_path / "known.csv"), *more)
        assert ran.code == 2 and "--out" in ran.err
