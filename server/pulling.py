"""What a phone is sent when it pulls: one page of changes in its scope, authorised and read at this moment.

The scope of a phone is its officer's own notes, the words and boroughs that every phone has, and, while a lease runs,
the briefing of its ward. A bucket that the phone's cursor does not name begins at its beginning; one that is no longer
in scope is taken off. The ledger of holdings is written with the audit log, before the answer leaves.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from server.access import devices
from server.access.identity import DeviceIdentity
from server.audit import Actor
from server.checkpoints import Known, Totals
from server.records import briefing, changes, leases, notes, own_notes, published, standstill
from server.records.changes import Heard, Logged, Place
from server.records.leases import Running
from server.storage.port import Transaction
from sync.cursor import Cursor
from sync.envelope import Change, ChangeOp, Lease, RemoveReason

Rows = dict[str, tuple[int, dict[str, Any]]]
BEGINNING = (0, 0)
SHARED = (published.VOCABULARY, published.AREAS)
"""Buckets that every phone has beside its officer's own notes."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page, before it is sealed: `after` is the place that the phone has reached with it."""

    changes: tuple[Change, ...]
    removed: tuple[str, ...]
    after: Cursor
    more: bool
    totals: dict[str, Known]
    """At the end: what the phone then holds of each bucket, to be kept once the page is sure to be sent."""
    lease: Lease | None

    @property
    def checkpoint(self) -> dict[str, tuple[int, str]] | None:
        """As the phone is told it."""
        return {name: known.total.told for name, known in self.totals.items()} or None


def nothing_new(tx: Transaction, token: str, asked: Cursor, *, now: int) -> bool:
    """Whether a phone with this token may pull, is lent no briefing, and has heard everything up to its cursor: one
    look at the database. The cursor is one of which `checkpoint_known` knows something."""
    names = (asked.scope_version, *SHARED)
    places = [(asked.xid, asked.seq), *(asked.lent[name] for name in SHARED)]
    return standstill.stands(tx, token, names, places, now=now)


def checkpoint_known(asked: Cursor, *, now: int, totals: Totals) -> dict[str, tuple[int, str]] | None:
    """The checkpoint of a phone at this cursor, if nothing has changed since. None: this process has not counted its
    buckets there, or it holds more than every phone does; then `page` says what there is."""
    if asked.lent.keys() != set(SHARED):
        return None
    told = {}
    for name, place in ((asked.scope_version, (asked.xid, asked.seq)), *asked.lent.items()):
        total = totals.at(name, place, now=now)
        if total is None:
            return None
        told[name] = total.told
    return told


class _Lending(msgspec.Struct, frozen=True):
    """A bucket in scope: what a phone hears of it after a place, up to so many changes, and which rows there are."""

    name: str
    after: Callable[[Place, int], Heard]
    revisions: Callable[[], list[tuple[str, str, int]]]
    only_grows: bool = False


def page(
    tx: Transaction, device: DeviceIdentity, asked: Cursor | None, start: Cursor, emptied: Sequence[str],
    limit: int, *, now: int, totals: Totals,
) -> Page:  # fmt: skip
    """The changes after `asked`, or from `start` (a cursor at the beginning) where there is none that is good.

    Raises DeviceRevoked where the phone may not read any more: between the look at its token and this one a
    revocation may have come first.
    """
    device = devices.still_reading(tx, device)
    position = asked or start
    lease = leases.running(tx, device.device_id, now=now)
    scope = _scope(tx, device, lease, now)
    lent = {name: place for name, place in position.lent.items() if name not in emptied}
    if asked is not None:
        _confirm(tx, device, lent, asked.issued_at, now)
    places = {one.name: lent.get(one.name, BEGINNING) for one in scope[1:]}
    own = scope[0].name
    places[own] = BEGINNING if own in emptied else (position.xid, position.seq)
    out = sorted(lent.keys() - places.keys())
    begun = [one.name for one in scope if one.name in emptied]
    found = [change for name in out for change in _taken_off(tx, device, name)][:limit]
    more = False
    for one in scope:
        heard = one.after(places[one.name], limit - len(found))
        found += heard.changes
        places[one.name] = heard.place
        if more := heard.more:
            break
    _write_down(tx, device, lease, found, places, now)
    at_the_end = {}
    for name in emptied:
        totals.forget(name)
    if not more and not changes.unsettled(tx, [one.name for one in scope]):
        at_the_end = {
            one.name: totals.of(
                tx, one.name, places[one.name], one.revisions, only_grows=one.only_grows, now=now
            )
            for one in scope
        }
    own_place = places.pop(own)
    return Page(
        changes=tuple(found),
        removed=(*out, *begun),
        after=Cursor(position.incarnation, position.scope_version, *own_place, places, now),
        more=more,
        totals=at_the_end,
        lease=Lease(bucket=briefing.bucket(lease.ward), until=lease.until, lasts=lease.until - now)
        if lease
        else None,
    )


