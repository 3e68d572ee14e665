"""How people are told outside the page: what each has chosen, their browsers, who stands in for them, and who is told.

The road queues a step once (`channels.PEOPLE`); `spread` turns that into a delivery to each person whom it concerns.
"""

from collections.abc import Iterable, Sequence

import msgspec

from server.access import people
from server.access.identity import Person, person_from_row
from server.access.policy import Permission, Policy, Scope
from server.alerts.channels import PEOPLE
from server.alerts.presets import Mode, Presets, after_quiet
from server.alerts.push import Subscription
from server.audit import Actor, Verb, audited, impersonal, record
from server.records.steps import EventKind
from server.storage.port import Transaction
from sync.vocabulary import Grade

INTERRUPTING = frozenset({EventKind.RAISED, EventKind.GREW, EventKind.ESCALATED, EventKind.HANDED_OVER})
"""The steps of which people are told; of all others the page tells."""

SPREAD_AT_ONCE_MAX = 200
DEPUTIES_MAX = 5
"""A deputy may be away as well, and theirs too; after so many the next level of the chain is told."""

SUBSCRIPTIONS_MAX = 10
"""Browsers of one person. The oldest makes room."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has chosen. Quiet hours in minutes of the day, `away_until` in milliseconds."""

    address: str | None = None
    amber: str | None = None
    green: str | None = None
    blue: str | None = None
    quiet_from: int | None = None
    quiet_until: int | None = None
    away_until: int | None = None
    deputy_id: int | None = None


NOTHING_CHOSEN = Choices()
_FIELDS = Choices.__struct_fields__


class _Event(msgspec.Struct, frozen=True):
    delivery_id: int
    event_id: int
    borough: str
    grade: Grade
    kind: str
    told: str | None


@impersonal("a person's own settings, shown to themselves")
def choices(tx: Transaction, person_id: int) -> Choices:
    """What this person has chosen."""
    row = tx.row(f"SELECT {', '.join(_FIELDS)} FROM telling WHERE person_id = :person", {"person": person_id})
    return Choices(**dict(zip(_FIELDS, row, strict=True))) if row else NOTHING_CHOSEN


@audited(Verb.ALTERATION)
def choose(tx: Transaction, person: Person, chosen: Choices, *, now: int) -> None:
    """Keep what a person chose for themselves."""
    names = ", ".join(_FIELDS)
    marks = ", ".join(f":{name}" for name in _FIELDS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in (*_FIELDS, "changed_at"))
    tx.execute(
        f"INSERT INTO telling (person_id, {names}, changed_at) VALUES (:person, {marks}, :now)"
        f" ON CONFLICT (person_id) DO UPDATE SET {updates}",
        msgspec.structs.asdict(chosen) | {"person": person.person_id, "now": now},
    )
    record(tx, Actor("person", person.username), Verb.ALTERATION, "person", [person.person_id], now=now)


@audited(Verb.COLLECTION)
def subscribe(tx: Transaction, person: Person, browser: Subscription, *, now: int) -> None:
    """Keep a browser; one that another person used before is this one's now."""
    tx.execute("DELETE FROM push_subscription WHERE endpoint = :endpoint", {"endpoint": browser.endpoint})
    tx.execute(
        "INSERT INTO push_subscription (person_id, endpoint, p256dh, auth, made_at)"
        " VALUES (:person, :endpoint, :p256dh, :auth, :now)",
        msgspec.structs.asdict(browser) | {"person": person.person_id, "now": now},
    )
    tx.execute(
        "DELETE FROM push_subscription WHERE person_id = :person AND subscription_id NOT IN (SELECT"
        " subscription_id FROM push_subscription WHERE person_id = :person ORDER BY subscription_id DESC LIMIT :most)",
        {"person": person.person_id, "most": SUBSCRIPTIONS_MAX},
    )
    record(tx, Actor("person", person.username), Verb.COLLECTION, "person", [person.person_id], now=now)


@impersonal("addresses of browsers that are no more")
def forget(tx: Transaction, subscription_id: int) -> None:
    """A browser has ended its subscription."""
    tx.execute("DELETE FROM push_subscription WHERE subscription_id = :id", {"id": subscription_id})


@audited(Verb.ALTERATION)
def unsubscribe(tx: Transaction, person: Person, *, now: int) -> int:
    """Forget all of a person's browsers; how many there were."""
    gone = tx.execute("DELETE FROM push_subscription WHERE person_id = :person", {"person": person.person_id})
    record(tx, Actor("person", person.username), Verb.ALTERATION, "person", [person.person_id], now=now)
    return gone


@impersonal("a count")
def browsers(tx: Transaction, person_id: int) -> int:
    """How many browsers of a person show notifications."""
    found: int = tx.value(
        "SELECT COUNT(*) FROM push_subscription WHERE person_id = :person", {"person": person_id}
    )
    return found


@impersonal("which of the staff hear of a step, by number; the disclosure is logged when it is sent")
def spread(tx: Transaction, policy: Policy, presets: Presets, open_ways: Sequence[str], *, now: int) -> int:
    """Turn what is queued for people into deliveries to each of them; how many steps were dealt with."""
    rows = tx.rows(
        "SELECT d.delivery_id, d.event_id, e.borough, e.grade, e.kind, e.told FROM delivery d"
        " JOIN alert_event e ON e.event_id = d.event_id WHERE d.state = 'waiting' AND d.channel = :people"
        " AND d.next_at <= :now"
        " ORDER BY CASE e.grade WHEN 'red' THEN 0 ELSE 1 END, d.next_at, d.delivery_id LIMIT :most",
        {"people": PEOPLE, "now": now, "most": SPREAD_AT_ONCE_MAX},
    )
    if not rows:
        return 0
    events = [_Event(a, b, c, Grade(d), e, f) for a, b, c, d, e, f in rows]
    if any(event.kind in INTERRUPTING for event in events):
        staff = _Staff(tx, policy, now)
        for event in events:
            if event.kind in INTERRUPTING:
                for person in staff.told(event):
                    _queue(tx, event, person, staff, presets, open_ways, now)
    tx.executemany(
        "UPDATE delivery SET state = 'delivered', delivered_at = :now WHERE delivery_id = :id",
        [{"now": now, "id": event.delivery_id} for event in events],
    )
    return len(events)


