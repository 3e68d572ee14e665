"""What all the notes about one child mean together: flags kept equal to what the rules say, and their duties.

`reassess` is called in the transaction of whatever changed the child's notes (a note, an amendment, a
withdrawal, a link decided or undone, a merge): it asks casework what the flags should be, and makes them so.

Every record has flags and alerts of its own, from the notes that stand on it, and no merge touches them: so
taking a merge back has nothing to put right. A child of several records has *joint* flags besides, from all its
notes together, which are what is shown of it; and a joint alert for what its records mean only together.
"""

from collections.abc import Sequence

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.assess import RaisedFlag, assess
from server.casework.clocks import deadline, first_hearing_at
from server.casework.facts import ChildFacts, NoteFact, in_danger
from server.casework.pack import Pack
from server.casework.routing import Ownership, route
from server.records import briefing, child, child_facts, children, duties, flags, links, note_subjects, sight
from server.records.flags import SEPARATE, Flag, flags_of
from server.storage.port import Transaction
from sync.vocabulary import Grade

__all__ = [
    "Arrival",
    "Flag",
    "Outcome",
    "consult",
    "flags_of",
    "reassess",
    "reassess_together",
    "reroute",
]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """The note that caused a reassessment: it decides where the duty goes and how late it is."""

    note_id: str
    observed_at: int
    recorded_at: int
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


