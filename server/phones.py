"""Each phone as an administrator sees it: when it was last heard of, what it owes and holds, and how its clock is off.

And the question that is asked when one is lost: which children were on it at that time?
"""

import msgspec

from server.access import devices
from server.access.devices import DeviceRow
from server.access.errors import AccountError, NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor
from server.casework.words import duration
from server.records import children_shown, conditions, leases, owing
from server.records.conditions import Said
from server.records.owing import Owing
from server.storage.port import Transaction
from sync.holdings import Lent, on_phone

RESTRICTED = "restricted record"
CLOCK_RIGHT_MS = 5_000


class Phone(msgspec.Struct, frozen=True, kw_only=True):
    """A phone, what it owes (None: nothing), how many children it is not known to be rid of, and its last word."""

    row: DeviceRow
    owes: Owing | None
    holds: int
    said: Said | None

    @property
    def clock_wrong(self) -> bool:
        """Whether its clock was off by more than a sync can tell, when last heard of."""
        return self.said is not None and abs(self.said.offset_ms) >= CLOCK_RIGHT_MS

    @property
    def clock(self) -> str | None:
        """`right`, `3 min behind`, `2 days 4 h ahead`; None where it has not said."""
        if self.said is None or not self.clock_wrong:
            return None if self.said is None else "right"
        return f"{duration(abs(self.said.offset_ms))} {'behind' if self.said.offset_ms > 0 else 'ahead'}"


class OnPhone(msgspec.Struct, frozen=True, kw_only=True):
    """One child that was on a phone; `name` only where whoever asks may see the child."""

    child_id: int
    given_at: int
    until: int
    ended_at: int | None
    name: str | None = None


def everything(tx: Transaction) -> list[Phone]:
    """All phones: those that owe first, then the latest enrolled."""
    owed = {one.device_id: one for one in owing.phones(tx)}
    said = conditions.all_said(tx)
    rows = devices.everything(tx)
    held = leases.counts(tx)
    found = [
        Phone(
            row=row, owes=owed.get(row.device_id), holds=held.get(row.device_id, 0),
            said=said.get(row.device_id),
        )
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.owes is None)


def require(person: Person) -> Actor:
    """Who manages phones, for the audit log. Raises NotAllowed."""
    if not person.may(Permission.MANAGE_DEVICES):
        raise NotAllowed("Your role does not manage phones.")
    return Actor("person", person.username)


def one(tx: Transaction, device_id: str) -> Phone:
    """One phone. Raises AccountError where there is none."""
    found = [phone for phone in everything(tx) if phone.row.device_id == device_id]
    if not found:
        raise AccountError("There is no such phone.", "earlysign devices list shows them all.")
    return found[0]


def holdings(
    tx: Transaction, device_id: str, at: int, *, actor: Actor, now: int, person: Person | None = None
) -> list[OnPhone]:
    """Which children may have been on a phone at that time. That somebody asked is in the audit log.

    With `person`, the names of those that this person may see: each is a consultation of theirs.
    """
    lent = on_phone(leases.show_ledger(tx, actor, device_id, now=now), at)
    return [
        OnPhone(
            child_id=one.child, given_at=one.given_at, until=one.until, ended_at=one.ended_at,
            name=_name(tx, person, one, now) if person is not None else None,
        )
        for one in lent
    ]  # fmt: skip


def _name(tx: Transaction, person: Person, lent: Lent, now: int) -> str | None:
    try:
        child = children_shown.show(tx, person, lent.child, now=now)
    except ReasonNeeded:
        return RESTRICTED
    except NotAllowed:
        return None
    names = (child.details.given_names, child.details.family_name)
    return " ".join(part for part in names if part) or None
