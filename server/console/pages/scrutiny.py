"""Scrutiny: dip samples that nobody chooses by hand, a page to review each case, and the log of who did what."""

from __future__ import annotations

import datetime
import secrets

from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor
from server.audit.queries import done_by, history_of
from server.clock import now_ms
from server.console import words
from server.console.pages.alerts import row_of, telling_for
from server.console.pages.web import (
    AnyRequest,
    Form,
    Page,
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
from server.console.views import Choice, Shell
from server.console.views_scrutiny import (
    AlikeRow,
    AuditPage,
    DipPage,
    ItemRow,
    LogRow,
    SamplePage,
    ScrutinyPage,
)
from server.http.auth import requires
from server.http.services import Services
from server.records import alerts, likeness, sampling
from server.records.sampling import OUTCOMES, PER_STRATUM_MAX
from server.storage.port import Transaction

SAMPLES = requires(Permission.SAMPLE)
LOG_ROWS = 100
WORDS_CHARACTERS_MIN = 10  # a review that says nothing is none
_OUTCOME_WORDS = {"good": "Good", "requires_improvement": "Requires improvement", "inadequate": "Inadequate"}


@shows("/scrutiny", guards=[SAMPLES])
async def samples_page(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """The samples, and the form that announces one."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, ScrutinyPage]:
        view = ScrutinyPage(samples=tuple(sampling.samples(tx, person)))
        return shell(tx, request, person, "scrutiny", now=now), view

    return page("scrutiny.html", *await services.store.read(look))


@sends("/scrutiny", guards=[SAMPLES])
async def announce(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Announce a sample: from now on its commitment stands."""
    form, now = await form_of(request), now_ms()
    since, before = _day(form, "closed_from"), _day(form, "closed_to")
    most, source = form.number("most"), " ".join(form.text("source", 200).split())
    error = None
    if since is None or before is None or before < since:
        error = "Give the first and the last day."
    elif most is None or not 1 <= most <= PER_STRATUM_MAX:
        error = f"Give a number from 1 to {PER_STRATUM_MAX}."
    elif len(source) < WORDS_CHARACTERS_MIN:
        error = "Say which public value will be used, and when it is published."
    if error is None and since is not None and before is not None and most is not None:
        end = _midnight(before + datetime.timedelta(days=1))
        await services.store.write(
            lambda tx: sampling.announce(
                tx, person, secret=secrets.token_hex(32), closed_from=_midnight(since), closed_before=end,
                per_stratum=most, public_source=source, now=now,
            )
        )  # fmt: skip
        return go("/scrutiny", said_cookie(services, "announced"))

    def look(tx: Transaction) -> tuple[Shell, ScrutinyPage]:
        view = ScrutinyPage(
            samples=tuple(sampling.samples(tx, person)), source=source, most=form.text("most", 3),
            closed_from=form.text("closed_from", 10), closed_to=form.text("closed_to", 10), error=error,
        )  # fmt: skip
        return shell(tx, request, person, "scrutiny", now=now), view

    return page("scrutiny.html", *await services.store.read(look), status=422)


def _day(form: Form, name: str) -> datetime.date | None:
    try:
        found = datetime.date.fromisoformat(form.text(name, 10))
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2200 else None


def _midnight(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), words.LONDON).timestamp() * 1000)


