"""The administrator's page of people: who may sign in, a new account, a new password, closed and opened again.

A password that was made here is shown on the page that answers the form, once, and is kept nowhere.
"""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import accounts
from server.access import people
from server.access.crypto import new_password
from server.access.errors import AccountError
from server.access.identity import PersonRow
from server.access.policy import Permission, Policy
from server.console.pages.desk import Desk, Done
from server.console.pages.web import Page, missing, sends, shows
from server.console.views import Choice
from server.console.views_administration import AccountRow, PeoplePage
from server.http.auth import requires
from server.storage.port import Transaction

MANAGES_PEOPLE = [requires(Permission.MANAGE_PEOPLE)]
FIELDS = ("username", "name", "role", "borough", "unit")


@shows("/people", guards=MANAGES_PEOPLE)
async def list_people(desk: NamedDependency[Desk]) -> Page:
    """Everybody who may sign in, and the form of a new account."""
    return await desk.shows("people.html", "people", lambda tx: _view(tx, desk))


@sends("/people", guards=MANAGES_PEOPLE)
async def add(desk: NamedDependency[Desk]) -> Page:
    """Add a person, and show the password that was made for them; or say what is wrong in the form."""
    form, actor = await desk.form(), accounts.require(desk.person)
    typed = {name: form.line(name, people.NAME_LENGTH_MAX) for name in FIELDS}
    username, name, role = typed["username"], typed["name"], typed["role"]
    borough, unit = typed["borough"] or None, typed["unit"] or None
    password = new_password()
    hashed = await desk.services.passwords.hash(password)

    def work(tx: Transaction) -> PeoplePage:
        try:
            people.check_new_person(
                desk.services.policy, username=username, name=name, role=role, borough=borough, unit=unit
            )
            people.add(
                tx, username=username, name=name, role=role, borough=borough, unit=unit, password_hash=hashed,
                must_change=True, actor=actor, now=desk.now,
            )  # fmt: skip
        except AccountError as wrong:
            return _view(tx, desk, typed=typed, error=f"{wrong} {_hint(wrong)}")
        return _view(tx, desk, made_for=people.plain_username(username), password=password)

    return await desk.takes("people.html", "people", work, is_good=_shows_password)


@sends("/people/{username:str}/{order:str}", guards=MANAGES_PEOPLE)
async def order(username: FromPath[str], order: FromPath[str], desk: NamedDependency[Desk]) -> Page:
    """Give somebody a new password (which opens a closed account), or close the account."""
    actor, services = accounts.require(desk.person), desk.services
    if order not in ("password", "close"):
        raise missing()
    password = new_password()
    hashed = await services.passwords.hash(password) if order == "password" else ""

    def work(tx: Transaction) -> PeoplePage | Done:
        try:
            if order == "close":
                pack = services.worlds.pack_in_force(tx)
                accounts.close(tx, username, actor=actor, policy=services.policy, pack=pack, now=desk.now)
                return Done("/people", "account-closed")
            accounts.renew(tx, username, hashed, must_change=True, actor=actor, now=desk.now)
        except AccountError as wrong:
            return _view(tx, desk, error=f"{wrong} {_hint(wrong)}")
        return _view(tx, desk, made_for=username, password=password)

    return await desk.takes("people.html", "people", work, is_good=_shows_password)


def _shows_password(view: PeoplePage) -> bool:
    return view.password is not None


def _hint(wrong: AccountError) -> str:
    """What to do, where it does not speak of the command line."""
    return "" if "--" in wrong.hint or "earlysign " in wrong.hint else wrong.hint


def _view(
    tx: Transaction,
    desk: Desk,
    *,
    typed: dict[str, str] | None = None,
    error: str | None = None,
    made_for: str | None = None,
    password: str | None = None,
) -> PeoplePage:
    policy, said = desk.services.policy, typed or {}
    rows = [_row(policy, row, desk.person.username) for row in people.everybody(tx)]
    force = policy.force
    return PeoplePage(
        rows=tuple(sorted(rows, key=lambda row: (not row.open, row.name.casefold()))),
        roles=_choices({name: role.title for name, role in policy.roles.items()}, said.get("role")),
        boroughs=_choices({code: one.name for code, one in force.boroughs.items()}, said.get("borough")),
        units=_choices({code: f"{code}, {one.name}" for code, one in force.units.items()}, said.get("unit")),
        username=said.get("username", ""),
        name=said.get("name", ""),
        error=error,
        made_for=made_for,
        password=password,
    )


def _choices(found: dict[str, str], chosen: str | None) -> tuple[Choice, ...]:
    named = sorted(found.items(), key=lambda pair: pair[1])
    return tuple(Choice(value=value, label=label, selected=value == chosen) for value, label in named)


def _row(policy: Policy, row: PersonRow, own: str) -> AccountRow:
    role = policy.roles.get(row.role)
    place = policy.force.place_of(row.borough, row.unit)
    return AccountRow(
        username=row.username,
        name=row.name,
        role=role.title if role else f"{row.role} (not in the policy)",
        place=place or "whole force",
        since=row.created_at,
        open=row.active,
        must_change=row.active and row.must_change,
        own=row.username == own,
    )


HANDLERS = [list_people, add, order]
