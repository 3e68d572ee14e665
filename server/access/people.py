"""People who sign in: SQL beside its audit verb."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from server.access.errors import AccountError
from server.access.identity import Person, PersonRow, person_from_row
from server.access.policy import Permission, Policy, Scope
from server.audit import Actor, Verb, record
from server.storage.port import Transaction

USERNAME_LENGTH_MAX = 64
NAME_LENGTH_MAX = 200
COLUMNS = "id, username, name, role, borough, unit, must_change, active, created_at"


def plain_username(typed: str) -> str:
    """The stored form of a username: trimmed, composed, lower case, without NUL."""
    return unicodedata.normalize("NFKC", typed).replace("\0", "").strip().casefold()


def columns(table: str) -> str:
    """The columns that `from_row` takes, of a table under another name."""
    return ", ".join(f"{table}.{name}" for name in COLUMNS.split(", "))


def from_row(row: Sequence[Any]) -> PersonRow:
    """A person from the values of `COLUMNS`."""
    return PersonRow(
        person_id=row[0],
        username=row[1],
        name=row[2],
        role=row[3],
        borough=row[4],
        unit=row[5],
        must_change=bool(row[6]),
        active=bool(row[7]),
        created_at=row[8],
    )


def find(tx: Transaction, username: str) -> PersonRow | None:
    """The person with that username, closed accounts included."""
    row = tx.row(f"SELECT {COLUMNS} FROM person WHERE username = :u", {"u": plain_username(username)})
    return None if row is None else from_row(row)


def by_id(tx: Transaction, person_id: int) -> PersonRow | None:
    """The person with that id."""
    row = tx.row(f"SELECT {COLUMNS} FROM person WHERE id = :id", {"id": person_id})
    return None if row is None else from_row(row)


def everybody(tx: Transaction) -> list[PersonRow]:
    """All people, by username."""
    return [from_row(row) for row in tx.rows(f"SELECT {COLUMNS} FROM person ORDER BY username")]


def who_may(tx: Transaction, policy: Policy, permission: Permission) -> list[Person]:
    """Everybody with an open account whose role has a permission, by name."""
    found = [person_from_row(policy, row) for row in everybody(tx) if row.active and row.role in policy.roles]
    return sorted((one for one in found if one.may(permission)), key=lambda one: one.name.casefold())


def stored_hash(tx: Transaction, username: str) -> tuple[int, str] | None:
    """(person id, argon2id hash) of somebody whose account is open."""
    row = tx.row(
        "SELECT id, password_hash FROM person WHERE username = :u AND active = 1",
        {"u": plain_username(username)},
    )
    return None if row is None else (row[0], row[1])


def check_new_person(
    policy: Policy, *, username: str, name: str, role: str, borough: str | None, unit: str | None
) -> None:
    """Raise `AccountError` unless the policy knows role, borough and unit, and the role has its place."""
    plain = plain_username(username)
    if not plain or len(plain) > USERNAME_LENGTH_MAX or not all(c.isalnum() or c in "._-@" for c in plain):
        raise AccountError(
            "That username cannot be used.",
            f"Use at most {USERNAME_LENGTH_MAX} letters, digits, dots, dashes, underscores or @.",
        )
    if not name.strip() or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise AccountError(
            "That name cannot be used.", f"Give a name of at most {NAME_LENGTH_MAX} characters."
        )
    if role not in policy.roles:
        raise AccountError(f"There is no role {role!r}.", f"The roles are: {', '.join(policy.roles)}.")
    if borough is not None and not policy.force.polices(borough):
        raise AccountError(
            f"There is no borough {borough!r}.", "Give an ONS code, such as E09000022 for Lambeth."
        )
    if unit is not None and unit not in policy.force.units:
        raise AccountError(
            f"There is no command unit {unit!r}.", f"The units are: {', '.join(policy.force.units)}."
        )
    scope = policy.role(role).scope
    if scope in {Scope.OWN, Scope.BOROUGH} and borough is None:
        raise AccountError(
            f"The role {role} needs a borough.", "Add --borough, such as E09000022 for Lambeth."
        )
    if scope is Scope.UNIT and unit is None and borough is None:
        raise AccountError(
            f"The role {role} needs a command unit.", f"Add --unit: {', '.join(policy.force.units)}."
        )


def add(
    tx: Transaction,
    *,
    username: str,
    name: str,
    role: str,
    borough: str | None,
    password_hash: str,
    must_change: bool,
    actor: Actor,
    now: int,
    unit: str | None = None,
) -> int:
    """Store a person (check them with `check_new_person` first); gives the id.

    Raises `AccountError` if taken.
    """
    person_id: int | None = tx.value(
        "INSERT INTO person "
        "(username, name, role, borough, unit, password_hash, must_change, active, created_at) "
        "VALUES (:username, :name, :role, :borough, :unit, :hash, :must_change, 1, :now) "
        "ON CONFLICT (username) DO NOTHING RETURNING id",
        {
            "username": plain_username(username),
            "name": name.strip(),
            "role": role,
            "borough": borough,
            "unit": unit,
            "hash": password_hash,
            "must_change": int(must_change),
            "now": now,
        },
    )
    if person_id is None:
        raise AccountError("That username is taken.", "earlysign people list shows who is there.")
    record(tx, actor, Verb.COLLECTION, "person", [person_id], now=now)
    return person_id


def set_password(
    tx: Transaction, person_id: int, password_hash: str, *, must_change: bool, actor: Actor, now: int
) -> None:
    """Store a new password and end every session of that person."""
    _alter(tx, person_id, "password_hash = :v, must_change = :m", {"v": password_hash, "m": int(must_change)})
    tx.execute("DELETE FROM person_session WHERE person = :id", {"id": person_id})
    record(tx, actor, Verb.ALTERATION, "person", [person_id], now=now)


def set_active(tx: Transaction, person_id: int, active: bool, *, actor: Actor, now: int) -> None:
    """Close or open an account.

    Closing ends every session; the person's phones may then only hand in notes.
    """
    _alter(tx, person_id, "active = :v", {"v": int(active)})
    if not active:
        tx.execute("DELETE FROM person_session WHERE person = :id", {"id": person_id})
    record(tx, actor, Verb.ALTERATION, "person", [person_id], now=now)


def _alter(tx: Transaction, person_id: int, change: str, values: dict[str, Any]) -> None:
    if tx.execute(f"UPDATE person SET {change} WHERE id = :id", values | {"id": person_id}) == 0:
        raise AccountError("There is no such person.", "earlysign people list shows who is there.")
