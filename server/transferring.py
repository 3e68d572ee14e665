"""Handing a duty to another borough, which must accept it; telling another force; and who leads a child's case.

The sender has the duty, and its clock and escalation run there, until somebody in the other borough accepts.
"""

from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person, person_from_row
from server.access.policy import Permission, Policy
from server.casework.routing import OTHER_FORCE
from server.records import (
    alerts,
    children,
    children_shown,
    force_contacts,
    open_cases,
    telling,
    transfers,
    who_is_who,
)
from server.records.alerts import Alert, AlertConflict, State
from server.records.open_cases import Case
from server.records.transfers import Answer, Transfer
from server.storage.port import Transaction

NOT_THERE = "There is no such transfer among those you may answer."


class TransferRefused(Exception):
    """A transfer or a case cannot be as asked. The message says why, in words for the person."""


def offer(
    tx: Transaction, policy: Policy, person: Person, alert_id: int, to: str, reason: str, *,
    whole: bool, now: int, from_rev: int | None = None,
) -> int:  # fmt: skip
    """Offer an alert, or (`whole`) its child with all that is live, to another borough or to the other-force queue.

    The offer's number. Raises NotAllowed, AlertConflict and TransferRefused.
    """
    alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
    if not person.may(Permission.WORK_CASES):
        raise NotAllowed("Your role does not hand duties to other boroughs.")
    if alert.state is State.CLOSED or from_rev not in (None, alert.rev):
        raise AlertConflict(alert.state, alert.rev)
    if to == alert.borough or not (to == OTHER_FORCE or policy.force.polices(to)):
        raise TransferRefused("Choose another borough.")
    if any(
        one.from_borough == alert.borough
        and (one.alert_id == alert_id or (one.alert_id is None and one.child_id == alert.child_id))
        for one in transfers.pending(tx)
    ):
        raise TransferRefused("This has been offered already, and waits for an answer.")
    transfer_id = transfers.offer(tx, person, alert, to, reason, whole=whole, now=now)
    if not transfer_id:
        raise TransferRefused("This has been offered already, and waits for an answer.")
    return transfer_id


def answer(
    tx: Transaction, person: Person, transfer_id: int, how: Answer, reason: str | None, *, now: int
) -> Transfer:
    """Accept or refuse what another borough offers, or take an offer of one's own borough back.

    Whoever offered it does not accept it for the other side. Accepting a child opens a case that the person leads,
    or takes over the sender's. Raises NotAllowed and TransferRefused.
    """
    who_is_who.hold(tx)
    asked = transfers.get(tx, transfer_id)
    side = None if asked is None else asked.from_borough if how is Answer.TAKEN_BACK else asked.to_borough
    allowed = person.may(Permission.ACKNOWLEDGE_ALERTS) and person.may(Permission.WORK_CASES)
    if asked is None or side is None or not allowed or not person.sees_borough(side):
        raise NotAllowed(NOT_THERE)
    if how is not Answer.TAKEN_BACK and asked.asked_by == person.username:
        raise TransferRefused("You offered this: somebody else must answer it.")
    if how is not Answer.ACCEPTED and not reason:
        raise TransferRefused("Say why, in a few words.")
    if not transfers.answer(tx, person, asked, how, reason, now=now):
        raise TransferRefused("This was answered before.")
    if how is Answer.ACCEPTED:
        telling.is_here(tx, person, now=now)
    if how is Answer.ACCEPTED and asked.alert_id is None and asked.to_borough != OTHER_FORCE:
        children.set_owner(tx, asked.child_id, asked.to_borough)
        live = open_case(tx, person, asked.child_id, now=now)
        if live is not None:
            open_cases.give(tx, person, live.case_id, asked.to_borough, person.username, now=now)
        else:
            open_cases.begin(
                tx, person, asked.child_id, asked.to_borough, person.username, asked.reason, now=now
            )
    return asked


def told_force(
    tx: Transaction, person: Person, alert_id: int, *, force: str, spoke_to: str, said: str, called_at: int,
    now: int,
) -> int:  # fmt: skip
    """Write down that another force was rung about an alert of the other-force queue. Raises NotAllowed."""
    alert = other_force_alert(tx, person, alert_id)
    return force_contacts.add(
        tx, person, alert_id, alert.child_id, force=force, spoke_to=spoke_to, said=said,
        called_at=min(called_at, now), now=now,
    )  # fmt: skip


def other_force_alert(tx: Transaction, person: Person, alert_id: int) -> Alert:
    """An alert of the other-force queue. Raises NotAllowed, also where it is another queue's."""
    alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
    if alert.borough != OTHER_FORCE or not person.may(Permission.WORK_CASES):
        raise NotAllowed("There is no such alert in the other-force queue.")
    return alert


def open_case(tx: Transaction, person: Person, child_id: int, *, now: int) -> Case | None:
    """The case of a child that is open, by any of its records."""
    found = open_cases.of_child(tx, person, children.kept(tx, child_id), now=now)
    return next((one for one in found if one.closed_at is None), None)


def begin_case(
    tx: Transaction, policy: Policy, person: Person, child_id: int, lead: str, reason: str, *, now: int,
    sight: str | None = None,
) -> int:  # fmt: skip
    """Open a case of a child in the lead's borough; its number. `sight`: why a restricted record is opened.

    Raises NotAllowed, ReasonNeeded and TransferRefused.
    """
    _require_case_work(tx, person, child_id, sight)
    leads = _lead(tx, policy, person, lead)
    kept = children.kept(tx, child_id)
    case_id = open_cases.begin(tx, person, kept, leads.borough or "", leads.username, reason, now=now)
    if not case_id:
        raise TransferRefused("This child has an open case already.")
    return case_id


def give_case(
    tx: Transaction, policy: Policy, person: Person, child_id: int, lead: str, *, now: int,
    sight: str | None = None,
) -> None:  # fmt: skip
    """Give a child's open case another lead of one of the person's boroughs. Raises as `begin_case`."""
    _require_case_work(tx, person, child_id, sight)
    leads = _lead(tx, policy, person, lead)
    live = open_case(tx, person, child_id, now=now)
    if live is None or not person.sees_borough(live.borough):
        raise TransferRefused("This child has no open case of your borough.")
    open_cases.give(tx, person, live.case_id, leads.borough or "", leads.username, now=now)


def end_case(
    tx: Transaction, person: Person, child_id: int, reason: str, *, now: int, sight: str | None = None
) -> None:
    """Close a child's open case, with the reason. Raises as `begin_case`."""
    _require_case_work(tx, person, child_id, sight)
    live = open_case(tx, person, child_id, now=now)
    if live is None or not person.sees_borough(live.borough):
        raise TransferRefused("This child has no open case of your borough.")
    open_cases.end(tx, person, live.case_id, reason, now=now)


def _require_case_work(tx: Transaction, person: Person, child_id: int, sight: str | None) -> None:
    if not person.may(Permission.WORK_CASES):
        raise NotAllowed("Your role does not work cases.")
    children_shown.require_sight(tx, person, child_id, sight)


def _lead(tx: Transaction, policy: Policy, person: Person, username: str) -> Person:
    """Somebody who may lead a case in one borough of this person's. Raises TransferRefused."""
    row = people.find(tx, username)
    found = person_from_row(policy, row) if row is not None and row.active else None
    able = found is not None and found.may(Permission.WORK_CASES) and found.borough is not None
    if found is None or not able or not person.sees_borough(found.borough):
        raise TransferRefused("Choose somebody of your borough who works cases.")
    return found
