"""Whether notes tell of one event: casework joins them with a reason; a person takes one out, joins two that are
unlike, and takes either back. The rules judge the child anew in the same transaction."""

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor
from server.records import cases, children, children_shown, incident_decisions, links, who_is_who
from server.records.incident_decisions import Word
from server.storage.port import Transaction
from server.world import World


def say(
    tx: Transaction, world: World, person: Person, subject_id: int, word: Word, reason: str, *, now: int,
    other_id: int | None = None, sight: str | None = None,
) -> int:  # fmt: skip
    """Say that a note tells of an event of its own, of the same one as another of the child (`other_id`), or take
    back what was said before.

    The child. `sight`: why a restricted record is opened. Raises NotAllowed, also where there is no such note of the
    child, and ReasonNeeded.
    """
    who_is_who.hold(tx)
    child_id = child_of(tx, person, subject_id, sight)
    if word is Word.JOINED:
        other = child_of(tx, person, other_id, sight) if other_id is not None else None
        if other is None or other_id == subject_id or children.kept(tx, other) != children.kept(tx, child_id):
            raise NotAllowed("There is no such other note about this child.")
        assert other_id is not None, "its child was found"
        changed = incident_decisions.join(tx, person, subject_id, other_id, reason, now=now)
    else:
        changed = incident_decisions.decide(tx, person, subject_id, word, reason, now=now)
    if changed:
        cases.reassess(tx, Actor("person", person.username), child_id, world.pack, now=now)
    return child_id


def child_of(tx: Transaction, person: Person, subject_id: int, sight: str | None) -> int:
    """The child that a note is about, where this person may group its notes. Raises as `say`."""
    child_id = links.child_of(tx, subject_id)
    if child_id is None or not person.may(Permission.WORK_CASES):
        raise NotAllowed("There is no such note among those you may group.")
    children_shown.require_sight(tx, person, child_id, sight)
    return child_id
