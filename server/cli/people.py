"""`earlysign people`: who may sign in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from server import accounts
from server.access import people
from server.access.crypto import new_password
from server.access.passwords import Passwords, check_new_password
from server.access.policy import Policy
from server.app import make_pack
from server.cli.common import (
    DataOption,
    examples,
    in_database,
    make_typer,
    open_database,
    operator,
    out,
    policy_from,
    say,
    settings_from,
)
from server.clock import now_ms
from server.world import Worlds

UsernameArgument = Annotated[str, typer.Argument(help="The name to sign in with.", show_default=False)]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input (one line).")
]
AskPassword = Annotated[bool, typer.Option("--ask", help="Ask for a password instead of making one.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = make_typer("Add, list and reset the people who sign in.")
    group.command(
        "add",
        epilog=examples(
            "earlysign people add rivera --name 'Sam Rivera' --role investigator --borough E09000022",
            "earlysign people add okafor --role schools_officer --borough E09000028",
            "earlysign people add admin --role administrator --ask",
        ),
    )(add)
    group.command("list", epilog=examples("earlysign people list"))(list_people)
    group.command("reset", epilog=examples("earlysign people reset rivera"))(reset)
    app.add_typer(group, name="people")


def add(
    username: UsernameArgument,
    role: Annotated[
        str, typer.Option(help="A role of the policy, such as investigator.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option(help="The name on screen.", show_default=False)] = None,
    borough: Annotated[
        str | None, typer.Option(help="ONS code or name of the borough.", show_default=False)
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Code of the command unit, such as AS.", show_default=False)
    ] = None,
    ask: AskPassword = False,
    password_stdin: PasswordStdin = False,
    data: DataOption = None,
) -> None:
    """Add a person who signs in.

    Without --ask a password is made and printed once; the person has to choose their own when they first
    sign in.
    """
    settings = settings_from(data)
    policy = policy_from(settings)
    shown_name = name or username
    code = borough_code(policy, borough)
    people.check_new_person(policy, username=username, name=shown_name, role=role, borough=code, unit=unit)
    password, made = choose_password(username, ask=ask, from_stdin=password_stdin)
    hashed = hash_of(password)
    actor, now = operator(), now_ms()
    in_database(
        settings,
        lambda tx: people.add(
            tx,
            username=username,
            name=shown_name,
            role=role,
            borough=code,
            unit=unit,
            password_hash=hashed,
            must_change=made,
            actor=actor,
            now=now,
        ),
    )
    say(f"Added [bold]{escape(people.plain_username(username))}[/bold], {escape(policy.role(role).title)}.")
    show_password(password, made)


def list_people(data: DataOption = None) -> None:
    """Show everybody who may sign in."""
    settings = settings_from(data)
    policy = policy_from(settings)
    with open_database(settings) as store:
        found = store.read_now(people.everybody)
    if not found:
        say("Nobody yet. Add somebody: earlysign people add rivera --role investigator --borough E09000022")
        return
    table = Table("Username", "Name", "Role", "Place", "State")
    for person in found:
        role = policy.roles.get(person.role)
        place = policy.force.place_of(person.borough, person.unit)
        state = "open" if person.active else "closed"
        table.add_row(
            escape(person.username),
            escape(person.name),
            escape(role.title if role else f"{person.role} (not in the policy)"),
            escape(place or "whole force"),
            "must choose a password" if person.active and person.must_change else state,
        )
    out.print(table)


def reset(
    username: UsernameArgument,
    ask: AskPassword = False,
    password_stdin: PasswordStdin = False,
    close: Annotated[bool, typer.Option("--close", help="Close the account instead.")] = False,
    data: DataOption = None,
) -> None:
    """Set a new password and sign the person out everywhere, or close the account with --close.

    A closed account's phones may hand in what they hold and read nothing. Setting a password opens it again.
    The person's alerts go back to the queues of their boroughs.
    """
    settings = settings_from(data)
    actor, now = operator(), now_ms()
    if close:
        policy, usual = policy_from(settings), make_pack(settings)
        in_database(
            settings,
            lambda tx: accounts.close(
                tx, username, actor=actor, policy=policy, pack=Worlds(usual).pack_in_force(tx), now=now
            ),
        )
        say(f"Closed the account of {escape(username)}.")
        return
    in_database(settings, lambda tx: accounts.existing(tx, username))
    password, made = choose_password(username, ask=ask, from_stdin=password_stdin)
    hashed = hash_of(password)
    in_database(
        settings, lambda tx: accounts.renew(tx, username, hashed, must_change=made, actor=actor, now=now)
    )
    say(f"New password for {escape(username)}; every session has ended.")
    show_password(password, made)


def borough_code(policy: Policy, given: str | None) -> str | None:
    """The ONS code for a code or a borough's name; what is neither comes back as it was."""
    if given is None:
        return None
    wanted = given.strip().casefold()
    for code, borough in policy.force.boroughs.items():
        if wanted in {code.casefold(), borough.name.casefold()}:
            return code
    return given


def choose_password(username: str, *, ask: bool, from_stdin: bool) -> tuple[str, bool]:
    """(the password, whether it was made here). Raises `PasswordTooWeak` for a weak one that was given."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif ask:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        return new_password(), True
    check_new_password(password, people.plain_username(username))
    return password, False


def hash_of(password: str) -> str:
    """The argon2id hash."""
    passwords = Passwords(at_once=1)
    try:
        return passwords.hash_now(password)
    finally:
        passwords.close()


def show_password(password: str, made: bool) -> None:
    """Print a password that was made here; it is shown this once."""
    if made:
        say(f"Password: [bold]{escape(password)}[/bold]")
        say("It is shown only now, and has to be changed at the first sign-in.")
