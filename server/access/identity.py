"""Who is asking: a signed-in person or an enrolled phone, as handlers see them."""

from __future__ import annotations

import msgspec

from server.access.policy import Permission, Policy, Scope


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in person and what the policy lets them see and do. Times in ms since the epoch."""

    person_id: int
    username: str
    name: str
    role: str
    role_title: str
    permissions: frozenset[Permission]
    scope: Scope
    borough: str | None
    unit: str | None
    boroughs: frozenset[str]
    must_change: bool = False
    session_expires_at: int = 0

    def may(self, permission: Permission | str) -> bool:
        """Whether this person's role holds the permission."""
        return permission in self.permissions

    def sees_borough(self, code: str | None) -> bool:
        """Whether records owned by this borough are in scope.

        `None` (no borough known, other force): force only.
        """
        return self.scope is Scope.FORCE or (code is not None and code in self.boroughs)


class DeviceIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolled phone and its officer.

    `revoked` is true for a revoked phone and for a phone whose officer's account is closed: it may still hand
    in notes, which go to quarantine, and what its notes name, and is told to wipe; it may read nothing. One that an
    administrator ordered to wipe reads nothing either, and hands in notes as any other.
    """

    device_id: str
    person_id: int
    username: str
    officer_name: str
    role: str
    ward: str | None
    borough: str | None
    revoked: bool
    wipe_ordered: bool = False

    @property
    def must_wipe(self) -> bool:
        """Whether this phone is to send what it has, read nothing, and wipe itself."""
        return self.revoked or self.wipe_ordered


def person_from_row(policy: Policy, row: PersonRow, *, session_expires_at: int = 0) -> Person:
    """Give a stored person the permissions and boroughs of their role."""
    role = policy.role(row.role)
    unit = row.unit or policy.unit_of(row.borough)
    return Person(
        person_id=row.person_id,
        username=row.username,
        name=row.name,
        role=row.role,
        role_title=role.title,
        permissions=role.permissions,
        scope=role.scope,
        borough=row.borough,
        unit=unit,
        boroughs=policy.boroughs_of(role.scope, row.borough, unit),
        must_change=row.must_change,
        session_expires_at=session_expires_at,
    )


class PersonRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person as stored, without the password."""

    person_id: int
    username: str
    name: str
    role: str
    borough: str | None
    unit: str | None
    must_change: bool
    active: bool
    created_at: int
