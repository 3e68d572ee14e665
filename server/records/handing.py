"""A duty is given to somebody else, by a person or because its owner is not there: what both have in common, and the
first of the two.

An answer is one person's. Who is given an alert that somebody else had acknowledged has answered nothing yet: it waits
for them, and the chain of its grade begins anew, so that a duty handed to somebody who never looks is not lost. The
first answer stays in the history and in the figures: a clock that was met is met.
"""

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.clocks import deadline, first_hearing_at
from server.casework.pack import Pack
from server.casework.routing import Ownership
from server.records import duties, steps
from server.records.alerts import SELECT, Alert, AlertConflict, State, alert_of, get
from server.storage.port import Transaction

GOES_ON = "It goes on in the open alert about the same child"


@audited(Verb.ALTERATION)
def hand_over(
    tx: Transaction, person: Person, alert: Alert, to: str, reason: str, pack: Pack, *, now: int
) -> Alert:
    """Give a live alert to somebody of its borough (a username); the alert in which it goes on.

    Whoever takes an acknowledged one to themselves has answered with that. Where another alert about the child is open
    already, the two go on as one. Raises AlertConflict where it is closed, and NotAllowed where that other one is of a
    third person.
    """
    if alert.state is State.CLOSED:
        raise AlertConflict(alert.state, alert.rev)
    actor = Actor("person", person.username)
    record(tx, actor, Verb.ALTERATION, "alert", [alert.alert_id], now=now)
    if alert.state is State.ACKNOWLEDGED and to not in (person.username, alert.acknowledged_by):
        other = open_beside(tx, alert)
        if other is not None:
            return _join(tx, actor, alert, other, to, reason, pack, now)
        change = "state = 'open', level = 0, escalates_at = :hears"
    elif alert.state is State.ACKNOWLEDGED:
        change = "acknowledged_by = :to, escalates_at = :hears"
    else:
        change = "escalates_at = :hears"
    anew = change.startswith("state")
    tx.execute(
        f"UPDATE alert SET owner = :to, waits_for = NULL, came_from = NULL, {change}, rev = rev + 1"
        " WHERE alert_id = :alert",
        {
            "to": to,
            "hears": hears_anew(alert, pack, now) if anew else alert.escalates_at,
            "alert": alert.alert_id,
        },
    )
    _tell(tx, alert, actor, to, reason, now)
    return get(tx, alert.alert_id) or alert


@impersonal("another alert, for the server's own work")
def open_beside(tx: Transaction, alert: Alert) -> Alert | None:
    """Another alert about the child that is open in the borough: there is one at a time for a record."""
    row = tx.row(
        SELECT + " FROM alert a JOIN alert b ON b.child_id = a.child_id AND b.borough = a.borough"
        " WHERE b.alert_id = :alert AND a.alert_id <> :alert AND a.joint = 0 AND b.joint = 0 AND a.state = 'open'",
        {"alert": alert.alert_id},
    )
    return alert_of(row) if row else None


@impersonal("two duties go on as one; the closing is logged by `duties.close`")
def fold(
    tx: Transaction,
    actor: Actor,
    alert: Alert,
    owner: str | None,
    why: str,
    *,
    hears_at: int,
    now: int,
    of: Ownership | None = None,
) -> int:
    """Let the open alert about the same child grow by this one, and close this one; the open one's number.

    `of`: whose the duty is from now on, where it is another borough's. Its clock runs on.
    """
    flags = tx.rows("SELECT flag_id FROM alert_flag WHERE alert_id = :alert", {"alert": alert.alert_id})
    duty = duties.Duty(
        child_id=alert.child_id,
        borough=of.owner if of else alert.borough,
        owner_reason=of.reason if of else alert.owner_reason,
        copies=of.copies if of else (),
        grade=alert.grade,
        why=alert.why,
        flag_ids=tuple(flag_id for (flag_id,) in flags),
        started_at=alert.started_at,
        deadline_at=alert.deadline_at,
        late_by_ms=alert.late_by_ms,
        hears_at=hears_at,
        due_at=alert.due_at,
        due_words=alert.due_words,
        warns_at=alert.warns_at,
        owner=owner,
    )
    duties.close(tx, actor, [alert.alert_id], why, now=now)
    return duties.put(tx, duty, now=now, urgent=True, actor=actor.id)


def _join(
    tx: Transaction, actor: Actor, alert: Alert, other: Alert, to: str, reason: str, pack: Pack, now: int
) -> Alert:
    if other.owner not in (None, to):
        raise NotAllowed(
            "Another alert about this child waits for somebody else.",
            "Give this one to them, or hand that one over first.",
        )
    goes_on = fold(tx, actor, alert, to, GOES_ON, hears_at=hears_anew(alert, pack, now), now=now)
    found = get(tx, goes_on)
    assert found is not None, "alerts are never deleted"
    _tell(tx, found, actor, to, reason, now)
    return found


def _tell(tx: Transaction, alert: Alert, actor: Actor, to: str, reason: str, now: int) -> None:
    steps.add(
        tx, alert.alert_id, alert.borough, steps.EventKind.HANDED_OVER, alert.grade, actor.id,
        now=now, told=to, detail=reason,
    )  # fmt: skip


@impersonal("a time")
def hears_anew(alert: Alert, pack: Pack, now: int) -> int:
    """When somebody more hears if the new owner does not answer: as of a duty that begins now."""
    preset = pack.preset_of(alert.borough)
    ends_at = deadline(alert.grade, preset, now, now, pack).deadline_at
    hears_at = first_hearing_at(alert.grade, preset, now, ends_at, pack)
    if alert.warns_at is not None and (alert.due_at or 0) > now:
        hears_at = min(hears_at, max(now, alert.warns_at))
    return hears_at
