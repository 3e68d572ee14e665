"""The administrator's page of rules: what is in force, since when and by whom; a changed pack checked, tried out on
past notes, and put in force."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable

from litestar.di import NamedDependency

from server import replaying
from server.access.policy import Permission
from server.audit import Actor
from server.casework.pack import Pack, PackError, default_pack_text, load_pack
from server.casework.telling_rules import chain_in_words, rule_in_words, terms_in_words
from server.casework.words import hours_in_words
from server.console.pages.desk import Desk, Done
from server.console.pages.web import Page, sends, shows
from server.console.views_administration import ClockRow, PackRow, ReplayRow, RuleRow, RulesPage
from server.http.auth import requires
from server.jobs.escalation import check_roles
from server.records import in_force
from server.records.in_force import Kind
from server.storage.port import Transaction
from sync.vocabulary import Grade

MANAGES_RULES = [requires(Permission.MANAGE_RULES)]
PACK_BYTES_MAX = 256 * 1024
"""The pack that ships is 7 KB; a form's fields are percent-encoded, which may treble it."""
DAYS_BACK = 90
CHILDREN_MAX = 2_000
"""Children looked at for the page: some seconds. The command looks at all."""


@shows("/rules", guards=MANAGES_RULES)
async def show(desk: NamedDependency[Desk]) -> Page:
    """The pack in force, and a place for another."""
    return await desk.shows("rules.html", "rules", lambda tx: _view(tx, desk))


@sends("/rules", guards=MANAGES_RULES, request_max_body_size=PACK_BYTES_MAX)
async def change(desk: NamedDependency[Desk]) -> Page:
    """Check a pack and say what it would have raised or dropped; or put it in force."""
    form, services = await desk.form(), desk.services
    text = form.text("pack", PACK_BYTES_MAX).replace("\r\n", "\n")
    actor = Actor("person", desk.person.username)
    try:
        wanted = load_pack(text, services.policy.force)
        check_roles(wanted, services.policy, text)
    except PackError as wrong:
        said = str(wrong)
        return await desk.shows(
            "rules.html", "rules", lambda tx: _view(tx, desk, text=text, error=said), status=422
        )
    if form.text("do") == "put":

        def put(tx: Transaction) -> Done:
            in_force.put(tx, actor, Kind.RULES, wanted.version, text, now=desk.now)
            return Done("/rules", "rules-changed")

        return await desk.takes("rules.html", "rules", put)
    tried = await asyncio.to_thread(_tried, desk, actor, wanted)
    return await desk.shows("rules.html", "rules", lambda tx: _view(tx, desk, text=text, tried=tried))


def _tried(desk: Desk, actor: Actor, wanted: Pack) -> tuple[str, int, tuple[ReplayRow, ...]]:
    """(version, children looked at, what would change): the pack against the one in force, on the notes of the last
    `DAYS_BACK` days. Looking is logged."""
    store, tally, looked = desk.services.store, replaying.Tally(0), 0
    holding = store.read_now(desk.services.worlds.pack_in_force)
    since = desk.now - round(datetime.timedelta(days=DAYS_BACK).total_seconds() * 1000)
    for number, changes in replaying.replay(store, actor, wanted, since, now=desk.now, against=holding):
        looked += number
        for one in changes:
            tally.add(one)
        if looked >= CHILDREN_MAX:
            break
    rows = [
        ReplayRow(rule=rule, would_be=kind, flags=flags, children=tally.children[rule, kind])
        for (rule, kind), flags in sorted(tally.flags.items())
    ]
    return wanted.version, looked, tuple(rows)


def _view(
    tx: Transaction,
    desk: Desk,
    *,
    text: str | None = None,
    error: str | None = None,
    tried: tuple[str, int, tuple[ReplayRow, ...]] | None = None,
) -> RulesPage:
    pack, history = desk.services.worlds.pack_in_force(tx), in_force.history(tx, Kind.RULES)
    stored = in_force.text(tx, Kind.RULES)
    return RulesPage(
        version=pack.version,
        rules=tuple(
            RuleRow(name=one.name, grade=one.grade.value, says=rule_in_words(one), proposes=one.proposes)
            for one in pack.rules
        ),
        grades=tuple(grade.value for grade in reversed(Grade)),
        clocks=_clocks(desk, pack),
        chains=tuple((grade.value, chain_in_words(pack, grade, _title(desk))) for grade in reversed(Grade)),
        terms=terms_in_words(pack),
        history=tuple(PackRow(version=one.version, by=one.loaded_by, at=one.loaded_at) for one in history),
        text=text if text is not None else stored or _settings_text(desk),
        error=error,
        tried_version=tried[0] if tried else None,
        tried_children=tried[1] if tried else 0,
        tried=tried[2] if tried else (),
        days_back=DAYS_BACK,
        looked_at_most=CHILDREN_MAX,
    )


def _settings_text(desk: Desk) -> str:
    """The text of the pack that holds while none was put in force: the settings', or the one that ships. Empty where
    the settings' file has gone since the server started, which goes on with what it read then."""
    path = desk.services.settings.rules
    try:
        return path.read_text(encoding="utf-8") if path else default_pack_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _title(desk: Desk) -> Callable[[str], str]:
    roles = desk.services.policy.roles
    return lambda role: roles[role].title if role in roles else role


def _clocks(desk: Desk, pack: Pack) -> tuple[ClockRow, ...]:
    rows = []
    for name, preset in pack.clocks.presets.items():
        chosen = [code for code, one in pack.clocks.boroughs.items() if one == name]
        places = [desk.services.policy.force.name_of(code) for code in chosen]
        if name == pack.clocks.preset:
            places.append("all others" if places else "all boroughs")
        hours = [
            hours_in_words(preset.hours(grade), grade in preset.working_hours) for grade in reversed(Grade)
        ]
        rows.append(ClockRow(label=preset.label, hours=tuple(hours), places=", ".join(places)))
    return tuple(rows)


HANDLERS = [show, change]
