"""How I am told: a person's own choice, within what the borough permits."""

from __future__ import annotations

import datetime
import re

from litestar import post
from litestar.di import NamedDependency

from server.access import people
from server.access.identity import Person, person_from_row
from server.access.policy import Permission
from server.alerts.presets import LONDON, Mode, Preset, minute_of
from server.audit import Actor
from server.clock import now_ms
from server.console.pages.web import (
    AnyRequest,
    Form,
    Page,
    form_of,
    go,
    page,
    said_cookie,
    sends,
    shell,
    shows,
)
from server.console.views import Shell
from server.console.views_telling import GradeChoice, Option, TellingPage
from server.http.auth import requires
from server.http.services import Services
from server.records import absences, telling
from server.records.telling import Choices
from server.storage.port import Transaction
from sync.vocabulary import Grade

ANSWERS_ALERTS = requires(Permission.ACKNOWLEDGE_ALERTS)
ADDRESS = re.compile(r"[^@\s<>,;:\"]{1,64}@[^@\s<>,;:\"]{3,190}")
BELOW_RED = (Grade.AMBER, Grade.GREEN, Grade.BLUE)
MODE_WORDS = {
    Mode.NOW: "At once, but not in my quiet hours",
    Mode.DIGEST: "Once a day, all in one message",
    Mode.OFF: "On the page only",
}


class Wrong(Exception):
    """What was filled in cannot be kept. `field` is where, `str()` why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


@shows("/how-i-am-told", guards=[ANSWERS_ALERTS])
async def how_i_am_told(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """What this person has chosen, and what they may choose."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, TellingPage]:
        kept = telling.choices(tx, person.person_id)
        return shell(tx, request, person, "telling", now=now), _view(tx, services, person, kept, now)

    return page("telling.html", *await services.store.read(look))


