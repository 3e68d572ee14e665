"""Alerts of which somebody more must hear: the next level, once its time has come."""

from server.audit import Actor, Verb, audited, impersonal, record
from server.records import steps
from server.records.alerts import SELECT, Alert, alert_of
from server.storage.port import Transaction

ESCALATIONS_PER_ROUND_MAX = 1_000


@impersonal("ids and times of alerts that are due; what is done to them is logged by `escalate`")
def due(tx: Transaction, *, now: int) -> list[Alert]:
    """The alerts of which somebody more must hear now, in the order of their times."""
    rows = tx.rows(
        SELECT + " FROM alert a WHERE a.escalates_at IS NOT NULL AND a.escalates_at <= :now"
        " ORDER BY a.escalates_at, a.alert_id LIMIT :most",
        {"now": now, "most": ESCALATIONS_PER_ROUND_MAX},
    )
    return [alert_of(row) for row in rows]


@audited(Verb.ALTERATION)
def escalate(
    tx: Transaction,
    actor: Actor,
    alert: Alert,
    *,
    level: int,
    told: str,
    next_at: int | None,
    now: int,
    detail: str | None = None,
) -> bool:
    """Tell somebody more of an alert; its revision is then one higher. False where it changed meanwhile."""
    moved = tx.execute(
        "UPDATE alert SET level = :level, escalates_at = :next, waits_for = :told, rev = rev + 1"
        " WHERE alert_id = :alert AND state <> 'closed' AND rev = :rev",
        {"level": level, "next": next_at, "told": told, "alert": alert.alert_id, "rev": alert.rev},
    )
    if not moved:
        return False
    record(tx, actor, Verb.ALTERATION, "alert", [alert.alert_id], now=now)
    steps.add(
        tx, alert.alert_id, alert.borough, steps.EventKind.ESCALATED, alert.grade, actor.id,
        now=now, told=told, detail=detail,
    )  # fmt: skip
    return True


@impersonal("a yes or a no")
def is_any_due(tx: Transaction, *, now: int) -> bool:
    """Whether there is an alert of which somebody more must hear now."""
    found = tx.row(
        "SELECT 1 FROM alert WHERE escalates_at IS NOT NULL AND escalates_at <= :now LIMIT 1",
        {"now": now},
    )
    return found is not None
