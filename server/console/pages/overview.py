"""The supervisor's page: what waits, which phones owe notes, and what was lost to what, by borough and week.

The figures are of boroughs, but for how often each person was interrupted: that is asked of them, and nothing that
they did. `server.http.overview` has the figures for programs and as CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from litestar.di import NamedDependency

from server.access.policy import Permission
from server.casework.routing import OTHER_FORCE
from server.console import words
from server.console.pages.desk import Desk
from server.console.pages.web import Page, shows
from server.console.views_overview import (
    Bar,
    Measure,
    NoiseRow,
    OverviewPage,
    OwingRow,
    SetAsideRow,
    SmallChart,
    WaitingRow,
)
from server.http.auth import requires
from server.records import alerts, children_shown, figures, noise, owing, quarantine
from server.records.alerts import State
from server.records.figures import WEEKS_SHOWN, Week
from server.storage.port import Transaction
from sync.vocabulary import Grade

LEAST_SHOWN_MS = words.HOUR_MS // 20
MOST_PRESSING = 8
"""Rows shown in full; the queue has the others."""


@shows("/overview", guards=[requires(Permission.SUPERVISE)])
async def overview_page(desk: NamedDependency[Desk]) -> Page:
    """What waits and what was lost, in the boroughs of the person."""
    return await desk.shows("overview.html", "overview", lambda tx: _overview(tx, desk))


def _overview(tx: Transaction, desk: Desk) -> OverviewPage:
    telling, person, now = desk.telling(tx), desk.person, desk.now
    waiting = figures.waiting(tx, person, telling.pack.allowed_ms(person.borough), now=now)
    pressing = alerts.queue(tx, person, now=now, states=[State.OPEN], limit=MOST_PRESSING)
    shown = children_shown.names(tx, person, [alert.child_id for alert in pressing], now=now)
    since = figures.begins_at(now)
    found = figures.weekly(tx, person, from_ms=since, now=now)
    everywhere = person.sees_borough(None)
    owed = owing.phones(tx, None if everywhere else person.boroughs)
    return OverviewPage(
        heading=f"Overview, {desk.place}",
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
        set_aside=tuple(
            SetAsideRow(
                phone=one.phone,
                officer=one.officer_name,
                borough=telling.borough(one.borough) if one.borough else "No borough",
                entries=one.entries,
                oldest_at=one.oldest_at,
            )
            for one in quarantine.by_phone(tx, None if everywhere else person.boroughs)
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
                at_night=one.at_night,
                in_digests=one.in_digests,
            )
            for one in noise.interruptions(tx, desk.services.policy, person, now=now)
        ),
        noise_days=noise.DAYS,
    )


_Measured = tuple[str, str, str, Callable[[Week], int], bool]
_MEASURES: tuple[_Measured, ...] = (
    ("sync", "Hours lost to late sync", "How long a note whose clock was spent waited on its phone, written: there was"
     " no signal, or it was not synced.", lambda week: week.late_ms, True),
    ("unwritten", "Hours lost before writing", "How long after its clock was spent a note was written: an officer wrote"
     " of something days ago, or heard of it then.", lambda week: week.unwritten_ms, True),
    ("idle", "Hours lost to inaction", "How long after the deadline a duty that had arrived waited for an answer.",
     lambda week: week.idle_ms, True),
    ("aside", "Hours set aside", "How long what phones handed in that week stood in quarantine until an"
     " administrator released it, or has stood.", lambda week: week.aside_ms, True),
    ("told", "Calls to answer", "New alerts, alerts that grew, escalations, and copies of the alerts of other boroughs,"
     " on the page: whether or not they interrupted anybody.", lambda week: week.calls, False),
)  # fmt: skip


def measures(
    found: Mapping[str, Sequence[Week]], named: Callable[[str], str], since: int
) -> tuple[Measure, ...]:
    """The measures of these boroughs, each on one scale, so that boroughs can be compared."""
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
            summed = _summed([of(week) for week in weeks], labels, timed)
            charts.append(SmallChart(name=name, title=named(code), said=summed, bars=bars))
            rows.append((named(code), said, total))
        made.append(
            Measure(
                key=key, title=title, explains=explains, weeks=labels,
                charts=tuple(charts), rows=tuple(rows),
            )
        )  # fmt: skip
    return tuple(made)


def _monday(since: int, number: int) -> str:
    day = figures.monday(since, number)
    return f"{day.day} {day:%b}"


def _summed(amounts: Sequence[int], labels: Sequence[str], timed: bool) -> str:
    """A chart in words: all weeks together, and the worst of them."""
    most = max(amounts)
    if not most:
        return f"None in {len(amounts)} weeks"
    total = f"{_said(sum(amounts), timed)}{' hours' if timed else ''} in {len(amounts)} weeks"
    return f"{total}, most in the week of {labels[amounts.index(most)]}: {_said(most, timed)}"


def _said(amount: int, timed: bool) -> str:
    if not timed:
        return f"{amount:,}"
    # A bar that says 0.0 would be taken for a fault of the chart.
    return "under 0.1" if 0 < amount < LEAST_SHOWN_MS else f"{amount / words.HOUR_MS:,.1f}"


HANDLERS = [overview_page]
