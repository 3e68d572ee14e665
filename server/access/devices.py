"""Phones: one-time codes, enrolment, access tokens, revocation. SQL beside its audit verb."""

from __future__ import annotations

import json
import uuid
from typing import Any

import msgspec

from server.access import people
from server.access.assertions import Claims, plain_jwk, thumbprint
from server.access.crypto import code_digest, new_code, new_token, token_digest
from server.access.errors import AccountError, CodeRefused, DeviceRevoked, ProofRefused, TokenRefused
from server.access.identity import DeviceIdentity
from server.audit import Actor, Verb, record
from server.storage.port import Row, Transaction

ACTIVE, REVOKED = "active", "revoked"
WIPE_SILENCE_MS = 24 * 3_600_000
"""After so long a silence a phone that said it begins to wipe itself counts as wiped: it says so with its last sync and
erases itself within the second, but its last word may be lost, and it cannot say it again."""
CODES_OPEN_MAX = 20  # for one officer: more are a mistake or an attack, and each is a way in


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone is told when it is enrolled."""

    device_id: str
    username: str
    officer_name: str
    ward: str | None
    borough: str | None


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A phone as the administrator sees it. Times in ms since the epoch."""

    device_id: str
    name: str
    username: str
    ward: str | None
    borough: str | None
    role: str
    status: str
    enrolled_at: int
    revoked_at: int | None
    last_seen_at: int | None
    app_version: str | None
    wipe_ordered_at: int | None
    wipe_begun_at: int | None
    wiped_at: int | None
    wipe_presumed_at: int | None

    @property
    def state(self) -> str:
        """In a word or two, for a list."""
        if self.wiped_at is not None:
            return "wiped"
        if self.wipe_presumed_at is not None:
            return "wiped, its last word not heard"
        if self.wipe_begun_at is not None:
            return "wiping"
        if self.status == ACTIVE and self.wipe_ordered_at is not None:
            return "to be wiped"
        return self.status


IDENTITY = (
    "SELECT d.device_id, d.person, p.username, p.name, p.role, d.ward, d.borough, "
    "CASE WHEN d.status = 'active' AND p.active = 1 THEN 0 ELSE 1 END, "
    "CASE WHEN d.wipe_ordered_at IS NULL THEN 0 ELSE 1 END "
)


def _identity(row: Row) -> DeviceIdentity:
    return DeviceIdentity(
        device_id=row[0],
        person_id=row[1],
        username=row[2],
        officer_name=row[3],
        role=row[4],
        ward=row[5],
        borough=row[6],
        revoked=bool(row[7]),
        wipe_ordered=bool(row[8]),
    )


def make_code(tx: Transaction, username: str, *, ward: str | None, now: int, lifetime_ms: int) -> str:
    """A one-time code with which this officer's phone enrols. Only its hash is kept; it is shown once."""
    person = people.find(tx, username)
    if person is None or not person.active:
        raise AccountError(
            "There is no such officer.", "earlysign people add makes one; earlysign people list shows all."
        )
    tx.lock("enrolment_code")
    open_codes = tx.value(
        "SELECT count(*) FROM enrolment_code WHERE person = :p AND used_at IS NULL AND expires_at > :now",
        {"p": person.person_id, "now": now},
    )
    if open_codes >= CODES_OPEN_MAX:
        raise AccountError(
            f"{CODES_OPEN_MAX} codes of this officer are still open.", "Wait until they expire."
        )
    code = new_code()
    tx.execute(
        "INSERT INTO enrolment_code (code_sha256, person, ward, made_at, expires_at) "
        "VALUES (:code, :person, :ward, :now, :expires)",
        {
            "code": code_digest(code),
            "person": person.person_id,
            "ward": ward,
            "now": now,
            "expires": now + lifetime_ms,
        },
    )
    return code