@sends("/how-i-am-told", guards=[ANSWERS_ALERTS])
async def choose(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Keep it, or say what is wrong beside what was filled in."""
    now, form = now_ms(), await form_of(request)

    def keep(tx: Transaction) -> tuple[Shell, TellingPage] | None:
        try:
            telling.choose(tx, person, _chosen(tx, services, person, form, now), now=now)
            pack = services.worlds.pack_in_force(tx)
            absences.pass_on(tx, Actor("person", person.username), services.policy, pack, now=now)
            return None
        except Wrong as wrong:
            view = _view(tx, services, person, telling.choices(tx, person.person_id), now, form, wrong)
            return shell(tx, request, person, "telling", now=now), view

    refused = await services.store.write(keep)
    if refused is None:
        return go("/how-i-am-told", said_cookie(services, "telling"))
    return page("telling.html", *refused, status=422)


@post("/how-i-am-told/forget-browsers", guards=[ANSWERS_ALERTS], include_in_schema=False)
async def forget_browsers(person: NamedDependency[Person], services: NamedDependency[Services]) -> Page:
    """No browser of this person shows notifications any more."""
    now = now_ms()
    await services.store.write(lambda tx: telling.unsubscribe(tx, person, now=now))
    return go("/how-i-am-told", said_cookie(services, "browsers-gone"))


def _chosen(tx: Transaction, services: Services, person: Person, form: Form, now: int) -> Choices:
    preset = services.presets.of(person.borough)
    address = form.text("address", 254).strip()
    if address and not ADDRESS.fullmatch(address):
        raise Wrong("address", "Give an e-mail address, such as name@force.police.uk.")
    quiet = [_minute(form, name) for name in ("quiet_from", "quiet_until")]
    if (quiet[0] is None) != (quiet[1] is None):
        raise Wrong("quiet_from", "Give both the beginning and the end of your quiet hours, or neither.")
    away_until = _away(form, now)
    deputy = form.number("deputy")
    if deputy is not None and deputy not in {found.person_id for found in _colleagues(tx, services, person)}:
        raise Wrong("deputy", "Choose somebody who answers alerts of your borough.")
    modes = {
        grade.value: preset.mode(grade, form.text(grade.value, 10)).value for grade in BELOW_RED
    }  # what the borough does not permit is not kept
    return Choices(
        address=address or None, quiet_from=quiet[0], quiet_until=quiet[1], away_until=away_until,
        deputy_id=deputy if away_until is not None else None, **modes,
    )  # fmt: skip


def _minute(form: Form, name: str) -> int | None:
    typed = form.text(name, 10).strip()
    if not typed:
        return None
    try:
        return minute_of(typed)
    except ValueError:
        raise Wrong(name, "Give a time as hours and minutes, such as 22:00.") from None


def _away(form: Form, now: int) -> int | None:
    """The end, London's midnight, of the last day away; None where nobody is away."""
    typed = form.text("away_until", 10).strip()
    if not typed:
        return None
    try:
        last = datetime.date.fromisoformat(typed)
    except ValueError:
        raise Wrong("away_until", "Give the last day you are away, such as 2026-12-24.") from None
    today = datetime.datetime.fromtimestamp(now / 1000, LONDON).date()
    if not today <= last <= today + datetime.timedelta(days=366):
        raise Wrong("away_until", "Give a day from today to a year from now.")
    ends = datetime.datetime.combine(last + datetime.timedelta(days=1), datetime.time(), LONDON)
    return round(ends.timestamp() * 1000)


def _colleagues(tx: Transaction, services: Services, person: Person) -> list[Person]:
    """Who may stand in for this person: those who answer alerts of all their boroughs."""
    able = [
        person_from_row(services.policy, row)
        for row in people.everybody(tx)
        if row.active and row.role in services.policy.roles and row.person_id != person.person_id
    ]
    return [
        one
        for one in able
        if one.may(Permission.ACKNOWLEDGE_ALERTS) and all(map(one.sees_borough, person.boroughs))
    ]


def _view(
    tx: Transaction,
    services: Services,
    person: Person,
    kept: Choices,
    now: int,
    form: Form | None = None,
    wrong: Wrong | None = None,
) -> TellingPage:
    """The page, with what was typed where something of it was wrong."""
    preset = services.presets.of(person.borough)
    away = kept.away_until if kept.away_until is not None and kept.away_until > now else None
    said = {
        "address": kept.address or "",
        "quiet_from": _clock(kept.quiet_from),
        "quiet_until": _clock(kept.quiet_until),
        "away_until": "" if away is None else _last_day(away),
    }
    deputy = kept.deputy_id
    if form is not None:
        said = {name: form.text(name, 254) for name in said}
        deputy = form.number("deputy")
    return TellingPage(
        **said,
        mail_open="mail" in services.ways,
        mail_permitted="mail" in preset.channels,
        push_permitted="push" in preset.channels,
        vapid_public=services.vapid_public,
        browsers=telling.browsers(tx, person.person_id),
        grades=tuple(_grade(preset, grade, kept, form) for grade in BELOW_RED),
        digest_at=services.presets.digest_at,
        deputies=tuple(
            Option(
                value=str(one.person_id),
                label=f"{one.name}, {one.role_title}",
                chosen=one.person_id == deputy,
            )
            for one in _colleagues(tx, services, person)
        ),
        wrong_field=wrong.field if wrong else None,
        error=str(wrong) if wrong else None,
    )


def _grade(preset: Preset, grade: Grade, kept: Choices, form: Form | None) -> GradeChoice:
    chosen = form.text(grade.value, 10) if form is not None else getattr(kept, grade.value)
    holds = preset.mode(grade, chosen)
    return GradeChoice(
        grade=grade.value,
        options=tuple(
            Option(value=mode.value, label=MODE_WORDS[mode], chosen=mode is holds)
            for mode in preset.modes(grade)
        ),
    )


def _clock(minute: int | None) -> str:
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def _last_day(until: int) -> str:
    return datetime.datetime.fromtimestamp(until / 1000 - 1, LONDON).date().isoformat()


HANDLERS = [how_i_am_told, choose, forget_browsers]
