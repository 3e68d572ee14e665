"""Flags as they are kept: each says what a rule found in notes, and names them. Nothing is ever deleted.

A flag is of one record, or *joint*: of all records of a merged child, and kept on the one that it continues as.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from server.audit import impersonal
from server.casework.assess import RaisedFlag
from server.casework.facts import NoteFact
from server.casework.pack import CONCERN
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.vocabulary import Grade

GROUNDS_GONE = "The notes that raised it no longer stand on this child"
WITHDRAWN = "Notes that raised it were withdrawn by their authors"
FOUND_NO_MORE = "Its notes stand, but by the rules they no longer raise it"
TAKEN_UP = "Another flag says it now: {sentence}"
SEPARATE = "The records that raised it together are separate again"


class Saying(Protocol):
    """A flag, kept or only wanted: what it says of which notes."""

    @property
    def rule(self) -> str: ...
    @property
    def grade(self) -> Grade: ...
    @property
    def sentence(self) -> str: ...
    @property
    def note_ids(self) -> tuple[str, ...]: ...


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A flag as it is kept."""

    flag_id: int
    flag_key: str
    rule: str
    rule_version: str
    grade: Grade
    sentence: str
    proposes: str | None
    due_at: int | None
    due_words: str | None
    raised_at: int
    changed_at: int
    retracted_at: int | None
    retraction: str | None
    note_ids: tuple[str, ...]


@impersonal("what the rules keep for a record, for the server's own work")
def own(tx: Transaction, child_id: int) -> list[Flag]:
    """The flags that hold on one record by itself, oldest first."""
    return _flags(tx, "f.child_id = :child AND f.joint = 0 AND f.retracted_at IS NULL", child_id)


@impersonal("what the rules keep for a child, for the server's own work")
def own_of_all(tx: Transaction, kept_id: int) -> list[Flag]:
    """The flags that hold on each record of a child by itself."""
    return _flags(tx, f"f.child_id IN {WHOLE} AND f.joint = 0 AND f.retracted_at IS NULL", kept_id)


@impersonal("what the rules keep for a child, for the server's own work")
def joint(tx: Transaction, kept_id: int) -> list[Flag]:
    """The joint flags that hold on a merged child."""
    return _flags(tx, "f.child_id = :child AND f.joint = 1 AND f.retracted_at IS NULL", kept_id)


@impersonal("what the rules keep for a child; a person sees it with the child, whose showing is logged")
def flags_of(tx: Transaction, child_id: int, *, retracted: bool = False) -> list[Flag]:
    """The flags of a child, oldest first; with those retracted where asked for.

    Of the kept record of a merged child these are the joint flags, and what was retracted on any of its records.
    """
    merged = tx.value(
        "SELECT 1 FROM child WHERE child_id = :child AND cluster_id = :child", {"child": child_id}
    )
    if merged is None:
        past = "f.child_id = :child AND f.joint = 0"
        return _flags(tx, past, child_id) if retracted else own(tx, child_id)
    # A joint flag that went without ever having told anybody is no part of the story.
    past = (
        f"f.child_id IN {WHOLE} AND (CASE WHEN f.joint = 0 THEN f.retracted_at IS NOT NULL ELSE"
        " f.retracted_at IS NULL OR EXISTS (SELECT 1 FROM alert_flag l WHERE l.flag_id = f.flag_id) END)"
    )
    return _flags(tx, past, child_id) if retracted else joint(tx, child_id)


def _flags(tx: Transaction, condition: str, child_id: int) -> list[Flag]:
    rows = tx.rows(
        "SELECT f.flag_id, f.flag_key, f.rule, f.rule_version, f.grade, f.sentence, f.proposes, f.due_at,"
        " f.due_words, f.raised_at, f.changed_at, f.retracted_at, f.retraction, n.note_id FROM flag f"
        f" LEFT JOIN flag_note n ON n.flag_id = f.flag_id WHERE {condition}"
        " ORDER BY f.flag_id, n.note_id",
        {"child": child_id},
    )
    found: dict[int, tuple[Sequence[object], list[str]]] = {}
    for *values, note_id in rows:
        kept = found.setdefault(values[0], (values, []))
        if note_id is not None:
            kept[1].append(note_id)
    return [_flag(values, ids) for values, ids in found.values()]


