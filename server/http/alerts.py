"""The doors for alerts: list, look, answer, hand over, close, and hear of them as they happen.

The live stream (server-sent events) says numbers, a borough, a grade and what happened; whoever hears it asks
for the alert itself. It ends within seconds of the person's signing out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.response.sse import ServerSentEventMessage
from msgspec import Meta

from server import duty
from server.access.identity import Person
from server.access.policy import Permission
from server.alerts.listener import Position
from server.alerts.stream import Step, audience_of
from server.casework.grades import RATIONALE_CHARACTERS_MIN, GradeRefused
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires, session_of
from server.http.live import Opening, Ticket
from server.http.problems import Problem, documented
from server.http.services import Services
from server.http.views import instant
from server.http.views_alert import AlertPage, AlertView, AlertWhole, alert_view, step_view
from server.records import alerts
from server.records import steps as alert_steps
from server.records.alerts import Alert, AlertConflict, State
from server.storage.port import Transaction
from sync import limits
from sync.vocabulary import Grade, NoteOutcome

RECONNECT_MS = 3_000
TEXT_PATTERN = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in text
TEXT_LENGTH_MAX = 2_000
ROWS_DEFAULT = 100

Id = Annotated[int, PathParameter(ge=1, le=limits.SEQ_MAX)]
Rev = Annotated[int, Meta(ge=1, le=2**31)]
Words = Annotated[str, Meta(min_length=3, max_length=TEXT_LENGTH_MAX, pattern=TEXT_PATTERN)]


class AcknowledgeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`from_rev`: the revision you saw; when it has changed since, nothing happens and you are told."""

    from_rev: Rev | None = None


class HandOverRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`to`: a username of somebody who answers alerts of the same borough."""

    to: Annotated[str, Meta(min_length=1, max_length=64, pattern=TEXT_PATTERN)]
    reason: Words
    from_rev: Rev | None = None


class CloseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`decision`: what was decided, and why; it is kept with the alert. `outcome` and `to_author` are heard by the
    authors of its notes at their next sync: no name and no detail that they may not know."""

    decision: Words
    outcome: NoteOutcome | None = None
    to_author: Words | None = None
    from_rev: Rev | None = None


class GradeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`rationale`: why. A grade lower than the alert has, or than the rules propose, takes a supervisor."""

    grade: Grade
    rationale: Annotated[
        str,
        Meta(min_length=RATIONALE_CHARACTERS_MIN, max_length=TEXT_LENGTH_MAX, pattern=TEXT_PATTERN),
    ]
    from_rev: Rev | None = None


class StepEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What the stream sends, with the event name `alert`. The event name `reload` says: load the list anew."""

    alert_id: int
    borough: str
    grade: str
    kind: str
    at: Any


def encode_step(step: Step | None) -> bytes:
    """A step as it travels; None as the word to load anew."""
    if step is None:
        return ServerSentEventMessage(event="reload", data="{}").encode()
    said = StepEvent(
        alert_id=step.alert_id, borough=step.borough, grade=step.grade, kind=step.kind, at=instant(step.at)
    )
    return ServerSentEventMessage(
        event="alert", data=msgspec.json.encode(said), id=str(step.position)
    ).encode()


def conflict(error: AlertConflict) -> Problem:
    """Somebody was quicker: the problem that says what holds now."""
    return Problem(
        problems.CONFLICT,
        "This alert has changed since you last saw it.",
        extra={"current": {"state": error.state, "rev": error.rev}},
    )


CHANGING = documented(
    problems.INVALID,
    problems.NOT_SIGNED_IN,
    problems.NOT_ALLOWED,
    problems.CONFLICT,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_TYPE,
    problems.UNAVAILABLE,
)


changes = partial(post, security=PERSON_SECURITY, status_code=200, tags=["work"], responses=CHANGING)
"""A door that changes one alert."""


async def changed(services: Services, work: Callable[[Transaction], Alert]) -> AlertView:
    """The alert as it is once `work` is done. Raises `Problem` 409 where somebody was quicker."""
    try:
        return alert_view(await services.store.write(work))
    except AlertConflict as error:
        raise conflict(error) from None


@get(
    "/api/alerts",
    guards=[requires(Permission.SEE_ALERTS)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="The alerts of your boroughs",
    responses=documented(
        problems.INVALID, problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE
    ),
)
async def list_alerts(
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    states: Annotated[list[State] | None, QueryParameter(name="state")] = None,
    grade: FromQuery[list[Grade] | None] = None,
    owner: FromQuery[Literal["me", "nobody"] | None] = None,
    borough: Annotated[str | None, QueryParameter(pattern=r"^[A-Za-z0-9-]{1,20}$")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=alerts.QUEUE_ROWS_MAX)] = ROWS_DEFAULT,
) -> AlertPage:
    """Red first, then least time left. Without `state`: those that are not closed. Copies are marked so."""
    now = now_ms()

    def look(tx: Transaction) -> AlertPage:
        newest = alert_steps.newest_event(tx)
        found = alerts.queue(
            tx,
            person,
            now=now,
            states=states or (State.OPEN, State.ACKNOWLEDGED),
            borough=borough,
            grades=grade or (),
            owner={None: None, "me": person.username, "nobody": alerts.NOBODY}[owner],
            limit=limit,
        )
        return AlertPage(
            alerts=[alert_view(alert) for alert in found], last_event_id=f"{newest[0]}-{newest[1]}"
        )

    return await services.store.read(look)


