"""Who hears of a step of an alert outside the page, when, and over what.

Every step is queued once, for everybody (`steps.add`); `spread` turns that into a delivery to each person whom it
concerns, as they have chosen, and to each other system that was promised it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from server.access.identity import Person
from server.access.policy import Policy
from server.alerts.channels import EVERYBODY, Channel
from server.alerts.presets import Mode, Presets, after_quiet
from server.audit import impersonal
from server.records.staff import Staff
from server.records.steps import INVESTIGATORS, EventKind
from server.records.telling import NOTHING_CHOSEN
from server.storage.port import Transaction
from sync.vocabulary import Grade

ASKING = frozenset(
    {
        EventKind.RAISED, EventKind.GREW, EventKind.ESCALATED, EventKind.HANDED_OVER, EventKind.PASSED_ON,
        EventKind.OFFERED, EventKind.TRANSFER_REFUSED,
    }
)  # fmt: skip
"""Steps that ask something of somebody, who is told as they have chosen for the grade."""

FOLLOWED = frozenset(
    {
        EventKind.LESSENED, EventKind.CLOSED, EventKind.TRANSFERRED, EventKind.TRANSFER_TAKEN_BACK,
        EventKind.JOINED, EventKind.SEPARATED, EventKind.HANDED_OVER, EventKind.PASSED_ON,
    }
)  # fmt: skip
"""Steps of which whoever was alerted hears how it went on. That a red is no longer what they were told interrupts them;
everything else waits for the digest, since it asks nothing of them."""

_BETWEEN_BOROUGHS = frozenset(
    {EventKind.OFFERED, EventKind.TRANSFERRED, EventKind.TRANSFER_REFUSED, EventKind.TRANSFER_TAKEN_BACK}
)

SPREAD_AT_ONCE_MAX = 200


class _Event(msgspec.Struct, frozen=True):
    delivery_id: int
    event_id: int
    alert_id: int
    borough: str
    grade: Grade
    kind: str
    actor: str
    told: str | None
    detail: str | None
    owner: str | None

    @property
    def grades(self) -> set[Grade]:
        """The grade, and the one before where a person changed it: a step down concerns whoever hears of reds."""
        return (
            {self.grade, Grade(self.detail or self.grade)} if self.kind == EventKind.GRADED else {self.grade}
        )

    @property
    def boroughs(self) -> set[str]:
        """The alert's borough, and the other one of a transfer."""
        other = self.told if self.kind in _BETWEEN_BOROUGHS else None
        return {self.borough, other or self.borough}

    @property
    def asks(self) -> bool:
        """Whether it asks something of somebody."""
        return self.kind in ASKING or self._made_graver

    @property
    def is_followed(self) -> bool:
        """Whether those who were alerted hear of it."""
        return self.kind in FOLLOWED or (self.kind == EventKind.GRADED and not self._made_graver)

    @property
    def _made_graver(self) -> bool:
        return self.kind == EventKind.GRADED and self.grade.urgency > min(one.urgency for one in self.grades)


@impersonal("numbers of deliveries")
def waiting(tx: Transaction, most: int, *, now: int) -> list[int]:
    """What is queued for everybody and due, reds first, then as it came. To put ten thousand in order takes as long as
    to deal with two hundred, so it is asked once for many rounds of `spread`."""
    rows = tx.rows(
        "SELECT d.delivery_id FROM delivery d JOIN alert_event e ON e.event_id = d.event_id"
        " WHERE d.state = 'waiting' AND d.channel = :everybody AND d.next_at <= :now"
        " ORDER BY CASE e.grade WHEN 'red' THEN 0 ELSE 1 END, d.next_at, d.delivery_id LIMIT :most",
        {"everybody": EVERYBODY, "now": now, "most": most},
    )
    return [delivery_id for (delivery_id,) in rows]


@impersonal("which of the staff hear of a step, by number; the disclosure is logged when it is sent")
def spread(
    tx: Transaction,
    policy: Policy,
    presets: Presets,
    channels: Sequence[Channel],
    chosen: Sequence[int],
    *,
    now: int,
) -> int:
    """Turn some of what is queued for everybody, `chosen` of `waiting`, into deliveries; how many steps there were."""
    marks: dict[str, object] = {f"d{index}": delivery_id for index, delivery_id in enumerate(chosen)}
    rows = tx.rows(
        "SELECT d.delivery_id, d.event_id, e.alert_id, e.borough, e.grade, e.kind, e.actor, e.told, e.detail, a.owner"
        " FROM delivery d JOIN alert_event e ON e.event_id = d.event_id JOIN alert a ON a.alert_id = e.alert_id"
        f" WHERE d.state = 'waiting' AND d.delivery_id IN ({', '.join(f':{name}' for name in marks) or 'NULL'})",
        marks,
    )
    if not rows:
        return 0
    events = [msgspec.convert(dict(zip(_Event.__struct_fields__, row, strict=True)), _Event) for row in rows]
    # In the order in which they happened: of how an alert went on hears whoever heard of it before.
    events.sort(key=lambda event: event.event_id)
    if any(event.asks or event.is_followed for event in events):
        _to_people(tx, events, policy, presets, [channel.name for channel in channels], now)
    _insert(
        tx,
        [
            _delivery(event, channel.name, now)
            for event in events
            for channel in channels
            if channel.hears(event.boroughs, event.grades)
        ],
    )
    tx.executemany(
        "UPDATE delivery SET state = 'delivered', delivered_at = :now WHERE delivery_id = :id",
        [{"now": now, "id": event.delivery_id} for event in events],
    )
    return len(events)