_names = [field for field in Flag.__struct_fields__ if field != "note_ids"]


def _flag(values: Sequence[Any], note_ids: Sequence[str]) -> Flag:
    kept = dict(zip(_names, values, strict=True))
    kept["grade"] = Grade(kept["grade"])
    return Flag(note_ids=tuple(note_ids), **kept)


@impersonal("flags; the change of what holds on the child is logged by its caller")
def write(
    tx: Transaction,
    child_id: int,
    wanted: Sequence[RaisedFlag],
    stored: dict[str, Flag],
    now: int,
    *,
    joint: bool,
    said: Sequence[Flag] = (),
) -> list[tuple[int, RaisedFlag]]:
    """Make the stored flags what the rules say; those that are new, have a new note, or became graver.

    Those that no longer hold stay as they are: `retract` them. `said`: flags that hold on single records, since
    when a joint flag stands that says no more than they do.
    """
    fresh: list[tuple[int, RaisedFlag]] = []
    for flag in wanted:
        before = stored.get(flag.flag_key)
        if before is None:
            since = [one.raised_at for one in said if says(one, flag)]
            fresh.append((_raise(tx, child_id, flag, min(since, default=now), now, joint=joint), flag))
        elif _differs(before, flag):
            _update(tx, before, flag, now)
            if _is_more(before, flag):
                fresh.append((before.flag_id, flag))
    return fresh


@impersonal("compares flags")
def became_less(stored: dict[str, Flag], wanted: Sequence[RaisedFlag]) -> bool:
    """Whether one of the stored flags says less by the rules than it did: of fewer notes, or for longer. A note of a
    concern that another flag has taken up is no less."""
    pairs = [(stored[flag.flag_key], flag) for flag in wanted if flag.flag_key in stored]
    return any(
        _differs(before, flag) and not _is_more(before, flag) and not said(before, wanted)
        for before, flag in pairs
    )


def _differs(before: Flag, flag: RaisedFlag) -> bool:
    """Whether a stored flag says other than the rules say now."""
    said = (before.grade, before.sentence, before.due_at, set(before.note_ids))
    return said != (flag.grade, flag.sentence, flag.due_at, set(flag.note_ids))


def _is_more(before: Flag, flag: RaisedFlag) -> bool:
    """Whether somebody must hear of a change: a note was added, it became graver, or it ends sooner."""
    sooner = flag.due_at is not None and (before.due_at is None or flag.due_at < before.due_at)
    graver = flag.grade.urgency > before.grade.urgency
    return graver or sooner or not set(flag.note_ids) <= set(before.note_ids)


@impersonal("flags; the change of what holds on the child is logged by its caller")
def retract(
    tx: Transaction, child_id: int, gone: Mapping[Flag, str], now: int, *, joint: bool
) -> dict[int, str]:
    """Withdraw flags, each with its reason. The alerts on the child that have no other flag now, with the reason of
    their last; where they are joint, also those that stayed on another record when the flag moved with most of its
    notes."""
    if not gone:
        return {}
    for flag, why in gone.items():
        tx.execute(
            "UPDATE flag SET retracted_at = :now, retraction = :why, changed_at = :now WHERE flag_id = :flag",
            {"now": now, "why": why, "flag": flag.flag_id},
        )
    numbers = ", ".join(str(int(flag.flag_id)) for flag in gone)
    elsewhere = f"a.alert_id IN (SELECT alert_id FROM alert_flag WHERE flag_id IN ({numbers}))"
    where = f"(a.child_id = :child OR {elsewhere})" if joint else "a.child_id = :child"
    groundless = tx.rows(
        f"SELECT a.alert_id, (SELECT MAX(l.flag_id) FROM alert_flag l WHERE l.alert_id = a.alert_id AND l.flag_id IN"
        f" ({numbers})) FROM alert a WHERE {where} AND a.joint = {int(joint)}"
        " AND a.state <> 'closed' AND NOT EXISTS"
        " (SELECT 1 FROM alert_flag l JOIN flag f ON f.flag_id = l.flag_id"
        " WHERE l.alert_id = a.alert_id AND f.retracted_at IS NULL)",
        {"child": child_id},
    )
    why_of = {flag.flag_id: why for flag, why in gone.items()}
    return {alert_id: why_of.get(flag_id, GROUNDS_GONE) for alert_id, flag_id in groundless}


