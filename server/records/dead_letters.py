"""Messages that never arrived, for an administrator: what, where, how often, why, and sending them again."""

from collections.abc import Sequence

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.storage.port import Transaction

ROWS_MAX = 200


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up. `username` is whom it was for; None where a channel has one address for all."""

    delivery_id: int
    alert_id: int
    channel: str
    username: str | None
    borough: str
    grade: str
    kind: str
    at: int
    attempts: int
    trouble: str | None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel fares: what waits and what is dead, when something last arrived or failed, and how many
    attempts have failed one after the other since.

    `oldest_due_at`: since when the oldest that should have gone by now has waited, first tried or not; what waits for
    a digest or the end of quiet hours is not late. `attempts` and `failed_attempts` are of all time.
    """

    channel: str
    waiting: int = 0
    dead: int = 0
    oldest_due_at: int | None = None
    arrived_at: int | None = None
    failed_at: int | None = None
    failures: int = 0
    trouble: str | None = None
    attempts: int = 0
    failed_attempts: int = 0

    @property
    def is_well(self) -> bool:
        return self.failures == 0


@impersonal("numbers, boroughs and grades of alerts, and usernames of staff: no child is in it")
def listed(tx: Transaction, person: Person, *, limit: int = ROWS_MAX) -> list[DeadLetter]:
    """Those that wait for somebody to look, red first, then the oldest. Raises NotAllowed."""
    _require(person)
    rows = tx.rows(
        "SELECT d.delivery_id, e.alert_id, d.channel, p.username, e.borough, e.grade, e.kind, e.at, d.attempts,"
        " d.trouble FROM delivery d JOIN alert_event e ON e.event_id = d.event_id"
        " LEFT JOIN person p ON p.id = d.person_id WHERE d.state = 'dead'"
        " ORDER BY CASE e.grade WHEN 'red' THEN 0 ELSE 1 END, d.delivery_id LIMIT :most",
        {"most": limit},
    )
    names = DeadLetter.__struct_fields__
    return [DeadLetter(**dict(zip(names, row, strict=True))) for row in rows]


@audited(Verb.ALTERATION)
def resend(
    tx: Transaction, person: Person, *, now: int, delivery_id: int | None = None, channel: str | None = None
) -> int:
    """Try again from the beginning: one, all of a channel, or all. How many. Raises NotAllowed."""
    return _settle(
        tx, person, "state = 'waiting', attempts = 0, next_at = :now", delivery_id, channel, now=now
    )


@audited(Verb.ALTERATION)
def let_go(
    tx: Transaction, person: Person, *, now: int, delivery_id: int | None = None, channel: str | None = None
) -> int:
    """Say that these need not arrive any more; they are kept, and wait for nobody. As `resend`."""
    return _settle(tx, person, "state = 'let_go', next_at = :now", delivery_id, channel, now=now)


def _settle(
    tx: Transaction, person: Person, change: str, delivery_id: int | None, channel: str | None, *, now: int
) -> int:
    _require(person)
    wanted = ""
    marks: dict[str, object] = {"now": now}
    if delivery_id is not None:
        wanted, marks = " AND delivery_id = :id", marks | {"id": delivery_id}
    elif channel is not None:
        wanted, marks = " AND channel = :channel", marks | {"channel": channel}
    found = tx.rows(
        f"UPDATE delivery SET {change} WHERE state = 'dead'{wanted} RETURNING delivery_id",
        marks,
    )
    ids = sorted(number for (number,) in found)
    if ids:
        record(tx, Actor("person", person.username), Verb.ALTERATION, "delivery", ids, now=now)
    return len(ids)


@impersonal("counts and times of channels")
def health(tx: Transaction, channels: Sequence[str], *, now: int) -> list[Health]:
    """How these channels fare, and those that something still waits for or died on."""
    found = {name: Health(channel=name) for name in channels}
    for channel, state, count, oldest in tx.rows(
        # One for each index of what waits and what is dead: what was delivered, ever, is not read.
        "SELECT channel, 'waiting', COUNT(*), MIN(due_at) FROM delivery WHERE state = 'waiting' GROUP BY channel"
        " UNION ALL SELECT channel, 'dead', COUNT(*), MIN(due_at) FROM delivery WHERE state = 'dead' GROUP BY channel"
    ):
        one = found.get(channel, Health(channel=channel))
        late = {"oldest_due_at": oldest} if oldest <= now else {}
        changed = {"waiting": count, **late} if state == "waiting" else {"dead": count}
        found[channel] = msgspec.structs.replace(one, **changed)
    names = ("arrived_at", "failed_at", "failures", "trouble", "attempts", "failed_attempts")
    for channel, *values in tx.rows(f"SELECT channel, {', '.join(names)} FROM channel_health"):
        if channel in found:
            found[channel] = msgspec.structs.replace(found[channel], **dict(zip(names, values, strict=True)))
    return [found[name] for name in sorted(found)]


def _require(person: Person) -> None:
    if not person.may(Permission.MANAGE_QUARANTINE):
        raise NotAllowed("Your role does not look after messages that were not delivered.")
