"""Housekeeping: what can no longer be used is deleted: sessions, tokens, codes, spent assertions, attempts."""

from __future__ import annotations

from server.access import devices, sessions, throttle
from server.access.sessions import SessionRules
from server.access.throttle import Limits
from server.records import search
from server.storage.port import Transaction


def run(tx: Transaction, now: int, rules: SessionRules, limits: Limits) -> int:
    """Delete what has expired; how many rows."""
    accounts = sessions.prune(tx, rules, now) + devices.prune(tx, now) + throttle.prune(tx, limits, now)
    return accounts + search.prune(tx, now)
