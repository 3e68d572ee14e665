"""The queue of alerts: the list, one row, acknowledging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from server import duty
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission, Scope
from server.alerts.listener import Position
from server.clock import now_ms
from server.console.pages.alert_rows import Telling
from server.console.pages.web import (
    PATH_CHARACTERS_MAX,
    AnyRequest,
    Names,
    Page,
    bare_shell,
    form_of,
    go,
    known_number,
    local_path,
    missing,
    page,
    part,
    said_cookie,
    sends,
    shell,
    shows,
)
from server.console.views import (
    GRADES,
    Choice,
    Grade,
    QueueFilters,
    QueuePage,
    QueueRow,
    Shell,
)
from server.console.words import listed
from server.http.auth import requires
from server.http.services import Services
from server.records import alerts, children_shown, notes, overview, transfers
from server.records import steps as alert_steps
from server.records.alerts import NOBODY, QUEUE_ROWS_MAX, Alert, AlertConflict, State
from server.storage.port import Transaction
from sync.vocabulary import Grade as StoredGrade

NOT_CLOSED = (State.OPEN, State.ACKNOWLEDGED)
VIEWS: tuple[tuple[str, str], ...] = (
    ("open", "Open"),
    ("mine", "Mine"),
    ("nobody", "Unowned"),
    ("acknowledged", "Acknowledged"),
    ("closed", "Closed"),
)


class Asked:
    """What the address asks for, with anything unknown left out, and the addresses of its variants."""

    def __init__(self, person: Person, view: str, grades: Sequence[str], owner: str, borough: str) -> None:
        self.view = view if view in dict(VIEWS) else "open"
        self.grades: tuple[Grade, ...] = tuple(grade for grade in GRADES if grade in grades)
        self.owner = owner if owner in ("me", "nobody") else ""
        self.borough = borough if borough in person.boroughs else ""

    def href(self, view: str | None = None) -> str:
        """The address of this, or of another view with the same grades and borough."""
        pairs = [("view", view or self.view)] if (view or self.view) != "open" else []
        pairs += [("grade", grade) for grade in self.grades]
        pairs += [("owner", self.owner)] if self.owner and view is None else []
        pairs += [("borough", self.borough)] if self.borough else []
        return f"/alerts?{urlencode(pairs)}" if pairs else "/alerts"

    def states(self) -> tuple[State, ...]:
        if self.view == "closed":
            return (State.CLOSED,)
        return (State.ACKNOWLEDGED,) if self.view == "acknowledged" else NOT_CLOSED

    def owner_is(self, person: Person) -> str | None:
        if self.view == "mine" or self.owner == "me":
            return person.username
        return NOBODY if self.view == "nobody" or self.owner == "nobody" else None

    def narrowed(self, borough_name: str) -> str | None:
        """The filter in words, None where nothing is filtered away."""
        said = []
        if self.grades:
            said.append(listed(self.grades, "or"))
        if self.owner:
            said.append("owned by " + {"me": "you", "nobody": "nobody"}[self.owner])
        if self.borough:
            said.append(f"in {borough_name}")
        return ", ".join(said) or None


@shows("/alerts", guards=[requires(Permission.SEE_ALERTS)])
async def queue(
    request: AnyRequest,
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    view: FromQuery[str] = "open",
    grade: Annotated[list[str] | None, QueryParameter()] = None,
    owner: FromQuery[str] = "",
    borough: FromQuery[str] = "",
) -> Page:
    """The queue, or its rows alone where the header X-Part asks for them."""
    now = now_ms()
    asked = Asked(person, view, grade or [], owner, borough)

    def look(tx: Transaction) -> tuple[Shell, QueuePage]:
        return shell(tx, request, person, "alerts", now=now), queue_page(tx, services, person, asked, now)

    frame, shown = await services.store.read(look)
    if request.headers.get("x-part") == "rows":
        return part("parts/queue_rows.html", frame, shown)
    return page("queue.html", frame, shown)


def queue_page(tx: Transaction, services: Services, person: Person, asked: Asked, now: int) -> QueuePage:
    """The queue as it stands in this transaction, with the stream's position in it."""
    position = Position(*alert_steps.newest_event(tx))
    tally = overview.tally(tx, person, now=now, borough=asked.borough or None)
    found = alerts.queue(
        tx,
        person,
        now=now,
        states=asked.states(),
        borough=asked.borough or None,
        grades=[StoredGrade(grade) for grade in asked.grades],
        owner=asked.owner_is(person),
    )
    shown = children_shown.names(tx, person, [alert.child_id for alert in found], now=now)
    telling = telling_for(tx, services, person, now)
    force = services.policy.force
    name = force.name_of(asked.borough) if asked.borough else ""
    return QueuePage(
        heading=f"Alerts in {name or place_of(services, person)}",
        rows=telling.rows(found, shown),
        filters=filters_of(services, person, asked, tally, name),
        grade_counts=tuple((grade_of(grade), number) for grade, number in tally.grades),
        late=tally.late,
        last_note_at=notes.last_received_at(tx),
        last_event_id=str(position),
        here=asked.href(),
        capped=QUEUE_ROWS_MAX if len(found) == QUEUE_ROWS_MAX else None,
    )