@impersonal("counts by person, for the supervisor of how much noise there is; no child is in it")
def interruptions(tx: Transaction, *, since: int) -> list[tuple[str, str, int, int]]:
    """(username, grade, interruptions, alerts in digests) of each person since then: a step counts once, over however
    many channels it was told."""
    return [
        (username, grade, at_once or 0, in_digests or 0)
        for username, grade, at_once, in_digests in tx.rows(
            "SELECT p.username, t.grade, SUM(1 - t.is_digest), SUM(t.is_digest) FROM (SELECT DISTINCT d.person_id,"
            " d.event_id, d.is_digest, e.grade FROM delivery d JOIN alert_event e ON e.event_id = d.event_id"
            " WHERE d.person_id > 0 AND e.at >= :since) t JOIN person p ON p.id = t.person_id"
            " GROUP BY p.username, t.grade ORDER BY p.username, t.grade",
            {"since": since},
        )
    ]


class _Staff:
    """Everybody who may answer alerts, for one round."""

    def __init__(self, tx: Transaction, policy: Policy, now: int) -> None:
        self._now = now
        self.choices: dict[int, Choices] = {
            row[0]: Choices(**dict(zip(_FIELDS, row[1:], strict=True)))
            for row in tx.rows(f"SELECT person_id, {', '.join(_FIELDS)} FROM telling")
        }
        self.browsers: dict[int, list[int]] = {}
        for person_id, number in tx.rows(
            "SELECT person_id, subscription_id FROM push_subscription ORDER BY subscription_id"
        ):
            self.browsers.setdefault(person_id, []).append(number)
        able = [
            person_from_row(policy, row)
            for row in people.everybody(tx)
            if row.active and row.role in policy.roles
        ]
        self._people = {
            person.person_id: person for person in able if person.may(Permission.ACKNOWLEDGE_ALERTS)
        }

    def told(self, event: _Event) -> list[Person]:
        """Who hears of this step: whom it names, or their deputies; where all are away, the next level."""
        here = [person for person in self._people.values() if person.sees_borough(event.borough)]
        for named in (self._named(event.told, here), *self._levels_above(here)):
            present = self._present(named, event.borough)
            if present:
                return present
        return []

    def _named(self, told: str | None, here: Sequence[Person]) -> list[Person]:
        if told == "investigators":
            return [person for person in here if not person.may(Permission.ASSIGN_ALERTS)]
        return [person for person in here if told in (person.role, person.username)]

    def _levels_above(self, here: Sequence[Person]) -> Iterable[list[Person]]:
        above = [person for person in here if person.may(Permission.ASSIGN_ALERTS)]
        for scope in (Scope.BOROUGH, Scope.UNIT, Scope.FORCE):
            yield [person for person in above if person.scope is scope]

    def _present(self, named: Sequence[Person], borough: str) -> list[Person]:
        """These people, each or the deputy who is here for them."""
        found: dict[int, Person] = {}
        for person in named:
            one: Person | None = person
            for _ in range(DEPUTIES_MAX):
                if one is None or not self._is_away(one):
                    break
                deputy = self.choices[one.person_id].deputy_id
                one = self._people.get(deputy) if deputy is not None else None
            if one is not None and not self._is_away(one) and one.sees_borough(borough):
                found[one.person_id] = one
        return list(found.values())

    def _is_away(self, person: Person) -> bool:
        until = self.choices.get(person.person_id, NOTHING_CHOSEN).away_until
        return until is not None and until > self._now


def _queue(
    tx: Transaction,
    event: _Event,
    person: Person,
    staff: _Staff,
    presets: Presets,
    ways: Sequence[str],
    now: int,
) -> None:
    """A delivery over each way that this person has and that their borough permits. A red waits for nothing."""
    chosen = staff.choices.get(person.person_id, NOTHING_CHOSEN)
    preset = presets.of(person.borough)
    mode = preset.mode(event.grade, getattr(chosen, event.grade.value, None))
    if mode is Mode.OFF:
        return
    at = now
    if mode is Mode.DIGEST:
        at = presets.next_digest(now)
    elif event.grade is not Grade.RED:
        at = after_quiet(now, chosen.quiet_from, chosen.quiet_until)
    permitted = [way for way in ways if event.grade is Grade.RED or way in preset.channels]
    targets = [("push", number) for number in staff.browsers.get(person.person_id, ()) if "push" in permitted]
    if chosen.address and "mail" in permitted:
        targets.append(("mail", 0))
    tx.executemany(
        "INSERT INTO delivery (event_id, channel, person_id, subscription_id, is_digest, state, next_at)"
        " VALUES (:event, :channel, :person, :subscription, :digest, 'waiting', :at)"
        " ON CONFLICT (event_id, channel, person_id, subscription_id) DO NOTHING",
        [
            {
                "event": event.event_id, "channel": channel, "person": person.person_id, "subscription": number,
                "digest": int(mode is Mode.DIGEST), "at": at,
            }
            for channel, number in targets
        ],
    )  # fmt: skip
