"""The door for search: what is known of a child goes in the body, never in an address that is kept in logs."""

from __future__ import annotations

import datetime
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from server import searching
from server.access.identity import Person
from server.access.policy import Permission
from server.access.restricted import REASON_LENGTH_MAX
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import documented
from server.http.services import Services
from server.http.views import View
from server.linkage.asking import AGE_MAX, TEXT_LENGTH_MAX, Asked, together, understand
from server.storage.port import Transaction
from sync.vocabulary import Grade

TEXT_PATTERN = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in text
FIELD_LENGTH_MAX = 200
YEAR_MIN, YEAR_MAX = 1900, 2100

Text = Annotated[str, Meta(max_length=FIELD_LENGTH_MAX, pattern=TEXT_PATTERN)]


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known, in one `text` as typed, in fields, or in both: then a field counts. Dates in `text` are
    British, the day first. `reference` is an id of the registry, of a record or of a note. `access_reason`: why
    restricted records are to be found too; it is kept."""

    text: Annotated[str, Meta(max_length=TEXT_LENGTH_MAX, pattern=TEXT_PATTERN)] | None = None
    given_names: Text | None = None
    family_name: Text | None = None
    date_of_birth: datetime.date | None = None
    year_of_birth: Annotated[int, Meta(ge=YEAR_MIN, le=YEAR_MAX)] | None = None
    # gt=-1: Litestar leaves a minimum of 0 out of its description.
    age: Annotated[int, Meta(gt=-1, le=AGE_MAX)] | None = None
    school: Text | None = None
    phone: Text | None = None
    address: Text | None = None
    postcode: Text | None = None
    guardian: Text | None = None
    upn: Text | None = None
    nhs_number: Text | None = None
    reference: Text | None = None
    access_reason: Annotated[str, Meta(max_length=REASON_LENGTH_MAX, pattern=TEXT_PATTERN)] | None = None

    def asked(self) -> Asked:
        """Text and fields together."""
        names = Asked.__struct_fields__
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name in names}
        return together(understand(self.text or ""), Asked(**fields))


class Understood(View, frozen=True, kw_only=True):
    """One fact as it was understood."""

    label: str
    value: str


class AgreementView(View, frozen=True, kw_only=True):
    """How one field compares: `outcome` is agree, near or differ, `words` say how."""

    field: str
    outcome: str
    words: str


class HitView(View, frozen=True, kw_only=True):
    """A child that may be the one. `weight` in bits; `probability` only where it means something.

    `standing`: known, provisional or awaiting_review. `open_alerts`: grades of alerts that are not closed.
    """

    child_id: int
    standing: str
    owner_borough: str | None
    restricted: bool
    given_names: str | None
    family_name: str | None
    date_of_birth: datetime.date | None
    approximate_age: float | None
    school: str | None
    weight: float
    probability: float | None
    evidence: list[AgreementView]
    open_alerts: list[Grade]


class SearchAnswer(View, frozen=True, kw_only=True):
    """The best twenty, the likeliest first. `more`: how many fit besides.

    `fitting`: so many fit that they cannot be told apart; ask for one more fact. The hits are then of one's own
    boroughs, with `alerted_only` those about whom an alert is open. `ask_boroughs`: boroughs that have a record
    of a child like this one, which they can tell of. `restricted_left_out`: give `access_reason` to include them.
    `incomplete`: some records
    that are very new were not looked at; ask again in a minute.
    """

    searched_for: list[Understood]
    hits: list[HitView]
    more: int
    fitting: int
    alerted_only: bool
    ask_boroughs: list[str]
    restricted_left_out: bool
    incomplete: bool


def search_answer(found: searching.Found) -> SearchAnswer:
    """What was found, as JSON has it."""
    return SearchAnswer(
        searched_for=[Understood(label=label, value=value) for label, value in found.told_back],
        hits=[_hit_view(hit) for hit in found.hits],
        more=found.more,
        fitting=found.fitting,
        alerted_only=found.alerted_only,
        ask_boroughs=list(found.elsewhere),
        restricted_left_out=found.asks_reason,
        incomplete=found.incomplete,
    )


def _hit_view(hit: searching.Hit) -> HitView:
    child, details = hit.child, hit.child.details
    return HitView(
        child_id=child.child_id,
        standing=child.standing.value,
        owner_borough=child.owner_borough,
        restricted=child.circumstances.restricted,
        given_names=details.given_names,
        family_name=details.family_name,
        date_of_birth=details.date_of_birth,
        approximate_age=details.approximate_age,
        school=details.school,
        weight=hit.weight,
        probability=None if hit.probability is None else round(hit.probability, 6),
        evidence=[
            AgreementView(field=one.field, outcome=one.outcome, words=one.words) for one in hit.agreements
        ],
        open_alerts=list(hit.open_grades),
    )


@post(
    "/api/search",
    guards=[requires(Permission.SEARCH_CHILDREN, Permission.SEE_CHILDREN)],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["work"],
    summary="Search for a child",
    responses=documented(
        problems.INVALID,
        problems.NOT_SIGNED_IN,
        problems.NOT_ALLOWED,
        problems.TOO_LARGE,
        problems.UNSUPPORTED_TYPE,
        problems.TOO_MANY,
        problems.UNAVAILABLE,
    ),
)
async def search(
    data: JSONBody[SearchRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> SearchAnswer:
    """By any part of what is known, in any spelling. Every record shown is logged, the words typed are not."""
    now, asked = now_ms(), data.asked()

    def look(tx: Transaction) -> searching.Found:
        model = services.worlds.current(tx).decider.model
        return searching.search_for(tx, model, person, asked, now=now, reason=data.access_reason)

    return search_answer(await services.store.read(look))


HANDLERS = [search]
