"""The outbox: what is still to be handed to a channel outside, written with the step it tells of.

At least once: a message is counted as tried, and logged as disclosed, before it leaves, so a crash in between
sends it again under the same id and never loses it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from server.alerts.channels import Message
from server.alerts.push import Subscription
from server.alerts.wording import DIGEST
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


NOWHERE: Mapping[str, str] = {}
NO_ADDRESS = "the person has no address there any more, or their account is closed"


class State(StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"
    LET_GO = "let_go"
    """A dead one of which a person said that it need not arrive any more."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send now. `attempt` counts from 1. A digest is one message for several deliveries."""

    delivery_ids: tuple[int, ...]
    channel: str
    attempt: int
    subscription_id: int
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


_TAKE = "UPDATE delivery SET attempts = attempts + 1, next_at = :until WHERE state = 'waiting' AND next_at <= :now"
_TAKEN = " RETURNING delivery_id, event_id, attempts, person_id, subscription_id, is_digest"


@audited(Verb.DISCLOSURE)
def take(
    tx: Transaction, actor: Actor, channel: str, *, now: int, limit: int, places: Mapping[str, str] = NOWHERE
) -> list[Taken]:
    """Up to `limit` messages that are due on a channel, red first, then the longest waiting; each counts as tried.
    All that a person's digest holds is one message.

    `places`: the boroughs' names. What waits for somebody who has no address any more is dead at once.
    """
    until = {"until": now + TAKEN_FOR_MS, "now": now, "channel": channel}
    rows = tx.rows(
        _TAKE + " AND delivery_id IN (SELECT d.delivery_id FROM delivery d"
        " JOIN alert_event e ON e.event_id = d.event_id"
        " WHERE d.state = 'waiting' AND d.next_at <= :now AND d.channel = :channel"
        " ORDER BY CASE e.grade WHEN 'red' THEN 0 ELSE 1 END, d.next_at, d.delivery_id LIMIT :most)" + _TAKEN,
        {**until, "most": limit},
    )
    for person_id, subscription_id in {(row[3], row[4]) for row in rows if row[5]}:
        rows += tx.rows(
            _TAKE + " AND channel = :channel AND is_digest = 1 AND person_id = :person"
            " AND subscription_id = :subscription" + _TAKEN,
            {**until, "person": person_id, "subscription": subscription_id},
        )
    found: dict[tuple[object, ...], Taken] = {}
    told: dict[int, list[int]] = {}
    for delivery_id, event_id, attempts, person_id, subscription_id, is_digest in sorted(rows):
        to = _address(tx, channel, person_id, subscription_id)
        if to is None:
            _die(tx, [delivery_id], NO_ADDRESS)
            continue
        message = _message(tx, channel, event_id, person_id, subscription_id, to, places)
        told.setdefault(person_id, []).append(message.alert_id)
        # Of a digest all alerts of a person go out in one message; anything else is a message by itself.
        key = (person_id, subscription_id) if is_digest else (delivery_id,)
        if is_digest:
            message = msgspec.structs.replace(message, kind=DIGEST, count=1)
        before = found.get(key)
        together: tuple[int, ...] = (delivery_id,)
        if before is not None:
            together = (*before.delivery_ids, delivery_id)
            message = msgspec.structs.replace(before.message, count=before.message.count + 1)
        found[key] = Taken(
            delivery_ids=together, channel=channel, attempt=attempts, subscription_id=subscription_id, message=message
        )  # fmt: skip
    for person_id, alert_ids in told.items():
        recipient = f"person:{person_id}" if person_id else channel
        ids = tuple(dict.fromkeys(alert_ids))
        record(tx, actor, Verb.DISCLOSURE, "alert", ids, now=now, recipients=[recipient])
    return list(found.values())


@impersonal("an outcome; that the message left is logged when it is taken")
def delivered(tx: Transaction, taken: Taken, *, now: int) -> None:
    """The receiver has the message."""
    tx.executemany(
        "UPDATE delivery SET state = 'delivered', delivered_at = :now, trouble = NULL"
        " WHERE delivery_id = :delivery",
        [{"now": now, "delivery": delivery_id} for delivery_id in taken.delivery_ids],
    )
    tx.execute(
        "INSERT INTO channel_health (channel, arrived_at, attempts) VALUES (:channel, :now, 1) ON CONFLICT (channel)"
        " DO UPDATE SET arrived_at = excluded.arrived_at, failures = 0, attempts = channel_health.attempts + 1",
        {"channel": taken.channel, "now": now},
    )