class _Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a reassessment goes by: the child, its notes, and what caused it."""

    child: ChildFacts
    facts: list[NoteFact]
    arrival: Arrival | None
    pack: Pack
    now: int
    running_since: int | None
    first: bool = False


@audited(Verb.CONSULTATION)
def consult(
    tx: Transaction, actor: Actor, child_ids: Sequence[int], *, now: int, reason: str
) -> dict[int, list[Flag]]:
    """The flags that hold on these records by themselves, for somebody who looks into the rules."""
    record(tx, actor, Verb.CONSULTATION, "child", child_ids, now=now, reason=reason)
    return {child_id: flags.own(tx, child_id) for child_id in child_ids}


@audited(Verb.ALTERATION)
def reassess(
    tx: Transaction,
    actor: Actor,
    child_id: int,
    pack: Pack,
    *,
    now: int,
    arrival: Arrival | None = None,
    made_for: tuple[child.Details, NoteFact] | None = None,
    running_since: int | None = None,
) -> Outcome:
    """Make the flags of a record, and of the child that it is part of, what the rules say, and see that somebody
    has the duty.

    `made_for` says that the child was made a moment ago for this one note, so that what is stored of it
    need not be read back. `running_since`: a note was moved here from a duty whose clock has run since then and
    which nobody has answered, so the clock runs on.
    """
    if made_for is not None:
        child, facts = child_facts.facts_of_new(child_id, made_for[0]), [made_for[1]]
    else:
        child = child_facts.facts(tx, child_id, now=now)
        facts = note_subjects.facts_of_child(tx, child_id)
    # Nothing stands on a record before its first note, so there is nothing to read back.
    first = arrival is not None and len(facts) == 1 and child.kept_id is None
    ground = _Ground(
        child=child, facts=facts, arrival=arrival, pack=pack, now=now,
        running_since=running_since, first=first,
    )  # fmt: skip
    stored = {} if first else {flag.flag_key: flag for flag in flags.own(tx, child_id)}
    grade, fresh, emptied = _judge(tx, actor, ground, stored, joint=False)
    if arrival is None:
        # No note that comes is put on a record that waits for a review: linkage does not find those.
        links.keep_stake(tx, child_id, danger=in_danger(facts), urgency=grade.urgency if grade else 0)
    # A note that comes only adds to who has to do with the child; anything else may have taken away.
    ownership = _by_arrival(child, arrival, pack) if arrival else sight.settle(tx, child, facts, pack)
    outcome = Outcome(grade=grade, owner=None, raised=0, alert_id=None)
    if fresh:
        alert_id = _alert(tx, ground, fresh, stored, ownership, joint=False)
        outcome = Outcome(grade=grade, owner=ownership.owner, raised=len(fresh), alert_id=alert_id)
        children.set_owner(tx, child_id, ownership.owner)
        if arrival is not None:
            brought = (ownership.owner, *ownership.copies, arrival.found_borough, arrival.author_borough)
            children.add_boroughs(tx, child_id, dict.fromkeys(code for code in brought if code))
    _close_emptied(tx, actor, emptied, now)
    if child.kept_id is not None:
        _together(tx, actor, child.kept_id, ground)
    return outcome


@audited(Verb.ALTERATION)
def reassess_together(tx: Transaction, actor: Actor, kept_id: int, pack: Pack, *, now: int) -> None:
    """The same for a child as a whole, whose records were put together or taken apart.

    What is joint ends where the child has one record only.
    """
    child = child_facts.facts(tx, kept_id, now=now)
    ground = _Ground(child=child, facts=[], arrival=None, pack=pack, now=now, running_since=None)
    if child.kept_id == kept_id:
        _together(tx, actor, kept_id, ground)
    else:
        stored = {flag.flag_key: flag for flag in flags.joint(tx, kept_id)}
        _judge(tx, actor, ground, stored, joint=True, why=SEPARATE)


@audited(Verb.ALTERATION)
def reroute(tx: Transaction, actor: Actor, child_id: int, pack: Pack, *, now: int) -> Outcome:
    """Judge a child's notes anew because where it lives, who has its care or how it is kept is another now.

    A borough that had no part in the child before may see it and gets a copy of its live alerts. The duty stays
    where it is while an alert is live: a transfer needs acceptance, and the sender owns until then.
    """
    outcome = reassess(tx, actor, child_id, pack, now=now)
    child, facts = child_facts.facts(tx, child_id, now=now), note_subjects.facts_of_child(tx, child_id)
    ownership = sight.owner(tx, child, facts, pack)
    for alert_id in duties.open_ids(tx, child_id):
        concerned = (ownership.owner, *ownership.copies)
        duties.copy_to(tx, actor, alert_id, concerned, now=now)
    return outcome


@impersonal("a grade, for the server's own work")
def stake(tx: Transaction, child_id: int) -> tuple[bool, int]:
    """What is at stake with a record: danger now or not, and the urgency of its gravest flag."""
    urgency = max((flag.grade.urgency for flag in flags_of(tx, child_id)), default=0)
    return in_danger(note_subjects.facts_of_child(tx, child_id)), urgency


def _together(tx: Transaction, actor: Actor, kept_id: int, ground: _Ground) -> None:
    """Joint flags from the notes of all records; a joint alert only for what no record's own alerts say."""
    child = child_facts.facts_together(tx, kept_id, now=ground.now)
    ground = msgspec.structs.replace(
        ground, child=child, facts=note_subjects.facts_together(tx, kept_id), first=False
    )
    stored = {flag.flag_key: flag for flag in flags.joint(tx, kept_id)}
    own = flags.own_of_all(tx, kept_id)
    _, grown, emptied = _judge(tx, actor, ground, stored, joint=True, said=own)
    arrival, pack = ground.arrival, ground.pack
    ownership = _by_arrival(child, arrival, pack) if arrival else sight.owner(tx, child, ground.facts, pack)
    children.set_owner(tx, kept_id, ownership.owner, together=True)
    held = flags.joint(tx, kept_id)
    # What a record's own alert said until now may have gone with its flag: then nobody has been told of it.
    silent = duties.flags_without(tx, kept_id, [flag.flag_id for flag in held])
    wanted = {flag.flag_key: flag for flag in assess(child, ground.facts, pack, ground.now).flags}
    fresh = dict(grown) | {flag.flag_id: wanted[flag.flag_key] for flag in held if flag.flag_id in silent}
    untold = [(flag_id, flag) for flag_id, flag in fresh.items() if not flags.said(flag, own)]
    if untold:
        _alert(tx, ground, untold, stored, ownership, joint=True)
    _close_emptied(tx, actor, emptied, ground.now)


def _judge(
    tx: Transaction,
    actor: Actor,
    ground: _Ground,
    stored: dict[str, Flag],
    *,
    joint: bool,
    why: str | None = None,
    said: Sequence[Flag] = (),
) -> tuple[Grade | None, list[tuple[int, RaisedFlag]], dict[int, str]]:
    """Make the stored flags what the rules say, and close the alerts whose grounds are gone.

    The grade proposed, the flags that are new, have a new note, or became graver, and alerts whose flags were all
    taken up by others, with the reason: what is fresh may go on in them, and else they are closed. `why` is the reason
    for all that goes, where the rules do not know it.
    """
    child_id, now = ground.child.child_id, ground.now
    briefing.touch(tx, child_id)
    assessment = assess(ground.child, ground.facts, ground.pack, now)
    wanted = assessment.flags
    keys = {flag.flag_key for flag in wanted}
    gone = {
        flag: why or flags.why_gone(flag, wanted, ground.facts)
        for key, flag in stored.items()
        if key not in keys
    }
    taken_up = {flag: reason for flag, reason in gone.items() if why is None and flags.said(flag, wanted)}
    lost = {flag: reason for flag, reason in gone.items() if flag not in taken_up}
    for alert_id, reason in flags.retract(tx, child_id, lost, now, joint=joint).items():
        duties.close(tx, actor, [alert_id], reason, now=now)
    emptied = flags.retract(tx, child_id, taken_up, now, joint=joint)
    less = bool(lost) or flags.became_less(stored, wanted)
    fresh = flags.write(tx, child_id, wanted, stored, now, joint=joint, said=said)
    if less or (taken_up and not fresh):
        duties.lessen(tx, child_id, [flag.flag_id for flag in lost], now=now)
    record(tx, actor, Verb.ALTERATION, "child", [child_id], now=now)
    return assessment.grade, fresh, emptied