def grade_of(grade: StoredGrade) -> Grade:
    """The grade as pages write it."""
    return next(known for known in GRADES if known == grade.value)


def place_of(services: Services, person: Person) -> str:
    """What a person's boroughs are called together."""
    force = services.policy.force
    if person.scope is Scope.FORCE:
        return "all boroughs"
    if person.scope is Scope.UNIT and person.unit in force.units:
        return force.units[person.unit].name
    return listed([force.name_of(code) for code in sorted(person.boroughs)]) or "no borough"


def telling_for(tx: Transaction, services: Services, person: Person, now: int) -> Telling:
    """What turns alerts into rows for this person."""
    return Telling(
        person, services.policy, services.worlds.current(tx).pack, Names(tx), now, transfers.pending(tx)
    )


def filters_of(
    services: Services, person: Person, asked: Asked, tally: overview.Tally, name: str
) -> QueueFilters:
    """The filters as they stand, with how many each view holds."""
    counts = {
        "open": tally.open,
        "mine": tally.mine,
        "nobody": tally.nobody,
        "acknowledged": tally.acknowledged,
    }
    force = services.policy.force
    boroughs: tuple[Choice, ...] = ()
    if len(person.boroughs) > 1:
        known = sorted((force.name_of(code), code) for code in person.boroughs)
        boroughs = (
            Choice(value="", label="All", selected=not asked.borough),
            *(Choice(value=code, label=said, selected=code == asked.borough) for said, code in known),
        )
    return QueueFilters(
        view=asked.view,
        views=tuple(
            Choice(
                value=key,
                label=label,
                selected=key == asked.view,
                href=asked.href(key),
                count=counts.get(key),
            )
            for key, label in VIEWS
        ),
        grades=tuple(
            Choice(value=grade, label=grade.capitalize(), selected=grade in asked.grades) for grade in GRADES
        ),
        owners=tuple(
            Choice(value=value, label=label, selected=value == asked.owner)
            for value, label in (("", "Anybody"), ("me", "You"), ("nobody", "Nobody"))
        ),
        boroughs=boroughs,
        narrowed=asked.narrowed(name),
    )


def row_of(tx: Transaction, services: Services, person: Person, alert: Alert, now: int) -> QueueRow:
    """One alert as a row."""
    shown = children_shown.names(tx, person, [alert.child_id], now=now)
    return telling_for(tx, services, person, now).row(alert, shown.get(alert.child_id))


@shows("/alerts/{alert_id:int}", guards=[requires(Permission.SEE_ALERTS)])
async def alert(
    alert_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Where the link in every message leads: the child's page, at the alert."""
    now, alert_id = now_ms(), known_number(alert_id)

    def look(tx: Transaction) -> Alert:
        try:
            return alerts.show(tx, person, alert_id, now=now)
        except NotAllowed as error:
            raise missing(error) from None

    found = await services.store.read(look)
    return go(f"/children/{found.child_id}#alert-{found.alert_id}")


@shows("/alerts/{alert_id:int}/row", guards=[requires(Permission.SEE_ALERTS)])
async def row(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """One row as it stands now, to be put in the place of the old one."""
    now, alert_id = now_ms(), known_number(alert_id)

    def look(tx: Transaction) -> QueueRow:
        try:
            return row_of(tx, services, person, alerts.show(tx, person, alert_id, now=now), now)
        except NotAllowed as error:
            raise missing(error) from None

    found = await services.store.read(look)
    return part("parts/queue_row.html", bare_shell(request, person), found)


@sends(
    "/alerts/{alert_id:int}/acknowledge", guards=[requires(Permission.ACKNOWLEDGE_ALERTS)], status_code=200
)
async def acknowledge(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Answer an alert. htmx gets the row as it stands then, also where somebody was quicker."""
    form, alert_id = await form_of(request), known_number(alert_id)
    now, rev = now_ms(), form.number("rev")

    def answer(tx: Transaction) -> tuple[QueueRow, str]:
        try:
            found = duty.acknowledge(tx, person, alert_id, now=now, from_rev=rev)
            said = "acknowledged"
        except NotAllowed as error:
            raise missing(error) from None
        except AlertConflict:
            found, said = alerts.show(tx, person, alert_id, now=now), "alert-changed"
        return row_of(tx, services, person, found, now), said

    shown, said = await services.store.write(answer)
    if "hx-request" in request.headers:
        return part("parts/queue_row.html", bare_shell(request, person), shown)
    return go(local_path(form.text("here", PATH_CHARACTERS_MAX + 1), "/alerts"), said_cookie(services, said))


HANDLERS = [queue, alert, row, acknowledge]