def _scope(tx: Transaction, device: DeviceIdentity, lease: Running | None, now: int) -> list[_Lending]:
    """The buckets that this phone may hold now, the officer's own notes first."""
    actor, author = Actor("device", device.device_id), device.username

    def logged(name: str, send: Callable[[Sequence[str]], Rows]) -> Callable[[Place, int], Heard]:
        return lambda place, room: _heard(tx, name, send, place, room)

    def shared(name: str) -> _Lending:
        after = logged(name, lambda ids: published.send(tx, name, ids))
        return _Lending(name, after, lambda: published.revisions(tx, name))

    def briefed(ward: str, ids: Sequence[str]) -> Rows:
        sent = briefing.send(tx, actor, ward, [int(one) for one in ids], now=now)
        return {str(child_id): row for child_id, row in sent.items()}

    scope = [
        _Lending(
            notes.bucket(author),
            lambda place, room: own_notes.after(tx, actor, author, place, room, now=now),
            lambda: own_notes.revisions(tx, author),
            only_grows=True,
        ),
        *map(shared, SHARED),
    ]
    if lease is not None and lease.ward == device.ward:
        ward = lease.ward
        name = briefing.bucket(ward)
        after = logged(name, lambda ids: briefed(ward, ids))
        scope.append(_Lending(name, after, lambda: briefing.revisions(tx, ward)))
    return scope


def _heard(
    tx: Transaction, name: str, send: Callable[[Sequence[str]], Rows], place: Place, room: int
) -> Heard:
    """A row that changed twice is sent once, as it is now; one that may not be sent now is taken off."""
    logged: list[Logged] = changes.after(tx, name, *place, room + 1)
    more, logged = len(logged) > room, logged[:room]
    latest = {entry.id: entry for entry in logged}
    sent = send([entry.id for entry in latest.values() if entry.op is ChangeOp.PUT])
    found = []
    for entry in latest.values():
        if entry.id in sent:
            rev, data = sent[entry.id]
            found.append(Change(bucket=name, kind=entry.kind, id=entry.id, rev=rev, data=data))
        else:
            found.append(changes.taken_off(name, entry.kind, entry.id, entry.rev, entry.reason))
    return Heard(found, (logged[-1].xid, logged[-1].seq) if logged else place, more)


def _taken_off(tx: Transaction, device: DeviceIdentity, name: str) -> list[Change]:
    """A bucket that is no longer in scope, row by row as far as the ledger knows them: the lease is over."""
    if not name.startswith(briefing.bucket("")):
        return []
    return [
        changes.taken_off(name, briefing.KIND, str(child_id), 0, RemoveReason.LEASE_OVER)
        for child_id in leases.still_on(tx, device.device_id)
    ]


def _confirm(
    tx: Transaction, device: DeviceIdentity, lent: dict[str, tuple[int, int]], issued_at: int, now: int
) -> None:
    """What the phone's cursor and its own word prove of the briefing: where it is, or that nothing of it is left.

    A request may arrive long after the phone has asked again and been answered, so its cursor proves nothing of what
    was sent since it was issued.
    """
    here = [place for name, place in lent.items() if name.startswith(briefing.bucket(""))]
    leases.confirm(tx, device.device_id, here[0] if here else None, sent_until=issued_at, now=now)


def _write_down(
    tx: Transaction,
    device: DeviceIdentity,
    lease: Running | None,
    found: Sequence[Change],
    places: dict[str, tuple[int, int]],
    now: int,
) -> None:
    """The ledger of holdings: what goes to the phone with this page, and what is to leave it."""
    if lease is None:
        return
    name = briefing.bucket(lease.ward)
    told = [change for change in found if change.bucket == name]
    puts = [int(change.id) for change in told if change.op is ChangeOp.PUT]
    leases.given(tx, device.device_id, puts, until=lease.until, now=now)
    for change in told:
        if change.op is ChangeOp.REMOVE:
            leases.leaving(tx, device.device_id, int(change.id), places[name])
