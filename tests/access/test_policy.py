"""Roles and scopes as configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.access.identity import Person, PersonRow, person_from_row
from server.access.policy import Permission, PolicyError, Scope, load_policy

LAMBETH, SOUTHWARK, CAMDEN, CITY, KENT = "E09000022", "E09000028", "E09000007", "E09000001", "E10000016"


def person(role: str, borough: str | None = LAMBETH, unit: str | None = None) -> Person:
    row = PersonRow(
        person_id=1,
        username="x",
        name="X",
        role=role,
        borough=borough,
        unit=unit,
        must_change=False,
        active=True,
        created_at=0,
    )
    return person_from_row(load_policy(), row)


def test_the_default_has_the_roles_of_the_domain_and_londons_boroughs() -> None:
    policy = load_policy()
    assert set(policy.roles) == {
        "schools_officer",
        "ward_officer",
        "investigator",
        "supervisor",
        "duty_inspector",
        "force_duty_officer",
        "scrutiny",
        "auditor",
        "administrator",
    }
    assert len(policy.force.boroughs) == 32
    assert len(policy.force.units) == 12


@pytest.mark.parametrize(
    ("role", "borough", "unit", "sees", "sees_not"),
    [
        ("schools_officer", LAMBETH, None, [], [LAMBETH, None]),
        ("investigator", LAMBETH, None, [LAMBETH], [SOUTHWARK, CAMDEN, KENT, None]),
        ("supervisor", LAMBETH, None, [LAMBETH], [SOUTHWARK, None]),
        ("duty_inspector", LAMBETH, None, [LAMBETH, SOUTHWARK], [CAMDEN, None]),
        ("duty_inspector", None, "AS", [LAMBETH, SOUTHWARK], [CAMDEN, None]),
        ("duty_inspector", None, None, [], [LAMBETH, None]),
        ("force_duty_officer", None, None, [LAMBETH, CAMDEN, CITY, KENT, None], []),
    ],
)
def test_a_role_sees_its_scope_and_no_further(
    role: str, borough: str | None, unit: str | None, sees: list[str | None], sees_not: list[str | None]
) -> None:
    somebody = person(role, borough, unit)
    assert all(somebody.sees_borough(code) for code in sees)
    assert not any(somebody.sees_borough(code) for code in sees_not)


def test_an_administrator_runs_the_server_and_sees_no_child() -> None:
    administrator = person("administrator", None)
    assert administrator.may(Permission.MANAGE_DEVICES)
    for permission in ("children.view", "children.search", "alerts.view", "restricted.view"):
        assert not administrator.may(permission)


def test_lowering_a_grade_needs_a_supervisor() -> None:
    assert not person("investigator").may(Permission.LOWER_GRADES)
    assert person("supervisor").may(Permission.LOWER_GRADES)


def test_a_forces_own_file_replaces_a_role_and_adds_another(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[roles.investigator]\ntitle = "MASH worker"\nscope = "force"\npermissions = ["alerts.view"]\n'
        '[roles.trainee]\ntitle = "Trainee"\nscope = "own"\npermissions = []\n'
    )
    policy = load_policy(own)
    assert policy.role("investigator").title == "MASH worker"
    assert policy.role("investigator").scope is Scope.FORCE
    assert policy.role("trainee").permissions == frozenset()
    assert policy.role("supervisor").title == "Supervisor"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[roles.x", "not valid TOML"),
        ('[roles.x]\ntitle="X"\nscope="own"\npermissions=["fly"]', "roles"),
        ('[roles.x]\ntitle="X"\nscope="galaxy"\npermissions=[]', "roles"),
        ('[roles.x]\ntitle="X"\nscope="own"\npermissions=[]\ncolour="red"', "colour"),
        ("roles = 3", "must be a table"),
        ("[people]\na = 1", "people"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(PolicyError, match=says) as caught:
        load_policy(own)
    assert "own.toml" in str(caught.value)


def test_a_role_that_is_gone_is_an_error_and_not_an_empty_role() -> None:
    with pytest.raises(PolicyError, match="no_such_role"):
        person("no_such_role")
