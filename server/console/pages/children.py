"""A child's page, the reason that a restricted one asks for, and taking a note off a record."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from litestar.di import NamedDependency
from litestar.params import FromPath

from server import answering, grouping, showing, transferring
from server.access import passes
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor
from server.audit.queries import history_of
from server.casework.incidents import find_incidents, may_be_one
from server.clock import now_ms
from server.console.pages.alert_rows import Telling
from server.console.pages.alerts import telling_for
from server.console.pages.around_child import LOOKS_SHOWN, facts_of, identity, looks_of, people_of, places_of
from server.console.pages.attached import Address
from server.console.pages.child_events import Events
from server.console.pages.child_story import Story, also_of
from server.console.pages.web import (
    AnyRequest,
    Page,
    ask_why,
    form_of,
    go,
    known_number,
    missing,
    page,
    said_cookie,
    sends,
    shell,
    shows,
)
from server.console.views import Shell
from server.console.views_child import ChildPage
from server.http.auth import requires
from server.http.services import Services
from server.records import children_shown, incident_decisions, links, note_subjects, overview
from server.records.alerts import State
from server.records.child import Child
from server.records.incident_decisions import Word
from server.storage.port import Transaction

LOG_ENTRIES_READ = 200  # enough for the newest lookers of a record that is opened many times a day
REASON_CHARACTERS_MIN = 3  # as when an alert is handed over
UNDO_REASON = "taking a note off this record"


@shows("/children/{child_id:int}", guards=[requires(Permission.SEE_CHILDREN)])
async def child(
    request: AnyRequest,
    child_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The single view; a restricted record asks for a reason first."""
    return await _shown(request, services, person, known_number(child_id), None)


@sends(
    "/children/{child_id:int}",
    guards=[requires(Permission.SEE_CHILDREN)],
    status_code=200,
)
async def child_with_reason(
    request: AnyRequest,
    child_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """The same, with the reason in the form and not in the address, which is kept in histories and logs."""
    form = await form_of(request)
    return await _shown(request, services, person, known_number(child_id), form.text("reason"))


class Continues(Exception):
    """This record holds nothing any more: its notes are on another one."""

    def __init__(self, child_id: int) -> None:
        super().__init__("The record continues as another.")
        self.child_id = child_id


async def _shown(
    request: AnyRequest, services: Services, person: Person, child_id: int, reason: str | None
) -> Page:
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, ChildPage]:
        view = child_page(tx, services, person, child_id, now=now, reason=reason)
        return shell(tx, request, person, "", now=now), view

    try:
        frame, view = await services.store.read(look)
    except NotAllowed as error:
        raise missing(error) from None
    except Continues as found:
        # Whoever may see that record sees it; a restricted one asks for its reason there.
        return go(f"/children/{found.child_id}")
    except ReasonNeeded:
        return ask_why(request, person, reason, action=f"/children/{child_id}")
    return page("child.html", frame, view)


def child_page(
    tx: Transaction, services: Services, person: Person, child_id: int, *, now: int, reason: str | None
) -> ChildPage:
    """Everything about a child, in one transaction. Raises NotAllowed, ReasonNeeded and Continues."""
    world = services.worlds.current(tx)
    shown = showing.timeline(tx, world.decider.model, person, child_id, now=now, reason=reason)
    continues = overview.continues_as(tx, child_id)
    if continues is not None:
        raise Continues(continues)
    telling = telling_for(tx, services, person, now)
    records = [one.child_id for one in shown.child.records] or [child_id]
    alert_ids = [alert.alert_id for alert in shown.alerts]
    waiting = links.reviews_of_child(tx, child_id)
    carried = overview.flags_of_alerts(tx, alert_ids)
    facts = note_subjects.facts_together(tx, shown.child.child_id)
    incidents = find_incidents(facts, world.pack)
    story = Story(
        shown,
        telling,
        carried,
        overview.taken_off(tx, child_id),
        may_undo=person.may(Permission.DECIDE_LINKS),
        may_see_originals=person.may(Permission.SEE_ORIGINALS),
        address=_addresses(services, person, shown.child, now),
        events=Events(
            [entry.note for entry in shown.entries],
            telling,
            incidents,
            incident_decisions.newest(tx, [entry.note.subject_id for entry in shown.entries]),
            may_be_one(facts, incidents, world.pack),
            may_group=person.may(Permission.WORK_CASES),
        ),
    )
    beside = overview.beside(tx, child_id)
    live = sorted(
        (alert for alert in shown.alerts if alert.state is not State.CLOSED),
        key=lambda alert: (
            -alert.grade.urgency,
            alert.deadline_at is None,
            alert.deadline_at,
            alert.alert_id,
        ),
    )
    live_flags = {flag_id for alert in live for flag_id in carried.get(alert.alert_id, ())}
    actor = Actor("person", person.username)
    log = [
        entry
        for one in records
        for entry in history_of(tx, actor, "child", one, now=now, limit=LOG_ENTRIES_READ)
    ]
    looks = looks_of(sorted(log, key=lambda entry: -entry.at), telling)
    return ChildPage(
        identity=msgspec.structs.replace(
            identity(shown, telling, len(waiting), may_merge=person.may(Permission.DECIDE_LINKS)),
            case=_case(tx, person, child_id, telling),
        ),
        live=telling.rows(live, dict.fromkeys(records, shown.child), whole=True),
        also=also_of(
            (flag for flag in shown.flags if flag.flag_id in live_flags), {alert.why for alert in live}
        ),
        live_reviews=tuple(
            (review_id, "Is this a child we know? A note waits for a person to decide.")
            for review_id in waiting
            if person.may(Permission.DECIDE_LINKS)
        ),
        story=story.entries(),
        facts=facts_of(shown.child.details, shown.child.registry_id is not None),
        people=people_of(shown, beside, _openable(tx, person, beside.values())),
        places=places_of(shown, telling),
        looks=looks[:LOOKS_SHOWN],
        looks_total=len(looks),
        here=f"/children/{child_id}",
    )


