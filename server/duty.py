"""What a person does about an alert or a child, as one step each: the doors and the pages both call these.

Each function is the work of one transaction: it asks whether the person may, changes the records, and sees that
everybody who must hear of it does (the author of a note hears that it was seen).
"""

from __future__ import annotations

from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person, person_from_row
from server.access.policy import Permission, Policy
from server.audit import Actor
from server.casework.clocks import deadline, first_hearing_at
from server.casework.grades import decided, highest
from server.casework.pack import Pack
from server.casework.routing import OTHER_FORCE
from server.records import (
    alerts,
    cases,
    children_shown,
    duties,
    force_contacts,
    grades,
    handing,
    notes,
    outcomes,
    telling,
    who_is_who,
)
from server.records.alerts import Alert, AlertConflict, State
from server.records.grades import NewClock
from server.records.staff import Staff
from server.storage.port import Transaction
from server.world import World
from sync.vocabulary import Grade, NoteOutcome


class ContactNeeded(NotAllowed):
    """An alert of the other-force queue ends only after another force was told of it."""


def acknowledge(
    tx: Transaction, person: Person, alert_id: int, *, now: int, from_rev: int | None = None
) -> Alert:
    """Answer an alert, and let the authors of its notes know that the borough has seen them. Whoever had said that
    they are away is there again.

    Raises NotAllowed, and AlertConflict where it is closed or `from_rev` is no longer its revision.
    """
    alert = alerts.acknowledge(tx, person, alert_id, now=now, from_rev=from_rev)
    telling.is_here(tx, person, now=now)
    notes.set_status(tx, alerts.note_ids(tx, alert_id), notes.Status.SEEN)
    return alert


def hand_over(
    tx: Transaction,
    policy: Policy,
    pack: Pack,
    person: Person,
    alert_id: int,
    to: str,
    reason: str,
    *,
    now: int,
    from_rev: int | None = None,
) -> Alert:
    """Give an alert to somebody else of its borough, by username, with the reason.

    One's own alert, or one that nobody has; another's needs the permission to assign. The clock runs on; where it was
    acknowledged, it waits for an answer of its new owner. Whoever takes one to themselves is there.
    Raises NotAllowed (also where the other may not take it) and AlertConflict.
    """
    alert = _current(tx, person, alert_id, from_rev)
    if alert.owner not in (None, person.username) and not person.may(Permission.ASSIGN_ALERTS):
        raise NotAllowed("This alert is somebody else's.", "Ask them to hand it over, or ask a supervisor.")
    row = people.find(tx, to)
    taker = person_from_row(policy, row) if row is not None and row.active else None
    able = (
        taker is not None and taker.may(Permission.ACKNOWLEDGE_ALERTS) and taker.sees_borough(alert.borough)
    )
    if taker is None or not able:
        raise NotAllowed(
            "That person cannot take this alert.",
            "Choose somebody who answers alerts of this borough; check the username.",
        )
    if Staff(tx, policy, now).is_away(taker):
        raise NotAllowed(
            "That person has said that they are away.",
            "Choose somebody who is there, or whoever stands in for them.",
        )
    return handing.hand_over(tx, person, alert, taker.username, reason, pack, now=now)


def close(
    tx: Transaction,
    person: Person,
    alert_id: int,
    decision: str,
    *,
    now: int,
    from_rev: int | None = None,
    outcome: NoteOutcome | None = None,
    to_author: str | None = None,
) -> Alert:
    """End an alert with what was decided. One that nobody had answered is acknowledged with it, and the authors of
    its notes hear that the borough has decided.

    `outcome` and `to_author`, words of the borough, are heard by the authors of its notes at their next sync.

    Raises NotAllowed and AlertConflict.
    """
    alert = _current(tx, person, alert_id, from_rev)
    if not person.may(Permission.WORK_CASES):
        raise NotAllowed("Your role does not close alerts.")
    if alert.borough == OTHER_FORCE and not force_contacts.any_of(tx, alert_id):
        raise ContactNeeded(
            "Nobody has told another force of this yet.", "Write down first who rang whom, and when."
        )
    if alert.state is State.OPEN:
        acknowledge(tx, person, alert_id, now=now)
    actor = Actor("person", person.username)
    duties.close(tx, actor, [alert_id], decision, now=now, outcome=outcome)
    notes.set_status(tx, alerts.note_ids(tx, alert_id), notes.Status.DECIDED)
    if outcome is not None:
        outcomes.tell(tx, alerts.note_ids(tx, alert_id), outcome, to_author, now=now)
    return alerts.show(tx, person, alert_id, now=now)


