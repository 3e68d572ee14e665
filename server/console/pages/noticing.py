"""Children coming to notice: repeated concerns with no referral yet, by what is at stake."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromQuery

from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.alert_rows import RESTRICTED, age_of, first_name
from server.console.pages.alerts import grade_of, place_of, telling_for
from server.console.pages.web import AnyRequest, Page, page, shell, shows
from server.console.views import Choice, Shell
from server.console.views_overview import NoticePage, NoticeRow
from server.http.auth import requires
from server.http.services import Services
from server.records import children_shown, noticing
from server.storage.port import Transaction


@shows("/coming-to-notice", guards=[requires(Permission.SEE_ALERTS, Permission.SEE_CHILDREN)])
async def notice_page(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services],
    borough: FromQuery[str] = "",
) -> Page:  # fmt: skip
    """The list, of all the person's boroughs or of one."""
    now, only = now_ms(), borough if borough in person.boroughs else None

    def look(tx: Transaction) -> tuple[Shell, NoticePage]:
        telling = telling_for(tx, services, person, now)
        found = noticing.coming_to_notice(tx, person, telling.pack, now=now, borough=only)
        shown = children_shown.names(tx, person, [one.child_id for one in found], now=now)
        rows = []
        for one in found:
            child = shown.get(one.child_id)
            hidden = child is None or child.circumstances.restricted
            rows.append(
                NoticeRow(
                    child_id=one.child_id,
                    name=RESTRICTED if hidden or child is None else first_name(child.details),
                    age=None if hidden or child is None else age_of(child.details, now),
                    grade=grade_of(one.grade) if one.grade else None,
                    borough=telling.borough(one.borough) if one.borough else "No borough",
                    why=one.why,
                    last_at=one.last_at,
                )
            )
        named = sorted((telling.borough(code), code) for code in person.boroughs)
        view = NoticePage(
            heading=f"Children coming to notice, {telling.borough(only) if only else place_of(services, person)}",
            rows=tuple(rows),
            boroughs=tuple(Choice(value=code, label=name, selected=code == only) for name, code in named)
            if len(named) > 1
            else (),
        )
        return shell(tx, request, person, "notice", now=now), view

    return page("notice.html", *await services.store.read(look))


HANDLERS = [notice_page]
