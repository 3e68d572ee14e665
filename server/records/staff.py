"""Who is there to answer alerts: everybody who may, who of them is away, and who stands in for them."""

from collections.abc import Iterable, Sequence

from server.access import people
from server.access.identity import Person, person_from_row
from server.access.policy import Permission, Policy, Scope
from server.audit import impersonal
from server.records.steps import INVESTIGATORS
from server.records.telling import FIELDS, NOTHING_CHOSEN, Choices
from server.storage.port import Transaction

DEPUTIES_MAX = 5
"""A deputy may be away as well, and theirs too; after so many the next level of the chain is told."""


class Staff:
    """Everybody who may answer alerts, as of a transaction."""

    def __init__(self, tx: Transaction, policy: Policy, now: int) -> None:
        self._now = now
        self.choices = choices_of_all(tx)
        able = [
            person_from_row(policy, row)
            for row in people.everybody(tx)
            if row.active and row.role in policy.roles
        ]
        self._people = {
            person.person_id: person for person in able if person.may(Permission.ACKNOWLEDGE_ALERTS)
        }
        self._by_username = {person.username: person for person in self._people.values()}

    def find(self, username: str) -> Person | None:
        """Somebody who may answer alerts, away or not."""
        return self._by_username.get(username)

    def by_ids(self, person_ids: Iterable[int]) -> list[Person]:
        """Those of these people who may answer alerts still."""
        return [self._people[person_id] for person_id in person_ids if person_id in self._people]

    def told(self, told: str | None, borough: str) -> list[Person]:
        """Who hears of a step that names a role or a person: they, or their deputies; where all are away, the next
        level of the borough's."""
        here = [person for person in self._people.values() if person.sees_borough(borough)]
        for named in (_named(told, here), *_levels_above(here)):
            present = self.present(named, borough)
            if present:
                return present
        return []

    def present(self, named: Sequence[Person], borough: str | None) -> list[Person]:
        """These people, each or the deputy who is here for them; None asks for no borough."""
        found = [self.stand_in(person, borough) for person in named]
        return list({person.person_id: person for person in found if person is not None}.values())

    def stand_in(self, person: Person, borough: str | None) -> Person | None:
        """This person where they are here, else whoever is here for them and may answer for the borough."""
        one: Person | None = person
        for _ in range(DEPUTIES_MAX):
            if one is None or not self.is_away(one):
                break
            deputy = self.choices[one.person_id].deputy_id
            one = self._people.get(deputy) if deputy is not None else None
        if one is None or self.is_away(one) or not (borough is None or one.sees_borough(borough)):
            return None
        return one

    def is_away(self, person: Person) -> bool:
        """Whether this person has said that they are away, and is still."""
        until = self.choices.get(person.person_id, NOTHING_CHOSEN).away_until
        return until is not None and until > self._now


@impersonal("how staff have chosen to be told, for the server's own work")
def choices_of_all(tx: Transaction) -> dict[int, Choices]:
    """What everybody has chosen, by person."""
    return {
        row[0]: Choices(**dict(zip(FIELDS, row[1:], strict=True)))
        for row in tx.rows(f"SELECT person_id, {', '.join(FIELDS)} FROM telling")
    }


def _named(told: str | None, here: Sequence[Person]) -> list[Person]:
    if told == INVESTIGATORS:
        return [person for person in here if not person.may(Permission.ASSIGN_ALERTS)]
    return [person for person in here if told in (person.role, person.username)]


def _levels_above(here: Sequence[Person]) -> Iterable[list[Person]]:
    above = [person for person in here if person.may(Permission.ASSIGN_ALERTS)]
    for scope in (Scope.BOROUGH, Scope.UNIT, Scope.FORCE):
        yield [person for person in above if person.scope is scope]
