"""The doors for a supervisor's figures: what waits, which phones owe notes, what was lost to what, JSON and CSV.

Counts and hours by borough and week, never by person.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterator, Sequence

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from server.access.identity import Person
from server.access.policy import Permission
from server.casework.facts import HOUR_MS
from server.casework.routing import OTHER_FORCE
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import documented
from server.http.services import Services
from server.http.views import Instant, View, instant, maybe
from server.records import figures, noise, owing, quarantine
from server.records.figures import Week
from server.storage.port import Transaction
from sync.vocabulary import Grade

READING = documented(problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE)


class WaitingView(View, frozen=True, kw_only=True):
    """What waits in a borough now. `oldest_at`: since when the oldest unacknowledged alert has waited."""

    borough: str
    unacknowledged: int
    red: int
    overdue: int
    stuck_reviews: int
    oldest_at: Instant | None


class OwingView(View, frozen=True, kw_only=True):
    """A phone that owes notes: `gaps` are the (first, last) of the numbers missing; `waiting`, how many entries were on
    it alone after its last sync."""

    device_id: str
    name: str
    officer: str
    borough: str | None
    last_seen_at: Instant | None
    revoked_at: Instant | None
    gaps: list[tuple[int, int]]
    waiting: int


class SetAsideView(View, frozen=True, kw_only=True):
    """Entries of a phone that came and were set aside, and wait for an administrator."""

    device_id: str
    name: str
    borough: str | None
    entries: int
    oldest_at: Instant


class WeekView(View, frozen=True, kw_only=True):
    """A borough's duties that began in the week from a Monday.

    Hours lost before writing were gone before the officer wrote the note, hours lost to late sync passed on the phone,
    hours lost to inaction ran after the deadline, hours set aside passed in quarantine before a person released what
    this borough's officers handed in that week: do not add them together. The last four count interruptions: alerts
    raised, grown, escalated, and copies of other boroughs' alerts.
    """

    borough_code: str
    borough: str
    week_from: datetime.date
    duties: int
    late_on_arrival: int
    hours_lost_before_writing: float
    hours_lost_to_late_sync: float
    answered_after_deadline: int
    hours_lost_to_inaction: float
    hours_set_aside: float
    raised: int
    grew: int
    escalated: int
    copied: int


class InterruptedView(View, frozen=True, kw_only=True):
    """How often a person was interrupted outside the page in the last week, by grade, and what waited for a digest
    instead; `at_night`, how many interruptions were in their quiet hours, or without such between 22:00 and 07:00. It
    is what was asked of them, and nothing that they did."""

    name: str
    role: str
    borough: str | None
    at_once: dict[Grade, int]
    at_night: int
    in_digests: int


class OverviewView(View, frozen=True, kw_only=True):
    """Boroughs in which nothing waits, or in which no duty began, are left out."""

    waiting: list[WaitingView]
    owing: list[OwingView]
    set_aside: list[SetAsideView]
    weeks: list[WeekView]


CSV_COLUMNS = WeekView.__struct_fields__


@get(
    "/api/overview",
    guards=[requires(Permission.SUPERVISE)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="What waits, which phones owe notes, and what was lost to what, by borough and week",
    responses=READING,
)
async def show_overview(person: NamedDependency[Person], services: NamedDependency[Services]) -> OverviewView:
    """The figures of the page, of your boroughs."""
    now = now_ms()

    def look(tx: Transaction) -> OverviewView:
        allowed = services.worlds.current(tx).pack.allowed_ms(person.borough)
        everywhere = person.sees_borough(None)
        return OverviewView(
            waiting=[
                WaitingView(
                    borough=one.borough,
                    unacknowledged=one.unacknowledged,
                    red=one.red,
                    overdue=one.overdue,
                    stuck_reviews=one.stuck_reviews,
                    oldest_at=maybe(one.oldest_at),
                )
                for one in figures.waiting(tx, person, allowed, now=now)
            ],
            owing=[
                OwingView(
                    device_id=one.device_id,
                    name=one.name,
                    officer=one.officer,
                    borough=one.borough,
                    last_seen_at=maybe(one.last_seen_at),
                    revoked_at=maybe(one.revoked_at),
                    gaps=list(one.gaps),
                    waiting=one.waiting,
                )
                for one in owing.phones(tx, None if everywhere else person.boroughs)
            ],
            set_aside=[
                SetAsideView(
                    device_id=one.device_id,
                    name=one.phone,
                    borough=one.borough,
                    entries=one.entries,
                    oldest_at=instant(one.oldest_at),
                )
                for one in quarantine.by_phone(tx, None if everywhere else person.boroughs)
            ],
            weeks=list(_weeks(tx, services, person, now)),
        )

    return await services.store.read(look)


@get(
    "/api/interruptions",
    guards=[requires(Permission.SUPERVISE)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="How often each person of your boroughs was interrupted",
    responses=READING,
)
async def show_interruptions(
    person: NamedDependency[Person], services: NamedDependency[Services]
) -> list[InterruptedView]:
    """Of the last seven days, the most interrupted first: so that noise is seen."""
    found = await _interruptions(person, services)
    return [InterruptedView(**msgspec.structs.asdict(one)) for one in found]


async def _interruptions(person: Person, services: Services) -> list[noise.Interrupted]:
    now = now_ms()
    return await services.store.read(lambda tx: noise.interruptions(tx, services.policy, person, now=now))


def _weeks(tx: Transaction, services: Services, person: Person, now: int) -> Iterator[WeekView]:
    since, force = figures.begins_at(now), services.policy.force
    for code, weeks in figures.weekly(tx, person, from_ms=since, now=now).items():
        name = "Other force" if code == OTHER_FORCE else force.name_of(code)
        for week in weeks:
            yield _week(week, code, name, figures.monday(since, week.week))


def _week(week: Week, code: str, name: str, monday: datetime.date) -> WeekView:
    return WeekView(
        borough_code=code,
        borough=name,
        week_from=monday,
        duties=week.duties,
        late_on_arrival=week.late,
        hours_lost_before_writing=round(week.unwritten_ms / HOUR_MS, 2),
        hours_lost_to_late_sync=round(week.late_ms / HOUR_MS, 2),
        answered_after_deadline=week.idle,
        hours_lost_to_inaction=round(week.idle_ms / HOUR_MS, 2),
        hours_set_aside=round(week.aside_ms / HOUR_MS, 2),
        raised=week.told,
        grew=week.grown,
        escalated=week.escalated,
        copied=week.copied,
    )


@get(
    "/api/overview.csv",
    guards=[requires(Permission.SUPERVISE)],
    security=PERSON_SECURITY,
    media_type="text/csv",
    tags=["work"],
    summary="What was lost and to what, by borough and week, as CSV",
    responses=READING,
)
async def overview_csv(person: NamedDependency[Person], services: NamedDependency[Services]) -> Response[str]:
    """A line for each borough and week. Names nobody."""
    now = now_ms()
    found = await services.store.read(lambda tx: list(_weeks(tx, services, person, now)))
    rows = [[getattr(one, column) for column in CSV_COLUMNS] for one in found]
    return csv_answer("overview", CSV_COLUMNS, rows)


@get(
    "/api/interruptions.csv",
    guards=[requires(Permission.SUPERVISE)],
    security=PERSON_SECURITY,
    media_type="text/csv",
    tags=["work"],
    summary="How often each person of your boroughs was interrupted, as CSV",
    responses=READING,
)
async def interruptions_csv(
    person: NamedDependency[Person], services: NamedDependency[Services]
) -> Response[str]:
    """A line for each person, as `/api/interruptions`."""
    found = await _interruptions(person, services)
    grades = tuple(reversed(Grade))
    columns = (
        "name",
        "role",
        "borough",
        *(grade.value for grade in grades),
        "total",
        "at_night",
        "in_digests",
    )
    rows = [
        [one.name, one.role, services.policy.force.place_of(one.borough, None) or "",
         *(one.at_once.get(grade, 0) for grade in grades), one.total, one.at_night, one.in_digests]
        for one in found
    ]  # fmt: skip
    return csv_answer("interruptions", columns, rows)


def csv_answer(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Response[str]:
    """A file of these columns and rows, for a person to keep."""
    return Response(
        as_csv(columns, rows),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="{name}.csv"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )


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


HANDLERS = [show_overview, show_interruptions, interruptions_csv, overview_csv]
