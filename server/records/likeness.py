"""Closed cases like one, by what they share in words: rules, categories, and how the duty went. No score."""

import msgspec

from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, record
from server.casework.facts import NoteFact
from server.storage.port import Transaction
from sync.vocabulary import CATEGORY_LABELS

LOOKED_THROUGH_MAX = 300
"""The newest alerts that share a rule; older ones say less about how work is done now."""

SHOWN = 5
_decode = msgspec.msgpack.Decoder(NoteFact).decode


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """Another alert and what it has in common, in words."""

    alert_id: int
    child_id: int
    borough: str
    shared: tuple[str, ...]


@audited(Verb.CONSULTATION)
def like(tx: Transaction, person: Person, alert_id: int, *, now: int) -> list[Alike]:
    """The alerts of other children that share most with this one, the most first, of the person's boroughs."""
    if not person.may(Permission.SAMPLE):
        return []
    mine = _features(tx, alert_id)
    rows = tx.rows(
        "SELECT DISTINCT a.alert_id, a.child_id, a.borough FROM alert me"
        " JOIN alert_flag l ON l.alert_id = me.alert_id JOIN flag f ON f.flag_id = l.flag_id"
        " JOIN flag g ON g.rule = f.rule JOIN alert_flag k ON k.flag_id = g.flag_id"
        " JOIN alert a ON a.alert_id = k.alert_id WHERE me.alert_id = :alert AND a.child_id <> me.child_id"
        " ORDER BY a.alert_id DESC LIMIT :most",
        {"alert": alert_id, "most": LOOKED_THROUGH_MAX},
    )
    found = [
        Alike(alert_id=other, child_id=child_id, borough=borough, shared=shared)
        for other, child_id, borough in rows
        if person.sees_borough(borough)
        and len(shared := tuple(one for one in _features(tx, other) if one in mine)) > 1
    ]
    found.sort(key=lambda one: (-len(one.shared), -one.alert_id))
    shown = found[:SHOWN]
    ids = [one.alert_id for one in shown]
    record(
        tx,
        Actor("person", person.username),
        Verb.CONSULTATION,
        "alert",
        ids,
        now=now,
        reason="cases like this",
    )
    return shown


def _features(tx: Transaction, alert_id: int) -> tuple[str, ...]:
    """What an alert is about and how it went, in words."""
    row = tx.row(
        "SELECT a.highest_grade, a.late_by_ms, a.deadline_at, a.acknowledged_at, a.level, c.looked_after"
        " FROM alert a JOIN child c ON c.child_id = a.child_id WHERE a.alert_id = :alert",
        {"alert": alert_id},
    )
    assert row is not None, "alerts are never deleted"
    grade, late, deadline, answered, level, looked_after = row
    rules = tx.rows(
        "SELECT DISTINCT f.rule FROM alert_flag l JOIN flag f ON f.flag_id = l.flag_id"
        " WHERE l.alert_id = :alert ORDER BY f.rule",
        {"alert": alert_id},
    )
    said = [f"the rule “{rule.replace('_', ' ')}”" for (rule,) in rules if rule != "concern"]
    categories: dict[str, None] = {}
    for (facts,) in tx.rows(
        "SELECT s.facts FROM alert_flag l JOIN flag_note n ON n.flag_id = l.flag_id JOIN note o"
        " ON o.note_id = n.note_id JOIN subject s ON s.note_key = o.note_key JOIN alert a ON a.alert_id = l.alert_id"
        " WHERE l.alert_id = :alert AND s.child_id = a.child_id ORDER BY s.subject_id",
        {"alert": alert_id},
    ):
        fact = _decode(facts)
        categories.update(dict.fromkeys(CATEGORY_LABELS[one].lower() for one in fact.categories))
        if fact.danger_now:
            categories["danger now"] = None
        if fact.exploitation_indicator:
            categories["a sign of exploitation"] = None
    said += categories
    said.append(f"graded {grade}")
    if looked_after:
        said.append("a looked-after child")
    if late:
        said.append("late on arrival")
    if deadline is not None and answered is not None and answered > deadline:
        said.append("answered after its deadline")
    if level:
        said.append("escalated before it was answered")
    return tuple(said)