def _to_people(
    tx: Transaction, events: Sequence[_Event], policy: Policy, presets: Presets, ways: Sequence[str], now: int
) -> None:
    staff, browsers = Staff(tx, policy, now), _browsers(tx)
    for event in events:
        asked = _asked(event, staff) if event.asks else []
        if event.kind == EventKind.PASSED_ON and asked:
            # Whoever stands in for an absent lead has just heard of the alert as such.
            known = _told_just_before(tx, event)
            asked = [person for person in asked if person.person_id not in known]
        followers = staff.present(staff.by_ids(_alerted(tx, event)), None) if event.is_followed else []
        for person in {person.person_id: person for person in (*followers, *asked)}.values():
            if person.username != event.actor:  # who did it knows
                own = browsers.get(person.person_id, ())
                mode = _mode(event, person, staff, presets, is_asked=person in asked)
                _queue(tx, event, person, staff, own, mode, presets, ways, now)


def _asked(event: _Event, staff: Staff) -> list[Person]:
    """Of whom a step asks something."""
    if event.kind == EventKind.OFFERED:
        return staff.told(INVESTIGATORS, event.told or event.borough)
    if event.kind in (EventKind.TRANSFER_REFUSED, EventKind.GRADED):
        return staff.told(event.owner or INVESTIGATORS, event.borough)
    return staff.told(event.told, event.borough)


def _told_just_before(tx: Transaction, event: _Event) -> set[int]:
    """Whom the step before, of the same alert, told at once."""
    rows = tx.rows(
        "SELECT DISTINCT d.person_id FROM delivery d WHERE d.person_id > 0 AND d.is_digest = 0 AND d.event_id ="
        " (SELECT MAX(e.event_id) FROM alert_event e WHERE e.alert_id = :alert AND e.event_id < :event)",
        {"alert": event.alert_id, "event": event.event_id},
    )
    return {person_id for (person_id,) in rows}


def _alerted(tx: Transaction, event: _Event) -> list[int]:
    """The people who were told of this alert before, by number."""
    rows = tx.rows(
        "SELECT DISTINCT d.person_id FROM alert_event e JOIN delivery d ON d.event_id = e.event_id"
        " WHERE e.alert_id = :alert AND e.event_id < :event AND d.person_id > 0 ORDER BY d.person_id",
        {"alert": event.alert_id, "event": event.event_id},
    )
    return [person_id for (person_id,) in rows]


def _browsers(tx: Transaction) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for person_id, number in tx.rows(
        "SELECT person_id, subscription_id FROM push_subscription ORDER BY subscription_id"
    ):
        found.setdefault(person_id, []).append(number)
    return found


def _mode(event: _Event, person: Person, staff: Staff, presets: Presets, *, is_asked: bool) -> Mode:
    """How a person hears of a step: as they have chosen for the grade, but for what asks nothing of them."""
    chosen = staff.choices.get(person.person_id, NOTHING_CHOSEN)
    mode = presets.of(person.borough).mode(event.grade, getattr(chosen, event.grade.value, None))
    interrupts = is_asked or (event.grade is Grade.RED and not event.asks)
    return mode if interrupts or mode is Mode.OFF else Mode.DIGEST


def _queue(
    tx: Transaction,
    event: _Event,
    person: Person,
    staff: Staff,
    browsers: Iterable[int],
    mode: Mode,
    presets: Presets,
    ways: Sequence[str],
    now: int,
) -> None:
    """A delivery over each way that this person has and that their borough permits. A red waits for nothing."""
    if mode is Mode.OFF:
        return
    chosen, preset = staff.choices.get(person.person_id, NOTHING_CHOSEN), presets.of(person.borough)
    at = now
    if mode is Mode.DIGEST:
        at = presets.next_digest(now)
    elif event.grade is not Grade.RED:
        at = after_quiet(now, chosen.quiet_from, chosen.quiet_until)
    permitted = [way for way in ways if event.grade is Grade.RED or way in preset.channels]
    targets = [("push", number) for number in browsers if "push" in permitted]
    if chosen.address and "mail" in permitted:
        targets.append(("mail", 0))
    _insert(
        tx,
        [
            _delivery(event, channel, at, person.person_id, number, is_digest=mode is Mode.DIGEST)
            for channel, number in targets
        ],
    )


def _delivery(
    event: _Event,
    channel: str,
    at: int,
    person_id: int = 0,
    subscription_id: int = 0,
    *,
    is_digest: bool = False,
) -> dict[str, object]:
    return {
        "event": event.event_id, "channel": channel, "person": person_id, "subscription": subscription_id,
        "digest": int(is_digest), "at": at,
    }  # fmt: skip


def _insert(tx: Transaction, rows: Sequence[dict[str, object]]) -> None:
    tx.executemany(
        "INSERT INTO delivery (event_id, channel, person_id, subscription_id, is_digest, state, next_at, due_at)"
        " VALUES (:event, :channel, :person, :subscription, :digest, 'waiting', :at, :at)"
        " ON CONFLICT (event_id, channel, person_id, subscription_id) DO NOTHING",
        rows,
    )