def enrol(
    tx: Transaction, code: str, jwk: dict[str, Any], *, name: str, app_version: str | None, now: int
) -> Enrolled:
    """Spend a code on a key whose possession was proved (`verify_enrolment`). Raises `CodeRefused`.

    The same key with the same code gives the same device again: the first answer may have been lost on the
    way.
    """
    digest, print_of_key = code_digest(code), thumbprint(jwk)
    taken = tx.row(
        "UPDATE enrolment_code SET used_at = :now WHERE code_sha256 = :code AND used_at IS NULL "
        "AND expires_at > :now RETURNING person, ward",
        {"code": digest, "now": now},
    )
    if taken is None:
        again = tx.row(
            "SELECT d.device_id FROM enrolment_code c JOIN device d ON d.device_id = c.device_id "
            "WHERE c.code_sha256 = :code AND c.expires_at > :now "
            "AND d.thumbprint = :print AND d.status = 'active'",
            {"code": digest, "now": now, "print": print_of_key},
        )
        if again is None:
            raise CodeRefused("That code is wrong, used already, or too old.")
        return _enrolled(tx, again[0])
    person = people.by_id(tx, taken[0])
    if person is None or not person.active:
        raise CodeRefused("That code is wrong, used already, or too old.")
    device_id = str(uuid.uuid4())
    added = tx.execute(
        "INSERT INTO device (device_id, thumbprint, public_key, person, name, ward, borough, role, status, "
        "enrolled_at, app_version) VALUES (:id, :print, :key, :person, :name, :ward, :borough, :role, "
        "'active', :now, :app) ON CONFLICT (thumbprint) DO NOTHING",
        {
            "id": device_id,
            "print": print_of_key,
            "key": plain_jwk(jwk),
            "person": person.person_id,
            "name": name,
            "ward": taken[1],
            "borough": person.borough,
            "role": person.role,
            "now": now,
            "app": app_version,
        },
    )
    if not added:
        raise CodeRefused("This key is enrolled already.", "Make a new key pair and ask for a new code.")
    tx.execute(
        "UPDATE enrolment_code SET device_id = :id WHERE code_sha256 = :code",
        {"id": device_id, "code": digest},
    )
    record(tx, Actor("person", str(person.person_id)), Verb.COLLECTION, "device", [device_id], now=now)
    return _enrolled(tx, device_id)


def _enrolled(tx: Transaction, device_id: str) -> Enrolled:
    identity = by_id(tx, device_id)
    if identity is None:
        raise CodeRefused("That code is wrong, used already, or too old.")
    return Enrolled(
        device_id=device_id,
        username=identity.username,
        officer_name=identity.officer_name,
        ward=identity.ward,
        borough=identity.borough,
    )


def public_jwk(tx: Transaction, device_id: str) -> dict[str, Any] | None:
    """The public key of a phone, revoked ones included, or `None`."""
    text = tx.value("SELECT public_key FROM device WHERE device_id = :id", {"id": device_id})
    return None if text is None else json.loads(text)


def issue_token(tx: Transaction, claims: Claims, *, now: int, lifetime_ms: int, keep_ms: int) -> str:
    """Exchange a verified assertion for a token; the assertion is spent. A second use raises `ProofRefused`.

    `keep_ms`: how long after its expiry an assertion could still be accepted (the clock tolerance).
    """
    fresh = tx.execute(
        "INSERT INTO assertion_seen (device_id, jti, expires_at) VALUES (:d, :jti, :e) "
        "ON CONFLICT DO NOTHING",
        {"d": claims.device_id, "jti": claims.jti, "e": claims.expires_at_ms + keep_ms},
    )
    if not fresh:
        raise ProofRefused("The assertion was used before.", "Sign a new one with a new jti for every token.")
    token = new_token()
    tx.execute(
        "INSERT INTO device_token (token_sha256, device_id, expires_at) VALUES (:t, :d, :e)",
        {"t": token_digest(token), "d": claims.device_id, "e": now + lifetime_ms},
    )
    seen(tx, claims.device_id, now=now)
    return token


def identify(tx: Transaction, token: str, now: int) -> DeviceIdentity:
    """The phone behind a token, revoked ones included (see `DeviceIdentity.revoked`).

    Raises `TokenRefused`.
    """
    row = tx.row(
        IDENTITY + ", t.expires_at FROM device_token t JOIN device d ON d.device_id = t.device_id "
        "JOIN person p ON p.id = d.person WHERE t.token_sha256 = :t",
        {"t": token_digest(token)},
    )
    if row is None:
        raise TokenRefused("The token is not known.")
    if now >= row[9]:
        raise TokenRefused("The token has expired.")
    return _identity(row)


def may_read(device: DeviceIdentity) -> None:
    """Raises `DeviceRevoked` for a phone that is sent nothing any more."""
    if device.must_wipe:
        raise DeviceRevoked(
            "This phone has been revoked, or its officer's account is closed."
            if device.revoked
            else "This phone was told to wipe itself."
        )


def still_reading(tx: Transaction, device: DeviceIdentity) -> DeviceIdentity:
    """The phone as it is now. Raises `DeviceRevoked` where it may not read any more."""
    now = by_id(tx, device.device_id)
    if now is None:
        raise DeviceRevoked("This phone is not known any more.")
    may_read(now)
    return now


def by_id(tx: Transaction, device_id: str) -> DeviceIdentity | None:
    """The identity of a phone, revoked ones included."""
    row = tx.row(
        IDENTITY + "FROM device d JOIN person p ON p.id = d.person WHERE d.device_id = :id", {"id": device_id}
    )
    return None if row is None else _identity(row)


