"""`earlysign devices`: one-time codes for phones, what is enrolled, revoking."""

from __future__ import annotations

import datetime
from typing import Annotated
from urllib.parse import quote

import msgspec
import segno
import typer
from rich.markup import escape
from rich.table import Table

from server import phones
from server.access import devices, people
from server.access.crypto import load_secret
from server.access.devices import DeviceRow
from server.access.errors import AccountError
from server.access.identity import person_from_row
from server.access.people import plain_username
from server.access.signing import SigningKey
from server.app import make_data_folder
from server.casework.days import LONDON, instant
from server.casework.words import dated
from server.cli.common import (
    CommandError,
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
from server.storage import Transaction

MINUTE_MS = 60_000
SHOWN_OF_ID = 8
"""Characters of a phone's id in the list: enough to name it in a command."""
AGES = ((86_400_000, "day"), (3_600_000, "hour"), (MINUTE_MS, "minute"))


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = make_typer("Enrol phones, list them, revoke one that is lost.")
    group.command(
        "enrol-code",
        epilog=examples(
            "earlysign devices enrol-code --officer okafor",
            "earlysign devices enrol-code --officer okafor --ward E05014095 --minutes 60",
        ),
    )(enrol_code)
    group.command(
        "list", epilog=examples("earlysign devices list", "earlysign devices list --officer okafor")
    )(list_devices)
    group.command("revoke", epilog=examples("earlysign devices revoke 3f2c --yes"))(revoke)
    group.command("wipe", epilog=examples("earlysign devices wipe 3f2c --yes"))(wipe)
    group.command(
        "holdings",
        epilog=examples(
            "earlysign devices holdings 3f2c --at 14:05",
            "earlysign devices holdings 3f2c --at '2026-03-01 14:05' --person rivera",
        ),
    )(holdings)
    group.command("receipt-key", epilog=examples("earlysign devices receipt-key > server-key.json"))(
        receipt_key
    )
    app.add_typer(group, name="devices")


def enrol_code(
    officer: Annotated[str, typer.Option(help="Username of the officer.", show_default=False)],
    ward: Annotated[str | None, typer.Option(help="ONS code of the ward.", show_default=False)] = None,
    minutes: Annotated[
        int | None,
        typer.Option(min=1, max=10_080, help="How long it can be used.", show_default="the setting"),
    ] = None,
    qr: Annotated[bool, typer.Option("--qr/--no-qr", help="Draw the QR code too.")] = True,
    plain: Annotated[bool, typer.Option("--plain", help="Print the code alone, for scripts.")] = False,
    data: DataOption = None,
) -> None:
    """Make a one-time code with which an officer's phone enrols.

    The phone types it or reads the QR code, which holds the server's address too. It works once, and not for
    long.
    """
    settings = settings_from(data)
    if ward is not None and not (len(ward) == 9 and ward.isascii() and ward.isalnum()):
        raise CommandError("That is not a ward's ONS code.", "It looks like E05014095.", 2)
    lifetime_minutes = minutes or settings.enrol_code_minutes
    now = now_ms()
    code = in_database(
        settings,
        lambda tx: devices.make_code(
            tx, officer, ward=ward, now=now, lifetime_ms=lifetime_minutes * MINUTE_MS
        ),
    )
    if plain:
        typer.echo(code)
        return
    if qr:
        segno.make(qr_text(settings.base_url, code), error="m").terminal(compact=True)
    say(f"Server: [bold]{escape(settings.base_url)}[/bold]")
    say(f"Code:   [bold]{code}[/bold]")
    say(f"It works once, within {lifetime_minutes} minutes. On the phone:")
    typer.echo(f"  earlysign-device enrol --server {settings.base_url} --code {code}")


def qr_text(base_url: str, code: str) -> str:
    """What the QR code holds. The code stands after `#`, so that it never reaches a server's log."""
    return f"{base_url}/enrol#code={quote(code)}"


def list_devices(
    officer: Annotated[str | None, typer.Option(help="Only this officer's.", show_default=False)] = None,
    data: DataOption = None,
) -> None:
    """Show the phones that are or were enrolled."""
    with open_database(settings_from(data)) as store:
        found = store.read_now(phones.everything)
    if officer is not None:
        found = [phone for phone in found if phone.row.username == plain_username(officer)]
    if not found:
        say("No phone yet. Make a code: earlysign devices enrol-code --officer USERNAME")
        return
    now = now_ms()
    table = Table("Phone", "Name", "Officer", "Ward", "State", "Last seen", "What to know")
    for phone in found:
        device = phone.row
        table.add_row(
            device.device_id[:SHOWN_OF_ID],
            escape(device.name),
            escape(device.username),
            device.ward or "",
            device.state,
            "never" if device.last_seen_at is None else ago(now - device.last_seen_at),
            escape("; ".join(to_know(phone))),
        )
    out.print(table)


def to_know(phone: phones.Phone) -> list[str]:
    """What a phone owes and holds, how its clock is off, and its version, each in a few words."""
    told = [f"owes {phone.owes.briefly}"] if phone.owes else []
    if phone.holds:
        told.append(f"holds {phone.holds} {'child' if phone.holds == 1 else 'children'}")
    if phone.clock is not None:
        told.append(f"clock {phone.clock}")
    return [*told, *([f"version {phone.row.app_version}"] if phone.row.app_version else [])]


def revoke(
    device: Annotated[str, typer.Argument(help="The phone's id, or its beginning.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataOption = None,
) -> None:
    """Revoke a phone that is lost, stolen or handed back.

    From now on it reads nothing and is told to wipe. What it still holds it may hand in: that goes to a
    quarantine which a person releases.
    """
    settings = settings_from(data)
    with open_database(settings) as store:
        found = one_device(store.read_now(devices.everything), device)
        if found.status == devices.REVOKED:
            say("That phone was revoked before.")
            return
        say(f"Phone {escape(found.name)} of {escape(found.username)}, {found.device_id}")
        if not yes:
            typer.confirm("Revoke it?", abort=True)
        actor, now = operator(), now_ms()

        def work(tx: Transaction) -> bool:
            return devices.revoke(tx, found.device_id, actor=actor, now=now)

        store.write_now(work)
    if found.wiped_at is not None:
        say(
            f"Revoked. It was wiped, {dated(found.wiped_at)}; a copy of it, if there is one, reads nothing either."
        )
    else:
        say("Revoked. It is told to wipe when it next connects.")


def wipe(
    device: Annotated[str, typer.Argument(help="The phone's id, or its beginning.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataOption = None,
) -> None:
    """Tell a phone to wipe itself: it sends what it still has, reads nothing more, and says when it is done.

    Its notes are taken as any other's. Revoke it instead where it may be in wrong hands.
    """
    settings = settings_from(data)
    with open_database(settings) as store:
        found = one_device(store.read_now(devices.everything), device)
        if found.wiped_at is not None:
            raise CommandError(
                f"That phone was wiped, {dated(found.wiped_at)}: nothing is on it.",
                "Revoke it if there may be a copy of it.",
            )
        say(f"Phone {escape(found.name)} of {escape(found.username)}, {found.device_id}")
        if not yes:
            typer.confirm("Have it wiped?", abort=True)
        actor, now = operator(), now_ms()

        def work(tx: Transaction) -> bool:
            return devices.order_wipe(tx, found.device_id, actor=actor, now=now)

        ordered = store.write_now(work)
    say("It wipes itself when it next connects." if ordered else "That phone was told before.")


def holdings(
    device: Annotated[str, typer.Argument(help="The phone's id, or its beginning.", show_default=False)],
    at: Annotated[
        str | None,
        typer.Option(
            help="When, by London's clocks: 14:05 today, or 2026-03-01 14:05; or 2026-03-01T14:05Z.",
            show_default="now",
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(help="Username: show the names that this person may see.", show_default=False),
    ] = None,
    data: DataOption = None,
) -> None:
    """Which children were on a phone at that time? For a phone that was lost, and for whoever must be told.

    A child counts until the phone was known to be rid of it, also after its lease. That somebody asked is logged;
    so is every name that is shown, as a consultation by that person.
    """
    settings = settings_from(data)
    now = now_ms()
    when = now if at is None else _moment(at, now)
    with open_database(settings) as store:
        found = one_device(store.read_now(devices.everything), device)
        policy, actor = policy_from(settings), operator()

        def look(tx: Transaction) -> list[phones.OnPhone]:
            who = None
            if person is not None:
                row = people.find(tx, person)
                if row is None or not row.active:
                    raise AccountError("There is no such person.", "earlysign people list shows all.")
                who = person_from_row(policy, row)
            return phones.holdings(tx, found.device_id, when, actor=actor, now=now, person=who)

        lent = store.read_now(look)
    if not lent:
        say(f"No child was on that phone then ({dated(when)}).")
        return
    say(f"Who may have been on {escape(found.name)} of {escape(found.username)}, {dated(when)}, London time:")
    table = Table("Child", *(["Name"] if person else []), "Sent", "To be erased by", "Gone")
    for one in lent:
        table.add_row(
            str(one.child_id),
            *([escape(one.name or "not in this person's sight")] if person else []),
            dated(one.given_at),
            dated(one.until),
            "not known" if one.ended_at is None else dated(one.ended_at),
        )
    out.print(table)


def _moment(text: str, now: int) -> int:
    """`14:05` of today or `2026-03-01 14:05`, by London's clocks, or a time with its own offset from UTC, in
    milliseconds. Raises `CommandError`, also for a time to come, of which nobody knows anything."""
    today = datetime.datetime.fromtimestamp(now / 1000, LONDON).date()
    given = text.strip()
    try:
        if ":" not in given:
            raise ValueError("a day has no hour")
        said = datetime.datetime.fromisoformat(f"{today}T{given}" if given[2:3] == ":" else given)
        at = int(said.timestamp() * 1000) if said.tzinfo else instant(said.date(), said.time())
    except (ValueError, OverflowError):
        raise CommandError(
            f"{text[:30] or 'An empty text'} is not a time.",
            "Write it as 14:05, 2026-03-01 14:05 or 2026-03-01T14:05Z.",
            2,
        ) from None
    if at > now:
        raise CommandError(f"{dated(at)} is still to come.", "Give the day too, if it was on another.", 2)
    return at


def one_device(known: list[DeviceRow], wanted: str) -> DeviceRow:
    """The one phone whose id is or begins with `wanted`. Raises `AccountError` for none or several."""
    matching = [device for device in known if device.device_id.startswith(wanted.lower())]
    if len(matching) != 1 or len(wanted) < 4:
        many = len(matching) > 1 or len(wanted) < 4
        raise AccountError(
            "Several phones' ids could begin so." if many else "There is no such phone.",
            "Give at least four characters of one id; earlysign devices list shows them all.",
        )
    return matching[0]


def ago(ms: int) -> str:
    """`3 hours ago`, for a table."""
    for unit_ms, unit in AGES:
        count = ms // unit_ms
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def receipt_key(data: DataOption = None) -> None:
    """Print the public key with which receipts are checked, as a JWK.

    It is no secret. With it `earlysign-device verify-receipts --key FILE` proves, without the server, what the
    server signed for.
    """
    settings = settings_from(data)
    make_data_folder(settings)
    key = SigningKey(load_secret(settings.data, settings.secret)).public
    typer.echo(msgspec.json.encode(key))
