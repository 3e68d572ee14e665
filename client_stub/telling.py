"""What the officer is told of each entry, in words. "All sent" is said in one case only (invariant 16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from client_stub.album import AttachmentState, Picture
from client_stub.became import Became, Decision, set_aside
from client_stub.standing import Status
from client_stub.store import Item
from sync.envelope import Code, Outcome
from sync.note import Amendment, Note
from sync.operations import Kind, body_of, parse_envelope
from sync.outbox import State, SyncState

SUMMARY_CHARACTERS_MAX = 60

REASONS: dict[str, str] = {
    Code.NOT_AN_OP: "the server could not read it",
    Code.OP_TOO_LARGE: "it is too long",
    Code.SCHEMA_UNKNOWN: "the server does not know this program's version",
    Code.KIND_UNKNOWN: "the server does not know this kind of entry",
    Code.BODY_INVALID: "a field is not valid",
    Code.BODY_DIGEST_MISMATCH: "it was damaged on the way",
    Code.KEY_REUSED: "its number was taken by a copy of this device",
    Code.DEVICE_MISMATCH: "it came from another device",
    Code.USER_MISMATCH: "it was written by another officer",
    Code.DEVICE_REVOKED: "this device has been revoked",
    Code.ENTITY_TAKEN: "another note has the same id",
    Code.NOT_THE_AUTHOR: "the note is somebody else's",
    Code.OBSERVED_OUT_OF_RANGE: "its time cannot be right",
    Code.FAILED: "the server met something unexpected in it",
}


def headline(state: SyncState, attachments: Sequence[Picture] = ()) -> str:
    """The sync state in one sentence, true by construction."""
    return _of_notes(state, attachments) + _of_attachments(attachments)


def _of_attachments(attachments: Sequence[Picture]) -> str:
    """How many photographs and recordings have arrived, where there are any."""
    if not attachments:
        return ""
    arrived = sum(one.state is AttachmentState.RECEIPTED for one in attachments)
    refused = sum(one.state is AttachmentState.REFUSED for one in attachments)
    sentence = f" Photographs and recordings: {arrived} of {len(attachments)} received."
    if refused:
        sentence += f" {refused} not taken by the server, kept on this device."
    return sentence


def _of_notes(state: SyncState, attachments: Sequence[Picture]) -> str:
    total = state.waiting + state.unconfirmed + state.receipted
    if total == 0:
        return "Nothing has been written on this device yet."
    if state.all_sent and any(one.state is AttachmentState.WAITING for one in attachments):
        sentence = (
            f"Not all sent: the server has signed for all {total} entries, and files wait on this device."
        )
    elif state.all_sent:
        sentence = f"All sent. The server has signed for all {total}."
    else:
        parts = []
        if state.waiting:
            parts.append(f"{state.waiting} only on this device")
        if state.unconfirmed:
            parts.append(f"{state.unconfirmed} sent but not signed for yet")
        sentence = f"Not all sent: {', '.join(parts)}. {state.receipted} received."
    if state.quarantined:
        sentence += f" {state.quarantined} set aside at the server for a person to look at."
    return sentence


def sentence_of(item: Item, became: Became | None = None, decided: Decision | None = None) -> str:
    """Where one entry is; `became` is what the server last said of the note that it writes, `decided` what a person
    decided of it where it was set aside."""
    if item.state is State.QUEUED:
        return "On this device"
    if item.state is State.SENT:
        return "On this device (sent, no answer yet)"
    if item.state is State.SETTLED:
        return "Received, not signed for yet"
    if decided is not None and (decided.refused or item.kind != Kind.NOTE_WRITE or became is None):
        return decided.sentence
    if set_aside(item, became):
        reason = REASONS.get(item.code or "", "a person will look at it")
        place = f" ({item.at.removeprefix('$.')})" if item.at and item.at != "$" else ""
        return f"Received, set aside: {reason}{place}"
    if item.outcome == Outcome.PARKED:
        return "Received, waits for the note it belongs to"
    said = became.sentence if became and item.kind == Kind.NOTE_WRITE else "Received"
    if item.code in REASONS and item.outcome != Outcome.QUARANTINED:
        return f"{said}, but {REASONS[item.code]}"
    return said


def where_of(item: Item, shown: Status) -> str:
    """Where an entry of this device is, by all that the device knows."""
    return sentence_of(item, shown.became.get(item.entity_id), shown.decisions.get(item.digest))


def refused_elsewhere_words(decision: Decision, received: str) -> str:
    """What the officer is told of an entry that was refused and is not on this device. `received`: when, as shown."""
    reason = f": {decision.reason}" if decision.reason else ""
    device = f"the device named {decision.phone}" if decision.phone else "another device"
    return f"An entry that {device} handed in on {received} was not taken{reason}"


def wiped_words(set_aside_there: int) -> str:
    """What the officer of a device that was just wiped is told of the notes that were on it."""
    said = "The server had this device wiped. Your notes had arrived before."
    if set_aside_there:
        said += f" {set_aside_there} of them were set aside there: a person decides about each. Ask the administrator."
    return said


def summary_of(item: Item) -> str:
    """A few words to know the entry by, from its own text; empty where the bytes are gone."""
    if item.line is None:
        return ""
    try:
        body = body_of(parse_envelope(item.line))
    except ValueError:
        return ""
    if isinstance(body, Amendment):
        return body.text[:SUMMARY_CHARACTERS_MAX]
    if not isinstance(body, Note):
        return ""
    who = body.subjects[0]
    name = " ".join(part for part in (who.given_names, who.family_name) if part)
    if not name and who.approximate_age is not None:
        name = f"about {who.approximate_age:g}"
    danger = "DANGER NOW. " if body.danger_now else ""
    words = f"{danger}{body.category.label}" + (f": {name}" if name else "")
    return words[:SUMMARY_CHARACTERS_MAX]


def json_of(shown: Status) -> dict[str, Any]:
    """The status as plain JSON: counts and states, no content of notes."""
    return {
        "enrolled": shown.identity is not None,
        "device_id": None if shown.identity is None else shown.identity.device_id,
        "user": None if shown.identity is None else shown.identity.user,
        "server": None if shown.identity is None else shown.identity.server,
        "protection": shown.protection.value,
        "all_sent": shown.all_sent,
        "waiting": shown.state.waiting,
        "unconfirmed": shown.state.unconfirmed,
        "receipted": shown.state.receipted,
        "quarantined": shown.state.quarantined,
        "attachments": [
            {
                "sha256": one.digest,
                "note_id": one.note_id,
                "kind": one.kind,
                "size": one.size,
                "sent": one.sent,
                "state": one.state.value,
            }
            for one in shown.attachments
        ],
        "lent_rows": shown.lent_rows,
        "children_held": shown.children_held,
        "lease_until": shown.lease_until,
        "last_sync_at": shown.last_sync_at,
        "notes": [
            {
                "id": item.entity_id,
                "kind": item.kind,
                "epoch": item.epoch,
                "seq": item.seq,
                "state": item.state.value,
                "outcome": item.outcome,
                "code": item.code,
                "where": where_of(item, shown),
                "became": msgspec.to_builtins(shown.became.get(item.entity_id)),
            }
            for item in shown.items
        ],
        "refused_elsewhere": [msgspec.to_builtins(one) for one in shown.refused_elsewhere],
    }