def _close_emptied(tx: Transaction, actor: Actor, emptied: dict[int, str], now: int) -> None:
    """Close those of these alerts that nothing went on in."""
    for alert_id in duties.without_flags(tx, emptied):
        duties.close(tx, actor, [alert_id], emptied[alert_id], now=now)


def _by_arrival(child: ChildFacts, arrival: Arrival, pack: Pack) -> Ownership:
    return route(child, arrival.found_borough, arrival.danger_now, arrival.author_borough, pack)


def _alert(
    tx: Transaction,
    ground: _Ground,
    fresh: Sequence[tuple[int, RaisedFlag]],
    stored: dict[str, Flag],
    ownership: Ownership,
    *,
    joint: bool,
) -> int:
    """One duty for all that is fresh: the gravest flag names it and sets its clock."""
    pack, now = ground.pack, ground.now
    # Of several as grave and as new, the first in the pack's order of telling names the alert.
    _, gravest = max(fresh, key=lambda pair: (pair[1].grade.urgency, pair[1].raised_at))
    starts_at = now if ground.running_since is None else ground.running_since
    preset = pack.preset_of(ownership.owner)
    clock = deadline(gravest.grade, preset, starts_at, starts_at, pack)
    unwritten_ms, unsent_ms, late_by_ms = _late(ground, gravest.grade, preset)
    # A flag's own clock that has run out by now is no reason to hurry more than the grade asks.
    running = [flag for _, flag in fresh if flag.due_at is not None and flag.due_at > now]
    timed = min(running, key=lambda flag: flag.due_at or 0, default=None)
    ends = [at for at in (clock.deadline_at, timed.due_at if timed else None) if at is not None]
    deadline_at = min(ends, default=None)
    hears_at = first_hearing_at(gravest.grade, preset, starts_at, deadline_at, pack)
    if timed is not None and timed.warns_at is not None:
        hears_at = min(max(now, timed.warns_at), hears_at)
    urgent = any(flag.flag_key not in stored for _, flag in fresh)
    duty = duties.Duty(
        child_id=ground.child.child_id,
        borough=ownership.owner,
        owner_reason=ownership.reason,
        grade=gravest.grade,
        why=gravest.sentence,
        flag_ids=tuple(flag_id for flag_id, _ in fresh),
        started_at=clock.starts_at,
        deadline_at=deadline_at,
        late_by_ms=late_by_ms,
        unwritten_ms=unwritten_ms,
        unsent_ms=unsent_ms,
        hears_at=hears_at,
        due_at=timed.due_at if timed else None,
        due_words=timed.due_words if timed else None,
        warns_at=timed.warns_at if timed else None,
        copies=ownership.copies,
        owner=ownership.lead if ground.child.open_case_borough == ownership.owner else None,
        first=ground.first,
        joint=joint,
    )
    return duties.put(tx, duty, now=now, urgent=urgent)


def _late(ground: _Ground, grade: Grade, preset: str) -> tuple[int, int, int]:
    """How late the newest note was when it came, and of that what passed before it was written and on the phone.

    Those two are the note's alone, counted once: where it only moves, or is judged anew, they are 0.
    """
    arrival = ground.arrival
    note = arrival or max(
        (fact for fact in ground.facts if not fact.withdrawn), key=lambda fact: fact.received_at
    )
    late_by_ms = deadline(grade, preset, note.received_at, note.observed_at, ground.pack).late_by_ms
    if arrival is None or not late_by_ms:
        return 0, 0, late_by_ms
    unsent_ms = min(late_by_ms, max(0, arrival.received_at - arrival.recorded_at))
    return late_by_ms - unsent_ms, unsent_ms, late_by_ms
