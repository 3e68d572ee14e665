"""The supervisor's page: what waits, which phones owe notes, and what was lost to what, by borough and week.

The figures are of boroughs, but for how often each person was interrupted: that is asked of them, and nothing that
they did. The same figures come as CSV from `/api/overview.csv`.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable, Mapping, Sequence

from litestar import Response, get
from litestar.di import NamedDependency

from server.access.identity import Person
from server.access.policy import Permission
from server.casework.facts import DAY_MS
from server.casework.routing import OTHER_FORCE
from server.clock import now_ms
from server.console import words
from server.console.pages.alerts import place_of, telling_for
from server.console.pages.review_list import allowed_by
from server.console.pages.web import AnyRequest, Page, page, shell, shows
from server.console.views import Shell
from server.console.views_overview import (
    Bar,
    Measure,
    NoiseRow,
    OverviewPage,
    OwingRow,
    SmallChart,
    WaitingRow,
)
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import documented
from server.http.services import Services
from server.records import alerts, children_shown, figures, noise, owing
from server.records.alerts import State
from server.records.figures import WEEK_MS, WEEKS_SHOWN, Week
from server.storage.port import Transaction
from sync.vocabulary import Grade

NOISE_DAYS = 7
MOST_PRESSING = 8
"""Rows shown in full; the queue has the others."""


def begins_at(now: int) -> int:
    """The Monday, midnight in London, with which the weeks shown begin."""
    today = words.local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - datetime.timedelta(days=today.weekday(), weeks=WEEKS_SHOWN - 1)
    return int(monday.timestamp() * 1000)


@shows("/overview", guards=[requires(Permission.SUPERVISE)])
async def overview_page(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """What waits and what was lost, in the boroughs of the person."""
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, OverviewPage]:
        return shell(tx, request, person, "overview", now=now), _overview(tx, services, person, now)

    return page("overview.html", *await services.store.read(look))


def _overview(tx: Transaction, services: Services, person: Person, now: int) -> OverviewPage:
    telling = telling_for(tx, services, person, now)
    waiting = figures.waiting(tx, person, allowed_by(telling.pack, person), now=now)
    pressing = alerts.queue(tx, person, now=now, states=[State.OPEN], limit=MOST_PRESSING)
    shown = children_shown.names(tx, person, [alert.child_id for alert in pressing], now=now)
    since = begins_at(now)
    found = figures.weekly(tx, person, from_ms=since, now=now)
    everywhere = person.sees_borough(None)
    owed = owing.phones(tx, None if everywhere else person.boroughs)
    return OverviewPage(
        heading=f"Overview, {place_of(services, person)}",
        unacknowledged=sum(one.unacknowledged for one in waiting),
        overdue=sum(one.overdue for one in waiting),
        stuck_reviews=sum(one.stuck_reviews for one in waiting),
        rows=telling.rows(pressing, shown),
        waiting=tuple(
            WaitingRow(
                borough=telling.borough(one.borough),
                href="/alerts" if one.borough == OTHER_FORCE else f"/alerts?borough={one.borough}",
                unacknowledged=one.unacknowledged,
                red=one.red,
                overdue=one.overdue,
                stuck_reviews=one.stuck_reviews,
                oldest_at=one.oldest_at,
            )
            for one in waiting
        ),
        owing=tuple(
            OwingRow(
                phone=one.name,
                officer=one.officer_name,
                borough=telling.borough(one.borough) if one.borough else "No borough",
                sentence=one.sentence,
                last_seen_at=one.last_seen_at,
                revoked=one.revoked_at is not None,
            )
            for one in owed
        ),
        measures=measures(found, telling.borough, since),
        since=since,
        noise=tuple(
            NoiseRow(
                name=one.name,
                role=one.role,
                borough=telling.borough(one.borough) if one.borough else "All boroughs",
                at_once=tuple(one.at_once.get(grade, 0) for grade in reversed(Grade)),
                total=one.total,
                in_digests=one.in_digests,
            )
            for one in noise.interruptions(tx, services.policy, person, since=now - NOISE_DAYS * DAY_MS)
        ),
        noise_days=NOISE_DAYS,
    )


_Measured = tuple[str, str, str, Callable[[Week], int], bool]
_MEASURES: tuple[_Measured, ...] = (
    ("sync", "Hours lost to late sync", "How long after its clock was spent a note reached the server: the phone had"
     " no signal, or was not synced.", lambda week: week.late_ms, True),
    ("idle", "Hours lost to inaction", "How long after the deadline a duty that had arrived waited for an answer.",
     lambda week: week.idle_ms, True),
    ("told", "Interruptions", "How often the people of a borough were called: new alerts, alerts that grew,"
     " escalations, and copies of the alerts of other boroughs.", lambda week: week.interruptions, False),
)  # fmt: skip


def measures(
    found: Mapping[str, Sequence[Week]], named: Callable[[str], str], since: int
) -> tuple[Measure, ...]:
    """The three measures of these boroughs, each on one scale, so that boroughs can be compared."""
    labels = tuple(_monday(since, number) for number in range(WEEKS_SHOWN))
    made = []
    for key, title, explains, of, timed in _MEASURES:
        most = max((of(week) for weeks in found.values() for week in weeks), default=0)
        charts, rows = [], []
        for code, weeks in found.items():
            said = tuple(_said(of(week), timed) for week in weeks)
            total = _said(sum(of(week) for week in weeks), timed)
            bars = tuple(
                Bar(
                    label=label,
                    value=value,
                    x=round(index * 100 / len(weeks), 2),
                    width=round(80 / len(weeks), 2),
                    top=round(100 - 100 * of(week) / most, 2) if most else 100,
                    height=round(100 * of(week) / most, 2) if most else 0,
                )
                for index, (label, value, week) in enumerate(zip(labels, said, weeks, strict=True))
            )
            name = f"{key}-{code}"
            charts.append(SmallChart(name=name, title=named(code), sum=total, bars=bars))
            rows.append((named(code), said, total))
        made.append(
            Measure(
                key=key, title=title, explains=explains, scale=_said(most, timed), weeks=labels,
                charts=tuple(charts), rows=tuple(rows),
            )
        )  # fmt: skip
    return tuple(made)


def _monday(since: int, number: int) -> str:
    day = words.local(since + number * WEEK_MS + WEEK_MS // 14)
    return f"{day.day} {day:%b}"


def _said(amount: int, timed: bool) -> str:
    return f"{amount / words.HOUR_MS:,.1f}" if timed else f"{amount:,}"


@get(
    "/api/overview.csv",
    guards=[requires(Permission.SUPERVISE)],
    security=PERSON_SECURITY,
    media_type="text/csv",
    tags=["work"],
    summary="What was lost and to what, by borough and week, as CSV",
    responses=documented(problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE),
)
async def overview_csv(person: NamedDependency[Person], services: NamedDependency[Services]) -> Response[str]:
    """The figures of the page: a line for each borough and week. Names nobody."""
    now = now_ms()
    since = begins_at(now)
    found = await services.store.read(lambda tx: figures.weekly(tx, person, from_ms=since, now=now))
    force = services.policy.force
    rows = [
        (
            code, "Other force" if code == OTHER_FORCE else force.name_of(code),
            words.local(since + week.week * WEEK_MS + WEEK_MS // 14).date().isoformat(), week.duties,
            week.late, _said_plain(week.late_ms), week.idle, _said_plain(week.idle_ms),
            week.told, week.grown, week.escalated, week.copied,
        )
        for code, weeks in found.items()
        for week in weeks
    ]  # fmt: skip
    return Response(
        as_csv(CSV_COLUMNS, rows),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": 'attachment; filename="overview.csv"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )


CSV_COLUMNS = (
    "borough_code", "borough", "week_from", "duties", "late_on_arrival", "hours_lost_to_late_sync",
    "answered_after_deadline", "hours_lost_to_inaction", "raised", "grew", "escalated", "copied",
)  # fmt: skip


def _said_plain(amount: int) -> str:
    return f"{amount / words.HOUR_MS:.2f}"


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """CSV as spreadsheets read it (RFC 4180), in which no field is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([[_tame(field) for field in row] for row in rows])
    return out.getvalue()


def _tame(field: object) -> object:
    """Text that a spreadsheet would run gets an apostrophe before it (OWASP, CSV injection)."""
    if isinstance(field, str) and field[:1] in ("=", "+", "-", "@", "\t", "\r", "\n"):
        return f"'{field}"
    return field


HANDLERS = [overview_page, overview_csv]