@get(
    "/api/alerts/{alert_id:int}",
    guards=[requires(Permission.SEE_ALERTS)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="One alert with its history",
    responses=documented(
        problems.INVALID, problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE
    ),
)
async def show_alert(
    alert_id: Id, person: NamedDependency[Person], services: NamedDependency[Services]
) -> AlertWhole:
    """The alert, every step of it oldest first, and the ids of the notes behind it."""
    now = now_ms()

    def look(tx: Transaction) -> AlertWhole:
        alert = alerts.show(tx, person, alert_id, now=now)
        return AlertWhole(
            alert=alert_view(alert),
            steps=[step_view(step) for step in alert_steps.history(tx, [alert_id])],
            note_ids=alerts.note_ids(tx, alert_id),
        )

    return await services.store.read(look)


@changes(
    "/api/alerts/{alert_id:int}/acknowledge",
    guards=[requires(Permission.ACKNOWLEDGE_ALERTS)],
    summary="Answer an alert",
)
async def acknowledge(
    alert_id: Id,
    data: JSONBody[AcknowledgeRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> AlertView:
    """Ends its escalation and makes it yours. The authors of its notes hear that they were seen."""
    now = now_ms()
    return await changed(
        services,
        lambda tx: duty.acknowledge(tx, person, alert_id, now=now, from_rev=data.from_rev),
    )


@changes(
    "/api/alerts/{alert_id:int}/hand-over",
    guards=[requires(Permission.ACKNOWLEDGE_ALERTS)],
    summary="Give an alert to somebody else",
)
async def hand_over(
    alert_id: Id,
    data: JSONBody[HandOverRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> AlertView:
    """Your own, or one that nobody has; somebody else's takes a supervisor. The clock runs on, and it waits for
    an answer of whoever has it now."""
    now = now_ms()
    return await changed(
        services,
        lambda tx: duty.hand_over(
            tx,
            services.policy,
            services.worlds.current(tx).pack,
            person,
            alert_id,
            data.to,
            data.reason,
            now=now,
            from_rev=data.from_rev,
        ),
    )


@changes(
    "/api/alerts/{alert_id:int}/close",
    guards=[requires(Permission.ACKNOWLEDGE_ALERTS, Permission.WORK_CASES)],
    summary="End an alert with a decision",
)
async def close(
    alert_id: Id,
    data: JSONBody[CloseRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> AlertView:
    """Closes it with what was decided. A new note about the child raises a new alert."""
    now = now_ms()
    return await changed(
        services,
        lambda tx: duty.close(
            tx,
            person,
            alert_id,
            data.decision,
            now=now,
            from_rev=data.from_rev,
            outcome=data.outcome,
            to_author=data.to_author,
        ),
    )


@changes(
    "/api/alerts/{alert_id:int}/grade",
    guards=[requires(Permission.ACKNOWLEDGE_ALERTS, Permission.SET_GRADES)],
    summary="Give an alert a grade",
)
async def grade(
    alert_id: Id,
    data: JSONBody[GradeRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> AlertView:
    """A higher grade starts a shorter clock. A lower one takes a supervisor, and never hides that it was higher."""
    now = now_ms()
    try:
        return await changed(
            services,
            lambda tx: duty.grade(
                tx,
                services.worlds.current(tx),
                person,
                alert_id,
                data.grade,
                data.rationale,
                now=now,
                from_rev=data.from_rev,
            ),
        )
    except GradeRefused as refused:
        raise grade_refused(refused) from None


def grade_refused(refused: GradeRefused) -> Problem:
    """The problem that says what a grade lacks."""
    if refused.code == "supervisor_needed":
        return Problem(problems.NOT_ALLOWED, str(refused))
    errors = [{"field": "rationale", "reason": "Expected a reason in words"}]
    return Problem(problems.INVALID, str(refused), extra={"errors": errors})


@get(
    "/api/alerts/stream",
    guards=[requires(Permission.SEE_ALERTS)],
    security=PERSON_SECURITY,
    exclude_from_compression=True,
    media_type="text/event-stream",
    tags=["work"],
    summary="Alerts as they happen",
    responses=documented(
        problems.INVALID, problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE
    ),
)
async def stream(
    request: Request[Any, Any, Any],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=200)] = None,
    after: Annotated[str | None, QueryParameter(max_length=200)] = None,
) -> Opening:
    """Server-sent events `alert` (StepEvent) and `reload`. Goes on from `Last-Event-ID`, or `after` for a first
    connection from a list that said where it was; without either, from now on."""
    audience = audience_of(person)
    assert audience is not None, "the guard has let the person in"
    session = session_of(request, services)
    # Read before the head is sent, so that a database that cannot be read is a problem and not a broken stream.
    place = await services.hub.place(last_event_id or after)
    return Opening(Ticket(services.hub, services.hub.shared(audience), session, place), OPENED)


OPENED = ServerSentEventMessage(comment="alerts", data=None, retry=RECONNECT_MS).encode()


def still_here(position: Position) -> bytes:
    """A comment that says where the stream is."""
    return ServerSentEventMessage(comment="still here", id=str(position), data=None).encode()


HANDLERS = [list_alerts, stream, show_alert, acknowledge, hand_over, close, grade]
