"""Counting wrong attempts, in the database, so that a restart or a second process forgets none of them."""

from __future__ import annotations

import ipaddress

import msgspec

from server.access.crypto import keyed_digest
from server.access.errors import TooManyAttempts
from server.storage.port import Transaction

IPV6_PREFIX_BITS = 64  # one household or office is handed a whole /64, so a single address would be no limit


class Limits(msgspec.Struct, frozen=True):
    """How many wrong attempts are let through within `window_ms`, and the key that hides who tried."""

    per_username: int
    per_address: int
    window_ms: int
    key: bytes


def plain_address(address: str) -> str:
    """The network address that attempts are counted under: IPv4 whole, IPv6 its /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX_BITS), strict=False))
    return str(parsed)


def begin(tx: Transaction, limits: Limits, *, username: str | None, address: str, now: int) -> list[int]:
    """Count an attempt before it is tried, so that guesses made at once cannot all slip under the limit.

    Gives the ids of the rows for `forgive`. Raises `TooManyAttempts` (and counts nothing) when a limit is
    spent.
    """
    subjects = [("address", plain_address(address), limits.per_address)]
    if username is not None:
        subjects.append(("username", username, limits.per_username))
    tx.lock("sign_in_attempt")
    hashed = [(kind, keyed_digest(limits.key, f"{kind} {subject}"), most) for kind, subject, most in subjects]
    for kind, subject, most in hashed:
        # The attempt that must leave the window before another is let in is the `most`-th newest.
        blocking = tx.value(
            "SELECT at FROM sign_in_attempt WHERE kind = :k AND subject = :s AND at > :since "
            "ORDER BY at DESC LIMIT 1 OFFSET :skip",
            {"k": kind, "s": subject, "since": now - limits.window_ms, "skip": most - 1},
        )
        if blocking is not None:
            raise TooManyAttempts(max(1, -(-(blocking + limits.window_ms - now) // 1000)))
    return [
        tx.value(
            "INSERT INTO sign_in_attempt (kind, subject, at) VALUES (:k, :s, :now) RETURNING id",
            {"k": kind, "s": subject, "now": now},
        )
        for kind, subject, _ in hashed
    ]


def forgive(tx: Transaction, attempts: list[int], limits: Limits, *, username: str | None = None) -> None:
    """The attempt was right: take it out of the count, and clear the wrong ones for that username."""
    for attempt in attempts:
        tx.execute("DELETE FROM sign_in_attempt WHERE id = :id", {"id": attempt})
    if username is not None:
        tx.execute(
            "DELETE FROM sign_in_attempt WHERE kind = 'username' AND subject = :s",
            {"s": keyed_digest(limits.key, f"username {username}")},
        )


def prune(tx: Transaction, limits: Limits, now: int) -> int:
    """Delete attempts that no longer count; gives how many."""
    return tx.execute("DELETE FROM sign_in_attempt WHERE at <= :old", {"old": now - limits.window_ms})
