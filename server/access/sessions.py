"""Signing in and out, and the session behind the cookie: an opaque token, stored hashed, with two ends."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.access import people, throttle
from server.access.crypto import new_token, token_digest
from server.access.errors import NotSignedIn, WrongPassword
from server.access.identity import Person, person_from_row
from server.access.passwords import Passwords, check_new_password
from server.access.policy import Policy
from server.access.throttle import Limits
from server.audit import Actor
from server.storage.port import Store, Transaction

SEEN_STEP_MS = 60_000  # "last seen" is written at most once a minute: a page of many requests costs one write


class SessionRules(msgspec.Struct, frozen=True):
    """When a session ends: after `idle_ms` without a request, and `absolute_ms` after signing in."""

    idle_ms: int
    absolute_ms: int


class SignedIn(msgspec.Struct, frozen=True):
    """A new session. `token` goes into the cookie and is not kept."""

    person: Person
    token: str


def start(tx: Transaction, policy: Policy, rules: SessionRules, person_id: int, now: int) -> SignedIn:
    """Make a session for a person who has proved who they are."""
    row = people.by_id(tx, person_id)
    if row is None or not row.active:
        raise NotSignedIn("This account is closed.")
    token = new_token()
    expires_at = now + rules.absolute_ms
    tx.execute(
        "INSERT INTO person_session (token_sha256, person, started_at, seen_at, expires_at) "
        "VALUES (:token, :person, :now, :now, :expires)",
        {"token": token_digest(token), "person": person_id, "now": now, "expires": expires_at},
    )
    return SignedIn(person_from_row(policy, row, session_expires_at=expires_at), token)


async def sign_in(
    store: Store,
    passwords: Passwords,
    policy: Policy,
    limits: Limits,
    rules: SessionRules,
    *,
    username: str,
    password: str,
    address: str,
    now: int,
) -> SignedIn:
    """Check a password and start a session.

    Raises `TooManyAttempts`, `WrongPassword` (unknown, closed and mistyped alike, at the same cost) or
    `Busy`.
    """
    plain = people.plain_username(username)

    def begin(tx: Transaction) -> tuple[list[int], tuple[int, str] | None]:
        attempts = throttle.begin(tx, limits, username=plain, address=address, now=now)
        return attempts, people.stored_hash(tx, plain)

    attempts, found = await store.write(begin)
    matches = await passwords.verify(found[1] if found else None, password)
    if not matches or found is None:
        raise WrongPassword("The username or the password is wrong.")

    def finish(tx: Transaction) -> SignedIn:
        throttle.forgive(tx, attempts, limits, username=plain)
        return start(tx, policy, rules, found[0], now)

    return await store.write(finish)


async def change_password(
    store: Store,
    passwords: Passwords,
    limits: Limits,
    person: Person,
    *,
    old: str,
    new: str,
    address: str,
    now: int,
) -> None:
    """A person's own change: asks for the old one, ends all their sessions. Raises as `sign_in` does."""
    check_new_password(new, person.username)

    def begin(tx: Transaction) -> tuple[list[int], tuple[int, str] | None]:
        attempts = throttle.begin(tx, limits, username=person.username, address=address, now=now)
        return attempts, people.stored_hash(tx, person.username)

    attempts, found = await store.write(begin)
    if not await passwords.verify(found[1] if found else None, old):
        raise WrongPassword("The present password is wrong.")
    hashed = await passwords.hash(new)

    def finish(tx: Transaction) -> None:
        throttle.forgive(tx, attempts, limits, username=person.username)
        actor = Actor("person", str(person.person_id))
        people.set_password(tx, person.person_id, hashed, must_change=False, actor=actor, now=now)

    await store.write(finish)


async def find(store: Store, policy: Policy, rules: SessionRules, token: str, now: int) -> Person:
    """The person behind a session token, which counts as used. Raises `NotSignedIn` for an unknown, idle, expired
    or closed one."""
    digest = token_digest(token)

    def look(tx: Transaction) -> tuple[Person, bool]:
        row = tx.row(
            "SELECT person, seen_at, expires_at FROM person_session WHERE token_sha256 = :t", {"t": digest}
        )
        if row is None:
            raise NotSignedIn("You are not signed in.")
        person_id, seen_at, expires_at = row
        if now >= expires_at or now >= seen_at + rules.idle_ms:
            raise NotSignedIn("Your session has ended.")
        stored = people.by_id(tx, person_id)
        if stored is None or not stored.active:
            raise NotSignedIn("This account is closed.")
        return person_from_row(policy, stored, session_expires_at=expires_at), now - seen_at >= SEEN_STEP_MS

    person, stale = await store.read(look)
    if stale:
        await store.write(
            lambda tx: tx.execute(
                "UPDATE person_session SET seen_at = :now WHERE token_sha256 = :t AND seen_at < :now",
                {"t": digest, "now": now},
            )
        )
    return person


def standing(
    tx: Transaction, policy: Policy, rules: SessionRules, digests: Sequence[bytes], now: int
) -> dict[bytes, Person]:
    """Of these sessions (by the digest of their token) those that stand, and whose they are.

    They do not count as used: a page that only stays open keeps nobody signed in. A role that the policy no longer
    has stands for nothing.
    """
    marks = {f"t{index}": digest for index, digest in enumerate(dict.fromkeys(digests))}
    wanted = ", ".join(f":{name}" for name in marks) or "NULL"
    rows = tx.rows(
        f"SELECT s.token_sha256, s.expires_at, {people.columns('p')} FROM person_session s"
        f" JOIN person p ON p.id = s.person WHERE s.token_sha256 IN ({wanted}) AND p.active = 1"
        " AND s.expires_at > :now AND s.seen_at > :idle",
        marks | {"now": now, "idle": now - rules.idle_ms},
    )
    return {
        digest: person_from_row(policy, people.from_row(row), session_expires_at=expires_at)
        for digest, expires_at, *row in rows
        if row[3] in policy.roles
    }


def end(tx: Transaction, token: str) -> None:
    """Sign out: the session is gone, and its cookie worth nothing."""
    tx.execute("DELETE FROM person_session WHERE token_sha256 = :t", {"t": token_digest(token)})


def end_all(tx: Transaction) -> int:
    """Sign everybody out, as after a restore: the backup may know of sessions that were ended since."""
    return tx.execute("DELETE FROM person_session")


def prune(tx: Transaction, rules: SessionRules, now: int) -> int:
    """Delete sessions that have ended; gives how many."""
    return tx.execute(
        "DELETE FROM person_session WHERE expires_at <= :now OR seen_at <= :idle",
        {"now": now, "idle": now - rules.idle_ms},
    )
