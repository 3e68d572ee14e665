"""From alerts and children to the rows of a queue, the same in the queue and on a child's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.access.identity import Person
from server.access.policy import Permission, Policy
from server.casework.pack import Pack
from server.casework.routing import OTHER_FORCE
from server.console import words
from server.console.pages.web import Names
from server.console.views import AlertState, QueueRow
from server.records.alerts import Alert, State
from server.records.child import Child, Details, Standing
from server.records.steps import INVESTIGATORS
from server.records.transfers import Transfer

RESTRICTED = "Restricted record"
MERGED = "Merged into another record"
NO_NAME = "Name not known"

_STATES: dict[State, tuple[AlertState, str]] = {
    State.OPEN: ("new", "Not acknowledged"),
    State.ACKNOWLEDGED: ("acknowledged", "Acknowledged"),
    State.CLOSED: ("closed", "Closed"),
}


def _counts_to(alert: Alert) -> int | None:
    """What the clock of a row counts to: the deadline; where that was met and the alert waits for another answer, the
    end of the wait. A closed one without an answer has nothing left to count."""
    if alert.state is State.CLOSED and not alert.acknowledged_at:
        return None
    again = alert.state is State.OPEN and alert.acknowledged_at is not None
    return alert.escalates_at if again else alert.deadline_at


class Telling:
    """What turning alerts into rows needs: who reads, who is who, the rules, and the time."""

    def __init__(
        self,
        person: Person,
        policy: Policy,
        pack: Pack,
        names: Names,
        now: int,
        offers: Iterable[Transfer] = (),
    ) -> None:
        self.person = person
        self.policy = policy
        self.pack = pack
        self.names = names
        self.now = now
        self.offers = tuple(offers)

    def offer_of(self, alert: Alert) -> Transfer | None:
        """The offer to another borough that waits for an answer and covers this alert."""
        if alert.state is State.CLOSED:
            return None
        for one in self.offers:
            whole = one.alert_id is None and one.child_id == alert.child_id
            if (whole or one.alert_id == alert.alert_id) and one.from_borough == alert.borough:
                return one
        return None

    def rows(
        self, alerts: Iterable[Alert], children: Mapping[int, Child], *, whole: bool = False
    ) -> tuple[QueueRow, ...]:
        """The rows of these alerts, in their order; a child that may not be shown has no name."""
        return tuple(self.row(alert, children.get(alert.child_id), whole=whole) for alert in alerts)

    def row(self, alert: Alert, child: Child | None, *, whole: bool = False) -> QueueRow:
        """One row. A restricted child has no name and no age in a list, whoever reads it; `whole` says that
        the record itself is open."""
        person = self.person
        state, said = _STATES[alert.state]
        if alert.state is State.CLOSED and alert.closed_reason:
            when = words.inside(words.day(alert.closed_at or self.now, self.now))
            said = f"Closed {when}: {alert.closed_reason}"
        elif alert.state is State.OPEN and alert.owner:
            said = f"Given to {'you' if alert.owner == person.username else 'them'}, not acknowledged"
        own = person.may(Permission.ACKNOWLEDGE_ALERTS) and person.sees_borough(alert.borough)
        mine = alert.owner in (None, person.username)
        hidden = child is None or (child.circumstances.restricted and not whole)
        if child is not None and child.standing is Standing.RETIRED:
            # What it was about is another record now, which may be a restricted one.
            hidden, withheld = True, MERGED
        else:
            withheld = RESTRICTED
        offer = self.offer_of(alert)
        return QueueRow(
            alert_id=alert.alert_id,
            rev=alert.rev,
            grade=alert.grade.value,
            raised_at=alert.started_at,
            deadline_at=_counts_to(alert),
            late_on_arrival_ms=alert.late_by_ms or None,
            why=alert.why,
            child_id=alert.child_id,
            child_name=withheld if hidden or child is None else first_name(child.details),
            child_age=None if hidden or child is None else age_of(child.details, self.now),
            place=self.place(alert),
            owner=self.names.name(alert.owner) if alert.owner else None,
            owner_is_me=alert.owner == person.username,
            state=state,
            state_words=said,
            acknowledged_at=None if alert.state is State.OPEN else alert.acknowledged_at,
            waits_for=self.waits_for(alert),
            waits_until=alert.escalates_at,
            came_from=self.names.name(alert.came_from) if alert.came_from else None,
            escalated=alert.waits_for is not None,
            can_acknowledge=own and alert.state is State.OPEN,
            can_hand_over=own
            and alert.state is not State.CLOSED
            and (mine or person.may(Permission.ASSIGN_ALERTS)),
            can_close=own
            and alert.state is State.ACKNOWLEDGED
            and person.may(Permission.WORK_CASES)
            and (mine or person.may(Permission.ASSIGN_ALERTS)),
            can_grade=own and alert.state is not State.CLOSED and person.may(Permission.SET_GRADES),
            was_grade=alert.highest_grade.value if alert.highest_grade is not alert.grade else None,
            due_at=None if alert.state is State.CLOSED else alert.due_at,
            due_words=alert.due_words,
            is_copy=alert.is_copy,
            can_transfer=own
            and offer is None
            and alert.state is not State.CLOSED
            and person.may(Permission.WORK_CASES),
            offered=f"Offered by {self.borough(offer.from_borough)} to {self.borough(offer.to_borough)}"
            if offer
            else None,
            offered_at=offer.asked_at if offer else None,
            offer_asks=self.offer_asks(offer),
            other_force=own
            and alert.borough == OTHER_FORCE
            and alert.state is not State.CLOSED
            and person.may(Permission.WORK_CASES),
        )

    def offer_asks(self, offer: Transfer | None) -> str | None:
        """What this person can do about an offer: those who are asked answer, those who offered take it back."""
        if offer is None or not self.person.may(Permission.WORK_CASES):
            return None
        if self.person.sees_borough(offer.to_borough):
            return "Answer"
        return "See the offer" if self.person.sees_borough(offer.from_borough) else None

    def author(self, who: str) -> str:
        """Who decided: a person's name, or the system."""
        return "the system" if who == "system" else self.names.name(who)

    def place(self, alert: Alert) -> str | None:
        """The borough, where the reader's queue has more than one, or where it is another's."""
        if len(self.person.boroughs) == 1 and self.person.sees_borough(alert.borough):
            return None
        return self.borough(alert.borough)

    def borough(self, code: str) -> str:
        """A borough's name."""
        return "Other force" if code == OTHER_FORCE else self.policy.force.name_of(code)

    def waits_for(self, alert: Alert) -> str | None:
        """Whose answer an open alert waits for, as a person says it."""
        return self.whom(alert.waited_for) if alert.waited_for is not None else None

    def whom(self, whom: str) -> str:
        """Somebody who is told, inside a sentence: a username, the id of a role, or the borough's investigators."""
        if whom == INVESTIGATORS:
            return "the investigators of the borough"
        if whom == self.person.username:
            return "you"
        return self.role_title(whom) if whom in self.policy.roles else self.names.name(whom)

    def role_title(self, role: str) -> str:
        """A role's title inside a sentence: "the supervisor", "the BCU duty inspector"."""
        title = self.policy.roles[role].title if role in self.policy.roles else role
        return f"the {title if title[:2].isupper() else title[0].lower() + title[1:]}"


def first_name(details: Details) -> str:
    """A child's first name, or that it is not known."""
    return (details.given_names or "").split(" ")[0] or NO_NAME


def full_name(details: Details) -> str:
    """A child's name as far as it is known."""
    named = " ".join(part for part in (details.given_names, details.family_name) if part)
    return named or (f"“{details.aliases[0]}”" if details.aliases else NO_NAME)


def age_of(details: Details, now: int) -> str | None:
    """A child's age in words; one that was guessed says so."""
    if details.date_of_birth is not None:
        return words.age_on(details.date_of_birth, now)
    if details.approximate_age is None:
        return None
    since = 0.0
    if details.age_as_of is not None:
        since = max(0, (words.local(now).date() - details.age_as_of).days) / 365.25
    return words.about_age(details.approximate_age + since)


def shown_name(child: Child | None) -> str:
    """The full name for a page that is not the child's own: a restricted record's is withheld."""
    return RESTRICTED if child is None or child.circumstances.restricted else full_name(child.details)
