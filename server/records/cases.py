"""What all the notes about one child mean together: flags kept equal to what the rules say, and their duties.

`reassess` is called in the transaction of whatever changed the child's notes (a note, an amendment, a
withdrawal, a link decided or undone): it asks casework what the flags should be, and makes them so.
"""

from collections.abc import Sequence

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.assess import RaisedFlag, assess
from server.casework.clocks import deadline, escalations
from server.casework.facts import ChildFacts, NoteFact, in_danger
from server.casework.pack import Pack
from server.casework.routing import Ownership, route
from server.records import alerts, children, links, notes
from server.storage.port import Transaction
from sync.vocabulary import Grade

GROUNDS_GONE = "The notes that raised it no longer stand on this child"


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A flag as it is kept."""

    flag_id: int
    flag_key: str
    rule: str
    rule_version: str
    grade: Grade
    sentence: str
    proposes: str | None
    raised_at: int
    changed_at: int
    retracted_at: int | None
    retraction: str | None
    note_ids: tuple[str, ...]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """The note that caused a reassessment: it decides where the duty goes and how late it is."""

    note_id: str
    observed_at: int
    received_at: int
    found_borough: str | None
    author_borough: str | None
    danger_now: bool


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a reassessment did."""

    grade: Grade | None
    owner: str | None
    raised: int
    alert_id: int | None


@impersonal("what the rules keep for a child; a person sees it with the child, whose showing is logged")
def flags_of(tx: Transaction, child_id: int, *, retracted: bool = False) -> list[Flag]:
    """The flags of a child, oldest first; with those retracted where asked for."""
    condition = "" if retracted else " AND f.retracted_at IS NULL"
    rows = tx.rows(
        "SELECT f.flag_id, f.flag_key, f.rule, f.rule_version, f.grade, f.sentence, f.proposes, f.raised_at,"
        " f.changed_at, f.retracted_at, f.retraction, n.note_id FROM flag f"
        f" LEFT JOIN flag_note n ON n.flag_id = f.flag_id WHERE f.child_id = :child{condition}"
        " ORDER BY f.flag_id, n.note_id",
        {"child": child_id},
    )
    found: dict[int, tuple[Sequence[object], list[str]]] = {}
    for *values, note_id in rows:
        kept = found.setdefault(values[0], (values, []))
        if note_id is not None:
            kept[1].append(note_id)
    names = [field for field in Flag.__struct_fields__ if field != "note_ids"]
    return [
        msgspec.convert(dict(zip(names, values, strict=True)) | {"note_ids": tuple(ids)}, Flag)
        for values, ids in found.values()
    ]


@audited(Verb.ALTERATION)
def reassess(
    tx: Transaction,
    actor: Actor,
    child_id: int,
    pack: Pack,
    *,
    now: int,
    arrival: Arrival | None = None,
    channels: Sequence[str] = (),
    made_for: tuple[children.Details, NoteFact] | None = None,
) -> Outcome:
    """Make a child's flags what the rules say, and see that somebody has the duty.

    `made_for` says that the child was made a moment ago for this one note, so that what is stored of it
    need not be read back.
    """
    if made_for is not None:
        child, facts = children.facts_of_new(child_id, made_for[0]), [made_for[1]]
    else:
        child = children.facts(tx, child_id, now=now)
        facts = notes.facts_of_child(tx, child_id)
    assessment = assess(child, facts, pack, now)
    stored = {} if made_for else {flag.flag_key: flag for flag in flags_of(tx, child_id)}
    wanted = {flag.flag_key: flag for flag in assessment.flags}
    gone = [flag for key, flag in stored.items() if key not in wanted]
    if made_for is None:
        # A record made for this note a moment ago has no review yet.
        urgency = assessment.grade.urgency if assessment.grade else 0
        links.keep_stake(tx, child_id, danger=in_danger(facts), urgency=urgency)
    if gone:
        _retract(tx, actor, child_id, gone, now)
    fresh: list[tuple[int, RaisedFlag]] = []
    for key, flag in wanted.items():
        before = stored.get(key)
        if before is None:
            fresh.append((_raise(tx, child_id, flag, now), flag))
        elif _update(tx, before, flag, now):
            fresh.append((before.flag_id, flag))
    record(tx, actor, Verb.ALTERATION, "child", [child_id], now=now)
    if not fresh:
        return Outcome(grade=assessment.grade, owner=None, raised=0, alert_id=None)
    ownership = _ownership(child, facts, arrival, pack)
    duty = _duty(child_id, fresh, ownership, facts, arrival, pack, now, first=made_for is not None)
    urgent = any(flag.flag_key not in stored for _, flag in fresh)
    alert_id = alerts.put(tx, duty, now=now, urgent=urgent, channels=channels)
    tx.execute(
        "UPDATE child SET owner_borough = :owner WHERE child_id = :child"
        " AND (owner_borough IS NULL OR owner_borough <> :owner)",
        {"owner": ownership.owner, "child": child_id},
    )
    seen_by = (ownership.owner, *ownership.copies, *_where_found(arrival))
    children.add_boroughs(tx, child_id, dict.fromkeys(seen_by))
    return Outcome(grade=assessment.grade, owner=ownership.owner, raised=len(fresh), alert_id=alert_id)


