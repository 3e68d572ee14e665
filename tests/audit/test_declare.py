"""Declaring: a function that shows or changes without an entry does not get away with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.audit import (
    AuditMissing,
    Verb,
    audited,
    declaration,
    declared_verb,
    impersonal,
    person,
    record,
)
from server.storage import Store, Transaction
from tests.audit.trails import NOW

ME = person(3)


@audited(Verb.CONSULTATION)
def shows(tx: Transaction, answer: object, *, records: bool) -> object:
    if records:
        record(tx, ME, Verb.CONSULTATION, "child", [5] if answer else [], now=NOW)
    return answer


@audited(Verb.ALTERATION)
def changes(answer: object, tx: Transaction, *, verb: Verb | None) -> object:
    if verb is not None:
        record(tx, ME, verb, "child", [5], now=NOW)
    return answer


@pytest.mark.parametrize("answer", [None, [], "", 0])
def test_showing_nothing_needs_no_entry(store: Store, answer: object) -> None:
    assert store.read_now(lambda tx: shows(tx, answer, records=False)) == answer
    assert store.read_now(lambda tx: shows(tx, answer, records=True)) == answer


def test_showing_something_needs_an_entry(store: Store) -> None:
    assert store.read_now(lambda tx: shows(tx, ["child 5"], records=True)) == ["child 5"]
    with pytest.raises(AuditMissing, match="shows declares consultation"):
        store.read_now(lambda tx: shows(tx=tx, answer=["child 5"], records=False))


@pytest.mark.parametrize("answer", [None, 1, "changed"])
def test_changing_needs_an_entry_of_its_own_verb(store: Store, answer: object) -> None:
    assert store.write_now(lambda tx: changes(answer, tx, verb=Verb.ALTERATION)) == answer
    for verb in (None, Verb.CONSULTATION):
        with pytest.raises(AuditMissing):
            store.write_now(lambda tx, verb=verb: changes(answer, tx, verb=verb))  # type: ignore[misc]


@pytest.mark.parametrize("answer", [False, 0, []])
def test_a_change_that_says_nothing_was_changed_needs_no_entry(store: Store, answer: object) -> None:
    assert store.write_now(lambda tx: changes(answer, tx, verb=None)) == answer


def test_an_entry_of_a_former_call_does_not_count(store: Store) -> None:
    def work(tx: Transaction) -> None:
        changes(None, tx, verb=Verb.ALTERATION)
        changes(None, tx, verb=None)

    with pytest.raises(AuditMissing):
        store.write_now(work)
    assert store.read_now(lambda tx: tx.value("SELECT count(*) FROM audit_entry")) == 0


def test_a_declaration_can_be_read() -> None:
    @impersonal("counts rows only")
    def count(tx: Transaction) -> int:
        return 0

    def undeclared(tx: Transaction) -> int:
        return 0

    assert declared_verb(shows) is Verb.CONSULTATION
    assert declared_verb(count) is None and declared_verb(undeclared) is None
    found = declaration(count)
    assert found is not None and found.impersonal_because == "counts rows only"
    assert declaration(undeclared) is None
    assert shows.__name__ == "shows"


def test_what_cannot_be_audited_is_refused_when_it_is_declared() -> None:
    def no_tx() -> None: ...

    def generates(tx: Transaction) -> Iterator[int]:
        yield 1

    async def waits(tx: Transaction) -> None: ...

    for function in (no_tx, generates, waits):
        with pytest.raises(TypeError):
            audited(Verb.CONSULTATION)(function)
    with pytest.raises(TypeError):
        impersonal("  ")
