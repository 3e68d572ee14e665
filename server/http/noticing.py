"""The door for children coming to notice: repeated concerns with no referral yet."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, Parameter

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import documented
from server.http.services import Services
from server.http.views import Instant, View, instant
from server.records import noticing
from server.records.noticing import Noticed
from server.storage.port import Transaction
from sync.vocabulary import Grade

BoroughCode = Annotated[str, Parameter(pattern=r"^[A-Za-z0-9-]{1,20}$")]


class NoticedView(View, frozen=True, kw_only=True):
    """A child with two incidents or more in 90 days. `grade`: of the gravest flag that holds. `why` names nobody."""

    child_id: int
    borough: str
    grade: Grade | None
    danger: bool
    incidents: int
    last_at: Instant
    why: str


class NoticedList(View, frozen=True, kw_only=True):
    children: list[NoticedView]


@get(
    "/api/coming-to-notice",
    guards=[requires(Permission.SEE_ALERTS, Permission.SEE_CHILDREN)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="Children with repeated concerns and no referral yet",
    responses=documented(
        problems.INVALID, problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE
    ),
)
async def coming_to_notice(
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    borough: FromQuery[BoroughCode | None] = None,
) -> NoticedList:
    """Danger now first, then the gravest flag, then the most incidents; of your boroughs, or of one of them."""
    if borough is not None and borough not in person.boroughs:
        raise NotAllowed("That is none of your boroughs.")
    now = now_ms()

    def look(tx: Transaction) -> list[Noticed]:
        pack = services.worlds.current(tx).pack
        return noticing.coming_to_notice(tx, person, pack, now=now, borough=borough)

    found = await services.store.read(look)
    return NoticedList(
        children=[
            NoticedView(
                child_id=one.child_id,
                borough=one.borough,
                grade=one.grade,
                danger=one.danger,
                incidents=one.incidents,
                last_at=instant(one.last_at),
                why=one.why,
            )
            for one in found
        ]
    )


HANDLERS = [coming_to_notice]
