"""Whether notes tell of one event: casework joins them with a reason, a person takes one out and puts it back."""

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor
from server.placing import WHO_IS_WHO
from server.records import cases, children_shown, incident_decisions, links
from server.storage.port import Transaction
from server.world import World


def keep_apart(
    tx: Transaction, world: World, person: Person, subject_id: int, reason: str, *, apart: bool, now: int,
    sight: str | None = None,
) -> int:  # fmt: skip
    """Say that a note tells of an event of its own, or (not `apart`) take that back; the rules judge the child anew.

    The child. `sight`: why a restricted record is opened. Raises NotAllowed, also where there is no such note, and
    ReasonNeeded.
    """
    tx.lock(WHO_IS_WHO)
    child_id = child_of(tx, person, subject_id, sight)
    if incident_decisions.decide(tx, person, subject_id, apart, reason, now=now):
        actor = Actor("person", person.username)
        cases.reassess(tx, actor, child_id, world.pack, now=now)
    return child_id


def child_of(tx: Transaction, person: Person, subject_id: int, sight: str | None) -> int:
    """The child that a note is about, where this person may group its notes. Raises as `keep_apart`."""
    child_id = links.child_of(tx, subject_id)
    if child_id is None or not person.may(Permission.WORK_CASES):
        raise NotAllowed("There is no such note among those you may group.")
    children_shown.require_sight(tx, person, child_id, sight)
    return child_id