@impersonal("an outcome in a few words about the channel")
def failed(
    tx: Transaction,
    taken: Taken,
    trouble: str,
    *,
    now: int,
    draw: float,
    is_final: bool = False,
    is_gone: bool = False,
    wait_ms: int = 0,
) -> State:
    """An attempt failed. `draw` is a random number from 0 to 1. Where it stands now: waiting or dead.

    `is_gone`: one receiver is there no more, of which the channel is no worse.
    """
    state = State.DEAD if is_final or taken.attempt >= ATTEMPTS_MAX else State.WAITING
    tx.executemany(
        "UPDATE delivery SET state = :state, next_at = :next, trouble = :trouble"
        " WHERE delivery_id = :delivery AND state = 'waiting'",
        [
            {
                "state": state.value,
                "next": now + max(wait_ms, _backoff_ms(taken.attempt, draw)),
                "trouble": trouble,
                "delivery": delivery_id,
            }
            for delivery_id in taken.delivery_ids
        ],
    )
    tx.execute(
        "INSERT INTO channel_health (channel, failed_at, failures, trouble, attempts, failed_attempts)"
        " VALUES (:channel, :now, :bad, :trouble, 1, 1)"
        " ON CONFLICT (channel) DO UPDATE SET failed_at = excluded.failed_at,"
        " failures = channel_health.failures + :bad, trouble = excluded.trouble,"
        " attempts = channel_health.attempts + 1, failed_attempts = channel_health.failed_attempts + 1",
        {"channel": taken.channel, "now": now, "trouble": trouble, "bad": 0 if is_gone else 1},
    )
    return state


@impersonal("counts only")
def counts(tx: Transaction) -> dict[str, int]:
    """How many deliveries are in each state."""
    return dict(tx.rows("SELECT state, COUNT(*) FROM delivery GROUP BY state"))


def _address(tx: Transaction, channel: str, person_id: int, subscription_id: int) -> str | None:
    """Where a message goes; empty for a channel that has one address for all."""
    if not person_id:
        return ""
    if channel == "mail":
        address: str | None = tx.value(
            "SELECT t.address FROM telling t JOIN person p ON p.id = t.person_id"
            " WHERE t.person_id = :person AND p.active = 1",
            {"person": person_id},
        )
        return address or None
    row = tx.row(
        "SELECT s.endpoint, s.p256dh, s.auth FROM push_subscription s JOIN person p ON p.id = s.person_id"
        " WHERE s.subscription_id = :id AND p.active = 1",
        {"id": subscription_id},
    )
    return msgspec.json.encode(Subscription(*row)).decode() if row else None


def _message(
    tx: Transaction,
    channel: str,
    event_id: int,
    person_id: int,
    subscription_id: int,
    to: str,
    places: Mapping[str, str],
) -> Message:
    row = tx.row(
        # Whom it was told goes out as a role or a borough, never as a person.
        "SELECT e.alert_id, e.borough, e.grade, e.kind, CASE WHEN p.id IS NULL THEN e.told END, e.at"
        " FROM alert_event e LEFT JOIN person p ON p.username = e.told WHERE e.event_id = :event",
        {"event": event_id},
    )
    assert row is not None, "a step is never deleted"
    alert_id, borough, grade, kind, told, at = row
    whose = f"-{person_id}-{subscription_id}" if person_id else ""
    return Message(
        message_id=f"alert-event-{event_id}-{channel}{whose}",
        alert_id=alert_id,
        borough=borough,
        grade=grade,
        kind=kind,
        told=told,
        at=at,
        to=to,
        place=places.get(borough, borough),
    )


def _die(tx: Transaction, delivery_ids: Sequence[int], trouble: str) -> None:
    tx.executemany(
        "UPDATE delivery SET state = 'dead', trouble = :trouble WHERE delivery_id = :delivery",
        [{"trouble": trouble, "delivery": delivery_id} for delivery_id in delivery_ids],
    )


def _backoff_ms(attempt: int, draw: float) -> int:
    """How long to wait after this attempt (from 1): a random share of a span that doubles each time."""
    return round(draw * min(WAIT_LONGEST_MS, WAIT_FIRST_MS << (attempt - 1)))


def _marks(channels: Sequence[str]) -> tuple[dict[str, object], str]:
    marks: dict[str, object] = {f"c{index}": name for index, name in enumerate(channels)}
    return marks, ", ".join(f":{name}" for name in marks) or "NULL"
