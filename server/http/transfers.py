"""The doors for handing duties between boroughs, for calls to other forces, and for open cases."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from server import transferring
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.http import problems
from server.http.alerts import CHANGING, Id, Rev, Words, conflict
from server.http.auth import PERSON_SECURITY, requires
from server.http.children import READING, Reason, plain
from server.http.problems import Problem, documented
from server.http.services import Services
from server.http.views import Instant, View, instant, maybe
from server.records import children, children_shown, open_cases, transfers
from server.records.alerts import AlertConflict
from server.records.open_cases import Case
from server.records.transfers import Answer, Transfer
from server.storage.port import Transaction
from server.transferring import TransferRefused

WORKS = requires(Permission.ACKNOWLEDGE_ALERTS, Permission.WORK_CASES)
CASES = requires(Permission.SEE_CHILDREN, Permission.WORK_CASES)
Short = Annotated[str, Meta(min_length=2, max_length=200, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class TransferRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`to`: a borough's GSS code, or `other-force`. `whole`: the child with all that is live, not this alert alone."""

    to: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,20}$")]
    reason: Words
    whole: bool = False
    from_rev: Rev | None = None


class AnswerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reason` is needed to refuse and to take back."""

    answer: Answer
    reason: Words | None = None


class ContactRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call to another force: which, whom, what was agreed, and how many minutes ago."""

    force: Short
    spoke_to: Short
    said: Words
    minutes_ago: Annotated[int, Meta(ge=0, le=7 * 24 * 60)] = 0


class CaseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`open` takes a lead and a reason, `lead` a lead, `close` a reason. `sight`: why a restricted record is opened."""

    what: Literal["open", "lead", "close"]
    lead: Name | None = None
    reason: Words | None = None
    sight: Words | None = None


class TransferView(View, frozen=True, kw_only=True):
    """An offer. `alert_id` None: the child as a whole."""

    transfer_id: int
    child_id: int
    alert_id: int | None
    from_borough: str
    to_borough: str
    reason: str
    asked_by: str
    asked_at: Instant


class TransferList(View, frozen=True, kw_only=True):
    transfers: list[TransferView]


class LeadView(View, frozen=True, kw_only=True):
    """Who led a case, of which borough, since when, and who gave it to them."""

    lead: str
    borough: str
    since: Instant
    given_by: str


class CaseView(View, frozen=True, kw_only=True):
    """A case of a child with its lead. `leads`: all who led it, the first of them first."""

    case_id: int
    borough: str
    lead: str
    reason: str
    opened_by: str
    opened_at: Instant
    closed_by: str | None
    closed_at: Instant | None
    closed_reason: str | None
    leads: list[LeadView]


class CaseList(View, frozen=True, kw_only=True):
    cases: list[CaseView]


class Made(View, frozen=True, kw_only=True):
    """The number of what was made."""

    id: int


def refused(error: TransferRefused) -> Problem:
    """What cannot be as asked, in the words of the room below."""
    return Problem(problems.CONFLICT, str(error))


@post(
    "/api/alerts/{alert_id:int}/transfer",
    guards=[WORKS], security=PERSON_SECURITY, tags=["work"], summary="Offer an alert or its child to another borough",
    responses=CHANGING,
)  # fmt: skip
async def offer(
    alert_id: Id, data: JSONBody[TransferRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Made:  # fmt: skip
    """It stays with the sender until somebody there accepts; they may see the record from now on."""
    now = now_ms()
    try:
        made = await services.store.write(
            lambda tx: transferring.offer(
                tx, services.policy, person, alert_id, data.to, data.reason, whole=data.whole, now=now,
                from_rev=data.from_rev,
            )
        )  # fmt: skip
    except AlertConflict as error:
        raise conflict(error) from None
    except TransferRefused as error:
        raise refused(error) from None
    return Made(id=made)


@get(
    "/api/transfers",
    guards=[WORKS], security=PERSON_SECURITY, tags=["work"], summary="Offers that wait for an answer",
    responses=documented(problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE),
)  # fmt: skip
async def list_transfers(
    person: NamedDependency[Person], services: NamedDependency[Services]
) -> TransferList:
    """What your boroughs are asked to take, and what they offered."""
    found = await services.store.read(lambda tx: transfers.visible(tx, person, person.boroughs))
    return TransferList(transfers=[_transfer(one) for one in found])


def _transfer(one: Transfer) -> TransferView:
    return TransferView(
        transfer_id=one.transfer_id, child_id=one.child_id, alert_id=one.alert_id,
        from_borough=one.from_borough, to_borough=one.to_borough, reason=one.reason, asked_by=one.asked_by,
        asked_at=instant(one.asked_at),
    )  # fmt: skip


@post(
    "/api/transfers/{transfer_id:int}/answer",
    guards=[WORKS], security=PERSON_SECURITY, status_code=200, tags=["work"], summary="Answer an offer",
    responses=CHANGING,
)  # fmt: skip
async def answer(
    transfer_id: Id, data: JSONBody[AnswerRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Made:  # fmt: skip
    """Accepted, it is yours. Refused or taken back, it stays where it was."""
    now = now_ms()
    try:
        await services.store.write(
            lambda tx: transferring.answer(tx, person, transfer_id, data.answer, data.reason, now=now)
        )
    except TransferRefused as error:
        raise refused(error) from None
    return Made(id=transfer_id)


@post(
    "/api/alerts/{alert_id:int}/other-force",
    guards=[WORKS], security=PERSON_SECURITY, tags=["work"], summary="Write down who rang another force",
    responses=CHANGING,
)  # fmt: skip
async def told_force(
    alert_id: Id, data: JSONBody[ContactRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> Made:  # fmt: skip
    """For an alert of the other-force queue, which can be closed afterwards."""
    now = now_ms()
    made = await services.store.write(
        lambda tx: transferring.told_force(
            tx, person, alert_id, force=data.force, spoke_to=data.spoke_to, said=data.said,
            called_at=now - data.minutes_ago * 60_000, now=now,
        )
    )  # fmt: skip
    return Made(id=made)


@post(
    "/api/children/{child_id:int}/case",
    guards=[CASES], security=PERSON_SECURITY, status_code=200,
    tags=["work"], summary="Open a child's case, give it another lead, or close it",
    responses=CHANGING | documented(problems.REASON_NEEDED),
)  # fmt: skip
async def change_case(
    child_id: Id, data: JSONBody[CaseRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> CaseList:  # fmt: skip
    """A new note about a child with an open case goes to its lead."""
    now = now_ms()
    if (data.what != "close" and data.lead is None) or (data.what != "lead" and data.reason is None):
        raise Problem(problems.INVALID, "This needs a lead, a reason, or both.")

    def change(tx: Transaction) -> list[Case]:
        lead, reason = data.lead or "", data.reason or ""
        if data.what == "open":
            transferring.begin_case(
                tx, services.policy, person, child_id, lead, reason, now=now, sight=data.sight
            )
        elif data.what == "lead":
            transferring.give_case(tx, services.policy, person, child_id, lead, now=now, sight=data.sight)
        else:
            transferring.end_case(tx, person, child_id, reason, now=now, sight=data.sight)
        return open_cases.of_child(tx, person, children.kept(tx, child_id), now=now)

    try:
        return case_list(await services.store.write(change))
    except TransferRefused as error:
        raise refused(error) from None


@get(
    "/api/children/{child_id:int}/case",
    guards=[CASES], security=PERSON_SECURITY, tags=["work"], summary="A child's cases",
    responses=READING,
)  # fmt: skip
async def list_cases(
    child_id: Id, person: NamedDependency[Person], services: NamedDependency[Services],
    access_reason: Reason = None,
) -> CaseList:  # fmt: skip
    """Newest first, each with who led it and since when."""
    now, sight = now_ms(), plain(access_reason)

    def look(tx: Transaction) -> list[Case]:
        children_shown.require_sight(tx, person, child_id, sight)
        return open_cases.of_child(tx, person, children.kept(tx, child_id), now=now)

    return case_list(await services.store.read(look))


def case_list(found: list[Case]) -> CaseList:
    """Cases as JSON has them."""
    return CaseList(
        cases=[
            CaseView(
                case_id=one.case_id, borough=one.borough, lead=one.lead, reason=one.reason,
                opened_by=one.opened_by, opened_at=instant(one.opened_at), closed_by=one.closed_by,
                closed_at=maybe(one.closed_at), closed_reason=one.closed_reason,
                leads=[
                    LeadView(lead=by.lead, borough=by.borough, since=instant(by.since), given_by=by.given_by)
                    for by in one.leads
                ],
            )
            for one in found
        ]
    )  # fmt: skip


HANDLERS = [offer, list_transfers, answer, told_force, change_case, list_cases]
