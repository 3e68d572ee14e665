"""The log of who did what, as an auditor reads it. Reading it is logged too."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromQuery

from server.access import people
from server.access.policy import Permission
from server.audit import Actor
from server.audit.queries import done_by, history_of
from server.console.pages.desk import Desk
from server.console.pages.web import Page, shows
from server.console.views_scrutiny import AuditPage, LogRow
from server.http.auth import requires
from server.storage.port import Transaction

LOG_ROWS = 100
IN_WORDS = {"list": "its name in a list", "review": "beside a note in review"}
"""Reasons that the log keeps as one word. The others are words already."""


@shows("/audit", guards=[requires(Permission.READ_AUDIT)])
async def audit_page(
    desk: NamedDependency[Desk], kind: FromQuery[str] = "child", id: FromQuery[str] = "",
    before: FromQuery[int | None] = None,
) -> Page:  # fmt: skip
    """Who looked at a child (by its number), or what a person did (by username)."""
    asked, until = id.strip()[:64].replace("\0", ""), None if before is None else max(1, before)
    return await desk.shows(
        "audit.html", "audit", lambda tx: _audit_page(tx, desk, kind == "person", asked, until)
    )


def _audit_page(tx: Transaction, desk: Desk, by_person: bool, asked: str, until: int | None) -> AuditPage:
    kind = "person" if by_person else "child"
    if not asked:
        return AuditPage(kind=kind, id=asked)
    known = people.find(tx, asked) is not None if by_person else asked.isascii() and asked.isdigit()
    if not known:
        error = "There is no such person." if by_person else "Give the number of a record."
        return AuditPage(kind=kind, id=asked, error=error)
    me = Actor("person", desk.person.username)
    if by_person:
        found = done_by(tx, me, Actor("person", asked), now=desk.now, before=until, limit=LOG_ROWS)
    else:
        found = history_of(tx, me, "child", int(asked[:18]), now=desk.now, before=until, limit=LOG_ROWS)
    names = desk.telling(tx).names
    rows = tuple(
        LogRow(
            position=one.position,
            at=one.at,
            who=names.name(one.actor.id) if one.actor.kind == "person" else str(one.actor),
            verb=one.verb.value,
            what=f"{one.kind.replace('_', ' ')} {', '.join(one.ids[:6])}"
            + (f" and {len(one.ids) - 6} more" if len(one.ids) > 6 else ""),
            reason=IN_WORDS.get(one.reason, one.reason) if one.reason else None,
            recipients=one.recipients,
        )
        for one in found
    )
    older = None
    if len(rows) == LOG_ROWS:
        older = f"/audit?kind={kind}&id={asked}&before={rows[-1].position}"
    return AuditPage(kind=kind, id=asked, rows=rows, older_href=older)


HANDLERS = [audit_page]