@audited(Verb.ALTERATION)
def reroute(
    tx: Transaction, actor: Actor, child_id: int, pack: Pack, *, now: int, channels: Sequence[str] = ()
) -> Outcome:
    """Judge a child's notes anew because where it lives, who has its care or how it is kept is another now.

    A borough that had no part in the child before may see it and gets a copy of its live alerts. The duty stays
    where it is while an alert is live: a transfer needs acceptance, and the sender owns until then.
    """
    outcome = reassess(tx, actor, child_id, pack, now=now, channels=channels)
    facts = notes.facts_of_child(tx, child_id)
    ownership = _ownership(children.facts(tx, child_id, now=now), facts, None, pack)
    concerned = (ownership.owner, *ownership.copies)
    live = alerts.open_ids(tx, child_id)
    for alert_id in live:
        alerts.copy_to(tx, actor, alert_id, concerned, now=now, channels=channels)
    if not live:
        tx.execute(
            "UPDATE child SET owner_borough = :owner WHERE child_id = :child",
            {"owner": ownership.owner, "child": child_id},
        )
    children.add_boroughs(tx, child_id, concerned)
    return outcome


@impersonal("a grade, for the server's own work")
def stake(tx: Transaction, child_id: int) -> tuple[bool, int]:
    """What is at stake with a record: danger now or not, and the urgency of its gravest flag."""
    urgency = max((flag.grade.urgency for flag in flags_of(tx, child_id)), default=0)
    return in_danger(notes.facts_of_child(tx, child_id)), urgency


def _where_found(arrival: Arrival | None) -> list[str]:
    named = (arrival.found_borough, arrival.author_borough) if arrival else ()
    return [code for code in named if code]


def _ownership(
    child: ChildFacts, facts: Sequence[NoteFact], arrival: Arrival | None, pack: Pack
) -> Ownership:
    """Who owns the child, by the note that came; without one (a link decided later), by the newest note."""
    if arrival is None and facts:
        newest = max(facts, key=lambda fact: (fact.received_at, fact.note_id))
        return route(child, newest.borough, newest.danger_now, None, pack)
    if arrival is None:
        return route(child, None, False, None, pack)
    return route(child, arrival.found_borough, arrival.danger_now, arrival.author_borough, pack)


def _raise(tx: Transaction, child_id: int, flag: RaisedFlag, now: int) -> int:
    flag_id: int = tx.insert(
        "INSERT INTO flag (child_id, flag_key, rule, rule_version, grade, sentence, proposes, raised_at,"
        " changed_at) VALUES (:child, :key, :rule, :version, :grade, :sentence, :proposes, :now, :now)",
        {
            "child": child_id,
            "key": flag.flag_key,
            "rule": flag.rule,
            "version": flag.rule_version,
            "grade": flag.grade.value,
            "sentence": flag.sentence,
            "proposes": flag.proposes,
            "now": now,
        },
        "flag_id",
    )
    tx.executemany(
        "INSERT INTO flag_note (flag_id, note_id) VALUES (:flag, :note)",
        [{"flag": flag_id, "note": note_id} for note_id in flag.note_ids],
    )
    return flag_id


def _update(tx: Transaction, before: Flag, flag: RaisedFlag, now: int) -> bool:
    """Make a stored flag what the rules say now; True where a note was added or it became graver."""
    old, new = set(before.note_ids), set(flag.note_ids)
    if old == new and before.grade is flag.grade and before.sentence == flag.sentence:
        return False
    tx.execute(
        "UPDATE flag SET grade = :grade, sentence = :sentence, rule_version = :version, proposes = :proposes,"
        " changed_at = :now WHERE flag_id = :flag",
        {
            "grade": flag.grade.value,
            "sentence": flag.sentence,
            "version": flag.rule_version,
            "proposes": flag.proposes,
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
    return bool(new - old) or flag.grade.urgency > before.grade.urgency


def _retract(tx: Transaction, actor: Actor, child_id: int, gone: Sequence[Flag], now: int) -> None:
    """Withdraw flags whose grounds are gone, and close the alerts that had no other flag."""
    for flag in gone:
        tx.execute(
            "UPDATE flag SET retracted_at = :now, retraction = :why, changed_at = :now WHERE flag_id = :flag",
            {"now": now, "why": GROUNDS_GONE, "flag": flag.flag_id},
        )
    groundless = tx.rows(
        "SELECT a.alert_id FROM alert a WHERE a.child_id = :child AND a.state <> 'closed' AND NOT EXISTS"
        " (SELECT 1 FROM alert_flag l JOIN flag f ON f.flag_id = l.flag_id"
        " WHERE l.alert_id = a.alert_id AND f.retracted_at IS NULL)",
        {"child": child_id},
    )
    alerts.close(tx, actor, [alert_id for (alert_id,) in groundless], GROUNDS_GONE, now=now)


def _duty(
    child_id: int,
    fresh: Sequence[tuple[int, RaisedFlag]],
    ownership: Ownership,
    facts: Sequence[NoteFact],
    arrival: Arrival | None,
    pack: Pack,
    now: int,
    *,
    first: bool,
) -> alerts.Duty:
    """One duty for all that is fresh: the gravest flag names it and sets its clock."""
    # Of several as grave and as new, the first in the pack's order of telling names the alert.
    _, gravest = max(fresh, key=lambda pair: (pair[1].grade.urgency, pair[1].raised_at))
    observed_at = arrival.observed_at if arrival else max(fact.observed_at for fact in facts)
    clock = deadline(gravest.grade, pack.preset_of(ownership.owner), now, observed_at, pack)
    ladder = escalations(gravest.grade, clock.starts_at, clock.deadline_at, pack)
    return alerts.Duty(
        child_id=child_id,
        borough=ownership.owner,
        owner_reason=ownership.reason,
        grade=gravest.grade,
        why=gravest.sentence,
        flag_ids=tuple(flag_id for flag_id, _ in fresh),
        deadline_at=clock.deadline_at,
        late_by_ms=clock.late_by_ms,
        ladder=tuple(step.at for step in ladder),
        copies=ownership.copies,
        first=first,
    )
