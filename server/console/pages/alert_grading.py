"""Giving an alert a grade, with the rationale."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duty
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.casework.grades import RATIONALE_CHARACTERS_MIN, GradeRefused
from server.clock import now_ms
from server.console.pages.alerts import grade_of, row_of
from server.console.pages.web import (
    FORM_BYTES_MAX,
    REASON_CHARACTERS_MAX,
    AnyRequest,
    Page,
    form_of,
    go,
    known_number,
    missing,
    page,
    said_cookie,
    shell,
)
from server.console.views import GRADES, Choice, GradePage, Shell
from server.http.auth import requires
from server.http.services import Services
from server.records import alerts, grades
from server.records.alerts import AlertConflict
from server.storage.port import Transaction
from sync.vocabulary import Grade


@get("/alerts/{alert_id:int}/grade", guards=[requires(Permission.SET_GRADES)], include_in_schema=False)
async def grade_form(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The form that gives an alert a grade."""
    now, alert_id = now_ms(), known_number(alert_id)

    def look(tx: Transaction) -> tuple[Shell, GradePage]:
        view = grade_page(tx, services, person, alert_id, now)
        return shell(tx, request, person, "alerts", now=now), view

    return page("grade.html", *await services.store.read(look))


def grade_page(
    tx: Transaction,
    services: Services,
    person: Person,
    alert_id: int,
    now: int,
    *,
    error: tuple[str, str] | None = None,
    chosen: str | None = None,
    rationale: str = "",
) -> GradePage:
    """The form around one of the person's own boroughs' alerts; `error` is (field, words). Raises `Problem` 404."""
    try:
        alert = alerts.require(tx, person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
        alert = alerts.show(tx, person, alert.alert_id, now=now)
    except NotAllowed as refused:
        raise missing(refused) from None
    said = grades.proposed(tx, alert_id)
    return GradePage(
        row=row_of(tx, services, person, alert, now),
        choices=tuple(
            Choice(value=grade, label=grade.capitalize(), selected=grade == (chosen or alert.grade.value))
            for grade in GRADES
        ),
        proposed=grade_of(said) if said is not None else None,
        least=RATIONALE_CHARACTERS_MIN,
        wrong_field=error[0] if error else None,
        error=error[1] if error else None,
        rationale=rationale,
    )


@post(
    "/alerts/{alert_id:int}/grade",
    guards=[requires(Permission.SET_GRADES)],
    include_in_schema=False,
    request_max_body_size=FORM_BYTES_MAX,
)
async def grade(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Give an alert a grade. What was written is kept on the form where it cannot be."""
    form, alert_id = await form_of(request), known_number(alert_id)
    now, rev, chosen = now_ms(), form.number("rev"), form.text("grade")
    rationale = " ".join(form.text("rationale", REASON_CHARACTERS_MAX).split())

    def decide(tx: Transaction) -> tuple[Shell, GradePage] | str:
        error = None if chosen in GRADES else ("grade", "Choose a grade.")
        if error is None:
            try:
                world = services.worlds.current(tx)
                duty.grade(tx, world, person, alert_id, Grade(chosen), rationale, now=now, from_rev=rev)
                return "graded"
            except AlertConflict:
                return "alert-changed"
            except NotAllowed as refused:
                raise missing(refused) from None
            except GradeRefused as refused:
                error = "grade" if refused.code == "supervisor_needed" else "rationale", str(refused)
        view = grade_page(
            tx, services, person, alert_id, now, error=error, chosen=chosen, rationale=rationale
        )
        return shell(tx, request, person, "alerts", now=now), view

    done = await services.store.write(decide)
    if isinstance(done, str):
        return go("/alerts", said_cookie(services, done))
    return page("grade.html", *done, status=422)


HANDLERS = [grade_form, grade]
