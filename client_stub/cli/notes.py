"""`note`, `amend` and `withdraw`: what an officer writes. None of them needs signal."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from client_stub import writing
from client_stub.cli.common import (
    AsJson,
    Attach,
    NoteFile,
    StoreFolder,
    content,
    err,
    fail,
    local_now,
    open_device,
    out,
)
from client_stub.device import Device
from sync.note import Amendment, Note, Withdrawal


def note(
    folder: StoreFolder,
    file: NoteFile = None,
    attach: Attach = None,
    given_names: Annotated[str | None, typer.Option(help="Who: given names.")] = None,
    family_name: Annotated[str | None, typer.Option(help="Who: family name.")] = None,
    age: Annotated[float | None, typer.Option(help="About how old, in years.")] = None,
    dob: Annotated[str | None, typer.Option(help="Date of birth, 2012-05-31.")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male.")] = None,
    school: Annotated[str | None, typer.Option()] = None,
    address: Annotated[str | None, typer.Option(help="Home address.")] = None,
    postcode: Annotated[str | None, typer.Option()] = None,
    phone: Annotated[str | None, typer.Option(help="Telephone number.")] = None,
    guardian: Annotated[str | None, typer.Option(help="Name of a parent or guardian.")] = None,
    description: Annotated[str | None, typer.Option(help="What tells this child from another.")] = None,
    saw: Annotated[str, typer.Option(help="What I saw or heard.")] = "",
    words: Annotated[str, typer.Option(help="The child's own words.")] = "",
    demeanour: Annotated[str, typer.Option(help="How the child seemed.")] = "",
    assessment: Annotated[str, typer.Option(help="What I make of it, kept apart from what I saw.")] = "",
    action: Annotated[str, typer.Option(help="What I did.")] = "",
    protection_from: Annotated[
        str | None, typer.Option(help="When police protection began: 14:05, or 2025-11-03 14:05.")
    ] = None,
    danger_now: Annotated[bool, typer.Option("--danger-now", help="The child is in danger now.")] = False,
    category: Annotated[str, typer.Option(help="Main category; the first letters are enough.")] = "other",
    also: Annotated[
        list[str] | None, typer.Option(help="Further category. May be given several times.")
    ] = None,
    exploitation: Annotated[bool, typer.Option("--exploitation", help="A sign of exploitation.")] = False,
    seen: Annotated[str | None, typer.Option(help="seen, seen_alone or not_seen.")] = None,
    not_seen_because: Annotated[str, typer.Option(help="Why the child was not seen.")] = "",
    observed: Annotated[str | None, typer.Option(help="When: 14:05, or 2025-11-03 14:05. Else now.")] = None,
    place: Annotated[str | None, typer.Option(help="Where, in words.")] = None,
    latitude: Annotated[float | None, typer.Option(help="Degrees, WGS 84.")] = None,
    longitude: Annotated[float | None, typer.Option(help="Degrees, WGS 84.")] = None,
    accuracy_m: Annotated[float | None, typer.Option(help="Accuracy of the position, in metres.")] = None,
    missing_hours: Annotated[float | None, typer.Option(help="Missing for how many hours so far.")] = None,
    missing_risk: Annotated[str | None, typer.Option(help="no_apparent_risk, low, medium or high.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a concern note. It is safe on this device when the command ends; signal is not needed.

    With no options it asks: who, what I saw, the child's words, danger now. Everything else can come later
    with [bold]amend[/bold]. A vague note is a good note: "boy about 13, first name Jay, Peckham bus station".
    """
    with open_device(folder) as device:
        device.enrolled()
        now = local_now(device)
        offered = writing.words_sent(device.store.holdings())
        subject = _given(
            given_names=given_names, family_name=family_name, approximate_age=age, date_of_birth=dob, sex=sex,
            school=school, address=address, postcode=postcode, phone=phone, guardian=guardian,
            description=description,
        )  # fmt: skip
        if file is not None:
            body = writing.read(Note, content(file))
        elif not subject and not saw and not words and place is None:
            if not sys.stdin.isatty():
                fail("The note is empty.", "Give at least --saw, --words or who it is about. See --help.")
            body = writing.build(Note, writing.ask_for_note(err, now, offered))
        else:
            when = now if observed is None else writing.instant(observed, now)
            body = writing.build(
                Note,
                {
                    "observed_at": when.isoformat(),
                    "recorded_at": now.isoformat(),
                    "category": writing.category(category, offered),
                    "other_categories": [writing.category(other, offered) for other in also or []],
                    "saw_or_heard": saw,
                    "voice_of_child": words,
                    "demeanour": demeanour,
                    "assessment": assessment,
                    "action_taken": action,
                    "police_protection_from": None
                    if protection_from is None
                    else writing.instant(protection_from, now).isoformat(),
                    "danger_now": danger_now,
                    "exploitation_indicator": exploitation,
                    "child_seen": seen,
                    "not_seen_reason": not_seen_because,
                    "found_at": _given(
                        place=place, latitude=latitude, longitude=longitude, accuracy_m=accuracy_m
                    )
                    or None,
                    "missing": _given(hours=missing_hours, risk_level=missing_risk) or None,
                    "subjects": [subject],
                },
            )
        _advise(body)
        _kept(device, device.write(body, attach=attach or ()), as_json)


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def amend(
    note_id: Annotated[str, typer.Argument(help="Id of the note, or how it begins (status lists them).")],
    folder: StoreFolder,
    reason: Annotated[str, typer.Option(help="Why you add to it.")] = "",
    text: Annotated[str, typer.Option(help="What to add.")] = "",
    file: NoteFile = None,
    attach: Attach = None,
    as_json: AsJson = False,
) -> None:
    """Add to, or correct, a note of yours. The note itself never changes; both stay on record."""
    with open_device(folder) as device:
        device.enrolled()
        if file is not None:
            body = writing.read(Amendment, content(file))
        elif not text and not attach:
            fail("There is nothing to add.", "Give --text, or --file with a whole amendment.")
        else:
            body = Amendment(recorded_at=local_now(device), reason=reason, text=text)
        _advise(body)
        _kept(device, device.amend(device.find_note(note_id), body, attach=attach or ()), as_json)


def withdraw(
    note_id: Annotated[str, typer.Argument(help="Id of the note, or how it begins (status lists them).")],
    folder: StoreFolder,
    reason: Annotated[str, typer.Option(help="Why the note was written in error.")],
    as_json: AsJson = False,
) -> None:
    """Say that a note of yours was written in error. It stays on record, marked so."""
    with open_device(folder) as device:
        body = Withdrawal(recorded_at=local_now(device), reason=reason)
        _kept(device, device.withdraw(device.find_note(note_id), body), as_json)


def _advise(body: Note | Amendment) -> None:
    for sentence in writing.advice(body):
        err.print(f"[yellow]{escape(sentence)}[/yellow]", soft_wrap=True)


def _kept(device: Device, note_id: str, as_json: bool) -> None:
    waiting = device.status().state.waiting
    if as_json:
        typer.echo(msgspec.json.encode({"id": note_id, "waiting": waiting}))
    else:
        out.print(f"Kept on this device: {note_id}", highlight=False)
        out.print(f"{waiting} waiting to be sent: earlysign-device sync")
