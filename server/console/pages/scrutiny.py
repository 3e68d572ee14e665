"""Scrutiny: dip samples that nobody chooses by hand, and a page to review each case."""

from __future__ import annotations

import datetime
import secrets

from litestar.di import NamedDependency
from litestar.params import FromPath

from server.access.policy import Permission
from server.console.pages.desk import Desk, Done
from server.console.pages.web import Form, Page, known_number, missing, sends, shows
from server.console.views import Choice
from server.console.views_scrutiny import AlikeRow, DipPage, ItemRow, SamplePage, ScrutinyPage
from server.http.auth import requires
from server.records import alerts, likeness, sampling
from server.records.sampling import OUTCOMES, PER_STRATUM_MAX, WORDS_CHARACTERS_MIN
from server.storage.port import Transaction

SAMPLES = requires(Permission.SAMPLE)
_OUTCOME_WORDS = {"good": "Good", "requires_improvement": "Requires improvement", "inadequate": "Inadequate"}


@shows("/scrutiny", guards=[SAMPLES])
async def samples_page(desk: NamedDependency[Desk]) -> Page:
    """The samples, and the form that announces one."""
    return await desk.shows(
        "scrutiny.html",
        "scrutiny",
        lambda tx: ScrutinyPage(samples=tuple(sampling.samples(tx, desk.person))),
    )


@sends("/scrutiny", guards=[SAMPLES])
async def announce(desk: NamedDependency[Desk]) -> Page:
    """Announce a sample: from now on its commitment stands."""
    form = await desk.form()
    first, last = _day(form, "closed_from"), _day(form, "closed_to")
    most, source = form.number("most"), form.line("source", 200)

    def promise(tx: Transaction) -> ScrutinyPage | Done:
        if first is None or last is None or last < first:
            error = "Give the first and the last day."
        elif most is None or not 1 <= most <= PER_STRATUM_MAX:
            error = f"Give a number from 1 to {PER_STRATUM_MAX}."
        elif len(source) < WORDS_CHARACTERS_MIN:
            error = "Say which public value will be used, and when it is published."
        else:
            begins, ends = sampling.window(first, last)
            sampling.announce(
                tx, desk.person, secret=secrets.token_hex(32), closed_from=begins, closed_before=ends,
                per_stratum=most, public_source=source, now=desk.now,
            )  # fmt: skip
            return Done("/scrutiny", "announced")
        return ScrutinyPage(
            samples=tuple(sampling.samples(tx, desk.person)), source=source, most=form.text("most", 3),
            closed_from=form.text("closed_from", 10), closed_to=form.text("closed_to", 10), error=error,
        )  # fmt: skip

    return await desk.takes("scrutiny.html", "scrutiny", promise)


def _day(form: Form, name: str) -> datetime.date | None:
    try:
        found = datetime.date.fromisoformat(form.text(name, 10))
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2200 else None


@shows("/scrutiny/{sample_id:int}", guards=[SAMPLES])
async def sample_page(sample_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """A sample, how to draw it again, and what is in it."""
    sample_id = known_number(sample_id)
    return await desk.shows("sample.html", "scrutiny", lambda tx: _sample_page(tx, desk, sample_id))


def _sample_page(
    tx: Transaction, desk: Desk, sample_id: int, value: str = "", error: str | None = None
) -> SamplePage:
    found = sampling.sample(tx, desk.person, sample_id)
    telling = desk.telling(tx)
    rows = tuple(
        ItemRow(
            alert_id=one.alert_id,
            borough=telling.borough(one.stratum_borough),
            grade=one.stratum_grade,
            outcome=_OUTCOME_WORDS.get(one.outcome or ""),
            reviewed_by=telling.names.name(one.reviewed_by) if one.reviewed_by else None,
        )
        for one in sampling.items(tx, desk.person, sample_id, now=desk.now)
    )
    return SamplePage(
        sample=found,
        items=rows,
        reviewed=sum(one.outcome is not None for one in rows),
        may_draw=found.may_be_drawn(desk.now),
        value=value,
        error=error,
    )


@sends("/scrutiny/{sample_id:int}", guards=[SAMPLES])
async def draw(sample_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Draw it, with the public value."""
    form, sample_id = await desk.form(), known_number(sample_id)
    value = form.line("value", 200)

    def drawing(tx: Transaction) -> SamplePage | Done:
        if not sampling.sample(tx, desk.person, sample_id).may_be_drawn(desk.now):
            error = "This sample is drawn, or its window has not ended."
        elif not value:
            error = "Give the public value."
        else:
            sampling.draw(tx, desk.person, sample_id, value, now=desk.now)
            return Done(f"/scrutiny/{sample_id}", "drawn")
        return _sample_page(tx, desk, sample_id, value, error)

    return await desk.takes("sample.html", "scrutiny", drawing)


@shows("/scrutiny/{sample_id:int}/{alert_id:int}", guards=[SAMPLES])
async def dip_page(sample_id: FromPath[int], alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """One case of a sample, to be reviewed, beside those like it."""
    numbers = known_number(sample_id), known_number(alert_id)
    return await desk.shows("dip.html", "scrutiny", lambda tx: _dip_page(tx, desk, numbers))


def _dip_page(
    tx: Transaction, desk: Desk, numbers: tuple[int, int], given: tuple[str, str] | None = None,
    error: str | None = None,
) -> DipPage:  # fmt: skip
    sample_id, alert_id = numbers
    item = sampling.item(tx, desk.person, sample_id, alert_id, now=desk.now)
    telling = desk.telling(tx)
    outcome, said = given or (item.outcome or "", item.words or "")
    return DipPage(
        sample_id=sample_id,
        row=desk.row(tx, alerts.show(tx, desk.person, alert_id, now=desk.now)),
        outcomes=tuple(
            Choice(value=one, label=_OUTCOME_WORDS[one], selected=one == outcome) for one in OUTCOMES
        ),
        words=said,
        alike=tuple(
            AlikeRow(child_id=one.child_id, borough=telling.borough(one.borough), shared=one.shared)
            for one in likeness.like(tx, desk.person, alert_id, now=desk.now)
        ),
        error=error,
    )


@sends("/scrutiny/{sample_id:int}/{alert_id:int}", guards=[SAMPLES])
async def judge(sample_id: FromPath[int], alert_id: FromPath[int], desk: NamedDependency[Desk]) -> Page:
    """Save what the review found."""
    form, numbers = await desk.form(), (known_number(sample_id), known_number(alert_id))
    outcome, said = form.text("outcome"), form.line("words")
    error = None if outcome in OUTCOMES else "Choose an outcome."
    if error is None and len(said) < WORDS_CHARACTERS_MIN:
        error = "Say what you found, in a sentence."

    def save(tx: Transaction) -> DipPage | Done:
        if error is not None:
            return _dip_page(tx, desk, numbers, (outcome, said), error)
        if not sampling.judge(tx, desk.person, *numbers, outcome, said, now=desk.now):
            raise missing()
        return Done(f"/scrutiny/{numbers[0]}", "reviewed")

    return await desk.takes("dip.html", "scrutiny", save)


HANDLERS = [samples_page, announce, sample_page, draw, dip_page, judge]
