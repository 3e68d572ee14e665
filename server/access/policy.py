"""Roles, permissions and scopes: configuration, read from TOML.

`load_policy()` reads the default beside this file and lays a force's own file over it; boroughs and command
units come from `server.casework.boroughs`. Code asks only for a `Permission`; which role holds it is never
written in code.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from server.casework.boroughs import BoroughsError, Force, default_force, load_force

DEFAULT_POLICY = Path(__file__).with_name("policy.toml")


class PolicyError(ValueError):
    """The policy file cannot be used. The message says where and what to change."""


class Permission(StrEnum):
    """Everything that a role may allow. A policy that names another permission is refused when it is read."""

    WRITE_NOTES = "notes.write"
    SEE_OWN_NOTES = "notes.own"
    SEE_ALERTS = "alerts.view"
    ACKNOWLEDGE_ALERTS = "alerts.acknowledge"
    ASSIGN_ALERTS = "alerts.assign"
    SEE_CHILDREN = "children.view"
    SEARCH_CHILDREN = "children.search"
    SEARCH_ELSEWHERE = "children.search_elsewhere"
    DECIDE_LINKS = "links.decide"
    SET_GRADES = "grades.set"
    LOWER_GRADES = "grades.lower"
    WORK_CASES = "cases.work"
    SEE_RESTRICTED = "restricted.view"
    SEE_ORIGINALS = "originals.view"
    """Attachments as they came, with where they were taken; others see the picture and hear the sound."""
    SUPERVISE = "supervision.view"
    SAMPLE = "scrutiny.sample"
    READ_AUDIT = "audit.read"
    EXPORT_AUDIT = "audit.export"
    MANAGE_DEVICES = "devices.manage"
    MANAGE_PEOPLE = "people.manage"
    MANAGE_RULES = "rules.manage"
    MANAGE_QUARANTINE = "quarantine.manage"


class Scope(StrEnum):
    """How far a role sees: own notes, one borough, a command unit's boroughs, the whole force."""

    OWN = "own"
    BOROUGH = "borough"
    UNIT = "unit"
    FORCE = "force"


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role: its title on screen, how far it sees, what it may do."""

    title: str
    scope: Scope
    permissions: frozenset[Permission]


class Policy(msgspec.Struct, frozen=True):
    """Who may do what, and the boroughs that their scopes are made of."""

    roles: dict[str, Role]
    force: Force

    def role(self, name: str) -> Role:
        """The role with that id; raises `PolicyError` when the policy no longer has it."""
        try:
            return self.roles[name]
        except KeyError:
            raise PolicyError(
                f"the role {name} is not in the policy; it has: {', '.join(self.roles)}"
            ) from None

    def unit_of(self, borough: str | None) -> str | None:
        """The code of the unit that a borough belongs to, or `None`."""
        return None if borough is None else self.force.unit_of(borough)

    def boroughs_of(self, scope: Scope, borough: str | None, unit: str | None) -> frozenset[str]:
        """The boroughs that somebody with this scope, borough and unit sees (for `own`: none)."""
        if scope is Scope.FORCE:
            return frozenset(self.force.boroughs)
        if scope is Scope.UNIT:
            return frozenset(self.force.boroughs_of(unit or self.unit_of(borough) or ""))
        return frozenset({borough}) if scope is Scope.BOROUGH and borough else frozenset()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    roles: dict[str, Role]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"{path.name} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path.name} is not valid TOML: {error}") from None


def load_policy(own: Path | None = None, boroughs: Path | None = None) -> Policy:
    """The default roles with the force's own file laid over them role by role, and the force's boroughs.

    Raises `PolicyError` for an unreadable file, an unknown permission or scope, or boroughs that cannot be
    used.
    """
    merged = _read(DEFAULT_POLICY)
    if own is not None:
        for section, entries in _read(own).items():
            if not isinstance(entries, dict):
                raise PolicyError(f"{own.name}: {section} must be a table")
            merged[section] = merged.get(section, {}) | entries
    try:
        roles = msgspec.convert(merged, _File).roles
        force = default_force() if boroughs is None else load_force(boroughs)
    except msgspec.ValidationError as error:
        raise PolicyError(f"{own.name if own else DEFAULT_POLICY.name}: {error}") from None
    except (BoroughsError, OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{boroughs.name if boroughs else 'boroughs.toml'}: {error}") from None
    return Policy(roles, force)
