"""Giving an alert a grade, with the rationale."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duty
from server.access.identity import Person
from server.access.policy import Permission
from server.casework.grades import RATIONALE_CHARACTERS_MIN, GradeRefused
from server.console.pages.alert_forms import own_alert, show_form, take_form
from server.console.pages.alerts import grade_of
from server.console.pages.web import (
    REASON_CHARACTERS_MAX,
    AnyRequest,
    Page,
    form_of,
    known_number,
    sends,
    shows,
)
from server.console.views import GRADES, Choice, GradePage
from server.http.auth import requires
from server.http.services import Services
from server.records import grades
from server.storage.port import Transaction
from sync.vocabulary import Grade


@shows("/alerts/{alert_id:int}/grade", guards=[requires(Permission.SET_GRADES)])
async def grade_form(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The form that gives an alert a grade."""
    alert_id = known_number(alert_id)
    return await show_form(
        request, services, person, "grade.html",
        lambda tx, now: grade_page(tx, services, person, alert_id, now),
    )  # fmt: skip


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
    alert, row = own_alert(tx, services, person, alert_id, now)
    said = grades.proposed(tx, alert_id)
    return GradePage(
        row=row,
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


@sends("/alerts/{alert_id:int}/grade", guards=[requires(Permission.SET_GRADES)])
async def grade(
    request: AnyRequest,
    alert_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Give an alert a grade. What was written is kept on the form where it cannot be."""
    form, alert_id = await form_of(request), known_number(alert_id)
    rev, chosen = form.number("rev"), form.text("grade")
    rationale = " ".join(form.text("rationale", REASON_CHARACTERS_MAX).split())

    def decide(tx: Transaction, now: int) -> GradePage | str:
        error = None if chosen in GRADES else ("grade", "Choose a grade.")
        if error is None:
            try:
                world = services.worlds.current(tx)
                duty.grade(tx, world, person, alert_id, Grade(chosen), rationale, now=now, from_rev=rev)
                return "graded"
            except GradeRefused as refused:
                error = "grade" if refused.code == "supervisor_needed" else "rationale", str(refused)
        return grade_page(
            tx, services, person, alert_id, now, error=error, chosen=chosen, rationale=rationale
        )

    return await take_form(request, services, person, "grade.html", decide)


HANDLERS = [grade_form, grade]
