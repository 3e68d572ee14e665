"""What was set aside, decided by a person: released onto the road, or refused with a reason. The bytes stay anyway."""

import msgspec

from server import dating
from server.access import devices, people
from server.access.errors import NotAllowed
from server.access.identity import DeviceIdentity, Person
from server.access.policy import Permission
from server.applying import Trip, apply, by_itself
from server.audit import Actor
from server.beside import Beside
from server.prepared import Prepared, prepare_alone
from server.records import quarantine, who_is_who
from server.records.quarantine import Decision, Held
from server.storage.port import Transaction
from server.world import World
from sync.envelope import Code, Verdict
from sync.operations import Envelope

REASON_CHARACTERS_MIN = 10

WHY: dict[str, tuple[str, str]] = {
    Code.NOT_AN_OP: (
        "It is not an entry that can be read.",
        "Ask the officer what was written; the phone keeps it. Then refuse it here.",
    ),
    Code.OP_TOO_LARGE: ("It is larger than an entry may be.", "Ask the officer to write it in parts."),
    Code.SCHEMA_UNKNOWN: (
        "It comes from a newer version of the phone's program.",
        "Update this server, then release it.",
    ),
    Code.KIND_UNKNOWN: (
        "It is of a kind that this server does not know.",
        "Update this server, then release it.",
    ),
    Code.BODY_INVALID: (
        "A field holds what it may not hold.",
        "Ask the officer to write it again. Release it after an update that can read it.",
    ),
    Code.BODY_DIGEST_MISMATCH: ("It was damaged on its way.", "Ask the officer to sync again."),
    Code.KEY_REUSED: (
        "Its number was used for another entry: the phone was restored or copied.",
        "Release it. The phone sends it again under another number, and then it is refused as one that is here.",
    ),
    Code.DEVICE_MISMATCH: (
        "It says that it comes from another phone than the one that sent it.",
        "Ask both officers. Release it where the note is genuine.",
    ),
    Code.USER_MISMATCH: (
        "It is in the name of another officer than the phone's.",
        "Ask both officers. Release it where the note is genuine: it stands in the name that it gives.",
    ),
    Code.DEVICE_REVOKED: (
        "It was handed in by a phone that had been revoked.",
        "Ask the officer whether they wrote it. Release it if so: a child may depend on it.",
    ),
    Code.ENTITY_TAKEN: ("A note with this id is here already.", "Compare the two with the officer."),
    Code.WAITS_FOR_NOTE: (
        "It adds to a note that has not come; it goes its way by itself when the note does.",
        "Have the officer sync, or release the note if it waits here too. If the note is lost, ask the officer to write"
        " it again, and refuse this.",
    ),
    Code.NOT_THE_AUTHOR: (
        "It changes a note that somebody else wrote.",
        "Ask the officer to write a note of their own.",
    ),
    Code.FAILED: (
        "The server met something in it that it did not expect.",
        "Look at the server's log at that time. Release it after an update.",
    ),
}
"""By code: why a line is here, and what to do about it."""


class Decided(Exception):
    """Somebody else has decided already, or there is nothing of that number."""


class NotReleased(Exception):
    """The road does not take it. Nothing changed; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(f"It cannot be released: {WHY.get(code, WHY[Code.FAILED])[0]}")
        self.code = code
        self.hint = WHY.get(code, WHY[Code.FAILED])[1]


def why(held: Held) -> tuple[str, str]:
    """(why it is here, what to do about it), in sentences."""
    return WHY.get(held.code, WHY[Code.FAILED])


def require(person: Person) -> Actor:
    """Who decides, for the audit log. Raises NotAllowed."""
    if not person.may(Permission.MANAGE_QUARANTINE):
        raise NotAllowed("Your role does not decide on what was set aside.")
    return Actor("person", person.username)


def release(tx: Transaction, actor: Actor, quarantine_id: int, *, now: int, world: World) -> Verdict:
    """Send a line that was set aside down the road once, as this server reads it now. Its verdict.

    Raises Decided, and NotReleased where the road does not take it.
    """
    held = _undecided(tx, quarantine_id)
    if held.code == Code.WAITS_FOR_NOTE:
        raise NotReleased(Code.WAITS_FOR_NOTE)
    line = quarantine.line_of(tx, quarantine_id)
    item = prepare_alone(line)
    envelope = item.arrival.envelope
    if item.arrival.fault is not None or envelope is None:
        raise NotReleased(item.arrival.fault or Code.NOT_AN_OP)
    sender = _sender(tx, held, envelope)
    with tx.savepoint():
        op_id = quarantine.in_ledger(tx, quarantine_id, now=now)
        verdict = _take_again(tx, sender, item, op_id, now=now, came_at=held.received_at, world=world)
        quarantine.decide(
            tx, actor, quarantine_id, Decision.RELEASED, now=now, by=actor.id, outcome=verdict.v.value,
            code=verdict.code, op_id=op_id,
        )  # fmt: skip
    return verdict


def _take_again(
    tx: Transaction,
    sender: DeviceIdentity,
    item: Prepared,
    op_id: int,
    *,
    now: int,
    came_at: int,
    world: World,
) -> Verdict:
    """The road for a line that is in the ledger as `op_id`, which keeps the verdict that the phone has.

    Raises NotReleased where it cannot apply; then nothing of it stays.
    """
    who_is_who.hold(tx)
    (item,) = dating.dated(tx, sender.device_id, [item], came_at)
    assert item.arrival.envelope is not None
    ids, beside = [item.arrival.envelope.entity_id], Beside(tx, world, alone=True)
    trip = Trip.of(tx, sender, world, ids, beside, now=now, came_at=came_at, apart=True)
    done = by_itself(trip, item.arrival, lambda: apply(trip, None, item, op_id))
    if isinstance(done, Code):
        raise NotReleased(done)
    return done[0]


def refuse(tx: Transaction, actor: Actor, quarantine_id: int, reason: str, *, now: int) -> None:
    """Say that a line that was set aside is not to be released, and why, which its officer reads on their phone. Its
    bytes are kept. Raises Decided."""
    _undecided(tx, quarantine_id)
    quarantine.decide(tx, actor, quarantine_id, Decision.REFUSED, now=now, by=actor.id, reason=reason.strip())


def _undecided(tx: Transaction, quarantine_id: int) -> Held:
    tx.lock("quarantine")
    held = quarantine.one(tx, quarantine_id)
    if held is None or held.decision is not None:
        raise Decided
    return held


def _sender(tx: Transaction, held: Held, envelope: Envelope) -> DeviceIdentity:
    """Whose note it is: in the name that the line gives, from the phone that it names. Raises NotReleased."""
    device = devices.by_id(tx, envelope.device) or devices.by_id(tx, held.device_id)
    author = people.find(tx, envelope.user)
    if device is None or author is None:
        raise NotReleased(Code.USER_MISMATCH if device is not None else Code.DEVICE_MISMATCH)
    return msgspec.structs.replace(
        device,
        person_id=author.person_id,
        username=author.username,
        officer_name=author.name,
        role=author.role,
        borough=author.borough,
        revoked=False,
    )