@shows("/scrutiny/{sample_id:int}", guards=[SAMPLES])
async def sample_page(
    request: AnyRequest, sample_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """A sample, how to draw it again, and what is in it."""
    now, sample_id = now_ms(), known_number(sample_id)

    def look(tx: Transaction) -> tuple[Shell, SamplePage]:
        view = _sample_page(tx, services, person, sample_id, now)
        return shell(tx, request, person, "scrutiny", now=now), view

    return page("sample.html", *await services.store.read(look))


def _sample_page(
    tx: Transaction, services: Services, person: Person, sample_id: int, now: int, value: str = "",
    error: str | None = None,
) -> SamplePage:  # fmt: skip
    try:
        found = sampling.sample(tx, person, sample_id)
    except NotAllowed as refused:
        raise missing(refused) from None
    telling = telling_for(tx, services, person, now)
    rows = tuple(
        ItemRow(
            alert_id=one.alert_id,
            borough=telling.borough(one.stratum_borough),
            grade=one.stratum_grade,
            outcome=_OUTCOME_WORDS.get(one.outcome or ""),
            reviewed_by=telling.names.name(one.reviewed_by) if one.reviewed_by else None,
        )
        for one in sampling.items(tx, person, sample_id, now=now)
    )
    return SamplePage(
        sample=found,
        items=rows,
        reviewed=sum(one.outcome is not None for one in rows),
        may_draw=found.drawn_at is None and found.closed_before <= now,
        value=value,
        error=error,
    )


@sends("/scrutiny/{sample_id:int}", guards=[SAMPLES])
async def draw(
    request: AnyRequest, sample_id: FromPath[int], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:  # fmt: skip
    """Draw it, with the public value."""
    form, now, sample_id = await form_of(request), now_ms(), known_number(sample_id)
    value = " ".join(form.text("value", 200).split())

    def drawing(tx: Transaction) -> tuple[Shell, SamplePage] | None:
        view = _sample_page(tx, services, person, sample_id, now, value)
        if view.may_draw and value:
            sampling.draw(tx, person, sample_id, value, now=now)
            return None
        error = (
            "Give the public value."
            if view.may_draw
            else "This sample is drawn, or its window has not ended."
        )
        view = _sample_page(tx, services, person, sample_id, now, value, error)
        return shell(tx, request, person, "scrutiny", now=now), view

    done = await services.store.write(drawing)
    if done is None:
        return go(f"/scrutiny/{sample_id}", said_cookie(services, "drawn"))
    return page("sample.html", *done, status=422)


@shows("/scrutiny/{sample_id:int}/{alert_id:int}", guards=[SAMPLES])
async def dip_page(
    request: AnyRequest, sample_id: FromPath[int], alert_id: FromPath[int], person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:  # fmt: skip
    """One case of a sample, to be reviewed, beside those like it."""
    now, numbers = now_ms(), (known_number(sample_id), known_number(alert_id))

    def look(tx: Transaction) -> tuple[Shell, DipPage]:
        view = _dip_page(tx, services, person, numbers, now)
        return shell(tx, request, person, "scrutiny", now=now), view

    return page("dip.html", *await services.store.read(look))


def _dip_page(
    tx: Transaction, services: Services, person: Person, numbers: tuple[int, int], now: int,
    given: tuple[str, str] | None = None, error: str | None = None,
) -> DipPage:  # fmt: skip
    sample_id, alert_id = numbers
    items = sampling.items(tx, person, sample_id, now=now)
    item = next((one for one in items if one.alert_id == alert_id), None)
    if item is None:
        raise missing()
    telling = telling_for(tx, services, person, now)
    outcome, said = given or (item.outcome or "", item.words or "")
    return DipPage(
        sample_id=sample_id,
        row=row_of(tx, services, person, alerts.show(tx, person, alert_id, now=now), now),
        outcomes=tuple(
            Choice(value=one, label=_OUTCOME_WORDS[one], selected=one == outcome) for one in OUTCOMES
        ),
        words=said,
        alike=tuple(
            AlikeRow(child_id=one.child_id, borough=telling.borough(one.borough), shared=one.shared)
            for one in likeness.like(tx, person, alert_id, now=now)
        ),
        error=error,
    )


@sends("/scrutiny/{sample_id:int}/{alert_id:int}", guards=[SAMPLES])
async def judge(
    request: AnyRequest, sample_id: FromPath[int], alert_id: FromPath[int], person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:  # fmt: skip
    """Save what the review found."""
    form, now, numbers = await form_of(request), now_ms(), (known_number(sample_id), known_number(alert_id))
    outcome, said = form.text("outcome"), " ".join(form.text("words").split())
    error = None if outcome in OUTCOMES else "Choose an outcome."
    if error is None and len(said) < WORDS_CHARACTERS_MIN:
        error = "Say what you found, in a sentence."

    def save(tx: Transaction) -> tuple[Shell, DipPage] | None:
        view = _dip_page(tx, services, person, numbers, now, (outcome, said), error)
        if error is None:
            sampling.judge(tx, person, *numbers, outcome, said, now=now)
            return None
        return shell(tx, request, person, "scrutiny", now=now), view

    done = await services.store.write(save)
    if done is None:
        return go(f"/scrutiny/{sample_id}", said_cookie(services, "reviewed"))
    return page("dip.html", *done, status=422)


@shows("/audit", guards=[requires(Permission.READ_AUDIT)])
async def audit_page(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services],
    kind: FromQuery[str] = "child", id: FromQuery[str] = "", before: FromQuery[int | None] = None,
) -> Page:  # fmt: skip
    """Who looked at a child (by its number), or what a person did (by username). Reading it is logged too."""
    now, asked = now_ms(), id.strip()[:64].replace("\0", "")
    by_person = kind == "person"

    def look(tx: Transaction) -> tuple[Shell, AuditPage]:
        frame = shell(tx, request, person, "audit", now=now)
        view = AuditPage(kind="person" if by_person else "child", id=asked)
        if not asked:
            return frame, view
        known = people.find(tx, asked) is not None if by_person else asked.isascii() and asked.isdigit()
        if not known:
            error = "There is no such person." if by_person else "Give the number of a record."
            return frame, AuditPage(kind=view.kind, id=asked, error=error)
        me, until = Actor("person", person.username), None if before is None else max(1, before)
        if by_person:
            found = done_by(tx, me, Actor("person", asked), now=now, before=until, limit=LOG_ROWS)
        else:
            found = history_of(tx, me, "child", int(asked[:18]), now=now, before=until, limit=LOG_ROWS)
        names = telling_for(tx, services, person, now).names
        rows = tuple(
            LogRow(
                position=one.position,
                at=one.at,
                who=names.name(one.actor.id) if one.actor.kind == "person" else str(one.actor),
                verb=one.verb.value,
                what=f"{one.kind.replace('_', ' ')} {', '.join(one.ids[:6])}"
                + (f" and {len(one.ids) - 6} more" if len(one.ids) > 6 else ""),
                reason=one.reason,
                recipients=one.recipients,
            )
            for one in found
        )
        older = None
        if len(rows) == LOG_ROWS:
            older = f"/audit?kind={view.kind}&id={asked}&before={rows[-1].position}"
        return frame, AuditPage(kind=view.kind, id=asked, rows=rows, older_href=older)

    return page("audit.html", *await services.store.read(look))


HANDLERS = [samples_page, announce, sample_page, draw, dip_page, judge, audit_page]