def _case(tx: Transaction, person: Person, child_id: int, telling: Telling) -> str | None:
    """The open case in a line, for those who work cases."""
    if not person.may(Permission.WORK_CASES):
        return None
    live = transferring.open_case(tx, person, child_id, now=telling.now)
    if live is None:
        return "No open case"
    return f"Open case: {telling.names.name(live.lead)}, {telling.borough(live.borough)}"


def _addresses(services: Services, person: Person, shown: Child, now: int) -> Address:
    """Where the pictures of this page are; on that of a restricted record, with the pass that its reason gave."""
    query = ""
    if shown.circumstances.restricted:
        query = f"&pass={passes.make(services.pass_key, person.person_id, shown.child_id, now)}"
    return lambda digest, form: f"/api/children/{shown.child_id}/attachments/{digest}?form={form}{query}"


def _openable(tx: Transaction, person: Person, child_ids: Iterable[int]) -> frozenset[int]:
    """Those of these children whose page this person may open without more ado."""
    able = set()
    for child_id in set(child_ids):
        try:
            children_shown.require_sight(tx, person, child_id)
        except (NotAllowed, ReasonNeeded):
            continue
        able.add(child_id)
    return frozenset(able)


@sends(
    "/links/{subject_id:int}/undo",
    guards=[requires(Permission.DECIDE_LINKS)],
)
async def undo_link(
    request: AnyRequest,
    subject_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Take a note off a record. The next page asks whose it is."""
    now, subject_id = now_ms(), known_number(subject_id)

    def undo(tx: Transaction) -> int:
        world = services.worlds.current(tx)
        # The reason lets it through where the record is restricted: it shows nothing of the record.
        return answering.undo_link(tx, world, person, subject_id, now=now, reason=UNDO_REASON)

    try:
        review_id = await services.store.write(undo)
    except NotAllowed as error:
        raise missing(error) from None
    return go(f"/reviews/{review_id}", said_cookie(services, "unlinked"))


@sends("/incidents/{subject_id:int}", guards=[requires(Permission.WORK_CASES)])
async def group_note(
    request: AnyRequest,
    subject_id: FromPath[int],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """Say that a note tells of an event of its own, or of the same one as another, or take that back."""
    form, now, subject_id = await form_of(request), now_ms(), known_number(subject_id)
    other, reason = form.number("other"), " ".join(form.text("reason").split())
    word = (
        Word.APART if form.text("apart") == "1" else Word.JOINED if "other" in form.fields else Word.AS_FOUND
    )
    if word is Word.AS_FOUND:
        reason = reason or "Taken back"
    refused = len(reason) < REASON_CHARACTERS_MIN or (word is Word.JOINED and other is None)

    def work(tx: Transaction) -> int:
        world = services.worlds.current(tx)
        if refused:
            return grouping.child_of(tx, person, subject_id, UNDO_REASON)
        return grouping.say(
            tx, world, person, subject_id, word, reason, other_id=other, now=now, sight=reason
        )

    try:
        child_id = await services.store.write(work)
    except NotAllowed as error:
        raise missing(error) from None
    return go(f"/children/{child_id}", said_cookie(services, "say-why" if refused else _GROUPED[word]))


_GROUPED = {Word.APART: "apart", Word.JOINED: "joined", Word.AS_FOUND: "as-found"}

HANDLERS = [child, child_with_reason, undo_link, group_note]
