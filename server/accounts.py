"""People's accounts as an administrator keeps them: a new password, closed, opened again.

Whoever may add people could add themselves in another role. That is so in every system; here each step is in the log
under their name, and the roles are the policy's.
"""

from server.access import people
from server.access.errors import AccountError, NotAllowed
from server.access.identity import Person, PersonRow
from server.access.policy import Permission, Policy
from server.audit import Actor
from server.casework.pack import Pack
from server.records import absences
from server.storage.port import Transaction


def require(person: Person) -> Actor:
    """Who manages people, for the audit log. Raises NotAllowed."""
    if not person.may(Permission.MANAGE_PEOPLE):
        raise NotAllowed("Your role does not manage people.")
    return Actor("person", person.username)


def existing(tx: Transaction, username: str) -> PersonRow:
    """The person with that username. Raises AccountError where there is none."""
    row = people.find(tx, username)
    if row is None:
        raise AccountError("There is no such person.", "earlysign people list shows who is there.")
    return row


def renew(
    tx: Transaction, username: str, password_hash: str, *, must_change: bool, actor: Actor, now: int
) -> None:
    """Give somebody a new password, sign them out everywhere, and open the account if it was closed."""
    person_id = existing(tx, username).person_id
    people.set_password(tx, person_id, password_hash, must_change=must_change, actor=actor, now=now)
    people.set_active(tx, person_id, True, actor=actor, now=now)


def close(tx: Transaction, username: str, *, actor: Actor, policy: Policy, pack: Pack, now: int) -> None:
    """Close an account: its phones may hand in what they hold and read nothing, and its alerts go to somebody else.

    Raises AccountError, also for one's own: somebody has to be left who can open it again.
    """
    row = existing(tx, username)
    if actor == Actor("person", row.username):
        raise AccountError("You cannot close your own account.", "Ask another administrator.")
    people.set_active(tx, row.person_id, False, actor=actor, now=now)
    absences.pass_on(tx, actor, policy, pack, now=now)
