"""The doors for scrutiny: dip samples that nobody chooses by hand, and what the review of each case found.

`server.records.sampling` says how a sample is drawn, so that anybody can draw it again.
"""

from __future__ import annotations

import datetime
import secrets
from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.http import problems
from server.http.alerts import CHANGING, TEXT_PATTERN, Id
from server.http.auth import PERSON_SECURITY, requires
from server.http.overview import csv_answer
from server.http.problems import Problem, documented
from server.http.services import Services
from server.http.views import Instant, View, instant, maybe
from server.http.views_alert import AlertView, alert_view
from server.records import alerts, likeness, sampling
from server.records.likeness import Alike
from server.records.sampling import PER_STRATUM_MAX, WORDS_CHARACTERS_MIN, Item, Sample
from server.storage.port import Transaction
from sync.vocabulary import Grade

SAMPLES = requires(Permission.SAMPLE)
READING = documented(problems.INVALID, problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE)
looking = partial(get, guards=[SAMPLES], security=PERSON_SECURITY, tags=["scrutiny"], responses=READING)
doing = partial(post, guards=[SAMPLES], security=PERSON_SECURITY, tags=["scrutiny"], responses=CHANGING)
FIRST_DAY, LAST_DAY = datetime.date(2000, 1, 1), datetime.date(2200, 12, 31)

Value = Annotated[str, Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN)]
Source = Annotated[str, Meta(min_length=WORDS_CHARACTERS_MIN, max_length=200, pattern=TEXT_PATTERN)]
Found = Annotated[str, Meta(min_length=WORDS_CHARACTERS_MIN, max_length=500, pattern=TEXT_PATTERN)]


class AnnounceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sample of the work closed from the first day to the last, both included, London's days. `per_stratum`: how
    many of each borough and grade. `public_source`: which public value will be used, and when it is published."""

    first_day: datetime.date
    last_day: datetime.date
    per_stratum: Annotated[int, Meta(ge=1, le=PER_STRATUM_MAX)]
    public_source: Source


class DrawRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public value, as it was published."""

    public_value: Value


class JudgeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the review of a case found, in a sentence."""

    outcome: Literal["good", "requires_improvement", "inadequate"]
    words: Found


class SampleView(View, frozen=True, kw_only=True):
    """A sample. `secret` is told once it is drawn, with `public_value`: then anybody can draw it again."""

    sample_id: int
    commitment: str
    secret: str | None
    closed_from: Instant
    closed_before: Instant
    per_stratum: int
    public_source: str
    announced_by: str
    announced_at: Instant
    public_value: str | None
    drawn_by: str | None
    drawn_at: Instant | None


class SampleList(View, frozen=True, kw_only=True):
    samples: list[SampleView]


class ItemView(View, frozen=True, kw_only=True):
    """One alert of a sample, with the borough and grade that it was drawn for, and what its review found."""

    alert_id: int
    borough: str
    grade: Grade
    outcome: str | None
    words: str | None
    reviewed_by: str | None
    reviewed_at: Instant | None


class SampleWhole(View, frozen=True, kw_only=True):
    sample: SampleView
    items: list[ItemView]


class AlikeView(View, frozen=True, kw_only=True):
    """Another case, and what it shares with this one, in words."""

    alert_id: int
    child_id: int
    borough: str
    shared: list[str]


class CaseWhole(View, frozen=True, kw_only=True):
    """One case of a sample, and those like it."""

    item: ItemView
    alert: AlertView
    alike: list[AlikeView]


def sample_view(one: Sample) -> SampleView:
    """A sample as JSON has it."""
    return SampleView(
        sample_id=one.sample_id,
        commitment=one.commitment,
        secret=one.secret,
        closed_from=instant(one.closed_from),
        closed_before=instant(one.closed_before),
        per_stratum=one.per_stratum,
        public_source=one.public_source,
        announced_by=one.announced_by,
        announced_at=instant(one.announced_at),
        public_value=one.public_value,
        drawn_by=one.drawn_by,
        drawn_at=maybe(one.drawn_at),
    )


def item_view(one: Item) -> ItemView:
    """A case of a sample as JSON has it."""
    return ItemView(
        alert_id=one.alert_id,
        borough=one.stratum_borough,
        grade=Grade(one.stratum_grade),
        outcome=one.outcome,
        words=one.words,
        reviewed_by=one.reviewed_by,
        reviewed_at=maybe(one.reviewed_at),
    )


def alike_view(one: Alike) -> AlikeView:
    """A case like another as JSON has it."""
    return AlikeView(
        alert_id=one.alert_id, child_id=one.child_id, borough=one.borough, shared=list(one.shared)
    )


@looking("/api/scrutiny/samples", summary="The dip samples")
async def list_samples(person: NamedDependency[Person], services: NamedDependency[Services]) -> SampleList:
    """Newest first."""
    found = await services.store.read(lambda tx: sampling.samples(tx, person))
    return SampleList(samples=[sample_view(one) for one in found])


@doing("/api/scrutiny/samples", summary="Announce a sample")
async def announce(
    data: JSONBody[AnnounceRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> SampleView:
    """Its commitment stands from now on: publish it before the public value is known."""
    if not FIRST_DAY <= data.first_day <= data.last_day <= LAST_DAY:
        raise Problem(problems.INVALID, "The last day comes before the first, or is out of reach.")
    now, (begins, ends) = now_ms(), sampling.window(data.first_day, data.last_day)

    def promise(tx: Transaction) -> Sample:
        sample_id = sampling.announce(
            tx, person, secret=secrets.token_hex(32), closed_from=begins, closed_before=ends,
            per_stratum=data.per_stratum, public_source=data.public_source, now=now,
        )  # fmt: skip
        return sampling.sample(tx, person, sample_id)

    return sample_view(await services.store.write(promise))


@looking("/api/scrutiny/samples/{sample_id:int}", summary="A sample with what is in it")
async def show_sample(
    sample_id: Id, person: NamedDependency[Person], services: NamedDependency[Services]
) -> SampleWhole:
    """By borough, grade and number of the alert."""
    now = now_ms()
    return await services.store.read(lambda tx: _whole(tx, person, sample_id, now))


def _whole(tx: Transaction, person: Person, sample_id: int, now: int) -> SampleWhole:
    found = sampling.sample(tx, person, sample_id)
    items = sampling.items(tx, person, sample_id, now=now)
    return SampleWhole(sample=sample_view(found), items=[item_view(one) for one in items])


@doing("/api/scrutiny/samples/{sample_id:int}/draw", summary="Draw an announced sample", status_code=200)
async def draw(
    sample_id: Id, data: JSONBody[DrawRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> SampleWhole:  # fmt: skip
    """Once, after the last day is over. The secret is told with it."""
    now = now_ms()

    def drawing(tx: Transaction) -> SampleWhole:
        if not sampling.sample(tx, person, sample_id).may_be_drawn(now):
            raise Problem(problems.CONFLICT, "This sample is drawn, or its last day is not over.")
        sampling.draw(tx, person, sample_id, data.public_value, now=now)
        return _whole(tx, person, sample_id, now)

    return await services.store.write(drawing)


@looking(
    "/api/scrutiny/samples/{sample_id:int}/cases/{alert_id:int}",
    summary="One case of a sample, and those like it",
)
async def show_case(
    sample_id: Id, alert_id: Id, person: NamedDependency[Person], services: NamedDependency[Services]
) -> CaseWhole:
    """Likeness is told in words, and has no score."""
    now = now_ms()

    def look(tx: Transaction) -> CaseWhole:
        item = sampling.item(tx, person, sample_id, alert_id, now=now)
        return CaseWhole(
            item=item_view(item),
            alert=alert_view(alerts.show(tx, person, alert_id, now=now)),
            alike=[alike_view(one) for one in likeness.like(tx, person, alert_id, now=now)],
        )

    return await services.store.read(look)


@doing(
    "/api/scrutiny/samples/{sample_id:int}/cases/{alert_id:int}/review",
    summary="Say what the review of a case found",
    status_code=200,
)
async def judge(
    sample_id: Id, alert_id: Id, data: JSONBody[JudgeRequest], person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> ItemView:  # fmt: skip
    """A later review of the same case takes the place of an earlier one; the log keeps that both were made."""
    now = now_ms()

    def save(tx: Transaction) -> Item:
        sampling.judge(tx, person, sample_id, alert_id, data.outcome, data.words, now=now)
        return sampling.item(tx, person, sample_id, alert_id, now=now)

    return item_view(await services.store.write(save))


@looking(
    "/api/scrutiny/samples/{sample_id:int}/pool.csv",
    media_type="text/csv",
    summary="What a sample was drawn from, as CSV",
)
async def pool_csv(
    sample_id: Id, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Response[str]:
    """The number, borough and grade of each alert that people closed in its window: with the secret and the public
    value that is all it takes to draw it again. Empty until it is drawn."""
    found = await services.store.read(lambda tx: sampling.drawn_pool(tx, person, sample_id))
    return csv_answer("pool", ("alert", "borough_code", "grade"), found)


HANDLERS = [list_samples, announce, show_sample, draw, show_case, judge, pool_csv]
