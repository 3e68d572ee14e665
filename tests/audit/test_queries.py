"""Reading the trail: the right entries, in pages, and a trace of having looked."""

from __future__ import annotations

import json
from functools import partial

import pytest

from server.audit import Actor, Verb, person, record, system
from server.audit.queries import done_by, export, history_of
from server.audit.trail import entry_hash
from server.storage import StorageError, Store, Transaction
from tests.audit.trails import NOW, run_sql, write_trail

AUDITOR = person(50)


def test_who_has_looked_at_a_child(store: Store) -> None:
    def look(tx: Transaction, i: int, whom: Actor) -> None:
        record(tx, whom, Verb.CONSULTATION, "child", [5, 60 + i], now=NOW + i)

    for i, whom in enumerate((person(1), person(2), system("export"))):
        store.write_now(partial(look, i=i, whom=whom))
    store.write_now(lambda tx: record(tx, person(3), Verb.CONSULTATION, "child", [55], now=NOW))
    store.write_now(lambda tx: record(tx, person(3), Verb.CONSULTATION, "note", [5], now=NOW))
    found = store.read_now(lambda tx: history_of(tx, AUDITOR, "child", 5, now=NOW))
    assert [entry.actor for entry in found] == [system("export"), person(2), person(1)]
    assert found[1].ids == ("5", "61") and found[1].at == NOW + 1 and found[1].verb is Verb.CONSULTATION


def test_what_somebody_did(store: Store) -> None:
    write_trail(store, 40)
    found = store.read_now(lambda tx: done_by(tx, AUDITOR, Actor("device", "d-7"), now=NOW))
    assert [entry.position for entry in found] == list(range(39, 0, -4))
    assert {str(entry.actor) for entry in found} == {"device:d-7"}


def test_a_long_history_comes_in_pages(store: Store) -> None:
    for _ in range(7):
        store.write_now(lambda tx: record(tx, person(1), Verb.CONSULTATION, "child", [5], now=NOW))
    first = store.read_now(lambda tx: history_of(tx, AUDITOR, "child", 5, now=NOW, limit=4))
    rest = store.read_now(
        lambda tx: history_of(tx, AUDITOR, "child", 5, now=NOW, limit=4, before=first[-1].position)
    )
    assert [entry.position for entry in first + rest] == [7, 6, 5, 4, 3, 2, 1]


def test_reading_the_trail_is_on_the_trail(store: Store) -> None:
    store.read_now(lambda tx: history_of(tx, AUDITOR, "child", 5, now=NOW))
    store.read_now(lambda tx: done_by(tx, AUDITOR, person(9), now=NOW))
    found = store.read_now(lambda tx: done_by(tx, person(51), AUDITOR, now=NOW))
    assert [(entry.kind, entry.ids) for entry in found] == [("audit", ("person:9",)), ("audit", ("child:5",))]


def test_an_export_holds_all_that_is_needed_to_check_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.audit.queries.EXPORT_PAGE", 8)
    write_trail(store, 30)
    lines: list[bytes] = []
    assert export(store, AUDITOR, lines.append, now=NOW) == 30
    previous = "0" * 64
    for number, line in enumerate(lines, 1):
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        entry = json.loads(line)
        digest = entry.pop("hash")
        assert entry.pop("position") == number and entry["previous_hash"] == previous
        assert entry_hash(**entry) == digest
        previous = digest
    assert export(store, AUDITOR, lines.append, now=NOW, after=28) == 3


def test_no_line_leaves_before_the_disclosure_is_on_record(store: Store) -> None:
    write_trail(store, 3)
    run_sql(store, "UPDATE audit_head SET entries = 1")  # so that nothing can be recorded
    lines: list[bytes] = []
    with pytest.raises(StorageError):
        export(store, AUDITOR, lines.append, now=NOW)
    assert lines == []


def test_a_disclosure_names_what_left(store: Store) -> None:
    write_trail(store, 3)
    export(store, AUDITOR, lambda line: None, now=NOW, after=1)
    found = store.read_now(lambda tx: tx.row("SELECT verb, kind, ids FROM audit_entry WHERE position = 4"))
    assert found == ("disclosure", "audit", '["2-3"]')