def seen(tx: Transaction, device_id: str, *, now: int, app_version: str | None = None) -> None:
    """Note that the phone was heard of; `None` keeps the app version that is known."""
    tx.execute(
        "UPDATE device SET last_seen_at = :now, app_version = COALESCE(:app, app_version) "
        "WHERE device_id = :id",
        {"now": now, "app": app_version, "id": device_id},
    )


def everything(tx: Transaction, *, username: str | None = None) -> list[DeviceRow]:
    """All phones, or those of one officer, latest first."""
    rows = tx.rows(
        "SELECT d.device_id, d.name, p.username, d.ward, d.borough, d.role, d.status, d.enrolled_at, "
        "d.revoked_at, d.last_seen_at, d.app_version, d.wipe_ordered_at, d.wipe_begun_at, d.wiped_at, "
        "d.wipe_presumed_at "
        "FROM device d JOIN person p ON p.id = d.person "
        "WHERE COALESCE(:u, p.username) = p.username ORDER BY d.enrolled_at DESC, d.device_id",
        {"u": None if username is None else people.plain_username(username)},
    )
    return [DeviceRow(**dict(zip(DeviceRow.__struct_fields__, row, strict=True))) for row in rows]


def revoke(tx: Transaction, device_id: str, *, actor: Actor, now: int) -> bool:
    """Revoke a phone: from now on it can only hand in notes to quarantine, and is told to wipe.

    False when it was revoked before. Its tokens stay, since it must still be recognised. Raises
    `AccountError`.
    """
    changed = tx.execute(
        "UPDATE device SET status = 'revoked', revoked_at = :now WHERE device_id = :id AND status = 'active'",
        {"id": device_id, "now": now},
    )
    if not changed and by_id(tx, device_id) is None:
        raise AccountError("There is no such phone.", "earlysign devices list shows them all.")
    if changed:
        record(tx, actor, Verb.ALTERATION, "device", [device_id], now=now)
    return bool(changed)


def order_wipe(tx: Transaction, device_id: str, *, actor: Actor, now: int) -> bool:
    """Tell a phone to wipe itself once it has sent all it had; it reads nothing more. Raises `AccountError`.

    Unlike a revoked phone's, its notes are taken as any other's. False where it was told before.
    """
    changed = tx.execute(
        "UPDATE device SET wipe_ordered_at = :now WHERE device_id = :id AND wipe_ordered_at IS NULL",
        {"id": device_id, "now": now},
    )
    if not changed and by_id(tx, device_id) is None:
        raise AccountError("There is no such phone.", "earlysign devices list shows them all.")
    if changed:
        record(tx, actor, Verb.ALTERATION, "device", [device_id], now=now)
    return bool(changed)


def wipe_begins(tx: Transaction, device_id: str, *, actor: Actor, now: int) -> None:
    """The phone says that it has sent all it had and begins to wipe itself."""
    tx.execute(
        "UPDATE device SET wipe_begun_at = COALESCE(wipe_begun_at, :now), wipe_presumed_at = NULL"
        " WHERE device_id = :id",
        {"id": device_id, "now": now},
    )
    record(tx, actor, Verb.ALTERATION, "device", [device_id], now=now)


def wiped(tx: Transaction, device_id: str, *, actor: Actor, now: int) -> None:
    """The phone says that nothing is on it any more. The first time counts. A copy of it that still comes is told to
    wipe itself, also where nobody had ordered that."""
    tx.execute(
        "UPDATE device SET wiped_at = COALESCE(wiped_at, :now),"
        " wipe_ordered_at = COALESCE(wipe_ordered_at, :now) WHERE device_id = :id",
        {"id": device_id, "now": now},
    )
    record(tx, actor, Verb.ERASURE, "device", [device_id], now=now)


def presume_wiped(tx: Transaction, *, actor: Actor, now: int) -> int:
    """Count as wiped the phones that said they begin and have been silent since; how many."""
    found = tx.rows(
        "UPDATE device SET wipe_presumed_at = :now WHERE wipe_begun_at IS NOT NULL AND wiped_at IS NULL"
        " AND wipe_presumed_at IS NULL AND wipe_begun_at <= :old AND COALESCE(last_seen_at, 0) <= :old"
        " RETURNING device_id",
        {"now": now, "old": now - WIPE_SILENCE_MS},
    )
    ids = sorted(device_id for (device_id,) in found)
    if ids:
        record(tx, actor, Verb.ALTERATION, "device", ids, now=now, reason="wipe presumed")
    return len(ids)


def prune(tx: Transaction, now: int) -> int:
    """Delete tokens, spent assertions and codes that can no longer be used; gives how many rows."""
    return sum(
        tx.execute(f"DELETE FROM {table} WHERE expires_at <= :now", {"now": now})
        for table in ("device_token", "assertion_seen", "enrolment_code")
    )