@impersonal("compares two flags")
def says(one: Saying, flag: Saying) -> bool:
    """Whether a flag that stands says all that another would: the same rule, as grave, with all its notes."""
    return (
        one.rule == flag.rule
        and one.grade.urgency >= flag.grade.urgency
        and set(flag.note_ids) <= set(one.note_ids)
    )


@impersonal("compares flags")
def said(flag: Saying, others: Sequence[Saying]) -> bool:
    """Whether other flags, and so their duties, say all of it.

    A concern says no more than its notes do; what a rule finds in several notes is said only by a flag of that
    rule with all of them.
    """
    if flag.rule == CONCERN:
        as_grave = [one for one in others if one.grade.urgency >= flag.grade.urgency]
        return set(flag.note_ids) <= {note_id for one in as_grave for note_id in one.note_ids}
    return any(says(one, flag) for one in others)


@impersonal("compares flags")
def why_gone(flag: Flag, wanted: Sequence[Saying], facts: Sequence[NoteFact]) -> str:
    """Why the rules no longer say what a flag says, in words for whoever was told of it."""
    if said(flag, wanted):
        others = [one for one in wanted if not set(flag.note_ids).isdisjoint(one.note_ids)]
        return TAKEN_UP.format(sentence=max(others, key=lambda one: one.grade.urgency).sentence)
    lost = set(flag.note_ids) - {fact.note_id for fact in facts if not fact.withdrawn}
    if not lost:
        return FOUND_NO_MORE
    return WITHDRAWN if lost <= {fact.note_id for fact in facts} else GROUNDS_GONE


def _raise(tx: Transaction, child_id: int, flag: RaisedFlag, raised_at: int, now: int, *, joint: bool) -> int:
    flag_id: int = tx.insert(
        "INSERT INTO flag (child_id, flag_key, rule, rule_version, grade, sentence, proposes, due_at,"
        " due_words, warns_at, raised_at, changed_at, joint) VALUES (:child, :key, :rule, :version, :grade, :sentence,"
        " :proposes, :due, :due_words, :warns, :raised, :now, :joint)",
        {
            "child": child_id,
            "key": flag.flag_key,
            "rule": flag.rule,
            "version": flag.rule_version,
            "grade": flag.grade.value,
            "sentence": flag.sentence,
            "proposes": flag.proposes,
            "due": flag.due_at,
            "due_words": flag.due_words,
            "warns": flag.warns_at,
            "raised": raised_at,
            "now": now,
            "joint": int(joint),
        },
        "flag_id",
    )
    tx.executemany(
        "INSERT INTO flag_note (flag_id, note_id) VALUES (:flag, :note)",
        [{"flag": flag_id, "note": note_id} for note_id in flag.note_ids],
    )
    return flag_id


def _update(tx: Transaction, before: Flag, flag: RaisedFlag, now: int) -> None:
    """Make a stored flag what the rules say now."""
    old, new = set(before.note_ids), set(flag.note_ids)
    tx.execute(
        "UPDATE flag SET grade = :grade, sentence = :sentence, rule_version = :version, proposes = :proposes,"
        " warned_at = CASE WHEN due_at = :due THEN warned_at END, due_at = :due, due_words = :due_words,"
        " warns_at = :warns, changed_at = :now WHERE flag_id = :flag",
        {
            "grade": flag.grade.value,
            "sentence": flag.sentence,
            "version": flag.rule_version,
            "proposes": flag.proposes,
            "due": flag.due_at,
            "due_words": flag.due_words,
            "warns": flag.warns_at,
            "now": now,
            "flag": before.flag_id,
        },
    )
    tx.executemany(
        "INSERT INTO flag_note (flag_id, note_id) VALUES (:flag, :note)",
        [{"flag": before.flag_id, "note": note_id} for note_id in sorted(new - old)],
    )
    tx.executemany(
        "DELETE FROM flag_note WHERE flag_id = :flag AND note_id = :note",
        [{"flag": before.flag_id, "note": note_id} for note_id in sorted(old - new)],
    )
