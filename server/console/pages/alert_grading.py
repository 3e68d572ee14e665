"""Giving an alert a grade, with the rationale, and with what is known of the child before one's eyes."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath

from server import duty
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.policy import Permission
from server.casework.grades import RATIONALE_CHARACTERS_MIN, GradeRefused
from server.casework.incidents import find_incidents
from server.console.pages.alert_forms import own_alert
from server.console.pages.alerts import grade_of
from server.console.pages.desk import Desk, Done
from server.console.pages.note_words import note_entry
from server.console.pages.web import Page, known_number, sends, shows
from server.console.views import GRADES, Choice
from server.console.views_child import GradePage
from server.http.auth import requires
from server.records import children, children_shown, grades, note_subjects, notes_shown
from server.records.notes_shown import Written
from server.storage.port import Transaction
from sync.vocabulary import Grade

NOTES_SHOWN_MAX = 10
"""Beside the form: the newest of them. All are on the record."""


@shows("/alerts/{alert_id:int}/grade", guards=[requires(Permission.SET_GRADES)])
async def grade_form(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """The form that gives an alert a grade."""
    alert_id = known_number(alert_id)
    return await desk.shows("grade.html", "alerts", lambda tx: grade_page(tx, desk, alert_id))


def grade_page(
    tx: Transaction, desk: Desk, alert_id: int, *, error: tuple[str, str] | None = None, chosen: str | None = None,
    rationale: str = "",
) -> GradePage:  # fmt: skip
    """The form around one of the person's own boroughs' alerts; `error` is (field, words). Raises NotAllowed."""
    alert, row = own_alert(tx, desk, alert_id)
    said = grades.proposed(tx, alert_id)
    known = _known(tx, desk, alert.child_id)
    facts = note_subjects.facts_together(tx, children.kept(tx, alert.child_id)) if known else []
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
        notes=tuple(note_entry(note, desk.telling(tx)) for note in (known or ())[:NOTES_SHOWN_MAX]),
        notes_total=len(known or ()),
        events=len(find_incidents(facts, desk.services.worlds.current(tx).pack)),
        withheld=known is None,
    )


def _known(tx: Transaction, desk: Desk, child_id: int) -> list[Written] | None:
    """The notes about the child, newest first; None where the record asks for a reason, or is not this person's."""
    try:
        child = children_shown.show(tx, desk.person, child_id, now=desk.now)
    except (NotAllowed, ReasonNeeded):
        return None
    return notes_shown.about_child(tx, desk.person, child.child_id, now=desk.now)


@sends("/alerts/{alert_id:int}/grade", guards=[requires(Permission.SET_GRADES)])
async def grade(alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Give an alert a grade. What was written is kept on the form where it cannot be."""
    form, alert_id = await desk.form(), known_number(alert_id)
    rev, chosen, rationale = form.number("rev"), form.text("grade"), form.line("rationale")

    def decide(tx: Transaction) -> GradePage | Done:
        error = None if chosen in GRADES else ("grade", "Choose a grade.")
        if error is None:
            try:
                world = desk.services.worlds.current(tx)
                duty.grade(
                    tx, world, desk.person, alert_id, Grade(chosen), rationale, now=desk.now, from_rev=rev
                )
                return Done("/alerts", "graded")
            except GradeRefused as refused:
                error = "grade" if refused.code == "supervisor_needed" else "rationale", str(refused)
        return grade_page(tx, desk, alert_id, error=error, chosen=chosen, rationale=rationale)

    return await desk.takes("grade.html", "alerts", decide)


HANDLERS = [grade_form, grade]