def grade(
    tx: Transaction,
    world: World,
    person: Person,
    alert_id: int,
    to: Grade,
    rationale: str,
    *,
    now: int,
    from_rev: int | None = None,
) -> Alert:
    """Give an alert another grade, or confirm the one it has, and say why.

    A higher one starts a shorter clock anew; a lower one, than it has or than the rules say, takes a supervisor,
    and that it was higher stays in sight. Raises NotAllowed, AlertConflict and `GradeRefused`.
    """
    alert = _current(tx, person, alert_id, from_rev)
    if not person.may(Permission.SET_GRADES):
        raise NotAllowed("Your role does not set grades.")
    said = grades.proposed(tx, alert_id)
    floor = highest(found for found in (alert.grade, said) if found is not None)
    decided(floor, to, rationale=rationale, supervisor=person.may(Permission.LOWER_GRADES))
    clock = _regraded(alert, to, world.pack, now)
    grades.decide(tx, person, alert, to, rationale.strip(), clock, said=said, now=now)
    return alerts.show(tx, person, alert_id, now=now)


def _regraded(alert: Alert, to: Grade, pack: Pack, now: int) -> NewClock:
    """The clock of an alert with another grade: a graver one begins now and never ends later than the one that
    ran; a milder one is counted from when the duty began."""
    if to is alert.grade:
        return NewClock(alert.deadline_at, alert.level, alert.escalates_at)
    graver = to.urgency > alert.grade.urgency
    preset = pack.preset_of(alert.borough)
    begins_at = now if graver else alert.started_at
    ends = [deadline(to, preset, begins_at, begins_at, pack).deadline_at, alert.due_at]
    ends += [alert.deadline_at] if graver else []
    ends_at = min((at for at in ends if at is not None), default=None)
    if alert.state is not State.OPEN:
        return NewClock(ends_at, alert.level, alert.escalates_at)
    hears_at = first_hearing_at(to, preset, begins_at, ends_at, pack)
    if alert.warns_at is not None:
        hears_at = min(hears_at, alert.warns_at)
    return NewClock(ends_at, 0, max(now, hears_at))


def set_marker(
    tx: Transaction,
    world: World,
    person: Person,
    child_id: int,
    kind: str,
    reason: str,
    *,
    now: int,
    expires_at: int | None = None,
) -> int:
    """Put a marker on a child and judge its notes anew in its light. The marker's id.

    Raises NotAllowed, and ReasonNeeded where the record is restricted and the reason says too little.
    """
    if not person.may(Permission.WORK_CASES):
        raise NotAllowed("Your role does not set markers.")
    who_is_who.hold(tx)
    marker_id = children_shown.set_marker(tx, person, child_id, kind, reason, now=now, expires_at=expires_at)
    actor = Actor("person", person.username)
    cases.reassess(tx, actor, child_id, world.pack, now=now)
    return marker_id


def _current(tx: Transaction, person: Person, alert_id: int, from_rev: int | None) -> Alert:
    """The alert as it is, of a borough of this person's. Raises NotAllowed and AlertConflict."""
    alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
    if alert.state is State.CLOSED or from_rev not in (None, alert.rev):
        raise AlertConflict(alert.state, alert.rev)
    return alert
