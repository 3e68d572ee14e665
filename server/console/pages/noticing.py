"""Children coming to notice: repeated concerns with no referral yet, by what is at stake."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromQuery

from server.access.policy import Permission
from server.console.pages.alert_rows import RESTRICTED, age_of, first_name
from server.console.pages.alerts import grade_of
from server.console.pages.desk import Desk
from server.console.pages.web import Page, shows
from server.console.views import Choice
from server.console.views_overview import NoticePage, NoticeRow
from server.http.auth import requires
from server.records import children_shown, noticing
from server.records.noticing import Noticed
from server.storage.port import Transaction


@shows("/coming-to-notice", guards=[requires(Permission.SEE_ALERTS, Permission.SEE_CHILDREN)])
async def notice_page(desk: NamedDependency[Desk], borough: FromQuery[str] = "") -> Page:
    """The list, of all the person's boroughs or of one."""
    only = borough if borough in desk.person.boroughs else None
    return await desk.shows("notice.html", "notice", lambda tx: _noticed(tx, desk, only))


def _noticed(tx: Transaction, desk: Desk, only: str | None) -> NoticePage:
    telling, person = desk.telling(tx), desk.person
    found = noticing.coming_to_notice(tx, person, telling.pack, now=desk.now, borough=only)
    shown = children_shown.names(tx, person, [one.child_id for one in found], now=desk.now)

    def row(one: Noticed) -> NoticeRow:
        child = shown.get(one.child_id)
        hidden = child is None or child.circumstances.restricted
        return NoticeRow(
            child_id=one.child_id,
            name=RESTRICTED if hidden or child is None else first_name(child.details),
            age=None if hidden or child is None else age_of(child.details, desk.now),
            grade=grade_of(one.grade) if one.grade else None,
            borough=telling.borough(one.borough) if one.borough else "No borough",
            why=one.why,
            last_at=one.last_at,
        )

    named = sorted((telling.borough(code), code) for code in person.boroughs)
    return NoticePage(
        heading=f"Children coming to notice, {telling.borough(only) if only else desk.place}",
        rows=tuple(map(row, found)),
        boroughs=tuple(Choice(value=code, label=name, selected=code == only) for name, code in named)
        if len(named) > 1
        else (),
    )


HANDLERS = [notice_page]
