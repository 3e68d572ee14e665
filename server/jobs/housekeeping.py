"""Housekeeping: what can no longer be used is deleted: sessions, tokens, codes, spent assertions, attempts, holdings.

And what nobody will say any more is written down: that a phone which began to wipe itself must have done so, and that
a note has not come to which something adds."""

from __future__ import annotations

from server.access import devices, sessions, throttle
from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.audit import Actor
from server.records import leases, quarantine, search
from server.storage.port import Transaction


def run(tx: Transaction, now: int, rules: SessionRules, limits: Limits) -> int:
    """Delete what has expired; how many rows."""
    accounts = sessions.prune(tx, rules, now) + devices.prune(tx, now) + throttle.prune(tx, limits, now)
    actor = Actor("system", "housekeeping")
    devices.presume_wiped(tx, actor=actor, now=now)
    quarantine.parked_too_long(tx, actor, now=now)
    return accounts + search.prune(tx, now) + leases.prune(tx, now)
