"""How people are told outside the page: what each has chosen, and their browsers."""

import msgspec

from server.access.identity import Person
from server.alerts.push import Subscription
from server.audit import Actor, Verb, audited, impersonal, record
from server.storage.port import Transaction

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
FIELDS = Choices.__struct_fields__


@impersonal("a person's own settings, shown to themselves")
def choices(tx: Transaction, person_id: int) -> Choices:
    """What this person has chosen."""
    row = tx.row(f"SELECT {', '.join(FIELDS)} FROM telling WHERE person_id = :person", {"person": person_id})
    return Choices(**dict(zip(FIELDS, row, strict=True))) if row else NOTHING_CHOSEN


@audited(Verb.ALTERATION)
def choose(tx: Transaction, person: Person, chosen: Choices, *, now: int) -> None:
    """Keep what a person chose for themselves."""
    names = ", ".join(FIELDS)
    marks = ", ".join(f":{name}" for name in FIELDS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in (*FIELDS, "changed_at"))
    tx.execute(
        f"INSERT INTO telling (person_id, {names}, changed_at) VALUES (:person, {marks}, :now)"
        f" ON CONFLICT (person_id) DO UPDATE SET {updates}",
        msgspec.structs.asdict(chosen) | {"person": person.person_id, "now": now},
    )
    record(tx, Actor("person", person.username), Verb.ALTERATION, "person", [person.person_id], now=now)


@audited(Verb.ALTERATION)
def is_here(tx: Transaction, person: Person, *, now: int) -> bool:
    """Whoever takes a duty is there: where they had said that they are away, that is over. Whether it is."""
    ended = tx.execute(
        "UPDATE telling SET away_until = NULL, deputy_id = NULL, changed_at = :now"
        " WHERE person_id = :person AND away_until > :now",
        {"person": person.person_id, "now": now},
    )
    if ended:
        record(tx, Actor("person", person.username), Verb.ALTERATION, "person", [person.person_id], now=now)
    return bool(ended)


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
