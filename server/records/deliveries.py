"""The outbox: what is still to be handed to a channel outside, written with the step it tells of.

At least once: a message is counted as tried, and logged as disclosed, before it leaves, so a crash in between
sends it again under the same id and never loses it.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from server.alerts.channels import Message
from server.audit import Actor, Verb, audited, impersonal, record
from server.storage.port import Transaction

ATTEMPTS_MAX = 12
"""About three and a half hours on average with the waits below; after that a person has to look."""

WAIT_FIRST_MS = 2_000
WAIT_LONGEST_MS = 60 * 60 * 1000
"""The wait doubles from the first to the longest, and the moment within it is drawn (full jitter), so that
what failed together does not come back together."""

TAKEN_FOR_MS = 2 * 60 * 1000
"""How long a message that was taken stays with who took it. Longer than every attempt of one round."""


class State(StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send now. `attempt` counts from 1."""

    delivery_id: int
    channel: str
    attempt: int
    message: Message


@impersonal("a yes or a no")
def is_due(tx: Transaction, channels: Sequence[str], *, now: int) -> bool:
    """Whether anything waits to be sent now over one of these channels."""
    marks, wanted = _marks(channels)
    found = tx.row(
        "SELECT 1 FROM delivery WHERE state = 'waiting' AND next_at <= :now"
        f" AND channel IN ({wanted}) LIMIT 1",
        marks | {"now": now},
    )
    return found is not None


@audited(Verb.DISCLOSURE)
def take(tx: Transaction, actor: Actor, channel: str, recipient: str, *, now: int, limit: int) -> list[Taken]:
    """Up to `limit` messages that are due on a channel, the longest waiting first; each counts as tried."""
    rows = tx.rows(
        "UPDATE delivery SET attempts = attempts + 1, next_at = :until WHERE delivery_id IN ("
        " SELECT delivery_id FROM delivery WHERE state = 'waiting' AND next_at <= :now AND channel = :channel"
        " ORDER BY next_at, delivery_id LIMIT :most) AND state = 'waiting' AND next_at <= :now"
        " RETURNING delivery_id, event_id, attempts",
        {"until": now + TAKEN_FOR_MS, "now": now, "channel": channel, "most": limit},
    )
    taken = [_taken(tx, channel, *row) for row in sorted(rows)]
    if taken:
        ids = list(dict.fromkeys(one.message.alert_id for one in taken))
        record(tx, actor, Verb.DISCLOSURE, "alert", ids, now=now, recipients=[recipient])
    return taken


@impersonal("an outcome; that the message left is logged when it is taken")
def delivered(tx: Transaction, delivery_id: int, *, now: int) -> None:
    """The receiver has the message."""
    tx.execute(
        "UPDATE delivery SET state = 'delivered', delivered_at = :now, trouble = NULL"
        " WHERE delivery_id = :delivery",
        {"now": now, "delivery": delivery_id},
    )


@impersonal("an outcome in a few words about the channel")
def failed(
    tx: Transaction,
    delivery_id: int,
    attempt: int,
    trouble: str,
    *,
    now: int,
    draw: float,
    is_final: bool = False,
    wait_ms: int = 0,
) -> State:
    """An attempt failed. `draw` is a random number from 0 to 1. Where it stands now: waiting or dead."""
    state = State.DEAD if is_final or attempt >= ATTEMPTS_MAX else State.WAITING
    tx.execute(
        "UPDATE delivery SET state = :state, next_at = :next, trouble = :trouble"
        " WHERE delivery_id = :delivery AND state = 'waiting'",
        {
            "state": state.value,
            "next": now + max(wait_ms, _backoff_ms(attempt, draw)),
            "trouble": trouble,
            "delivery": delivery_id,
        },
    )
    return state


@impersonal("counts only")
def counts(tx: Transaction) -> dict[str, int]:
    """How many deliveries are in each state."""
    return dict(tx.rows("SELECT state, COUNT(*) FROM delivery GROUP BY state"))


def _taken(tx: Transaction, channel: str, delivery_id: int, event_id: int, attempts: int) -> Taken:
    row = tx.row(
        "SELECT e.alert_id, e.borough, e.grade, e.kind, e.told, e.at FROM alert_event e"
        " WHERE e.event_id = :event",
        {"event": event_id},
    )
    assert row is not None, "a step is never deleted"
    alert_id, borough, grade, kind, told, at = row
    message = Message(
        message_id=f"alert-event-{event_id}-{channel}",
        alert_id=alert_id,
        borough=borough,
        grade=grade,
        kind=kind,
        told=told,
        at=at,
    )
    return Taken(delivery_id=delivery_id, channel=channel, attempt=attempts, message=message)


def _backoff_ms(attempt: int, draw: float) -> int:
    """How long to wait after this attempt (from 1): a random share of a span that doubles each time."""
    return round(draw * min(WAIT_LONGEST_MS, WAIT_FIRST_MS << (attempt - 1)))


def _marks(channels: Sequence[str]) -> tuple[dict[str, object], str]:
    marks: dict[str, object] = {f"c{index}": name for index, name in enumerate(channels)}
    return marks, ", ".join(f":{name}" for name in marks) or "NULL"
