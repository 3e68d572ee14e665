"""What other rules would make of notes that are here already: asked, counted, and never done.

A child at a time, in chunks, so that ten years of notes need no more memory than one chunk. Looking is all that
happens: the only thing written is that somebody looked.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from server.audit import Actor
from server.casework.assess import assess
from server.casework.pack import Pack
from server.records import cases, child_facts, children, note_subjects
from server.records.cases import Flag
from server.storage.port import Store, Transaction
from sync.vocabulary import Grade

CHUNK_CHILDREN = 500
"""One reading transaction each: some hundredths of a second, so that nobody waits for it."""


class ChangeKind(StrEnum):
    RAISED = "raised"
    DROPPED = "dropped"
    REGRADED = "regraded"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A flag that would be there, would not, or would have another grade."""

    child_id: int
    kind: ChangeKind
    rule: str
    flag_key: str
    grade: Grade


class Stands(Protocol):
    """A flag, as stored or as the rules want it."""

    @property
    def flag_key(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def grade(self) -> Grade: ...

    @property
    def raised_at(self) -> int: ...


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A child's flags, those retracted too, and how the rules in force would change them."""

    flags: tuple[Flag, ...]
    changes: tuple[Change, ...]


class Tally:
    """Changes counted by rule and kind, with the first children of each. Children come in order."""

    def __init__(self, children_named: int) -> None:
        self.flags: Counter[tuple[str, str]] = Counter()
        self.children: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], list[int]] = {}
        self._named = children_named
        self._last: dict[tuple[str, str], int] = {}

    def add(self, change: Change) -> None:
        """Count one more."""
        key = change.rule, change.kind.value
        self.flags[key] += 1
        if self._last.get(key) == change.child_id:
            return
        self._last[key] = change.child_id
        self.children[key] += 1
        if self.children[key] <= self._named:
            self.first.setdefault(key, []).append(change.child_id)


def difference(
    child_id: int, before: Iterable[Stands], after: Iterable[Stands], since: int = 0
) -> list[Change]:
    """How two sets of flags differ, by key, of those that were or would be raised from `since` on."""
    old = {flag.flag_key: flag for flag in before}
    new = {flag.flag_key: flag for flag in after}
    changes = []
    for key, flag in sorted((old | new).items()):
        kind = None
        if key not in old:
            kind = ChangeKind.RAISED
        elif key not in new:
            kind = ChangeKind.DROPPED
        elif old[key].grade is not new[key].grade:
            kind = ChangeKind.REGRADED
        if kind is not None and flag.raised_at >= since:
            changes.append(
                Change(child_id=child_id, kind=kind, rule=flag.rule, flag_key=key, grade=flag.grade)
            )
    return changes


def replay(
    store: Store, actor: Actor, pack: Pack, since: int, *, now: int, against: Pack | None = None
) -> Iterator[tuple[int, list[Change]]]:
    """(children looked at, changes) chunk by chunk, over every child with a note received from `since` on.

    What `pack` says of their notes is compared with what `against` says, or without it with the flags that
    stand. Notes count for the roles that counted when they came. Each record of a merged child is looked at by
    itself.
    """
    after = 0
    while True:
        look = functools.partial(
            _chunk, actor=actor, pack=pack, against=against, since=since, after=after, now=now
        )
        looked, changes = store.read_now(look)
        if not looked:
            return
        yield len(looked), changes
        after = looked[-1]


def _chunk(
    tx: Transaction, *, actor: Actor, pack: Pack, against: Pack | None, since: int, after: int, now: int
) -> tuple[Sequence[int], list[Change]]:
    looked = note_subjects.children_with_notes(tx, since=since, after=after, limit=CHUNK_CHILDREN)
    stored = cases.consult(tx, actor, looked, now=now, reason="rules replay")
    changes: list[Change] = []
    for child_id in looked:
        child, facts = child_facts.facts(tx, child_id, now=now), note_subjects.facts_of_child(tx, child_id)
        before: Sequence[Stands] = assess(child, facts, against, now).flags if against else stored[child_id]
        changes += difference(child_id, before, assess(child, facts, pack, now).flags, since)
    return looked, changes


def explain(tx: Transaction, actor: Actor, child_id: int, pack: Pack, *, now: int) -> Explained | None:
    """A child's flags and why, and what the rules in force would change; None where there is no such child."""
    if not children.exists(tx, child_id):
        return None
    own = cases.consult(tx, actor, [child_id], now=now, reason="rules explain")[child_id]
    child, facts = child_facts.facts(tx, child_id, now=now), note_subjects.facts_of_child(tx, child_id)
    wanted = assess(child, facts, pack, now).flags
    return Explained(
        flags=tuple(cases.flags_of(tx, child_id, retracted=True)),
        changes=tuple(difference(child_id, own, wanted)),
    )
